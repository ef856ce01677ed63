/* Endpoints of a mirror from DNS: looked up at the start, when their time is over, and while there
 * is no member; on a thread that lives as long as that takes, for resolvers take their time. What
 * is known stays until there is something better. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/etcd/discover.h"
#include "backends/etcd/mirror_priv.h"

enum {
    TTL_LEAST_S = 5,
    TTL_MOST_S = 3600,
    AWAY_S = 5,     /* while there is no member, */
    FAILED_S = 30,  /* and after a failure while there is one */
    STACK = 512 << 10,
};

/* One look-up. The thread cannot be stopped: whoever comes last frees it. */
struct wp_etcd_lookup_job {
    struct wp_grpc_post post;
    pthread_mutex_t lock;
    struct wp_etcd_mirror *m; /* by lock; NULL: nobody waits any more */
    const struct wp_grpc_ops *g;
    char domain[WP_ETCD_HOST_MAX + 2], name[WP_ETCD_HOST_MAX];
    bool has_name, only_secure;
    int r;
    struct wp_etcd_found found;
    char why[256];
};

static void set_timer(struct wp_etcd_mirror *m, uint64_t s);

/* --- what was found ----------------------------------------------------------------------------- */

static uint64_t random_of(void *arg)
{
    return wp_etcd_random(arg);
}

static bool is_listed(const struct wp_etcd_mirror *m, unsigned n, const char *text)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(m->src.endpoints[i].text, text) == 0)
            return true;
    return false;
}

static void text_of(const struct wp_etcd_found *f, unsigned i, char out[WP_ETCD_SPOT_MAX])
{
    snprintf(out, WP_ETCD_SPOT_MAX, "%s://%s:%u", f->secure ? "https" : "http", f->one[i].host,
             f->one[i].port);
}

static bool is_same(const struct wp_etcd_mirror *m, const struct wp_etcd_found *f)
{
    char text[WP_ETCD_SPOT_MAX];

    for (unsigned i = 0; i < f->n; i++) {
        text_of(f, i, text);
        if (!is_listed(m, m->src.n_endpoints, text))
            return false;
    }
    return f->n == m->src.n_endpoints;
}

static void tell(struct wp_etcd_mirror *m)
{
    char list[1024] = "";
    size_t n = 0;

    for (unsigned i = 0; i < m->src.n_endpoints && n < sizeof(list); i++)
        n += (size_t)snprintf(list + n, sizeof(list) - n, " %s", m->src.endpoints[i].text);
    wp_log(WP_INFO, "etcd", "%s: endpoints from DNS:%s", m->name, list);
}

/* The list is another one. The endpoint at hand stays in a place behind it while it is needed. */
static void take_over(struct wp_etcd_mirror *m, const struct wp_etcd_found *f)
{
    struct wp_etcd_spot *places = m->discover.places;
    struct wp_etcd_spot here = places[m->at];
    bool was_connected = m->connected;

    wp_etcd_scout_stop(m);
    for (unsigned i = 0; i < f->n; i++) {
        text_of(f, i, places[i].text);
        snprintf(places[i].target, WP_ETCD_SPOT_MAX, "dns:///%s:%u", f->one[i].host, f->one[i].port);
        places[i].priority = f->one[i].priority;
    }
    places[f->n] = here;
    m->src.n_endpoints = f->n;
    m->src.tls = f->secure;
    m->shunned = UINT_MAX;
    m->next_at = 0;
    memset(m->trouble, 0, (WP_ETCD_FOUND_MAX + 1) * sizeof(*m->trouble));
    wp_etcd_scout_resize(m);
    for (m->at = 0; m->at < f->n && strcmp(places[m->at].text, here.text) != 0;)
        m->at++;
    tell(m);
    wp_metric_set(m->discover.known, f->n);
    wp_etcd_facts_update(m);
    if (!was_connected)
        wp_etcd_step(m);
    else if (m->at == f->n)
        wp_etcd_life_moved(m);
    else if (m->life.doubt != WP_ETCD_SURE)
        wp_etcd_scout_begin(m);
}

/* --- looking up --------------------------------------------------------------------------------- */

