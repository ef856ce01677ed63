/* The n-th allocation fails somewhere between the first call and the last: what readers see stays whole,
 * and a little later the mirror holds what the store holds. */
#include "failmalloc.h"

#include "etcd_world.h"

static void fill(unsigned first, unsigned n, unsigned host)
{
    for (unsigned i = first; i < first + n; i++) {
        char key[32];
        snprintf(key, sizeof(key), "/p/z/k%03u/i", i);
        if (i % 3 == 0)
            world_put(key, "{\"host\":\"a.b\",\"text\":\"t\",\"group\":\"g\",\"port\":-1,\"weight\":7,\"mail\":true}", 1000 + i);
        else
            world_put_host(key, host);
    }
}

static void settle(struct wp_etcd_range *r, long n)
{
    world_run(15000);
    CHECK_AT("in step", wp_etcd_range_behind_s(r, world.now) == 0);
    CHECK_AT("the same", world_is_same(r));
    CHECK(n < 5000);
}

static void quit(struct wp_etcd_range *r)
{
    wp_etcd_range_put(r);
    CHECK(world.users == 0);
}

/* Registry, session, listing, first watch. */
static void test_start(void)
{
    bool met = true;

    for (long n = 0; met; n++) {
        struct wp_etcd_range *r = NULL;
        int ret;
        world_begin();
        fill(0, 40, 1);
        failmalloc_after(n);
        ret = world_follow(&r);
        if (ret == 0)
            world_run(100);
        met = failmalloc_stop();
        if (ret < 0) {
            CHECK(ret == -ENOMEM && world.users == 0);
            continue;
        }
        settle(r, n);
        quit(r);
    }
}

/* Changes in a watch: put, replace, delete, leases, one message after the other. */
static void changes(void)
{
    fill(20, 40, 2);
    world_delete("/p/z/k001/i");
    world_put("/p/z/bad", "{", 0);
    world_run(50);
}

/* The history is gone: listed again beside what is there. */
static void listed_again(void)
{
    world.down = true;
    world_run(10);
    fill(20, 40, 3);
    world_delete("/p/z/k002/i");
    world.compacted = world.revision;
    world.down = false;
    world_run(8000);
}

/* Another store in its place, that has come further: only a comparison tells. */
static void restored(void)
{
    world.down = true;
    world_run(10);
    world_wipe(3);
    fill(0, 39, 4);
    world.down = false;
    world_run(8000);
}

/* Three lost events, found by a verification. */
static void verified(void)
{
    world.mute_events = true;
    world_put_host("/p/z/k001/i", 9);
    world_delete("/p/z/k004/i");
    world_put_host("/p/z/new", 9);
    world.mute_events = false;
    world_run(11 * 60000);
}

static void test_with(const char *what, void (*fn)(void))
{
    bool met = true;

    for (long n = 0; met; n++) {
        struct wp_etcd_range *r = NULL;
        world_begin();
        fill(0, 40, 1);
        CHECK(world_follow(&r) == 0);
        settle(r, n);
        failmalloc_after(n);
        fn();
        met = failmalloc_stop();
        if (fn == verified || fn == restored)
            world_run(130000); /* the next attempt */
        CHECK_AT(what, wp_etcd_range_is_loaded(r));
        settle(r, n);
        quit(r);
    }
}

static void test_changes(void)
{
    test_with("changes", changes);
}

static void test_listed_again(void)
{
    test_with("listed again", listed_again);
}

static void test_restored(void)
{
    test_with("restored", restored);
}

static void test_verified(void)
{
    test_with("verified", verified);
}

/* Leases that end while etcd is away, and come back. */
static void test_lapse(void)
{
    bool met = true;

    for (long n = 0; met; n++) {
        struct wp_etcd_range *r = NULL;
        world_begin();
        fill(0, 9, 1);
        world.lease_granted = 5;
        world.lease_ends = world.now + wp_etcd_ms(5000);
        CHECK(world_follow(&r) == 0);
        world_run(100);
        failmalloc_after(n);
        world.down = true;
        world_run(8000);
        world.lease_ends = world.now + wp_etcd_ms(1000000);
        world.down = false;
        world_run(100);
        met = failmalloc_stop();
        world_run(30000); /* what was refused is tried again after half a minute */
        settle(r, n);
        CHECK(wp_etcd_tree_outs(r->tree, WP_ETCD_OUT_LAPSED) == 0);
        quit(r);
    }
}

RUN_TESTS(TEST(test_lapse), TEST(test_start), TEST(test_changes), TEST(test_listed_again), TEST(test_restored),
          TEST(test_verified))
