/* Who wants which target probed, and when that is done. The table of targets and the news of groups
 * are behind one lock; all else belongs to the admin thread. */
#include "backends/common/health_probe.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/common/health_probe_priv.h"
#include "waypost/base/hash.h"
#include "waypost/base/random.h"
#include "waypost/plugin/metric.h"

enum { BUCKETS_MIN = 64, PUMP_NS = 10000000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    struct wp_probe_target **buckets;
    size_t n, mask;
} table; /* by the lock */

/* The admin thread's. */
static struct {
    struct wp_probe_target *ready, **last_ready; /* their time has come */
    unsigned flying, begun;                      /* begun: since the pump last ran by its timer */
    struct wp_timer pump;
    struct wp_series *results[WP_PROBE_RESULTS];
} now;

static const char *const result_texts[WP_PROBE_RESULTS] = {
    "ok", "refused", "unreachable", "timeout", "status", "reply", "local",
};

static const struct wp_family probes = {
    .name = "waypost_health_probes_total",
    .help = "Health probes of endpoints, by result.",
    .kind = WP_COUNTER,
    .labels = {"result", NULL},
};

const char *wp_probe_result_text(enum wp_probe_result r)
{
    return result_texts[r];
}

const char *wp_probe_spec_text(const struct wp_probe_spec *s, char buf[WP_PROBE_TEXT_MAX])
{
    char addr[WP_ADDR_TEXT_MAX];

    snprintf(buf, WP_PROBE_TEXT_MAX, "%s://%s%.*s", s->kind == WP_PROBE_TCP ? "tcp" : "http",
             wp_addr_text(&s->to, addr), (int)s->path_len, s->path_len > 0 ? s->path : "");
    return buf;
}

void wp_probe_spec_of(const struct wp_probe *p, struct wp_probe_spec *ret)
{
    *ret = p->target->spec;
}

/* --- verdicts ----------------------------------------------------------------------------------
 */

/* By the lock. */
static void add_news(struct wp_probe *p)
{
    struct wp_probe_group *g = p->group;

    if (p->news != NULL)
        return;
    if (g->news == NULL)
        g->last_news = &g->news;
    if (!g->woken)
        g->wake(g);
    g->woken = true;
    p->next_news = NULL;
    p->news = g->last_news;
    *p->news = p;
    g->last_news = &p->next_news;
}

/* By the lock. */
static void remove_news(struct wp_probe *p)
{
    if (p->news == NULL)
        return;
    *p->news = p->next_news;
    if (p->next_news != NULL)
        p->next_news->news = p->news;
    else
        p->group->last_news = p->news;
    p->news = NULL;
}

struct wp_probe *wp_probe_take(struct wp_probe_group *g)
{
    struct wp_probe *p;

    pthread_mutex_lock(&lock);
    p = g->news;
    if (p != NULL) {
        remove_news(p);
        p->verdict = p->target->verdict;
        p->why = p->target->why;
    } else {
        g->woken = false;
    }
    pthread_mutex_unlock(&lock);
    return p;
}

static void judge(struct wp_probe_target *t, enum wp_probe_result r)
{
    enum wp_probe_verdict verdict;

    if (r == WP_PROBE_LOCAL)
        return;
    t->failed = r == WP_PROBE_OK ? 0 : t->failed + 1;
    pthread_mutex_lock(&lock);
    verdict = r == WP_PROBE_OK              ? WP_PROBE_UP
              : t->failed >= t->terms.fails ? WP_PROBE_DOWN
                                            : t->verdict;
    if (r != WP_PROBE_OK)
        t->why = r;
    if (verdict != t->verdict) {
        t->verdict = verdict;
        for (struct wp_probe *p = t->uses; p != NULL; p = p->next)
            add_news(p);
    }
    pthread_mutex_unlock(&lock);
}

/* --- when: the admin thread ------------------------------------------------------------------- */

static void pump(struct wp_loop *loop);

static void on_pump(struct wp_timer *t)
{
    (void)t;
    now.begun = 0;
    pump(now.ready != NULL ? now.ready->loop : NULL);
}

static void set_pump(struct wp_loop *loop)
{
    now.pump.fn = on_pump;
    if (!wp_timer_is_set(&now.pump))
        wp_timer_set(loop, &now.pump, wp_loop_clock(loop) + PUMP_NS);
}

static struct wp_probe_terms terms_of(const struct wp_probe_target *t)
{
    struct wp_probe_terms terms;

