/* What an upstream sends. Input: an octet of choices, then the reply; by choice its question is ours.
 * Properties: an OK reply is cut wherever it ends early and says the same in another case; one that
 * asks something else is never OK; the words after the last record do not matter; whatever is OK can
 * be taken over or is refused whole, and what was taken can be walked from end to end. */
#include "fuzz.h"

#include "backends/common/upstream_query.h"
#include "backends/common/upstream_reply.h"
#include "waypost/base/rd.h"
#include "waypost/base/wr.h"
#include "waypost/dns/msg.h"
#include "waypost/server/worker.h"

enum { OURS = 1, CUTS_MAX = 600 };

static const uint8_t query[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\3wWw\7eXample\3org\0\0\1\0\1";
enum { QUERY_LEN = sizeof(query) - 1, QUESTION_LEN = QUERY_LEN - WP_HEADER_LEN };

/* First octet after the last counted record of a reply whose question is spelled out as ours. */
static size_t end_of(const uint8_t *msg, size_t len)
{
    struct wp_rd rd = wp_rd_from(msg, len);
    unsigned n = wp_be16(msg + 6) + wp_be16(msg + 8) + wp_be16(msg + 10);
    struct wp_rr_at at;

    rd.pos = QUERY_LEN;
    for (; n > 0; n--)
        CHECK(wp_rr_next(&rd, &at) == 0);
    return rd.pos;
}

static enum wp_reply_verdict verdict(const uint8_t *msg, size_t len)
{
    uint8_t *exact = malloc(len > 0 ? len : 1); /* so that one octet too many is seen */
    enum wp_reply_verdict v;

    memcpy(exact, msg, len);
    v = wp_reply_look(query, QUERY_LEN, exact, len).verdict;
    free(exact);
    return v;
}

static void check_good(uint8_t *msg, size_t len)
{
    size_t end = end_of(msg, len);

    for (size_t n = end; n-- > 0 && end - n < CUTS_MAX;) {
        enum wp_reply_verdict v = verdict(msg, n);

        CHECK(v == (n >= QUERY_LEN ? WP_REPLY_CUT : n >= WP_HEADER_LEN ? WP_REPLY_MALFORMED : WP_REPLY_NOT_ONE));
    }
    CHECK(verdict(msg, end) == WP_REPLY_OK);
    for (size_t i = WP_HEADER_LEN + 1; i < QUERY_LEN - 5; i++) {
        if (msg[i] > 'A')
            msg[i] ^= 0x20;
    }
    CHECK(verdict(msg, len) == WP_REPLY_OK);
    msg[QUERY_LEN - 3] ^= 2; /* type */
    CHECK(verdict(msg, len) == WP_REPLY_MISMATCH);
    msg[QUERY_LEN - 3] ^= 2;
    msg[QUERY_LEN - 1] ^= 1; /* class */
    CHECK(verdict(msg, len) == WP_REPLY_MISMATCH);
    msg[QUERY_LEN - 1] ^= 1;
    msg[WP_HEADER_LEN + 2] ^= 1; /* name */
    CHECK(verdict(msg, len) == WP_REPLY_MISMATCH);
    msg[WP_HEADER_LEN + 2] ^= 1;
}

static int count(void *arg, uint8_t *buf, const struct wp_rr_at *rr, enum wp_section s)
{
    (void)buf;
    (void)s;
    CHECK(rr->type != WP_TYPE_OPT || s != WP_ADDITIONAL);
    ++*(unsigned *)arg;
    return 0;
}

static void check_take(const uint8_t *msg, size_t len)
{
    static struct wp_loop *loop;
    static struct wp_worker w;
    struct wp_query *q;
    unsigned n = 0;

    if (loop == NULL)
        CHECK(wp_loop_new(0, &loop) == 0 && wp_worker_init(&w, loop, 4) == 0);
    q = wp_query_get(&w);
    CHECK(q != NULL);
    q->question = query + WP_HEADER_LEN;
    q->question_len = QUESTION_LEN;
    if (wp_reply_take(q, msg, len) == 0) {
        wp_upstream_reply_clean(q);
        CHECK(q->reply.begun && wp_reply_each(q, count, &n) == 0);
        CHECK(n == (unsigned)q->reply.count[0] + q->reply.count[1] + q->reply.count[2]);
        CHECK(n <= (unsigned)wp_be16(msg + 6) + wp_be16(msg + 8) + wp_be16(msg + 10));
    }
    wp_query_put(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wp_reply_look l;
    uint8_t *msg;
    size_t len;

    if (size < 1 || size > WP_MSG_MAX)
        return 0;
    len = size - 1;
    msg = malloc(len > 0 ? len : 1);
    memcpy(msg, data + 1, len);
    if (data[0] & OURS && len >= QUERY_LEN) {
        memcpy(msg + WP_HEADER_LEN, query + WP_HEADER_LEN, QUESTION_LEN);
        wp_put16(msg + 4, 1);
        msg[2] |= 0x80;
    }
    l = wp_reply_look(query, QUERY_LEN, msg, len);
    CHECK(l.verdict != WP_REPLY_OK || (msg[2] & 0x80 && wp_be16(msg + 4) == 1 && (l.rcode & 15) == (msg[3] & 15)));
    if (l.verdict == WP_REPLY_OK) {
        check_take(msg, len);
        if (data[0] & OURS)
            check_good(msg, len);
    }
    free(msg);
    return 0;
}
