/* Which records are checked, and what becomes of them: probes are made on the admin thread, their
 * verdicts are taken over here, on the engine's. */
#include "backends/etcd/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/etcd/mirror_priv.h"

enum {
    SLICE = 500, /* verdicts at a time */
    AGAIN_MS = 200,
    LINES = 20, /* about single targets, */
    LINES_S = 60,
};

static const struct wp_family up = {
    .name = "waypost_etcd_health_up",
    .help = "Whether an endpoint with a health check is well.",
    .kind = WP_GAUGE,
    .labels = {"source", "target", NULL},
};

static struct wp_etcd_mirror *mirror_of(struct wp_probe_group *g)
{
    struct wp_etcd_checks *c =
        (struct wp_etcd_checks *)(void *)((char *)g - offsetof(struct wp_etcd_checks, group));

    return (struct wp_etcd_mirror *)(void *)((char *)c - offsetof(struct wp_etcd_mirror, checks));
}

/* --- verdicts ------------------------------------------------------------------------------------
 */

static void count(struct wp_etcd_mirror *m, enum wp_probe_verdict v, size_t by)
{
    struct wp_etcd_checks *c = &m->checks;

    c->n[v] += by;
    wp_metric_set(c->targets[v], (double)c->n[v]);
}

/* Series stay for as long as the process does: only so many targets have one of their own. */
static void show_up(struct wp_etcd_mirror *m, struct wp_etcd_check *k)
{
    char text[WP_PROBE_TEXT_MAX];
    struct wp_probe_spec s;

    if (k->up == NULL && m->checks.n_series < WP_ETCD_HEALTH_SERIES_MAX) {
        wp_probe_spec_of(&k->probe, &s);
        k->up = wp_metric_series(&up, (const char *const[]){m->name, wp_probe_spec_text(&s, text)});
        m->checks.n_series++;
    }
    wp_metric_set(k->up, k->probe.verdict == WP_PROBE_UP);
}

static void tell(struct wp_etcd_mirror *m, const struct wp_etcd_check *k, size_t n)
{
    char text[WP_PROBE_TEXT_MAX];
    struct wp_probe_spec s;

    if (!wp_log_allow(&m->checks.limit, LINES, LINES_S))
        return;
    wp_probe_spec_of(&k->probe, &s);
    if (k->down)
        wp_log(WP_WARNING, "etcd", "%s: %s is not well (%s): %zu keys leave the answers", m->name,
               wp_probe_spec_text(&s, text), wp_probe_result_text(k->probe.why), n);
    else
        wp_log(WP_INFO, "etcd", "%s: %s is well again: %zu keys come back", m->name,
               wp_probe_spec_text(&s, text), n);
}

/* False: not now. */
static bool turn(struct wp_etcd_mirror *m, struct wp_etcd_check *k)
{
    size_t n = 0;

    if (wp_etcd_turn(m, &k->tied, WP_ETCD_TIED_CHECK, k->down, &n) < 0)
        return false;
    if (n > 0)
        tell(m, k, n);
    return true;
}

static void put_off(struct wp_etcd_mirror *m, struct wp_etcd_check *k)
{
    struct wp_etcd_checks *c = &m->checks;

    if (k->late == NULL) {
        k->next_late = c->late;
        if (c->late != NULL)
            c->late->late = &k->next_late;
        c->late = k;
        k->late = &c->late;
    }
    if (!c->timer.is_set)
        m->g->timer_set(&c->timer, m->g->now() + wp_etcd_ms(AGAIN_MS));
}

static void not_late(struct wp_etcd_check *k)
{
    if (k->late == NULL)
        return;
    *k->late = k->next_late;
    if (k->next_late != NULL)
        k->next_late->late = k->late;
    k->late = NULL;
}

static void take(struct wp_etcd_mirror *m, struct wp_etcd_check *k)
{
    count(m, k->counted, SIZE_MAX);
    k->counted = k->probe.verdict;
    count(m, k->counted, 1);
    show_up(m, k);
    k->down = k->probe.verdict == WP_PROBE_DOWN;
    not_late(k);
    if (!turn(m, k))
        put_off(m, k);
}

/* --- on the engine's thread ----------------------------------------------------------------------
 */

static void take_some(struct wp_etcd_mirror *m)
{
    struct wp_etcd_checks *c = &m->checks;
    struct wp_probe *p = NULL;

    for (unsigned i = 0; i < SLICE && (p = wp_probe_take(&c->group)) != NULL; i++)
        take(m, (struct wp_etcd_check *)(void *)p);
    wp_etcd_turn_show(m);
    if (p != NULL) /* there may be more, and nobody will say so */
        m->g->timer_set(&c->timer, m->g->now());
}

static void on_news(struct wp_grpc_post *post)
{
    struct wp_etcd_checks *c =
        (struct wp_etcd_checks *)(void *)((char *)post - offsetof(struct wp_etcd_checks, post));

    atomic_store(&c->posted, false);
    take_some(mirror_of(&c->group));
}

