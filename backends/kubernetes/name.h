/* A question's labels left of the zone, read by the grammar of the cluster's names (Kubernetes
 * DNS specification 1.1.0). Pure: nothing is looked up. */
#pragma once
#include "backends/kubernetes/object.h"
#include "waypost/dns/name.h"

enum wp_kube_name_kind {
    WP_KUBE_NAME_BAD,       /* of no form: there is no such name */
    WP_KUBE_NAME_EMPTY,     /* the zone itself, svc.ZONE, pod.ZONE: no data */
    WP_KUBE_NAME_NAMESPACE, /* NS.svc, NS.pod */
    WP_KUBE_NAME_SERVICE,   /* with endpoint, port, cluster or zone */
    WP_KUBE_NAME_POD,       /* labels in front of the address do not count */
};
enum wp_kube_zone_choice { WP_KUBE_ZONE_ANY, WP_KUBE_ZONE_PIN, WP_KUBE_ZONE_PREFER };

/* Texts lead into the name and are in lower case; empty: not there. */
struct wp_kube_name {
    uint8_t kind;                    /* enum wp_kube_name_kind */
    uint8_t choice;                  /* enum wp_kube_zone_choice */
    bool in_pod;                     /* below pod.ZONE */
    struct wp_kube_text ns, service; /* service: of a pod the label with its address */
    struct wp_kube_text endpoint, cluster;
    struct wp_kube_text port, protocol; /* without "_" */
    struct wp_kube_text zone; /* labels as on the wire, without what closes them: may be several */
};

struct wp_kube_name_rules {
    bool multicluster; /* EP.CLUSTER.SVC.NS.svc */
    bool zonal;        /* ZONE.pin._zone.SVC.NS.svc; not together with the other one */
};
/* n: how many labels of q stand left of the zone. */
void wp_kube_name_parse(const struct wp_qname *q, unsigned n, struct wp_kube_name_rules rules,
                        struct wp_kube_name *ret);
/* The labels of `zone` as text with dots; at most WP_NAME_MAX octets, not terminated. */
size_t wp_kube_name_zone_text(const struct wp_kube_name *n, char *out);

/* The address that a pod's label stands for as text: "10-0-0-1", "fd00--1"; as many octets as the
 * label. It may be none. */
void wp_kube_pod_label_text(struct wp_kube_text label, char *out);

/* The address of a name below in-addr.arpa. or ip6.arpa.: 4 or 16 octets, 0: it is none. Up to
 * three labels in front of an IPv6 address are passed over, as CoreDNS does. */
unsigned wp_kube_name_reverse(const struct wp_qname *q, uint8_t ip[16]);
/* Is it below one of the two? */
bool wp_kube_name_in_arpa(const struct wp_qname *q);
