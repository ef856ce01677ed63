/* From hashes to values, several for one hash: open addressing, linear probing. One thread
 * writes, readers walk without a lock, within one turn. An entry never moves within its table; a
 * larger table replaces the whole. Readers verify what they find: the hash is all that is kept of
 * a key. Pairs of hash and value are unique, the writer sees to that. */
#pragma once
#include <stdatomic.h>
#include <stdint.h>
#include "waypost/base/err.h"
#include "waypost/base/grace.h"

enum { WP_KUBE_INDEX_GONE = 1 }; /* values are greater: addresses, or hashes made so */

struct wp_kube_slot {
    _Atomic uint64_t hash, value; /* value 0: free since ever, the end of a search */
};
struct wp_kube_table {
    struct wp_grace_item grace;
    size_t mask;
    struct wp_kube_slot slots[];
};
struct wp_kube_index {
    _Atomic(struct wp_kube_table *) table;
    _Atomic size_t octets; /* any thread */
    size_t used, gone;     /* the writer's, as */
    /* two more for each table after the first: one before it is there, one after; any thread */
    _Atomic unsigned tables;
};

int wp_kube_index_init(struct wp_kube_index *x) WP_MUSTCHECK;
void wp_kube_index_done(struct wp_kube_index *x); /* no reader left */

/* Writer. Room for n more; -ENOMEM. */
int wp_kube_index_reserve(struct wp_kube_index *x, size_t n) WP_MUSTCHECK;
/* Its place comes into the cache meanwhile: for many that are added or looked for at once. */
static inline void wp_kube_index_expect(const struct wp_kube_index *x, uint64_t hash)
{
    const struct wp_kube_table *t =
        atomic_load_explicit(&((struct wp_kube_index *)(uintptr_t)x)->table, memory_order_relaxed);

    __builtin_prefetch(&t->slots[hash & t->mask], 1);
}
/* Two additions of one pair in a row are one. */
void wp_kube_index_add(struct wp_kube_index *x, uint64_t hash, uint64_t value);
void wp_kube_index_replace(struct wp_kube_index *x, uint64_t hash, uint64_t from, uint64_t to);
void wp_kube_index_remove(struct wp_kube_index *x, uint64_t hash, uint64_t value);

/* Readers, and the writer. Take the table once, then ask until 0; *at starts as 0 and is
 * opaque. */
static inline const struct wp_kube_table *wp_kube_index_table(const struct wp_kube_index *x)
{
    return atomic_load_explicit(&((struct wp_kube_index *)(uintptr_t)x)->table,
                                memory_order_acquire);
}
uint64_t wp_kube_table_next(const struct wp_kube_table *t, uint64_t hash, size_t *at);
/* Every value, whatever its hash. */
uint64_t wp_kube_table_each(const struct wp_kube_table *t, size_t *at);