static void job_free(struct wp_etcd_lookup_job *j)
{
    pthread_mutex_lock(&j->lock); /* whoever posted it has let go of it */
    pthread_mutex_unlock(&j->lock);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

static void failed(struct wp_etcd_mirror *m, const char *why)
{
    struct wp_etcd_discover *d = &m->discover;

    if (d->failures < 16)
        d->failures++;
    wp_metric_add(d->failed, WP_METRIC_SHARED, 1);
    if (strcmp(d->why, why) != 0 || wp_log_allow(&d->limit, 1, 60))
        wp_log(WP_WARNING, "etcd", "%s: %s: %s", m->name, why,
               m->src.n_endpoints > 0 ? "keeping the endpoints that are known" : "no endpoint is known");
    snprintf(d->why, sizeof(d->why), "%s", why);
    if (m->src.n_endpoints == 0)
        wp_etcd_round_failed(m);
    set_timer(m, m->connected && d->failures > 2 ? FAILED_S : AWAY_S);
}

static void on_result(struct wp_grpc_post *post)
{
    struct wp_etcd_lookup_job *j = (struct wp_etcd_lookup_job *)(void *)post; /* its first member */
    struct wp_etcd_mirror *m = j->m;
    struct wp_etcd_discover *d = m != NULL ? &m->discover : NULL;

    if (m == NULL) {
        job_free(j);
        return;
    }
    d->job = NULL;
    d->ended_ns = m->g->now();
    if (j->r < 0 || (m->src.tls && !j->found.secure)) {
        failed(m, j->r < 0 ? j->why : "DNS lists no endpoints with TLS any more");
    } else {
        uint32_t s = j->found.ttl_s;
        d->failures = 0;
        d->why[0] = '\0';
        wp_metric_add(d->done, WP_METRIC_SHARED, 1);
        s = s < TTL_LEAST_S ? TTL_LEAST_S : s > TTL_MOST_S ? TTL_MOST_S : s;
        set_timer(m, m->connected ? s : AWAY_S);
        d->due_ns = d->ended_ns + wp_etcd_ms((uint64_t)s * 1000);
        if (!is_same(m, &j->found)) {
            wp_etcd_found_order(&j->found, random_of, m);
            take_over(m, &j->found);
        }
    }
    job_free(j);
}

static void *run(void *arg)
{
    struct wp_etcd_lookup_job *j = arg;
    bool is_wanted;

    pthread_setname_np(pthread_self(), "wp-srv");
    j->r = wp_etcd_discover(j->domain, j->has_name ? j->name : NULL, j->only_secure, &j->found, j->why);
    j->post.fn = on_result;
    pthread_mutex_lock(&j->lock);
    is_wanted = j->m != NULL;
    if (is_wanted)
        j->g->post(&j->post); /* the engine lives: the mirror has not let go */
    pthread_mutex_unlock(&j->lock);
    if (!is_wanted)
        job_free(j);
    return NULL;
}

static int start_thread(struct wp_etcd_lookup_job *j)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    int e;

    pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    e = pthread_create(&thread, &attr, run, j);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return e;
}

static void look_up(struct wp_etcd_mirror *m)
{
    struct wp_etcd_lookup_job *j = m->discover.job == NULL ? calloc(1, sizeof(*j)) : NULL;

    if (m->discover.job != NULL)
        return; /* one at a time, however long it takes */
    if (j == NULL) {
        set_timer(m, AWAY_S);
        return;
    }
    pthread_mutex_init(&j->lock, NULL);
    j->m = m;
    j->g = m->g;
    snprintf(j->domain, sizeof(j->domain), "%s", m->src.discovery);
    j->has_name = m->src.discovery_name != NULL;
    snprintf(j->name, sizeof(j->name), "%s", j->has_name ? m->src.discovery_name : "");
    j->only_secure = m->src.discovery_secure;
    if (start_thread(j) != 0) {
        job_free(j);
        set_timer(m, AWAY_S);
        return;
    }
    m->discover.job = j;
    m->discover.wanted = false;
}

static void on_timer(struct wp_grpc_timer *t)
{
    struct wp_etcd_mirror *m =
        (struct wp_etcd_mirror *)(void *)((char *)t - offsetof(struct wp_etcd_mirror, discover.timer));

    look_up(m);
}

static void set_timer(struct wp_etcd_mirror *m, uint64_t s)
{
    uint64_t tenth = wp_etcd_ms(s * 100);

    m->discover.timer.fn = on_timer;
    m->g->timer_set(&m->discover.timer,
                    m->g->now() + 9 * tenth + wp_etcd_random(m) % (2 * tenth));
}

/* --- life --------------------------------------------------------------------------------------- */

int wp_etcd_discover_init(struct wp_etcd_mirror *m)
{
    struct wp_etcd_discover *d = &m->discover;
    unsigned n = WP_ETCD_FOUND_MAX + 1;
    struct wp_etcd_endpoint *e = wp_arena_array(&m->words, n, sizeof(*e));

    d->places = wp_arena_array(&m->words, n, sizeof(*d->places));
    m->trouble = wp_arena_array(&m->words, n, sizeof(*m->trouble));
    if (e == NULL || d->places == NULL || m->trouble == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++)
        e[i] = (struct wp_etcd_endpoint){.text = d->places[i].text, .target = d->places[i].target};
    m->src.endpoints = e;
    return 0;
}

void wp_etcd_discover_begin(struct wp_etcd_mirror *m)
{
    if (m->src.discovery != NULL)
        look_up(m);
}

void wp_etcd_discover_soon(struct wp_etcd_mirror *m)
{
    struct wp_etcd_discover *d = &m->discover;
    uint64_t least = wp_etcd_ms(AWAY_S * 1000);

    if (m->src.discovery == NULL || d->job != NULL)
        return;
    d->wanted = true;
    if (m->g->now() - d->ended_ns > least)
        look_up(m);
    else
        set_timer(m, AWAY_S);
}

void wp_etcd_discover_later(struct wp_etcd_mirror *m)
{
    struct wp_etcd_discover *d = &m->discover;

    if (m->src.discovery == NULL || d->job != NULL || d->wanted || d->failures > 0)
        return;
    d->timer.fn = on_timer;
    m->g->timer_set(&d->timer, d->due_ns);
}

void wp_etcd_discover_stop(struct wp_etcd_mirror *m)
{
    struct wp_etcd_lookup_job *j = m->discover.job;

    m->g->timer_cancel(&m->discover.timer);
    m->discover.job = NULL;
    if (j == NULL)
        return;
    pthread_mutex_lock(&j->lock);
    j->m = NULL; /* freed by the thread, or by what it has posted */
    pthread_mutex_unlock(&j->lock);
}
