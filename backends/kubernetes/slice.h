/* An EndpointSlice as it is kept: the addresses of its ready endpoints in the order of the
 * object, their names, the ports. Immutable. */
#pragma once
#include "backends/kubernetes/packed.h"

/* What follows the struct: offsets into the octets at the end, n of each kind that is there (of
 * addresses when these are texts, of names, of zones; 0: none), then n addresses when these are
 * no texts, then octets: namespace, service, cluster, name, ports, and the texts of the offsets,
 * each behind its length. */
struct wp_kube_slice {
    uint64_t place; /* hash of the place that it belongs to; 0: to none */
    uint32_t n;     /* addresses */
    uint32_t size;  /* of all this */
    uint32_t octets_at, ports_len;
    uint8_t addr_len; /* 4 or 16: all of them are; 0: texts */
    bool has_names, has_zones;
    uint8_t ns_len, service_len, cluster_len, name_len;
    uint8_t unused; /* no padding: slices are compared as a whole */
};

struct wp_kube_text wp_kube_slice_namespace(const struct wp_kube_slice *s);
/* The service or import that it belongs to, and the cluster it comes from (may be empty). */
struct wp_kube_text wp_kube_slice_service(const struct wp_kube_slice *s);
struct wp_kube_text wp_kube_slice_cluster(const struct wp_kube_slice *s);
/* metadata.name */
struct wp_kube_text wp_kube_slice_object(const struct wp_kube_slice *s);
/* There is at least one; without ports it is of number WP_KUBE_NO_PORT. */
struct wp_kube_cursor wp_kube_slice_ports(const struct wp_kube_slice *s);

/* Of the i-th address, i < n. A name is at most 255 octets, may have dots and capitals, and is
 * empty when a text that is no address has nothing to make one from; one that is not stored is
 * made in buf. A zone is in lower case, empty when there is none. */
struct wp_kube_addr wp_kube_slice_addr(const struct wp_kube_slice *s, size_t i);
struct wp_kube_text wp_kube_slice_name(const struct wp_kube_slice *s, size_t i,
                                       char buf[WP_KUBE_NAME_MAX]);
struct wp_kube_text wp_kube_slice_zone(const struct wp_kube_slice *s, size_t i);

/* The first address from i on that is the same, or n. */
size_t wp_kube_slice_find_addr(const struct wp_kube_slice *s, size_t i,
                               const struct wp_kube_addr *a);

/* An endpoint's name as it is asked for, in lower case. Prepare once, then look through the
 * slices. */
struct wp_kube_label {
    struct wp_kube_text text;
    uint8_t ip[16]; /* the address that makes this name where none is stored */
    uint8_t ip_len; /* 4 or 16; 0: no address does */
};
struct wp_kube_label wp_kube_label_from(const char *text, size_t len);
/* The first address from i on whose endpoint has the name, or n. */
size_t wp_kube_slice_find_name(const struct wp_kube_slice *s, size_t i,
                               const struct wp_kube_label *l);

/* Writer: service or import as owner, by the collection of the object. NULL: memory. */
struct wp_kube_slice *wp_kube_slice_new(const struct wp_kube_object *o);
