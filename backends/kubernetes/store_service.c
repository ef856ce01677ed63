#include <errno.h>

#include "backends/kubernetes/store_priv.h"

/* Parts of a place that come from the object of each view. */
static const struct {
    enum wp_kube_collection collection;
    enum wp_kube_part ips, ports;
} views[WP_KUBE_VIEWS] = {
    [WP_KUBE_LOCAL] = {WP_KUBE_SERVICES, WP_KUBE_PART_IPS, WP_KUBE_PART_PORTS},
    [WP_KUBE_CLUSTERSET] = {WP_KUBE_IMPORTS, WP_KUBE_PART_IMPORT_IPS, WP_KUBE_PART_IMPORT_PORTS},
};

struct wp_kube_place_parts wp_kube_place_empty(uint64_t hash, struct wp_kube_namespace *ns,
                                               struct wp_kube_text name)
{
    struct wp_kube_place_parts a = {.hash = hash, .ns = ns};

    for (unsigned i = 0; i < WP_KUBE_PARTS; i++)
        a.part[i] = (struct wp_kube_text){"", 0};
    a.part[WP_KUBE_PART_NAMESPACE] = (struct wp_kube_text){ns->name, ns->len};
    a.part[WP_KUBE_PART_NAME] = name;
    return a;
}

/* The object's lists, packed in the scratch arena. */
static int pack(struct wp_kube_store *s, const struct wp_kube_object *o, enum wp_kube_view v,
                struct wp_kube_place_parts *a)
{
    size_t ips = wp_kube_addrs_size(o->ips, o->n_ips);
    size_t ports = wp_kube_ports_size(o->ports, o->n_ports);
    size_t externals = wp_kube_addrs_size(o->externals, o->n_externals);
    uint8_t *out = wp_arena_alloc(&s->scratch, ips + ports + externals);

    if (out == NULL)
        return -ENOMEM;
    a->kind[v] = (uint8_t)o->kind;
    a->part[views[v].ips] = (struct wp_kube_text){(char *)out, ips};
    out = wp_kube_addrs_write(o->ips, o->n_ips, out);
    a->part[views[v].ports] = (struct wp_kube_text){(char *)out, ports};
    out = wp_kube_ports_write(o->ports, o->n_ports, out);
    if (v == WP_KUBE_CLUSTERSET)
        return 0;
    a->part[WP_KUBE_PART_EXTERNALS] = (struct wp_kube_text){(char *)out, externals};
    wp_kube_addrs_write(o->externals, o->n_externals, out);
    a->part[WP_KUBE_PART_EXTERNAL_NAME] = o->external_name;
    return 0;
}

static bool differ(const struct wp_kube_place_parts *a, const struct wp_kube_place_parts *b,
                   enum wp_kube_part part)
{
    return !wp_kube_text_equal(a->part[part], b->part[part]);
}

/* Which serials move, beside that of what comes or goes. */
static void modified(struct wp_kube_store *s, enum wp_kube_view v,
                     const struct wp_kube_place_parts *from, const struct wp_kube_place_parts *to,
                     uint32_t now_s)
{
    bool ports = differ(from, to, views[v].ports);

    if (v == WP_KUBE_CLUSTERSET) {
        if (ports || from->kind[v] != to->kind[v])
            wp_kube_serial_set(s, WP_KUBE_SERIAL_MULTICLUSTER, now_s);
        return;
    }
    if (ports || differ(from, to, WP_KUBE_PART_EXTERNAL_NAME))
        wp_kube_serial_set(s, WP_KUBE_SERIAL_INTERNAL, now_s);
    if (ports || differ(from, to, WP_KUBE_PART_EXTERNAL_NAME) ||
        differ(from, to, WP_KUBE_PART_EXTERNALS))
        wp_kube_serial_set(s, WP_KUBE_SERIAL_EXTERNAL, now_s);
}

/* CoreDNS moves only the internal serial when an object comes or goes, and so tells secondaries
 * of the other zones nothing. */
static void came_or_went(struct wp_kube_store *s, enum wp_kube_view v,
                         const struct wp_kube_place_parts *with, int by, uint32_t now_s)
{
    wp_kube_count(&s->objects[views[v].collection], by);
    wp_kube_serial_set(s, WP_KUBE_SERIAL_INTERNAL, now_s);
    if (v == WP_KUBE_CLUSTERSET)
        wp_kube_serial_set(s, WP_KUBE_SERIAL_MULTICLUSTER, now_s);
    else if (with->part[WP_KUBE_PART_EXTERNALS].len > 0)
        wp_kube_serial_set(s, WP_KUBE_SERIAL_EXTERNAL, now_s);
}

