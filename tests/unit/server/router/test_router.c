/* The router with chains of scripted plugins: steps, reply hooks, waiting, look-ups, and the
 * finished message (EDNS, size and TC, padding). */
#include "check.h"

#include <stdlib.h>

#include "waypost/base/wr.h"
#include "waypost/dns/edns.h"
#include "waypost/plugin/block.h"
#include "waypost/server/gen.h"
#include "waypost/server/guard.h"
#include "waypost/server/router.h"

static struct wp_loop *loop;
static struct wp_worker worker;
static struct wp_arena arena;
static char trace[256];

static void note(const char *s)
{
    strncat(trace, s, sizeof(trace) - strlen(trace) - 1);
}

/* --- scripted plugins ---------------------------------------------------------------------- */

struct script {
    const char *name; /* noted when asked, in upper case when replying */
    int step;         /* what serve() says */
    bool want;
    int reply_step;
    void (*act)(struct wp_query *q);
};

static int script_serve(void *self, struct wp_query *q)
{
    const struct script *s = self;

    note(s->name);
    if (s->want)
        wp_query_want_reply(q);
    if (s->act != NULL)
        s->act(q);
    return s->step;
}

static int script_reply(void *self, struct wp_query *q)
{
    const struct script *s = self;
    char up[2] = {(char)(s->name[0] - 32), 0};

    (void)q;
    note(up);
    return s->reply_step;
}

static struct wp_query *cancelled;
static void script_cancel(void *self, struct wp_query *q)
{
    (void)self;
    cancelled = q;
    wp_query_resume(q, WP_STEP_DONE);
}

static void script_prefetch(const void *self, const struct wp_query *q, unsigned step)
{
    const struct script *s = self;
    char text[3] = {s->name[0], (char)('0' + step), 0};

    CHECK(q->msg.qtype == WP_TYPE_A && q->msg.qname.n_labels == 2);
    note(text);
}

static const struct wp_plugin script_plugin = {
    .name = "script", .serve = script_serve, .reply = script_reply, .cancel = script_cancel,
    .prefetch = script_prefetch};

static void answer_one(struct wp_query *q)
{
    static const uint8_t ip[4] = {192, 0, 2, 1};

    CHECK(wp_reply_begin(q, 0, WP_FLAG_AA) == 0);
    CHECK(wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_A, 300, ip, 4) == 0);
}

static void answer_big(struct wp_query *q)
{
    uint8_t txt[101] = {100};

    CHECK(wp_reply_begin(q, 0, WP_FLAG_AA) == 0);
    for (int i = 0; i < 20; i++) {
        txt[1] = (uint8_t)i;
        CHECK(wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_TXT, 300, txt, sizeof(txt)) == 0);
    }
    CHECK(wp_reply_rr(q, WP_ADDITIONAL, NULL, WP_TYPE_TXT, 300, txt, sizeof(txt)) == 0);
}

/* --- the house around it ------------------------------------------------------------------- */

enum { CHAIN = 4 };
static struct script scripts[CHAIN];
static struct wp_node nodes[CHAIN];
static struct wp_gen_count counts[1];
static struct wp_gen gen = {.counts = counts};
static struct wp_group group = {
    .scheme = WP_SCHEME_DNS, .port = 53, .label = "dns://:53", .limits = {.udp_cap = 1232, .idle_ns = 10000000000u}, .gen = &gen};
static struct wp_key key = {.scheme = WP_SCHEME_DNS, .port = 53};
static struct wp_block block;
static struct wp_route *route;

static void build(const char *zone, unsigned n)
{
    const struct wp_block *blocks[] = {&block};
    static struct wp_name z;

    CHECK(wp_name_parse(zone, &z) == 0);
    key.zone = z.wire;
    for (unsigned i = 0; i < n; i++)
        nodes[i] = (struct wp_node){&script_plugin, &scripts[i]};
    block = (struct wp_block){.keys = &key, .n_keys = 1, .chain = nodes, .n_chain = n, .all = nodes, .n_all = n};
    wp_arena_reset(&arena);
    group.counts = wp_guard_counts_for(group.label);
    CHECK(wp_route_new(&arena, &group, blocks, 1, &route) == 0);
    group.route = route;
    trace[0] = '\0';
}

static uint8_t wire[512];

