/* The writer's side: names come, change and go one at a time while readers go on. */
#include "waypost/plugin/catalog.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include "server/catalog/catalog_priv.h"
#include "waypost/plugin/change.h"

/* What a change took out of readers' sight, until no reader can hold it. */
struct husk {
    struct wp_grace_item grace;
    unsigned n;
    struct wp_entry *entry[];
};

static void count_octets(struct wp_catalog *c, size_t more, size_t less)
{
    size_t now = atomic_load_explicit(&c->octets, memory_order_relaxed);

    atomic_store_explicit(&c->octets, now + more - less, memory_order_relaxed);
}

static void count_names(struct wp_catalog *c, int n)
{
    size_t now = atomic_load_explicit(&c->names, memory_order_relaxed);

    atomic_store_explicit(&c->names, now + (size_t)n, memory_order_relaxed);
}

static struct wp_table *table_of(const struct wp_catalog *c)
{
    return atomic_load_explicit(&c->table, memory_order_relaxed); /* the writer's own store */
}

int wp_catalog_new(const uint8_t *apex, uint64_t source, enum wp_catalog_mode mode,
                   struct wp_catalog **ret)
{
    struct wp_catalog *c = calloc(1, sizeof(*c));
    struct wp_table *t = wp_table_new(0);

    if (c == NULL || t == NULL) {
        free(c);
        free(t);
        return -ENOMEM;
    }
    c->source = source;
    c->mode = mode;
    c->apex_len = (uint8_t)wp_name_size(apex);
    memcpy(c->apex, apex, c->apex_len);
    wp_name_lower(c->apex, c->apex_len);
    c->apex_labels = (uint8_t)wp_name_labels(c->apex);
    c->apex_hash = wp_name_hash(c->apex);
    wp_arena_init(&c->arena, 0);
    atomic_init(&c->table, t);
    count_octets(c, wp_table_octets(t), 0);
    *ret = c;
    return 0;
}

void wp_catalog_free(struct wp_catalog *c)
{
    struct wp_table *t;

    if (c == NULL)
        return;
    t = table_of(c);
    if (c->mode == WP_CATALOG_LIVE) {
        for (uint64_t i = 0; i <= t->mask; i++) {
            uint64_t slot = atomic_load_explicit(&t->slot[i], memory_order_relaxed);
            if (slot != WP_SLOT_GONE)
                free((void *)(uintptr_t)wp_slot_entry(slot));
        }
    }
    wp_arena_done(&c->arena);
    free(t);
    free(c);
}

/* --- memory ------------------------------------------------------------------------------ */

static struct wp_entry *entry_alloc(struct wp_catalog *c, size_t len)
{
    struct wp_entry *e;

    if (c->mode == WP_CATALOG_WHOLE)
        return wp_arena_alloc(&c->arena, len);
    e = malloc(len);
    if (e != NULL)
        count_octets(c, malloc_usable_size(e) + sizeof(size_t), 0);
    return e;
}

static void entry_free(struct wp_catalog *c, struct wp_entry *e)
{
    if (c->mode == WP_CATALOG_WHOLE || e == NULL)
        return; /* goes with the arena */
    count_octets(c, 0, malloc_usable_size(e) + sizeof(size_t));
    free(e);
}

static struct husk *husk_new(unsigned cap)
{
    struct husk *h = malloc(sizeof(*h) + cap * sizeof(h->entry[0]));

    if (h != NULL)
        h->n = 0;
    return h;
}

static void husk_free(struct wp_grace_item *item)
{
    struct husk *h = (struct husk *)item;

    for (unsigned i = 0; i < h->n; i++)
        free(h->entry[i]);
    free(h);
}

/* The entries are out of the table. */
static void husk_retire(struct wp_catalog *c, struct husk *h)
{
    if (c->mode == WP_CATALOG_WHOLE)
        h->n = 0;
    for (unsigned i = 0; i < h->n; i++)
        count_octets(c, 0, malloc_usable_size(h->entry[i]) + sizeof(size_t));
    wp_grace_retire(&h->grace, husk_free);
}

static void table_free(struct wp_grace_item *item)
{
    free((char *)item - offsetof(struct wp_table, grace));
}

