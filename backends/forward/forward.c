/* forward: asks other resolvers. The life of an instance; the rest lies beside. */
#include "backends/forward/forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/forward/command/commands.h"
#include "waypost/base/text.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/report.h"

static const struct wp_family broken_family = {
    .name = "coredns_forward_healthcheck_broken_total",
    .help = "Counter of the number of complete failures of the healthchecks.",
    .kind = WP_COUNTER,
};
static const struct wp_family rejects_family = {
    .name = "coredns_forward_max_concurrent_rejects_total",
    .help =
        "Counter of the number of queries rejected because the concurrent queries were at maximum.",
    .kind = WP_COUNTER,
};

/* --- set-up -------------------------------------------------------------------------------- */

static int forward_new(void *self, struct wp_setup *s)
{
    struct forward *f = self;

    (void)s;
    f->last = &f->first;
    return 0;
}

static bool uses(const struct forward_stanza *st, enum wp_upstream_kind transport)
{
    for (unsigned i = 0; i < st->n_to; i++) {
        if (st->to[i].transport == transport)
            return true;
    }
    return false;
}

static int end_stanza(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct forward_stanza *st = ((struct forward *)self)->current;
    struct wp_upstream_profile *p = &st->profile;
    char age[32], expire[32];
    int r = 0;

    (void)l;
    if (p->max_age_ns > 0 && p->max_age_ns < p->expire_ns) {
        wp_duration_text(p->max_age_ns, age);
        wp_duration_text(p->expire_ns, expire);
        return wp_setup_fail(s, "max_age (%s) must not be less than expire (%s)", age, expire);
    }
    for (unsigned i = 0; i < st->n_to && st->tls_servername != NULL; i++) {
        const struct forward_to *to = &st->to[i];
        char text[WP_ADDR_TEXT_MAX];

        if (to->transport == WP_UPSTREAM_TLS && to->server_name != NULL)
            return wp_setup_fail(s,
                                 "both forward ('%s') and proxy level ('%s') TLS servernames are "
                                 "set for upstream proxy 'tls://%s'",
                                 st->tls_servername, to->server_name,
                                 to->kind == FORWARD_TO_ADDR ? wp_addr_text(&to->addr, text)
                                                             : to->name);
    }
    p->health_tcp = st->force_tcp;
    p->http_host = st->tls_servername;
    if (uses(st, WP_UPSTREAM_TLS) || st->client_tls.given)
        r = wp_client_tls_new(&st->client_tls, s, NULL, &st->tls);
    if (r == 0 && uses(st, WP_UPSTREAM_HTTPS))
        r = wp_client_tls_new(&st->client_tls, s, "h2", &st->https);
    p->tls = st->tls;
    p->https = st->https;
    return r;
}

static int forward_check(void *self, struct wp_setup *s)
{
    struct forward *f = self;

    for (struct forward_stanza *st = f->first; st != NULL; st = st->next) {
        int r = forward_to_find(st, s);

        if (r < 0)
            return r;
    }
    return 0;
}

/* --- running ------------------------------------------------------------------------------- */

static int forward_start(void *self, struct wp_env *env)
{
    struct forward *f = self;
    int r;

    f->env = env;
    f->broken = wp_metric_series(&broken_family, NULL);
    f->rejects = wp_metric_series(&rejects_family, NULL);
    r = wp_upstreams_new(env, &f->set);
    if (r == 0)
        r = forward_workers_new(f);
    for (struct forward_stanza *st = f->first; r == 0 && st != NULL; st = st->next) {
        struct forward_list *l = NULL;

        r = forward_list_new(st, NULL, &l);
        if (r == WP_ENOTFOUND) /* the file lost its servers since it was checked */
            return wp_env_fail(env, "no valid upstream addresses found");
        atomic_store_explicit(&st->list, l, memory_order_release);
    }
    return r == 0 ? forward_watch_start(f) : r;
}

static int forward_serve(void *self, struct wp_query *q)
{
    struct forward *f = self;

    return forward_from(f, f->first, q);
}

static void forward_quiesce(void *self)
{
    struct forward *f = self;

    forward_watch_stop(f);
    wp_upstreams_quiesce(f->set);
}

static void forward_stop(void *self)
{
    struct forward *f = self;

    forward_quiesce(f);
    wp_upstreams_free(f->set);
    f->set = NULL;
    forward_workers_free(f);
    for (struct forward_stanza *st = f->first; st != NULL; st = st->next) {
        free(atomic_load(&st->list));
        wp_client_tls_free(st->tls);
        wp_client_tls_free(st->https);
        atomic_store(&st->list, NULL);
        st->tls = st->https = NULL;
    }
}

static void forward_status(void *self, struct wp_report *r)
{
    static const char *const policy[] = {"random", "round_robin", "sequential"};
    const struct forward *f = self;

    wp_report_list(r, "stanzas");
    for (struct forward_stanza *st = f->first; st != NULL; st = st->next) {
        const struct forward_list *l = atomic_load_explicit(&st->list, memory_order_acquire);
        char from[WP_NAME_TEXT_MAX];

        wp_report_open(r, NULL);
        wp_report_text(r, "from", wp_name_text(st->from, from));
        wp_report_text(r, "policy", policy[st->policy]);
        if (st->max_concurrent > 0)
            wp_report_int(r, "max_concurrent", st->max_concurrent);
        wp_report_list(r, "upstreams");
        for (unsigned i = 0; i < l->n; i++)
            wp_upstream_status(l->up[i], st->max_fails, r);
        wp_report_close(r);
        wp_report_close(r);
    }
    wp_report_close(r);
}

const struct wp_plugin wp_plugin_forward = {
    .name = "forward",
    .size = sizeof(struct forward),
    .options = forward_options,
    .repeat = WP_REPEAT_COMBINE,
    .class_any = true,
    .new = forward_new,
    .end = end_stanza,
    .check = forward_check,
    .start = forward_start,
    .serve = forward_serve,
    .cancel = forward_cancel,
    .quiesce = forward_quiesce,
    .stop = forward_stop,
    .status = forward_status,
    .commands = forward_commands,
};
