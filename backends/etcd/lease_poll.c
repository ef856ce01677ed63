/* Asking etcd what is left of leases: never for a question, a few at a time, new ones first. */
#include "backends/etcd/mirror_priv.h"

enum {
    ASK_EVERY_US = 2000, /* 500 a second */
    REFUSED_S = 30,
    RENEWING_MS = 250,
    AGAIN_MIN_S = 1,
    AGAIN_MAX_S = 30,
};

static uint64_t again_in_ns(int64_t granted_s)
{
    int64_t s = granted_s / 3;

    s = s < AGAIN_MIN_S ? AGAIN_MIN_S : s > AGAIN_MAX_S ? AGAIN_MAX_S : s;
    return wp_etcd_ms(1000 * (uint64_t)s);
}

static void take(struct wp_etcd_mirror *m, struct wp_etcd_lease *lease,
                 const Etcd__LeaseTimeToLiveResponse *r)
{
    uint64_t now = m->g->now(), ends = WP_ETCD_LEASE_GONE;

    if (r->ttl >= 0) {
        uint64_t left_s = (uint64_t)r->ttl > UINT32_MAX ? UINT32_MAX : (uint64_t)r->ttl;
        ends = now + wp_etcd_ms(1000 * left_s);
    }
    if (ends != WP_ETCD_LEASE_GONE)
        wp_etcd_keep_aged(m);
    lease->granted_s = r->granted_ttl > INT32_MAX ? INT32_MAX : (int32_t)r->granted_ttl;
    atomic_store_explicit(&lease->ends, ends, memory_order_relaxed);
    wp_etcd_lease_due(m, lease, now + again_in_ns(lease->granted_s));
}

/* An estimate from before goes on. */
static void refused(struct wp_etcd_mirror *m, struct wp_etcd_lease *lease)
{
    uint64_t unknown = WP_ETCD_LEASE_UNKNOWN;

    atomic_compare_exchange_strong(&lease->ends, &unknown, WP_ETCD_LEASE_REFUSED);
    wp_etcd_lease_due(m, lease, m->g->now() + wp_etcd_ms(1000 * REFUSED_S));
}

static void answered(void *arg, int status, const char *message, const uint8_t *data, size_t len)
{
    struct wp_etcd_lease_question *q = arg;
    struct wp_etcd_mirror *m = q->m;
    struct wp_etcd_lease *lease = wp_etcd_lease_find(m, q->id);
    const Etcd__LeaseTimeToLiveResponse *r = NULL;
    bool renewing = wp_etcd_is_token_refused(status, message) && wp_etcd_token_renew(m);

    q->call = NULL;
    if (status == WP_GRPC_OK)
        r = wp_etcd_unpack(m, &etcd__lease_time_to_live_response__descriptor, data, len);
    if (lease != NULL && r != NULL)
        take(m, lease, r);
    else if (lease != NULL && renewing)
        wp_etcd_lease_due(m, lease, m->g->now() + wp_etcd_ms(RENEWING_MS));
    else if (lease != NULL)
        refused(m, lease);
    if (r == NULL && !renewing && !m->leases.refused_logged) {
        m->leases.refused_logged = true;
        wp_log(WP_WARNING, "etcd",
               "%s: cannot ask what is left of leases (%s: %s): their keys have their own TTL or "
               "the default",
               wp_etcd_endpoint_text(m), wp_etcd_status_text(status), message);
    }
    wp_etcd_lease_poll(m);
}

/* False: no memory; the lease comes up again later. */
static bool ask(struct wp_etcd_mirror *m, struct wp_etcd_lease_question *q,
                struct wp_etcd_lease *lease)
{
    Etcd__LeaseTimeToLiveRequest request = ETCD__LEASE_TIME_TO_LIVE_REQUEST__INIT;

    q->m = m;
    q->id = request.id = lease->id;
    q->call = wp_etcd_request_beside(m, "/etcdserverpb.Lease/LeaseTimeToLive", &request.base,
                                     WP_ETCD_CALL_MS, answered, q);
    if (q->call == NULL)
        return false;
    wp_metric_add(m->stats.lease_queries, WP_METRIC_SHARED, 1);
    return true;
}

static void on_timer(struct wp_grpc_timer *t)
{
    struct wp_etcd_leases *l =
        (struct wp_etcd_leases *)(void *)((char *)t - offsetof(struct wp_etcd_leases, timer));

    wp_etcd_lease_poll(
        (struct wp_etcd_mirror *)(void *)((char *)l - offsetof(struct wp_etcd_mirror, leases)));
}

static struct wp_etcd_lease_question *free_question(struct wp_etcd_leases *l)
{
    for (unsigned i = 0; i < WP_ETCD_ASKING_MAX; i++)
        if (l->questions[i].call == NULL)
            return &l->questions[i];
    return NULL;
}

void wp_etcd_lease_poll(struct wp_etcd_mirror *m)
{
    struct wp_etcd_leases *l = &m->leases;
    struct wp_etcd_lease_question *q = free_question(l);
    uint64_t now = m->g->now(), wake;

    if (m->channel == NULL)
        return;
    while (q != NULL && now >= l->next_ask_ns) {
        struct wp_etcd_lease *lease = wp_etcd_lease_next_due(m, now);
        if (lease == NULL)
            break;
        if (!ask(m, q, lease))
            wp_etcd_lease_due(m, lease, now + wp_etcd_ms(1000 * REFUSED_S));
        l->next_ask_ns = now + ASK_EVERY_US * 1000u;
        q = free_question(l);
    }
    if (l->n_heap == 0 || q == NULL)
        return; /* the next answer comes back here */
    wake = l->heap[0]->due_ns > l->next_ask_ns ? l->heap[0]->due_ns : l->next_ask_ns;
    l->timer.fn = on_timer;
    m->g->timer_set(&l->timer, wake);
}

void wp_etcd_lease_poll_stop(struct wp_etcd_mirror *m)
{
    struct wp_etcd_leases *l = &m->leases;

    m->g->timer_cancel(&l->timer);
    for (unsigned i = 0; i < WP_ETCD_ASKING_MAX; i++) {
        struct wp_etcd_lease_question *q = &l->questions[i];
        struct wp_etcd_lease *lease = q->call != NULL ? wp_etcd_lease_find(m, q->id) : NULL;
        m->g->drop(q->call);
        q->call = NULL;
        if (lease != NULL)
            wp_etcd_lease_due(m, lease, 0);
    }
}
