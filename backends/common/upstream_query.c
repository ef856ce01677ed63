#include "backends/common/upstream_query.h"

#include "waypost/base/rd.h"
#include "waypost/base/wr.h"
#include "waypost/plugin/query.h"

static bool for_one_hop(unsigned code)
{
    return code == WP_EDNS_KEEPALIVE || code == WP_EDNS_PADDING;
}

/* Options that go on, to out (which may be in). The octets written. */
static size_t keep_options(const uint8_t *in, size_t len, uint8_t *out)
{
    size_t n = 0;

    for (size_t at = 0; at + 4 <= len;) {
        size_t one = 4 + (size_t)wp_be16(in + at + 2);

        if (one > len - at)
            break;
        if (!for_one_hop(wp_be16(in + at))) {
            memmove(out + n, in + at, one);
            n += one;
        }
        at += one;
    }
    return n;
}

static void write_opt(struct wp_wr *wr, const struct wp_edns *e)
{
    uint8_t *lengths;

    wp_wr_u8(wr, 0);
    wp_wr_u16(wr, WP_TYPE_OPT);
    wp_wr_u16(wr, e->udp_size);
    wp_wr_u16(wr, e->version);
    wp_wr_u16(wr, (e->dnssec_ok ? 0x8000u : 0) | e->flags);
    if (!wp_wr_need(wr, 2u + e->options_len))
        return;
    lengths = wr->buf + wr->len;
    wr->len += 2;
    if (e->options_len > 0)
        wr->len += keep_options(e->options, e->options_len, wr->buf + wr->len);
    wp_put16(lengths, (unsigned)(wr->buf + wr->len - lengths - 2));
}

/* Records of one section that are not OPT, uncompressed. */
static int copy_records(struct wp_query *q, struct wp_rd *rd, unsigned n, struct wp_wr *wr,
                        unsigned *ret_n)
{
    for (; n > 0; n--) {
        struct wp_rd look = *rd;
        struct wp_rr_at at;
        struct wp_rr rr = {0};
        int r = wp_rr_next(&look, &at);

        if (r < 0)
            return r;
        if (at.type == WP_TYPE_OPT) {
            *rd = look;
            continue;
        }
        r = wp_rr_read(rd, q->arena, &rr);
        if (r < 0)
            return r;
        wp_wr_bytes(wr, rr.owner, wp_name_size(rr.owner));
        wp_wr_u16(wr, rr.type);
        wp_wr_u16(wr, rr.cls);
        wp_wr_u32(wr, rr.ttl);
        wp_wr_u16(wr, rr.rdlen);
        wp_wr_bytes(wr, rr.rdata, rr.rdlen);
        ++*ret_n;
    }
    return 0;
}

/* Has the request records besides its OPT? Few have. */
static bool has_records(const struct wp_query *q)
{
    return q->wire != NULL && q->wire_len > WP_HEADER_LEN &&
           wp_be16(q->wire + 6) + wp_be16(q->wire + 8) + wp_be16(q->wire + 10) >
               (q->had_opt ? 1 : 0);
}

size_t wp_upstream_query_room(const struct wp_query *q)
{
    size_t room = WP_HEADER_LEN + (size_t)q->question_len + 11 + q->msg.edns.options_len;

    /* expanded names: 255 for each pointer of two octets, of which a query's few records have
     * few; what does not fit is refused */
    return has_records(q) ? room + q->wire_len + 4 * WP_NAME_MAX : room;
}

int wp_upstream_query_write(struct wp_query *q, uint8_t *buf, size_t cap)
{
    struct wp_wr wr = wp_wr_to(buf, cap);
    unsigned count[WP_SECTIONS] = {0};
    int r = 0;

    wp_wr_u16(&wr, 0);
    wp_wr_u16(&wr, q->msg.flags & (WP_FLAG_OPCODE | WP_FLAG_RD | WP_FLAG_AD | WP_FLAG_CD));
    wp_wr_u16(&wr, 1);
    wp_wr_u32(&wr, 0);
    wp_wr_u16(&wr, 0);
    wp_wr_bytes(&wr, q->question, q->question_len);
    if (has_records(q)) {
        struct wp_rd rd = wp_rd_from(q->wire, q->wire_len);

        rd.pos = WP_HEADER_LEN + (size_t)q->msg.question_len;
        for (unsigned s = 0; s < WP_SECTIONS && r == 0; s++) {
            /* the OPT stands before a TSIG, which must be last (RFC 8945 s5.1) */
            if (s == WP_ADDITIONAL && q->msg.edns.present) {
                write_opt(&wr, &q->msg.edns);
                count[s]++;
            }
            r = copy_records(q, &rd, wp_be16(q->wire + 6 + 2 * s), &wr, &count[s]);
        }
    } else if (q->msg.edns.present) {
        write_opt(&wr, &q->msg.edns);
        count[WP_ADDITIONAL] = 1;
    }
    if (r < 0)
        return r;
    if (wr.bad)
        return WP_ESPACE;
    for (unsigned s = 0; s < WP_SECTIONS; s++)
        wp_put16(buf + 6 + 2 * s, count[s]);
    return (int)wr.len;
}

void wp_upstream_reply_clean(struct wp_query *q)
{
    struct wp_reply *r = &q->reply;

    for (size_t at = 0; at + 4 <= r->options_len; at += 4 + (size_t)wp_be16(r->options + at + 2)) {
        uint8_t *kept;

        if (!for_one_hop(wp_be16(r->options + at)))
            continue;
        kept = wp_arena_alloc(q->arena, r->options_len);
        r->options_len =
            kept != NULL ? (uint16_t)keep_options(r->options, r->options_len, kept) : 0;
        r->options = kept;
        return;
    }
}
