#include "backends/kubernetes/store.h"

#include <stdlib.h>
#include "backends/kubernetes/store_priv.h"

/* --- life ------------------------------------------------------------------------------------ */

static struct wp_kube_index *const *indexes(struct wp_kube_store *s, struct wp_kube_index *ret[10])
{
    struct wp_kube_index *all[] = {
        &s->namespaces, &s->places,    &s->cluster_ips, &s->external_ips, &s->members[0],
        &s->members[1], &s->endpoints, &s->pods,        &s->pod_ips,      NULL,
    };

    memcpy(ret, all, sizeof(all));
    return ret;
}

int wp_kube_store_new(const struct wp_kube_store_config *c, struct wp_kube_store **ret)
{
    struct wp_kube_store *s = calloc(1, sizeof(*s));
    struct wp_kube_index *all[10];

    if (s == NULL)
        return -ENOMEM;
    s->source = c->source;
    s->labels = c->labels;
    wp_arena_init(&s->scratch, 0);
    for (struct wp_kube_index *const *x = indexes(s, all); *x != NULL; x++)
        if (wp_kube_index_init(*x) < 0) {
            wp_kube_store_free(s);
            return -ENOMEM;
        }
    for (int c2 = 0; c2 < WP_KUBE_COLLECTIONS; c2++)
        s->listing[c2] = 1;
    *ret = s;
    return 0;
}

static void free_values(const struct wp_kube_index *x)
{
    const struct wp_kube_table *t = wp_kube_index_table(x);
    uint64_t v;
    size_t at = 0;

    while (t != NULL && (v = wp_kube_table_each(t, &at)) != 0)
        free(wp_kube_pointer(v));
}

void wp_kube_store_free(struct wp_kube_store *s)
{
    struct wp_kube_index *all[10];

    if (s == NULL)
        return;
    for (int v = 0; v < WP_KUBE_VIEWS; v++) {
        const struct wp_kube_table *t = wp_kube_index_table(&s->members[v]);
        uint64_t m;
        size_t at = 0;
        while (t != NULL && (m = wp_kube_table_each(t, &at)) != 0)
            free(atomic_load_explicit(&((struct wp_kube_member *)wp_kube_pointer(m))->slice,
                                      memory_order_relaxed));
        free_values(&s->members[v]);
    }
    free_values(&s->namespaces);
    free_values(&s->places);
    free_values(&s->pods);
    for (struct wp_kube_index *const *x = indexes(s, all); *x != NULL; x++)
        wp_kube_index_done(*x);
    for (size_t i = 0; s->dead != NULL && i < s->dead->n; i++)
        free(s->dead->block[i]);
    free(s->dead);
    wp_arena_done(&s->scratch);
    free(s);
}

/* --- what readers may still see -------------------------------------------------------------- */

static void free_dead(struct wp_grace_item *item)
{
    struct wp_kube_dead *dead = (struct wp_kube_dead *)item; /* the first member */

    for (size_t i = 0; i < dead->n; i++)
        free(dead->block[i]);
    free(dead);
}

int wp_kube_bury_reserve(struct wp_kube_store *s)
{
    struct wp_kube_dead *fresh;

    if (s->dead != NULL && s->dead->n + WP_KUBE_DEAD_PER_CHANGE <= WP_KUBE_DEAD)
        return 0;
    fresh = malloc(sizeof(*fresh));
    if (fresh == NULL)
        return -ENOMEM;
    fresh->n = 0;
    if (s->dead != NULL)
        wp_grace_retire(&s->dead->grace, free_dead);
    s->dead = fresh;
    return 0;
}

void wp_kube_bury(struct wp_kube_store *s, void *block)
{
    if (block != NULL)
        s->dead->block[s->dead->n++] = block;
}

size_t wp_kube_store_reap(struct wp_kube_store *s)
{
    if (s->dead != NULL && s->dead->n > 0) {
        wp_grace_retire(&s->dead->grace, free_dead);
        s->dead = NULL;
    }
    return wp_grace_reclaim();
}

