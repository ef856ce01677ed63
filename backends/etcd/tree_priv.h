/* What tree.c (readers), tree_list.c, tree_write.c (writer) and table.c share. */
#pragma once
#include "backends/etcd/tree.h"

/* --- the index ----------------------------------------------------------------------------- */

/* Open addressing, linear probing. A slot: 16 bits of the hash, 45 of the record's address, and
 * which of the two kinds it is. Slots change in place; a larger table replaces the whole. */
struct wp_etcd_table {
    struct wp_grace_item grace;
    size_t mask;
    size_t used, gone; /* the writer's: slots with a record, tombstones */
    _Atomic uint64_t slots[];
};
enum wp_etcd_slot { WP_ETCD_SLOT_KEY = 0, WP_ETCD_SLOT_BELOW = 1 };

struct wp_etcd_table *wp_etcd_table_new(size_t slots); /* a power of two; NULL: memory */
/* The record that the slot of (path, kind) leads to, or NULL. */
struct wp_etcd_rec *wp_etcd_table_find(const struct wp_etcd_table *t, enum wp_etcd_slot kind,
                                       const char *path, size_t len, uint64_t hash);
/* Writer: set or make the slot (there is room), or remove it. */
void wp_etcd_table_set(struct wp_etcd_table *t, enum wp_etcd_slot kind, const char *path,
                       size_t len, uint64_t hash, struct wp_etcd_rec *rec);
void wp_etcd_table_remove(struct wp_etcd_table *t, enum wp_etcd_slot kind, const char *path,
                          size_t len, uint64_t hash);

/* --- the tree ------------------------------------------------------------------------------ */

/* The dead of one batch, on their way out. */
struct wp_etcd_dead {
    struct wp_grace_item grace;
    struct wp_etcd_dead *next;
    atomic_bool passed; /* the grace period is over; set by any thread */
    bool unlinked;      /* the second one runs */
    size_t n, cap;
    struct wp_etcd_rec *recs[];
};

struct wp_etcd_tree {
    _Atomic uint64_t epoch; /* what readers see */
    _Atomic(struct wp_etcd_table *) table;
    uint64_t source;
    /* the writer's: */
    struct wp_etcd_rec *head;                       /* sentinel before the first record */
    struct wp_etcd_rec *finger[WP_ETCD_LEVELS_MAX]; /* before the place of the last seek */
    bool finger_set;
    unsigned pins;
    uint8_t listing; /* number of the listing that runs or ran last */
    uint64_t random;
    char *base;
    size_t base_len;
    uint64_t base_hash;
    void (*drop)(void *arg, struct wp_etcd_lease *lease);
    void (*drop_check)(void *arg, struct wp_etcd_check *check);
    void *arg;
    struct wp_etcd_rec **born; /* of the open batch */
    size_t n_born, cap_born;
    struct wp_etcd_dead *dying; /* of the open batch, NULL: none */
    struct wp_etcd_dead *waiting, **last_waiting;
    struct wp_etcd_batch_size pending;
    size_t n_bad;
    _Atomic size_t n_lapsed, n_unwell;
    _Atomic size_t n_keys, octets;
};

static inline uint64_t wp_etcd_tree_next_epoch(const struct wp_etcd_tree *t)
{
    return atomic_load_explicit(&t->epoch, memory_order_relaxed) + 1;
}
/* Any record of the key, the newest first; those after it may have the same key. */
struct wp_etcd_rec *wp_etcd_tree_seek(struct wp_etcd_tree *t, const char *key, size_t len);
int wp_etcd_tree_link(struct wp_etcd_tree *t, struct wp_etcd_rec *rec) WP_MUSTCHECK;
void wp_etcd_tree_unlink(struct wp_etcd_tree *t, struct wp_etcd_rec *rec);
unsigned wp_etcd_tree_level(struct wp_etcd_tree *t);
void wp_etcd_tree_mark(const struct wp_etcd_tree *t, const struct wp_etcd_rec *rec);
static inline bool wp_etcd_rec_has_key(const struct wp_etcd_rec *r, const char *key, size_t len)
{
    return r->key_len == len && memcmp(wp_etcd_rec_key(r), key, len) == 0;
}
/* Does the record lie below the path? */
static inline bool wp_etcd_rec_is_below(const struct wp_etcd_rec *r, const char *path, size_t len)
{
    const char *key = wp_etcd_rec_key(r);

    return r->key_len > len && key[len] == '/' && memcmp(key, path, len) == 0;
}
/* The record gives back what it holds, and is freed. */
void wp_etcd_tree_free_rec(struct wp_etcd_tree *t, struct wp_etcd_rec *rec);
/* A record with a lease or a check is found from it while it is the one of its key. */
void wp_etcd_tree_tie(struct wp_etcd_rec *rec);
void wp_etcd_tree_untie(struct wp_etcd_rec *rec);
static inline uint64_t wp_etcd_rec_birth(const struct wp_etcd_rec *r)
{
    return r->birth & ~(WP_ETCD_BIRTH_OUT | WP_ETCD_BIRTH_UNWELL);
}
static inline bool wp_etcd_rec_is_dying(const struct wp_etcd_rec *r)
{
    return atomic_load_explicit(&((struct wp_etcd_rec *)(uintptr_t)r)->death,
                                memory_order_relaxed) != 0;
}
/* Key bytes as memcmp has them; a key comes before those that it begins. */
static inline int wp_etcd_rec_compare(const struct wp_etcd_rec *r, const char *key, size_t len)
{
    size_t n = r->key_len < len ? r->key_len : len;
    int c = memcmp(wp_etcd_rec_key(r), key, n);

    return c != 0 ? c : (r->key_len > len) - (r->key_len < len);
}
static inline struct wp_etcd_rec *wp_etcd_rec_next(const struct wp_etcd_rec *r)
{
    return atomic_load_explicit(&((struct wp_etcd_rec *)(uintptr_t)r)->next, memory_order_acquire);
}
