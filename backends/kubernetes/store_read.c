#include "backends/kubernetes/store_priv.h"

enum { CACHE_LINE = 64, PLACE_LINES = 3 /* a plain service with its names and addresses */ };

void wp_kube_place_prefetch(const struct wp_kube_store *s, uint64_t hash)
{
    const struct wp_kube_table *t = wp_kube_index_table(&s->places);

    __builtin_prefetch(&t->slots[hash & t->mask]);
}

void wp_kube_place_prefetch_content(const struct wp_kube_store *s, uint64_t hash)
{
    size_t at = 0;
    uint64_t value = wp_kube_table_next(wp_kube_index_table(&s->places), hash, &at);

    for (size_t line = 0; value != 0 && line < PLACE_LINES; line++)
        __builtin_prefetch((const char *)wp_kube_pointer(value) + line * CACHE_LINE);
}

uint64_t wp_kube_place_namespace_key(const struct wp_kube_store *s, const struct wp_kube_place *p)
{
    return wp_kube_key(s->source, WP_KUBE_KEY_NAMESPACE, p->ns->hash);
}

const struct wp_kube_place *wp_kube_place_find(const struct wp_kube_store *s, uint64_t hash,
                                               const char *ns, size_t ns_len, const char *name,
                                               size_t name_len)
{
    return wp_kube_place_of(s, hash, (struct wp_kube_text){ns, ns_len},
                            (struct wp_kube_text){name, name_len});
}

const struct wp_kube_place *wp_kube_place_each(const struct wp_kube_store *s, size_t *at)
{
    return wp_kube_pointer(wp_kube_table_each(wp_kube_index_table(&s->places), at));
}

unsigned wp_kube_place_tables(const struct wp_kube_store *s)
{
    return atomic_load_explicit(&((struct wp_kube_store *)(uintptr_t)s)->places.tables,
                                memory_order_acquire);
}

static struct wp_kube_hits hits(const struct wp_kube_store *s, const struct wp_kube_index *x,
                                const struct wp_kube_addr *a)
{
    return (struct wp_kube_hits){s, wp_kube_index_table(x), *a, wp_kube_addr_hash(a), 0, x};
}

struct wp_kube_hits wp_kube_cluster_ip_hits(const struct wp_kube_store *s,
                                            const struct wp_kube_addr *a)
{
    return hits(s, &s->cluster_ips, a);
}

struct wp_kube_hits wp_kube_external_ip_hits(const struct wp_kube_store *s,
                                             const struct wp_kube_addr *a)
{
    return hits(s, &s->external_ips, a);
}

struct wp_kube_hits wp_kube_endpoint_hits(const struct wp_kube_store *s,
                                          const struct wp_kube_addr *a)
{
    return hits(s, &s->endpoints, a);
}

struct wp_kube_hits wp_kube_pod_hits(const struct wp_kube_store *s, const struct wp_kube_addr *a)
{
    return hits(s, &s->pod_ips, a);
}

static bool lists(struct wp_kube_cursor c, const struct wp_kube_addr *a)
{
    struct wp_kube_addr have;

    while (wp_kube_addr_next(&c, &have))
        if (wp_kube_addr_equal(&have, a))
            return true;
    return false;
}

/* The tables of services lead to hashes of places, which change less often than the places. */
const struct wp_kube_place *wp_kube_hits_place(struct wp_kube_hits *h)
{
    bool externals = h->index == &h->store->external_ips;
    const struct wp_kube_table *places = wp_kube_index_table(&h->store->places);
    uint64_t hash, value;

    while ((hash = wp_kube_table_next(h->table, h->hash, &h->at)) != 0) {
        size_t at = 0;
        while ((value = wp_kube_table_next(places, hash, &at)) != 0) {
            const struct wp_kube_place *p = wp_kube_pointer(value);
            if (lists(externals ? wp_kube_place_externals(p) : wp_kube_place_ips(p, WP_KUBE_LOCAL),
                      &h->addr))
                return p;
        }
    }
    return NULL;
}

const struct wp_kube_slice *wp_kube_hits_slice(struct wp_kube_hits *h, size_t *ret_i)
{
    uint64_t value;

    while ((value = wp_kube_table_next(h->table, h->hash, &h->at)) != 0) {
        struct wp_kube_member *m = wp_kube_pointer(value);
        const struct wp_kube_slice *slice = atomic_load_explicit(&m->slice, memory_order_acquire);
        size_t i = wp_kube_slice_find_addr(slice, 0, &h->addr);
        if (i < slice->n) {
            *ret_i = i;
            return slice;
        }
    }
    return NULL;
}

const struct wp_kube_pod *wp_kube_hits_pod(struct wp_kube_hits *h)
{
    uint64_t value;

    while ((value = wp_kube_table_next(h->table, h->hash, &h->at)) != 0) {
        const struct wp_kube_pod *p = wp_kube_pointer(value);
        if (lists(wp_kube_pod_ips(p), &h->addr))
            return p;
    }
    return NULL;
}

bool wp_kube_pod_has(const struct wp_kube_store *s, const char *ns, size_t ns_len,
                     const struct wp_kube_addr *a)
{
    struct wp_kube_hits h = wp_kube_pod_hits(s, a);
    const struct wp_kube_pod *p;

    while ((p = wp_kube_hits_pod(&h)) != NULL)
        if (wp_kube_text_equal(wp_kube_pod_namespace(p), (struct wp_kube_text){ns, ns_len}))
            return true;
    return false;
}
