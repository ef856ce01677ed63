/* The writer's list: a skip list on key bytes. Only its lowest level, the record's own `next`, is
 * seen by readers; the others stand before the record and are the writer's. Changes tend to
 * come in key order (a listing, a deployment), so a seek starts where the last one ended. */
#include <errno.h>
#include <stdlib.h>

#include "backends/etcd/check.h"
#include "backends/etcd/lease.h"
#include "backends/etcd/tree_priv.h"
#include "waypost/plugin/change.h"

enum {
    ELEMENTS_MAX = 512
}; /* deeper paths are no names: their index entries could not be asked for */

static struct wp_etcd_rec **upper(struct wp_etcd_rec *r, unsigned level)
{
    return (struct wp_etcd_rec **)(void *)r - level;
}

static struct wp_etcd_rec *next_at(struct wp_etcd_rec *r, unsigned level)
{
    return level == 0 ? atomic_load_explicit(&r->next, memory_order_relaxed) : *upper(r, level);
}

static void set_next_at(struct wp_etcd_rec *r, unsigned level, struct wp_etcd_rec *next)
{
    if (level == 0)
        atomic_store_explicit(&r->next, next, memory_order_release);
    else
        *upper(r, level) = next;
}

struct wp_etcd_rec *wp_etcd_tree_seek(struct wp_etcd_tree *t, const char *key, size_t len)
{
    bool after = t->finger_set &&
                 (t->finger[0] == t->head || wp_etcd_rec_compare(t->finger[0], key, len) < 0);
    struct wp_etcd_rec *r = t->head;
    bool moved = false;

    for (unsigned level = WP_ETCD_LEVELS_MAX; level-- > 0;) {
        struct wp_etcd_rec *next;
        /* once past the finger on one level, what it points at below is behind */
        if (after && !moved)
            r = t->finger[level];
        while ((next = next_at(r, level)) != NULL && wp_etcd_rec_compare(next, key, len) < 0) {
            r = next;
            moved = true;
        }
        t->finger[level] = r;
    }
    t->finger_set = true;
    return next_at(r, 0);
}

unsigned wp_etcd_tree_level(struct wp_etcd_tree *t)
{
    unsigned level = 1;
    uint64_t bits;

    t->random ^= t->random << 13; /* xorshift: only the shape of the list depends on it */
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    for (bits = t->random; level < WP_ETCD_LEVELS_MAX && (bits & 3) == 0; bits >>= 2)
        level++;
    return level;
}

/* The paths that a key lies below, shortest first, the empty one included: where each ends, and
 * its hash. The last entry is the key itself. */
struct steps {
    unsigned n;
    uint16_t end[ELEMENTS_MAX + 1];
    uint64_t hash[ELEMENTS_MAX + 1];
};

static void steps_of(const char *key, size_t len, struct steps *s)
{
    uint64_t hash = wp_name_hash_root();
    size_t at = 0;

    s->n = 0;
    s->end[0] = 0;
    s->hash[0] = hash;
    while (at < len && s->n < ELEMENTS_MAX) {
        const char *slash = memchr(key + at + 1, '/', len - at - 1);
        size_t end = slash != NULL ? (size_t)(slash - key) : len;
        hash = wp_name_hash_label((const uint8_t *)key + at + 1, end - at - 1, hash);
        at = end;
        s->n++;
        s->end[s->n] = (uint16_t)at;
        s->hash[s->n] = hash;
    }
}

/* Everything that can be asked for again in a table with room: the list in key order meets the
 * first record of each path first. */
static void fill_table(const struct wp_etcd_tree *t, struct wp_etcd_table *table)
{
    struct steps s;

    for (struct wp_etcd_rec *r = next_at(t->head, 0); r != NULL; r = next_at(r, 0)) {
        const char *key = wp_etcd_rec_key(r);
        steps_of(key, r->key_len, &s);
        for (unsigned i = s.n; i-- > 0;) {
            if (wp_etcd_table_find(table, WP_ETCD_SLOT_BELOW, key, s.end[i], s.hash[i]) != NULL)
                break; /* then all shorter ones are there */
            wp_etcd_table_set(table, WP_ETCD_SLOT_BELOW, key, s.end[i], s.hash[i], r);
        }
        if (s.end[s.n] == r->key_len &&
            wp_etcd_table_find(table, WP_ETCD_SLOT_KEY, key, r->key_len, s.hash[s.n]) == NULL)
            wp_etcd_table_set(table, WP_ETCD_SLOT_KEY, key, r->key_len, s.hash[s.n], r);
    }
}

static void table_free(struct wp_grace_item *item)
{
    free((struct wp_etcd_table *)(void *)((char *)item - offsetof(struct wp_etcd_table, grace)));
}

/* Room for n more slots, at most three quarters full with tombstones. */
static int reserve(struct wp_etcd_tree *t, size_t n)
{
    struct wp_etcd_table *old = atomic_load_explicit(&t->table, memory_order_relaxed), *table;
    size_t slots = old->mask + 1, need = old->used + n;

    if ((need + old->gone) * 4 <= slots * 3)
        return 0;
    while (need * 2 > slots) /* half full after growing; the same size when tombstones fill it */
        slots *= 2;
    table = wp_etcd_table_new(slots);
    if (table == NULL)
        return -ENOMEM;
    fill_table(t, table);
    atomic_fetch_add_explicit(&t->octets, (table->mask - old->mask) * sizeof(table->slots[0]),
                              memory_order_relaxed);
    atomic_store_explicit(&t->table, table, memory_order_release);
    wp_grace_retire(&old->grace, table_free);
    return 0;
}

