#include <stdlib.h>

#include "backends/etcd/tree_priv.h"

static const uint64_t GONE = 2; /* a tombstone: no address has bit 1 */
static const uint64_t ADDRESS = 0x0000fffffffffff8u;

static uint64_t slot_of(enum wp_etcd_slot kind, uint64_t hash, const struct wp_etcd_rec *rec)
{
    return (hash & ~UINT64_C(0xffffffffffff)) | (uint64_t)(uintptr_t)rec | (uint64_t)kind;
}

static struct wp_etcd_rec *rec_of(uint64_t slot)
{
    return (struct wp_etcd_rec *)(uintptr_t)(slot &
                                             ADDRESS); /* NULL of free slots and tombstones */
}

static bool is_slot(uint64_t slot, enum wp_etcd_slot kind, const char *path, size_t len,
                    uint64_t hash)
{
    const struct wp_etcd_rec *rec = rec_of(slot);

    if (rec == NULL || (slot ^ hash) >> 48 != 0 || (slot & 1) != (uint64_t)kind)
        return false;
    return kind == WP_ETCD_SLOT_KEY ? wp_etcd_rec_has_key(rec, path, len)
                                    : wp_etcd_rec_is_below(rec, path, len);
}

struct wp_etcd_table *wp_etcd_table_new(size_t slots)
{
    struct wp_etcd_table *t = calloc(1, sizeof(*t) + slots * sizeof(t->slots[0]));

    if (t != NULL)
        t->mask = slots - 1;
    return t;
}

/* The slot's place, or that of the first free one, where *ret_free says which. */
static size_t locate(const struct wp_etcd_table *t, enum wp_etcd_slot kind, const char *path,
                     size_t len, uint64_t hash, bool *ret_found)
{
    size_t free_at = SIZE_MAX;

    for (size_t i = (size_t)hash & t->mask;; i = (i + 1) & t->mask) {
        uint64_t slot = atomic_load_explicit(&t->slots[i], memory_order_acquire);
        if (is_slot(slot, kind, path, len, hash)) {
            *ret_found = true;
            return i;
        }
        if (slot == GONE && free_at == SIZE_MAX)
            free_at = i;
        if (slot == 0) {
            *ret_found = false;
            return free_at != SIZE_MAX ? free_at : i;
        }
    }
}

struct wp_etcd_rec *wp_etcd_table_find(const struct wp_etcd_table *t, enum wp_etcd_slot kind,
                                       const char *path, size_t len, uint64_t hash)
{
    for (size_t i = (size_t)hash & t->mask;; i = (i + 1) & t->mask) {
        uint64_t slot = atomic_load_explicit(&t->slots[i], memory_order_acquire);
        if (is_slot(slot, kind, path, len, hash))
            return rec_of(slot);
        if (slot == 0)
            return NULL;
    }
}

void wp_etcd_table_set(struct wp_etcd_table *t, enum wp_etcd_slot kind, const char *path,
                       size_t len, uint64_t hash, struct wp_etcd_rec *rec)
{
    bool found;
    size_t i = locate(t, kind, path, len, hash, &found);

    if (!found) {
        t->gone -= atomic_load_explicit(&t->slots[i], memory_order_relaxed) == GONE;
        t->used++;
    }
    atomic_store_explicit(&t->slots[i], slot_of(kind, hash, rec), memory_order_release);
}

void wp_etcd_table_remove(struct wp_etcd_table *t, enum wp_etcd_slot kind, const char *path,
                          size_t len, uint64_t hash)
{
    bool found;
    size_t i = locate(t, kind, path, len, hash, &found);

    if (!found)
        return;
    atomic_store_explicit(&t->slots[i], GONE, memory_order_release);
    t->used--;
    t->gone++;
}
