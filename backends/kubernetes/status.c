/* What `waypost status` tells of an instance and its cluster. Any thread may read what stands here.
 */
#include "backends/kubernetes/answer.h"
#include "backends/kubernetes/cluster_priv.h"
#include "waypost/plugin/report.h"

const char *kubernetes_state_text(const struct wp_kube_cluster *c, uint64_t now_ns)
{
    uint64_t since = atomic_load_explicit(
        &((struct wp_kube_cluster *)(uintptr_t)c)->behind_since_ns, memory_order_relaxed);

    if (!wp_kube_cluster_has_data(c))
        return "loading";
    if (!wp_kube_cluster_is_synced(c))
        return "saved";
    if (since == 0)
        return "in step";
    return wp_kube_cluster_behind_s(c, now_ns) > WP_KUBE_STALE_S ? "stale" : "behind";
}

static void put_objects(const struct kubernetes *p, struct wp_report *r)
{
    const struct wp_kube_store *s = p->cluster->store;
    const bool watched[WP_KUBE_COLLECTIONS] = {
        [WP_KUBE_SERVICES] = true,
        [WP_KUBE_SLICES] = p->wants.slices,
        [WP_KUBE_NAMESPACES] = true,
        [WP_KUBE_PODS] = p->wants.pods,
        [WP_KUBE_IMPORTS] = p->wants.imports,
        [WP_KUBE_IMPORT_SLICES] = p->wants.imports,
    };

    wp_report_list(r, "objects");
    for (unsigned c = 0; c < WP_KUBE_COLLECTIONS; c++) {
        struct wp_kube_figures f = wp_kube_store_figures(s, (enum wp_kube_collection)c);
        if (!watched[c])
            continue;
        wp_report_open(r, NULL);
        wp_report_text(r, "resource", wp_kube_collection_name((enum wp_kube_collection)c));
        wp_report_int(r, "objects", (int64_t)f.objects);
        wp_report_octets(r, "octets", f.octets);
        wp_report_close(r);
    }
    wp_report_close(r);
    wp_report_int(r, "endpoints", (int64_t)wp_kube_store_endpoints(s));
    wp_report_octets(r, "octets", wp_kube_store_octets(s));
}

static void put_zones(const struct kubernetes *p, struct wp_report *r)
{
    char zone[WP_NAME_TEXT_MAX];

    wp_report_list(r, "zones");
    for (unsigned i = 0; i < p->zones.n; i++) {
        enum wp_kube_serial which =
            p->zone[i].multicluster ? WP_KUBE_SERIAL_MULTICLUSTER : WP_KUBE_SERIAL_INTERNAL;
        wp_report_open(r, NULL);
        wp_report_text(r, "zone", wp_name_text(p->zones.zone[i], zone));
        wp_report_int(r, "serial", wp_kube_store_serial(p->cluster->store, which));
        wp_report_close(r);
    }
    wp_report_close(r);
}

static void put_problem(const struct kubernetes *p, const char *source, uint64_t now_ns,
                        struct wp_report *r)
{
    uint64_t behind_s = wp_kube_cluster_behind_s(p->cluster, now_ns);

    if (!wp_kube_cluster_has_data(p->cluster))
        wp_report_problem(r, "%s: not everything has been listed yet, SERVFAIL is answered",
                          source);
    else if (!wp_kube_cluster_is_synced(p->cluster))
        wp_report_problem(r, "%s: served from saved data", source);
    else if (behind_s > WP_KUBE_STALE_S)
        wp_report_problem(r, "%s: not in step for %llu s", source, (unsigned long long)behind_s);
}

void kubernetes_status(void *self, struct wp_report *r)
{
    const struct kubernetes *p = self;
    const struct wp_kube_cluster_own *own = p->cluster->own;
    uint64_t now_ns = own->h->now();

    wp_report_text(r, "source", own->name);
    wp_report_text(r, "state", kubernetes_state_text(p->cluster, now_ns));
    wp_report_s(r, "behind_s", wp_kube_cluster_behind_s(p->cluster, now_ns) * UINT64_C(1000000000));
    put_objects(p, r);
    put_zones(p, r);
    put_problem(p, own->name, now_ns, r);
}
