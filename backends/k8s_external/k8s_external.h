/* One instance of the directive: SVC.NS.ZONE for the addresses that services of the same block's
 * `kubernetes` have outside of the cluster. It has no data of its own. */
#pragma once
#include "backends/kubernetes/entries.h"
#include "backends/kubernetes/kubernetes.h"
#include "backends/kubernetes/srv.h"

struct external_zone {
    const uint8_t *name; /* lower-case wire */
    uint8_t len, labels;
    struct wp_name apex;   /* APEX.ZONE, where the names of name servers are */
    struct wp_name server; /* ns1.APEX.ZONE */
    struct wp_name mailbox; /* hostmaster.APEX.ZONE */
};

struct k8s_external {
    struct wp_zones zones;
    struct wp_fall fall;
    const char *apex;
    uint32_t ttl_s;
    bool headless;
    const struct wp_line *directive;
    struct external_zone *zone; /* in the order of `zones` */
    const struct kubernetes *k;
};

struct wp_transfer;
int k8s_external_serve(void *self, struct wp_query *q);
int k8s_external_transfer(void *self, struct wp_query *q, struct wp_transfer *ret);

/* The longest zone that holds the name, or NULL. */
const struct external_zone *external_zone_of(const struct k8s_external *p,
                                             const struct wp_qname *name);

/* What there is under a name; valid within the loop's turn, as what it points at. */
struct external_answer {
    const struct k8s_external *p;
    struct wp_query *q;
    const struct external_zone *zone;
    uint16_t rcode;      /* when there are no entries */
    bool found;          /* there are entries */
    struct wp_kube_entries entries;
    struct wp_name base; /* SVC.NS.ZONE: what targets of SRV are made of */
    struct wp_kube_label label;
};
/* Look the question's name up; p, q and zone are given. Whatever the result hangs on is recorded for q
 * before it is read. */
void external_find(struct external_answer *a);

/* Replies to look-ups of names that services have instead of addresses. */
enum { EXTERNAL_LOOKUPS_MAX = 2 * WP_KUBE_HOSTS_MAX };
struct external_children {
    unsigned n;
    struct external_child {
        const uint8_t *name; /* wire, in q->arena */
        uint16_t type;
        struct wp_query *query; /* NULL: there was no reply */
    } child[EXTERNAL_LOOKUPS_MAX];
};
/* The reply to the question; children may be NULL. Returns as serve(). */
int external_write(struct external_answer *a, const struct external_children *children);
/* Names among the entries, each once; false: there are none, or the question does not need them. */
bool external_hosts(struct external_answer *a, struct wp_kube_hosts *ret);
/* Look them up through the server, then write. Returns as serve(). */
int external_resolve(struct external_answer *a, const struct wp_kube_hosts *hosts);

/* The zone itself, and what is below APEX.ZONE. */
int external_serve_apex(const struct k8s_external *p, struct wp_query *q,
                        const struct external_zone *z);
int external_serve_below_apex(const struct k8s_external *p, struct wp_query *q,
                              const struct external_zone *z);
/* The zone's SOA as uncompressed rdata; its length. */
size_t external_soa(const struct k8s_external *p, const struct external_zone *z,
                    uint8_t ret[2 * WP_NAME_MAX + 20]);
/* Addresses of the zone's name server; owner NULL: the question name, type 0: both. 0 or a negative
 * error; a full message gets TC. */
int external_write_servers(const struct k8s_external *p, struct wp_query *q, enum wp_section section,
                           const uint8_t *owner, uint16_t type) WP_MUSTCHECK;
/* A reply without records but the SOA. */
int external_deny(const struct k8s_external *p, struct wp_query *q, const struct external_zone *z,
                  uint16_t rcode);
