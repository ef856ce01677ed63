/* What stands in the status. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/status/status_priv.h"
#include "waypost/plugin/loop.h"
#include "waypost/server/gen.h"
#include "waypost/server/guard.h"
#include "waypost/server/router.h"

static uint64_t since_ms(int64_t then_ms)
{
    int64_t ms = status_clock_ms() - then_ms;

    return ms > 0 ? (uint64_t)ms * 1000000 : 0;
}

static void put_process(const struct wp_admin *a, struct wp_report *r)
{
    wp_report_text(r, "version", WP_VERSION);
    wp_report_int(r, "pid", getpid());
    wp_report_time(r, "started", a->started_ms);
    wp_report_s(r, "uptime_s", wp_loop_clock(a->loop) - a->started_ns);
    wp_report_text(r, "config", a->conf);
}

static void put_generation(const struct wp_admin *a, struct wp_report *r)
{
    bool is_current = a->failed == 0 || a->loaded_ms >= a->failed_ms; /* a good one came after it */

    wp_report_open(r, "generation");
    wp_report_int(r, "number", a->number);
    wp_report_time(r, "loaded", a->loaded_ms);
    wp_report_s(r, "age_s", since_ms(a->loaded_ms));
    wp_report_text(r, "sha512", a->gen->conf.sha512);
    wp_report_close(r);
    wp_report_open(r, "reloads");
    wp_report_int(r, "done", a->number - 1);
    wp_report_int(r, "failed", a->failed);
    wp_report_time(r, "last_failure", a->failed_ms);
    wp_report_text(r, "last_error", a->failed > 0 ? a->why : NULL);
    wp_report_bool(r, "is_current", is_current);
    if (a->loading_ns != 0)
        wp_report_s(r, "running_s", wp_loop_clock(a->loop) - a->loading_ns);
    else
        wp_report_none(r, "running_s");
    wp_report_close(r);
    if (!is_current)
        wp_report_problem(r, "the last reload failed: %s", a->why);
}

static void put_listeners(const struct wp_gen *gen, struct wp_report *r)
{
    wp_report_list(r, "listeners");
    for (unsigned i = 0; i < gen->n_groups; i++) {
        const struct wp_group *g = &gen->groups[i];
        char names[64] = "";

        for (const struct wp_listener_ops *const *l = wp_listeners_of(g->scheme); *l != NULL; l++) {
            strncat(names, names[0] != '\0' ? "," : "", sizeof(names) - strlen(names) - 1);
            strncat(names, (*l)->name, sizeof(names) - strlen(names) - 1);
        }
        wp_report_open(r, NULL);
        wp_report_text(r, "listener", g->label);
        wp_report_text(r, "transports", names);
        wp_report_int(r, "zones", g->route->n_zones);
        wp_report_int(r, "connections", wp_guard_connections(g));
        wp_report_int(r, "max_connections", g->limits.max_connections);
        wp_report_close(r);
        if (wp_guard_is_full(g))
            wp_report_problem(r, "%s has all the connections that it may have", g->label);
    }
    wp_report_close(r);
}

static void put_workers(const struct wp_admin *a, const struct status_worker *w,
                        struct wp_report *r)
{
    wp_report_list(r, "workers");
    for (int i = 0; i < a->n_workers; i++) {
        wp_report_open(r, NULL);
        wp_report_int(r, "worker", i);
        wp_report_bool(r, "answers", w[i].came);
        wp_report_int(r, "questions", (int64_t)w[i].asked);
        wp_report_int(r, "waiting", w[i].waiting);
        wp_report_int(r, "query_slots", w[i].queries);
        wp_report_close(r);
        if (!w[i].came)
            wp_report_problem(r, "worker %d does not answer", i);
    }
    wp_report_close(r);
}

/* --- instances ------------------------------------------------------------------------------- */

static const char *listener_of(const struct wp_gen *gen, const struct wp_block *b)
{
    for (unsigned i = 0; i < gen->n_groups; i++)
        for (unsigned k = 0; k < b->n_keys; k++)
            if (gen->groups[i].scheme == b->keys[k].scheme &&
                gen->groups[i].port == b->keys[k].port)
                return gen->groups[i].label;
    return NULL;
}

static void put_instance(const struct wp_gen *gen, const struct wp_block *b,
                         const struct wp_node *n, struct wp_report *r)
{
    char about[300];

    snprintf(about, sizeof(about), "%s (%s:%u): ", n->plugin->name, b->file, b->line);
    r->about = about;
    wp_report_open(r, NULL);
    wp_report_text(r, "plugin", n->plugin->name);
    wp_report_text(r, "block", b->n_keys > 0 ? b->keys[0].text : NULL);
    wp_report_text(r, "listener", listener_of(gen, b));
    wp_report_printf(r, "place", "%s:%u", b->file, b->line);
    n->plugin->status(n->self, r);
    wp_report_close(r);
    r->about = NULL;
}

static void put_instances(const struct wp_gen *gen, enum wp_status_place place, const char *name,
                          struct wp_report *r)
{
    wp_report_list(r, name);
    for (unsigned i = 0; i < gen->n_blocks; i++) {
        const struct wp_block *b = &gen->blocks[i];

        for (unsigned k = 0; k < b->n_all; k++)
            if (b->all[k].plugin->status != NULL && b->all[k].plugin->status_place == place)
                put_instance(gen, b, &b->all[k], r);
    }
    wp_report_close(r);
}

void status_fill(const struct wp_admin *a, const struct status_worker *workers,
                 struct wp_report *r)
{
    struct wp_report problems;

    wp_report_init(&problems, r->arena);
    r->problems = &problems;
    put_process(a, r);
    if (a->gen != NULL) {
        put_generation(a, r);
        put_listeners(a->gen, r);
        put_workers(a, workers, r);
        put_instances(a->gen, WP_STATUS_CACHES, "caches", r);
        put_instances(a->gen, WP_STATUS_BACKENDS, "backends", r);
    }
    r->problems = NULL;
    if (r->incomplete)
        wp_report_bool(r, "incomplete", true); /* more than is shown */
    wp_report_adopt(r, "problems", &problems, true); /* last: where one looks first */
    if (wp_report_is_empty(&problems)) {
        wp_report_list(r, "problems");
        wp_report_close(r);
    }
}
