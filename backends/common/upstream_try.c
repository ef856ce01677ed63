/* Tries and what is counted of them: what is the same whatever they go over. */
#include "backends/common/upstream_priv.h"

#include "backends/common/state.h"

#include <errno.h>
#include <stdio.h>

#include "waypost/dns/types.h"
#include "waypost/plugin/metric.h"

/* --- metrics ------------------------------------------------------------------------------- */

static const struct wp_family duration_family = {
    .name = "coredns_proxy_request_duration_seconds",
    .help = "Histogram of the time each request took.",
    .kind = WP_HISTOGRAM,
    .labels = {"proxy_name", "to", "rcode"},
    .buckets = wp_time_buckets,
    .n_buckets = 16,
};
static const struct wp_family failures_family = {
    .name = "coredns_proxy_healthcheck_failures_total",
    .help = "Counter of the number of failed healthchecks.",
    .kind = WP_COUNTER,
    .labels = {"proxy_name", "to"},
};
static const struct wp_family hits_family = {
    .name = "coredns_proxy_conn_cache_hits_total",
    .help = "Counter of connection cache hits per upstream and protocol.",
    .kind = WP_COUNTER,
    .labels = {"proxy_name", "to", "proto"},
};
static const struct wp_family misses_family = {
    .name = "coredns_proxy_conn_cache_misses_total",
    .help = "Counter of connection cache misses per upstream and protocol.",
    .kind = WP_COUNTER,
    .labels = {"proxy_name", "to", "proto"},
};

static struct wp_series *duration_series(struct wp_upstream *u, uint16_t rcode)
{
    char buf[16];
    const char *v[] = {u->profile->asker, u->text, wp_rcode_text(rcode, buf)};
    struct wp_series *s;

    if (rcode >= WP_UP_RCODES)
        return wp_metric_series(&duration_family, v);
    s = atomic_load_explicit(&u->duration[rcode], memory_order_acquire);
    if (s == NULL) {
        s = wp_metric_series(&duration_family, v);
        atomic_store_explicit(&u->duration[rcode], s, memory_order_release);
    }
    return s;
}

void wp_up_make_series(struct wp_upstream *u)
{
    static const char *const proto[WP_UP_PROTOS] = {"udp", "tcp", "tcp-tls"};
    const char *v[] = {u->profile->asker, u->text, NULL};
    bool dns = u->kind == WP_UPSTREAM_DNS;

    u->failures = wp_metric_series(&failures_family, v);
    for (int p = 0; p < WP_UP_PROTOS; p++) {
        if (wp_up_is_h2(u) || dns == (p == WP_UP_TLS))
            continue;
        v[2] = proto[p];
        u->hits[p] = wp_metric_series(&hits_family, v);
        u->misses[p] = wp_metric_series(&misses_family, v);
    }
}

/* --- tries ----------------------------------------------------------------------------- */

void wp_up_try_link(struct wp_up_try **bucket, struct wp_up_try *x)
{
    x->next = *bucket;
    x->prev = bucket;
    if (x->next != NULL)
        x->next->prev = &x->next;
    *bucket = x;
}

void wp_up_try_unlink(struct wp_up_try *x)
{
    if (x->prev == NULL)
        return;
    *x->prev = x->next;
    if (x->next != NULL)
        x->next->prev = x->prev;
    x->next = NULL;
    x->prev = NULL;
}

static bool over_udp(const struct wp_up_try *x)
{
    return x->up->kind == WP_UPSTREAM_DNS && !x->tcp;
}

int wp_upstream_ask(struct wp_upstream *u, struct wp_loop *loop, struct wp_up_try *x,
                    const char **ret_why)
{
    struct wp_up_local *l = wp_up_local_of(u, loop);
    int r;

    if (l == NULL) {
        *ret_why = "out of memory";
        return -ENOMEM;
    }
    x->up = u;
    x->loop = loop;
    x->asked_ns = wp_loop_now(loop);
    x->send_error = 0;
    x->other.verdict = WP_REPLY_NOT_ONE;
    r = over_udp(x) ? wp_up_udp_ask(l, x, ret_why) : wp_up_conn_ask(l, x, ret_why);
    if (r < 0)
        x->state = WP_TRY_IDLE;
    return r;
}

static void detach(struct wp_up_try *x)
{
    wp_timer_cancel(&x->timer);
    if (over_udp(x))
        wp_up_udp_cancel(x);
    else
        wp_up_conn_cancel(x);
    x->state = WP_TRY_IDLE;
}

void wp_upstream_cancel(struct wp_up_try *x)
{
    if (x->state != WP_TRY_IDLE)
        detach(x);
}

/* Each reply counts an eighth. Loops that write at once lose one of the two: it is only to look at. */
static void note_reply(struct wp_upstream *u, uint64_t took_ns)
{
    int64_t was = atomic_load_explicit(&u->reply_avg_ns, memory_order_relaxed);
    int64_t now = was == 0 ? (int64_t)took_ns : was + ((int64_t)took_ns - was) / 8;

    atomic_store_explicit(&u->reply_avg_ns, now > 0 ? now : 1, memory_order_relaxed);
}

static void note_fault(struct wp_upstream *u, const struct wp_outcome *o)
{
    atomic_fetch_add_explicit(&u->n_failed, 1, memory_order_relaxed);
    pthread_mutex_lock(&u->fault_lock);
    snprintf(u->fault, sizeof(u->fault), "%s", o->why != NULL ? o->why : wp_strerror(o->err));
    u->fault_ms = wp_state_clock_ms();
    pthread_mutex_unlock(&u->fault_lock);
}

void wp_up_try_end(struct wp_up_try *x, const struct wp_outcome *o)
{
    int index = wp_loop_index(x->loop);

    detach(x);
    if (o->err != 0 && !o->again)
        note_fault(x->up, o);
    if (o->err == 0 && index < x->up->set->n_loops - 1) { /* health checks are not requests */
        uint64_t took_ns = wp_loop_now(x->loop) - x->asked_ns;

        wp_metric_observe(duration_series(x->up, o->look.rcode), index, (double)took_ns / 1e9);
        note_reply(x->up, took_ns);
    }
    x->done(x, o);
}

void wp_up_try_fail(struct wp_up_try *x, int err, const char *why)
{
    wp_up_try_end(x, &(struct wp_outcome){.err = err, .why = why});
}
