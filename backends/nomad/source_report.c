/* Metrics of sources, and what `waypost status` tells of one. Two sources whose names are equal share
 * their series: then the newer one is shown. */
#include <stdio.h>

#include "backends/nomad/source_priv.h"
#include "waypost/plugin/report.h"

static const struct wp_family synced = {
    .name = "coredns_nomad_synced",
    .help = "Whether what is listed has been read once, 0 or 1.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family services = {
    .name = "coredns_nomad_services",
    .help = "Services with instances that are known.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family registrations = {
    .name = "coredns_nomad_registrations",
    .help = "Instances of services that are known.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family index_of_list = {
    .name = "coredns_nomad_index",
    .help = "Index of the table of registrations as the list of services last told it.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family contact = {
    .name = "coredns_nomad_last_contact_timestamp_seconds",
    .help = "Unix time of the last good answer of an agent, 0 before the first one.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family held = {
    .name = "coredns_nomad_held",
    .help = "Whether known services are kept although a restored server has none, 0 or 1.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family behind = {
    .name = "waypost_nomad_behind_seconds",
    .help = "How long what is known has not been in step with the agents, 0 while it is.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family octets = {
    .name = "waypost_nomad_store_bytes",
    .help = "Memory of the services that are known.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family allocations = {
    .name = "waypost_nomad_checked_allocations",
    .help = "Allocations that are asked for their checks, with `health`.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family failing = {
    .name = "waypost_nomad_failing",
    .help = "Services of allocations of which a check fails, with `health`.",
    .kind = WP_GAUGE,
    .labels = {"source", NULL},
};
static const struct wp_family requests = {
    .name = "coredns_nomad_api_requests_total",
    .help = "Requests to agents, by address and HTTP status; without one: timeout, tls, error.",
    .kind = WP_COUNTER,
    .labels = {"address", "code", NULL},
};
static const struct wp_family reloads = {
    .name = "coredns_nomad_reloads_total",
    .help = "How often everything listed was read, by reason: start, index (it moved, and no event told "
            "why), index_back, agent, verify, token; config: kept through a reload.",
    .kind = WP_COUNTER,
    .labels = {"source", "reason", NULL},
};

static const char *const reasons[WP_NOMAD_RELOADS] = {
    [WP_NOMAD_RELOAD_START] = "start",           [WP_NOMAD_RELOAD_INDEX] = "index",
    [WP_NOMAD_RELOAD_INDEX_BACK] = "index_back", [WP_NOMAD_RELOAD_AGENT] = "agent",
    [WP_NOMAD_RELOAD_VERIFY] = "verify",         [WP_NOMAD_RELOAD_CONFIG] = "config",
    [WP_NOMAD_RELOAD_TOKEN] = "token",
};

/* --- what is read when scraped ----------------------------------------------------------------- */

static double read_synced(void *arg)
{
    const struct wp_nomad_source_own *o = arg;

    return o->synced;
}

static double read_services(void *arg)
{
    const struct wp_nomad_source_own *o = arg;

    return (double)wp_nomad_store_figures(o->s.store).services;
}

static double read_registrations(void *arg)
{
    const struct wp_nomad_source_own *o = arg;

    return (double)wp_nomad_store_figures(o->s.store).instances;
}

static double read_octets(void *arg)
{
    const struct wp_nomad_source_own *o = arg;

    return (double)wp_nomad_store_figures(o->s.store).octets;
}

static double read_index(void *arg)
{
    const struct wp_nomad_source_own *o = arg;

    return (double)o->index;
}

static double read_contact(void *arg)
{
    const struct wp_nomad_source_own *o = arg;

    return (double)o->contact_ms / 1000;
}

static double read_held(void *arg)
{
    const struct wp_nomad_source_own *o = arg;

    return o->held;
}

static double read_behind(void *arg)
{
    const struct wp_nomad_source_own *o = arg;

    return (double)wp_nomad_behind_s(&o->s, o->h->now());
}

static double read_allocations(void *arg)
{
    const struct wp_nomad_source_own *o = arg;

    return o->health != NULL ? (double)wp_nomad_health_figures(o->health).allocations : 0;
}

static double read_failing(void *arg)
{
    const struct wp_nomad_source_own *o = arg;

    return o->health != NULL ? (double)wp_nomad_health_figures(o->health).failing : 0;
}