/* Name in text, type, and an OPT when size is not 0. */
static size_t question(const char *name, uint16_t type, unsigned size, const char *opts, size_t n_opts)
{
    struct wp_wr wr = wp_wr_to(wire, sizeof(wire));
    struct wp_name n;

    CHECK(wp_name_parse(name, &n) == 0);
    wp_wr_u16(&wr, 0x1234);
    wp_wr_u16(&wr, WP_FLAG_RD | WP_FLAG_CD);
    wp_wr_u16(&wr, 1);
    wp_wr_u32(&wr, 0);
    wp_wr_u16(&wr, size > 0);
    wp_wr_bytes(&wr, n.wire, n.len);
    wp_wr_u16(&wr, type);
    wp_wr_u16(&wr, 1);
    if (size > 0) {
        wp_wr_u8(&wr, 0);
        wp_wr_u16(&wr, WP_TYPE_OPT);
        wp_wr_u16(&wr, size);
        wp_wr_u32(&wr, 0x8000);
        wp_wr_u16(&wr, (unsigned)n_opts);
        wp_wr_bytes(&wr, opts, n_opts);
    }
    CHECK(!wr.bad);
    return wr.len;
}

static unsigned n_done;
static void on_done(struct wp_query *q)
{
    (void)q;
    n_done++;
}

static struct wp_query *ask(size_t len, enum wp_transport t)
{
    struct wp_query *q = wp_query_get(&worker);

    CHECK(q != NULL);
    q->wire = wire;
    q->wire_len = (uint32_t)len;
    q->transport = t;
    q->stream = t != WP_UDP;
    q->encrypted = t == WP_DOT;
    q->route = route;
    q->done = on_done;
    n_done = 0;
    return q;
}

/* --- tests --------------------------------------------------------------------------------- */

static void test_steps(void)
{
    static const struct {
        const char *what;
        struct script s[CHAIN];
        unsigned n;
        const char *trace;
        uint16_t rcode;
    } cases[] = {
        {"the first answers", {{"a", WP_STEP_DONE, true, 0, answer_one}, {"b", WP_STEP_DONE, 0, 0, 0}}, 2, "a", 0},
        {"replies go outwards",
         {{"a", 0, true, 0, 0}, {"b", 0, false, 0, 0}, {"c", 0, true, 0, 0}, {"d", WP_STEP_DONE, true, 0, answer_one}},
         4, "abcdCA", 0},
        {"nobody answers", {{"a", 0, true, 0, 0}, {"b", 0, false, 0, 0}}, 2, "abA", 2},
        {"an error is SERVFAIL", {{"a", 0, true, 0, 0}, {"b", WP_EMALFORMED, false, 0, 0}}, 2, "abA", 2},
        {"a reply hook that fails", {{"a", 0, true, WP_EMALFORMED, 0}, {"b", WP_STEP_DONE, 0, 0, answer_one}}, 2, "abA", 2},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_query *q;

        memcpy(scripts, cases[i].s, sizeof(scripts));
        build("example.", cases[i].n);
        q = ask(question("wWw.Example.", WP_TYPE_A, 0, NULL, 0), WP_UDP);
        CHECK_AT(cases[i].what, wp_query_run(q) == WP_STEP_DONE);
        CHECK_AT(cases[i].what, strcmp(trace, cases[i].trace) == 0);
        CHECK_AT(cases[i].what, (q->out[3] & 15) == cases[i].rcode);
        CHECK_AT(cases[i].what, wp_be16(q->out) == 0x1234);
        /* QR, RD and CD copied; the question as it was spelled */
        CHECK_AT(cases[i].what, (wp_be16(q->out + 2) & (WP_FLAG_QR | WP_FLAG_RD | WP_FLAG_CD)) ==
                                    (WP_FLAG_QR | WP_FLAG_RD | WP_FLAG_CD));
        CHECK_AT(cases[i].what, memcmp(q->out + 12, "\3wWw\7Example", 12) == 0);
        wp_query_put(q);
    }
}

static void test_no_route(void)
{
    struct wp_query *q;

    scripts[0] = (struct script){"a", WP_STEP_DONE, false, 0, answer_one};
    build("example.", 1);
    q = ask(question("other.", WP_TYPE_A, 1232, NULL, 0), WP_UDP);
    CHECK(wp_query_run(q) == WP_STEP_DONE);
    CHECK((q->out[3] & 15) == WP_RCODE_REFUSED && trace[0] == '\0');
    CHECK(wp_be16(q->out + 10) == 1); /* the OPT comes back */
    wp_query_put(q);
}

