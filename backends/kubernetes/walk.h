/* The objects of a store one after the other, as they were put: what saving reads. Writer's
 * thread. Other work may be done between two steps: what changes meanwhile is met as it was or as
 * it is. */
#pragma once
#include "backends/kubernetes/store.h"
#include "waypost/base/arena.h"

struct wp_kube_walk {
    const struct wp_kube_store *store;
    enum wp_kube_collection collection;
    size_t at;
    unsigned tables; /* of the index, when it began */
};
void wp_kube_walk_begin(struct wp_kube_walk *w, const struct wp_kube_store *s);
/* 1: the next one; its lists are in the arena, its texts there or in the store, valid until the
 * store changes; it has no resourceVersion. 0: that was all. WP_ESTATE: a table has been replaced by
 * a larger one, begin again. -ENOMEM. */
int wp_kube_walk_next(struct wp_kube_walk *w, struct wp_arena *a,
                      struct wp_kube_object *ret) WP_MUSTCHECK;
