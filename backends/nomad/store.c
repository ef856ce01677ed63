/* Open addressing with linear probing. Names are unique, so a hash leads to its service or to another one
 * of the same hash, which does not match. A slot that has had a hash keeps it until a larger table
 * replaces the whole: a service that comes back, as one that restarts does, finds its own again. */
#include "backends/nomad/store.h"

#include <stdlib.h>
#include <string.h>

#include "waypost/base/grace.h"
#include "waypost/plugin/change.h"

enum { SLOTS_FIRST = 256, LINES = 7, CACHE_LINE = 64 };

/* hash 0: never used, the end of a search; what hashes to 0 is taken for 1. */
struct slot {
    _Atomic uint64_t hash;
    _Atomic(struct wp_nomad_service *) service; /* NULL: gone */
};
struct table {
    struct wp_grace_item grace;
    size_t mask;
    struct slot slots[];
};
struct wp_nomad_store {
    uint64_t source;
    _Atomic(struct table *) table;
    _Atomic unsigned tables;
    size_t used; /* slots that have a hash */
    _Atomic size_t services, instances, octets;
};

/* What stands before a service in its block. */
struct head {
    struct wp_grace_item grace;
    size_t octets;
};

static uint64_t slot_hash(uint64_t hash)
{
    return hash | (hash == 0);
}

static struct table *table_of(const struct wp_nomad_store *s)
{
    return atomic_load_explicit(&((struct wp_nomad_store *)(uintptr_t)s)->table,
                                memory_order_acquire);
}

static void count(_Atomic size_t *figure, size_t by)
{
    atomic_fetch_add_explicit(figure, by, memory_order_relaxed);
}

/* --- blocks ------------------------------------------------------------------------------------ */

static struct head *head_of(struct wp_nomad_service *v)
{
    return (struct head *)(void *)v - 1;
}

struct wp_nomad_service *wp_nomad_service_alloc(uint32_t n, uint32_t octets_len)
{
    size_t size = sizeof(struct head) + sizeof(struct wp_nomad_service) +
                  n * sizeof(struct wp_nomad_instance) + octets_len;
    struct head *h = calloc(1, size);
    struct wp_nomad_service *v = (void *)(h + 1);

    if (h == NULL)
        return NULL;
    h->octets = (size + 8 + 15) & ~(size_t)15; /* what the heap makes of it */
    v->n = n;
    v->octets_len = octets_len;
    return v;
}

void wp_nomad_service_free(struct wp_nomad_service *v)
{
    if (v != NULL)
        free(head_of(v));
}

static void free_block(struct wp_grace_item *item)
{
    free(item); /* the first member, of a head or of a table */
}

static void bury(struct wp_nomad_service *v)
{
    wp_grace_retire(&head_of(v)->grace, free_block);
}

size_t wp_nomad_store_reap(void)
{
    return wp_grace_reclaim();
}

/* --- the table --------------------------------------------------------------------------------- */

static struct table *table_new(size_t slots)
{
    struct table *t = calloc(1, sizeof(*t) + slots * sizeof(t->slots[0]));

    if (t != NULL)
        t->mask = slots - 1;
    return t;
}

static size_t table_octets(const struct table *t)
{
    return sizeof(*t) + (t->mask + 1) * sizeof(t->slots[0]);
}

/* The first slot from here on that has the hash, or has none. */
static struct slot *seek(const struct table *t, uint64_t hash, size_t *at)
{
    for (;; ++*at) {
        struct slot *slot = (struct slot *)(uintptr_t)&t->slots[(hash + *at) & t->mask];
        uint64_t have = atomic_load_explicit(&slot->hash, memory_order_acquire);
        if (have == 0 || have == hash)
            return slot;
    }
}

static bool is_named(const struct wp_nomad_service *v, const char *name, size_t name_len,
                     const char *namespace, size_t namespace_len)
{
    return v->name_len == name_len && v->namespace_len == namespace_len &&
           memcmp(wp_nomad_service_name(v), name, name_len) == 0 &&
           memcmp(wp_nomad_service_namespace(v), namespace, namespace_len) == 0;
}

/* The slot of the name, or one for it: without a service. NULL: neither, in a search that may not
 * take one. */
