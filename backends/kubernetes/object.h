/* One object of the Kubernetes API, reduced to what DNS needs. Made by wp_kube_decode in an
 * arena; the store copies what it keeps. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What is listed and watched. Both slice collections hold EndpointSlices: the second one files
 * them under the name of the service import, with the cluster that they come from. */
enum wp_kube_collection {
    WP_KUBE_SERVICES,
    WP_KUBE_SLICES,
    WP_KUBE_NAMESPACES,
    WP_KUBE_PODS,
    WP_KUBE_IMPORTS,
    WP_KUBE_IMPORT_SLICES,
    WP_KUBE_COLLECTIONS
};
/* "services", "endpointslices", ...: for messages and metrics. */
const char *wp_kube_collection_name(enum wp_kube_collection c);

/* Octets that may hold anything, also NUL; at is never NULL. */
struct wp_kube_text {
    const char *at;
    size_t len;
};
static inline bool wp_kube_text_is(struct wp_kube_text t, const char *s)
{
    size_t n = strlen(s);

    return t.len == n && memcmp(t.at, s, n) == 0;
}
static inline bool wp_kube_text_equal(struct wp_kube_text a, struct wp_kube_text b)
{
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

enum wp_kube_kind {
    WP_KUBE_NONE = 0, /* in a place: no such object */
    WP_KUBE_CLUSTER_IP,
    WP_KUBE_HEADLESS,
    WP_KUBE_EXTERNAL_NAME,
};

enum {
    WP_KUBE_NO_PORT = -1,     /* port of a slice that is null, or the only entry of an empty list */
    WP_KUBE_LABEL_MAX = 63,   /* names of services, namespaces, endpoints */
    WP_KUBE_TEXT_MAX = 255,   /* every other text that is kept */
    WP_KUBE_POD_IPS_MAX = 4,  /* the API knows of two */
    WP_KUBE_IP_TEXT_MAX = 45, /* of a pod */
    WP_KUBE_ADDRS_MAX = 100000, /* of one slice: 1000 endpoints with 100 each */
};

struct wp_kube_port {
    int32_t number; /* 0..65535, or WP_KUBE_NO_PORT */
    struct wp_kube_text name, protocol;
};

/* One address of a ready endpoint. */
struct wp_kube_endpoint {
    struct wp_kube_text addr;
    struct wp_kube_text name; /* hostname, or the pod's; empty: made from the address */
    struct wp_kube_text zone; /* lower case; empty: none, or `zonal` is off */
};

struct wp_kube_pair {
    struct wp_kube_text key, value;
};

/* Lists without their count are NULL when it is 0. */
struct wp_kube_object {
    enum wp_kube_collection collection;
    struct wp_kube_text ns, name, resource_version; /* ns is empty for a Namespace */
    enum wp_kube_kind kind;                         /* Service, ServiceImport */
    struct wp_kube_text external_name;
    struct wp_kube_text *ips; /* clusterIPs without "None"; of an import; podIPs */
    size_t n_ips;
    struct wp_kube_text *externals; /* externalIPs, then what load balancers have */
    size_t n_externals;
    const struct wp_kube_port *ports;
    size_t n_ports;
    struct wp_kube_endpoint *endpoints; /* ready ones, address by address */
    size_t n_endpoints;
    /* Names that a slice belongs to, from its labels; empty: none. */
    struct wp_kube_text service, import, cluster;
    struct wp_kube_text trigger_time; /* last-change-trigger-time, RFC 3339; empty: none */
    struct wp_kube_pair *labels;      /* of a Pod, when asked for */
    size_t n_labels;
    bool deleting;           /* of a Pod: it has a deletion timestamp */
    bool initial_events_end; /* of a bookmark: the list is complete */
};