static int resize(struct wp_catalog *c, size_t n_names)
{
    struct wp_table *old = table_of(c), *t = wp_table_copy(old, n_names);

    if (t == NULL)
        return -ENOMEM;
    atomic_store_explicit(&c->table, t, memory_order_release);
    count_octets(c, wp_table_octets(t), wp_table_octets(old));
    wp_grace_retire(&old->grace, table_free);
    return 0;
}

/* Another table when n more names do not fit: for half as many again, so that growing is rare.
 * Tombstones go on the way. */
static int make_room(struct wp_catalog *c, size_t n)
{
    const struct wp_table *t = table_of(c);
    size_t names = t->live + n;

    return wp_table_is_full(t, n) ? resize(c, names + names / 2) : 0;
}

int wp_catalog_reserve(struct wp_catalog *c, size_t n)
{
    const struct wp_table *t = table_of(c);

    return n > t->live && wp_table_is_full(t, n - t->live) ? resize(c, n) : 0;
}

/* --- changes ----------------------------------------------------------------------------- */

static void mark(const struct wp_catalog *c, uint64_t hash)
{
    if (c->mode == WP_CATALOG_LIVE)
        wp_changed(wp_change_key(c->source, hash));
}

static struct wp_entry *find(const struct wp_catalog *c, const uint8_t *name, uint64_t *ret_at)
{
    size_t len = wp_name_size(name);

    return (struct wp_entry *)(uintptr_t)wp_table_find(table_of(c), name, len, wp_name_hash(name),
                                                       ret_at);
}

static bool is_star(const uint8_t *name)
{
    return name[0] == 1 && name[1] == '*';
}

/* An entry for a name that only has others below. */
static struct wp_entry *make_empty(struct wp_catalog *c, const uint8_t *name)
{
    struct wp_entry_maker m;
    struct wp_entry *e;

    wp_entry_maker_init(&m);
    wp_entry_maker_start(&m, name, 0);
    m.flags = WP_ENTRY_EMPTY;
    e = entry_alloc(c, wp_entry_octets(&m));
    if (e != NULL)
        wp_entry_lay_out(e, &m);
    return e;
}

/* Take the place of an entry of the same name. */
static void replace(struct wp_catalog *c, uint64_t at, struct wp_entry *old, struct wp_entry *e,
                    struct husk *h)
{
    unsigned kept = wp_entry_flags(old) & WP_ENTRY_WILDCARD;

    e->below = old->below;
    atomic_fetch_or_explicit(&e->flags, (uint16_t)kept, memory_order_relaxed);
    wp_table_replace(table_of(c), at, e);
    mark(c, wp_name_hash(wp_entry_name(e)));
    h->entry[h->n++] = old;
    husk_retire(c, h);
}

/* A name that was not there. The parent stands already. */
static void add(struct wp_catalog *c, struct wp_entry *e, struct wp_entry *parent)
{
    const uint8_t *name = wp_entry_name(e);
    uint64_t hash = wp_name_hash(name);

    if (parent != NULL) {
        parent->below++;
        if (is_star(name))
            atomic_fetch_or_explicit(&parent->flags, WP_ENTRY_WILDCARD, memory_order_relaxed);
    }
    wp_table_add(table_of(c), e, hash);
    count_names(c, 1);
    mark(c, hash);
}

/* Add a name with the ancestors that are missing, the highest first: a reader that meets them
 * half-way sees empty names, never a name without its encloser. */
static int add_with_ancestors(struct wp_catalog *c, struct wp_entry *e)
{
    struct wp_entry *chain[WP_LABELS_MAX + 1], *parent = NULL;
    const uint8_t *name = wp_entry_name(e);
    uint64_t at;
    unsigned n = 0;
    int r;

    chain[n++] = e;
    for (unsigned len = e->name_len; len > c->apex_len && parent == NULL;) {
        name = wp_name_parent(name, 1);
        len = e->name_len - (unsigned)(name - wp_entry_name(e));
        parent = find(c, name, &at);
        if (parent == NULL) {
            chain[n] = make_empty(c, name);
            if (chain[n] == NULL) {
                r = -ENOMEM;
                goto out;
            }
            n++;
        }
    }
    r = make_room(c, n);
    if (r < 0)
        goto out;
    while (n > 0) {
        add(c, chain[n - 1], parent);
        parent = chain[--n];
    }
    return 0;
out:
    while (n > 1)
        entry_free(c, chain[--n]);
    return r;
}

