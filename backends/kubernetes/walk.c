#include "backends/kubernetes/walk.h"

#include <errno.h>

#include "backends/kubernetes/store_priv.h"

static unsigned tables_of(const struct wp_kube_walk *w)
{
    return wp_kube_home(w->store, w->collection)->tables;
}

void wp_kube_walk_begin(struct wp_kube_walk *w, const struct wp_kube_store *s)
{
    *w = (struct wp_kube_walk){.store = s};
    w->tables = tables_of(w);
}

/* --- parts of objects; false: memory --------------------------------------------------------- */

static bool copy_addr(struct wp_arena *a, const struct wp_kube_addr *addr, struct wp_kube_text *ret)
{
    char text[WP_KUBE_TEXT_MAX];

    ret->len = wp_kube_addr_text(addr, text);
    ret->at = wp_arena_dup(a, text, ret->len);
    return ret->at != NULL;
}

static bool copy_addrs(struct wp_arena *a, struct wp_kube_cursor c, struct wp_kube_text **ret,
                       size_t *ret_n)
{
    struct wp_kube_cursor again = c;
    struct wp_kube_addr addr;

    for (*ret_n = 0; wp_kube_addr_next(&c, &addr); ++*ret_n)
        ;
    *ret = *ret_n > 0 ? wp_arena_array(a, *ret_n, sizeof(**ret)) : NULL;
    if (*ret_n > 0 && *ret == NULL)
        return false;
    for (size_t i = 0; wp_kube_addr_next(&again, &addr); i++)
        if (!copy_addr(a, &addr, &(*ret)[i]))
            return false;
    return true;
}

static bool copy_ports(struct wp_arena *a, struct wp_kube_cursor c, struct wp_kube_object *o)
{
    struct wp_kube_cursor again = c;
    struct wp_kube_port port, *to;

    while (wp_kube_port_next(&c, &port))
        o->n_ports++;
    if (o->n_ports == 0)
        return true;
    to = wp_arena_array(a, o->n_ports, sizeof(*to));
    o->ports = to;
    while (to != NULL && wp_kube_port_next(&again, to))
        to++;
    return to != NULL;
}

/* --- objects: 1, 0 when the value is none of the collection, -ENOMEM ---------------------------- */

static int from_place(struct wp_arena *a, const struct wp_kube_place *p, enum wp_kube_view v,
                      struct wp_kube_object *o)
{
    if (p->kind[v] == WP_KUBE_NONE)
        return 0;
    o->ns = wp_kube_place_namespace(p);
    o->name = wp_kube_place_name(p);
    o->kind = p->kind[v];
    if (!copy_addrs(a, wp_kube_place_ips(p, v), &o->ips, &o->n_ips) ||
        !copy_ports(a, wp_kube_place_ports(p, v), o))
        return -ENOMEM;
    if (v == WP_KUBE_CLUSTERSET)
        return 1;
    o->external_name = wp_kube_place_external_name(p);
    return copy_addrs(a, wp_kube_place_externals(p), &o->externals, &o->n_externals) ? 1 : -ENOMEM;
}

/* The stored name; one that is made from the address is none. */
static bool copy_name(struct wp_arena *a, const struct wp_kube_slice *s, size_t i,
                      const struct wp_kube_addr *addr, struct wp_kube_text *ret)
{
    char buf[WP_KUBE_NAME_MAX], label[WP_KUBE_NAME_MAX];
    struct wp_kube_text name;

    *ret = (struct wp_kube_text){"", 0};
    if (!s->has_names)
        return true;
    name = wp_kube_slice_name(s, i, buf);
    if (wp_kube_text_equal(name, (struct wp_kube_text){label, wp_kube_addr_label(addr, label)}))
        return true;
    ret->len = name.len;
    ret->at = wp_arena_dup(a, name.at, name.len);
    return ret->at != NULL;
}

