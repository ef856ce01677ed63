/* List, watch, and what follows from each way in which they end. */
#include "backends/kubernetes/reflector_world.h"

/* --- 338, 339: a list streams in, the same call goes on as the watch ---------------------------- */

static void test_stream(void)
{
    struct wp_httpc_call *c;
    uint32_t state;

    world_open(NULL);
    state = world_state();
    c = world_call("/services?");
    CHECK_AT(c->url, strstr(c->url, "http://api.test:8080/api/v1/services?watch=true&") == c->url);
    CHECK(world_asks(c, "allowWatchBookmarks=true") && world_asks(c, "timeoutSeconds="));
    CHECK(world_asks(c, "resourceVersionMatch=NotOlderThan") && !world_asks(c, "resourceVersion="));
    CHECK(world_find("/pods?") == NULL && world_find("/endpointslices?") == NULL);
    CHECK(strcmp(c->accept, "application/json") == 0);
    CHECK(strstr(world_call("/namespaces?")->accept, "as=PartialObjectMetadata;") != NULL);
    CHECK(world_behind() == 0 && !wp_kube_cluster_is_synced(world.c));
    world_sync();
    CHECK(world_has("one") && world_state() != state && atomic_load(&world.c->behind_since_ns) == 0);

    CHECK(world_say_by(c, 3, WORLD_EVENT("ADDED", WORLD_SERVICE("two", "8", "10.0.0.2"))));
    CHECK(world_has("two"));
    CHECK(world_say(c, WORLD_EVENT("DELETED", WORLD_SERVICE("one", "9", "10.0.0.1"))));
    CHECK(!world_has("one") && world_has("two"));
    world_close();
}

/* --- 341, 342: a watch ends, the next goes on where it was --------------------------------------- */

static void test_watch_again(void)
{
    struct wp_httpc_call *c;

    world_open(NULL);
    c = world_sync();
    CHECK(world_say(c, WORLD_EVENT("ADDED", WORLD_SERVICE("two", "8", "10.0.0.2"))));
    world_pass(300000);
    world_end(c, 0, "");
    CHECK(atomic_load(&world.c->behind_since_ns) == world.now);
    world_pass(0);
    c = world_call("/services?");
    CHECK_AT(c->url, world_asks(c, "resourceVersion=8&") && world_asks(c, "watch=true") &&
                         !world_asks(c, "sendInitialEvents"));
    world_head(c, 200);
    CHECK(atomic_load(&world.c->behind_since_ns) == 0);
    CHECK(world_say(c, WORLD_BOOKMARK("900")));
    world_pass(2000);
    world_end(c, WP_ECLOSED, "api.test:8080: connection reset");
    world_pass(0);
    c = world_call("/services?");
    CHECK_AT(c->url, world_asks(c, "resourceVersion=900&"));
    CHECK(world.n_started == 4);
    world_close();
}

RUN_TESTS(TEST(test_stream), TEST(test_watch_again))
