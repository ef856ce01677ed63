/* Checks of allocations on a virtual clock: what they say of instances, when they are asked for, and what is made of
 * no answer. */
#include "health_world.h"

#define CHECK_OF(service, status) "{\"1\":{\"Service\":\"" service "\",\"Status\":\"" status "\"}}"

static bool heard(const char *changed)
{
    bool same = strcmp(world.changed, changed) == 0;

    if (!same)
        print_error("heard '%s'\n", world.changed);
    world.changed[0] = '\0';
    return same;
}

/* The next request, which is for this allocation: when it came. */
static uint64_t next_request(const char *alloc, uint64_t patience)
{
    uint64_t limit = world.now + patience;
    size_t before = world.n_asked;

    while (world.n_asked == before && world.timer != NULL && world.timer->due_ns <= limit)
        world_until(world.timer->due_ns > world.now ? world.timer->due_ns : world.now);
    CHECK_AT(alloc, world.n_asked == before + 1 && strcmp(world.asked[before].alloc, alloc) == 0);
    return world.asked[before].at;
}

/* --- verdicts ---------------------------------------------------------------------------------- */

static void test_verdicts(void)
{
    static const struct {
        const char *what, *body;
        bool web, db;
        const char *changed;
    } rows[] = {
        {"pending", CHECK_OF("web", "pending"), false, false, ""},
        {"success", CHECK_OF("web", "success"), false, false, ""},
        {"failure", CHECK_OF("web", "failure"), true, false, "ops/web "},
        {"still", CHECK_OF("web", "failure"), true, false, ""},
        {"pending again", CHECK_OF("web", "pending"), false, false, "ops/web "},
        {"one of two checks", "{\"1\":{\"Service\":\"web\",\"Status\":\"success\"},"
                              "\"2\":{\"Service\":\"web\",\"Status\":\"failure\"}}",
         true, false, "ops/web "},
        {"in another order", "{\"2\":{\"Service\":\"web\",\"Status\":\"failure\"},"
                             "\"1\":{\"Service\":\"web\",\"Status\":\"success\"}}",
         true, false, ""},
        {"the other service", CHECK_OF("db", "failure"), false, true, "ops/db ops/web "},
        {"a service that is not registered", CHECK_OF("cache", "failure"), false, false, "ops/db "},
        {"both", "{\"1\":{\"Service\":\"web\",\"Status\":\"failure\"},"
                 "\"2\":{\"Service\":\"db\",\"Status\":\"failure\"}}",
         true, true, "ops/db ops/web "},
        {"malformed: as it was", "{\"1\":{\"Service\":\"web\"", true, true, ""},
        {"of a proxy: as it was", "<html>", true, true, ""},
        {"names compare exactly", CHECK_OF("Web", "failure"), false, false, "ops/db ops/web "},
    };
    struct wp_nomad_health *h = world_new(10 * S);

    CHECK(!world_read(h, "a1", "web") && !world_read(h, "a1", "db"));
    for (size_t i = 0; i < COUNT(rows); i++) {
        next_request("a1", 60 * S);
        world_answer("a1", 200, 0, rows[i].body);
        CHECK_AT(rows[i].what, heard(rows[i].changed));
        CHECK_AT(rows[i].what, world_read(h, "a1", "web") == rows[i].web);
        CHECK_AT(rows[i].what, world_read(h, "a1", "db") == rows[i].db);
        CHECK_AT(rows[i].what, wp_nomad_health_figures(h).failing == (size_t)rows[i].web + rows[i].db);
    }
    CHECK(world.counted == COUNT(rows) && wp_nomad_health_figures(h).allocations == 1 &&
          wp_nomad_health_figures(h).with_checks == 1);
    world_end(h);
}

/* The allocation, not its service, is asked: two of one service have a verdict each. */
static void test_two_allocations(void)
{
    struct wp_nomad_health *h = world_new(10 * S);

    world_read(h, "a1", "web");
    next_request("a1", S);
    world_read(h, "a2", "web");
    next_request("a2", S);
    world_answer("a2", 200, 0, CHECK_OF("web", "failure"));
    world_answer("a1", 200, 0, CHECK_OF("web", "success"));
    CHECK(heard("ops/web ") && !world_read(h, "a1", "web") && world_read(h, "a2", "web"));
    world_end(h);
}

