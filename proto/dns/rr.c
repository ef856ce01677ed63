#include "waypost/dns/rr.h"

#include <errno.h>
#include <string.h>

#include "proto/dns/rdata_priv.h"

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

/* The rdata between rd->pos and rd->end, names expanded. */
static int expand(struct wp_rd *rd, const char *shape, struct wp_wr *wr)
{
    for (; *shape != '\0'; shape++) {
        struct wp_name name;
        int n;

        switch (*shape) {
        case WP_FIELD_NAME_1035:
        case WP_FIELD_NAME:
        case WP_FIELD_NAME_CASED:
            if (wp_name_read(rd, &name) < 0)
                return WP_EMALFORMED;
            wp_wr_bytes(wr, name.wire, name.len);
            break;
        default:
            n = wp_field_len((enum wp_field)shape[0], rd->buf + rd->pos, wp_rd_left(rd));
            if (n < 0)
                return n;
            wp_wr_bytes(wr, rd->buf + rd->pos, (size_t)n);
            rd->pos += (size_t)n;
        }
    }
    return wp_rd_left(rd) == 0 && !wr->bad ? 0 : WP_EMALFORMED;
}

/* Room that the expanded rdata may need: no shape has more than two names. */
static size_t expanded_max(const struct wp_rr_at *at)
{
    size_t max = (size_t)at->rdlen + 2 * WP_NAME_MAX;

    return max < WP_RDATA_MAX ? max : WP_RDATA_MAX;
}

static int read_rdata(const struct wp_rd *msg, const struct wp_rr_at *at, struct wp_arena *a,
                      struct wp_rr *rr)
{
    const char *shape = wp_rdata_shape(at->type);
    uint8_t small[1024];
    struct wp_wr wr = wp_wr_to(small, sizeof(small));
    struct wp_rd rd = *msg;
    int r;

    /* UPDATE names sets and types by records without rdata (RFC 2136 s2.4, s2.5) */
    if (at->rdlen == 0 && (at->cls == WP_CLASS_ANY || at->cls == WP_CLASS_NONE))
        shape = NULL;
    rd.pos = at->rdata_pos;
    rd.end = at->end;
    if (shape == NULL || strpbrk(shape, "Nnm") == NULL) {
        if (shape != NULL && wp_rdata_check(at->type, rd.buf + rd.pos, at->rdlen) < 0)
            return WP_EMALFORMED;
        rr->rdata = wp_arena_dup(a, rd.buf + rd.pos, at->rdlen);
        rr->rdlen = at->rdlen;
        return rr->rdata != NULL ? 0 : -ENOMEM;
    }
    if (expanded_max(at) > sizeof(small)) {
        uint8_t *large = wp_arena_alloc(a, expanded_max(at));
        if (large == NULL)
            return -ENOMEM;
        wr = wp_wr_to(large, expanded_max(at));
    }
    r = expand(&rd, shape, &wr);
    if (r < 0)
        return r;
    rr->rdata = wr.buf == small ? wp_arena_dup(a, small, wr.len) : wr.buf;
    rr->rdlen = (uint16_t)wr.len;
    return rr->rdata != NULL ? 0 : -ENOMEM;
}

int wp_rr_read(struct wp_rd *msg, struct wp_arena *a, struct wp_rr *ret)
{
    struct wp_rd rd = *msg, owner = *msg;
    struct wp_name name;
    struct wp_rr_at at;
    struct wp_rr rr;
    int r;

    if (wp_rr_next(&rd, &at) < 0 || wp_name_read(&owner, &name) < 0)
        return WP_EMALFORMED;
    rr = (struct wp_rr){.ttl = at.ttl, .type = at.type, .cls = at.cls, .section = ret->section};
    r = read_rdata(msg, &at, a, &rr);
    if (r < 0)
        return r;
    rr.owner = wp_arena_dup(a, name.wire, name.len);
    if (rr.owner == NULL)
        return -ENOMEM;
    *ret = rr;
    msg->pos = rd.pos;
    return 0;
}
