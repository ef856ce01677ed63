#include "waypost/dns/rr.h"

int wp_rr_next(struct wp_rd *rd, struct wp_rr_at *ret)
{
    struct wp_rd at = *rd;
    const uint8_t *p;

    if (wp_name_skip(&at) < 0 || wp_rd_left(&at) < 10)
        return WP_EMALFORMED;
    p = at.buf + at.pos;
    if (wp_be16(p + 8) > wp_rd_left(&at) - 10)
        return WP_EMALFORMED;
    ret->pos = rd->pos;
    ret->ttl_pos = at.pos + 4;
    ret->rdata_pos = at.pos + 10;
    ret->type = wp_be16(p);
    ret->cls = wp_be16(p + 2);
    ret->ttl = wp_be32(p + 4);
    ret->rdlen = wp_be16(p + 8);
    ret->end = ret->rdata_pos + ret->rdlen;
    rd->pos = ret->end;
    return 0;
}