int wp_catalog_put(struct wp_catalog *c, const struct wp_entry_maker *m)
{
    struct wp_entry *e = NULL, *old;
    struct husk *h = NULL;
    uint64_t at;
    int r = -ENOMEM;

    if (!wp_name_within(m->name, c->apex))
        return WP_EMALFORMED;
    old = find(c, m->name, &at);
    if (old != NULL) {
        h = husk_new(1);
        if (h == NULL)
            return -ENOMEM;
    }
    e = entry_alloc(c, wp_entry_octets(m));
    if (e == NULL)
        goto out;
    wp_entry_lay_out(e, m);
    if (old != NULL) {
        replace(c, at, old, e, h);
        return 0;
    }
    r = add_with_ancestors(c, e);
    if (r == 0)
        return 0;
out:
    entry_free(c, e);
    free(h);
    return r;
}

/* The name has others below: it stays, without data. */
static int make_bare(struct wp_catalog *c, uint64_t at, struct wp_entry *old)
{
    struct husk *h = husk_new(1);
    struct wp_entry *e = h == NULL ? NULL : make_empty(c, wp_entry_name(old));

    if (e == NULL) {
        free(h);
        return -ENOMEM;
    }
    replace(c, at, old, e, h);
    return 0;
}

static void take_out(struct wp_catalog *c, uint64_t at, struct wp_entry *e)
{
    wp_table_remove(table_of(c), at);
    count_names(c, -1);
    mark(c, wp_name_hash(wp_entry_name(e)));
}

int wp_catalog_del(struct wp_catalog *c, const uint8_t *name)
{
    uint8_t lower[WP_NAME_MAX];
    uint64_t at[WP_LABELS_MAX + 1];
    struct wp_entry *chain[WP_LABELS_MAX + 1], *e, *parent = NULL;
    size_t len = wp_name_size(name);
    const uint8_t *up = lower;
    struct husk *h;
    unsigned n = 0;

    memcpy(lower, name, len);
    wp_name_lower(lower, len);
    e = find(c, lower, &at[0]);
    if (e == NULL || (wp_entry_flags(e) & WP_ENTRY_EMPTY) != 0)
        return WP_ENOTFOUND;
    if (e->below > 0)
        return make_bare(c, at[0], e);
    /* with it go the ancestors that stood for it alone */
    chain[n++] = e;
    while (chain[n - 1]->name_len > c->apex_len) {
        up = wp_name_parent(up, 1);
        parent = find(c, up, &at[n]);
        if ((wp_entry_flags(parent) & WP_ENTRY_EMPTY) == 0 || parent->below > 1)
            break;
        chain[n++] = parent;
        parent = NULL;
    }
    h = husk_new(n);
    if (h == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++) {
        take_out(c, at[i], chain[i]);
        h->entry[h->n++] = chain[i];
    }
    if (parent != NULL) {
        parent->below--;
        if (is_star(wp_entry_name(chain[n - 1])))
            atomic_fetch_and_explicit(&parent->flags, (uint16_t)~WP_ENTRY_WILDCARD,
                                      memory_order_relaxed);
    }
    husk_retire(c, h);
    return 0;
}

size_t wp_catalog_names(const struct wp_catalog *c)
{
    return atomic_load_explicit(&((struct wp_catalog *)(uintptr_t)c)->names, memory_order_relaxed);
}

size_t wp_catalog_octets(const struct wp_catalog *c)
{
    struct wp_catalog *w = (struct wp_catalog *)(uintptr_t)c;

    return sizeof(*c) + c->arena.used + atomic_load_explicit(&w->octets, memory_order_relaxed);
}

int wp_catalog_each(struct wp_catalog *c, int (*fn)(void *arg, const struct wp_entry *e), void *arg)
{
    struct wp_table *t = table_of(c);

    for (uint64_t i = 0; i <= t->mask; i++) {
        uint64_t slot = atomic_load_explicit(&t->slot[i], memory_order_relaxed);
        int r;

        if (slot == 0 || slot == WP_SLOT_GONE)
            continue;
        r = fn(arg, wp_slot_entry(slot));
        if (r != 0)
            return r;
    }
    return 0;
}
