/* A plugin outside the tree: REFUSED for questions of one type. */
#include "waypost/dns/types.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/metric.h"
#include "waypost/plugin/plugin.h"

struct refuse {
    int64_t type;
    struct wp_series *refused;
};

static const struct wp_family refused_family = {
    .name = "waypost_refuse_total", .help = "Questions that were refused.", .kind = WP_COUNTER};

static int refuse_start(void *self, struct wp_env *env)
{
    struct refuse *p = self;

    p->refused = wp_metric_series(&refused_family, NULL);
    wp_log(WP_INFO, env->plugin, "type %d is refused", (int)p->type);
    return 0;
}

static int refuse_serve(void *self, struct wp_query *q)
{
    const struct refuse *p = self;

    if (q->msg.qtype != p->type)
        return WP_STEP_NEXT;
    wp_metric_add(p->refused, q->worker, 1);
    return wp_query_fail(q, WP_RCODE_REFUSED, 0, NULL);
}

static const struct wp_option options[] = {
    {.name = "type", .kind = WP_OPT_INT, .offset = offsetof(struct refuse, type), .def = "255",
     .help = "the number of the type", .min = 1, .max = 65535},
    {0},
};

const struct wp_plugin wp_plugin_refuse = {
    .name = "refuse",
    .size = sizeof(struct refuse),
    .options = options,
    .start = refuse_start,
    .serve = refuse_serve,
};
