/* Tokens that end while the stream goes on: simple ones last some minutes after their last use, and
 * verifications come every ten. */
#include "etcd_world.h"

enum { TOKEN_S = 300 };

static struct wp_etcd_range *range;

static void begin(void)
{
    world_begin();
    world.token_s = TOKEN_S;
    world_put_host("/p/z/a", 1);
    world_put_host("/p/z/b", 2);
    CHECK(world_follow(&range) == 0);
    world_run(100);
    CHECK(world_is_same(range) && wp_etcd_range_behind_s(range, world.now) == 0 && world.token == 1);
}

static void end(void)
{
    wp_etcd_range_put(range);
    CHECK(world.users == 0);
}

static void lose_an_event(unsigned host)
{
    world.mute_events = true;
    world_put_host("/p/z/a", host);
    world_run(100);
    world.mute_events = false;
    CHECK(!world_is_same(range));
}

static void test_verification(void)
{
    begin();
    for (unsigned i = 0; i < 3; i++) {
        unsigned before = world.token;
        lose_an_event(10 + i);
        world_run(12 * 60000);
        CHECK(world_is_same(range));
        CHECK(world.token - before <= 3); /* one for all the calls of a verification */
    }
    end();
}

/* Refused now: the stream lives, the data is in step, and the server is not asked again and again. */
static void test_wrong_password(void)
{
    unsigned asked;

    begin();
    world.wrong_password = true;
    world.token++; /* as after a change of users: the old ones are good no more */
    world_put("/p/z/l", "{\"host\":\"192.0.2.9\"}", 5);
    asked = world.n_authenticate;
    world_run(60 * 60000);
    CHECK(wp_etcd_range_behind_s(range, world.now) == 0 && world_is_same(range));
    CHECK(world.n_authenticate > asked && world.n_authenticate - asked <= 3600 / 30 + 1);
    world.wrong_password = false;
    lose_an_event(20);
    world_run(12 * 60000);
    CHECK(world_is_same(range) && world.token >= 2);
    end();
}

/* A session that authenticated anew more than once is none that fails. */
static void test_sessions(void)
{
    begin();
    for (unsigned i = 0; i < 4; i++) {
        world_run(20 * 60000);
        world.down = true;
        world_run(50);
        world_put_host("/p/z/b", 30 + i);
        world.down = false;
        world_run(10000);
        CHECK(world_is_same(range) && wp_etcd_range_behind_s(range, world.now) == 0);
    }
    end();
}

RUN_TESTS(TEST(test_verification), TEST(test_wrong_password), TEST(test_sessions))
