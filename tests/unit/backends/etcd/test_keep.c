/* What a mirror saves, and what the next one makes of it: away, back, changed, wiped, with leases.
 */
#include "keep_world.h"

static unsigned host_of(const struct wp_etcd_range *r, const char *key)
{
    const struct wp_etcd_rec *rec = world_rec(r, key);

    return rec != NULL ? rec->ttl : 0;
}

/* etcd away from the start, then back. */
static struct wp_etcd_range *start_away(void)
{
    struct wp_etcd_range *r = NULL;

    world.down = true;
    CHECK(world_follow(&r) == 0);
    world_run(1000);
    return r;
}

static void come_back(struct wp_etcd_range *r)
{
    world.down = false;
    world_run(15000);
    CHECK(wp_etcd_range_is_loaded(r) && wp_etcd_range_behind_s(r, world.now) == 0);
}

static void quit(struct wp_etcd_range *r)
{
    keep_written(r);
    wp_etcd_range_put(r);
    CHECK(world.users == 0);
    keep_forget();
}

static void test_nothing_saved(void)
{
    struct wp_etcd_range *r;

    keep_begin();
    keep_fill(40, 1);
    r = start_away();
    CHECK(!wp_etcd_range_has_data(r) && !atomic_load(&r->own->restoring));
    come_back(r);
    CHECK(world_is_same(r));
    quit(r);
}

static const struct {
    const char *what;
    unsigned n, host; /* of the keys when etcd comes back */
    bool older, other;
    bool held; /* the saved data is served on for a while */
} rows[] = {
    {"the same", 40, 1, false, false, false},
    {"all values differ", 40, 2, false, false, false},
    {"more keys", 60, 1, false, false, false},
    {"most are gone from the same store", 1, 1, false, false, false},
    {"an older state with all keys", 40, 1, true, false, false},
    {"an older state, other values", 40, 3, true, false, false},
    {"an older state, nearly empty", 1, 1, true, false, true},
    {"another cluster, nearly empty", 1, 1, false, true, true},
    {"another cluster, other values", 40, 4, false, true, false},
};

static void change_store(size_t i)
{
    if (rows[i].older || rows[i].other || rows[i].n < 40)
        world_wipe(rows[i].older ? 1 : world.revision);
    if (rows[i].other)
        world.cluster_id = 8;
    if (rows[i].host != 1 || world.n_keys != rows[i].n)
        keep_fill(rows[i].n, rows[i].host);
}

static void test_back(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_etcd_range *r;
        keep_begin();
        keep_fill(40, 1);
        world.revision += 1000;
        keep_save();
        r = start_away();
        CHECK_AT(rows[i].what, keep_is_saved(r) && keep_keys(r) == 40);
        CHECK_AT(rows[i].what, host_of(r, "/p/z/k039/i") == 1);
        CHECK_AT(rows[i].what, wp_etcd_range_behind_s(r, world.now) > 0);
        change_store(i);
        if (rows[i].held) {
            world.down = false;
            world_run(60000);
            CHECK_AT(rows[i].what, keep_is_saved(r) && keep_keys(r) == 40);
            world_run(WP_ETCD_HOLD_MS);
        }
        come_back(r);
        CHECK_AT(rows[i].what, world_is_same(r) && keep_keys(r) == rows[i].n);
        quit(r);
    }
}

/* Saved again when something changes, at most every half a minute, and at the end. */
static void test_saves(void)
{
    struct wp_etcd_range *r = NULL;

    keep_begin();
    keep_fill(40, 1);
    CHECK(world_follow(&r) == 0);
    world_run(5000);
    keep_written(r);
    CHECK(!wp_state_is_dirty(r->own->keep.state));
    world_put_host("/p/z/k000/i", 50);
    world_run(5000);
    CHECK(wp_state_is_dirty(r->own->keep.state)); /* too soon */
    world_run(30000);
    keep_written(r);
    CHECK(!wp_state_is_dirty(r->own->keep.state));
    world_put_host("/p/z/k000/i", 51);
    world_run(10);
    CHECK(wp_state_is_dirty(r->own->keep.state));
    wp_etcd_range_put(r);
    r = start_away();
    CHECK(keep_is_saved(r) && host_of(r, "/p/z/k000/i") == 51);
    CHECK(!wp_state_is_dirty(r->own->keep.state)); /* that is no data of its own */
    quit(r);
}

static void test_leases(void)
{
    struct wp_etcd_range *r;

    keep_begin();
    world.lease_ttl = 100;
    keep_fill(10, 1);
    world_put("/p/z/a/i", "{\"host\":\"192.0.2.9\",\"ttl\":9}", 77);
    world_put("/p/z/b/i", "{\"host\":\"192.0.2.8\",\"ttl\":8}", 78);
    keep_save();
    r = start_away();
    CHECK(keep_keys(r) == 12 && host_of(r, "/p/z/a/i") == 9);
    world_run(90000);
    CHECK(keep_keys(r) == 12);
    world_run(15000); /* they end, and nobody says otherwise */
    CHECK(keep_is_saved(r) && keep_keys(r) == 10 && host_of(r, "/p/z/a/i") == 0);
    come_back(r); /* they had been renewed */
    CHECK(world_is_same(r) && keep_keys(r) == 12);
    world_run(200000);
    CHECK(keep_keys(r) == 12); /* etcd says when a lease is over */
    quit(r);
}

/* A range leaves in the midst of reading, of saving, of a sweep. */
static void test_leaving(void)
{
    for (unsigned ms = 0; ms < 12; ms++) {
        struct wp_etcd_range *r = NULL;
        keep_begin();
        keep_fill(400, 1);
        world_put("/p/z/a/i", "{\"host\":\"192.0.2.9\"}", 77);
        keep_save();
        world.down = ms % 2 == 0;
        CHECK(world_follow(&r) == 0);
        world_run(ms < 6 ? ms : ms * 100000);
        quit(r);
    }
}

/* A file that would take more than the mirror may. */
static void test_too_large(void)
{
    struct wp_etcd_range *r;

    keep_begin();
    keep_fill(400, 1);
    keep_save();
    world.memory = 20000;
    r = start_away();
    CHECK(!wp_etcd_range_has_data(r) && keep_keys(r) == 0);
    quit(r);
}

RUN_TESTS_WITH(keep_setup, keep_teardown, TEST(test_nothing_saved), TEST(test_back),
               TEST(test_saves), TEST(test_leases), TEST(test_leaving), TEST(test_too_large))
