/* The n-th allocation fails in the life of a cache: who asks gets the answer all the same, kept or
 * not, and nothing leaks. */
#include "asker.h"
#include "failmalloc.h"
#include "server/config/conf_load.h"
#include "waypost/base/grace.h"
#include "waypost/plugin/plugin.h"

extern const struct wp_plugin wp_plugin_cache;

static unsigned asked, ttl;

/* What stands behind it: an address for names that begin with "a", no such name otherwise. */
static int origin_serve(void *self, struct wp_query *q)
{
    static const uint8_t ip[4] = {192, 0, 2, 1};
    static const uint8_t soa[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5};
    bool here = q->msg.qname.wire[1] == 'a';

    (void)self;
    asked++;
    if (wp_reply_begin(q, here ? WP_RCODE_NOERROR : WP_RCODE_NXDOMAIN, WP_FLAG_AA) < 0)
        return -ENOMEM;
    if (here)
        return wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_A, ttl, ip, 4) < 0 ? -ENOMEM : WP_STEP_DONE;
    return wp_reply_rr(q, WP_AUTHORITY, NULL, WP_TYPE_SOA, ttl, soa, sizeof(soa)) < 0
               ? -ENOMEM
               : WP_STEP_DONE;
}
static const struct wp_plugin origin = {.name = "origin", .serve = origin_serve};

/* Two names, each asked three times; the last time nothing fails any more. */
static void questions(struct asker *a, long n, bool *ret_failed)
{
    static const char *const names[] = {"a.example.org A", "n.example.org A"};

    for (unsigned i = 0; i < 6; i++) {
        const char *text, *want = i % 2 == 0 ? "NOERROR" : "NXDOMAIN";

        failmalloc_after(i < 4 ? n : -1);
        asker_run(a, names[i % 2]);
        *ret_failed |= failmalloc_stop();
        text = asker_text(a, names[i % 2]); /* with memory: only the server is to be without */
        CHECK_AT(text, strncmp(text, want, strlen(want)) == 0);
    }
}

/* False: no allocation failed. */
static bool life(long n, const char *body)
{
    struct wp_env env = {.server = "dns://:53", .plugin = "cache"};
    bool failed = false;
    struct loaded conf;
    struct asker a;
    char text[300];
    void *cache;
    int r;

    snprintf(text, sizeof(text), ".:1053 {\n%s\n}\n", body);
    conf_load(&conf, text);
    CHECK_AT(text, conf.r == 0);
    cache = wp_block_plugin(&conf.blocks[0], "cache");
    env.block = &conf.blocks[0];
    env.arena = &conf.arena;
    env.report = &conf.report;
    failmalloc_after(n);
    r = wp_plugin_cache.start(cache, &env);
    failed = failmalloc_stop();
    CHECK(r == 0 || (failed && r == -ENOMEM));
    if (r == 0) {
        asker_init(&a, ".");
        asker_add(&a, &wp_plugin_cache, cache);
        asker_add(&a, &origin, NULL);
        ask(&a, "a.other A"); /* the worker's own memory */
        asked = 0;
        questions(&a, n, &failed);
        CHECK(asked <= 6 && (failed || asked >= 2));
        asker_done(&a);
    }
    conf_unload(&conf);
    return failed;
}

static void test_life(void)
{
    static const char *const bodies[] = {
        "cache 30",
        "cache {\n success 2000 60\n denial 2000 60\n prefetch 1 1m 90%\n}",
        "cache {\n serve_stale 1h immediate\n keepttl\n}",
        "cache {\n serve_stale 1h verify 100ms\n}",
    };

    ttl = 30;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        long n = 0;

        while (life(n, bodies[i]))
            CHECK(++n < 1000);
        CHECK_AT(bodies[i], n >= 3);
    }
}

RUN_TESTS(TEST(test_life))
