/* The n-th allocation fails somewhere between the first request and the last: a little later what the agent has
 * is known. */
#include "failmalloc.h"

#include "source_world.h"

static const char first_list[] = WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo"));
static const char then_list[] = WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("late"));

/* What agents answer: `then` or not. */
static void serve(struct wp_httpc_call *c, bool then)
{
    uint64_t index = then ? 20 : 10;
    bool gone = strstr(c->url, then ? "/solo?" : "/late?") != NULL;

    if (c->status != 0)
        return; /* a stream that runs */
    if (world_asks(c, "/v1/status/")) {
        world_answer(c, 200, 0, "''");
    } else if (world_asks(c, "/v1/services?")) {
        if (!world_asks(c, then ? "index=20" : "index=10"))
            world_answer(c, 200, index, then ? then_list : first_list);
    } else if (world_asks(c, "/v1/service/")) {
        world_answer(c, 200, index,
                     gone ? "[]"
                     : then ? "[" WORLD_REG("x", "i", "10.0.0.7", "80") "]"
                            : "[" WORLD_REG("x", "i", "10.0.0.1", "80") "]");
    } else {
        size_t order = c->order;
        world_head(c, 200);
        if (c->used && c->order == order)
            world_say(c, "{}\n");
    }
}

static void settle(bool then)
{
    for (unsigned turn = 0; turn < 40; turn++) {
        for (size_t i = 0; i < WORLD_CALLS; i++)
            if (world.calls[i].used)
                serve(&world.calls[i], then);
        world_pass(1000);
    }
}

static bool start_with(long n)
{
    bool met;
    int r;

    world_begin();
    failmalloc_after(n);
    r = world_try(NULL);
    if (r == 0)
        settle(false);
    met = failmalloc_stop();
    if (r < 0) {
        CHECK(r == -ENOMEM && world.users == 0 && met);
        return met;
    }
    settle(false);
    CHECK(world_addr("web") == 1 && world_addr("solo") == 1 && world.s->behind_since_ns == 0);
    CHECK(world_known("nope", "default") == WP_NOMAD_ABSENT);
    world_close();
    return met;
}

static bool change_with(long n)
{
    struct wp_httpc_call *c;
    bool met;

    world_open(NULL);
    settle(false);
    CHECK(world_addr("solo") == 1);
    failmalloc_after(n);
    c = world_find("/v1/event/stream");
    if (c != NULL)
        world_say(c, WORLD_EVENT("19", "ServiceRegistration", "late")
                      WORLD_EVENT("20", "ServiceRegistration", "web"));
    settle(true);
    met = failmalloc_stop();
    world_pass(300000);
    settle(true);
    CHECK(world_addr("web") == 7 && world_addr("late") == 7 && world_addr("solo") == 0);
    CHECK(world_known("solo", "default") == WP_NOMAD_ABSENT && world.s->behind_since_ns == 0);
    world_close();
    return met;
}

static void test_start(void)
{
    for (long n = 0; start_with(n); n++)
        CHECK(n < 2000);
}

static void test_change(void)
{
    for (long n = 0; change_with(n); n++)
        CHECK(n < 2000);
}

RUN_TESTS(TEST(test_start), TEST(test_change))
