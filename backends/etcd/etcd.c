/* etcd: names from keys of an etcd cluster, kept in memory by a watch. */
#include "backends/etcd/etcd.h"

#include <string.h>
#include <time.h>

#include "backends/etcd/command/commands.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/metric.h"

static const struct wp_family stale_answers = {
    .name = "coredns_etcd_stale_answers_total",
    .help = "Answers given from data that has been out of step with etcd for too long.",
    .kind = WP_COUNTER,
    .labels = {"server", NULL},
};

/* The scheme of the first endpoint decides for all. */
static bool uses_tls(const struct etcd *p)
{
    if (p->discovery != NULL)
        return false; /* DNS says */
    return p->endpoints[0].scheme == WP_ETCD_SECURE ||
           (p->endpoints[0].scheme == WP_ETCD_EITHER && p->tls.given);
}

void etcd_source(const struct etcd *p, struct wp_etcd_source *ret)
{
    *ret = (struct wp_etcd_source){
        .prefix = p->prefix,
        .endpoints = p->endpoints,
        .n_endpoints = p->n_endpoints,
        .discovery = p->discovery,
        .discovery_name = p->discovery_name,
        .discovery_secure = p->discovery != NULL && p->tls.given,
        .tls = uses_tls(p),
        .user = p->user,
        .password = p->password,
        .keep_lapsed = p->keep_lapsed,
        .health = p->health,
        .terms = p->terms,
        .max_octets = p->max_octets,
    };
    if (ret->tls || p->discovery != NULL) {
        ret->ca_file = p->tls.ca;
        ret->cert_file = p->tls.cert;
        ret->key_file = p->tls.key;
    }
}

/* A zone inside another one of this directive needs no range of its own: the shortest that
 * holds it. */
static unsigned outermost(const struct etcd *p, unsigned i)
{
    unsigned best = i;

    for (unsigned k = 0; k < p->zones.n; k++)
        if (wp_name_within(p->zones.zone[best], p->zones.zone[k]) &&
            (wp_name_labels(p->zones.zone[k]) < wp_name_labels(p->zones.zone[best]) || k < best))
            best = k;
    return best;
}

static const char *state_dir(const struct etcd *p, const struct wp_env *env)
{
    if (p->state != NULL)
        return *p->state != '\0' ? p->state : NULL;
    return env->state_dir;
}

static void tell_off(const struct etcd *p, const struct wp_env *env)
{
    static bool told;

    if (told || p->state != NULL || env->state_why == NULL)
        return;
    told = true;
    wp_log(WP_INFO, "etcd", "saved state is off: %s (`state DIRECTORY` names another place)",
           env->state_why);
}

static int get_range(struct etcd *p, struct wp_env *env, unsigned i)
{
    const uint8_t *zone = p->zones.zone[outermost(p, i)];
    struct wp_etcd_source src;
    struct wp_etcd_path path;
    struct wp_qname q;
    char why[256] = "out of memory";
    int r;

    etcd_source(p, &src);
    src.state_dir = state_dir(p, env);
    src.admin = env->admin;
    if (wp_qname_set(&q, zone, wp_name_size(zone)) < 0)
        return wp_env_fail(env, "bad zone");
    wp_etcd_path_set(&path, &q);
    path.text[path.len] = '\0';
    r = wp_etcd_range_get(&src, path.text, env->server, why, &p->range[i]);
    return r < 0 ? wp_env_fail(env, "cannot follow etcd: %s", why) : 0;
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Listeners open when this returns. Data that comes at once should be there by then; an etcd
 * that does not answer must not hold up other zones. A reload that names other endpoints takes its
 * time: the generation before serves the old data until this returns. */
static int etcd_start(void *self, struct wp_env *env)
{
    struct etcd *p = self;
    int r;

    p->stale_answers = wp_metric_series(&stale_answers, (const char *const[]){env->server});
    for (unsigned i = 0; i < p->zones.n; i++) {
        r = get_range(p, env, i);
        if (r < 0)
            return r;
    }
    tell_off(p, env);
    p->started_ms = now_ms();
    for (unsigned i = 0; i < p->zones.n; i++) {
        uint64_t most = p->range[i]->replaces ? WP_ETCD_REPLACE_WAIT_MS : WP_ETCD_START_WAIT_MS;
        uint64_t gone = now_ms() - p->started_ms;
        wp_etcd_range_wait(p->range[i], gone < most ? (unsigned)(most - gone) : 0);
    }
    return 0;
}

static void etcd_stop(void *self)
{
    struct etcd *p = self;

    for (unsigned i = 0; p->range != NULL && i < p->zones.n; i++) {
        wp_etcd_range_put(p->range[i]);
        p->range[i] = NULL;
    }
}

/* Other zones should not wait for ever. */
static bool etcd_is_ready(void *self)
{
    const struct etcd *p = self;

    if (now_ms() - p->started_ms >= 1000 * (uint64_t)p->ready_after_s)
        return true;
    for (unsigned i = 0; i < p->zones.n; i++)
        if (p->range[i] == NULL || !wp_etcd_range_has_data(p->range[i]))
            return false;
    return true;
}

extern const struct wp_plugin wp_plugin_etcd;
const struct wp_plugin wp_plugin_etcd = {
    .name = "etcd",
    .size = sizeof(struct etcd),
    .options = etcd_options,
    .repeat = WP_REPEAT_ERROR,
    .new = etcd_new,
    .check = etcd_check,
    .start = etcd_start,
    .serve = etcd_serve,
    .stop = etcd_stop,
    .is_ready = etcd_is_ready,
    .status = etcd_status,
    .commands = etcd_commands,
};
