/* The n-th allocation fails while saved data is read, or saved: no data or all of it, and a little
 * later the mirror holds what the store holds. */
#include "failmalloc.h"

#include "keep_world.h"

static void settle(struct wp_etcd_range *r, long n)
{
    world.down = false;
    world_run(130000); /* without memory it may have been told to wait */
    CHECK_AT("in step", wp_etcd_range_behind_s(r, world.now) == 0);
    CHECK_AT("the same", world_is_same(r));
    CHECK(n < 5000);
    keep_written(r);
    wp_etcd_range_put(r);
    CHECK(world.users == 0);
    keep_forget();
}

static void fill(void)
{
    keep_fill(20, 1);
    world_put("/p/z/l/i", "{\"host\":\"a.b\",\"text\":\"t\",\"group\":\"g\",\"port\":-1}", 77);
}

static void test_restore(void)
{
    bool met = true;

    for (long n = 0; met; n++) {
        struct wp_etcd_range *r = NULL;
        int ret;
        keep_begin();
        fill();
        keep_save();
        world.down = true;
        failmalloc_after(n);
        ret = world_follow(&r);
        met = failmalloc_stop();
        if (ret < 0) {
            CHECK(ret == -ENOMEM && world.users == 0);
            keep_forget();
            continue;
        }
        CHECK(!wp_etcd_range_has_data(r) || keep_keys(r) == 21);
        CHECK(wp_etcd_range_has_data(r) || keep_keys(r) == 0);
        CHECK(met || wp_etcd_range_has_data(r));
        if (r->own->keep.state == NULL) { /* it goes without */
            world.down = false;
            world_run(130000);
            CHECK(world_is_same(r));
            wp_etcd_range_put(r);
            keep_forget();
            continue;
        }
        settle(r, n);
    }
}

static void test_save(void)
{
    bool met = true;

    for (long n = 0; met; n++) {
        struct wp_etcd_range *r = NULL;
        keep_begin();
        fill();
        CHECK(world_follow(&r) == 0);
        world_run(500);
        CHECK(wp_etcd_range_is_loaded(r));
        failmalloc_after(n);
        world_run(1000); /* a save begins and ends */
        met = failmalloc_stop();
        settle(r, n);
    }
}

RUN_TESTS_WITH(keep_setup, keep_teardown, TEST(test_restore), TEST(test_save))
