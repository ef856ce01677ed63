/* One writer, readers on other threads: what they find is whole, and has the name that they asked for; nothing
 * that they hold is freed (the sanitizers see to that). */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

#include "backends/nomad/build.h"
#include "waypost/base/grace.h"

enum { READERS = 2, NAMES = 300, STEPS = 20000 };

static struct wp_nomad_store *store;
static atomic_bool over;
static atomic_size_t n_found, n_torn;
static struct {
    char name[12];
    uint64_t hash;
} names[NAMES];

static void look(unsigned i)
{
    size_t len = strlen(names[i].name);
    const struct wp_nomad_service *v =
        wp_nomad_store_find(store, names[i].hash, names[i].name, len, "default", 7);
    bool whole = true;

    if (v == NULL)
        return;
    whole &= v->name_len == len && memcmp(wp_nomad_service_name(v), names[i].name, len) == 0;
    for (uint32_t n = 0; n < v->n; n++) /* as many as its port says, all alike */
        whole &= v->instances[n].port == v->n && v->instances[n].addr[3] == i % 256;
    atomic_fetch_add(&n_found, 1);
    atomic_fetch_add(&n_torn, !whole);
}

static void *read_all(void *arg)
{
    int slot = wp_grace_register();

    (void)arg;
    for (unsigned i = 0; !atomic_load(&over); i++) {
        wp_grace_online(slot);
        for (unsigned n = 0; n < 20; n++) {
            wp_nomad_store_prefetch(store, names[(i + n) % NAMES].hash, n % 2);
            look((i + n) % NAMES);
        }
        wp_grace_offline(slot);
    }
    wp_grace_unregister(slot);
    return NULL;
}

static void put(struct wp_nomad_build *b, unsigned i, unsigned n)
{
    struct wp_nomad_registration r = {.port = (uint16_t)n};
    char address[20];
    struct wp_nomad_service *v;

    r.address = (struct wp_nomad_text){address, (size_t)snprintf(address, sizeof(address), "10.0.0.%u", i % 256)};
    wp_nomad_build_begin(b);
    for (unsigned k = 0; k < n; k++)
        CHECK(wp_nomad_build_add(b, &r) == 0);
    v = wp_nomad_build_end(b, names[i].hash, names[i].name, strlen(names[i].name), "default", 7);
    CHECK(v != NULL && wp_nomad_store_put(store, v) == 0);
}

static void test_readers(void)
{
    struct wp_nomad_build b = {0};
    pthread_t threads[READERS];

    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(names[i].name, sizeof(names[i].name), "s%u", i);
        names[i].hash = wp_nomad_hash(names[i].name, strlen(names[i].name), "default", 7);
    }
    CHECK(wp_nomad_store_new(1, &store) == 0);
    for (unsigned t = 0; t < READERS; t++)
        CHECK(pthread_create(&threads[t], NULL, read_all, NULL) == 0);
    for (unsigned step = 0, x = 1; step < STEPS || (atomic_load(&n_found) == 0 && step < 1000 * STEPS); step++) {
        struct wp_nomad_service *v;
        unsigned i;
        x = x * 1103515245u + 12345u;
        i = (x >> 8) % NAMES;
        v = wp_nomad_store_get(store, names[i].hash, names[i].name, strlen(names[i].name), "default", 7);
        if (v != NULL && (x >> 29) == 0)
            wp_nomad_store_remove(store, v);
        else
            put(&b, i, (x >> 20) % 8);
        if (step % 64 == 0)
            wp_nomad_store_reap();
    }
    atomic_store(&over, true);
    for (unsigned t = 0; t < READERS; t++)
        pthread_join(threads[t], NULL);
    CHECK(n_torn == 0 && n_found > 0);
    while (wp_nomad_store_reap() > 0)
        ;
    wp_nomad_store_free(store);
    wp_nomad_build_done(&b);
}

RUN_TESTS(TEST(test_readers))