static int from_slice(struct wp_arena *a, const struct wp_kube_slice *s, struct wp_kube_object *o)
{
    bool import = o->collection == WP_KUBE_IMPORT_SLICES;

    o->ns = wp_kube_slice_namespace(s);
    o->name = wp_kube_slice_object(s);
    *(import ? &o->import : &o->service) = wp_kube_slice_service(s);
    if (import)
        o->cluster = wp_kube_slice_cluster(s);
    if (!copy_ports(a, wp_kube_slice_ports(s), o))
        return -ENOMEM;
    o->n_endpoints = s->n;
    o->endpoints = s->n > 0 ? wp_arena_array(a, s->n, sizeof(*o->endpoints)) : NULL;
    if (s->n > 0 && o->endpoints == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < s->n; i++) {
        struct wp_kube_addr addr = wp_kube_slice_addr(s, i);
        if (!copy_addr(a, &addr, &o->endpoints[i].addr) ||
            !copy_name(a, s, i, &addr, &o->endpoints[i].name))
            return -ENOMEM;
        o->endpoints[i].zone = wp_kube_slice_zone(s, i);
    }
    return 1;
}

static int from_pod(struct wp_arena *a, const struct wp_kube_pod *p, struct wp_kube_object *o)
{
    struct wp_kube_cursor c = wp_kube_pod_labels(p), again = c;
    struct wp_kube_pair pair;

    o->ns = wp_kube_pod_namespace(p);
    o->name = wp_kube_pod_name(p);
    if (!copy_addrs(a, wp_kube_pod_ips(p), &o->ips, &o->n_ips))
        return -ENOMEM;
    while (wp_kube_label_next(&c, &pair))
        o->n_labels++;
    o->labels = o->n_labels > 0 ? wp_arena_array(a, o->n_labels, sizeof(*o->labels)) : NULL;
    if (o->n_labels > 0 && o->labels == NULL)
        return -ENOMEM;
    for (size_t i = 0; wp_kube_label_next(&again, &pair); i++)
        o->labels[i] = pair;
    return 1;
}

static int from_namespace(const struct wp_kube_namespace *ns, struct wp_kube_object *o)
{
    if (!atomic_load_explicit(&((struct wp_kube_namespace *)(uintptr_t)ns)->present,
                              memory_order_relaxed))
        return 0;
    o->name = (struct wp_kube_text){ns->name, ns->len};
    return 1;
}

static int from_value(struct wp_arena *a, const void *p, struct wp_kube_object *o)
{
    switch (o->collection) {
    case WP_KUBE_SERVICES:
        return from_place(a, p, WP_KUBE_LOCAL, o);
    case WP_KUBE_IMPORTS:
        return from_place(a, p, WP_KUBE_CLUSTERSET, o);
    case WP_KUBE_SLICES:
    case WP_KUBE_IMPORT_SLICES:
        return from_slice(a, wp_kube_member_slice(p), o);
    case WP_KUBE_NAMESPACES:
        return from_namespace(p, o);
    default:
        return from_pod(a, p, o);
    }
}

int wp_kube_walk_next(struct wp_kube_walk *w, struct wp_arena *a, struct wp_kube_object *ret)
{
    static const struct wp_kube_text none = {"", 0};

    for (;;) {
        const struct wp_kube_index *home = wp_kube_home(w->store, w->collection);
        uint64_t value;
        int r;

        if (w->tables != home->tables)
            return WP_ESTATE;
        value = wp_kube_table_each(wp_kube_index_table(home), &w->at);
        if (value == 0) {
            if (w->collection + 1 == WP_KUBE_COLLECTIONS)
                return 0;
            w->collection++;
            w->at = 0;
            w->tables = tables_of(w);
            continue;
        }
        *ret = (struct wp_kube_object){
            .collection = w->collection,
            .ns = none,
            .resource_version = none,
            .external_name = none,
            .service = none,
            .import = none,
            .cluster = none,
            .trigger_time = none,
        };
        r = from_value(a, wp_kube_pointer(value), ret);
        if (r != 0)
            return r;
    }
}
