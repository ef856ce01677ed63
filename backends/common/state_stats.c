/* Metrics of saved state. */
#include "backends/common/state_priv.h"
#include "waypost/plugin/metric.h"

static const struct wp_family age = {
    .name = "waypost_state_age_seconds",
    .help = "How old the data is that a source is served from; 0 while it is current.",
    .kind = WP_GAUGE,
    .labels = {"backend", "source", NULL},
};
static const struct wp_family data = {
    .name = "waypost_state_source",
    .help = "1 for what a source is served from: live data, or saved data since a start.",
    .kind = WP_GAUGE,
    .labels = {"backend", "source", "data", NULL},
};
static const struct wp_family octets = {
    .name = "waypost_state_file_bytes",
    .help = "Size of the saved file.",
    .kind = WP_GAUGE,
    .labels = {"backend", "source", NULL},
};
static const struct wp_family saves = {
    .name = "waypost_state_saves_total",
    .help = "Saves of a source's data, by result.",
    .kind = WP_COUNTER,
    .labels = {"backend", "source", "result", NULL},
};

static double read_age(void *arg)
{
    const struct wp_state *s = arg;
    int64_t known = atomic_load_explicit(&((struct wp_state *)(uintptr_t)s)->stats.known_ms,
                                         memory_order_relaxed);
    int64_t now = wp_state_clock_ms();

    return known == 0 || known > now ? 0 : (double)(now - known) / 1000;
}

void wp_state_stats_init(struct wp_state *s)
{
    const char *const two[] = {s->c.backend, s->c.source};
    struct wp_state_stats *t = &s->stats;

    t->age = wp_metric_series(&age, two);
    t->octets = wp_metric_series(&octets, two);
    t->live = wp_metric_series(&data, (const char *const[]){s->c.backend, s->c.source, "live"});
    t->saved = wp_metric_series(&data, (const char *const[]){s->c.backend, s->c.source, "saved"});
    t->done = wp_metric_series(&saves, (const char *const[]){s->c.backend, s->c.source, "ok"});
    t->failed =
        wp_metric_series(&saves, (const char *const[]){s->c.backend, s->c.source, "failed"});
    wp_metric_read(t->age, read_age, s);
}

/* Gauges of a source that is gone say nothing any more; counters stay. */
void wp_state_stats_drop(struct wp_state *s)
{
    const char *const two[] = {s->c.backend, s->c.source};

    wp_metric_read(s->stats.age, NULL, NULL);
    wp_metric_drop(&age, two);
    wp_metric_drop(&octets, two);
    wp_metric_drop(&data, (const char *const[]){s->c.backend, s->c.source, "live"});
    wp_metric_drop(&data, (const char *const[]){s->c.backend, s->c.source, "saved"});
}

void wp_state_serves(struct wp_state *s, enum wp_state_data what, int64_t known_ms)
{
    atomic_store_explicit(&s->stats.known_ms, known_ms, memory_order_relaxed);
    wp_metric_set(s->stats.live, what == WP_STATE_LIVE);
    wp_metric_set(s->stats.saved, what == WP_STATE_SAVED);
}
