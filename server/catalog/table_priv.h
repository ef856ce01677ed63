/* The hash table of a catalog: open addressing over one array of 64-bit slots. A slot is the
 * entry's address in its lower 48 bits and the upper 16 bits of the name's hash above them, so
 * one atomic load gives both and a probe that meets another name nearly never touches that
 * name's entry. Removed names leave a tombstone: moving entries would hide them from readers.
 * Growing publishes a new table; the old one goes after a grace period. */
#pragma once
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "waypost/base/grace.h"
#include "waypost/plugin/catalog.h"

struct wp_table {
    struct wp_grace_item grace;
    uint64_t mask; /* slots - 1 */
    size_t live;   /* entries */
    size_t used;   /* entries and tombstones */
    _Atomic uint64_t slot[];
};

/* 48 bits hold every user-space address of x86-64 and AArch64 unless a program asks the kernel
 * for more with a hint, which nothing here does. */
#define WP_SLOT_ADDRESS ((UINT64_C(1) << 48) - 1)
#define WP_SLOT_GONE UINT64_C(1) /* a tombstone; its tag is 0 */

static inline const struct wp_entry *wp_slot_entry(uint64_t slot)
{
    return (const struct wp_entry *)(uintptr_t)(slot & WP_SLOT_ADDRESS);
}

struct wp_table *wp_table_new(size_t n_names); /* NULL: no memory */
static inline size_t wp_table_octets(const struct wp_table *t)
{
    return sizeof(*t) + (t->mask + 1) * sizeof(t->slot[0]);
}
/* The name's entry, or NULL. ret_at (may be NULL): where its slot is; the writer's only, since a
 * slot may have changed by the time a reader looks again. */
static inline const struct wp_entry *wp_table_find(const struct wp_table *t, const uint8_t *lower,
                                                   size_t len, uint64_t hash, uint64_t *ret_at)
{
    /* There is always an empty slot: at most three quarters are ever used. */
    for (uint64_t i = hash & t->mask;; i = (i + 1) & t->mask) {
        _Atomic uint64_t *at = (_Atomic uint64_t *)(uintptr_t)&t->slot[i];
        uint64_t slot = atomic_load_explicit(at, memory_order_acquire);
        const struct wp_entry *e;

        if (slot == 0)
            return NULL;
        if (((slot ^ hash) & ~WP_SLOT_ADDRESS) != 0 || slot == WP_SLOT_GONE)
            continue;
        e = wp_slot_entry(slot);
        if (e->name_len != len || memcmp(wp_entry_name(e), lower, len) != 0)
            continue;
        if (ret_at != NULL)
            *ret_at = i;
        return e;
    }
}
/* Would one more of n names need another table? */
static inline bool wp_table_is_full(const struct wp_table *t, size_t n)
{
    return t->used + n > (t->mask + 1) / 4 * 3;
}
/* The name is not there and the table is not full. */
void wp_table_add(struct wp_table *t, const struct wp_entry *e, uint64_t hash);
void wp_table_replace(struct wp_table *t, uint64_t at, const struct wp_entry *e);
void wp_table_remove(struct wp_table *t, uint64_t at);
/* The same entries with room for n names at all. NULL: no memory. */
struct wp_table *wp_table_copy(const struct wp_table *t, size_t n_names);