/* --- figures --------------------------------------------------------------------------------- */

void wp_kube_serial_set(struct wp_kube_store *s, enum wp_kube_serial which, uint32_t now_s)
{
    atomic_store_explicit(&s->serial[which], now_s, memory_order_relaxed);
}

uint32_t wp_kube_store_serial(const struct wp_kube_store *s, enum wp_kube_serial which)
{
    return atomic_load_explicit(&((struct wp_kube_store *)(uintptr_t)s)->serial[which],
                                memory_order_relaxed);
}

static size_t figure(const _Atomic size_t *p)
{
    return atomic_load_explicit((_Atomic size_t *)(uintptr_t)p, memory_order_relaxed);
}

struct wp_kube_figures wp_kube_store_figures(const struct wp_kube_store *s,
                                             enum wp_kube_collection c)
{
    struct wp_kube_figures f = {figure(&s->objects[c]), figure(&s->octets[c])};

    if (c == WP_KUBE_SERVICES)
        f.octets += figure(&s->places.octets) + figure(&s->cluster_ips.octets) +
                    figure(&s->external_ips.octets);
    else if (c == WP_KUBE_SLICES)
        f.octets += figure(&s->members[WP_KUBE_LOCAL].octets) + figure(&s->endpoints.octets);
    else if (c == WP_KUBE_IMPORT_SLICES)
        f.octets += figure(&s->members[WP_KUBE_CLUSTERSET].octets);
    else if (c == WP_KUBE_NAMESPACES)
        f.octets += figure(&s->namespaces.octets);
    else if (c == WP_KUBE_PODS)
        f.octets += figure(&s->pods.octets) + figure(&s->pod_ips.octets);
    return f;
}

size_t wp_kube_store_octets(const struct wp_kube_store *s)
{
    size_t sum = sizeof(*s);

    for (unsigned c = 0; c < WP_KUBE_COLLECTIONS; c++)
        sum += wp_kube_store_figures(s, c).octets;
    return sum;
}

size_t wp_kube_store_endpoints(const struct wp_kube_store *s)
{
    return figure(&s->n_endpoints);
}

/* --- keys ------------------------------------------------------------------------------------ */

uint64_t wp_kube_object_hash(struct wp_kube_text ns, struct wp_kube_text name)
{
    uint64_t h = wp_hash_mix(wp_hash_bytes(ns.at, ns.len), wp_hash_bytes(name.at, name.len));

    return h | (h < 2) << 1; /* a value of an index, and 0 means "none" */
}

uint64_t wp_kube_place_hash(const char *ns, size_t ns_len, const char *name, size_t name_len)
{
    return wp_kube_object_hash((struct wp_kube_text){ns, ns_len},
                               (struct wp_kube_text){name, name_len});
}

uint64_t wp_kube_place_key(const struct wp_kube_store *s, uint64_t place_hash)
{
    return wp_kube_key(s->source, WP_KUBE_KEY_PLACE, place_hash);
}

uint64_t wp_kube_namespace_key(const struct wp_kube_store *s, const char *ns, size_t len)
{
    return wp_kube_key(s->source, WP_KUBE_KEY_NAMESPACE, wp_hash_bytes(ns, len));
}

uint64_t wp_kube_addr_key(const struct wp_kube_store *s, const struct wp_kube_addr *a)
{
    return wp_kube_key(s->source, WP_KUBE_KEY_ADDR, wp_kube_addr_hash(a));
}

uint64_t wp_kube_pod_key(const struct wp_kube_store *s, const struct wp_kube_addr *a)
{
    return wp_kube_key(s->source, WP_KUBE_KEY_POD, wp_kube_addr_hash(a));
}

