/* From the reply's records to the message that is sent: header bits, OPT, size and TC, padding.
 * The one place for all transports (RFC 1035 s4.1.1, RFC 6891 s6, RFC 2181 s9, RFC 7830). */
#include "server/router/router_priv.h"

#include "waypost/base/wr.h"
#include "waypost/server/guard.h"

enum {
    PADDING_BLOCK = 468, /* RFC 8467 s4.1 */
    OPT_LEN = 11,
    SEND_UNCOMPRESSED = 1220, /* below this no network asks for fragments */
    BADVERS_SIZE = 1232,
};

void wp_reply_bare(struct wp_query *q)
{
    struct wp_reply *r = &q->reply;
    uint16_t rcode = r->rcode;

    /* cannot fail: every buffer holds header, question and spare */
    if (wp_reply_begin(q, rcode, 0) < 0)
        r->dropped = true;
}

void wp_reply_settle(struct wp_query *q)
{
    if (q->reply.begun || q->reply.dropped)
        return;
    if (!q->reply.unwritten)
        q->reply.rcode = WP_RCODE_SERVFAIL;
    wp_reply_bare(q);
}

/* Does the reply's OPT hold the option already? */
static bool has_option(const struct wp_reply *r, uint16_t code)
{
    const struct wp_edns e = {.options = r->options, .options_len = r->options_len};
    uint16_t len;

    return r->options_len > 0 && wp_edns_option_find(&e, code, &len) != NULL;
}

/* EDE texts are the first to go when a message is too long (RFC 8914 s3). */
static void drop_ede_texts(struct wp_query *q)
{
    struct wp_reply *r = &q->reply;
    uint8_t *kept = wp_arena_alloc(q->arena, r->options_len);
    uint16_t n = 0;

    if (kept == NULL)
        return;
    for (unsigned i = 0; i + 4 <= r->options_len;) {
        unsigned code = wp_be16(r->options + i), len = wp_be16(r->options + i + 2);
        unsigned use = code == WP_EDNS_EDE && len > 2 ? 2 : len;

        wp_put16(kept + n, code);
        wp_put16(kept + n + 2, use);
        memcpy(kept + n + 4, r->options + i + 4, use);
        n = (uint16_t)(n + 4 + use);
        i += 4 + len;
    }
    r->options = kept;
    r->options_len = n;
}

/* Keep the records that fit, in message order: the tail is lost, so additional data first, then
 * authority, then answers. Pointers lead backwards only: what is kept stays valid. */
static void cut_tail(struct wp_query *q, size_t limit)
{
    struct wp_reply *r = &q->reply;
    struct wp_rd rd = wp_rd_from(r->buf, r->len);
    size_t end = WP_HEADER_LEN + (size_t)q->question_len;
    bool full = false;

    rd.pos = end;
    for (unsigned s = 0; s < WP_SECTIONS; s++) {
        unsigned kept = 0;

        for (unsigned i = 0; i < r->count[s] && !full; i++) {
            struct wp_rr_at at;

            if (wp_rr_next(&rd, &at) < 0 || at.end > limit) {
                full = true;
                break;
            }
            end = at.end;
            kept++;
        }
        if (kept < r->count[s])
            full = true;
        r->count[s] = (uint16_t)kept;
    }
    r->len = (uint32_t)end;
    r->flags |= WP_FLAG_TC;
}

static size_t size_limit(const struct wp_query *q)
{
    size_t cap;

    if (q->stream)
        return WP_MSG_MAX;
    cap = q->route != NULL && q->route->group != NULL ? q->route->group->limits.udp_cap : 0;
    if (cap == 0)
        cap = WP_MSG_MAX;
    return q->had_size < cap ? q->had_size : cap;
}

/* Compress, then cut, until the message with its OPT fits. */
static void fit(struct wp_query *q, size_t limit, size_t opt_len)
{
    wp_reply_compress(q);
    if (q->reply.len + opt_len > limit)
        cut_tail(q, limit > opt_len ? limit - opt_len : 0);
}

/* Options that the core itself owes: cookies, and keepalive (RFC 7828) on plain streams. */
static void core_options(struct wp_query *q)
{
    const struct wp_edns *asked = &q->msg.edns;
    uint16_t len;

    if (q->has_cookie && !has_option(&q->reply, WP_EDNS_COOKIE) &&
        wp_reply_option(q, WP_EDNS_COOKIE, q->cookie, sizeof(q->cookie)) < 0)
        return; /* the client asks without it as before */
    if ((q->transport == WP_TCP || q->transport == WP_DOT) && q->route != NULL &&
        wp_edns_option_find(asked, WP_EDNS_KEEPALIVE, &len) != NULL &&
        !has_option(&q->reply, WP_EDNS_KEEPALIVE)) {
        uint64_t units = q->draining ? 0 : wp_guard_idle_ns(q->route->group) / 100000000u;
        uint8_t data[2];

        wp_put16(data, units > UINT16_MAX ? UINT16_MAX : (unsigned)units);
        if (wp_reply_option(q, WP_EDNS_KEEPALIVE, data, sizeof(data)) < 0)
            return; /* without the option the reply is still right */
    }
}

