/* loadbalance: the order of addresses in replies. */
#include "server/plugins/loadbalance/loadbalance.h"

#include <stdlib.h>
#include <string.h>

#include "waypost/base/text.h"
#include "waypost/plugin/log.h"

/* --- configuration --------------------------------------------------------------------------- */

static int parse_policy(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct loadbalance *p = self;

    p->file = NULL;
    p->reload_ns = 30000000000ll;
    if (l->n_words == 1 || strcmp(l->words[1], "round_robin") == 0) {
        if (l->n_words > 2)
            return wp_setup_error(s, l, "unknown property for round_robin");
        return 0;
    }
    if (strcmp(l->words[1], "weighted") != 0)
        return wp_setup_error(s, l, "unknown policy: %s", l->words[1]);
    if (l->n_words < 3)
        return wp_setup_error(s, l, "missing weight file argument");
    if (l->n_words > 3)
        return wp_setup_error(s, l, "unexpected argument(s)");
    p->file = wp_setup_path(s, l->words[2]);
    return p->file == NULL ? -ENOMEM : 0;
}

static int parse_prefer(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct loadbalance *p = self;
    struct wp_cidr *more = wp_arena_array(s->arena, p->n_prefer + l->n_words, sizeof(*more));

    if (more == NULL)
        return -ENOMEM;
    if (p->n_prefer > 0)
        memcpy(more, p->prefer, p->n_prefer * sizeof(*more));
    p->prefer = more;
    for (unsigned i = 1; i < l->n_words; i++) {
        if (strchr(l->words[i], '/') == NULL || wp_cidr_parse(l->words[i], &more[p->n_prefer]) < 0)
            return wp_setup_error(s, l, "invalid CIDR \"%s\": invalid CIDR address: %s", l->words[i],
                                  l->words[i]);
        p->n_prefer++;
    }
    return 0;
}

static int parse_reload(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct loadbalance *p = self;

    if (p->file == NULL)
        return wp_setup_error(s, l, "unknown property for round_robin");
    if (l->n_words != 2)
        return wp_setup_error(s, l, "missing reload duration");
    if (wp_duration_parse(l->words[1], &p->reload_ns) < 0 || p->reload_ns < 0)
        return wp_setup_error(s, l, "invalid reload duration '%s'", l->words[1]);
    return 0;
}

static int unknown(void *self, struct wp_setup *s, const struct wp_line *l)
{
    const struct loadbalance *p = self;

    if (p->file == NULL)
        return wp_setup_error(s, l, "unknown property for round_robin");
    return wp_setup_error(s, l, "unknown property '%s'", l->words[0]);
}

static int loadbalance_check(void *self, struct wp_setup *s)
{
    struct loadbalance *p = self;
    struct lb_weights *w = NULL;
    char why[256];
    int r;

    if (p->file == NULL)
        return 0;
    r = lb_weights_read(p->file, &w, &p->digest, why);
    if (r == WP_ENOTFOUND && p->reload_ns > 0) {
        wp_log(WP_WARNING, "loadbalance", "Failed to open weight file:%s. Will try again in the reload interval", why);
        return 0;
    }
    if (r < 0)
        return wp_setup_fail(s, "%s", why);
    atomic_store(&p->weights, w);
    return 0;
}

/* --- the weight file, watched ------------------------------------------------------------------ */

static void free_weights(struct wp_grace_item *g)
{
    lb_weights_free((struct lb_weights *)g);
}

static void on_timer(struct wp_timer *t)
{
    struct loadbalance *p = (struct loadbalance *)((char *)t - offsetof(struct loadbalance, timer));
    struct lb_weights *w = NULL, *old;
    uint64_t digest;
    char why[256];

    if (lb_weights_read(p->file, &w, &digest, why) < 0) {
        wp_log(WP_ERROR, "loadbalance", "Failed to reload weight file %s: %s", p->file, why);
    } else if (digest == p->digest) {
        lb_weights_free(w);
    } else {
        p->digest = digest;
        old = atomic_exchange(&p->weights, w);
        if (old != NULL)
            wp_grace_retire(&old->grace, free_weights);
        wp_log(WP_INFO, "loadbalance", "Successfully reloaded weight file %s", p->file);
    }
    wp_timer_set(p->env->admin, t, wp_loop_now(p->env->admin) + (uint64_t)p->reload_ns);
}