/* Opaque texts that are only compared. Those that servers make are decimal numbers. */
uint64_t wp_kube_version(struct wp_kube_text rv)
{
    uint64_t v = 0;

    if (rv.len == 0)
        return 0;
    for (size_t i = 0; i < rv.len; i++) {
        if (rv.at[i] < '0' || rv.at[i] > '9' || (i == 0 && rv.at[0] == '0') || i == 18)
            return wp_hash_bytes(rv.at, rv.len) | UINT64_C(1) << 63;
        v = v * 10 + (uint64_t)(rv.at[i] - '0');
    }
    return v;
}

/* --- one object ------------------------------------------------------------------------------ */

int wp_kube_store_put(struct wp_kube_store *s, const struct wp_kube_object *o, uint32_t now_s)
{
    wp_arena_reset(&s->scratch);
    if (o->name.len == 0) /* a bookmark */
        return 0;
    if (wp_kube_bury_reserve(s) < 0)
        return -ENOMEM;
    switch (o->collection) {
    case WP_KUBE_SERVICES:
    case WP_KUBE_IMPORTS:
        return wp_kube_service_put(s, o, now_s);
    case WP_KUBE_SLICES:
    case WP_KUBE_IMPORT_SLICES:
        return wp_kube_slice_put(s, o, now_s);
    case WP_KUBE_NAMESPACES:
        return wp_kube_namespace_put(s, o);
    case WP_KUBE_PODS:
        return wp_kube_pod_put(s, o, now_s);
    default:
        return 0;
    }
}

/* One value of the index that the collection lives in; 0: it is not of the collection, or it is
 * there and was listed. */
static int remove_value(struct wp_kube_store *s, enum wp_kube_collection c, uint64_t value,
                        bool unlisted_only, uint32_t now_s)
{
    enum wp_kube_view v =
        c == WP_KUBE_IMPORTS || c == WP_KUBE_IMPORT_SLICES ? WP_KUBE_CLUSTERSET : WP_KUBE_LOCAL;
    uint32_t listing = s->listing[c];
    void *p = wp_kube_pointer(value);

    wp_arena_reset(&s->scratch);
    if (value == 0)
        return 0;
    if (wp_kube_bury_reserve(s) < 0)
        return -ENOMEM;
    switch (c) {
    case WP_KUBE_SERVICES:
    case WP_KUBE_IMPORTS: {
        struct wp_kube_place *place = p;
        if (place->kind[v] == WP_KUBE_NONE || (unlisted_only && place->mark[v] == listing))
            return 0;
        return wp_kube_service_remove(s, place, v, now_s);
    }
    case WP_KUBE_SLICES:
    case WP_KUBE_IMPORT_SLICES:
        if (unlisted_only && ((struct wp_kube_member *)p)->mark == listing)
            return 0;
        return wp_kube_slice_remove(s, v, p, now_s);
    case WP_KUBE_NAMESPACES: {
        struct wp_kube_namespace *ns = p;
        if (!atomic_load_explicit(&ns->present, memory_order_relaxed) ||
            (unlisted_only && ns->mark == listing))
            return 0;
        wp_kube_namespace_remove(s, ns);
        return 1;
    }
    case WP_KUBE_PODS:
        if (unlisted_only && ((struct wp_kube_pod *)p)->mark == listing)
            return 0;
        return wp_kube_pod_remove(s, p, now_s);
    default:
        return 0;
    }
}

int wp_kube_store_remove(struct wp_kube_store *s, const struct wp_kube_object *o, uint32_t now_s)
{
    const void *p = NULL;

    switch (o->collection) {
    case WP_KUBE_SERVICES:
    case WP_KUBE_IMPORTS:
        p = wp_kube_place_of(s, wp_kube_object_hash(o->ns, o->name), o->ns, o->name);
        break;
    case WP_KUBE_SLICES:
        p = wp_kube_member_find(s, WP_KUBE_LOCAL, o->ns, o->name);
        break;
    case WP_KUBE_IMPORT_SLICES:
        p = wp_kube_member_find(s, WP_KUBE_CLUSTERSET, o->ns, o->name);
        break;
    case WP_KUBE_NAMESPACES:
        p = wp_kube_namespace_find(s, o->name);
        break;
    case WP_KUBE_PODS:
        p = wp_kube_pod_find(s, o->ns, o->name);
        break;
    default:
        break;
    }
    return remove_value(s, o->collection, wp_kube_value(p), false, now_s);
}