static bool wants_padding(const struct wp_query *q)
{
    uint16_t len;

    return q->encrypted && wp_edns_option_find(&q->msg.edns, WP_EDNS_PADDING, &len) != NULL;
}

static void write_opt(struct wp_query *q, bool pad, size_t limit)
{
    struct wp_reply *r = &q->reply;
    size_t opts = r->options_len, total, fill = 0;
    uint8_t *to;

    if (pad) {
        total = r->len + OPT_LEN + opts + 4;
        fill = (PADDING_BLOCK - total % PADDING_BLOCK) % PADDING_BLOCK;
        if (total + fill > limit)
            fill = limit > total ? limit - total : 0;
        opts += 4 + fill;
    }
    if (r->len + OPT_LEN + opts > r->cap)
        return; /* cannot be: the spare is as large as options and padding may get */
    to = r->buf + r->len;
    to[0] = 0;
    wp_put16(to + 1, WP_TYPE_OPT);
    wp_put16(to + 3, r->rcode == WP_RCODE_BADVERS ? BADVERS_SIZE : q->had_size);
    to[5] = (uint8_t)(r->rcode >> 4);
    to[6] = 0;
    wp_put16(to + 7, q->had_do || r->opt_do ? 0x8000 : 0);
    wp_put16(to + 9, (unsigned)opts);
    if (r->options_len > 0)
        memcpy(to + OPT_LEN, r->options, r->options_len);
    if (pad) {
        to += OPT_LEN + r->options_len;
        wp_put16(to, WP_EDNS_PADDING);
        wp_put16(to + 2, (unsigned)fill);
        memset(to + 4, 0, fill);
    }
    r->len += (uint32_t)(OPT_LEN + opts);
}

static void write_header(struct wp_query *q, unsigned extra)
{
    struct wp_reply *r = &q->reply;
    unsigned in = q->msg.flags, out;
    unsigned opcode = wp_msg_opcode(&q->msg);

    if (WP_UNLIKELY(q->intake == WP_INTAKE_NOTIMP || q->intake == WP_INTAKE_FORMERR_HEAD ||
                    q->intake == WP_INTAKE_FORMERR)) {
        /* refused by its header: the other bits come back as they were */
        out = in & (WP_FLAG_OPCODE | WP_FLAG_RD | WP_FLAG_CD);
    } else {
        out = r->flags & (WP_FLAG_AA | WP_FLAG_TC | WP_FLAG_RA | WP_FLAG_AD);
        out |= in & WP_FLAG_OPCODE;
        if (opcode == WP_OPCODE_QUERY)
            out |= in & (WP_FLAG_RD | WP_FLAG_CD);
    }
    wp_put16(r->buf, q->msg.id);
    wp_put16(r->buf + 2, WP_FLAG_QR | out | (r->rcode & WP_FLAG_RCODE));
    wp_put16(r->buf + 4, q->question_len > 0 ? 1 : 0);
    wp_put16(r->buf + 6, r->count[0]);
    wp_put16(r->buf + 8, r->count[1]);
    wp_put16(r->buf + 10, r->count[2] + extra);
}

void wp_query_finish(struct wp_query *q)
{
    struct wp_reply *r = &q->reply;
    size_t limit, opt_len = 0;
    bool opt = q->had_opt || r->rcode == WP_RCODE_BADVERS;
    bool pad = false;

    if (WP_UNLIKELY(!r->begun))
        wp_reply_settle(q);
    if (WP_UNLIKELY(r->dropped)) {
        q->out_len = 0;
        return;
    }
    limit = size_limit(q);
    if (opt) {
        if (q->msg.edns.options_len > 0 || q->has_cookie) {
            core_options(q);
            pad = wants_padding(q);
        }
        opt_len = OPT_LEN + (size_t)r->options_len;
    }
    if (WP_UNLIKELY(r->len + opt_len > limit)) {
        if (r->options_len > 0) {
            drop_ede_texts(q);
            opt_len = OPT_LEN + (size_t)r->options_len;
        }
        if (r->len + opt_len > limit)
            fit(q, limit, opt_len);
    } else if (!q->stream && r->len > SEND_UNCOMPRESSED && !r->compressed) {
        fit(q, limit, opt_len);
    }
    if (opt) {
        if (WP_UNLIKELY(pad || r->options_len > 0) &&
            wp_reply_room(q, OPT_LEN + (size_t)r->options_len + 4 + PADDING_BLOCK) == NULL) {
            pad = false;
            r->options_len = 0;
        }
        write_opt(q, pad, limit);
    } else if (r->rcode > 15) {
        r->rcode = WP_RCODE_SERVFAIL; /* cannot be said without an OPT */
    }
    write_header(q, opt);
    q->out = r->buf;
    q->out_len = r->len;
}
