/* kubernetes: names from the services, endpoints and pods of a cluster, kept in memory by watches.
 */
#include "backends/kubernetes/kubernetes.h"

#include "backends/kubernetes/autopath.h"
#include "backends/kubernetes/command/commands.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/metric.h"

static const struct wp_family stale_answers = {
    .name = "waypost_kubernetes_stale_answers_total",
    .help = "Answers given from data that has been out of step with the API server for too long.",
    .kind = WP_COUNTER,
    .labels = {"server", NULL},
};

static const char *state_dir(const struct kubernetes *p, const struct wp_env *env)
{
    if (p->state != NULL)
        return *p->state != '\0' ? p->state : NULL;
    return env->state_dir;
}

/* Listeners open when this returns, synced or not. */
static int kubernetes_start(void *self, struct wp_env *env)
{
    struct kubernetes *p = self;
    char why[WP_KUBE_WHY] = "";
    int r;

    p->stale_answers = wp_metric_series(&stale_answers, (const char *const[]){env->server});
    wp_kube_self_init(&p->self, env->block);
    p->wants.state_dir = state_dir(p, env);
    p->wants.pod_labels = p->wants.pods && env->block->has_metadata;
    r = wp_kube_cluster_get(&p->wants, why, &p->cluster);
    if (r < 0)
        return wp_env_fail(env, "%s", r == -ENOMEM ? "out of memory" : why);
    if (p->startup_timeout_ns > 0 && !wp_kube_cluster_wait(p->cluster, p->startup_timeout_ns))
        wp_log(WP_WARNING, "kubernetes", "starting server with unsynced Kubernetes API");
    return 0;
}

static void kubernetes_stop(void *self)
{
    struct kubernetes *p = self;

    wp_kube_cluster_put(p->cluster);
    p->cluster = NULL;
}

static bool kubernetes_is_ready(void *self)
{
    const struct kubernetes *p = self;

    return p->cluster != NULL && wp_kube_cluster_has_data(p->cluster);
}

extern const struct wp_plugin wp_plugin_kubernetes;
const struct wp_plugin wp_plugin_kubernetes = {
    .name = "kubernetes",
    .size = sizeof(struct kubernetes),
    .options = kubernetes_options,
    .repeat = WP_REPEAT_ERROR,
    .new = kubernetes_new,
    .begin = kubernetes_begin,
    .end = kubernetes_end,
    .check = kubernetes_check,
    .start = kubernetes_start,
    .serve = kubernetes_serve,
    .prefetch = kubernetes_prefetch,
    .metadata = kubernetes_metadata,
    .stop = kubernetes_stop,
    .is_ready = kubernetes_is_ready,
    .status_place = WP_STATUS_BACKENDS,
    .search = kubernetes_search,
    .transfer = kubernetes_transfer,
    .commands = kubernetes_commands,
    .status = kubernetes_status,
};
