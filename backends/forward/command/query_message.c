/* The question as a message, and the reply taken apart. */
#include <string.h>
#include <sys/random.h>

#include "backends/forward/command/query.h"
#include "waypost/base/rd.h"
#include "waypost/base/text.h"
#include "waypost/base/wr.h"

/* --- the question --------------------------------------------------------------------------- */

static void put_option(struct wp_wr *wr, uint16_t code, const void *data, size_t len)
{
    wp_wr_u16(wr, code);
    wp_wr_u16(wr, (unsigned)len);
    wp_wr_bytes(wr, data, len);
}

/* RFC 7871 s6: the address cut to its prefix. */
static int put_ecs(struct wp_wr *wr, const char *text)
{
    uint8_t data[4 + 16] = {0};
    struct wp_cidr c;
    size_t octets;

    if (wp_cidr_parse(text, &c) < 0)
        return query_say("--ecs %s: ADDRESS/LENGTH", text);
    octets = (c.bits + 7u) / 8;
    wp_put16(data, c.family == 4 ? 1 : 2);
    data[2] = c.bits;
    memcpy(data + 4, c.ip, octets);
    put_option(wr, WP_EDNS_ECS, data, 4 + octets);
    return 0;
}

static int put_edns(struct query *q, struct wp_wr *wr)
{
    const struct query_options *o = q->o;
    uint8_t options[128];
    struct wp_wr to = wp_wr_to(options, sizeof(options));
    struct wp_edns e = {.present = true,
                        .dnssec_ok = o->dnssec_ok,
                        .udp_size = (uint16_t)o->bufsize,
                        .options = options};

    if (o->nsid)
        put_option(&to, WP_EDNS_NSID, "", 0);
    if (o->ecs != NULL && put_ecs(&to, o->ecs) < 0)
        return WP_ECONFIG;
    if (o->cookie) {
        if (getrandom(q->cookie, sizeof(q->cookie), 0) != sizeof(q->cookie))
            return -errno;
        put_option(&to, WP_EDNS_COOKIE, q->cookie, sizeof(q->cookie));
    }
    e.options_len = (uint16_t)to.len;
    wp_edns_write(wr, &e);
    return 0;
}

int query_write(struct query *q)
{
    const struct query_options *o = q->o;
    struct wp_wr wr = wp_wr_to(q->msg, sizeof(q->msg));
    int r = 0;

    wp_wr_u16(&wr, 0);
    wp_wr_u16(&wr,
              (o->no_rd ? 0 : WP_FLAG_RD) | (o->ad ? WP_FLAG_AD : 0) | (o->cd ? WP_FLAG_CD : 0));
    wp_wr_u16(&wr, 1);
    wp_wr_u32(&wr, 0);
    wp_wr_u16(&wr, o->bufsize > 0 ? 1 : 0);
    wp_wr_bytes(&wr, q->name.wire, q->name.len);
    wp_wr_u16(&wr, q->type);
    wp_wr_u16(&wr, q->cls);
    if (o->bufsize > 0)
        r = put_edns(q, &wr);
    q->msg_len = wr.len;
    return r < 0 ? r : wr.bad ? WP_ESPACE : 0;
}

/* --- the reply ------------------------------------------------------------------------------ */

static int read_record(struct query *q, struct wp_rd *rd, unsigned section)
{
    struct query_reply *to = &q->reply;
    struct wp_rr *rr = &to->rr[to->n];
    struct wp_rd look = *rd;
    struct wp_name owner;
    struct wp_rr_at at;
    int r;

    if (wp_rr_next(&look, &at) < 0)
        return WP_EMALFORMED;
    if (at.type == WP_TYPE_OPT && section == WP_ADDITIONAL && !to->edns.present &&
        wp_edns_read(q->wire, &at, &to->edns) == 0) {
        to->edns.present = true;
        to->rcode |= (unsigned)to->edns.rcode_high << 4;
        *rd = look;
        return 0;
    }
    r = wp_rr_read(rd, q->arena, rr);
    if (r == WP_EMALFORMED && wp_name_read(rd, &owner) == 0) { /* shown as it came */
        uint8_t *copy = wp_arena_alloc(q->arena, owner.len);
        if (copy == NULL)
            return -ENOMEM;
        memcpy(copy, owner.wire, owner.len);
        *rr = (struct wp_rr){copy, q->wire + at.rdata_pos, at.ttl, at.type, at.cls, at.rdlen, 0};
        to->spoilt[to->n] = true;
        *rd = look;
        r = 0;
    }
    rr->section = (uint8_t)section;
    to->n += r == 0;
    return r;
}

static int read_question(struct query_reply *to, struct wp_rd *rd)
{
    for (unsigned i = 0; i < to->counts[0]; i++) {
        struct wp_name name;
        uint16_t type, cls;

        if (wp_name_read(rd, &name) < 0)
            return WP_EMALFORMED;
        type = wp_rd_u16(rd);
        cls = wp_rd_u16(rd);
        if (rd->bad)
            return WP_EMALFORMED;
        if (i > 0)
            continue;
        to->has_question = true;
        to->qname = name;
        to->qtype = type;
        to->qclass = cls;
    }
    return 0;
}

int query_read_reply(struct query *q)
{
    struct query_reply *to = &q->reply;
    struct wp_rd rd = wp_rd_from(q->wire, q->wire_len);
    size_t most = q->wire_len / 11 + 1; /* a record has eleven octets at least */
    int r;

    *to = (struct query_reply){.id = wp_rd_u16(&rd), .flags = wp_rd_u16(&rd)};
    for (unsigned i = 0; i < 4; i++)
        to->counts[i] = wp_rd_u16(&rd);
    if (rd.bad)
        return WP_EMALFORMED;
    to->rcode = to->flags & WP_FLAG_RCODE;
    to->rr = wp_arena_array(q->arena, most, sizeof(*to->rr));
    to->spoilt = wp_arena_zalloc(q->arena, most);
    if (to->rr == NULL || to->spoilt == NULL)
        return -ENOMEM;
    r = read_question(to, &rd);
    for (unsigned s = 0; r == 0 && s < WP_SECTIONS; s++) {
        for (unsigned i = 0; r == 0 && i < to->counts[s + 1]; i++)
            r = read_record(q, &rd, s);
    }
    to->cut = r == WP_EMALFORMED && to->has_question;
    return to->cut ? 0 : r;
}

void query_each_option(const struct query *q, query_option_fn *fn, void *arg)
{
    struct wp_rd rd = wp_rd_from(q->reply.edns.options, q->reply.edns.options_len);

    while (wp_rd_left(&rd) >= 4) {
        uint16_t code = wp_rd_u16(&rd), len = wp_rd_u16(&rd);
        const uint8_t *data = wp_rd_bytes(&rd, len);

        if (data == NULL)
            return;
        fn(arg, q, code, data, len);
    }
}