    pthread_mutex_lock(&lock);
    terms = t->terms;
    pthread_mutex_unlock(&lock);
    return terms;
}

/* Those whose time has come, in turn, as many as may be. */
static void pump(struct wp_loop *loop)
{
    while (now.ready != NULL && now.flying < WP_PROBE_FLYING_MAX &&
           now.begun < WP_PROBE_BEGUN_PER_10MS) {
        struct wp_probe_target *t = now.ready;
        now.ready = t->next_ready;
        t->is_ready = false;
        if (t->over) {
            free(t);
            continue;
        }
        now.begun++;
        now.flying++;
        t->began_ns = wp_loop_clock(t->loop);
        wp_probe_start(t, terms_of(t).timeout_ns);
    }
    if (now.begun > 0 || (now.ready != NULL && now.flying < WP_PROBE_FLYING_MAX))
        set_pump(loop);
}

static void on_time(struct wp_timer *timer)
{
    struct wp_probe_target *t =
        (struct wp_probe_target *)(void *)((char *)timer - offsetof(struct wp_probe_target, timer));

    if (now.ready == NULL)
        now.last_ready = &now.ready;
    t->next_ready = NULL;
    t->is_ready = true;
    *now.last_ready = t;
    now.last_ready = &t->next_ready;
    if (!wp_timer_is_set(&now.pump))
        pump(t->loop);
}

/* Never later than the interval after the last one began, so that a verdict takes no longer than
 * the terms say; a little earlier, so that what began together does not stay so. */
static void probe_later(struct wp_probe_target *t, bool is_first)
{
    uint64_t interval = terms_of(t).interval_ns, clock = wp_loop_clock(t->loop);
    uint64_t part = interval / (is_first ? 1 : 10), due;

    due = (is_first ? clock : t->began_ns + interval - part) + wp_random() % (part + 1);
    t->timer.fn = on_time;
    wp_timer_set(t->loop, &t->timer, due > clock ? due : clock);
}

void wp_probe_done(struct wp_probe_target *t, enum wp_probe_result r)
{
    now.flying--;
    if (now.results[r] == NULL)
        now.results[r] = wp_metric_series(&probes, (const char *const[]){result_texts[r]});
    wp_metric_add(now.results[r], WP_METRIC_SHARED, 1);
    judge(t, r);
    probe_later(t, false);
    if (now.ready != NULL)
        set_pump(t->loop);
}

static void begin(struct wp_mail *mail)
{
    struct wp_probe_target *t =
        (struct wp_probe_target *)(void *)((char *)mail - offsetof(struct wp_probe_target, begin));

    probe_later(t, true);
}

static void end(struct wp_mail *mail)
{
    struct wp_probe_target *t =
        (struct wp_probe_target *)(void *)((char *)mail - offsetof(struct wp_probe_target, end));

    wp_timer_cancel(&t->timer);
    now.flying -= t->io.fd >= 0;
    wp_probe_stop(t);
    t->over = true;
    if (!t->is_ready)
        free(t);
    else if (now.flying < WP_PROBE_FLYING_MAX)
        set_pump(t->loop);
}

static void nothing(void *arg, struct wp_loop *loop)
{
    (void)arg;
    /* what is ready but over is freed by the pump: at once, when nothing else is there */
    now.begun = 0;
    pump(loop);
}

void wp_probe_settle(struct wp_loop *loop)
{
    wp_loop_call(loop, nothing, NULL);
}

/* --- who ----------------------------------------------------------------------------------------
 */

static uint64_t hash_of(const struct wp_probe_spec *s)
{
    uint64_t h = wp_hash_bytes(s->to.ip, sizeof(s->to.ip));

    h = wp_hash_mix(h,
                    (uint64_t)s->to.port << 16 | (uint64_t)s->to.family << 8 | (uint64_t)s->kind);
    return s->path_len > 0 ? wp_hash_mix(h, wp_hash_bytes(s->path, s->path_len)) : h;
}

static bool is_same(const struct wp_probe_spec *a, const struct wp_probe_spec *b)
{
    return a->kind == b->kind && wp_addr_equal(&a->to, &b->to) && a->path_len == b->path_len &&
           (a->path_len == 0 || memcmp(a->path, b->path, a->path_len) == 0);
}