static void test_wait_and_resume(void)
{
    struct wp_query *q;

    scripts[0] = (struct script){"a", 0, true, 0, 0};
    scripts[1] = (struct script){"b", WP_STEP_WAIT, false, 0, 0};
    scripts[2] = (struct script){"c", WP_STEP_DONE, false, 0, answer_one};
    build("example.", 3);
    q = ask(question("x.example.", WP_TYPE_A, 0, NULL, 0), WP_UDP);
    CHECK(wp_query_run(q) == WP_STEP_WAIT && n_done == 0);
    CHECK(counts[0].waiting == 1);
    wp_query_resume(q, WP_STEP_NEXT);
    CHECK(n_done == 1 && strcmp(trace, "abcA") == 0);
    CHECK(counts[0].waiting == 0);
    CHECK(wp_be16(q->out + 6) == 1);
    wp_query_put(q);
}

/* The message is read once, by whichever comes first; one that is no question goes the usual way. */
static void test_prefetch(void)
{
    struct wp_query *q;
    size_t len;

    scripts[0] = (struct script){"a", WP_STEP_NEXT, true, 0, 0};
    scripts[1] = (struct script){"b", WP_STEP_DONE, false, 0, answer_one};
    build("example.", 2);
    q = ask(question("x.example.", WP_TYPE_A, 1400, NULL, 0), WP_DOH);
    wp_query_prefetch(q, 0);
    CHECK(q->block == &block && q->had_size == 1400);
    wp_query_prefetch(q, 1);
    CHECK(wp_query_run(q) == WP_STEP_DONE);
    CHECK(strcmp(trace, "a0b0a1b1abA") == 0 && wp_be16(q->out + 6) == 1);
    wp_query_reset(q);
    CHECK(!q->is_read && q->block == NULL);
    wp_query_put(q);

    build("example.", 2);
    q = ask(question("x.other.", WP_TYPE_A, 0, NULL, 0), WP_DOH);
    wp_query_prefetch(q, 0);
    wp_query_prefetch(q, 1);
    CHECK(trace[0] == '\0' && wp_query_run(q) == WP_STEP_DONE);
    CHECK((q->out[3] & 15) == WP_RCODE_REFUSED);
    wp_query_put(q);

    len = question("x.example.", WP_TYPE_A, 0, NULL, 0);
    q = ask(len - 3, WP_DOH); /* torn */
    wp_query_prefetch(q, 0);
    wp_query_prefetch(q, 1);
    CHECK(trace[0] == '\0' && wp_query_run(q) == WP_STEP_DONE && q->intake != WP_INTAKE_OK);
    wp_query_put(q);
}

static void test_cancel(void)
{
    struct wp_query *q;

    scripts[0] = (struct script){"a", 0, true, 0, 0};
    scripts[1] = (struct script){"b", WP_STEP_WAIT, false, 0, 0};
    build("example.", 2);
    q = ask(question("x.example.", WP_TYPE_A, 0, NULL, 0), WP_TCP);
    cancelled = NULL;
    CHECK(wp_query_run(q) == WP_STEP_WAIT);
    wp_query_cancel(q);
    CHECK(cancelled == q && n_done == 1 && strcmp(trace, "abA") == 0);
    wp_query_put(q);
}

/* A child for another name of the same zone is answered through the whole chain. */
static struct wp_query *late_child;
static void on_child(void *arg, struct wp_query *child)
{
    (void)arg;
    late_child = child;
}

static bool child_waits;
static int lookup_serve(void *self, struct wp_query *q)
{
    struct wp_query *child;
    int r;

    (void)self;
    if (q->depth > 0) {
        if (child_waits)
            return WP_STEP_WAIT;
        answer_one(q);
        return WP_STEP_DONE;
    }
    r = wp_query_lookup(q, (const uint8_t *)"\6target\7example", WP_TYPE_A, on_child, q, &child);
    if (r == WP_STEP_WAIT)
        return WP_STEP_WAIT;
    CHECK(r == WP_STEP_DONE);
    CHECK(wp_reply_begin(q, 0, WP_FLAG_AA) == 0);
    CHECK(wp_reply_append(q, child, WP_ANSWER, WP_ANSWER) == 0);
    wp_query_release(child);
    return WP_STEP_DONE;
}
static const struct wp_plugin lookup_plugin = {.name = "lookup", .serve = lookup_serve};