static struct slot *slot_of(const struct table *t, uint64_t hash, const char *name, size_t name_len,
                            const char *namespace, size_t namespace_len, bool take)
{
    struct slot *unused = NULL;
    size_t at = 0;

    for (;; at++) {
        struct slot *slot = seek(t, hash, &at);
        struct wp_nomad_service *v = atomic_load_explicit(&slot->service, memory_order_acquire);
        if (v != NULL && is_named(v, name, name_len, namespace, namespace_len))
            return slot;
        if (v == NULL && unused == NULL)
            unused = slot;
        if (v == NULL && atomic_load_explicit(&slot->hash, memory_order_relaxed) == 0)
            return take ? unused : NULL;
    }
}

static void fill(struct table *t, const struct table *from, size_t *ret_used)
{
    for (size_t i = 0; i <= from->mask; i++) {
        struct slot *old = (struct slot *)(uintptr_t)&from->slots[i], *slot;
        struct wp_nomad_service *v = atomic_load_explicit(&old->service, memory_order_relaxed);
        uint64_t hash = atomic_load_explicit(&old->hash, memory_order_relaxed);
        size_t at = 0;
        if (v == NULL)
            continue;
        while (slot = seek(t, hash, &at),
               atomic_load_explicit(&slot->service, memory_order_relaxed) != NULL)
            at++;
        atomic_store_explicit(&slot->service, v, memory_order_relaxed);
        atomic_store_explicit(&slot->hash, hash, memory_order_relaxed);
        ++*ret_used;
    }
}

static size_t alive(const struct table *t)
{
    size_t n = 0;

    for (size_t i = 0; i <= t->mask; i++)
        n += atomic_load_explicit(&((struct slot *)(uintptr_t)&t->slots[i])->service,
                                  memory_order_relaxed) != NULL;
    return n;
}

/* Room for one more: at most two slots of three have a hash. */
static int reserve(struct wp_nomad_store *s)
{
    struct table *t = table_of(s), *larger;
    size_t slots = SLOTS_FIRST, used = 0;

    if ((s->used + 1) * 3 <= (t->mask + 1) * 2)
        return 0;
    for (size_t n = alive(t) + 1; n * 2 > slots;)
        slots *= 2;
    larger = table_new(slots);
    if (larger == NULL)
        return -ENOMEM;
    fill(larger, t, &used);
    s->used = used;
    atomic_fetch_add(&s->tables, 1);
    atomic_store_explicit(&s->table, larger, memory_order_release);
    count(&s->octets, table_octets(larger) - table_octets(t));
    wp_grace_retire(&t->grace, free_block);
    return 0;
}

/* --- writing ----------------------------------------------------------------------------------- */

static void count_in(struct wp_nomad_store *s, struct wp_nomad_service *v)
{
    count(&s->services, v->name_len > 0 && v->n > 0);
    count(&s->instances, v->n);
    count(&s->octets, head_of(v)->octets);
}

static void count_out(struct wp_nomad_store *s, struct wp_nomad_service *v)
{
    count(&s->services, -(size_t)(v->name_len > 0 && v->n > 0));
    count(&s->instances, -(size_t)v->n);
    count(&s->octets, -head_of(v)->octets);
}

int wp_nomad_store_put(struct wp_nomad_store *s, struct wp_nomad_service *v)
{
    struct wp_nomad_service *before;
    struct slot *slot;

    if (reserve(s) < 0) {
        wp_nomad_service_free(v);
        return -ENOMEM;
    }
    slot = slot_of(table_of(s), slot_hash(v->hash), wp_nomad_service_name(v), v->name_len,
                   wp_nomad_service_namespace(v), v->namespace_len, true);
    before = atomic_load_explicit(&slot->service, memory_order_relaxed);
    count_in(s, v);
    /* Whoever meets the hash meets the service. */
    atomic_store_explicit(&slot->service, v, memory_order_release);
    if (atomic_load_explicit(&slot->hash, memory_order_relaxed) == 0) {
        s->used++;
        atomic_store_explicit(&slot->hash, slot_hash(v->hash), memory_order_release);
    }
    wp_nomad_store_touch(s, v);
    if (before != NULL) {
        count_out(s, before);
        bury(before);
    }
    return 0;
}

