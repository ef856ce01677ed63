/* What an answer is made of: addresses, each with a port, in the order in which CoreDNS counts
 * them. Walked where they are, never collected; valid within the loop's turn. */
#pragma once
#include "backends/kubernetes/place.h"
#include "backends/kubernetes/slice.h"

/* One walk looks at no more than this: about a millisecond. Beyond it the reply is what was found,
 * with TC. Only names with that many endpoints and ports meet it. */
enum { WP_KUBE_WALK_MAX = 1 << 17 };

/* What is asked for. Empty texts: any. Port, protocol and zone in lower case. */
struct wp_kube_filter {
    struct wp_kube_text port, protocol;
    const struct wp_kube_label *endpoint; /* NULL: any */
    bool of_cluster;                      /* only slices of `cluster` */
    struct wp_kube_text cluster;
    struct wp_kube_text zone; /* with dots */
};

struct wp_kube_entry {
    struct wp_kube_addr addr;
    int32_t port;                      /* or WP_KUBE_NO_PORT */
    const struct wp_kube_slice *slice; /* NULL: an address of the service itself */
    size_t i;                          /* in the slice */
};

struct wp_kube_entries {
    struct wp_kube_filter filter;
    bool once; /* each address once, whatever ports it has; set it before the first step */
    bool cut;  /* the walk ended early */
    uint32_t left;
    /* addresses of the service... */
    struct wp_kube_cursor addrs, ports;
    /* ...or of endpoints */
    const struct wp_kube_slice *const *slices;
    uint32_t n_slices;
    /* where the walk is */
    struct wp_kube_cursor addr_at, port_at;
    int32_t port;
    uint32_t k;
    size_t i;
    bool inside;
};

/* How many of the ports are asked for. */
size_t wp_kube_ports_match(struct wp_kube_cursor ports, const struct wp_kube_filter *f);

/* ports outer, addresses inner */
void wp_kube_entries_of_addrs(struct wp_kube_entries *e, struct wp_kube_cursor addrs,
                              struct wp_kube_cursor ports, const struct wp_kube_filter *f);
/* slices outer, then addresses, ports inner */
void wp_kube_entries_of_slices(struct wp_kube_entries *e, const struct wp_kube_slice *const *slices,
                               uint32_t n, const struct wp_kube_filter *f);
void wp_kube_entries_rewind(struct wp_kube_entries *e);
bool wp_kube_entries_next(struct wp_kube_entries *e, struct wp_kube_entry *ret);
/* How many steps a walk has, at most WP_KUBE_WALK_MAX; hosts: addresses that are no IPs count, too.
 * The walk begins anew afterwards. */
size_t wp_kube_entries_count(struct wp_kube_entries *e, bool hosts);
/* Is there any at all? The walk begins anew afterwards. */
bool wp_kube_entries_any(struct wp_kube_entries *e);
