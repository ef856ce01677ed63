/* The n-th allocation fails somewhere between the first request and the last: a little later the store holds
 * what the server has. */
#include "failmalloc.h"

#include "backends/kubernetes/reflector_world.h"

static bool streams;

/* Every call is answered; those of services with what is there. */
static void serve(struct wp_httpc_call *c, const char *events, const char *list)
{
    bool services = strstr(c->url, "/services?") != NULL;

    if (c->status != 0)
        return; /* a watch that runs */
    if (!world_asks(c, "watch=true")) {
        world_answer(c, 200, services ? list : WORLD_LIST("50", "", ""));
    } else if (!world_asks(c, "sendInitialEvents")) {
        world_head(c, 200);
    } else if (!streams) {
        world_answer(c, 422, WORLD_STATUS("422", "Invalid", "no"));
    } else if (world_goes_on(c, 200, "application/json")) {
        world_say_by(c, 40, services ? events : WORLD_END("50"));
    }
}

static void serve_all(const char *events, const char *list)
{
    for (unsigned turn = 0; turn < 30; turn++) {
        for (size_t i = 0; i < WORLD_CALLS; i++)
            if (world.calls[i].used)
                serve(&world.calls[i], events, list);
        world_pass(200);
    }
}

static void settle(const char *events, const char *list)
{
    for (unsigned i = 0; i < 20 && (!wp_kube_cluster_is_synced(world.c) || world_behind() > 0); i++)
        serve_all(events, list);
    CHECK(wp_kube_cluster_is_synced(world.c) && world_behind() == 0);
}

static const char first_events[] = WORLD_EVENT("ADDED", WORLD_SERVICE("one", "3", "10.0.0.1"))
    WORLD_EVENT("ADDED", WORLD_SERVICE("two", "4", "10.0.0.2")) WORLD_END("50");
static const char first_list[] =
    WORLD_LIST("50", "", WORLD_SERVICE("one", "3", "10.0.0.1") "," WORLD_SERVICE("two", "4", "10.0.0.2"));
static const char then_events[] = WORLD_EVENT("ADDED", WORLD_SERVICE("two", "5", "10.0.0.3"))
    WORLD_EVENT("ADDED", WORLD_SERVICE("three", "6", "10.0.0.4")) WORLD_END("60");
static const char then_list[] =
    WORLD_LIST("60", "", WORLD_SERVICE("two", "5", "10.0.0.3") "," WORLD_SERVICE("three", "6", "10.0.0.4"));

static bool start_with(long n)
{
    struct wp_kube_wants w = world_wants();
    char why[WP_KUBE_WHY];
    bool met;
    int r;

    world_begin();
    failmalloc_after(n);
    r = wp_kube_cluster_get(&w, why, &world.c);
    if (r == 0)
        serve_all(first_events, first_list);
    met = failmalloc_stop();
    if (r < 0) {
        CHECK(r == -ENOMEM && world.users == 0 && met);
        return met;
    }
    settle(first_events, first_list);
    CHECK(world_has("one") && world_has("two") && world_count(WP_KUBE_SERVICES) == 2);
    world_close();
    return met;
}

static bool relist_with(long n)
{
    struct wp_httpc_call *c;
    bool met;

    world_open(NULL);
    settle(first_events, first_list);
    world_pass(60000);
    c = world_call("/services?");
    failmalloc_after(n);
    if (!world_say(c, "{'type':'ERROR','object':" WORLD_STATUS("410", "Expired", "old") "}\n"))
        serve_all(then_events, then_list);
    met = failmalloc_stop();
    if (c->used && c->status == 200 && world_asks(c, "/services?") && world_has("one")) /* the error was lost */
        world_say(c, "{'type':'ERROR','object':" WORLD_STATUS("410", "Expired", "old") "}\n");
    serve_all(then_events, then_list);
    settle(then_events, then_list);
    CHECK(!world_has("one") && world_has("two") && world_has("three") && world_count(WP_KUBE_SERVICES) == 2);
    world_close();
    return met;
}

static void test_start(void)
{
    for (int s = 0; s < 2; s++) {
        streams = s == 1;
        for (long n = 0; start_with(n); n++)
            CHECK(n < 2000);
    }
}

static void test_relist(void)
{
    for (int s = 0; s < 2; s++) {
        streams = s == 1;
        for (long n = 0; relist_with(n); n++)
            CHECK(n < 2000);
    }
}

RUN_TESTS(TEST(test_start), TEST(test_relist))