/* From `old` (NULL: nothing) to what the parts make, with the reverse tables. */
static int publish(struct wp_kube_store *s, struct wp_kube_place *old,
                   const struct wp_kube_place_parts *from, const struct wp_kube_place_parts *to)
{
    struct wp_kube_move ips = {.index = &s->cluster_ips, .value = to->hash};
    struct wp_kube_move externals = {.index = &s->external_ips, .value = to->hash};
    struct wp_kube_place *p = NULL;

    if (wp_kube_set_of_list(s, from->part[WP_KUBE_PART_IPS], &ips.from) < 0 ||
        wp_kube_set_of_list(s, to->part[WP_KUBE_PART_IPS], &ips.to) < 0 ||
        wp_kube_set_of_list(s, from->part[WP_KUBE_PART_EXTERNALS], &externals.from) < 0 ||
        wp_kube_set_of_list(s, to->part[WP_KUBE_PART_EXTERNALS], &externals.to) < 0 ||
        (ips.to.n > 0 && wp_kube_index_reserve(ips.index, ips.to.n) < 0) ||
        (externals.to.n > 0 && wp_kube_index_reserve(externals.index, externals.to.n) < 0) ||
        (old == NULL && wp_kube_index_reserve(&s->places, 1) < 0))
        return -ENOMEM;
    if (!wp_kube_place_parts_empty(to)) {
        p = wp_kube_place_new(to);
        if (p == NULL)
            return -ENOMEM;
    }
    wp_kube_move_in(&ips);
    wp_kube_move_in(&externals);
    wp_kube_place_swap(s, old, p);
    wp_kube_move_out(&ips);
    wp_kube_move_out(&externals);
    wp_kube_move_mark(s, &ips, false);
    wp_kube_move_mark(s, &externals, false);
    return 0;
}

static bool same_content(const struct wp_kube_place_parts *a, const struct wp_kube_place_parts *b,
                         enum wp_kube_view v)
{
    return a->kind[v] == b->kind[v] && !differ(a, b, views[v].ips) &&
           !differ(a, b, views[v].ports) && !differ(a, b, WP_KUBE_PART_EXTERNAL_NAME) &&
           !differ(a, b, WP_KUBE_PART_EXTERNALS);
}

static int put(struct wp_kube_store *s, const struct wp_kube_object *o, enum wp_kube_view v,
               struct wp_kube_namespace *ns, struct wp_kube_place *old, uint64_t version,
               uint32_t now_s)
{
    struct wp_kube_place_parts from, to;
    bool there = old != NULL && old->kind[v] != WP_KUBE_NONE;

    from = old != NULL ? wp_kube_place_take(old)
                       : wp_kube_place_empty(wp_kube_object_hash(o->ns, o->name), ns, o->name);
    to = from;
    if (pack(s, o, v, &to) < 0)
        return -ENOMEM;
    to.version[v] = version;
    to.mark[v] = s->listing[o->collection];
    if (there && same_content(&from, &to, v)) {
        old->version[v] = version;
        old->mark[v] = to.mark[v];
        return 1;
    }
    if (publish(s, old, &from, &to) < 0)
        return -ENOMEM;
    if (there)
        modified(s, v, &from, &to, now_s);
    else
        came_or_went(s, v, &to, 1, now_s);
    return 1;
}

int wp_kube_service_put(struct wp_kube_store *s, const struct wp_kube_object *o, uint32_t now_s)
{
    enum wp_kube_view v = o->collection == WP_KUBE_IMPORTS ? WP_KUBE_CLUSTERSET : WP_KUBE_LOCAL;
    uint64_t hash = wp_kube_object_hash(o->ns, o->name);
    uint64_t version = wp_kube_version(o->resource_version);
    struct wp_kube_place *old = wp_kube_place_of(s, hash, o->ns, o->name);
    struct wp_kube_namespace *ns;
    int r;

    if (old != NULL && old->kind[v] != WP_KUBE_NONE && version != 0 && old->version[v] == version) {
        old->mark[v] = s->listing[o->collection];
        return 0;
    }
    if (wp_kube_namespace_get(s, o->ns, &ns) < 0)
        return -ENOMEM;
    ns->refs++; /* until it is decided */
    r = put(s, o, v, ns, old, version, now_s);
    wp_kube_namespace_drop(s, ns);
    return r;
}

int wp_kube_service_remove(struct wp_kube_store *s, struct wp_kube_place *p, enum wp_kube_view v,
                           uint32_t now_s)
{
    struct wp_kube_place_parts from = wp_kube_place_take(p), to = from;
    const struct wp_kube_text none = {"", 0};

    to.kind[v] = WP_KUBE_NONE;
    to.part[views[v].ips] = to.part[views[v].ports] = none;
    if (v == WP_KUBE_LOCAL)
        to.part[WP_KUBE_PART_EXTERNALS] = to.part[WP_KUBE_PART_EXTERNAL_NAME] = none;
    if (publish(s, p, &from, &to) < 0)
        return -ENOMEM;
    came_or_went(s, v, &from, -1, now_s);
    return 1;
}