int wp_etcd_tree_link(struct wp_etcd_tree *t, struct wp_etcd_rec *rec)
{
    const char *key = wp_etcd_rec_key(rec);
    struct wp_etcd_table *table;
    struct wp_etcd_rec *after;
    struct steps s;
    int r;

    steps_of(key, rec->key_len, &s);
    r = reserve(t, s.n + 1);
    if (r < 0)
        return r;
    table = atomic_load_explicit(&t->table, memory_order_relaxed);
    after = wp_etcd_tree_seek(t, key, rec->key_len);
    for (unsigned level = 0; level < rec->level; level++)
        set_next_at(rec, level, next_at(t->finger[level], level));
    for (unsigned level = rec->level; level-- > 0;)
        set_next_at(t->finger[level], level, rec);
    /* A path whose first record is not the one after this one begins before it, and so do all
     * shorter ones. */
    for (unsigned i = s.n; i-- > 0;) {
        struct wp_etcd_rec *first =
            wp_etcd_table_find(table, WP_ETCD_SLOT_BELOW, key, s.end[i], s.hash[i]);
        if (first != NULL && first != after)
            break;
        wp_etcd_table_set(table, WP_ETCD_SLOT_BELOW, key, s.end[i], s.hash[i], rec);
    }
    if (s.end[s.n] == rec->key_len)
        wp_etcd_table_set(table, WP_ETCD_SLOT_KEY, key, rec->key_len, s.hash[s.n], rec);
    return 0;
}

void wp_etcd_tree_unlink(struct wp_etcd_tree *t, struct wp_etcd_rec *rec)
{
    const char *key = wp_etcd_rec_key(rec);
    struct wp_etcd_table *table = atomic_load_explicit(&t->table, memory_order_relaxed);
    struct wp_etcd_rec *next = next_at(rec, 0);
    struct steps s;

    (void)wp_etcd_tree_seek(t, key, rec->key_len);
    for (unsigned level = rec->level; level-- > 0;) {
        struct wp_etcd_rec *p = t->finger[level];
        while (next_at(p, level) != rec) /* newer records of the same key */
            p = next_at(p, level);
        set_next_at(p, level, next_at(rec, level));
    }
    steps_of(key, rec->key_len, &s);
    for (unsigned i = s.n; i-- > 0;) {
        if (wp_etcd_table_find(table, WP_ETCD_SLOT_BELOW, key, s.end[i], s.hash[i]) != rec)
            break;
        if (next != NULL && wp_etcd_rec_is_below(next, key, s.end[i]))
            wp_etcd_table_set(table, WP_ETCD_SLOT_BELOW, key, s.end[i], s.hash[i], next);
        else
            wp_etcd_table_remove(table, WP_ETCD_SLOT_BELOW, key, s.end[i], s.hash[i]);
    }
    if (s.end[s.n] != rec->key_len ||
        wp_etcd_table_find(table, WP_ETCD_SLOT_KEY, key, rec->key_len, s.hash[s.n]) != rec)
        return;
    if (next != NULL && wp_etcd_rec_has_key(next, key, rec->key_len))
        wp_etcd_table_set(table, WP_ETCD_SLOT_KEY, key, rec->key_len, s.hash[s.n], next);
    else
        wp_etcd_table_remove(table, WP_ETCD_SLOT_KEY, key, rec->key_len, s.hash[s.n]);
}

static void tie(struct wp_etcd_rec *rec, struct wp_etcd_tied *to, enum wp_etcd_tied_by by)
{
    struct wp_etcd_tie *own = wp_etcd_rec_tie(rec, by);

    *own = (struct wp_etcd_tie){.after = to->first};
    if (own->after != NULL)
        wp_etcd_rec_tie(own->after, by)->before = rec;
    to->first = rec;
}

static void untie(struct wp_etcd_rec *rec, struct wp_etcd_tied *from, enum wp_etcd_tied_by by)
{
    const struct wp_etcd_tie *own = wp_etcd_rec_tie(rec, by);

    if (own->before != NULL)
        wp_etcd_rec_tie(own->before, by)->after = own->after;
    else
        from->first = own->after;
    if (own->after != NULL)
        wp_etcd_rec_tie(own->after, by)->before = own->before;
}

void wp_etcd_tree_tie(struct wp_etcd_rec *rec)
{
    if (rec->flags & WP_ETCD_REC_LEASE)
        tie(rec, &wp_etcd_rec_lease(rec)->tied, WP_ETCD_TIED_LEASE);
    if (rec->flags & WP_ETCD_REC_CHECK)
        tie(rec, &wp_etcd_rec_check(rec)->tied, WP_ETCD_TIED_CHECK);
}

void wp_etcd_tree_untie(struct wp_etcd_rec *rec)
{
    if (rec->flags & WP_ETCD_REC_LEASE)
        untie(rec, &wp_etcd_rec_lease(rec)->tied, WP_ETCD_TIED_LEASE);
    if (rec->flags & WP_ETCD_REC_CHECK)
        untie(rec, &wp_etcd_rec_check(rec)->tied, WP_ETCD_TIED_CHECK);
}

void wp_etcd_tree_mark(const struct wp_etcd_tree *t, const struct wp_etcd_rec *rec)
{
    struct steps s;

    steps_of(wp_etcd_rec_key(rec), rec->key_len, &s);
    for (unsigned i = s.n + 1; i-- > 0 && s.end[i] >= t->base_len;)
        wp_changed(wp_change_key(t->source, s.hash[i]));
}
