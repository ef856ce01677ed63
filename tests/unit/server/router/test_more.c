/* Replies of several messages: each is finished like any reply, and hooks see one of no records
 * whose size is that of all. */
#include "asker.h"

/* --- a plugin that gives messages away ------------------------------------------------------- */

static struct giver {
    unsigned left, fail_at; /* messages to come; the one that cannot be made, 0: none */
    bool working;           /* every other call makes nothing */
    bool worked;
    unsigned cancelled;
} giver;

static int giver_more(struct wp_query *q)
{
    static const uint8_t ip[4] = {192, 0, 2, 1};

    if (giver.left == giver.fail_at && giver.fail_at != 0)
        return -ENOMEM;
    giver.worked = !giver.worked;
    if (giver.working && giver.worked)
        return WP_STEP_NEXT;
    CHECK(wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA) == 0);
    for (unsigned i = 0; i < giver.left; i++)
        CHECK(wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_A, 60, ip, sizeof(ip)) == 0);
    return --giver.left > 0 ? WP_STEP_NEXT : WP_STEP_DONE;
}

static int giver_serve(void *self, struct wp_query *q)
{
    (void)self;
    if (!q->many)
        return wp_query_fail(q, WP_RCODE_REFUSED, 0, NULL);
    q->more = giver_more;
    return WP_STEP_WAIT;
}

static void giver_cancel(void *self, struct wp_query *q)
{
    (void)self;
    giver.cancelled++;
    wp_query_resume(q, wp_query_fail(q, WP_RCODE_SERVFAIL, WP_ECANCELLED, NULL));
}

static const struct wp_plugin giver_plugin = {
    .name = "giver", .serve = giver_serve, .cancel = giver_cancel};

/* --- what stands before it: renames the question, and looks at the reply -----------------------
 */

static struct {
    unsigned calls;
    uint32_t size;
    uint16_t rcode, answers;
    bool begun;
} seen;

static int watcher_serve(void *self, struct wp_query *q)
{
    (void)self;
    wp_query_want_reply(q);
    return wp_query_rename(q, (const uint8_t *)"\5other\4test", q->msg.qtype, q->msg.qclass) < 0
               ? -ENOMEM
               : WP_STEP_NEXT;
}

static int watcher_reply(void *self, struct wp_query *q)
{
    (void)self;
    seen.calls++;
    seen.size = wp_reply_size(q);
    seen.rcode = q->reply.rcode;
    seen.answers = q->reply.count[WP_ANSWER];
    seen.begun = q->reply.begun;
    return WP_STEP_NEXT;
}

static const struct wp_plugin watcher_plugin = {
    .name = "watcher", .serve = watcher_serve, .reply = watcher_reply};

#define RECORD "answer example.org. 60 A 192.0.2.1\n"
enum { HEAD = 12 + 17, FULL = 13 + 14 }; /* uncompressed: header and question, a record */

static const struct {
    const char *what, *question;
    struct giver giver;
    const char *text;
    uint32_t size;
    unsigned messages;
} rows[] = {
    {"one", "example.org AXFR many", {.left = 1}, "NOERROR aa\n" RECORD, HEAD + FULL, 1},
    {"several",
     "example.org AXFR many rd",
     {.left = 2},
     "NOERROR aa rd\n" RECORD RECORD "NOERROR aa rd\n" RECORD,
     2 * HEAD + 3 * FULL,
     2},
    {"work in between",
     "example.org AXFR many",
     {.left = 2, .working = true},
     "NOERROR aa\n" RECORD RECORD "NOERROR aa\n" RECORD,
     2 * HEAD + 3 * FULL,
     2},
    {"an OPT in each, which nobody counts",
     "example.org AXFR many do",
     {.left = 2},
     "NOERROR aa\n" RECORD RECORD "NOERROR aa\n" RECORD,
     2 * HEAD + 3 * FULL,
     2},
    {"no such listener",
     "example.org AXFR tcp",
     {.left = 2},
     "REFUSED\n",
     HEAD - 1,
     0}, /* renamed by then */
};

static void test_messages(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct asker a;
        const char *text;

        asker_init(&a, ".");
        asker_add(&a, &watcher_plugin, NULL);
        asker_add(&a, &giver_plugin, NULL);
        giver = rows[i].giver;
        seen.calls = 0;
        text = ask(&a, rows[i].question);
        CHECK_AT(rows[i].what, strcmp(text, rows[i].text) == 0);
        CHECK_AT(rows[i].what, a.n_messages == rows[i].messages);
        CHECK_AT(rows[i].what, a.done == (rows[i].messages > 0) && giver.cancelled == 0);
        CHECK_AT(rows[i].what, seen.calls == 1 && seen.size == rows[i].size);
        CHECK_AT(rows[i].what, seen.answers == 0);
        if (rows[i].messages > 0) {
            CHECK_AT(rows[i].what, seen.begun && seen.rcode == WP_RCODE_NOERROR);
            CHECK_AT(rows[i].what, a.q->sent && a.q->out_len == 0 && a.q->more == NULL);
        }
        asker_done(&a);
    }
}

/* What cannot go on: the query is cancelled, hooks learn of it, nothing follows. */
static void test_broken(void)
{
    for (unsigned at = 1; at <= 3; at++) {
        struct asker a;

        asker_init(&a, ".");
        asker_add(&a, &watcher_plugin, NULL);
        asker_add(&a, &giver_plugin, NULL);
        giver = (struct giver){.left = 3, .fail_at = at};
        seen.calls = 0;
        asker_run(&a, "example.org AXFR many");
        CHECK(a.done && giver.cancelled == 1 && a.n_messages == 3 - at);
        CHECK(a.q->more != NULL && a.q->sent == (at < 3)); /* the listener knows by these */
        CHECK(a.q->sent == (a.q->out_len == 0));           /* or SERVFAIL is its answer */
        CHECK(seen.calls == 1 && seen.rcode == WP_RCODE_SERVFAIL);
        asker_done(&a);
    }
}

/* Sums that no longer fit stay at the most there is. */
static void test_size_limit(void)
{
    struct asker a;

    asker_init(&a, ".");
    asker_add(&a, &watcher_plugin, NULL);
    asker_add(&a, &giver_plugin, NULL);
    giver = (struct giver){.left = 2};
    a.q = wp_query_get(&a.worker);
    a.q->stream = false; /* the words of the question tell */
    a.q->client = (struct wp_addr){0};
    a.q->wire = wp_query_in(a.q);
    a.q->many = true;
    a.q->wire_len = (uint32_t)asker_message("example.org AXFR many", wp_query_in(a.q), a.q);
    a.q->route = a.group.route;
    a.q->done = asker_on_done;
    a.q->owner = &a;
    CHECK(wp_query_run(a.q) == WP_STEP_WAIT);
    CHECK(wp_query_more(a.q) == WP_STEP_NEXT);
    CHECK(wp_reply_size(a.q) == HEAD + 2 * FULL);
    a.q->sent_size = UINT32_MAX - 10;
    CHECK(wp_query_more(a.q) == WP_STEP_DONE);
    wp_query_resume(a.q, WP_STEP_DONE);
    CHECK(seen.size == UINT32_MAX);
    asker_done(&a);
}

RUN_TESTS(TEST(test_messages), TEST(test_broken), TEST(test_size_limit))
