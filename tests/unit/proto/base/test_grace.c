#include "check.h"
#include "waypost/base/grace.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

static int freed;

static void count_free(struct wp_grace_item *item)
{
    (void)item;
    freed++;
}

static void test_waits_for_every_reader(void)
{
    struct wp_grace_item a, b;
    int one = wp_grace_register(), two = wp_grace_register();

    CHECK(one >= 0 && two >= 0 && one != two);
    freed = 0;
    wp_grace_retire(&a, count_free);
    CHECK(wp_grace_reclaim() == 1 && freed == 0);
    wp_grace_quiescent(one);
    CHECK(wp_grace_reclaim() == 1 && freed == 0);
    wp_grace_quiescent(two);
    CHECK(wp_grace_reclaim() == 0 && freed == 1);

    wp_grace_offline(one); /* blocking: holds nothing */
    wp_grace_retire(&b, count_free);
    CHECK(wp_grace_reclaim() == 1);
    wp_grace_online(one); /* woke after the swap: sees the new pointer */
    wp_grace_unregister(two);
    CHECK(wp_grace_reclaim() == 0 && freed == 2);
    wp_grace_unregister(one);
}

static struct wp_grace_item inner;

static void free_and_retire(struct wp_grace_item *item)
{
    (void)item;
    freed++;
    wp_grace_retire(&inner, count_free);
}

static void test_free_may_retire(void)
{
    struct wp_grace_item outer;

    freed = 0;
    wp_grace_retire(&outer, free_and_retire);
    wp_grace_reclaim();
    wp_grace_reclaim();
    CHECK(freed == 2);
}

static void test_slots_run_out(void)
{
    int slots[WP_GRACE_READERS_MAX];

    for (int i = 0; i < WP_GRACE_READERS_MAX; i++) {
        slots[i] = wp_grace_register();
        CHECK(slots[i] >= 0);
    }
    CHECK(wp_grace_register() == -1);
    wp_grace_unregister(-1);
    for (int i = 0; i < WP_GRACE_READERS_MAX; i++)
        wp_grace_unregister(slots[i]);
    CHECK(wp_grace_register() >= 0);
    wp_grace_unregister(0);
}

/* Readers follow a pointer that writers keep swapping: a box freed too early is a
 * use-after-free under the sanitizers, and its mark is gone without them. */
struct box {
    struct wp_grace_item grace;
    unsigned mark;
};
enum { ALIVE = 0x600d, ROUNDS = 20000, READERS = 3, WRITERS = 2 };
static struct box *_Atomic shared;
static atomic_bool stop;
static atomic_int live, bad;

static struct box *box_new(void)
{
    struct box *b = malloc(sizeof(*b));

    b->mark = ALIVE;
    atomic_fetch_add(&live, 1);
    return b;
}

static void box_free(struct wp_grace_item *item)
{
    struct box *b = (struct box *)item;

    b->mark = 0xdead;
    free(b);
    atomic_fetch_sub(&live, 1);
}

static void *read_boxes(void *arg)
{
    int slot = wp_grace_register();

    (void)arg;
    for (unsigned turn = 0; !atomic_load(&stop); turn++) {
        struct box *b = atomic_load_explicit(&shared, memory_order_acquire);
        if (b->mark != ALIVE)
            atomic_fetch_add(&bad, 1);
        if (turn % 16 == 0) {
            wp_grace_offline(slot);
            wp_grace_online(slot);
        } else {
            wp_grace_quiescent(slot);
        }
    }
    wp_grace_unregister(slot);
    return NULL;
}

static void *write_boxes(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct box *old = atomic_exchange_explicit(&shared, box_new(), memory_order_acq_rel);
        wp_grace_retire(&old->grace, box_free);
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t readers[READERS], writers[WRITERS];

    atomic_store(&shared, box_new());
    for (int i = 0; i < READERS; i++)
        CHECK(pthread_create(&readers[i], NULL, read_boxes, NULL) == 0);
    for (int i = 0; i < WRITERS; i++)
        CHECK(pthread_create(&writers[i], NULL, write_boxes, NULL) == 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    CHECK(wp_grace_reclaim() == 0);
    CHECK(atomic_load(&bad) == 0);
    CHECK(atomic_load(&live) == 1);
    free(atomic_load(&shared));
}

RUN_TESTS(TEST(test_waits_for_every_reader), TEST(test_free_may_retire), TEST(test_slots_run_out),
          TEST(test_threads))
