/* Making places: the writer takes one apart, changes parts, and makes the next one. */
#pragma once
#include "backends/kubernetes/place.h"

struct wp_kube_place_parts {
    uint64_t hash;
    struct wp_kube_namespace *ns;
    uint8_t kind[WP_KUBE_VIEWS];
    uint32_t mark[WP_KUBE_VIEWS];
    uint64_t version[WP_KUBE_VIEWS];
    struct wp_kube_text part[WP_KUBE_PARTS];
    /* The slices of one view may be changed by one; the rest stay as they are in `from`. */
    const struct wp_kube_place *from;
    const struct wp_kube_slice *out, *in; /* the slice that goes, the one that comes; or NULL */
    enum wp_kube_view view;
};
/* As it is, to be changed. */
struct wp_kube_place_parts wp_kube_place_take(const struct wp_kube_place *p);
/* Nothing but the name. */
struct wp_kube_place_parts wp_kube_place_empty(uint64_t hash, struct wp_kube_namespace *ns,
                                               struct wp_kube_text name);
/* Is anything left of it? */
bool wp_kube_place_parts_empty(const struct wp_kube_place_parts *a);
/* NULL: memory. Free with free(). */
struct wp_kube_place *wp_kube_place_new(const struct wp_kube_place_parts *a);
size_t wp_kube_place_size(const struct wp_kube_place *p);
