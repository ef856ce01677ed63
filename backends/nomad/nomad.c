/* nomad: names from the services of a Nomad region, kept in memory. */
#include "backends/nomad/nomad.h"

#include <errno.h>
#include <time.h>

#include "waypost/plugin/block.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/metric.h"

enum { READY_AFTER_S = 5 };

static const struct wp_family stale_answers = {
    .name = "coredns_nomad_stale_answers_total",
    .help = "Answers given from data that has been out of step with Nomad for too long.",
    .kind = WP_COUNTER,
    .labels = {"server", NULL},
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static const char *state_dir(const struct nomad *p, const struct wp_env *env)
{
    if (p->state != NULL)
        return *p->state != '\0' ? p->state : NULL;
    return env->state_dir;
}

/* Listeners open when this returns, whether an agent has been reached or not. */
static int nomad_start(void *self, struct wp_env *env)
{
    struct nomad *p = self;
    char why[WP_NOMAD_WHY] = "";
    int r;

    p->stale_answers = wp_metric_series(&stale_answers, (const char *const[]){env->server});
    p->wants.state_dir = state_dir(p, env);
    p->started_ns = now_ns();
    r = wp_nomad_source_get(&p->wants, why, &p->source);
    if (r < 0)
        return wp_env_fail(env, "%s", r == -ENOMEM ? "out of memory" : why);
    return 0;
}

static void nomad_stop(void *self)
{
    struct nomad *p = self;

    wp_nomad_source_put(p->source);
    p->source = NULL;
}

/* Other zones should not wait for an agent that is not there. */
static bool nomad_is_ready(void *self)
{
    const struct nomad *p = self;

    return (p->source != NULL && atomic_load_explicit(&p->source->reached, memory_order_relaxed)) ||
           now_ns() - p->started_ns >= READY_AFTER_S * UINT64_C(1000000000);
}

extern const struct wp_plugin wp_plugin_nomad;
const struct wp_plugin wp_plugin_nomad = {
    .name = "nomad",
    .size = sizeof(struct nomad),
    .options = nomad_options,
    .repeat = WP_REPEAT_ERROR,
    .new = nomad_new,
    .begin = nomad_begin,
    .check = nomad_check,
    .start = nomad_start,
    .serve = nomad_serve,
    .prefetch = nomad_prefetch,
    .cancel = nomad_cancel,
    .stop = nomad_stop,
    .is_ready = nomad_is_ready,
    .status_place = WP_STATUS_BACKENDS,
    .status = nomad_status,
};
