/* Leases that end while etcd says nothing: their keys go on time and come back when etcd says so; while
 * it is there nothing goes by our clock. */
#include "etcd_world.h"

enum { LEASE = 5 };

static struct wp_etcd_range *range;

static void begin(unsigned lease_s)
{
    world_begin();
    world_put_host("/p/z/a", 1);
    world_put("/p/z/l/1", "{\"host\":\"192.0.2.9\"}", 77);
    world_put("/p/z/l/2", "{\"host\":\"192.0.2.8\"}", 77);
    world.lease_granted = lease_s;
    world.lease_ends = world.now + wp_etcd_ms(1000 * lease_s);
    range = NULL;
}

static void follow(void)
{
    CHECK(world_follow(&range) == 0);
    world_run(100);
    CHECK(wp_etcd_range_is_loaded(range) && world_is_same(range));
}

static void end(void)
{
    world.down = world.silent = false;
    wp_etcd_range_put(range);
    CHECK(world.users == 0);
}

static bool is_shown(const char *key)
{
    return world_rec(range, key) != NULL;
}

static size_t lapsed(void)
{
    return wp_etcd_tree_outs(range->tree, WP_ETCD_OUT_LAPSED);
}

/* When it goes, against the true end of the lease. */
static int64_t gone_after_ms(unsigned most_ms)
{
    for (unsigned i = 0; is_shown("/p/z/l/1") && i < most_ms / 10; i++)
        world_run(10);
    CHECK(!is_shown("/p/z/l/1") && !is_shown("/p/z/l/2") && is_shown("/p/z/a"));
    return ((int64_t)world.now - (int64_t)world.lease_ends) / 1000000;
}

static void be_away(unsigned how)
{
    world.down = how == 0;
    world.silent = how == 1;
}

static const char *const ways[] = {"nothing listens", "nothing answers"};

/* etcd goes at any moment of the lease. */
static void test_goes_on_time(void)
{
    for (unsigned how = 0; how < COUNT(ways); how++)
        for (unsigned ms = 0; ms <= 4300; ms += 330) {
            int64_t late;
            begin(LEASE);
            follow();
            world_run(ms);
            be_away(how);
            late = gone_after_ms(10000);
            CHECK_AT(ways[how], late >= 0 && late <= 1050);
            CHECK_AT(ways[how], lapsed() == 2 && wp_etcd_tree_keys(range->tree) == 3);
            world_run(600000);
            CHECK_AT(ways[how], !is_shown("/p/z/l/1") && is_shown("/p/z/a"));
            end();
        }
}

/* Silent so shortly before the end that it must first be sure. */
static void test_silent_just_before(void)
{
    for (unsigned ms = 4500; ms < 5000; ms += 70) {
        int64_t late;
        begin(LEASE);
        follow();
        world_run(ms - 100);
        world.silent = true;
        late = gone_after_ms(10000);
        CHECK(late >= 0 && late <= 1050 + 500);
        end();
    }
}

static void test_comes_back(void)
{
    for (unsigned how = 0; how < COUNT(ways); how++) {
        begin(LEASE);
        follow();
        be_away(how);
        (void)gone_after_ms(10000);
        world.lease_ends = world.now + wp_etcd_ms(3600000); /* renewed elsewhere, with more time */
        world.lease_granted = 3600;
        world_put("/p/z/l/3", "{\"host\":\"192.0.2.7\"}", 77);
        world_put_host("/p/z/b", 3);
        world_run(20000);
        CHECK_AT(ways[how], !is_shown("/p/z/l/1") && !is_shown("/p/z/b"));
        be_away(2);
        world_run(45000); /* a stream that stood still is given up first */
        CHECK_AT(ways[how], world_is_same(range) && lapsed() == 0 && is_shown("/p/z/l/3"));
        CHECK_AT(ways[how], world.n_range < 40 && wp_etcd_range_behind_s(range, world.now) == 0);
        end();
    }
}

/* It was over indeed: the events say so, and nothing comes back for a moment. */
static void test_goes_for_good(void)
{
    begin(LEASE);
    follow();
    world.down = true;
    (void)gone_after_ms(10000);
    world_run(5000);
    world_delete("/p/z/l/1");
    world_delete("/p/z/l/2");
    world.down = false;
    for (unsigned i = 0; i < 1000; i++) {
        world_run(10);
        CHECK(!is_shown("/p/z/l/1") && !is_shown("/p/z/l/2"));
    }
    CHECK(world_is_same(range) && lapsed() == 0 && wp_etcd_tree_keys(range->tree) == 1);
    end();
}

/* Put again under another lease, or under none, while it was hidden. */
static void test_put_again(void)
{
    begin(LEASE);
    follow();
    world.down = true;
    (void)gone_after_ms(10000);
    world_put("/p/z/l/1", "{\"host\":\"192.0.2.9\"}", 78);
    world_put("/p/z/l/2", "{\"host\":\"192.0.2.8\"}", 0);
    world.down = false;
    world.lease_ends = world.now + wp_etcd_ms(100000);
    world_run(10000);
    CHECK(world_is_same(range) && lapsed() == 0);
    end();
}

