#include "backends/kubernetes/store_priv.h"

struct wp_kube_place *wp_kube_place_of(const struct wp_kube_store *s, uint64_t hash,
                                       struct wp_kube_text ns, struct wp_kube_text name)
{
    const struct wp_kube_table *t = wp_kube_index_table(&s->places);
    uint64_t value;
    size_t at = 0;

    while ((value = wp_kube_table_next(t, hash, &at)) != 0) {
        struct wp_kube_place *p = wp_kube_pointer(value);
        /* Its head and what is behind it come at the same time. */
        __builtin_prefetch((const char *)p + 64);
        __builtin_prefetch((const char *)p + 128);
        if (wp_kube_text_equal(wp_kube_place_namespace(p), ns) &&
            wp_kube_text_equal(wp_kube_place_name(p), name))
            return p;
    }
    return NULL;
}

void wp_kube_place_swap(struct wp_kube_store *s, struct wp_kube_place *from,
                        struct wp_kube_place *to)
{
    const struct wp_kube_place *p = to != NULL ? to : from;
    struct wp_kube_namespace *ns = p->ns;
    uint64_t hash = p->hash;

    if (to != NULL) {
        wp_kube_count(&s->octets[WP_KUBE_SERVICES], wp_kube_heap(wp_kube_place_size(to)));
        ns->refs++;
    }
    if (from == NULL)
        wp_kube_index_add(&s->places, hash, wp_kube_value(to));
    else if (to == NULL)
        wp_kube_index_remove(&s->places, hash, wp_kube_value(from));
    else
        wp_kube_index_replace(&s->places, hash, wp_kube_value(from), wp_kube_value(to));
    if (from != NULL) {
        wp_kube_count(&s->octets[WP_KUBE_SERVICES], -wp_kube_heap(wp_kube_place_size(from)));
        wp_kube_bury(s, from);
        wp_kube_namespace_drop(s, ns);
    }
    wp_changed(wp_kube_key(s->source, WP_KUBE_KEY_PLACE, hash));
}