static void arm(void *arg, struct wp_loop *loop)
{
    struct loadbalance *p = arg;

    p->timer.fn = on_timer;
    wp_timer_set(loop, &p->timer, wp_loop_now(loop) + (uint64_t)p->reload_ns);
}

static void disarm(void *arg, struct wp_loop *loop)
{
    (void)loop;
    wp_timer_cancel(&((struct loadbalance *)arg)->timer);
}

static int loadbalance_start(void *self, struct wp_env *env)
{
    struct loadbalance *p = self;

    p->env = env;
    if (p->file != NULL && p->reload_ns > 0)
        wp_loop_call(env->admin, arm, p);
    return 0;
}

static void loadbalance_stop(void *self)
{
    struct loadbalance *p = self;

    if (p->env != NULL && p->file != NULL)
        wp_loop_call(p->env->admin, disarm, p);
    lb_weights_free(atomic_load(&p->weights));
}

/* --- questions ------------------------------------------------------------------------------- */

static int loadbalance_serve(void *self, struct wp_query *q)
{
    const struct loadbalance *p = self;
    uint16_t t = q->msg.qtype;

    if (t == WP_TYPE_AXFR || t == WP_TYPE_IXFR)
        return WP_STEP_NEXT;
    if (p->file == NULL || p->n_prefer > 0 || t == WP_TYPE_A || t == WP_TYPE_AAAA || t == WP_TYPE_SRV)
        wp_query_want_reply(q);
    return WP_STEP_NEXT;
}

static int reorder(const struct loadbalance *p, struct wp_query *q)
{
    bool weighted = p->file != NULL;
    uint16_t t = q->msg.qtype;
    bool drawn = !weighted || t == WP_TYPE_A || t == WP_TYPE_AAAA || t == WP_TYPE_SRV;
    struct wp_view v;
    size_t at = 0;
    int r = wp_reply_view(q, &v);

    if (r < 0)
        return r;
    for (unsigned s = 0; s < WP_SECTIONS; at += q->reply.count[s], s++) {
        if (drawn && (!weighted || s != WP_AUTHORITY))
            lb_order(p, v.rr + at, q->reply.count[s], weighted);
        if (p->n_prefer > 0 && s != WP_AUTHORITY)
            lb_prefer(p, v.rr + at, q->reply.count[s]);
    }
    return wp_reply_rebuild(q, &v);
}

static int loadbalance_reply(void *self, struct wp_query *q)
{
    const struct loadbalance *p = self;

    if (!q->reply.begun || q->reply.rcode != WP_RCODE_NOERROR ||
        (q->reply.count[0] < 2 && q->reply.count[1] < 2 && q->reply.count[2] < 2))
        return WP_STEP_NEXT;
    if (p->file == NULL && p->n_prefer == 0 && lb_shuffle_wire(q))
        return WP_STEP_NEXT;
    return reorder(p, q);
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_policy, .help = "[round_robin | weighted FILE]"},
    {.name = "prefer", .kind = WP_OPT_CALL, .parse = parse_prefer, .help = "CIDR...: addresses to put first"},
    {.name = "reload", .kind = WP_OPT_CALL, .parse = parse_reload, .help = "how often the weight file is read"},
    {.name = "*", .kind = WP_OPT_CALL, .parse = unknown},
    {0},
};

const struct wp_plugin wp_plugin_loadbalance = {
    .name = "loadbalance",
    .size = sizeof(struct loadbalance),
    .options = options,
    .repeat = WP_REPEAT_LAST,
    .check = loadbalance_check,
    .start = loadbalance_start,
    .serve = loadbalance_serve,
    .reply = loadbalance_reply,
    .stop = loadbalance_stop,
};