/* etcd is there: it says itself what is over. */
static void test_alive(void)
{
    begin(LEASE);
    follow();
    for (unsigned i = 0; i < 12000; i++) { /* two minutes, renewed in each third */
        if (i % 150 == 0)
            world.lease_ends = world.now + wp_etcd_ms(1000 * LEASE);
        world_run(10);
        CHECK(is_shown("/p/z/l/1") && is_shown("/p/z/l/2"));
    }
    world.lease_ends = world.now; /* over; nobody revokes it */
    for (unsigned i = 0; i < 1000; i++) {
        world_run(10);
        CHECK(is_shown("/p/z/l/1"));
    }
    end();
}

/* Very many leases, short ones: questions come late, nothing may go for that; and when etcd goes,
 * what was known to live longer than we knew has its whole time. */
static void test_many(void)
{
    begin(3600);
    world.lease_ends = 0;
    world.lease_ttl = world.lease_granted = 4;
    for (unsigned i = 0; i < 400; i++) {
        char key[32];
        snprintf(key, sizeof(key), "/p/z/m%03u", i);
        world_put(key, "{\"host\":\"192.0.2.9\"}", 1000 + i);
    }
    follow();
    for (unsigned i = 0; i < 300; i++) {
        world_run(100);
        CHECK(lapsed() == 0);
    }
    world.down = true;
    world_run(3000);
    CHECK(lapsed() == 0);
    world_run(3000);
    CHECK(lapsed() == 402 && is_shown("/p/z/a") && !is_shown("/p/z/m399"));
    world.down = false;
    world_run(8000);
    CHECK(lapsed() == 0 && world_is_same(range));
    end();
}

/* The process was stopped: what etcd said meanwhile waits to be read. */
static void test_stopped(void)
{
    for (unsigned ms = 0; ms < 6000; ms += 90) {
        begin(LEASE);
        follow();
        world_run(ms);
        world.lease_ends += wp_etcd_ms(60000);
        world.now += wp_etcd_ms(20000); /* no timer, no message */
        for (unsigned i = 0; i < 500; i++) {
            world_run(10);
            CHECK(is_shown("/p/z/l/1"));
        }
        end();
    }
}

static void test_keep(void)
{
    static const struct wp_etcd_lease_bounds bounds = {30, 86400, 0};

    begin(LEASE);
    world.keep_lapsed = true;
    follow();
    world.down = true;
    world_run(600000);
    CHECK(is_shown("/p/z/l/1") && wp_etcd_rec_ttl(world_rec(range, "/p/z/l/1"), &bounds, world.now) == 30);
    end();
}

/* Questions about leases are refused: nothing is known, etcd deletes. */
static void test_refused(void)
{
    begin(LEASE);
    follow();
    world.down = true;
    (void)gone_after_ms(10000);
    world.down = false;
    world.lease_status = WP_GRPC_PERMISSION_DENIED;
    world_run(10000);
    CHECK(world_is_same(range) && lapsed() == 0);
    world.down = true;
    world_run(100000);
    CHECK(world_is_same(range));
    end();
}

/* A listing half-way when etcd goes: what is left of it is not shown with what lapses. */
static void stop_at_second(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status)
{
    if (q->limit > 1 && q->revision == 0) {
        r->n_kvs = 10;
        r->more = true;
    } else if (q->revision != 0) {
        *status = WP_GRPC_UNAVAILABLE;
        w->down = true;
    }
}

static void test_in_the_middle_of_a_listing(void)
{
    begin(LEASE);
    for (unsigned i = 0; i < 40; i++) {
        char key[32];
        snprintf(key, sizeof(key), "/p/z/k%02u", i);
        world_put_host(key, 1);
    }
    follow();
    world.down = true;
    world_run(100);
    for (unsigned i = 0; i < 40; i++) {
        char key[32];
        snprintf(key, sizeof(key), "/p/z/k%02u", i);
        world_put_host(key, 2);
    }
    world.compacted = world.revision;
    world.on_range = stop_at_second;
    world.down = false;
    (void)gone_after_ms(20000);
    CHECK(world.down && world_rec(range, "/p/z/k00")->ttl == 1 && world_rec(range, "/p/z/k39")->ttl == 1);
    world.on_range = NULL;
    world.down = false;
    world.lease_ends = world.now + wp_etcd_ms(100000);
    world_run(15000);
    CHECK(world_is_same(range) && lapsed() == 0);
    end();
}

RUN_TESTS(TEST(test_goes_on_time), TEST(test_silent_just_before), TEST(test_comes_back), TEST(test_goes_for_good), TEST(test_put_again),
          TEST(test_alive), TEST(test_many), TEST(test_stopped), TEST(test_keep), TEST(test_refused), TEST(test_in_the_middle_of_a_listing))
