#include "backends/kubernetes/rules.h"

#include <stdio.h>
#include "waypost/base/text.h"

static const char none_text[] = "None"; /* the address of a headless service */
static const struct wp_kube_fault no_memory = {.nomem = true};

const char *wp_kube_collection_name(enum wp_kube_collection c)
{
    static const char *const names[] = {
        "services", "endpointslices", "namespaces", "pods", "serviceimports", "endpointslices",
    };

    return names[c];
}

void *wp_kube_list_grow(struct wp_kube_list *l, struct wp_arena *arena)
{
    if (l->n == l->cap) {
        size_t cap = l->cap == 0 ? 8 : 2 * l->cap;
        void *items = wp_arena_array(arena, cap, l->size);
        if (items == NULL)
            return NULL;
        if (l->n > 0)
            memcpy(items, l->items, l->n * l->size);
        l->items = items;
        l->cap = cap;
    }
    return (char *)l->items + l->n++ * l->size;
}

void wp_kube_object_init(struct wp_kube_object *o, enum wp_kube_collection collection)
{
    const struct wp_kube_text none = {"", 0};

    *o = (struct wp_kube_object){.collection = collection};
    o->ns = o->name = o->resource_version = o->external_name = none;
    o->service = o->import = o->cluster = o->trigger_time = none;
}

/* What may stand as one label of a domain name. Anything else that a server lets through could
 * only make names that nobody can ask for. */
static bool is_label(struct wp_kube_text t)
{
    if (t.len == 0 || t.len > WP_KUBE_LABEL_MAX)
        return false;
    for (size_t i = 0; i < t.len; i++) {
        char c = t.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return true;
}

struct wp_kube_text wp_kube_owner(struct wp_kube_text label)
{
    return is_label(label) ? label : (struct wp_kube_text){"", 0};
}

static bool has_ports(enum wp_kube_collection c)
{
    return c == WP_KUBE_SERVICES || c == WP_KUBE_SLICES || c == WP_KUBE_IMPORT_SLICES;
}

struct wp_kube_fault wp_kube_object_settle(struct wp_kube_object *o)
{
    static const struct wp_kube_port no_port = {WP_KUBE_NO_PORT, {"", 0}, {"", 0}};
    bool is_namespace = o->collection == WP_KUBE_NAMESPACES;
    bool label =
        is_namespace || o->collection == WP_KUBE_SERVICES || o->collection == WP_KUBE_IMPORTS;

    if (o->n_ports == 0 && has_ports(o->collection)) {
        o->ports = &no_port;
        o->n_ports = 1;
    }
    if ((o->collection == WP_KUBE_SERVICES || o->collection == WP_KUBE_IMPORTS) &&
        o->kind == WP_KUBE_NONE)
        o->kind = WP_KUBE_CLUSTER_IP; /* without a spec */
    if (o->name.len == 0 && o->ns.len == 0)
        return (struct wp_kube_fault){0};
    if (o->name.len == 0)
        return (struct wp_kube_fault){"metadata.name", "empty", false};
    if (label && !is_label(o->name))
        return (struct wp_kube_fault){"metadata.name", "not a DNS label", false};
    if (!is_namespace && !is_label(o->ns))
        return (struct wp_kube_fault){"metadata.namespace", "not a DNS label", false};
    return (struct wp_kube_fault){0};
}

struct wp_kube_fault wp_kube_service_settle(struct wp_kube_object *o, struct wp_kube_list *ips,
                                            struct wp_kube_text one, bool external_name,
                                            struct wp_arena *arena)
{
    struct wp_kube_text *item;
    size_t kept = 0;

    if (ips->n == 0 && one.len > 0) {
        item = wp_kube_list_grow(ips, arena);
        if (item == NULL)
            return no_memory;
        *item = one;
    }
    item = ips->items;
    o->kind = external_name                                     ? WP_KUBE_EXTERNAL_NAME
              : ips->n > 0 && wp_kube_text_is(*item, none_text) ? WP_KUBE_HEADLESS
                                                                : WP_KUBE_CLUSTER_IP;
    for (size_t i = 0; i < ips->n; i++)
        if (!wp_kube_text_is(item[i], none_text))
            item[kept++] = item[i];
    o->ips = item;
    o->n_ips = kept;
    return (struct wp_kube_fault){0};
}

/* A name goes into answers label by label; one that cannot is as good as none. */
static bool is_name(struct wp_kube_text t)
{
    size_t label = 0;

    if (t.len == 0 || t.len > WP_KUBE_LABEL_MAX)
        return false;
    for (size_t i = 0; i < t.len; i++) {
        if (t.at[i] == '.' && label == 0)
            return false;
        label = t.at[i] == '.' ? 0 : label + 1;
    }
    return label > 0;
}

/* To lower case, where there is something to do. */
static bool lowered(struct wp_kube_text *t, struct wp_arena *arena)
{
    size_t i = 0;
    char *out;

    while (i < t->len && (char)wp_lower((uint8_t)t->at[i]) == t->at[i])
        i++;
    if (i == t->len)
        return true;
    out = wp_arena_dup(arena, t->at, t->len);
    if (out == NULL)
        return false;
    for (; i < t->len; i++)
        out[i] = (char)wp_lower((uint8_t)out[i]);
    t->at = out;
    return true;
}

struct wp_kube_fault wp_kube_endpoint_settle(struct wp_kube_list *l,
                                             const struct wp_kube_endpoint_parts *e,
                                             const struct wp_kube_decode_config *c,
                                             struct wp_arena *arena)
{
    const struct wp_kube_text *addr = e->addrs.items;
    struct wp_kube_text name = {"", 0}, zone = e->zone;
    struct wp_kube_endpoint *item;

    if (!e->ready)
        return (struct wp_kube_fault){0};
    if (is_name(e->hostname))
        name = e->hostname;
    else if (e->hostname.len == 0 && c->pod_names && is_name(e->pod))
        name = e->pod;
    if (!lowered(&zone, arena))
        return no_memory;
    for (size_t i = 0; i < e->addrs.n; i++) {
        item = wp_kube_list_grow(l, arena);
        if (item == NULL)
            return no_memory;
        *item = (struct wp_kube_endpoint){addr[i], name, zone};
    }
    if (l->n > WP_KUBE_ADDRS_MAX)
        return (struct wp_kube_fault){"endpoints.addresses", "too many addresses", false};
    return (struct wp_kube_fault){0};
}

void wp_kube_object_strip(struct wp_kube_object *o)
{
    struct wp_kube_object names;

    wp_kube_object_init(&names, o->collection);
    names.ns = o->ns;
    names.name = o->name;
    names.resource_version = o->resource_version;
    *o = names;
}

void wp_kube_describe(const struct wp_kube_object *o, const char *field, const char *what,
                      struct wp_kube_decode_error *ret)
{
    size_t n = (size_t)snprintf(ret->text, sizeof(ret->text), "%s ",
                                wp_kube_collection_name(o->collection));

    if (o->ns.len + o->name.len == 0)
        ret->text[n++] = '?';
    for (size_t i = 0; i < o->ns.len + 1 + o->name.len && i < 300; i++) {
        char ch = i < o->ns.len    ? o->ns.at[i]
                  : i == o->ns.len ? '/'
                                   : o->name.at[i - o->ns.len - 1];
        if (i == 0 && o->ns.len == 0)
            continue; /* a namespace has none */
        ret->text[n++] = ch > ' ' && ch < 0x7f ? ch : '?';
    }
    snprintf(ret->text + n, sizeof(ret->text) - n, ": %s: %s", field, what);
}
