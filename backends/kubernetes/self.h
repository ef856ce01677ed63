/* The name servers of a zone are this server: the addresses that it has, and the services that
 * select them. */
#pragma once
#include "backends/kubernetes/store.h"
#include "waypost/base/addr.h"

struct wp_block;
struct wp_query;

enum { WP_KUBE_SELF_MAX = 32, WP_KUBE_SELF_HITS = 32 };

/* Own addresses: those of `bind`, or else of the interfaces; neither loopback nor link-local ones,
 * which mean nothing elsewhere. */
struct wp_kube_self {
    unsigned n;
    struct wp_addr addr[WP_KUBE_SELF_MAX];
};
void wp_kube_self_init(struct wp_kube_self *self, const struct wp_block *block);

/* A service and one of its slices that has one of our addresses. */
struct wp_kube_self_hit {
    const struct wp_kube_place *place;
    const struct wp_kube_slice *slice;
};
struct wp_kube_self_hits {
    unsigned n;
    bool selected; /* by a slice; if by none, the addresses stand for themselves */
    struct wp_kube_self_hit hit[WP_KUBE_SELF_HITS];
};
/* Who selects us. What the answer depends on is recorded for q. */
void wp_kube_self_find(const struct wp_kube_self *self, const struct wp_kube_store *s,
                       struct wp_query *q, struct wp_kube_self_hits *ret);
