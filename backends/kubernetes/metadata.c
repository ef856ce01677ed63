/* Labels of a question: what its name means, and which pod asks. */
#include "backends/kubernetes/kubernetes.h"
#include "backends/kubernetes/name.h"

/* Without memory a label is not set. */
static void set(struct wp_query *q, const char *label, struct wp_kube_text value)
{
    const char *text = wp_arena_strndup(q->arena, value.at, value.len);

    if (text != NULL)
        (void)wp_query_meta_set(q, label, text);
}

static void set_client(const struct kubernetes *p, struct wp_query *q)
{
    struct wp_kube_addr addr = wp_kube_addr_from_ip(q->client.ip, q->client.family == 4 ? 4 : 16);
    const struct wp_kube_pod *pod;
    struct wp_kube_cursor labels;
    struct wp_kube_pair pair;
    struct wp_kube_hits h;

    if (p->pods != KUBERNETES_PODS_VERIFIED || q->client.family == 0)
        return;
    h = wp_kube_pod_hits(p->cluster->store, &addr);
    pod = wp_kube_hits_pod(&h);
    if (pod == NULL)
        return;
    set(q, "kubernetes/client-namespace", wp_kube_pod_namespace(pod));
    set(q, "kubernetes/client-pod-name", wp_kube_pod_name(pod));
    labels = wp_kube_pod_labels(pod);
    while (wp_kube_label_next(&labels, &pair)) {
        const char *label = wp_arena_printf(q->arena, "kubernetes/client-label/%.*s",
                                            (int)pair.key.len, pair.key.at);
        if (label != NULL)
            set(q, label, pair.value);
    }
}

void kubernetes_metadata(void *self, struct wp_query *q)
{
    const struct kubernetes *p = self;
    const struct wp_qname *name = &q->msg.qname;
    const struct kubernetes_zone *z = kubernetes_zone_match(p, name);
    char zone[WP_NAME_MAX];
    struct wp_kube_name n;

    set_client(p, q);
    if (z == NULL)
        return;
    wp_kube_name_parse(name, name->n_labels - (unsigned)z->labels,
                       (struct wp_kube_name_rules){z->multicluster, p->wants.zonal}, &n);
    if (n.kind == WP_KUBE_NAME_BAD) {
        (void)wp_query_meta_set(q, "kubernetes/parse-error", "invalid query name");
        return;
    }
    (void)wp_query_meta_set(q, "kubernetes/kind",
                            n.kind == WP_KUBE_NAME_EMPTY ? ""
                            : n.in_pod                   ? "pod"
                                                         : "svc");
    set(q, "kubernetes/namespace", n.ns);
    set(q, "kubernetes/service", n.service);
    set(q, "kubernetes/endpoint", n.endpoint);
    set(q, "kubernetes/port-name", n.port);
    set(q, "kubernetes/protocol", n.protocol);
    if (z->multicluster)
        set(q, "kubernetes/cluster", n.cluster);
    if (p->wants.zonal)
        set(q, "kubernetes/zone", (struct wp_kube_text){zone, wp_kube_name_zone_text(&n, zone)});
}
