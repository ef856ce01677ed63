/* One cluster as the process knows it: the way to its API server, what is listed and watched there,
 * and the store with what came of it. Shared by every block that names the same source with the
 * same selectors; lives as long as somebody holds it, and so survives a reload. All its work is
 * done on the HTTP engine's thread; a question reads the store. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/kubernetes/access.h"
#include "backends/kubernetes/store.h"
#include "waypost/base/err.h"

/* What makes one cluster different from another. Words are copied. */
struct wp_kube_wants {
    struct wp_kube_source source;
    const char *labels;           /* selector of services, slices and pods, canonical; NULL: none */
    const char *namespace_labels; /* of namespaces (and of imports, as CoreDNS has it) */
    bool slices;     /* false: `noendpoints` */
    bool pods;       /* `pods verified` */
    bool imports;    /* zones of `multicluster` */
    bool pod_names;  /* `endpoint_pod_names` */
    bool zonal;
    bool pod_labels; /* kept for metadata */
    double qps;      /* lists, not watches; 0: 5 a second */
    unsigned burst;        /* 0: 10 */
    unsigned max_inflight; /* lists at a time; 0: no limit */
    const char *state_dir; /* NULL: nothing is saved */
};

struct wp_kube_cluster_own; /* cluster_priv.h */
struct wp_kube_cluster {
    struct wp_kube_store *store;
    atomic_bool synced; /* every collection has been listed once; it stays */
    atomic_bool saved;  /* data of an earlier run is in the store: served until `synced` */
    /* When the API server was last known to agree, on the loops' clock (wp_loop_now); 0: it does now. */
    _Atomic uint64_t behind_since_ns;
    struct wp_kube_cluster_own *own;
};

enum {
    WP_KUBE_STALE_S = 30,        /* out of step for longer: answers say so */
    WP_KUBE_SAVED_WAIT_MS = 500, /* a start with saved data waits for the API server so long, at most */
};

/* Main thread. 0, -ENOMEM; WP_ECONFIG (what the source names cannot be read) or WP_EUNSUPPORTED
 * (no HTTP module) with why. Following begins at once. */
int wp_kube_cluster_get(const struct wp_kube_wants *wants, char why[WP_KUBE_WHY],
                        struct wp_kube_cluster **ret) WP_MUSTCHECK;
/* No query reads its store any more. Main thread; waits until it is gone. Accepts NULL. */
void wp_kube_cluster_put(struct wp_kube_cluster *c);
/* Wait until it is synced, the time is over (WP_KUBE_SAVED_WAIT_MS when there is saved data), or the
 * process is told to end. Main thread. False: it is not synced. Tells every 500 ms that it waits, in CoreDNS's words. */
bool wp_kube_cluster_wait(struct wp_kube_cluster *c, int64_t timeout_ns);

/* Key of wp_changed that changes when the cluster becomes synced or stale, or stops being stale. */
uint64_t wp_kube_cluster_state_key(const struct wp_kube_cluster *c);
static inline bool wp_kube_cluster_is_synced(const struct wp_kube_cluster *c)
{
    return atomic_load_explicit(&((struct wp_kube_cluster *)(uintptr_t)c)->synced,
                                memory_order_acquire);
}
/* Names that are not there may be denied: synced, or saved data is there. */
static inline bool wp_kube_cluster_has_data(const struct wp_kube_cluster *c)
{
    return wp_kube_cluster_is_synced(c) ||
           atomic_load_explicit(&((struct wp_kube_cluster *)(uintptr_t)c)->saved,
                                memory_order_acquire);
}
/* Seconds since the data was last in step with the API server; 0 while it is. Any thread. */
static inline uint64_t wp_kube_cluster_behind_s(const struct wp_kube_cluster *c, uint64_t now_ns)
{
    uint64_t since = atomic_load_explicit(
        &((struct wp_kube_cluster *)(uintptr_t)c)->behind_since_ns, memory_order_relaxed);

    return since == 0 || now_ns <= since ? 0 : (now_ns - since) / 1000000000u;
}
