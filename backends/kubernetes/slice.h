/* An EndpointSlice as it is kept: the addresses of its ready endpoints in the order of the
 * object, their names, the ports. Immutable. */
#pragma once
#include "backends/kubernetes/packed.h"

struct wp_kube_slice {
    uint64_t place;       /* hash of the place that it belongs to */
    uint32_t n;           /* addresses */
    uint8_t addr_len;     /* 4 or 16: all of them are; 0: texts */
    bool has_names, has_zones;
    uint8_t ns_len, service_len, cluster_len;
    uint32_t ports_at, ports_end; /* offsets into bytes */
    /* Offsets into bytes: n of the addresses when these are texts, n of names (has_names), n of
     * zones (has_zones); 0 is "none". Octets of addresses that are no texts follow. Then bytes. */
    uint32_t addrs_at, bytes_at; /* from the start of the struct */
    uint32_t size;
};

/* The service or import that it belongs to, and the cluster it comes from (may be empty). */
struct wp_kube_text wp_kube_slice_namespace(const struct wp_kube_slice *s);
struct wp_kube_text wp_kube_slice_service(const struct wp_kube_slice *s);
struct wp_kube_text wp_kube_slice_cluster(const struct wp_kube_slice *s);
struct wp_kube_cursor wp_kube_slice_ports(const struct wp_kube_slice *s);

/* Of the i-th address, i < n. A name is at most 255 octets, may have dots and capitals, and is
 * empty when a text that is no address has nothing to make one from; one that is not stored is
 * made in buf. */
struct wp_kube_addr wp_kube_slice_addr(const struct wp_kube_slice *s, size_t i);
struct wp_kube_text wp_kube_slice_name(const struct wp_kube_slice *s, size_t i,
                                       char buf[WP_KUBE_NAME_MAX]);
struct wp_kube_text wp_kube_slice_zone(const struct wp_kube_slice *s, size_t i);

/* The first address from i on that is the same, or n. */
size_t wp_kube_slice_find_addr(const struct wp_kube_slice *s, size_t i,
                               const struct wp_kube_addr *a);

/* An endpoint's name as it is asked for. Prepare once, then look through the slices. */
struct wp_kube_label {
    const char *text; /* lower case */
    size_t len;
    uint8_t v4[4], v6[16]; /* what a name without a stored one would have been made from */
    bool is_v4, is_v6;
};
struct wp_kube_label wp_kube_label_from(const char *text, size_t len);
/* The first address from i on whose endpoint has the name, or n. */
size_t wp_kube_slice_find_name(const struct wp_kube_slice *s, size_t i,
                               const struct wp_kube_label *l);
