/* wp_reply_size against its slow twin: all records taken apart and their lengths added up. */
#include "check.h"
#include "waypost/base/wr.h"
#include "waypost/server/worker.h"
#include <stdlib.h>

static struct wp_loop *loop;
static struct wp_worker worker;

/* "www.example.org A" and its octets in a message: example.org at 16, org at 24. */
#define QUESTION "\3www\7example\3org\0\0\1\0\1"
#define HEAD(an, ns, ar) "\x12\x34\x85\0\0\1\0" an "\0" ns "\0" ar QUESTION
#define FIXED(type) "\0" type "\0\1\0\0\1\x2c"

static const struct {
    const char *what, *msg;
    size_t len;
    uint32_t size; /* 0: only the twin knows */
} cases[] = {
    {"no record", WIRE(HEAD("\0", "\0", "\0")), 33},
    {"question name", WIRE(HEAD("\1", "\0", "\0") "\xc0\x0c" FIXED("\1") "\0\4\1\2\3\4"), 64},
    {"suffix of it", WIRE(HEAD("\0", "\1", "\0") "\xc0\x10" FIXED("\2") "\0\5\2ns\xc0\x10"), 72},
    {"uncompressed",
     WIRE(HEAD("\1", "\0", "\0") "\3www\7example\3org\0" FIXED("\1") "\0\4\1\2\3\4"), 64},
    {"two names and more in rdata",
     WIRE(HEAD("\0", "\1", "\0") "\xc0\x10" FIXED("\6") "\0\x20\2ns\xc0\x10\4host\xc0\x10"
                                                        "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5"),
     0},
    {"MX and SRV",
     WIRE(HEAD("\2", "\0", "\0") "\xc0\x0c" FIXED(
         "\x0f") "\0\4\0\5\xc0\x10"
                 "\xc0\x0c" FIXED("\x21") "\0\x08\0\1\0\2\0\x35\xc0\x18"),
     0},
    {"pointer to a pointer",
     WIRE(HEAD("\2", "\0", "\0") "\xc0\x0c" FIXED("\5") "\0\4\1x\xc0\x10"
                                                        "\xc0\x2d" FIXED("\1") "\0\4\1\2\3\4"),
     0},
    {"octets of a TXT that look like a pointer",
     WIRE(HEAD("\1", "\0", "\0") "\xc0\x0c" FIXED("\x10") "\0\3\2\xc0\x0c"), 63},
};

static struct wp_query *take(const char *msg, size_t len)
{
    struct wp_query *q = wp_query_get(&worker);

    CHECK(q != NULL);
    q->question = (const uint8_t *)QUESTION;
    q->question_len = sizeof(QUESTION) - 1;
    CHECK(wp_qname_set(&q->msg.qname, q->question, q->question_len) > 0);
    CHECK(wp_reply_begin(q, 0, 0) == 0);
    memcpy(q->reply.buf, msg, len); /* as it stands, pointers and all */
    q->reply.len = (uint32_t)len;
    for (int i = 0; i < WP_SECTIONS; i++)
        q->reply.count[i] = wp_be16((const uint8_t *)msg + 6 + 2 * i);
    return q;
}

static uint32_t slow_size(struct wp_query *q)
{
    size_t size = WP_HEADER_LEN + (size_t)q->question_len;
    struct wp_view v;

    CHECK(wp_reply_view(q, &v) == 0);
    for (size_t i = 0; i < v.n; i++)
        size += (size_t)wp_name_len(v.rr[i].owner, WP_NAME_MAX) + 10u + v.rr[i].rdlen;
    return (uint32_t)size;
}

static void test_sizes(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_query *q = take(cases[i].msg, cases[i].len);
        uint32_t size = wp_reply_size(q);
        CHECK_AT(cases[i].what, size == slow_size(q));
        CHECK_AT(cases[i].what, cases[i].size == 0 || size == cases[i].size);
        CHECK_AT(cases[i].what, wp_reply_size(q) == size); /* remembered */
        CHECK(wp_reply_option(q, WP_EDNS_EDE, "\0\x0f", 2) == 0);
        CHECK_AT(cases[i].what, wp_reply_size(q) == size + 11 + 6); /* the OPT of a plugin */
        wp_query_put(q);
    }
}

static void test_no_reply(void)
{
    struct wp_query *q = take(cases[1].msg, cases[1].len);

    wp_query_fail(q, WP_RCODE_SERVFAIL, 0, NULL);
    CHECK(wp_reply_size(q) == 33);
    wp_query_drop(q);
    CHECK(wp_reply_size(q) == 0);
    wp_query_put(q);
}

/* Records that break off or point in circles: some number, no read past the end. */
static void test_broken_messages(void)
{
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t cut = 33; cut < cases[i].len; cut++) {
            struct wp_query *q = take(cases[i].msg, cut);
            uint8_t *exact = malloc(cut);
            memcpy(exact, cases[i].msg, cut);
            q->reply.buf = exact;
            CHECK_AT(cases[i].what, wp_reply_size(q) < 1000);
            free(exact);
            wp_query_put(q);
        }
}

static void start(void)
{
    CHECK(wp_loop_new(0, &loop) == 0 && wp_worker_init(&worker, loop, 4) == 0);
}

static void stop(void)
{
    wp_worker_done(&worker);
    wp_loop_free(loop);
}

RUN_TESTS(TEST(start), TEST(test_sizes), TEST(test_no_reply), TEST(test_broken_messages),
          TEST(stop))
