/* What there is under a name of a zone, and the records made of it. Everything points into the
 * store: within the loop's turn. */
#pragma once
#include "backends/kubernetes/entries.h"
#include "backends/kubernetes/kubernetes.h"
#include "backends/kubernetes/name.h"
#include "backends/kubernetes/srv.h"
#include "waypost/dns/rr.h"

enum kubernetes_found {
    KUBERNETES_NO_NAME, /* name error */
    KUBERNETES_NO_DATA, /* the name is there, and has nothing */
    KUBERNETES_ENTRIES, /* addresses and ports */
    KUBERNETES_ALIAS,   /* a service of type ExternalName */
    KUBERNETES_SELF,    /* ns.dns.ZONE */
};

enum {
    KUBERNETES_POD_HITS = 16,   /* pods with one address, which share the weight of a SRV */
    KUBERNETES_POD_OCTETS = 72, /* a packed address made from a label */
};
struct kubernetes_answer {
    const struct kubernetes *p;
    struct wp_query *q;
    const struct kubernetes_zone *zone;
    enum kubernetes_found found;
    enum wp_kube_view view;
    struct wp_kube_name name;
    const struct wp_kube_place *place; /* of a service that is there and shows, or NULL */
    struct wp_kube_entries entries;
    /* what `entries` leads to */
    struct wp_kube_label label;
    char zone_text[WP_NAME_MAX];
    uint8_t pod_addr[KUBERNETES_POD_OCTETS];
    uint8_t pod_ports[KUBERNETES_POD_HITS * 8];
};

/* Look the name up; it is within the zone. Fills in all but p, q and zone. Whatever the result
 * hangs on is recorded for q before it is read. */
void kubernetes_resolve(struct kubernetes_answer *a, const struct wp_qname *name);

/* Address records of `entries`, or of ourselves; owner NULL: the question name. The reply is begun;
 * one that is full gets TC. The first address that is a host name goes to *ret_host. 0 or a
 * negative error. */
int kubernetes_write_addrs(struct kubernetes_answer *a, const uint8_t *owner, uint16_t type,
                           struct wp_kube_addr *ret_host) WP_MUSTCHECK;
/* Our own addresses, likewise. */
int kubernetes_write_self(struct kubernetes_answer *a, const uint8_t *owner,
                          uint16_t type) WP_MUSTCHECK;
/* r, but a full message is no error: it gets TC. */
int kubernetes_full(struct wp_query *q, int r) WP_MUSTCHECK;
/* SRV records with their glue. */
int kubernetes_write_srv(struct kubernetes_answer *a) WP_MUSTCHECK;
/* NS of the zone with its glue; what is found hangs on our own addresses. */
int kubernetes_write_ns(struct kubernetes_answer *a) WP_MUSTCHECK;
/* PTR of an address, 4 or 16 octets. */
int kubernetes_write_ptr(struct kubernetes_answer *a, const uint8_t *ip, unsigned len) WP_MUSTCHECK;
/* The zone's SOA, spelled as in the question. */
int kubernetes_write_soa(const struct kubernetes *p, struct wp_query *q,
                         const struct kubernetes_zone *z, enum wp_section s) WP_MUSTCHECK;

/* Follow the service's external name for A and AAAA, in the zone or through the server. Returns as
 * serve(). */
int kubernetes_chase(struct kubernetes_answer *a, struct wp_kube_text target);

/* A whole reply without records but the SOA: DONE or an error. */
int kubernetes_deny(const struct kubernetes *p, struct wp_query *q, const struct kubernetes_zone *z,
                    uint16_t rcode);
/* The reply stands: tell if the data is old. Returns r. */
int kubernetes_finish(const struct kubernetes *p, struct wp_query *q, int r);

/* "in step", "behind", "stale", "saved", "loading" */
const char *kubernetes_state_text(const struct wp_kube_cluster *c, uint64_t now_ns);
/* For a question that is explained. */
void kubernetes_explain(const struct kubernetes_answer *a);
