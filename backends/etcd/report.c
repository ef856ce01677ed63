/* Metrics, and words for what happens. Everything of a mirror carries its name, the first endpoint
 * with the prefix: two mirrors of one process must not look like one. */
#include <string.h>

#include "backends/etcd/mirror_priv.h"

static const struct wp_family synced = {
    .name = "coredns_etcd_synced",
    .help = "Whether the mirror is in step with etcd.",
    .kind = WP_GAUGE,
    .labels = {"server", "source", NULL},
};
static const struct wp_family keys = {
    .name = "coredns_etcd_keys",
    .help = "Keys in the mirror.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family malformed = {
    .name = "coredns_etcd_malformed_keys",
    .help = "Keys in the mirror whose value is malformed.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family lapsed = {
    .name = "waypost_etcd_lapsed_keys",
    .help = "Keys that are not answered because their lease ended while etcd was away.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family revision = {
    .name = "coredns_etcd_revision",
    .help = "Last revision that was applied.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family contact = {
    .name = "coredns_etcd_last_contact_timestamp_seconds",
    .help = "When etcd was last heard of.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family held = {
    .name = "coredns_etcd_held_snapshot",
    .help = "Whether older data is served because the store was suddenly emptied.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family octets = {
    .name = "waypost_etcd_mirror_bytes",
    .help = "Memory of the mirror's records and index.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family reloads = {
    .name = "coredns_etcd_reloads_total",
    .help = "Listings of the keys, by reason.",
    .kind = WP_COUNTER,
    .labels = {"source", "reason", NULL},
};
static const struct wp_family events = {
    .name = "coredns_etcd_watch_events_total",
    .help = "Watch events, by type.",
    .kind = WP_COUNTER,
    .labels = {"source", "type", NULL},
};
static const struct wp_family reconnects = {
    .name = "coredns_etcd_reconnects_total",
    .help = "How often the mirror came back into step.",
    .kind = WP_COUNTER,
    .labels = {"source", NULL},
};
static const struct wp_family lookups = {
    .name = "waypost_etcd_discovery_lookups_total",
    .help = "Look-ups of endpoints in DNS (discovery_srv), by result.",
    .kind = WP_COUNTER,
    .labels = {"source", "result", NULL},
};
static const struct wp_family places = {
    .name = "waypost_etcd_discovered_endpoints",
    .help = "Endpoints that are known from DNS (discovery_srv).",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family errors = {
    .name = "coredns_etcd_endpoint_errors_total",
    .help = "Failed calls, by endpoint and gRPC code.",
    .kind = WP_COUNTER,
    .labels = {"source", "endpoint", "code", NULL},
};
static const struct wp_family bad_records = {
    .name = "waypost_etcd_bad_records_total",
    .help = "Malformed values, and keys of which no name can be made, when they came.",
    .kind = WP_COUNTER,
    .labels = {"source", NULL},
};
static const struct wp_family ranges = {
    .name = "waypost_etcd_range_requests_total",
    .help = "Range calls to etcd. Questions make none.",
    .kind = WP_COUNTER,
    .labels = {"source", NULL},
};
static const struct wp_family lease_queries = {
    .name = "waypost_etcd_lease_requests_total",
    .help = "LeaseTimeToLive calls to etcd. Questions make none.",
    .kind = WP_COUNTER,
    .labels = {"source", NULL},
};

static const char *const reasons[WP_ETCD_LOAD_REASONS] = {
    "start", "compacted", "cluster_changed", "revision_back", "verify", "config",
};

static const struct wp_family *const own[] = {&keys,    &malformed, &lapsed, &revision,
                                              &contact, &held,      &octets};

void wp_etcd_stats_init(struct wp_etcd_mirror *m)
{
    const char *const one[] = {m->name};
    struct wp_etcd_stats *s = &m->stats;

    s->keys = wp_metric_series(&keys, one);
    s->malformed = wp_metric_series(&malformed, one);
    s->lapsed = wp_metric_series(&lapsed, one);
    s->revision = wp_metric_series(&revision, one);
    s->contact = wp_metric_series(&contact, one);
    s->held = wp_metric_series(&held, one);
    s->octets = wp_metric_series(&octets, one);
    s->reconnects = wp_metric_series(&reconnects, one);
    s->bad_records = wp_metric_series(&bad_records, one);
    s->ranges = wp_metric_series(&ranges, one);
    s->lease_queries = wp_metric_series(&lease_queries, one);
    s->puts = wp_metric_series(&events, (const char *const[]){m->name, "put"});
    s->deletes = wp_metric_series(&events, (const char *const[]){m->name, "delete"});
    if (m->src.discovery != NULL) {
        m->discover.done = wp_metric_series(&lookups, (const char *const[]){m->name, "ok"});
        m->discover.failed = wp_metric_series(&lookups, (const char *const[]){m->name, "error"});
        m->discover.known = wp_metric_series(&places, one);
    }
    for (unsigned i = 0; i < WP_ETCD_LOAD_REASONS; i++)
        s->reloads[i] = wp_metric_series(&reloads, (const char *const[]){m->name, reasons[i]});
}

/* Gauges of a mirror that is gone say nothing any more; counters stay. */
void wp_etcd_stats_drop(struct wp_etcd_mirror *m)
{
    if (m->name == NULL)
        return;
    for (size_t i = 0; i < WP_COUNT(own); i++)
        wp_metric_drop(own[i], (const char *const[]){m->name});
    if (m->src.discovery != NULL)
        wp_metric_drop(&places, (const char *const[]){m->name});
    for (unsigned i = 0; i < m->n_servers; i++)
        wp_metric_drop(&synced, (const char *const[]){m->servers[i], m->name});
}

void wp_etcd_stats_server(struct wp_etcd_mirror *m, unsigned at)
{
    struct wp_series *s = wp_metric_series(&synced, (const char *const[]){m->servers[at], m->name});

    atomic_store(&m->stats.synced[at], s);
    wp_metric_set(s, atomic_load(&m->lost_ns) == 0);
}

/* Once each time that it grows so far. */
static void tell_large(struct wp_etcd_mirror *m, size_t size)
{
    uint64_t max = atomic_load_explicit(&m->max_octets, memory_order_relaxed);

    if (max != 0 && !m->large_told && size > max / 4 * 3) {
        m->large_told = true;
        wp_log(WP_WARNING, "etcd",
               "%s: the mirror takes %zu MB; at max-memory (%llu MB) nothing more is taken over",
               m->name, size >> 20, (unsigned long long)(max >> 20));
    } else if (m->large_told && size < max / 8 * 5) {
        m->large_told = false;
    }
}

void wp_etcd_stats_update(struct wp_etcd_mirror *m)
{
    size_t n = 0, bad = 0, out = 0, size = 0;
    bool is_held = false;

    for (const struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next) {
        n += wp_etcd_tree_keys(r->r.tree);
        bad += wp_etcd_tree_bad(r->r.tree);
        out += wp_etcd_tree_outs(r->r.tree, WP_ETCD_OUT_LAPSED);
        size += wp_etcd_tree_octets(r->r.tree);
        is_held |= r->held;
    }
    tell_large(m, size);
    wp_etcd_facts_update(m);
    wp_metric_set(m->stats.keys, (double)n);
    wp_metric_set(m->stats.malformed, (double)bad);
    wp_metric_set(m->stats.lapsed, (double)out);
    wp_metric_set(m->stats.octets, (double)size);
    wp_metric_set(m->stats.held, is_held);
    wp_metric_set(m->stats.revision, (double)m->revision);
    for (unsigned i = 0; i < WP_ETCD_SERVERS_MAX; i++)
        wp_metric_set(atomic_load(&m->stats.synced[i]), atomic_load(&m->lost_ns) == 0);
}

void wp_etcd_stats_error(struct wp_etcd_mirror *m, unsigned at, int status)
{
    wp_metric_add(
        wp_metric_series(&errors, (const char *const[]){m->name, m->src.endpoints[at].text,
                                                        wp_etcd_status_text(status)}),
        WP_METRIC_SHARED, 1);
}

const char *wp_etcd_endpoint_text(const struct wp_etcd_mirror *m)
{
    return m->src.endpoints[m->at].text;
}

const char *wp_etcd_reason_text(enum wp_etcd_reason reason)
{
    return reasons[reason];
}
