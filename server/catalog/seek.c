/* The readers' side: from a name to its entry, or to what stands in for it. */
#include <string.h>
#include "server/catalog/catalog_priv.h"

/* A writer that changes the very names a reader looks at, again and again: after this many
 * rounds the answer is given but not kept by a cache. */
enum { SEEK_TRIES = 4 };

static inline const struct wp_table *table_of(const struct wp_catalog *c)
{
    return atomic_load_explicit(&((struct wp_catalog *)(uintptr_t)c)->table, memory_order_acquire);
}

uint64_t wp_catalog_key(const struct wp_catalog *c, uint64_t hash)
{
    return wp_change_key(c->source, hash);
}

const uint8_t *wp_catalog_apex(const struct wp_catalog *c)
{
    return c->apex;
}

const struct wp_entry *wp_catalog_find(const struct wp_catalog *c, const uint8_t *lower, size_t len,
                                       uint64_t hash)
{
    return wp_table_find(table_of(c), lower, len, hash, NULL);
}

void wp_catalog_prefetch(const struct wp_catalog *c, uint64_t hash)
{
    const struct wp_table *t = table_of(c);

    __builtin_prefetch(&t->slot[hash & t->mask]);
}

void wp_catalog_prefetch_entry(const struct wp_catalog *c, uint64_t hash)
{
    const struct wp_table *t = table_of(c);

    /* a few slots: names that collided stand next to each other */
    for (uint64_t i = 0; i < 4; i++) {
        _Atomic uint64_t *at = (_Atomic uint64_t *)(uintptr_t)&t->slot[(hash + i) & t->mask];
        uint64_t slot = atomic_load_explicit(at, memory_order_relaxed);

        if (slot == 0)
            return;
        if (((slot ^ hash) & ~WP_SLOT_ADDRESS) == 0 && slot != WP_SLOT_GONE) {
            const uint8_t *e = (const uint8_t *)wp_slot_entry(slot);
            __builtin_prefetch(e);
            __builtin_prefetch(e + 64);
            return;
        }
    }
}

static const struct wp_entry *probe(const struct wp_catalog *c, const struct wp_qname *name,
                                    unsigned skip)
{
    return wp_table_find(table_of(c), name->wire + name->at[skip],
                         (size_t)(name->len - name->at[skip]), name->suffix[skip], NULL);
}

static bool is_within(const struct wp_catalog *c, const struct wp_qname *name)
{
    return name->n_labels >= c->apex_labels && name->len >= c->apex_len &&
           name->suffix[name->n_labels - c->apex_labels] == c->apex_hash &&
           memcmp(name->wire + name->len - c->apex_len, c->apex, c->apex_len) == 0;
}

static void depends(const struct wp_catalog *c, struct wp_query *q, uint64_t hash)
{
    if (q != NULL && c->mode == WP_CATALOG_LIVE)
        wp_query_depends(q, wp_change_key(c->source, hash));
}

/* The encloser's child "*". */
static const struct wp_entry *find_wild(const struct wp_catalog *c, const struct wp_qname *name,
                                        unsigned skip, uint64_t hash)
{
    uint8_t star[WP_NAME_MAX + 2] = {1, '*'};
    size_t len = (size_t)(name->len - name->at[skip]);

    if (len + 2 > WP_NAME_MAX)
        return NULL;
    memcpy(star + 2, name->wire + name->at[skip], len);
    return wp_table_find(table_of(c), star, len + 2, hash, NULL);
}

/* The name is not there: its closest encloser and the wildcard. What the denial hangs on is
 * the next closer name (its coming would make another encloser), the encloser and the
 * wildcard; other names below the encloser may come and go. The versions must be read before the
 * data, but which names they are is known after: so look, note, and look again.
 * Returns false when a change came between. */
static bool seek_missing(const struct wp_catalog *c, const struct wp_qname *name,
                         struct wp_query *q, struct wp_seek *ret)
{
    unsigned last = (unsigned)(name->n_labels - c->apex_labels); /* labels above the apex */
    const struct wp_entry *e = NULL;
    unsigned skip = 0;
    uint64_t star;

    while (e == NULL && skip < last)
        e = probe(c, name, ++skip);
    if (e == NULL) { /* nothing is published */
        depends(c, q, c->apex_hash);
        return probe(c, name, last) == NULL;
    }
    star = wp_name_hash_label((const uint8_t *)"*", 1, name->suffix[skip]);
    ret->entry = e;
    ret->labels = (uint8_t)(name->n_labels - skip);
    ret->wild = NULL;
    if (q != NULL && c->mode == WP_CATALOG_LIVE) {
        depends(c, q, name->suffix[skip - 1]);
        depends(c, q, name->suffix[skip]);
        depends(c, q, star);
        e = probe(c, name, skip);
        if (e == NULL || probe(c, name, skip - 1) != NULL)
            return false;
        ret->entry = e;
    }
    if (wp_entry_flags(e) & WP_ENTRY_WILDCARD)
        ret->wild = find_wild(c, name, skip, star);
    return true;
}

void wp_catalog_seek(const struct wp_catalog *c, const struct wp_qname *name, struct wp_query *q,
                     struct wp_seek *ret)
{
    *ret = (struct wp_seek){0};
    if (!is_within(c, name))
        return;
    if (q != NULL)
        wp_query_depends(
            q, wp_change_key(c->source, c->mode == WP_CATALOG_LIVE ? name->suffix[0] : 0));
    for (unsigned round = 0; round < SEEK_TRIES; round++) {
        const struct wp_entry *e = probe(c, name, 0);

        if (WP_LIKELY(e != NULL)) {
            *ret = (struct wp_seek){.entry = e, .exact = true, .labels = name->n_labels};
            return;
        }
        if (seek_missing(c, name, q, ret))
            return;
    }
    if (q != NULL)
        q->cacheable = false;
}