/* What says nothing: the verdict stands, then there is none; the allocation is asked less and less often. */
static void test_no_answer(void)
{
    static const struct {
        const char *what;
        int status, err;
        const char *body;
    } rows[] = {
        {"403", 403, 0, "Permission denied"}, {"404", 404, 0, "Unknown allocation"},
        {"500", 500, 0, "No path to node"},   {"429", 429, 0, ""},
        {"timeout", 0, WP_ETIMEOUT, NULL},    {"closed early", 200, WP_ECLOSED, "{"},
        {"refused", 0, -ECONNREFUSED, NULL},  {"no JSON", 200, 0, "ok"},
        {"empty", 200, 0, ""},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_nomad_health *h = world_new(10 * S);
        uint64_t last, gap = 0;
        world_read(h, "a1", "web");
        last = next_request("a1", S);
        world_answer("a1", 200, 0, CHECK_OF("web", "failure"));
        CHECK(heard("ops/web "));
        for (int n = 1; n <= 8; n++) {
            uint64_t at = next_request("a1", 1000 * S);
            CHECK_AT(rows[i].what, n == 1 || at - last >= gap / 2);
            gap = at - last;
            last = at;
            world_answer("a1", rows[i].status, rows[i].err, rows[i].body);
            CHECK_AT(rows[i].what, world.last_status == rows[i].status && world.last_err == rows[i].err);
            CHECK_AT(rows[i].what, heard(n == WP_NOMAD_CHECKS_SILENT ? "ops/web " : ""));
            CHECK_AT(rows[i].what, world_read(h, "a1", "web") == (n < WP_NOMAD_CHECKS_SILENT));
        }
        CHECK_AT(rows[i].what, gap == WP_NOMAD_CHECKS_RARE * 10 * S);
        next_request("a1", 1000 * S); /* and it comes back */
        world_answer("a1", 200, 0, CHECK_OF("web", "failure"));
        CHECK_AT(rows[i].what, heard("ops/web ") && world_read(h, "a1", "web"));
        CHECK_AT(rows[i].what, next_request("a1", 1000 * S) - world.now <= 15 * S);
        world_end(h);
    }
}

/* --- when -------------------------------------------------------------------------------------- */

/* At once when it is new, then once in an interval. */
static void test_interval(void)
{
    struct wp_nomad_health *h = world_new(10 * S);
    uint64_t start = world.now, before = 0;

    world_read(h, "a1", "web");
    CHECK(next_request("a1", S) == start);
    world_answer("a1", 200, 0, CHECK_OF("web", "success"));
    before = next_request("a1", 60 * S);
    CHECK(before - start >= 5 * S && before - start <= 15 * S);
    for (int i = 0; i < 100; i++) {
        uint64_t at;
        world_until(world.now + 300 * MS); /* as long as the answer takes */
        world_answer("a1", 200, 0, CHECK_OF("web", "success"));
        world_read(h, "a1", "web");
        at = next_request("a1", 60 * S);
        CHECK(at - before == 10 * S);
        before = at;
    }
    world_end(h);
}

/* An allocation that has no checks is asked for them three times, then rarely; a new service changes that. */
static void test_without_checks(void)
{
    struct wp_nomad_health *h = world_new(10 * S);
    uint64_t before, at;

    world_read(h, "a1", "web");
    before = next_request("a1", S);
    for (int i = 1; i <= 5; i++) {
        world_answer("a1", 200, 0, "{}");
        world_read(h, "a1", "web");
        at = next_request("a1", 1000 * S);
        CHECK(at - before <= (i < WP_NOMAD_CHECKS_NEW ? 15 : 450) * S);
        CHECK(at - before >= (i < WP_NOMAD_CHECKS_NEW ? 5 : 150) * S);
        before = at;
    }
    CHECK(wp_nomad_health_figures(h).with_checks == 0);
    world_answer("a1", 200, 0, "{}");
    world_until(world.now + S);
    world_read(h, "a1", "db");
    CHECK(next_request("a1", S) == world.now);
    world_answer("a1", 200, 0, CHECK_OF("db", "failure"));
    CHECK(world_read(h, "a1", "db") && next_request("a1", 15 * S) > 0);
    world_end(h);
}

/* Everything is answered after 20 ms. */
static void run_busy(uint64_t until)
{
    while (world.now < until) {
        world_until(world.now + 20 * MS);
        for (size_t i = 0; i < CALLS_MAX; i++)
            if (world.calls[i].used)
                world_answer(world.calls[i].alloc, 200, 0, CHECK_OF("web", "success"));
    }
}

/* Many: never more than four at a time, spread over the interval, and all of them in each. */
static void test_spread(void)
{
    enum { N = 500 };
    struct wp_nomad_health *h = world_new(10 * S);
    unsigned in_tenth[10] = {0}, of[N] = {0};
    uint64_t from;
    size_t first;

    for (int i = 0; i < N; i++) {
        char id[32];
        snprintf(id, sizeof(id), "alloc-%d", i);
        world_read(h, id, "web");
    }
    run_busy(world.now + 4 * S);
    CHECK(world.n_asked == N); /* at 4 in 20 ms */
    run_busy(world.now + 20 * S);
    from = world.now;
    first = world.n_asked;
    run_busy(from + 10 * S);
    for (size_t i = first; i < world.n_asked; i++) {
        unsigned n = (unsigned)atoi(world.asked[i].alloc + 6);
        of[n]++;
        in_tenth[(world.asked[i].at - from) / S < 10 ? (world.asked[i].at - from) / S : 9]++;
    }
    for (int i = 0; i < N; i++)
        CHECK(of[i] >= 1 && of[i] <= 2);
    for (int i = 0; i < 10; i++)
        CHECK(in_tenth[i] >= N / 10 / 3 && in_tenth[i] <= N / 10 * 2);
    CHECK(world.most_flying <= WP_NOMAD_CHECKS_FLYING);
    world_end(h);
}

