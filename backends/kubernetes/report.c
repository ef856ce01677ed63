/* Metrics of clusters. Those of the requests are CoreDNS's and know hosts only; those of the data
 * carry the cluster's name, which two clusters share if they differ in nothing that it tells:
 * then the newer one is shown. */
#include <stdio.h>

#include "backends/kubernetes/cluster_priv.h"

static const double latency_buckets[] = {0.001, 0.002, 0.004,  0.008,  0.016,  0.032,  0.064,
                                         0.128, 0.256, 0.512,  1.024,  2.048,  4.096,  8.192,
                                         16.384, 32.768, 65.536, 131.072, 262.144, 524.288};
static const double request_buckets[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

static const struct wp_family latency = {
    .name = "coredns_kubernetes_dns_programming_duration_seconds",
    .help = "Histogram of the time (in seconds) it took to program a dns instance.",
    .kind = WP_HISTOGRAM,
    .labels = {"service_kind", NULL},
    .buckets = latency_buckets,
    .n_buckets = WP_COUNT(latency_buckets),
};
static const struct wp_family list_time = {
    .name = "coredns_kubernetes_rest_client_request_duration_seconds",
    .help = "Request latency in seconds. Broken down by verb and host.",
    .kind = WP_HISTOGRAM,
    .labels = {"verb", "host", NULL},
    .buckets = request_buckets,
    .n_buckets = WP_COUNT(request_buckets),
};
static const struct wp_family wait_time = {
    .name = "coredns_kubernetes_rest_client_rate_limiter_duration_seconds",
    .help = "Client side rate limiter latency in seconds. Broken down by verb and host.",
    .kind = WP_HISTOGRAM,
    .labels = {"verb", "host", NULL},
    .buckets = request_buckets,
    .n_buckets = WP_COUNT(request_buckets),
};
static const struct wp_family requests = {
    .name = "coredns_kubernetes_rest_client_requests_total",
    .help = "Number of HTTP requests, partitioned by status code, method, and host.",
    .kind = WP_COUNTER,
    .labels = {"code", "method", "host", NULL},
};
static const struct wp_family synced = {
    .name = "waypost_kubernetes_synced",
    .help = "Whether every collection of the cluster has been listed once.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family behind = {
    .name = "waypost_kubernetes_behind_seconds",
    .help = "How long some collection of the cluster has had no open watch, 0 while all have one.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family octets = {
    .name = "waypost_kubernetes_store_bytes",
    .help = "Memory of what is kept of the cluster.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family objects = {
    .name = "waypost_kubernetes_objects",
    .help = "Objects that are kept of the cluster, by resource.",
    .kind = WP_GAUGE,
    .labels = {"source", "resource", NULL},
};
static const struct wp_family bad = {
    .name = "waypost_kubernetes_bad_objects_total",
    .help = "Objects that could not be read when they came.",
    .kind = WP_COUNTER,
    .labels = {"source", "resource", NULL},
};
static const struct wp_family relists = {
    .name = "waypost_kubernetes_lists_total",
    .help = "Complete listings, by reason: start, expired (of the version), error.",
    .kind = WP_COUNTER,
    .labels = {"source", "resource", "reason", NULL},
};
static const struct wp_family events = {
    .name = "waypost_kubernetes_watch_events_total",
    .help = "Events of watches and streaming lists, by type.",
    .kind = WP_COUNTER,
    .labels = {"source", "resource", "type", NULL},
};

const char *wp_kube_resource_text(enum wp_kube_collection c)
{
    return c == WP_KUBE_IMPORT_SLICES ? "multicluster endpointslices" : wp_kube_collection_name(c);
}

/* --- what is read when scraped --------------------------------------------------------------- */

static double read_synced(void *arg)
{
    const struct wp_kube_cluster_own *o = arg;

    return wp_kube_cluster_is_synced(&o->c);
}

static double read_behind(void *arg)
{
    const struct wp_kube_cluster_own *o = arg;

    return (double)wp_kube_cluster_behind_s(&o->c, o->h->now());
}

static double read_octets(void *arg)
{
    const struct wp_kube_cluster_own *o = arg;

    return (double)wp_kube_store_octets(o->c.store);
}

static double read_objects(void *arg)
{
    const struct wp_kube_reflector *r = arg;

    return (double)wp_kube_store_figures(r->own->c.store, r->collection).objects;
}

/* --- series ---------------------------------------------------------------------------------- */

/* What is read is this cluster's from now on. */
void wp_kube_stats_show(struct wp_kube_cluster_own *o)
{
    const char *const one[] = {o->name};
    struct wp_kube_stats *s = &o->stats;

    s->synced = wp_metric_series(&synced, one);
    s->behind = wp_metric_series(&behind, one);
    s->octets = wp_metric_series(&octets, one);
    wp_metric_read(s->synced, read_synced, o);
    wp_metric_read(s->behind, read_behind, o);
    wp_metric_read(s->octets, read_octets, o);
    for (unsigned i = 0; i < o->n_reflectors; i++) {
        struct wp_kube_reflector *r = &o->reflectors[i];
        struct wp_series **n = &s->objects[r->collection];
        *n = wp_metric_series(&objects, (const char *const[]){o->name, wp_kube_resource_text(r->collection)});
        wp_metric_read(*n, read_objects, r);
    }
}

static void init_reflector(struct wp_kube_reflector *r)
{
    static const char *const reasons[] = {"start", "expired", "error"};
    static const char *const types[] = {"added", "modified", "deleted"};
    const char *name = r->own->name, *resource = wp_kube_resource_text(r->collection);

    r->bad = wp_metric_series(&bad, (const char *const[]){name, resource});
    for (unsigned i = 0; i < WP_COUNT(reasons); i++)
        r->relists[i] =
            wp_metric_series(&relists, (const char *const[]){name, resource, reasons[i]});
    for (unsigned i = 0; i < WP_COUNT(types); i++)
        r->events[i] = wp_metric_series(&events, (const char *const[]){name, resource, types[i]});
}

void wp_kube_stats_init(struct wp_kube_cluster_own *o)
{
    const char *const of_host[] = {"GET", wp_kube_access_host(o->access)};

    o->stats.list_time = wp_metric_series(&list_time, of_host);
    o->stats.wait_time = wp_metric_series(&wait_time, of_host);
    wp_kube_stats_show(o);
    for (unsigned i = 0; i < o->n_reflectors; i++)
        init_reflector(&o->reflectors[i]);
}

void wp_kube_stats_drop(struct wp_kube_cluster_own *o)
{
    struct wp_series *const read[] = {o->stats.synced, o->stats.behind, o->stats.octets};
    const struct wp_family *const families[] = {&synced, &behind, &octets};

    for (unsigned i = 0; i < WP_COUNT(read); i++) {
        wp_metric_read(read[i], NULL, NULL);
        wp_metric_drop(families[i], (const char *const[]){o->name});
    }
    for (unsigned i = 0; i < o->n_reflectors; i++) {
        enum wp_kube_collection c = o->reflectors[i].collection;
        wp_metric_read(o->stats.objects[c], NULL, NULL);
        wp_metric_drop(&objects, (const char *const[]){o->name, wp_kube_resource_text(c)});
    }
}

void wp_kube_count_request(const struct wp_kube_cluster_own *o, int status)
{
    char code[16] = "<error>";

    if (status != 0)
        snprintf(code, sizeof(code), "%d", status);
    wp_metric_add(wp_metric_series(&requests, (const char *const[]){code, "GET",
                                                                    wp_kube_access_host(o->access)}),
                  WP_METRIC_SHARED, 1);
}

void wp_kube_count_latency(bool headless, double s)
{
    wp_metric_observe(wp_metric_series(&latency, (const char *const[]){headless ? "headless_with_selector"
                                                                                : "cluster_ip"}),
                      WP_METRIC_SHARED, s);
}
