/* The n-th allocation fails: an error that says so, nothing is lost, and the same works afterwards.
 */
#include "failmalloc.h"
#include "state_world.h"

static void test_new(void)
{
    struct wp_state_config c = {
        .dir = world_dir, .backend = "test", .source = "test", .identity = "id"};

    for (long n = 0;; n++) {
        struct wp_state *s = NULL;
        int r;
        failmalloc_after(n);
        r = wp_state_new(&c, &s);
        if (!failmalloc_stop()) {
            CHECK(r == 0 && n > 3);
            wp_state_free(s);
            break;
        }
        /* metrics and the name's digest do without, or say so */
        CHECK((r == -ENOMEM && s == NULL) || (r == 0 && s != NULL));
        CHECK(n < 100);
        wp_state_free(s);
    }
}

static void test_save(void)
{
    struct wp_state *s = world_state(world_dir, "test", "id", 0);
    struct world_seen seen;

    CHECK(world_save(s, 3, 10, 1) == 0);
    for (long n = 0;; n++) {
        int r;
        failmalloc_after(n);
        r = world_save(s, 3000, 100, 2);
        if (!failmalloc_stop()) {
            CHECK(r == 0 && n > 3);
            break;
        }
        CHECK(r == -ENOMEM && n < 100);
        CHECK(world_read(s, &seen) == 0 && seen.n == 3);
    }
    CHECK(world_read(s, &seen) == 0 && seen.n == 3000);
    wp_state_free(s);
    world_empty(world_dir);
}

static void test_read(void)
{
    struct wp_state *s = world_state(world_dir, "test", "id", 0);
    struct world_seen seen;

    CHECK(world_save(s, 3000, 100, 1) == 0);
    for (long n = 0;; n++) {
        int r;
        failmalloc_after(n);
        r = world_read(s, &seen);
        if (!failmalloc_stop()) {
            CHECK(r == 0 && seen.n == 3000 && n > 2);
            break;
        }
        CHECK(r == -ENOMEM && n < 100 && !world_has(wp_state_path(s), ".bad"));
    }
    wp_state_free(s);
    world_empty(world_dir);
}

RUN_TESTS_WITH(world_setup, world_teardown, TEST(test_new), TEST(test_save), TEST(test_read))