static void test_lookup(void)
{
    struct wp_query *q;
    struct wp_view v;

    build("example.", 1);
    nodes[0].plugin = &lookup_plugin;
    child_waits = false;
    q = ask(question("alias.example.", WP_TYPE_A, 0, NULL, 0), WP_UDP);
    CHECK(wp_query_run(q) == WP_STEP_DONE);
    CHECK(wp_be16(q->out + 6) == 1);
    CHECK(wp_reply_view(q, &v) == 0 && v.n == 1);
    CHECK(memcmp(v.rr[0].owner, "\6target\7example", 16) == 0);
    wp_query_put(q);

    child_waits = true;
    late_child = NULL;
    q = ask(question("alias.example.", WP_TYPE_A, 0, NULL, 0), WP_UDP);
    CHECK(wp_query_run(q) == WP_STEP_WAIT && late_child == NULL);
    {
        struct wp_query *child = ((struct wp_pooled *)q)->first_child;

        CHECK(child != NULL && child->depth == 1);
        answer_one(child);
        wp_query_resume(child, WP_STEP_DONE);
        CHECK(late_child == child && n_done == 0);
        CHECK(wp_reply_begin(q, 0, WP_FLAG_AA) == 0);
        CHECK(wp_reply_append(q, child, WP_ANSWER, WP_ANSWER) == 0);
        wp_query_release(child);
        wp_query_resume(q, WP_STEP_DONE);
    }
    CHECK(n_done == 1 && wp_be16(q->out + 6) == 1);
    wp_query_put(q);

    /* cancelling the parent ends the child too */
    late_child = NULL;
    q = ask(question("alias.example.", WP_TYPE_A, 0, NULL, 0), WP_UDP);
    CHECK(wp_query_run(q) == WP_STEP_WAIT);
    {
        struct wp_query *child = ((struct wp_pooled *)q)->first_child;

        wp_query_cancel(q);
        CHECK(child->cancelled);
        wp_query_resume(child, WP_STEP_DONE);
        wp_query_release(child);
        wp_query_resume(q, WP_STEP_DONE);
        CHECK(n_done == 1);
    }
    wp_query_put(q);
}

