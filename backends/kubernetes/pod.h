/* A pod as it is kept (`pods verified`): addresses, name, labels when asked for. Immutable but
 * for what the writer alone reads. */
#pragma once
#include "backends/kubernetes/packed.h"

struct wp_kube_namespace;

/* A hundred thousand of these: octets are counted. */
struct wp_kube_pod {
    uint64_t version; /* the writer's: resourceVersion */
    struct wp_kube_namespace *ns;
    uint16_t mark;    /* the writer's: listing that had it last */
    uint8_t name_len; /* octets of the name, first */
    uint8_t ips_len;  /* octets of the addresses, then */
    bool has_labels;  /* at the end: how many octets (uint32_t), the labels */
    uint8_t octets[];
};

struct wp_kube_text wp_kube_pod_namespace(const struct wp_kube_pod *p);
static inline struct wp_kube_text wp_kube_pod_name(const struct wp_kube_pod *p)
{
    return (struct wp_kube_text){(const char *)p->octets, p->name_len};
}
static inline struct wp_kube_cursor wp_kube_pod_ips(const struct wp_kube_pod *p)
{
    const uint8_t *at = p->octets + p->name_len;

    return (struct wp_kube_cursor){at, at + p->ips_len};
}
static inline struct wp_kube_cursor wp_kube_pod_labels(const struct wp_kube_pod *p)
{
    const uint8_t *at = p->octets + p->name_len + p->ips_len;
    uint32_t len;

    if (!p->has_labels)
        return (struct wp_kube_cursor){at, at};
    memcpy(&len, at, sizeof(len));
    at += sizeof(len);
    return (struct wp_kube_cursor){at, at + len};
}
/* Walks the labels, in the order of the object; false at the end. */
bool wp_kube_label_next(struct wp_kube_cursor *c, struct wp_kube_pair *ret);