/* Nobody answers: four wait, the rest has to. */
static void test_all_hang(void)
{
    struct wp_nomad_health *h = world_new(10 * S);

    for (int i = 0; i < 10; i++) {
        char id[32];
        snprintf(id, sizeof(id), "a%d", i);
        world_read(h, id, "web");
    }
    world_until(world.now + 5 * S);
    CHECK(world.flying == WP_NOMAD_CHECKS_FLYING && world.n_asked == WP_NOMAD_CHECKS_FLYING);
    for (size_t i = 1; i < world.n_asked; i++)
        CHECK(world.asked[i].at - world.asked[i - 1].at >= WP_NOMAD_CHECKS_GAP_MS * MS);
    world_answer(world.asked[0].alloc, 0, WP_ETIMEOUT, NULL);
    CHECK(world.n_asked == WP_NOMAD_CHECKS_FLYING + 1);
    world_end(h); /* with requests under way */
}

/* No agent, or no request that can be made: later, and nothing is lost. */
static void test_nobody_to_ask(void)
{
    struct wp_nomad_health *h = world_new(10 * S);

    world.agent = -1;
    world_read(h, "a1", "web");
    world_until(world.now + 5 * S);
    CHECK(world.n_asked == 0);
    world.agent = 0;
    world.start_fails = -ENOMEM;
    world_until(world.now + 5 * S);
    CHECK(world.n_asked == 0);
    world.start_fails = 0;
    CHECK(next_request("a1", 2 * S) > 0);
    world_answer("a1", 200, 0, CHECK_OF("web", "failure"));
    CHECK(world_read(h, "a1", "web"));
    world_end(h);
}

/* --- what is followed ---------------------------------------------------------------------------- */

/* Seen in no registration for a quarter of an hour of asking: it is gone. */
static void test_forgotten(void)
{
    struct wp_nomad_health *h = world_new(10 * S);

    world_read(h, "a1", "web");
    for (int i = 0; i < 200; i++) { /* seen again and again: it stays */
        next_request("a1", 60 * S);
        world_read(h, "a1", "web");
        world_answer("a1", 200, 0, CHECK_OF("web", "failure"));
    }
    CHECK(wp_nomad_health_figures(h).failing == 1);
    for (int i = 0; i < 200; i++) { /* no agent answers: nothing can be seen, it stays */
        next_request("a1", 1000 * S);
        world_answer("a1", 0, WP_ETIMEOUT, NULL);
    }
    CHECK(wp_nomad_health_figures(h).allocations == 1);
    for (int i = 1; i < WP_NOMAD_CHECKS_FORGET_S / 10; i++) { /* one was counted above */
        next_request("a1", 1000 * S);
        world_answer("a1", 200, 0, CHECK_OF("web", "failure"));
        CHECK(wp_nomad_health_figures(h).allocations == 1);
    }
    next_request("a1", 1000 * S);
    world_answer("a1", 200, 0, CHECK_OF("web", "failure"));
    CHECK(wp_nomad_health_figures(h).allocations == 0 && wp_nomad_health_figures(h).failing == 0 &&
          wp_nomad_health_figures(h).with_checks == 0);
    CHECK(!world_read(h, "a1", "web") && wp_nomad_health_figures(h).allocations == 1);
    world_end(h);
}

/* What is no ID goes into no path; names that nobody can ask for are not followed. */
static void test_not_followed(void)
{
    static char long_name[80], long_id[80];
    struct wp_nomad_health *h = world_new(10 * S);

    memset(long_name, 'a', 64);
    memset(long_id, 'a', 65);
    CHECK(!world_read(h, "", "web") && !world_read(h, "../x", "web") && !world_read(h, "a?b", "web") &&
          !world_read(h, "a b", "web") && !world_read(h, long_id, "web") && !world_read(h, "a1", "") &&
          !world_read(h, "a1", long_name));
    CHECK(wp_nomad_health_figures(h).allocations == 0 && world.timer == NULL);
    long_name[63] = long_id[64] = '\0';
    CHECK(!world_read(h, long_id, long_name) && wp_nomad_health_figures(h).allocations == 1);
    world_end(h);
}

static void test_limit(void)
{
    struct wp_nomad_health *h = world_new(10 * S);
    char id[32];

    for (int i = 0; i <= WP_NOMAD_CHECKS_MAX + 10; i++) {
        snprintf(id, sizeof(id), "a%d", i);
        CHECK(!world_read(h, id, "web"));
    }
    CHECK(wp_nomad_health_figures(h).allocations == WP_NOMAD_CHECKS_MAX);
    world_end(h);
    wp_nomad_health_free(NULL);
}

RUN_TESTS(TEST(test_verdicts), TEST(test_two_allocations), TEST(test_no_answer), TEST(test_interval),
          TEST(test_without_checks), TEST(test_spread), TEST(test_all_hang), TEST(test_nobody_to_ask),
          TEST(test_forgotten), TEST(test_not_followed), TEST(test_limit))