static void test_sizes(void)
{
    static const struct {
        const char *what;
        enum wp_transport t;
        unsigned opt;       /* UDP size, 0: no OPT */
        unsigned max;       /* limit of the message */
        bool tc;
    } cases[] = {
        {"U09 no OPT: 512", WP_UDP, 0, 512, true},
        {"U11 OPT below 512", WP_UDP, 511, 512, true},
        {"U10 OPT 4096: the server's cap", WP_UDP, 4096, 1232, true},
        {"OPT 1000", WP_UDP, 1000, 1000, true},
        {"T18 TCP has no limit of its own", WP_TCP, 0, 65535, false},
        {"H44 nor does an OPT limit streams", WP_DOH, 512, 65535, false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_query *q;
        struct wp_view v;

        scripts[0] = (struct script){"a", WP_STEP_DONE, false, 0, answer_big};
        build("example.", 1);
        q = ask(question("big.example.", WP_TYPE_TXT, cases[i].opt, NULL, 0), cases[i].t);
        CHECK_AT(cases[i].what, wp_query_run(q) == WP_STEP_DONE);
        CHECK_AT(cases[i].what, q->out_len <= cases[i].max);
        CHECK_AT(cases[i].what, ((q->out[2] & 2) != 0) == cases[i].tc);
        CHECK_AT(cases[i].what, wp_be16(q->out + 4) == 1);
        CHECK_AT(cases[i].what, wp_be16(q->out + 10) == (cases[i].opt > 0) + (cases[i].tc ? 0 : 1));
        CHECK_AT(cases[i].what, wp_reply_view(q, &v) == 0); /* what is kept can be read */
        CHECK_AT(cases[i].what, cases[i].tc || v.n == 21);
        wp_query_put(q);
    }
}

static void test_options(void)
{
    static const struct {
        const char *what;
        enum wp_transport t;
        const char *opts;
        size_t n_opts;
        uint16_t code; /* expected in the reply, 0: no option at all */
        int block;     /* message length is a multiple of it */
    } cases[] = {
        {"U35 unknown option", WP_UDP, WIRE("\0\144\0\2ab"), 0, 1},
        {"U45 padding on UDP", WP_UDP, WIRE("\0\14\0\2\0\0"), 0, 1},
        {"U46 keepalive on UDP", WP_UDP, WIRE("\0\13\0\0"), 0, 1},
        {"T21 keepalive on TCP", WP_TCP, WIRE("\0\13\0\0"), WP_EDNS_KEEPALIVE, 1},
        {"T23 padding on TCP", WP_TCP, WIRE("\0\14\0\2\0\0"), 0, 1},
        {"S23 padding on DoT", WP_DOT, WIRE("\0\14\0\0"), WP_EDNS_PADDING, 468},
        {"S24 DoT without padding option", WP_DOT, WIRE(""), 0, 1},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_rd rd;
        struct wp_rr_at at;
        struct wp_query *q;

        scripts[0] = (struct script){"a", WP_STEP_DONE, false, 0, answer_one};
        build("example.", 1);
        q = ask(question("www.example.", WP_TYPE_A, 1232, cases[i].opts, cases[i].n_opts), cases[i].t);
        CHECK_AT(cases[i].what, wp_query_run(q) == WP_STEP_DONE);
        CHECK_AT(cases[i].what, q->out_len % (unsigned)cases[i].block == 0);
        rd = wp_rd_from(q->out, q->out_len);
        rd.pos = 12u + q->question_len;
        CHECK(wp_rr_next(&rd, &at) == 0);
        CHECK_AT(cases[i].what, wp_rr_next(&rd, &at) == 0 && at.type == WP_TYPE_OPT);
        CHECK_AT(cases[i].what, at.end == q->out_len);
        CHECK_AT(cases[i].what, at.cls == 1232 && at.ttl == 0x8000); /* their size, DO */
        CHECK_AT(cases[i].what, (at.rdlen == 0) == (cases[i].code == 0));
        if (cases[i].code != 0)
            CHECK_AT(cases[i].what, wp_be16(q->out + at.rdata_pos) == cases[i].code);
        wp_query_put(q);
    }
}

static void test_route_longest(void)
{
    static const char *const zones[] = {".", "example.", "a.example.", "b.a.example.", "org."};
    static const struct {
        const char *what, *name;
        uint16_t type;
        int zone; /* index, -1: none */
    } cases[] = {
        {"exact", "a.example.", WP_TYPE_A, 2},
        {"below", "x.y.a.example.", WP_TYPE_A, 2},
        {"longest", "x.b.a.example.", WP_TYPE_A, 3},
        {"label boundary", "xa.example.", WP_TYPE_A, 1},
        {"root catches", "com.", WP_TYPE_A, 0},
        {"root itself", ".", WP_TYPE_NS, 0},
        {"DS goes to the parent side", "b.a.example.", WP_TYPE_DS, 1},
        {"DS with only the root", "com.", WP_TYPE_DS, 0},
    };
    static struct wp_name names[COUNT(zones)];
    static struct wp_key keys[COUNT(zones)];
    static struct wp_block blocks[COUNT(zones)];
    const struct wp_block *list[COUNT(zones)];

    scripts[0] = (struct script){"a", WP_STEP_DONE, false, 0, answer_one};
    nodes[0] = (struct wp_node){&script_plugin, &scripts[0]};
    for (size_t i = 0; i < COUNT(zones); i++) {
        CHECK(wp_name_parse(zones[i], &names[i]) == 0);
        keys[i] = (struct wp_key){.scheme = WP_SCHEME_DNS, .port = 53, .zone = names[i].wire};
        blocks[i] = (struct wp_block){.keys = &keys[i], .n_keys = 1, .chain = nodes, .n_chain = 1};
        list[i] = &blocks[i];
    }
    wp_arena_reset(&arena);
    CHECK(wp_route_new(&arena, &group, list, COUNT(zones), &route) == 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_query *q = ask(question(cases[i].name, cases[i].type, 0, NULL, 0), WP_UDP);

        CHECK_AT(cases[i].what, wp_query_run(q) == WP_STEP_DONE);
        CHECK_AT(cases[i].what, q->block == (cases[i].zone < 0 ? NULL : &blocks[cases[i].zone]));
        wp_query_put(q);
    }
}

/* One that asks again until the third name, with what the ones behind it do in between. */
static const uint8_t again_names[3][20] = {"\1b\7example\0\0\1\0\1", "\1c\7example\0\0\1\0\1", ""};
static unsigned n_again;
static int again_serve(void *self, struct wp_query *q)
{
    (void)self;
    note("r");
    n_again = 0;
    wp_query_want_reply(q);
    return WP_STEP_NEXT;
}

static int again_reply(void *self, struct wp_query *q)
{
    const uint8_t *question = again_names[n_again];

    (void)self;
    note("R");
    if (question[0] == 0)
        return WP_STEP_NEXT;
    CHECK(q->n_deps == 1); /* of this name alone */
    q->cacheable = false;
    n_again++;
    return wp_query_again(q, question, 15);
}
static const struct wp_plugin again_plugin = {.name = "again", .serve = again_serve, .reply = again_reply};

static void depend(struct wp_query *q)
{
    CHECK(q->n_deps == 0 && q->cacheable && !q->replying && !q->reply.begun && q->reply.options_len == 0);
    wp_query_depends(q, (uint64_t)(n_again + 1) << 40);
    q->reply.options = (const uint8_t *)"\0\3\0\0";
    q->reply.options_len = 4;
    answer_one(q);
}

static void test_again(void)
{
    static const struct {
        const char *what;
        int step, reply_step;
        bool waits;
    } cases[] = {
        {"at once", WP_STEP_DONE, WP_STEP_NEXT, false},
        {"waiting each time", WP_STEP_WAIT, WP_STEP_NEXT, true},
        {"waiting in the reply", WP_STEP_DONE, WP_STEP_WAIT, true},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_query *q;
        unsigned waits = 0;

        scripts[0] = (struct script){"a", 0, true, 0, 0};
        scripts[2] = (struct script){"b", 0, true, cases[i].reply_step, 0};
        scripts[3] = (struct script){"c", cases[i].step, true, 0, depend};
        build("example.", 4);
        nodes[1] = (struct wp_node){&again_plugin, NULL};
        q = ask(question("A.example.", WP_TYPE_A, 0, NULL, 0), WP_TCP);
        if (wp_query_run(q) == WP_STEP_WAIT) {
            for (; n_done == 0; waits++) {
                CHECK_AT(cases[i].what, counts[0].waiting == 1);
                wp_query_resume(q, q->replying ? WP_STEP_NEXT : WP_STEP_DONE);
            }
        }
        CHECK_AT(cases[i].what, waits == (cases[i].waits ? 3 : 0) && counts[0].waiting == 0);
        CHECK_AT(cases[i].what, strcmp(trace, "arbcBRbcBRbcBRA") == 0);
        CHECK_AT(cases[i].what, memcmp(q->out + 12, "\1c\7example\0\0\1\0\1", 15) == 0 && wp_be16(q->out + 6) == 1);
        wp_query_put(q);
    }
}

/* Given up between two names: the plugin that waits is told, and nothing waits for ever. */
static void test_again_cancelled(void)
{
    struct wp_query *q;

    scripts[0] = (struct script){"a", 0, true, 0, 0};
    scripts[2] = (struct script){"b", WP_STEP_WAIT, false, 0, depend};
    build("example.", 3);
    nodes[1] = (struct wp_node){&again_plugin, NULL};
    q = ask(question("a.example.", WP_TYPE_A, 0, NULL, 0), WP_TCP);
    CHECK(wp_query_run(q) == WP_STEP_WAIT);
    wp_query_resume(q, WP_STEP_DONE);
    CHECK(n_done == 0 && strcmp(trace, "arbRb") == 0);
    n_again = 2; /* it takes what there is */
    cancelled = NULL;
    wp_query_cancel(q);
    CHECK(cancelled == q && n_done == 1 && strcmp(trace, "arbRbRA") == 0);
    wp_query_put(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_steps),   TEST(test_again), TEST(test_again_cancelled),   TEST(test_no_route), TEST(test_wait_and_resume), TEST(test_cancel),
        TEST(test_prefetch), TEST(test_lookup),  TEST(test_sizes),    TEST(test_options),         TEST(test_route_longest),
    };
    int r;

    wp_hash_seed_init();
    wp_arena_init(&arena, 0);
    if (wp_loop_new(0, &loop) < 0 || wp_worker_init(&worker, loop, 100) < 0)
        return 1;
    r = cmocka_run_group_tests(tests, NULL, NULL);
    wp_worker_done(&worker);
    wp_loop_free(loop);
    wp_arena_done(&arena);
    return r;
}
