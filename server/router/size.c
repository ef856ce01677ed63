/* How long a reply would be without name compression: what CoreDNS logs and counts. */
#include "server/router/router_priv.h"

#include "waypost/base/wr.h"

enum { OPT_LEN = 11 };

/* Octets of the name at `at` when written out, and of the form in which it stands there; false
 * when it does not end. Pointers lead backwards only. */
static bool measure_name(const uint8_t *buf, size_t len, size_t at, size_t *ret_full,
                         size_t *ret_here)
{
    size_t full = 0, here = 0, limit = at;
    bool jumped = false;

    while (at < len) {
        uint8_t c = buf[at];

        if (c >= 0xc0) {
            size_t to;

            if (len - at < 2)
                return false;
            to = (size_t)(c & 0x3f) << 8 | buf[at + 1];
            here += jumped ? 0 : 2;
            if (to >= limit)
                return false;
            jumped = true;
            at = limit = to;
            continue;
        }
        full += c + 1u;
        here += jumped ? 0 : c + 1u;
        if (c == 0) {
            *ret_full = full;
            *ret_here = here;
            return true;
        }
        at += c + 1u;
    }
    return false;
}

/* Names in the rdata of a type: how many, and how many octets stand before the first. */
static unsigned names_in(uint16_t type, unsigned *ret_before)
{
    *ret_before = 0;
    switch (type) {
    case WP_TYPE_NS:
    case WP_TYPE_CNAME:
    case WP_TYPE_PTR:
    case WP_TYPE_DNAME:
        return 1;
    case WP_TYPE_SOA:
        return 2;
    case WP_TYPE_MX:
        *ret_before = 2;
        return 1;
    case WP_TYPE_SRV:
        *ret_before = 6;
        return 1;
    }
    return 0;
}

/* What pointers save in one record. own: octets of the question name. Whether `compressed` is set
 * does not matter: without it records may still point at the question and its suffixes. */
static size_t saved(const struct wp_reply *r, const struct wp_rr_at *rr, size_t own)
{
    unsigned before, n = names_in(rr->type, &before);
    size_t full, here, sum = 0, at = rr->rdata_pos + before;

    if (wp_be16(r->buf + rr->pos) == (0xc000 | WP_HEADER_LEN)) /* the question name: most are */
        sum += own - 2;
    else if (measure_name(r->buf, r->len, rr->pos, &full, &here))
        sum += full - here;
    for (; n > 0 && at < rr->end && measure_name(r->buf, rr->end, at, &full, &here); n--) {
        sum += full - here;
        at += here;
    }
    return sum;
}

enum { RR_FIXED = 12 }; /* octets before the rdata of a record whose owner is a pointer */

/* The most usual record: of the question name, and no name in it. */
static bool is_plain(const struct wp_reply *r, size_t at)
{
    unsigned before;

    return at + RR_FIXED <= r->len && wp_be16(r->buf + at) == (0xc000 | WP_HEADER_LEN) &&
           names_in(wp_be16(r->buf + at + 2), &before) == 0;
}

static uint32_t full_size(const struct wp_query *q)
{
    const struct wp_reply *r = &q->reply;
    unsigned n = (unsigned)r->count[0] + r->count[1] + r->count[2];
    struct wp_rd rd = wp_rd_from(r->buf, r->len);
    size_t size = r->len, own = q->question_len > 4 ? q->question_len - 4u : 2;
    struct wp_rr_at rr;

    rd.pos = WP_HEADER_LEN + (size_t)q->question_len;
    for (; n > 0 && is_plain(r, rd.pos); n--) {
        rd.pos += RR_FIXED + wp_be16(r->buf + rd.pos + RR_FIXED - 2);
        size += own - 2;
    }
    for (; n > 0 && wp_rr_next(&rd, &rr) == 0; n--)
        size += saved(r, &rr, own);
    return (uint32_t)size;
}

uint32_t wp_reply_size(struct wp_query *q)
{
    struct wp_reply *r = &q->reply;

    if (WP_UNLIKELY(q->sent))
        return q->sent_size;
    if (r->dropped)
        return 0;
    if (!r->begun)
        return WP_HEADER_LEN + (uint32_t)q->question_len;
    if (r->full_size_of != r->len) {
        r->full_size = full_size(q);
        r->full_size_of = r->len;
    }
    return r->full_size + (r->has_opt ? OPT_LEN + (uint32_t)r->options_len : 0);
}
