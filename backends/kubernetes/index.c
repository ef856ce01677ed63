#include "backends/kubernetes/index.h"

#include <stdlib.h>

enum { SLOTS_MIN = 64 };

static struct wp_kube_table *table_new(size_t slots)
{
    struct wp_kube_table *t = calloc(1, sizeof(*t) + slots * sizeof(t->slots[0]));

    if (t != NULL)
        t->mask = slots - 1;
    return t;
}

static void table_free(struct wp_grace_item *item)
{
    free(item); /* the first member */
}

static uint64_t hash_at(const struct wp_kube_table *t, size_t i)
{
    return atomic_load_explicit(&((struct wp_kube_table *)(uintptr_t)t)->slots[i].hash,
                                memory_order_relaxed);
}

static uint64_t value_at(const struct wp_kube_table *t, size_t i)
{
    return atomic_load_explicit(&((struct wp_kube_table *)(uintptr_t)t)->slots[i].value,
                                memory_order_acquire);
}

static void count(struct wp_kube_index *x, size_t slots)
{
    atomic_store_explicit(&x->octets,
                          sizeof(struct wp_kube_table) + slots * sizeof(struct wp_kube_slot),
                          memory_order_relaxed);
}

int wp_kube_index_init(struct wp_kube_index *x)
{
    struct wp_kube_table *t = table_new(SLOTS_MIN);

    if (t == NULL)
        return -ENOMEM;
    x->used = x->gone = 0;
    count(x, SLOTS_MIN);
    atomic_store_explicit(&x->table, t, memory_order_release);
    return 0;
}

void wp_kube_index_done(struct wp_kube_index *x)
{
    free(atomic_load_explicit(&x->table, memory_order_relaxed));
    atomic_store_explicit(&x->table, NULL, memory_order_relaxed);
}

/* The hash goes before the value: who meets the value meets its hash, or that of the next
 * occupant, which is then no match. */
static void put(struct wp_kube_table *t, size_t i, uint64_t hash, uint64_t value)
{
    atomic_store_explicit(&t->slots[i].hash, hash, memory_order_relaxed);
    atomic_store_explicit(&t->slots[i].value, value, memory_order_release);
}

int wp_kube_index_reserve(struct wp_kube_index *x, size_t n)
{
    struct wp_kube_table *t = atomic_load_explicit(&x->table, memory_order_relaxed), *bigger;
    size_t slots = SLOTS_MIN;

    /* At most 7 of 10 slots are not free. What is gone counts: it makes searches long. */
    if ((x->used + x->gone + n) * 10 <= (t->mask + 1) * 7)
        return 0;
    while ((x->used + n) * 20 > slots * 11) /* a while until the next time */
        slots *= 2;
    bigger = table_new(slots);
    if (bigger == NULL)
        return -ENOMEM;
    for (size_t i = 0; i <= t->mask; i++) {
        uint64_t value = value_at(t, i), hash = hash_at(t, i);
        size_t to = (size_t)hash & bigger->mask;
        if (value <= WP_KUBE_INDEX_GONE)
            continue;
        while (value_at(bigger, to) != 0)
            to = (to + 1) & bigger->mask;
        put(bigger, to, hash, value);
    }
    x->gone = 0;
    count(x, slots);
    atomic_fetch_add(&x->tables, 1);
    atomic_store_explicit(&x->table, bigger, memory_order_release);
    atomic_fetch_add(&x->tables, 1);
    wp_grace_retire(&t->grace, table_free);
    return 0;
}

void wp_kube_index_add(struct wp_kube_index *x, uint64_t hash, uint64_t value)
{
    struct wp_kube_table *t = atomic_load_explicit(&x->table, memory_order_relaxed);
    size_t i = (size_t)hash & t->mask;

    for (uint64_t v; (v = value_at(t, i)) > WP_KUBE_INDEX_GONE; i = (i + 1) & t->mask)
        if (v == value && hash_at(t, i) == hash)
            return; /* an address that stands twice in one slice */
    x->gone -= value_at(t, i) == WP_KUBE_INDEX_GONE;
    x->used++;
    put(t, i, hash, value);
}

static struct wp_kube_slot *find(struct wp_kube_table *t, uint64_t hash, uint64_t value)
{
    for (size_t i = (size_t)hash & t->mask;; i = (i + 1) & t->mask) {
        uint64_t v = value_at(t, i);
        if (v == value && hash_at(t, i) == hash)
            return &t->slots[i];
        if (v == 0)
            return NULL;
    }
}

void wp_kube_index_replace(struct wp_kube_index *x, uint64_t hash, uint64_t from, uint64_t to)
{
    struct wp_kube_table *t = atomic_load_explicit(&x->table, memory_order_relaxed);
    struct wp_kube_slot *slot = find(t, hash, from);

    if (slot != NULL)
        atomic_store_explicit(&slot->value, to, memory_order_release);
}

void wp_kube_index_remove(struct wp_kube_index *x, uint64_t hash, uint64_t value)
{
    struct wp_kube_table *t = atomic_load_explicit(&x->table, memory_order_relaxed);
    struct wp_kube_slot *slot = find(t, hash, value);

    if (slot == NULL)
        return;
    atomic_store_explicit(&slot->value, WP_KUBE_INDEX_GONE, memory_order_release);
    x->used--;
    x->gone++;
}

uint64_t wp_kube_table_next(const struct wp_kube_table *t, uint64_t hash, size_t *at)
{
    for (size_t i = ((size_t)hash + *at) & t->mask;; i = (i + 1) & t->mask) {
        uint64_t v = value_at(t, i);
        if (v == 0)
            return 0;
        ++*at;
        if (v != WP_KUBE_INDEX_GONE && hash_at(t, i) == hash)
            return v;
    }
}

uint64_t wp_kube_table_each(const struct wp_kube_table *t, size_t *at)
{
    while (*at <= t->mask) {
        uint64_t v = value_at(t, (*at)++);
        if (v > WP_KUBE_INDEX_GONE)
            return v;
    }
    return 0;
}