static void on_timer(struct wp_grpc_timer *t)
{
    struct wp_etcd_checks *c =
        (struct wp_etcd_checks *)(void *)((char *)t - offsetof(struct wp_etcd_checks, timer));
    struct wp_etcd_mirror *m = mirror_of(&c->group);
    struct wp_etcd_check *late = c->late;

    c->late = NULL;
    if (late != NULL)
        late->late = &late; /* a list of its own */
    while (late != NULL) {
        struct wp_etcd_check *k = late;
        not_late(k);
        if (!turn(m, k))
            put_off(m, k);
    }
    take_some(m);
}

/* The admin thread, by the probes' lock. */
static void wake(struct wp_probe_group *g)
{
    struct wp_etcd_mirror *m = mirror_of(g);

    if (!atomic_exchange(&m->checks.posted, true))
        m->g->post(&m->checks.post);
}

/* --- records ------------------------------------------------------------------------------------
 */

static void tell_bad(struct wp_etcd_mirror *m, const Etcd__KeyValue *kv,
                     const struct wp_etcd_flaw *flaw)
{
    if (wp_log_allow(&m->bad_limit, LINES, LINES_S))
        wp_log(WP_ERROR, "etcd",
               "malformed health of key %.*s (revision %lld) at octet %zu: %s: it is not checked",
               kv->key.len > 512 ? 512 : (int)kv->key.len, (const char *)kv->key.data,
               (long long)kv->mod_revision, flaw->offset, flaw->text);
}

int wp_etcd_check_get(struct wp_etcd_mirror *m, const Etcd__KeyValue *kv,
                      const struct wp_etcd_scratch *scratch, const struct wp_etcd_value *v,
                      struct wp_etcd_check **ret)
{
    struct wp_probe_spec spec;
    struct wp_etcd_flaw flaw;
    struct wp_probe *p;
    int r;

    *ret = NULL;
    if (!m->src.health)
        return 0;
    r = wp_etcd_health_read(scratch, v, &spec, &flaw);
    if (r == WP_EMALFORMED)
        tell_bad(m, kv, &flaw);
    if (r <= 0)
        return r == -ENOMEM ? r : 0;
    r = wp_probe_join(&m->checks.group, &spec, &p);
    if (r == WP_ELIMIT && wp_log_allow(&m->checks.limit, LINES, LINES_S))
        wp_log(WP_WARNING, "etcd",
               "%s: more than %d targets of health checks: key %.*s is not checked", m->name,
               WP_PROBE_TARGETS_MAX, kv->key.len > 512 ? 512 : (int)kv->key.len,
               (const char *)kv->key.data);
    if (r < 0)
        return r == WP_ELIMIT ? 0 : r;
    *ret = (struct wp_etcd_check *)(void *)p;
    if (p->refs == 1) { /* new; a verdict may be known */
        (*ret)->counted = p->verdict;
        (*ret)->down = p->verdict == WP_PROBE_DOWN;
        count(m, p->verdict, 1);
        if (p->verdict != WP_PROBE_UNKNOWN)
            show_up(m, *ret);
    }
    return 0;
}

void wp_etcd_check_put(struct wp_etcd_mirror *m, struct wp_etcd_check *k)
{
    char text[WP_PROBE_TEXT_MAX];
    struct wp_probe_spec s;

    if (k->probe.refs == 1) {
        wp_probe_spec_of(&k->probe, &s);
        if (k->up != NULL)
            wp_metric_drop(&up, (const char *const[]){m->name, wp_probe_spec_text(&s, text)});
        count(m, k->counted, SIZE_MAX);
        not_late(k);
    }
    wp_probe_leave(&k->probe);
}

/* --- beginning and end --------------------------------------------------------------------------
 */

static const struct wp_family targets = {
    .name = "waypost_etcd_health_targets",
    .help = "Endpoints with a health check, by state.",
    .kind = WP_GAUGE,
    .labels = {"source", "state", NULL},
};
static const char *const states[] = {"unknown", "up", "down"};

void wp_etcd_checks_init(struct wp_etcd_mirror *m)
{
    struct wp_etcd_checks *c = &m->checks;

    if (!m->src.health)
        return;
    c->group = (struct wp_probe_group){.loop = m->src.admin,
                                       .terms = m->src.terms,
                                       .size = sizeof(struct wp_etcd_check),
                                       .wake = wake};
    c->post.fn = on_news;
    c->timer.fn = on_timer;
    for (unsigned i = 0; i < WP_COUNT(states); i++)
        c->targets[i] = wp_metric_series(&targets, (const char *const[]){m->name, states[i]});
}

void wp_etcd_checks_done(struct wp_etcd_mirror *m)
{
    if (!m->src.health || m->name == NULL)
        return;
    for (unsigned i = 0; i < WP_COUNT(states); i++)
        wp_metric_drop(&targets, (const char *const[]){m->name, states[i]});
    wp_probe_settle(m->src.admin);
}

bool wp_etcd_checks_stop(struct wp_etcd_mirror *m)
{
    const struct wp_etcd_checks *c = &m->checks;

    if (!m->src.health || m->ranges != NULL || c->n[0] + c->n[1] + c->n[2] > 0)
        return true; /* others go on */
    m->g->timer_cancel(&m->checks.timer);
    return !atomic_load(&m->checks.posted);
}
