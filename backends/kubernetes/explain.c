/* For a question that is explained: what the name stands for, and what was found. */
#include "backends/kubernetes/answer.h"
#include "waypost/plugin/explain.h"
#include "waypost/plugin/loop.h"

static const char *const outcomes[] = {
    [KUBERNETES_NO_NAME] = "no such name", [KUBERNETES_NO_DATA] = "a name without data",
    [KUBERNETES_ENTRIES] = "addresses",    [KUBERNETES_ALIAS] = "an external name",
    [KUBERNETES_SELF] = "this server",
};
static const char *const kinds[] = {
    [WP_KUBE_NONE] = "none",
    [WP_KUBE_CLUSTER_IP] = "cluster address",
    [WP_KUBE_HEADLESS] = "headless",
    [WP_KUBE_EXTERNAL_NAME] = "external name",
};

static void put_text(struct wp_report *r, const char *name, struct wp_kube_text t)
{
    if (t.len > 0)
        wp_report_printf(r, name, "%.*s", (int)t.len, t.at);
}

static void put_state(struct wp_report *d, const struct kubernetes_answer *a)
{
    const struct wp_kube_cluster *c = a->p->cluster;
    uint64_t now_ns = wp_loop_now(a->q->loop), behind = wp_kube_cluster_behind_s(c, now_ns);

    wp_report_text(d, "state", kubernetes_state_text(c, now_ns));
    if (behind > 0)
        wp_report_int(d, "behind_s", (int64_t)behind);
}

static void put_place(struct wp_report *d, const struct kubernetes_answer *a)
{
    struct wp_report *s = wp_explain_sources(a->q);
    const struct wp_kube_place *p = a->place;
    struct wp_kube_text ns = wp_kube_place_namespace(p), name = wp_kube_place_name(p);

    wp_report_text(d, "service_kind", kinds[p->kind[a->view]]);
    wp_report_int(d, "slices", p->n_slices[a->view]);
    wp_report_int(d, "ready_addresses", p->n_ready[a->view]);
    wp_report_open(s, NULL);
    wp_report_text(s, "source", "kubernetes");
    wp_report_printf(s, a->view == WP_KUBE_LOCAL ? "service" : "service_import", "%.*s/%.*s",
                     (int)ns.len, ns.at, (int)name.len, name.at);
    wp_report_close(s);
}

void kubernetes_explain(const struct kubernetes_answer *a)
{
    struct wp_report *d = wp_explain_details(a->q);
    char zone[WP_NAME_TEXT_MAX];

    wp_report_text(d, "zone", wp_name_text(a->zone->name, zone));
    put_state(d, a);
    if (a->found != KUBERNETES_SELF) {
        put_text(d, "namespace", a->name.ns);
        if (a->name.ns.len > 0)
            wp_report_bool(d, "namespace_shows", kubernetes_exposes(a->p, NULL, a->name.ns));
        put_text(d, a->name.in_pod ? "pod" : "service", a->name.service);
        put_text(d, "endpoint", a->name.endpoint);
        put_text(d, "port", a->name.port);
        put_text(d, "protocol", a->name.protocol);
    }
    if (a->place != NULL)
        put_place(d, a);
    wp_report_text(d, "found", outcomes[a->found]);
}