static const struct {
    const struct wp_family *family;
    double (*read)(void *arg);
} gauges[] = {
    {&synced, read_synced},   {&services, read_services}, {&registrations, read_registrations},
    {&contact, read_contact}, {&held, read_held},         {&index_of_list, read_index},
    {&behind, read_behind},   {&octets, read_octets},     {&allocations, read_allocations},
    {&failing, read_failing},
};

/* --- series ------------------------------------------------------------------------------------ */

/* What is read is this source's from now on. */
void wp_nomad_stats_show(struct wp_nomad_source_own *o)
{
    for (size_t i = 0; i < WP_COUNT(gauges); i++)
        wp_metric_read(wp_metric_series(gauges[i].family, (const char *const[]){o->name}),
                       gauges[i].read, o);
}

void wp_nomad_stats_init(struct wp_nomad_source_own *o)
{
    wp_nomad_stats_show(o);
    for (unsigned i = 0; i < WP_NOMAD_RELOADS; i++)
        o->reloads[i] = wp_metric_series(&reloads, (const char *const[]){o->name, reasons[i]});
}

void wp_nomad_stats_drop(struct wp_nomad_source_own *o)
{
    for (size_t i = 0; i < WP_COUNT(gauges); i++) {
        wp_metric_read(wp_metric_series(gauges[i].family, (const char *const[]){o->name}), NULL, NULL);
        wp_metric_drop(gauges[i].family, (const char *const[]){o->name});
    }
}

void wp_nomad_count_request(const struct wp_nomad_source_own *o, int status, int err)
{
    const char *address = wp_nomad_access_name(o->access, o->agent);
    char code[16];

    if (err == 0 && status != 0)
        snprintf(code, sizeof(code), "%d", status);
    else
        snprintf(code, sizeof(code), "%s",
                 err == WP_ETIMEOUT ? "timeout" : err == WP_ETLS ? "tls" : "error");
    wp_metric_add(wp_metric_series(&requests, (const char *const[]){address, code}),
                  WP_METRIC_SHARED, 1);
}

/* --- status ------------------------------------------------------------------------------------ */

static const char *state_text(const struct wp_nomad_source_own *o)
{
    uint64_t since = atomic_load_explicit(
        &((struct wp_nomad_source_own *)(uintptr_t)o)->s.behind_since_ns, memory_order_relaxed);

    if (!o->s.reached)
        return "loading";
    if (since == 0)
        return "in step";
    if (!o->synced)
        return wp_nomad_store_figures(o->s.store).services > 0 ? "saved" : "loading";
    return wp_nomad_behind_s(&o->s, o->h->now()) > WP_NOMAD_STALE_S ? "stale" : "behind";
}

void wp_nomad_source_report(struct wp_nomad_source *s, struct wp_report *r)
{
    struct wp_nomad_source_own *o = s->own;
    struct wp_nomad_figures f = wp_nomad_store_figures(s->store);
    uint64_t behind_s = wp_nomad_behind_s(s, o->h->now());
    char error[sizeof(o->error)];
    int64_t error_ms;

    pthread_mutex_lock(&o->lock);
    memcpy(error, o->error, sizeof(error));
    error_ms = o->error_ms;
    pthread_mutex_unlock(&o->lock);
    wp_report_text(r, "source", o->name);
    wp_report_text(r, "state", state_text(o));
    wp_report_s(r, "behind_s", behind_s * UINT64_C(1000000000));
    wp_report_text(r, "agent", wp_nomad_access_name(o->access, o->agent_told));
    wp_report_bool(r, "away", s->away);
    wp_report_bool(r, "held", o->held);
    wp_report_int(r, "index", (int64_t)o->index);
    wp_report_time(r, "contact_time", o->contact_ms);
    wp_report_int(r, "services", (int64_t)f.services);
    wp_report_int(r, "registrations", (int64_t)f.instances);
    wp_report_octets(r, "octets", f.octets);
    if (o->health != NULL) {
        wp_report_int(r, "checked_allocations", (int64_t)wp_nomad_health_figures(o->health).allocations);
        wp_report_int(r, "failing", (int64_t)wp_nomad_health_figures(o->health).failing);
    }
    wp_report_text(r, "last_error", error_ms != 0 ? error : NULL);
    wp_report_time(r, "last_error_time", error_ms);
    if (!s->reached)
        wp_report_problem(r, "%s: no agent has answered yet, SERVFAIL is answered", o->name);
    else if (behind_s > WP_NOMAD_STALE_S)
        wp_report_problem(r, "%s: not in step for %llu s", o->name, (unsigned long long)behind_s);
}