static int grow(void)
{
    size_t n = table.buckets == NULL ? BUCKETS_MIN : 2 * (table.mask + 1);
    struct wp_probe_target **buckets;

    if (table.buckets != NULL && table.n <= table.mask)
        return 0;
    buckets = calloc(n, sizeof(struct wp_probe_target *));
    if (buckets == NULL)
        return -ENOMEM;
    for (size_t i = 0; table.buckets != NULL && i <= table.mask; i++) {
        for (struct wp_probe_target *t = table.buckets[i], *next; t != NULL; t = next) {
            next = t->next;
            t->next = buckets[t->hash & (n - 1)];
            buckets[t->hash & (n - 1)] = t;
        }
    }
    free(table.buckets);
    table.buckets = buckets;
    table.mask = n - 1;
    return 0;
}

static struct wp_probe_target *find(const struct wp_probe_spec *s, uint64_t hash)
{
    struct wp_probe_target *t = table.n > 0 ? table.buckets[hash & table.mask] : NULL;

    while (t != NULL && (t->hash != hash || !is_same(&t->spec, s)))
        t = t->next;
    return t;
}

static struct wp_probe_target *target_new(const struct wp_probe_group *g,
                                          const struct wp_probe_spec *s, uint64_t hash)
{
    struct wp_probe_target *t = grow() == 0 ? calloc(1, sizeof(*t) + s->path_len + 1) : NULL;

    if (t == NULL)
        return NULL;
    if (s->path_len > 0)
        memcpy(t->path, s->path, s->path_len);
    t->spec = *s;
    t->spec.path = t->path;
    t->terms = g->terms;
    t->hash = hash;
    t->loop = g->loop;
    t->io.fd = -1;
    t->begin.fn = begin;
    t->end.fn = end;
    t->next = table.buckets[hash & table.mask];
    table.buckets[hash & table.mask] = t;
    table.n++;
    wp_loop_post(t->loop, &t->begin);
    return t;
}

/* By the lock; nobody uses it. */
static void target_end(struct wp_probe_target *t)
{
    struct wp_probe_target **at = &table.buckets[t->hash & table.mask];

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    table.n--;
    if (table.n == 0) {
        free(table.buckets);
        table.buckets = NULL;
        table.mask = 0;
    }
    wp_loop_post(t->loop, &t->end);
}

static struct wp_probe *use_of(const struct wp_probe_target *t, const struct wp_probe_group *g)
{
    struct wp_probe *p = t->uses;

    while (p != NULL && p->group != g)
        p = p->next;
    return p;
}

static void shorten(struct wp_probe_terms *t, const struct wp_probe_terms *by)
{
    t->interval_ns = by->interval_ns < t->interval_ns ? by->interval_ns : t->interval_ns;
    t->timeout_ns = by->timeout_ns < t->timeout_ns ? by->timeout_ns : t->timeout_ns;
    t->fails = by->fails < t->fails ? by->fails : t->fails;
}

/* By the lock. */
static int join(struct wp_probe_group *g, const struct wp_probe_spec *s, struct wp_probe **ret)
{
    uint64_t hash = hash_of(s);
    struct wp_probe_target *t = find(s, hash);
    struct wp_probe *p = t != NULL ? use_of(t, g) : NULL;

    *ret = p;
    if (p != NULL) {
        p->refs++;
        return 0;
    }
    if (t == NULL && table.n >= WP_PROBE_TARGETS_MAX)
        return WP_ELIMIT;
    p = calloc(1, g->size);
    if (p == NULL)
        return -ENOMEM;
    if (t == NULL)
        t = target_new(g, s, hash);
    if (t == NULL) {
        free(p);
        return -ENOMEM;
    }
    shorten(&t->terms, &g->terms);
    p->group = g;
    p->target = t;
    p->refs = 1;
    p->verdict = t->verdict;
    p->why = t->why;
    p->next = t->uses;
    t->uses = p;
    *ret = p;
    return 0;
}

int wp_probe_join(struct wp_probe_group *g, const struct wp_probe_spec *s, struct wp_probe **ret)
{
    int r;

    pthread_mutex_lock(&lock);
    r = join(g, s, ret);
    pthread_mutex_unlock(&lock);
    return r;
}

void wp_probe_leave(struct wp_probe *p)
{
    struct wp_probe **at;

    if (--p->refs > 0)
        return;
    pthread_mutex_lock(&lock);
    remove_news(p);
    at = &p->target->uses;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    if (p->target->uses == NULL)
        target_end(p->target);
    pthread_mutex_unlock(&lock);
    free(p);
}
