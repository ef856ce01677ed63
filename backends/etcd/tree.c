/* The readers' side of the tree, and its beginning and end. */
#include "backends/etcd/tree.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "backends/etcd/tree_priv.h"

enum { SLOTS_MIN = 64 };

int wp_etcd_tree_new(const struct wp_etcd_tree_config *c, struct wp_etcd_tree **ret)
{
    static const struct wp_etcd_value nothing = {.kind = WP_ETCD_BAD};
    struct wp_etcd_tree *t = calloc(1, sizeof(*t));
    struct wp_etcd_table *table;

    if (t == NULL)
        return -ENOMEM;
    t->source = c->source;
    t->drop = c->drop;
    t->drop_check = c->drop_check;
    t->arg = c->arg;
    t->random = c->source * 0x9e3779b97f4a7c15u + 1;
    t->last_waiting = &t->waiting;
    t->head = wp_etcd_rec_new("", 0, &nothing, NULL, 0, WP_ETCD_LEVELS_MAX);
    t->base = strdup(c->base);
    table = wp_etcd_table_new(SLOTS_MIN);
    atomic_init(&t->table, table);
    if (t->head == NULL || t->base == NULL || table == NULL) {
        wp_etcd_tree_free(t);
        return -ENOMEM;
    }
    atomic_init(&t->octets, (table->mask + 1) * sizeof(table->slots[0]));
    t->base_len = strlen(t->base);
    t->base_hash = wp_etcd_path_hash(t->base, t->base_len, 0, wp_name_hash_root());
    *ret = t;
    return 0;
}

void wp_etcd_tree_free_rec(struct wp_etcd_tree *t, struct wp_etcd_rec *rec)
{
    struct wp_etcd_lease *lease = wp_etcd_rec_lease(rec);
    struct wp_etcd_check *check = wp_etcd_rec_check(rec);

    if (!wp_etcd_rec_is_dying(rec))
        wp_etcd_tree_untie(rec);
    if (lease != NULL)
        t->drop(t->arg, lease);
    if (check != NULL)
        t->drop_check(t->arg, check);
    wp_etcd_rec_free(rec);
}

void wp_etcd_tree_free(struct wp_etcd_tree *t)
{
    if (t == NULL)
        return;
    assert(t->waiting == NULL); /* reaped to the end */
    if (t->head != NULL) {
        struct wp_etcd_rec *rec = wp_etcd_rec_next(t->head);
        while (rec != NULL) {
            struct wp_etcd_rec *next = wp_etcd_rec_next(rec);
            wp_etcd_tree_free_rec(t, rec);
            rec = next;
        }
        wp_etcd_rec_free(t->head);
    }
    free(t->dying); /* its records are still in the list */
    free(t->born);
    free(atomic_load(&t->table));
    free(t->base);
    free(t);
}

uint64_t wp_etcd_tree_source(const struct wp_etcd_tree *t)
{
    return t->source;
}

struct wp_etcd_snap wp_etcd_tree_snap(const struct wp_etcd_tree *t)
{
    return (struct wp_etcd_snap){
        .tree = t,
        .epoch = atomic_load_explicit(&((struct wp_etcd_tree *)(uintptr_t)t)->epoch,
                                      memory_order_acquire),
    };
}

static bool lives(const struct wp_etcd_rec *r, uint64_t birth, uint64_t epoch)
{
    uint64_t death =
        atomic_load_explicit(&((struct wp_etcd_rec *)(uintptr_t)r)->death, memory_order_relaxed);

    return birth <= epoch && (death == 0 || death > (epoch & ~WP_ETCD_BIRTH_UNWELL));
}

static bool is_visible(const struct wp_etcd_rec *r, uint64_t epoch)
{
    return lives(r, r->birth, epoch);
}

static const struct wp_etcd_table *table_of(const struct wp_etcd_snap *s)
{
    return atomic_load_explicit(&((struct wp_etcd_tree *)(uintptr_t)s->tree)->table,
                                memory_order_acquire);
}

const struct wp_etcd_rec *wp_etcd_snap_key(const struct wp_etcd_snap *s, const char *path,
                                           size_t len, uint64_t hash)
{
    const struct wp_etcd_rec *r =
        wp_etcd_table_find(table_of(s), WP_ETCD_SLOT_KEY, path, len, hash);

    /* versions of one key are neighbours, the newest first */
    while (r != NULL && !is_visible(r, s->epoch)) {
        r = wp_etcd_rec_next(r);
        if (r != NULL && !wp_etcd_rec_has_key(r, path, len))
            return NULL;
    }
    return r;
}

const struct wp_etcd_rec *wp_etcd_snap_after(const struct wp_etcd_snap *s,
                                             const struct wp_etcd_rec *r)
{
    do
        r = wp_etcd_rec_next(r != NULL ? r : s->tree->head);
    while (r != NULL && !lives(r, wp_etcd_rec_birth(r), s->epoch));
    return r;
}

void wp_etcd_snap_walk(const struct wp_etcd_snap *s, const char *path, size_t len, uint64_t hash,
                       struct wp_etcd_walk *ret)
{
    ret->at = wp_etcd_table_find(table_of(s), WP_ETCD_SLOT_BELOW, path, len, hash);
    ret->path = path;
    ret->len = len;
    ret->epoch = s->epoch;
}

const struct wp_etcd_rec *wp_etcd_walk_next(struct wp_etcd_walk *w, size_t *budget)
{
    const struct wp_etcd_rec *r;

    while ((r = w->at) != NULL && *budget > 0) {
        (*budget)--;
        if (!wp_etcd_rec_is_below(r, w->path, w->len)) {
            w->at = NULL;
            break;
        }
        w->at = wp_etcd_rec_next(r);
        if (is_visible(r, w->epoch))
            return r;
    }
    return NULL;
}