/* Where the objects of a collection are, among others. */
const struct wp_kube_index *wp_kube_home(const struct wp_kube_store *s, enum wp_kube_collection c)
{
    const struct wp_kube_index *home[WP_KUBE_COLLECTIONS] = {
        [WP_KUBE_SERVICES] = &s->places,
        [WP_KUBE_SLICES] = &s->members[WP_KUBE_LOCAL],
        [WP_KUBE_IMPORTS] = &s->places,
        [WP_KUBE_IMPORT_SLICES] = &s->members[WP_KUBE_CLUSTERSET],
        [WP_KUBE_NAMESPACES] = &s->namespaces,
        [WP_KUBE_PODS] = &s->pods,
    };

    return home[c];
}

/* --- listings -------------------------------------------------------------------------------- */

int wp_kube_store_touch(struct wp_kube_store *s, const struct wp_kube_object *o)
{
    bool clusterset = o->collection == WP_KUBE_IMPORTS || o->collection == WP_KUBE_IMPORT_SLICES;
    enum wp_kube_view v = clusterset ? WP_KUBE_CLUSTERSET : WP_KUBE_LOCAL;
    uint64_t version = wp_kube_version(o->resource_version), known = 0;
    uint32_t listing = s->listing[o->collection];

    if (o->collection == WP_KUBE_SERVICES || o->collection == WP_KUBE_IMPORTS) {
        struct wp_kube_place *p =
            wp_kube_place_of(s, wp_kube_object_hash(o->ns, o->name), o->ns, o->name);
        if (p != NULL && p->kind[v] != WP_KUBE_NONE) {
            p->mark[v] = listing;
            known = p->version[v];
        }
    } else if (o->collection == WP_KUBE_NAMESPACES) {
        struct wp_kube_namespace *ns = wp_kube_namespace_find(s, o->name);
        if (ns != NULL && atomic_load_explicit(&ns->present, memory_order_relaxed)) {
            ns->mark = listing;
            known = ns->version;
        }
    } else if (o->collection == WP_KUBE_PODS) {
        struct wp_kube_pod *pod = wp_kube_pod_find(s, o->ns, o->name);
        if (pod != NULL) {
            pod->mark = (uint16_t)listing;
            known = pod->version;
        }
    } else {
        struct wp_kube_member *m = wp_kube_member_find(s, v, o->ns, o->name);
        if (m != NULL) {
            m->mark = listing;
            known = m->version;
        }
    }
    return version != 0 && version == known;
}

void wp_kube_store_list_begin(struct wp_kube_store *s, enum wp_kube_collection c)
{
    if (c != WP_KUBE_PODS || s->listing[c] < UINT16_MAX) {
        s->listing[c]++;
        return;
    }
    s->listing[c] = 1; /* marks of pods have 16 bits */
    wp_kube_pods_unmark(s);
}

int wp_kube_store_list_end(struct wp_kube_store *s, enum wp_kube_collection c, uint32_t now_s,
                           size_t *ret_removed)
{
    const struct wp_kube_table *t = wp_kube_index_table(wp_kube_home(s, c)); /* removing makes no new one */
    size_t at = 0, removed = 0;
    uint64_t value;

    while ((value = wp_kube_table_each(t, &at)) != 0) {
        int r = remove_value(s, c, value, true, now_s);
        if (r < 0)
            return r;
        removed += (size_t)r;
    }
    *ret_removed = removed;
    return 0;
}
