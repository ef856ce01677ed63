/* All that is known under one NAMESPACE/NAME: Service, ServiceImport, and their slices.
 * Immutable; see store.h. */
#pragma once
#include "backends/kubernetes/packed.h"

struct wp_kube_slice;
struct wp_kube_namespace;

/* Ordinary zones show Services; zones of `multicluster` show ServiceImports. */
enum wp_kube_view { WP_KUBE_LOCAL, WP_KUBE_CLUSTERSET, WP_KUBE_VIEWS };

/* What follows the struct: slices of the first view and of the second, each sorted by name of
 * the slice; then octets, of which `end` tells where each part ends. */
enum wp_kube_part {
    WP_KUBE_PART_NAMESPACE,
    WP_KUBE_PART_NAME,
    WP_KUBE_PART_IPS, /* in both views */
    WP_KUBE_PART_PORTS,
    WP_KUBE_PART_EXTERNAL_NAME,
    WP_KUBE_PART_EXTERNALS,
    WP_KUBE_PART_IMPORT_IPS,
    WP_KUBE_PART_IMPORT_PORTS,
    WP_KUBE_PARTS
};
struct wp_kube_place {
    uint64_t hash;
    struct wp_kube_namespace *ns;
    uint8_t kind[WP_KUBE_VIEWS]; /* enum wp_kube_kind; WP_KUBE_NONE: only slices are there */
    uint32_t n_slices[WP_KUBE_VIEWS];
    uint32_t n_ready[WP_KUBE_VIEWS]; /* addresses in all slices */
    uint32_t end[WP_KUBE_PARTS];     /* from the start of the octets */
    uint32_t mark[WP_KUBE_VIEWS];    /* the writer's: listing that had the object last */
    uint64_t version[WP_KUBE_VIEWS]; /* the writer's: resourceVersion */
    const struct wp_kube_slice *slices[];
};

static inline const uint8_t *wp_kube_place_octets(const struct wp_kube_place *p)
{
    return (const uint8_t *)(p->slices + p->n_slices[0] + p->n_slices[1]);
}
static inline struct wp_kube_cursor wp_kube_place_part(const struct wp_kube_place *p,
                                                       enum wp_kube_part part)
{
    const uint8_t *o = wp_kube_place_octets(p);

    return (struct wp_kube_cursor){o + (part == 0 ? 0 : p->end[part - 1]), o + p->end[part]};
}
static inline struct wp_kube_text wp_kube_place_text(const struct wp_kube_place *p,
                                                     enum wp_kube_part part)
{
    struct wp_kube_cursor c = wp_kube_place_part(p, part);

    return (struct wp_kube_text){(const char *)c.at, (size_t)(c.end - c.at)};
}
static inline struct wp_kube_text wp_kube_place_namespace(const struct wp_kube_place *p)
{
    return wp_kube_place_text(p, WP_KUBE_PART_NAMESPACE);
}
static inline struct wp_kube_text wp_kube_place_name(const struct wp_kube_place *p)
{
    return wp_kube_place_text(p, WP_KUBE_PART_NAME);
}
/* Is its namespace in the namespace collection? */
bool wp_kube_place_namespace_present(const struct wp_kube_place *p);

/* Cluster addresses or those of the import, in order; WP_KUBE_HEADLESS has none. */
static inline struct wp_kube_cursor wp_kube_place_ips(const struct wp_kube_place *p,
                                                      enum wp_kube_view v)
{
    return wp_kube_place_part(p, v == WP_KUBE_LOCAL ? WP_KUBE_PART_IPS : WP_KUBE_PART_IMPORT_IPS);
}
/* A Service without ports has one of number WP_KUBE_NO_PORT; an import without has none. */
static inline struct wp_kube_cursor wp_kube_place_ports(const struct wp_kube_place *p,
                                                        enum wp_kube_view v)
{
    return wp_kube_place_part(p,
                              v == WP_KUBE_LOCAL ? WP_KUBE_PART_PORTS : WP_KUBE_PART_IMPORT_PORTS);
}
static inline struct wp_kube_text wp_kube_place_external_name(const struct wp_kube_place *p)
{
    return wp_kube_place_text(p, WP_KUBE_PART_EXTERNAL_NAME);
}
/* externalIPs, then of each load balancer the IP or else the host name. */
static inline struct wp_kube_cursor wp_kube_place_externals(const struct wp_kube_place *p)
{
    return wp_kube_place_part(p, WP_KUBE_PART_EXTERNALS);
}
static inline const struct wp_kube_slice *const *wp_kube_place_slices(const struct wp_kube_place *p,
                                                                      enum wp_kube_view v)
{
    return p->slices + (v == WP_KUBE_LOCAL ? 0 : p->n_slices[WP_KUBE_LOCAL]);
}
