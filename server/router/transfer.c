/* The messages of a zone transfer: records one behind the other, names compressed. */
#include "waypost/plugin/transfer.h"

#include "server/router/router_priv.h"

enum {
    FULL_AT = 63000, /* octets after which no record is begun, as CoreDNS has it */
    RESERVED = 1024, /* of a message's 65535: OPT, cookie, padding */
    RR_FIXED = 10,
};

int wp_transfer_begin(struct wp_query *q, struct wp_transfer_out *out)
{
    int r = wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA);
    size_t cap = q->reply.cap < WP_MSG_MAX ? q->reply.cap : WP_MSG_MAX;

    if (r < 0)
        return r;
    *out = (struct wp_transfer_out){.wr = wp_wr_to(q->reply.buf, cap - RESERVED)};
    wp_comp_init(&out->names);
    out->wr.len = WP_HEADER_LEN;
    wp_wr_name(&out->wr, &out->names, q->question); /* where it stands already */
    out->wr.len = q->reply.len;
    out->full = q->reply.len;
    return 0;
}

bool wp_transfer_put(struct wp_transfer_out *out, const uint8_t *owner, uint16_t type, uint32_t ttl,
                     const void *rdata, size_t rdlen)
{
    const struct wp_rr rr = {.owner = owner,
                             .rdata = rdata,
                             .ttl = ttl,
                             .type = type,
                             .cls = WP_CLASS_IN,
                             .rdlen = (uint16_t)rdlen};
    size_t before = out->wr.len;

    if (out->is_full || out->wr.len >= FULL_AT) {
        out->is_full = true;
        return false;
    }
    if (rdlen <= UINT16_MAX)
        wp_wr_rr(&out->wr, &out->names, &rr);
    if (rdlen > UINT16_MAX || out->wr.bad) {
        /* names of it may be remembered: nothing more can stand behind */
        out->wr.len = before;
        out->wr.bad = false;
        out->is_full = true;
        if (out->n == 0)
            out->err = WP_ESPACE;
        return false;
    }
    out->full += (uint32_t)(wp_name_size(owner) + RR_FIXED + rdlen);
    out->n++;
    return true;
}

void wp_transfer_finish(struct wp_query *q, struct wp_transfer_out *out)
{
    struct wp_reply *r = &q->reply;

    if (out->n == 0) {
        r->begun = false;
        return;
    }
    r->len = (uint32_t)out->wr.len;
    r->count[WP_ANSWER] = (uint16_t)out->n;
    r->compressed = true;
    r->full_size = out->full; /* so that nobody needs to measure it */
    r->full_size_of = r->len;
}
