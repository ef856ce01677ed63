/* What `waypost status` tells of an instance and its cluster. Any thread may read what stands here.
 */
#include <stdio.h>

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

void wp_kube_tell_error(struct wp_kube_cluster_own *o, const char *verb, const char *type,
                        const char *why)
{
    pthread_mutex_lock(&o->lock);
    snprintf(o->error, sizeof(o->error), "failed to %s %s: %s", verb, type, why);
    o->error_ms = wp_state_clock_ms();
    pthread_mutex_unlock(&o->lock);
}

static void put_resources(const struct wp_kube_cluster_own *o, struct wp_report *r)
{
    wp_report_list(r, "resources");
    for (unsigned i = 0; i < o->n_reflectors; i++) {
        const struct wp_kube_reflector *k = &o->reflectors[i];
        struct wp_kube_figures f = wp_kube_store_figures(o->c.store, k->collection);
        wp_report_open(r, NULL);
        wp_report_text(r, "resource", wp_kube_resource_text(k->collection));
        wp_report_bool(r, "listed", k->listed);
        wp_report_bool(r, "watched", k->open);
        wp_report_int(r, "objects", (int64_t)f.objects);
        wp_report_octets(r, "octets", f.octets);
        wp_report_close(r);
    }
    wp_report_close(r);
    wp_report_int(r, "endpoints", (int64_t)wp_kube_store_endpoints(o->c.store));
    wp_report_octets(r, "octets", wp_kube_store_octets(o->c.store));
}

static void put_errors(struct wp_kube_cluster_own *o, struct wp_report *r)
{
    char error[WP_KUBE_WHY_MAX];
    int64_t error_ms;

    pthread_mutex_lock(&o->lock);
    memcpy(error, o->error, sizeof(error));
    error_ms = o->error_ms;
    pthread_mutex_unlock(&o->lock);
    wp_report_text(r, "last_error", error_ms != 0 ? error : NULL);
    wp_report_time(r, "last_error_time", error_ms);
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
    struct wp_kube_cluster_own *own = p->cluster->own;
    uint64_t now_ns = own->h->now(), changed_ns = own->changed_ns;

    wp_report_text(r, "source", own->name);
    wp_report_text(r, "state", kubernetes_state_text(p->cluster, now_ns));
    wp_report_s(r, "behind_s", wp_kube_cluster_behind_s(p->cluster, now_ns) * UINT64_C(1000000000));
    wp_report_text(r, "server", wp_kube_access_base(own->access));
    if (changed_ns != 0)
        wp_report_s(r, "changed_age_s", now_ns > changed_ns ? now_ns - changed_ns : 0);
    else
        wp_report_none(r, "changed_age_s");
    put_errors(own, r);
    put_resources(own, r);
    put_zones(p, r);
    put_problem(p, own->name, now_ns, r);
}
