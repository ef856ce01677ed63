/* One instance of the directive: what its lines say, the zones it serves, the cluster that it
 * follows. What other directives of the block (k8s_external, autopath, transfer) may ask of it
 * stands here, too; get it by wp_block_plugin(block, "kubernetes"). Read-only once it has started.
 */
#pragma once
#include "backends/kubernetes/cluster.h"
#include "backends/kubernetes/self.h"
#include "waypost/plugin/plugin.h"

struct wp_report;
struct wp_transfer;
struct wp_series;

enum kubernetes_pods {
    KUBERNETES_PODS_DISABLED,
    KUBERNETES_PODS_INSECURE,
    KUBERNETES_PODS_VERIFIED
};

/* A zone as the configuration gives it. */
struct kubernetes_zone {
    const uint8_t *name; /* lower-case wire */
    uint64_t hash;       /* as wp_qname.suffix */
    uint8_t len, labels; /* of the name */
    bool multicluster;   /* shows imports, not services */
    bool too_long;       /* no room for ns.dns.ZONE and hostmaster.ZONE */
};

struct kubernetes {
    /* the lines */
    struct wp_zones zones, multicluster;
    struct wp_fall fall;
    struct wp_kube_wants wants;
    const char *const *namespaces; /* none: all of them */
    unsigned n_namespaces;
    enum kubernetes_pods pods;
    uint32_t ttl_s;
    bool ignore_empty;
    bool answer_endpoints; /* services with cluster addresses are answered like headless ones */
    int64_t startup_timeout_ns; /* 0: nobody waits */
    const char *state;          /* directory, "": off, NULL: what the server says */
    unsigned told;              /* old words that have been noticed, a bit each */
    const struct wp_line *directive;

    /* made of them */
    struct kubernetes_zone *zone;          /* in the order of `zones` */
    const struct kubernetes_zone *primary; /* the first one that is not below arpa */

    struct wp_kube_cluster *cluster;
    struct wp_kube_self self;
    struct wp_series *stale_answers;
};

extern const struct wp_option kubernetes_options[];
int kubernetes_new(void *self, struct wp_setup *s);
int kubernetes_begin(void *self, struct wp_setup *s, const struct wp_line *l);
int kubernetes_end(void *self, struct wp_setup *s, const struct wp_line *l);
int kubernetes_check(void *self, struct wp_setup *s);
int kubernetes_serve(void *self, struct wp_query *q);
void kubernetes_prefetch(const void *self, const struct wp_query *q, unsigned step);
void kubernetes_metadata(void *self, struct wp_query *q);
void kubernetes_status(void *self, struct wp_report *r);
int kubernetes_transfer(void *self, struct wp_query *q, struct wp_transfer *ret);

/* --- what others ask ------------------------------------------------------------------------- */

/* The longest zone that holds the name, or NULL. */
const struct kubernetes_zone *kubernetes_zone_match(const struct kubernetes *p,
                                                    const struct wp_qname *q);
/* Do the lines let the namespace show? The name in lower case. */
bool kubernetes_lists(const struct kubernetes *p, struct wp_kube_text ns);
/* Is the namespace there, and may it show? With q its key is recorded first. */
bool kubernetes_exposes(const struct kubernetes *p, struct wp_query *q, struct wp_kube_text ns);
/* The same for the namespace of a place, which costs no look-up. */
bool kubernetes_exposes_place(const struct kubernetes *p, struct wp_query *q,
                              const struct wp_kube_place *place);
