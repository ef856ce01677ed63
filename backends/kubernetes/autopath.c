/* What a pod's resolver appends to short names, for `autopath @kubernetes`: the kubelet writes
 * NS.svc.ZONE svc.ZONE ZONE into its resolv.conf, then what the node has. */
#include <string.h>

#include "backends/kubernetes/autopath.h"

/* Labels of a name to be searched for, left of the zone: at least one, NS, svc. */
enum { LEAST_LABELS = 3 };

/* Is it a name below NS.svc.ZONE? *ret_at: the label NS. */
static bool is_below_namespace(const struct kubernetes_zone *z, const struct wp_qname *n,
                               unsigned *ret_at)
{
    static const uint8_t svc[] = {3, 's', 'v', 'c'};
    unsigned at;

    if (n->n_labels < z->labels + LEAST_LABELS)
        return false;
    at = n->n_labels - z->labels - 2u;
    *ret_at = at;
    return memcmp(n->wire + n->at[at + 1], svc, sizeof(svc)) == 0;
}

/* The three names, which all stand in the question. */
static const uint8_t *write_names(struct wp_query *q, unsigned at)
{
    const struct wp_qname *n = &q->msg.qname;
    size_t total = 1;
    uint8_t *names, *to;

    for (unsigned i = 0; i < 3; i++)
        total += (size_t)n->len - n->at[at + i];
    names = to = wp_arena_alloc(q->arena, total);
    if (names == NULL)
        return NULL;
    for (unsigned i = 0; i < 3; i++) {
        size_t len = (size_t)n->len - n->at[at + i];

        memcpy(to, n->wire + n->at[at + i], len);
        to += len;
    }
    *to = 0;
    return names;
}

/* A client that asks for a name below NS.svc.ZONE and has the address of a pod of NS has that list.
 * The address alone does not say so: pods of the host's network share one over all namespaces. */
const uint8_t *kubernetes_search(void *self, struct wp_query *q)
{
    const struct kubernetes *p = self;
    const struct kubernetes_zone *z = kubernetes_zone_match(p, &q->msg.qname);
    struct wp_kube_addr addr;
    const uint8_t *ns;
    unsigned at;

    if (p->pods != KUBERNETES_PODS_VERIFIED || z == NULL || q->client.family == 0 ||
        !is_below_namespace(z, &q->msg.qname, &at))
        return NULL;
    addr = wp_kube_addr_from_ip(q->client.ip, q->client.family == 4 ? 4 : 16);
    ns = q->msg.qname.wire + q->msg.qname.at[at];
    if (!wp_kube_pod_has(p->cluster->store, (const char *)ns + 1, *ns, &addr))
        return NULL;
    return write_names(q, at);
}
