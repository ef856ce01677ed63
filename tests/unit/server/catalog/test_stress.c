/* One writer, several readers without a lock. Names that are never removed must be found at
 * every moment, with a body that belongs to them; what a reader holds stays readable until it
 * says that its turn is over. The sanitizers see the rest. */
#include "catalog_fixture.h"
#include <pthread.h>
#include <stdlib.h>

enum { READERS = 3, STAYING = 400, COMING = 4000, CHANGES = 60000 };

static struct wp_catalog *shared;
static atomic_bool over;
static struct wp_qname staying[STAYING];
static atomic_uint wrong;

/* The body of name i ends in i's low octet, whatever was written to it. */
static bool is_right(const struct wp_entry *e, unsigned i)
{
    return e != NULL && last_octet(e) == (uint8_t)i && e->name_len == staying[i].len;
}

static void *read_on(void *arg)
{
    struct wp_query *q = calloc(1, sizeof(*q));
    unsigned n = 0, x = (unsigned)(uintptr_t)arg * 7919 + 1;
    int slot = wp_grace_register();

    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        const struct wp_entry *held[8];
        unsigned of[8];

        for (unsigned j = 0; j < 8; j++) {
            struct wp_seek s;

            x = x * 1664525u + 1013904223u;
            of[j] = (x >> 8) % STAYING;
            q->n_deps = 0;
            q->cacheable = true;
            wp_catalog_seek(shared, &staying[of[j]], q, &s);
            held[j] = s.exact ? s.entry : NULL;
        }
        for (unsigned j = 0; j < 8; j++)
            if (!is_right(held[j], of[j]))
                atomic_fetch_add(&wrong, 1);
        if (++n % 64 == 0) {
            wp_grace_offline(slot);
            wp_grace_online(slot);
        } else {
            wp_grace_quiescent(slot);
        }
    }
    wp_grace_unregister(slot);
    free(q);
    return NULL;
}

static void name_of(bool stays, unsigned i, char out[64])
{
    snprintf(out, 64, "%c%u.d%u.example.org.", stays ? 's' : 'c', i, i % 13);
}

static void test_readers_and_writer(void)
{
    pthread_t readers[READERS];
    unsigned char *there = calloc(COMING, 1);
    unsigned x = 1;
    char name[64];

    shared = catalog("example.org.", WP_CATALOG_LIVE);
    for (unsigned i = 0; i < STAYING; i++) {
        name_of(true, i, name);
        staying[i] = qname(name);
        CHECK(put(shared, name, (uint8_t)i) == 0);
    }
    for (uintptr_t i = 0; i < READERS; i++)
        CHECK(pthread_create(&readers[i], NULL, read_on, (void *)i) == 0);
    for (unsigned n = 0; n < CHANGES; n++) {
        unsigned i;

        x = x * 1664525u + 1013904223u;
        i = (x >> 8) % COMING;
        if (n % 4 == 0) {
            name_of(true, i % STAYING, name);
            CHECK(put(shared, name, (uint8_t)(i % STAYING)) == 0);
            continue;
        }
        name_of(false, i, name);
        CHECK_AT(name, (there[i] ? del(shared, name) : put(shared, name, 1)) == 0);
        there[i] = !there[i];
        if (n % 1024 == 0)
            wp_grace_reclaim();
    }
    atomic_store(&over, true);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    CHECK(atomic_load(&wrong) == 0);
    wp_catalog_free(shared);
    CHECK(wp_grace_reclaim() == 0);
    free(there);
}

RUN_TESTS(TEST(test_readers_and_writer))
