#include "server/catalog/table_priv.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS_MIN = 16 };

static uint64_t slot_of(const struct wp_entry *e, uint64_t hash)
{
    uint64_t address = (uint64_t)(uintptr_t)e;

    assert((address & ~WP_SLOT_ADDRESS) == 0);
    return (hash & ~WP_SLOT_ADDRESS) | address;
}

struct wp_table *wp_table_new(size_t n_names)
{
    uint64_t slots = SLOTS_MIN;
    struct wp_table *t;

    while (slots / 4 * 3 < n_names)
        slots *= 2;
    /* calloc: large tables come as untouched zero pages, no pass over them */
    t = calloc(1, sizeof(*t) + slots * sizeof(t->slot[0]));
    if (t != NULL)
        t->mask = slots - 1;
    return t;
}

void wp_table_add(struct wp_table *t, const struct wp_entry *e, uint64_t hash)
{
    for (uint64_t i = hash & t->mask;; i = (i + 1) & t->mask) {
        uint64_t slot = atomic_load_explicit(&t->slot[i], memory_order_relaxed);

        if (slot != 0 && slot != WP_SLOT_GONE)
            continue;
        t->used += slot == 0;
        t->live++;
        atomic_store_explicit(&t->slot[i], slot_of(e, hash), memory_order_release);
        return;
    }
}

void wp_table_replace(struct wp_table *t, uint64_t at, const struct wp_entry *e)
{
    uint64_t tag = atomic_load_explicit(&t->slot[at], memory_order_relaxed);

    atomic_store_explicit(&t->slot[at], slot_of(e, tag), memory_order_release);
}

void wp_table_remove(struct wp_table *t, uint64_t at)
{
    atomic_store_explicit(&t->slot[at], WP_SLOT_GONE, memory_order_release);
    t->live--;
}

struct wp_table *wp_table_copy(const struct wp_table *t, size_t n_names)
{
    struct wp_table *copy = wp_table_new(n_names);

    if (copy == NULL)
        return NULL;
    for (uint64_t i = 0; i <= t->mask; i++) {
        uint64_t slot = atomic_load_explicit(&t->slot[i], memory_order_relaxed);

        if (slot == 0 || slot == WP_SLOT_GONE)
            continue;
        /* the slot holds too few bits of the hash for a larger table */
        wp_table_add(copy, wp_slot_entry(slot), wp_name_hash(wp_entry_name(wp_slot_entry(slot))));
    }
    return copy;
}
