#include "backends/common/upstream_reply.h"

#include <string.h>

#include "waypost/base/rd.h"
#include "waypost/dns/msg.h"
#include "waypost/dns/rr.h"

/* The reply's question against ours; the reader moves behind it. */
static enum wp_reply_verdict look_at_question(struct wp_rd *rd, const uint8_t *query,
                                              size_t query_len)
{
    int name_len = wp_name_len(query + WP_HEADER_LEN, query_len - WP_HEADER_LEN);
    struct wp_name name;
    const uint8_t *tail;

    if (wp_name_read(rd, &name) < 0)
        return WP_REPLY_MALFORMED;
    tail = wp_rd_bytes(rd, 4);
    if (tail == NULL)
        return WP_REPLY_MALFORMED;
    if (name_len < 0 || !wp_name_equal(name.wire, query + WP_HEADER_LEN) ||
        memcmp(tail, query + WP_HEADER_LEN + name_len, 4) != 0)
        return WP_REPLY_MISMATCH;
    return WP_REPLY_OK;
}

/* A record that does not fit ends the message early; one whose inside is wrong spoils it. */
static enum wp_reply_verdict why_bad(struct wp_rd at)
{
    if (wp_name_skip(&at) < 0) {
        /* did it run out of octets, or meet a reserved label type? */
        while (wp_rd_left(&at) > 0 && at.buf[at.pos] > 0 && at.buf[at.pos] <= WP_LABEL_MAX) {
            if (at.buf[at.pos] + 1u > wp_rd_left(&at))
                return WP_REPLY_CUT;
            at.pos += at.buf[at.pos] + 1u;
        }
        return wp_rd_left(&at) < 2 ? WP_REPLY_CUT : WP_REPLY_MALFORMED;
    }
    return WP_REPLY_CUT; /* the fixed part or the rdata is not all there */
}

static enum wp_reply_verdict look_at_records(struct wp_rd *rd, struct wp_reply_look *l)
{
    for (unsigned s = 0; s < WP_SECTIONS; s++) {
        for (unsigned i = wp_be16(rd->buf + 6 + 2 * s); i > 0; i--) {
            struct wp_rr_at at;

            if (wp_rr_next(rd, &at) < 0)
                return why_bad(*rd);
            if (at.type == WP_TYPE_OPT && s == WP_ADDITIONAL)
                l->rcode = (uint16_t)((l->flags & WP_FLAG_RCODE) | (at.ttl >> 24) << 4);
        }
    }
    return WP_REPLY_OK;
}

/* None or several questions: is the rest at least a message? */
static enum wp_reply_verdict look_at_others(struct wp_rd *rd, unsigned n, struct wp_reply_look *l)
{
    for (; n > 0; n--) {
        if (wp_name_skip(rd) < 0)
            return WP_REPLY_MALFORMED;
        wp_rd_skip(rd, 4);
    }
    if (rd->bad || look_at_records(rd, l) != WP_REPLY_OK)
        return WP_REPLY_MALFORMED;
    return WP_REPLY_MISMATCH;
}

struct wp_reply_look wp_reply_look(const uint8_t *query, size_t query_len, const uint8_t *reply,
                                   size_t len)
{
    struct wp_reply_look l = {.verdict = WP_REPLY_NOT_ONE};
    struct wp_rd rd = wp_rd_from(reply, len);
    enum wp_reply_verdict question;

    if (len < WP_HEADER_LEN || !(reply[2] & WP_FLAG_QR >> 8))
        return l;
    l.flags = wp_be16(reply + 2);
    l.rcode = l.flags & WP_FLAG_RCODE;
    l.answers = wp_be16(reply + 6);
    rd.pos = WP_HEADER_LEN;
    if (wp_be16(reply + 4) != 1) {
        l.verdict = look_at_others(&rd, wp_be16(reply + 4), &l);
        return l;
    }
    question = look_at_question(&rd, query, query_len);
    l.verdict = question == WP_REPLY_OK ? look_at_records(&rd, &l) : question;
    return l;
}
