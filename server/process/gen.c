/* Generations: from a Corefile's text to running instances, and back to nothing. */
#include "waypost/server/gen.h"

#include <stdlib.h>

#include "server/process/process_priv.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/metric.h"
#include "waypost/server/router.h"
#include "waypost/tls/tls.h"

void (*wp_gen_look_again)(void);

static uint64_t next_id = 1;

int wp_gen_new(const struct wp_conf_source *src, const char *text, size_t len, bool check_only,
               int n_workers, struct wp_conf_report *report, struct wp_gen **ret)
{
    struct wp_gen *gen = calloc(1, sizeof(*gen));
    int r;

    if (gen == NULL)
        return -ENOMEM;
    wp_arena_init(&gen->arena, 0);
    gen->id = next_id++;
    gen->counts = n_workers > 0 ? aligned_alloc(64, sizeof(*gen->counts) * (size_t)n_workers) : NULL;
    if (n_workers > 0 && gen->counts == NULL) {
        r = -ENOMEM;
        goto out;
    }
    if (n_workers > 0)
        memset(gen->counts, 0, sizeof(*gen->counts) * (size_t)n_workers);
    atomic_init(&gen->busy_workers, n_workers);
    r = wp_conf_parse(src->path != NULL ? src->path : "Corefile", text, len, &gen->arena, report,
                      &gen->conf);
    /* check goes on with what could be read, so that one run shows every error */
    if (r < 0 && !(check_only && r == WP_ECONFIG))
        goto out;
    r = wp_conf_bind(&gen->conf, src->default_port, check_only, gen, &gen->arena, report,
                     &gen->blocks, &gen->n_blocks);
    if (r < 0 && !(check_only && r == WP_ECONFIG))
        goto out;
    r = wp_groups_make(gen, report);
    if (r == 0 && report->n > 0)
        r = WP_ECONFIG;
    if (r < 0)
        goto out;
    *ret = gen;
    gen = NULL;
out:
    wp_gen_free(gen);
    return r;
}

/* The instance of the same directive in the same block of the generation before. Blocks are
 * the same when their first keys are. */
static const void *counterpart(const struct wp_gen *previous, const struct wp_block *b,
                               const char *name)
{
    for (unsigned i = 0; previous != NULL && i < previous->n_blocks; i++) {
        const struct wp_block *o = &previous->blocks[i];

        if (o->n_keys > 0 && b->n_keys > 0 && o->keys[0].scheme == b->keys[0].scheme &&
            o->keys[0].port == b->keys[0].port &&
            wp_name_equal(o->keys[0].zone, b->keys[0].zone))
            return wp_block_plugin(o, name);
    }
    return NULL;
}

static const char *first_label(const struct wp_gen *gen, const struct wp_block *b)
{
    for (unsigned i = 0; i < gen->n_groups; i++) {
        const struct wp_group *g = &gen->groups[i];

        if (b->n_keys > 0 && g->scheme == b->keys[0].scheme && g->port == b->keys[0].port &&
            wp_group_has_block(g, b))
            return g->label;
    }
    return "";
}

static int start_one(struct wp_gen *gen, const struct wp_env *services,
                     const struct wp_gen *previous, struct wp_conf_report *report,
                     struct wp_block *b, struct wp_node *n)
{
    struct wp_env *env = wp_arena_alloc(&gen->arena, sizeof(*env));
    int r;

    if (env == NULL)
        return -ENOMEM;
    *env = *services;
    env->block = b;
    env->arena = &gen->arena;
    env->gen = gen;
    env->plugin = n->plugin->name;
    env->server = first_label(gen, b);
    env->previous = counterpart(previous, b, n->plugin->name);
    env->report = report;
    env->look_again = wp_gen_look_again;
    env->state_dir = wp_state_dir(gen->blocks, gen->n_blocks, b, &env->state_why);
    r = n->plugin->start(n->self, env);
    if (r < 0 && report->n == 0)
        wp_conf_report_add(report, WP_CONF_PLAIN, n->plugin->name, NULL, 0, "%s", wp_strerror(r));
    return r;
}

/* What is not as it should be but no reason to stop. */
static void warn_tls(const struct wp_group *g)
{
    const char *why = g->tls != NULL ? wp_tls_ctx_warning(g->tls) : NULL;

    if (why != NULL)
        wp_log(WP_WARNING, "tls", "%s: %s: nothing is stapled", g->label, why);
}

int wp_gen_start(struct wp_gen *gen, const struct wp_env *services, const struct wp_gen *previous,
                 struct wp_conf_report *report)
{
    for (const struct wp_directive *d = gen->conf.directives; d->name != NULL; d++) {
        for (unsigned i = 0; i < gen->n_blocks; i++) {
            struct wp_block *b = &gen->blocks[i];

            for (unsigned j = 0; j < b->n_all; j++) {
                int r;

                if (b->all[j].plugin != d->plugin || d->plugin->start == NULL)
                    continue;
                r = start_one(gen, services, previous, report, b, &b->all[j]);
                if (r < 0)
                    return r;
            }
        }
    }
    for (unsigned i = 0; i < gen->n_groups; i++)
        warn_tls(&gen->groups[i]);
    return 0;
}

void wp_gen_quiesce(struct wp_gen *gen)
{
    for (unsigned i = 0; i < gen->n_blocks; i++) {
        for (unsigned j = 0; j < gen->blocks[i].n_all; j++) {
            const struct wp_node *n = &gen->blocks[i].all[j];

            if (n->plugin->quiesce != NULL)
                n->plugin->quiesce(n->self);
        }
    }
}

void wp_gen_free(struct wp_gen *gen)
{
    if (gen == NULL)
        return;
    wp_conf_unbind(gen->blocks, gen->n_blocks);
    for (unsigned i = 0; i < gen->n_groups; i++)
        wp_tls_ctx_unref(gen->groups[i].tls);
    wp_arena_done(&gen->arena);
    free(gen->counts);
    free(gen);
}

static const struct wp_family tls_reload_family = {
    .name = "waypost_tls_reload_failures_total",
    .help = "Changed certificate files that could not be used; the old ones stayed in service.",
    .kind = WP_COUNTER,
    .labels = {"server"},
};

void wp_gen_refresh_tls(struct wp_gen *gen)
{
    for (unsigned i = 0; i < gen->n_groups; i++) {
        struct wp_group *g = &gen->groups[i];
        char why[256];
        int r;

        if (g->tls == NULL)
            continue;
        r = wp_tls_ctx_refresh(g->tls, why);
        if (r > 0) {
            wp_log(WP_INFO, "tls", "Certificate files of %s changed: in use for new connections",
                   g->label);
        } else if (r < 0) {
            const char *values[] = {g->label};

            wp_metric_add(wp_metric_series(&tls_reload_family, values), WP_METRIC_SHARED, 1);
            wp_log(WP_ERROR, "tls", "Certificate files of %s changed but are not usable, keeping the old ones: %s",
                   g->label, why);
        }
        warn_tls(g);
    }
}
