/* Checks of allocations when memory runs out at any point: what cannot be followed counts as well, nothing is lost
 * or left. */
#include "failmalloc.h"
#include "health_world.h"

static void test_no_memory(void)
{
    for (long n = 0;; n++) {
        struct wp_nomad_health *h = world_new(10 * S);
        char id[32];
        failmalloc_after(n);
        for (int i = 0; i < 100; i++) { /* the table grows once */
            snprintf(id, sizeof(id), "a%d", i);
            CHECK(!world_read(h, id, "web"));
        }
        world_until(world.now + S);
        if (!failmalloc_stop()) {
            CHECK(n > 200 && wp_nomad_health_figures(h).allocations == 100);
            world_end(h);
            break;
        }
        /* Whatever failed is made up for when the registration is read again. */
        for (int i = 0; i < 100; i++) {
            snprintf(id, sizeof(id), "a%d", i);
            CHECK(!world_read(h, id, "web"));
        }
        CHECK(wp_nomad_health_figures(h).allocations == 100);
        world_until(world.now + 2 * S);
        CHECK(world.flying == WP_NOMAD_CHECKS_FLYING);
        world_answer(world.asked[0].alloc, 200, 0,
                     "{\"1\":{\"Service\":\"web\",\"Status\":\"failure\"}}");
        CHECK(world_read(h, world.asked[0].alloc, "web"));
        world_end(h);
    }
}

RUN_TESTS(TEST(test_no_memory))
