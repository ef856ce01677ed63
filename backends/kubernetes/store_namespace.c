#include <stdlib.h>

#include "backends/kubernetes/store_priv.h"

static size_t size_of(const struct wp_kube_namespace *ns)
{
    return sizeof(*ns) + ns->len;
}

struct wp_kube_namespace *wp_kube_namespace_find(const struct wp_kube_store *s,
                                                 struct wp_kube_text name)
{
    const struct wp_kube_table *t = wp_kube_index_table(&s->namespaces);
    uint64_t hash = wp_hash_bytes(name.at, name.len), value;
    size_t at = 0;

    while ((value = wp_kube_table_next(t, hash, &at)) != 0) {
        struct wp_kube_namespace *ns = wp_kube_pointer(value);
        if (ns->len == name.len && memcmp(ns->name, name.at, name.len) == 0)
            return ns;
    }
    return NULL;
}

int wp_kube_namespace_get(struct wp_kube_store *s, struct wp_kube_text name,
                          struct wp_kube_namespace **ret)
{
    struct wp_kube_namespace *ns = wp_kube_namespace_find(s, name);

    if (ns != NULL) {
        *ret = ns;
        return 0;
    }
    if (wp_kube_index_reserve(&s->namespaces, 1) < 0)
        return -ENOMEM;
    ns = calloc(1, sizeof(*ns) + name.len);
    if (ns == NULL)
        return -ENOMEM;
    ns->hash = wp_hash_bytes(name.at, name.len);
    ns->len = (uint8_t)name.len;
    memcpy(ns->name, name.at, name.len);
    wp_kube_index_add(&s->namespaces, ns->hash, wp_kube_value(ns));
    wp_kube_count(&s->octets[WP_KUBE_NAMESPACES], wp_kube_heap(size_of(ns)));
    *ret = ns;
    return 0;
}

static bool is_present(const struct wp_kube_namespace *ns)
{
    return atomic_load_explicit(&((struct wp_kube_namespace *)(uintptr_t)ns)->present,
                                memory_order_acquire);
}

/* Nobody needs it: neither the collection nor an object that carries it. */
static void bury_unused(struct wp_kube_store *s, struct wp_kube_namespace *ns)
{
    if (ns->refs > 0 || is_present(ns))
        return;
    wp_kube_index_remove(&s->namespaces, ns->hash, wp_kube_value(ns));
    wp_kube_count(&s->octets[WP_KUBE_NAMESPACES], -wp_kube_heap(size_of(ns)));
    wp_kube_bury(s, ns);
}

void wp_kube_namespace_drop(struct wp_kube_store *s, struct wp_kube_namespace *ns)
{
    ns->refs--;
    bury_unused(s, ns);
}

static void set_present(struct wp_kube_store *s, struct wp_kube_namespace *ns, bool present)
{
    atomic_store_explicit(&ns->present, present, memory_order_release);
    wp_changed(wp_kube_key(s->source, WP_KUBE_KEY_NAMESPACE, ns->hash));
    wp_kube_count(&s->objects[WP_KUBE_NAMESPACES], present ? 1 : -1);
}

/* Namespaces do not move the serials. */
int wp_kube_namespace_put(struct wp_kube_store *s, const struct wp_kube_object *o)
{
    uint64_t version = wp_kube_version(o->resource_version);
    struct wp_kube_namespace *ns;
    bool same;

    if (wp_kube_namespace_get(s, o->name, &ns) < 0)
        return -ENOMEM;
    ns->mark = s->listing[WP_KUBE_NAMESPACES];
    same = is_present(ns) && version != 0 && version == ns->version;
    ns->version = version;
    if (!is_present(ns))
        set_present(s, ns, true);
    return !same;
}

void wp_kube_namespace_remove(struct wp_kube_store *s, struct wp_kube_namespace *ns)
{
    set_present(s, ns, false);
    bury_unused(s, ns);
}

bool wp_kube_namespace_present(const struct wp_kube_store *s, const char *name, size_t len)
{
    const struct wp_kube_namespace *ns =
        wp_kube_namespace_find(s, (struct wp_kube_text){name, len});

    return ns != NULL && is_present(ns);
}

bool wp_kube_place_namespace_present(const struct wp_kube_place *p)
{
    return is_present(p->ns);
}

struct wp_kube_text wp_kube_pod_namespace(const struct wp_kube_pod *p)
{
    return (struct wp_kube_text){p->ns->name, p->ns->len};
}
