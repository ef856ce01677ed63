/* What the files of the store share. Writer's state unless told otherwise. */
#pragma once
#include <stdatomic.h>
#include "backends/kubernetes/index.h"
#include "backends/kubernetes/place_new.h"
#include "backends/kubernetes/store.h"
#include "waypost/base/arena.h"

/* A name that is in the namespace collection, or that objects of other collections carry. */
struct wp_kube_namespace {
    uint64_t hash, version;
    uint32_t refs, mark;
    _Atomic bool present; /* in the collection; any thread */
    uint8_t len;
    char name[];
};

/* An EndpointSlice: what stays the same while its content is replaced. */
struct wp_kube_member {
    uint64_t hash, version;
    _Atomic(struct wp_kube_slice *) slice; /* any thread */
    uint32_t mark;
};

/* Blocks that readers may still see. */
enum { WP_KUBE_DEAD = 256 };
struct wp_kube_dead {
    struct wp_grace_item grace;
    size_t n;
    void *block[WP_KUBE_DEAD];
};

struct wp_kube_store {
    uint64_t source; /* any thread */
    bool labels;
    struct wp_kube_index namespaces;
    struct wp_kube_index places;
    struct wp_kube_index cluster_ips, external_ips; /* to hashes of places */
    struct wp_kube_index members[WP_KUBE_VIEWS];    /* by name of the object */
    struct wp_kube_index endpoints;                 /* by address, to members */
    struct wp_kube_index pods, pod_ips;             /* by name, by address */
    uint32_t listing[WP_KUBE_COLLECTIONS];          /* number of the one that runs or ran */
    struct wp_arena scratch;                        /* of one call */
    struct wp_kube_dead *dead;
    _Atomic size_t objects[WP_KUBE_COLLECTIONS], octets[WP_KUBE_COLLECTIONS], n_endpoints;
    _Atomic uint32_t serial[WP_KUBE_SERIALS];
};

static inline uint64_t wp_kube_value(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}
static inline void *wp_kube_pointer(uint64_t value)
{
    return (void *)(uintptr_t)value;
}
static inline void wp_kube_count(_Atomic size_t *figure, ptrdiff_t by)
{
    atomic_fetch_add_explicit(figure, (size_t)by, memory_order_relaxed);
}
/* What a block of the heap costs. */
static inline ptrdiff_t wp_kube_heap(size_t size)
{
    return (ptrdiff_t)((size + 8 + 15) & ~(size_t)15);
}

/* What a hash stands for in a key of wp_changed. */
enum wp_kube_key {
    WP_KUBE_KEY_PLACE = 1,
    WP_KUBE_KEY_NAMESPACE,
    WP_KUBE_KEY_ADDR,
    WP_KUBE_KEY_POD
};
static inline uint64_t wp_kube_key(uint64_t source, enum wp_kube_key kind, uint64_t hash)
{
    return wp_change_key(source, wp_hash_mix(hash, kind));
}

/* store.c */
const struct wp_kube_index *wp_kube_home(const struct wp_kube_store *s, enum wp_kube_collection c);
uint64_t wp_kube_object_hash(struct wp_kube_text ns, struct wp_kube_text name);
uint64_t wp_kube_version(struct wp_kube_text resource_version); /* 0: equal to none */
/* Room for what one change leaves behind; then wp_kube_bury cannot fail. */
enum { WP_KUBE_DEAD_PER_CHANGE = 8 };
int wp_kube_bury_reserve(struct wp_kube_store *s) WP_MUSTCHECK;
void wp_kube_bury(struct wp_kube_store *s, void *block);
void wp_kube_serial_set(struct wp_kube_store *s, enum wp_kube_serial which, uint32_t now_s);

/* store_namespace.c: one that is new has no reference; unused ones are buried. */
int wp_kube_namespace_get(struct wp_kube_store *s, struct wp_kube_text name,
                          struct wp_kube_namespace **ret) WP_MUSTCHECK;
struct wp_kube_namespace *wp_kube_namespace_find(const struct wp_kube_store *s,
                                                 struct wp_kube_text name);
void wp_kube_namespace_drop(struct wp_kube_store *s, struct wp_kube_namespace *ns);
int wp_kube_namespace_put(struct wp_kube_store *s, const struct wp_kube_object *o) WP_MUSTCHECK;
void wp_kube_namespace_remove(struct wp_kube_store *s, struct wp_kube_namespace *ns);

/* store_place.c */
struct wp_kube_place *wp_kube_place_of(const struct wp_kube_store *s, uint64_t hash,
                                       struct wp_kube_text ns, struct wp_kube_text name);
/* Put `to` where `from` was; either may be NULL. There is room in the index. */
void wp_kube_place_swap(struct wp_kube_store *s, struct wp_kube_place *from,
                        struct wp_kube_place *to);

/* store_service.c: services and imports */
int wp_kube_service_put(struct wp_kube_store *s, const struct wp_kube_object *o,
                        uint32_t now_s) WP_MUSTCHECK;
int wp_kube_service_remove(struct wp_kube_store *s, struct wp_kube_place *p, enum wp_kube_view v,
                           uint32_t now_s) WP_MUSTCHECK;

/* store_slice.c */
const struct wp_kube_slice *wp_kube_member_slice(const struct wp_kube_member *m);
struct wp_kube_member *wp_kube_member_find(const struct wp_kube_store *s, enum wp_kube_view v,
                                           struct wp_kube_text ns, struct wp_kube_text name);
int wp_kube_slice_put(struct wp_kube_store *s, const struct wp_kube_object *o,
                      uint32_t now_s) WP_MUSTCHECK;
int wp_kube_slice_remove(struct wp_kube_store *s, enum wp_kube_view v, struct wp_kube_member *m,
                         uint32_t now_s) WP_MUSTCHECK;

/* store_pod.c */
struct wp_kube_pod *wp_kube_pod_find(const struct wp_kube_store *s, struct wp_kube_text ns,
                                     struct wp_kube_text name);
int wp_kube_pod_put(struct wp_kube_store *s, const struct wp_kube_object *o,
                    uint32_t now_s) WP_MUSTCHECK;
int wp_kube_pod_remove(struct wp_kube_store *s, struct wp_kube_pod *p, uint32_t now_s) WP_MUSTCHECK;

/* Before the numbers of listings start again. */
void wp_kube_pods_unmark(struct wp_kube_store *s);

/* store_diff.c: sorted sets of hashes in the scratch arena */
struct wp_kube_set {
    uint64_t *at;
    size_t n;
};
/* NULL slice: empty. alone: it will not be compared, and its order does not matter. */
int wp_kube_set_of_slice(struct wp_kube_store *s, const struct wp_kube_slice *slice, bool alone,
                         struct wp_kube_set *ret) WP_MUSTCHECK;
int wp_kube_set_of_list(struct wp_kube_store *s, struct wp_kube_text packed,
                        struct wp_kube_set *ret) WP_MUSTCHECK;
/* From one set to the other. What comes is added before the new data are published, what goes
 * is removed after it: a reader finds at most something that is no more, or not yet, there. */
struct wp_kube_move {
    struct wp_kube_index *index;
    struct wp_kube_set from, to;
    uint64_t value;
};
void wp_kube_move_in(const struct wp_kube_move *m);
void wp_kube_move_out(const struct wp_kube_move *m);
/* The keys of wp_kube_addr_key of what comes and goes, or of all in both. */
void wp_kube_move_mark(const struct wp_kube_store *s, const struct wp_kube_move *m, bool all);