void wp_nomad_store_remove(struct wp_nomad_store *s, struct wp_nomad_service *v)
{
    struct slot *slot = slot_of(table_of(s), slot_hash(v->hash), wp_nomad_service_name(v),
                                v->name_len, wp_nomad_service_namespace(v), v->namespace_len, false);

    atomic_store_explicit(&slot->service, NULL, memory_order_release);
    wp_nomad_store_touch(s, v);
    count_out(s, v);
    bury(v);
}

void wp_nomad_store_touch(const struct wp_nomad_store *s, const struct wp_nomad_service *v)
{
    wp_changed(wp_nomad_store_key(s, v->hash));
}

struct wp_nomad_service *wp_nomad_store_get(const struct wp_nomad_store *s, uint64_t hash,
                                            const char *name, size_t name_len,
                                            const char *namespace, size_t namespace_len)
{
    struct slot *slot = slot_of(table_of(s), slot_hash(hash), name, name_len, namespace,
                                namespace_len, false);

    return slot != NULL ? atomic_load_explicit(&slot->service, memory_order_acquire) : NULL;
}

struct wp_nomad_service *wp_nomad_store_each(const struct wp_nomad_store *s, size_t *at)
{
    struct table *t = table_of(s);
    struct wp_nomad_service *v = NULL;

    while (v == NULL && *at <= t->mask)
        v = atomic_load_explicit(&t->slots[(*at)++].service, memory_order_relaxed);
    return v;
}

unsigned wp_nomad_store_tables(const struct wp_nomad_store *s)
{
    return atomic_load(&((struct wp_nomad_store *)(uintptr_t)s)->tables);
}

/* --- reading ----------------------------------------------------------------------------------- */

uint64_t wp_nomad_store_key(const struct wp_nomad_store *s, uint64_t hash)
{
    return wp_change_key(s->source, hash);
}

const struct wp_nomad_service *wp_nomad_store_find(const struct wp_nomad_store *s, uint64_t hash,
                                                   const char *name, size_t name_len,
                                                   const char *namespace, size_t namespace_len)
{
    return wp_nomad_store_get(s, hash, name, name_len, namespace, namespace_len);
}

void wp_nomad_store_prefetch(const struct wp_nomad_store *s, uint64_t hash, unsigned step)
{
    const struct table *t = table_of(s);
    size_t at = 0;
    const struct wp_nomad_service *v;

    hash = slot_hash(hash);
    if (step == 0) {
        __builtin_prefetch(&t->slots[hash & t->mask]);
        return;
    }
    v = atomic_load_explicit(&seek(t, hash, &at)->service, memory_order_acquire);
    for (size_t line = 0; v != NULL && line < LINES; line++)
        __builtin_prefetch((const char *)v + line * CACHE_LINE);
}

struct wp_nomad_figures wp_nomad_store_figures(const struct wp_nomad_store *s)
{
    struct wp_nomad_store *any = (struct wp_nomad_store *)(uintptr_t)s;

    return (struct wp_nomad_figures){
        .services = atomic_load_explicit(&any->services, memory_order_relaxed),
        .instances = atomic_load_explicit(&any->instances, memory_order_relaxed),
        .octets = atomic_load_explicit(&any->octets, memory_order_relaxed),
    };
}

/* --- life -------------------------------------------------------------------------------------- */

int wp_nomad_store_new(uint64_t source, struct wp_nomad_store **ret)
{
    struct wp_nomad_store *s = calloc(1, sizeof(*s));
    struct table *t = table_new(SLOTS_FIRST);

    if (s == NULL || t == NULL) {
        free(s);
        free(t);
        return -ENOMEM;
    }
    s->source = source;
    atomic_init(&s->table, t);
    atomic_init(&s->octets, table_octets(t));
    *ret = s;
    return 0;
}

void wp_nomad_store_free(struct wp_nomad_store *s)
{
    struct wp_nomad_service *v;
    size_t at = 0;

    if (s == NULL)
        return;
    while ((v = wp_nomad_store_each(s, &at)) != NULL)
        wp_nomad_service_free(v);
    free(table_of(s));
    free(s);
}
