/* A reply from upstream that becomes the reply to another name. Input: an octet of choices (length of
 * the new name, is the reply said to be compressed), then the reply's octets behind its question.
 * Properties: the short way, where it says that it can, gives the same records as the long one; where
 * it cannot it has changed nothing; the alias leads to the name that was asked. */
#include "fuzz.h"

#include "server/plugins/autopath/autopath.h"
#include "waypost/base/rd.h"
#include "waypost/base/wr.h"
#include "waypost/server/worker.h"

enum { LONGER = 1, PLAIN = 2 };

static const uint8_t asked[] = "\3wWw\2ex\4test\0\0\1\0\1"; /* without the literal's NUL */
static const uint8_t names[2][32] = {"\3wWw\1s\4test\0\0\1\0\1",
                                     "\3wWw\2ex\4test\4shop\3svc\0\0\1\0\1"};

static struct wp_query *taken(struct wp_worker *w, const uint8_t *msg, size_t len, bool plain)
{
    struct wp_query *q = wp_query_get(w);

    CHECK(q != NULL && wp_query_ask_as(q, asked, sizeof(asked) - 1) == 0);
    if (wp_reply_take(q, msg, len) < 0) {
        wp_query_put(q);
        return NULL;
    }
    if (plain)
        q->reply.compressed = false;
    return q;
}

static void check_same(struct wp_query *a, struct wp_query *b)
{
    struct wp_view x, y;

    CHECK(wp_reply_view(a, &x) == 0 && wp_reply_view(b, &y) == 0);
    CHECK(x.n == y.n && a->question_len == b->question_len);
    CHECK(memcmp(a->reply.buf + WP_HEADER_LEN, b->reply.buf + WP_HEADER_LEN, a->question_len) == 0);
    for (size_t i = 0; i < x.n; i++) {
        CHECK(x.rr[i].section == y.rr[i].section && x.rr[i].type == y.rr[i].type);
        CHECK(x.rr[i].cls == y.rr[i].cls && x.rr[i].ttl == y.rr[i].ttl);
        CHECK(x.rr[i].rdlen == y.rr[i].rdlen && memcmp(x.rr[i].rdata, y.rr[i].rdata, x.rr[i].rdlen) == 0);
        CHECK(wp_name_equal(x.rr[i].owner, y.rr[i].owner));
    }
}

static void check_alias(struct wp_query *q, const uint8_t *question)
{
    struct wp_view v;

    CHECK(wp_reply_view(q, &v) == 0);
    if (q->reply.count[WP_ANSWER] < 2)
        return; /* none of the answers was about another name */
    if (v.rr[0].type == WP_TYPE_CNAME && wp_name_equal(v.rr[0].owner, question))
        CHECK(!wp_name_equal(v.rr[0].rdata, question) || v.rr[0].rdlen > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wp_loop *loop;
    static struct wp_worker w;
    const uint8_t *question;
    struct wp_query *fast, *slow;
    uint8_t *msg, before[WP_MSG_MAX];
    size_t len, was;
    uint16_t question_len;
    int r;

    if (size < 1 + WP_HEADER_LEN || size > 4096)
        return 0;
    if (loop == NULL)
        CHECK(wp_loop_new(0, &loop) == 0 && wp_worker_init(&w, loop, 4) == 0);
    question = names[data[0] & LONGER];
    question_len = (uint16_t)(wp_name_size(question) + 4);
    len = size - 1 + sizeof(asked) - 1;
    msg = malloc(len);
    memcpy(msg, data + 1, WP_HEADER_LEN);
    wp_put16(msg + 4, 1);
    memcpy(msg + WP_HEADER_LEN, asked, sizeof(asked) - 1);
    memcpy(msg + WP_HEADER_LEN + sizeof(asked) - 1, data + 1 + WP_HEADER_LEN, size - 1 - WP_HEADER_LEN);
    fast = taken(&w, msg, len, data[0] & PLAIN);
    slow = taken(&w, msg, len, data[0] & PLAIN);
    CHECK((fast == NULL) == (slow == NULL));
    if (fast != NULL) {
        was = fast->reply.len;
        memcpy(before, fast->reply.buf, was);
        r = autopath_move_records(fast, question, question_len);
        CHECK(r == 0 || r == 1);
        if (r == 0)
            CHECK(fast->reply.len == was && memcmp(fast->reply.buf, before, was) == 0 &&
                  fast->question == asked);
        /* the long way reads names and rdata, and refuses what is malformed there */
        if (autopath_write_anew(slow, question, question_len) == 0) {
            check_alias(slow, question);
            if (r == 1)
                check_same(fast, slow);
        }
        wp_query_put(fast);
        wp_query_put(slow);
    }
    free(msg);
    return 0;
}
