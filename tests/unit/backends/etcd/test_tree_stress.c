/* Readers beside the writer. Each batch gives every key of a service the same new stamp, or takes
 * them all away: a reader must find all of them with one stamp, or none, whatever it meets. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

#include "backends/etcd/lease.h"
#include "backends/etcd/tree.h"

enum { READERS = 2, INSTANCES = 7, SERVICES = 40, BATCHES = 4000 };

static struct wp_etcd_tree *tree;
static atomic_bool over;
static atomic_ulong n_reads, n_mixed, n_whole;

static void drop(void *arg, struct wp_etcd_lease *lease)
{
    (void)arg;
    (void)lease;
}

static void look(unsigned service)
{
    struct wp_etcd_snap s = wp_etcd_tree_snap(tree);
    const struct wp_etcd_rec *r;
    struct wp_etcd_walk w;
    uint32_t stamp = 0;
    size_t n = 0, budget = 1 << 20;
    char path[32];
    int len = snprintf(path, sizeof(path), "/test/s%u", service);

    wp_etcd_snap_walk(&s, path, (size_t)len,
                      wp_etcd_path_hash(path, (size_t)len, 0, wp_name_hash_root()), &w);
    while ((r = wp_etcd_walk_next(&w, &budget)) != NULL) {
        if (n++ > 0 && r->ttl != stamp)
            atomic_fetch_add(&n_mixed, 1);
        stamp = r->ttl;
    }
    if (n != 0 && n != INSTANCES)
        atomic_fetch_add(&n_mixed, 1);
    atomic_fetch_add(&n_whole, n == INSTANCES);
    atomic_fetch_add(&n_reads, 1);
}

static void *read_on(void *arg)
{
    unsigned service = *(const unsigned *)arg;
    int slot = wp_grace_register();

    while (!atomic_load(&over)) {
        look(service++ % SERVICES);
        wp_grace_quiescent(slot);
    }
    wp_grace_unregister(slot);
    return NULL;
}

static void write_batch(unsigned batch)
{
    unsigned service = (batch * 7) % SERVICES;
    bool remove = batch % 5 == 4;
    struct wp_etcd_value v = {.kind = WP_ETCD_A, .addr = {192, 0, 2, 1}, .ttl = batch + 1};
    struct wp_etcd_batch_size size;

    for (unsigned i = 0; i < INSTANCES; i++) {
        char key[32];
        int len = snprintf(key, sizeof(key), "/test/s%u/%u", service, i);
        if (remove)
            CHECK(wp_etcd_tree_del(tree, key, (size_t)len, batch + 1) >= 0);
        else
            CHECK(wp_etcd_tree_put(tree, key, (size_t)len, &v, NULL, batch + 1) >= 0);
    }
    wp_etcd_tree_publish(tree, false, &size);
    wp_etcd_tree_reap(tree);
}

static void test_batches_are_seen_whole(void)
{
    struct wp_etcd_tree_config c = {.source = 1, .base = "/test", .drop = drop};
    unsigned first[READERS] = {0, SERVICES / 2};
    pthread_t threads[READERS];

    CHECK(wp_etcd_tree_new(&c, &tree) == 0);
    for (unsigned i = 0; i < READERS; i++)
        CHECK(pthread_create(&threads[i], NULL, read_on, &first[i]) == 0);
    for (unsigned batch = 0; batch < BATCHES || atomic_load(&n_reads) < 1000; batch++)
        write_batch(batch);
    atomic_store(&over, true);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    CHECK(atomic_load(&n_mixed) == 0);
    CHECK(atomic_load(&n_whole) > 0);
    while (wp_etcd_tree_reap(tree) > 0)
        ;
    wp_etcd_tree_free(tree);
}

RUN_TESTS(TEST(test_batches_are_seen_whole))
