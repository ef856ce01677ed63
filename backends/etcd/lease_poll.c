/* Asking etcd what is left of leases: never for a question, a few at a time, new ones first. */
#include "backends/etcd/mirror_priv.h"

enum {
    ASK_EVERY_US = 2000, /* 500 a second, */
    ASK_LATE_US = 10000, /* made up for when the timer is late */
    REFUSED_S = 30,
    RENEWING_MS = 250,
    AGAIN_MIN_S = 1,
    AGAIN_MAX_S = 30,
    AGAIN_SOON_MS = 300,
    AWAY_MS = 1000,
};

/* In a third of the whole time, and when less is left a second before the end. */
static uint64_t again_in_ns(int64_t granted_s, int64_t left_s)
{
    int64_t s = granted_s / 3;

    s = s < AGAIN_MIN_S ? AGAIN_MIN_S : s > AGAIN_MAX_S ? AGAIN_MAX_S : s;
    if (left_s >= 0 && left_s < s)
        return left_s > 0 ? wp_etcd_ms(1000 * (uint64_t)left_s) : wp_etcd_ms(AGAIN_SOON_MS);
    return wp_etcd_ms(1000 * (uint64_t)s);
}

/* Whole seconds are left, rounded down: the end may be up to one later. */
static void take(struct wp_etcd_mirror *m, struct wp_etcd_lease *lease,
                 const Etcd__LeaseTimeToLiveResponse *r)
{
    uint64_t now = m->g->now(), ends = WP_ETCD_LEASE_GONE, again;

    if (r->ttl >= 0) {
        uint64_t left_s = (uint64_t)r->ttl > UINT32_MAX ? UINT32_MAX : (uint64_t)r->ttl;
        ends = now + wp_etcd_ms(1000 * left_s);
    }
    if (ends != WP_ETCD_LEASE_GONE)
        wp_etcd_keep_aged(m);
    lease->granted_s = r->granted_ttl > INT32_MAX ? INT32_MAX : (int32_t)r->granted_ttl;
    atomic_store_explicit(&lease->ends, ends, memory_order_relaxed);
    again = again_in_ns(lease->granted_s, r->ttl);
    if (lease->lapsed && r->ttl > 0 && !wp_etcd_lapse_undo(m, lease))
        again = wp_etcd_ms(AGAIN_SOON_MS);
    wp_etcd_lease_queue(m, lease, WP_ETCD_QUEUE_ASK, now + again);
    wp_etcd_lapse_at(m, lease, ends == WP_ETCD_LEASE_GONE ? now : ends + wp_etcd_ms(1000));
}

/* Not said by etcd, or not by a cluster that is whole. */
static bool is_away(int status)
{
    return status == WP_GRPC_UNAVAILABLE || status == WP_GRPC_DEADLINE_EXCEEDED ||
           status == WP_GRPC_CANCELLED;
}

/* An estimate from before goes on; etcd deletes what is over. */
static void refused(struct wp_etcd_mirror *m, struct wp_etcd_lease *lease)
{
    uint64_t unknown = WP_ETCD_LEASE_UNKNOWN;
    unsigned again_s = REFUSED_S;

    atomic_compare_exchange_strong(&lease->ends, &unknown, WP_ETCD_LEASE_REFUSED);
    wp_etcd_lease_unqueue(m, lease, WP_ETCD_QUEUE_LAPSE);
    if (lease->lapsed && !wp_etcd_lapse_undo(m, lease))
        again_s = 1;
    wp_etcd_lease_queue(m, lease, WP_ETCD_QUEUE_ASK, m->g->now() + wp_etcd_ms(1000 * again_s));
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
    if (!is_away(status))
        wp_etcd_lapse_heard(m);
    if (lease != NULL && r != NULL)
        take(m, lease, r);
    else if (lease != NULL && renewing)
        wp_etcd_lease_queue(m, lease, WP_ETCD_QUEUE_ASK, m->g->now() + wp_etcd_ms(RENEWING_MS));
    else if (lease != NULL && is_away(status))
        wp_etcd_lease_queue(m, lease, WP_ETCD_QUEUE_ASK, m->g->now() + wp_etcd_ms(AWAY_MS));
    else if (lease != NULL)
        refused(m, lease);
    if (r == NULL && !renewing && !is_away(status) && !m->leases.refused_logged) {
        m->leases.refused_logged = true;
        wp_log(WP_WARNING, "etcd",
               "%s: cannot ask what is left of leases (%s: %s): their keys have their own TTL or "
               "the default",
               wp_etcd_endpoint_text(m), wp_etcd_status_text(status), message);
    }
    wp_etcd_lease_poll(m);
}

/* The lease is taken out of the queue until the answer comes. */
static void ask(struct wp_etcd_mirror *m, struct wp_etcd_lease_question *q,
                struct wp_etcd_lease *lease)
{
    Etcd__LeaseTimeToLiveRequest request = ETCD__LEASE_TIME_TO_LIVE_REQUEST__INIT;

    q->m = m;
    q->id = request.id = lease->id;
    q->call = wp_etcd_request_beside(m, "/etcdserverpb.Lease/LeaseTimeToLive", &request.base,
                                     WP_ETCD_CALL_MS, answered, q);
    if (q->call == NULL) { /* no memory */
        wp_etcd_lease_queue(m, lease, WP_ETCD_QUEUE_ASK,
                            m->g->now() + wp_etcd_ms(1000 * REFUSED_S));
        return;
    }
    wp_etcd_lease_unqueue(m, lease, WP_ETCD_QUEUE_ASK);
    wp_metric_add(m->stats.lease_queries, WP_METRIC_SHARED, 1);
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

/* Of those that are due the first. What is out of sight waits for no rate: the few calls at a time
 * are limit enough. */
static struct wp_etcd_lease *next_due(struct wp_etcd_mirror *m, uint64_t now, uint64_t *ret_wake)
{
    struct wp_etcd_lease *lease = wp_etcd_lease_first(m, WP_ETCD_QUEUE_ASK);

    if (lease == NULL)
        return NULL;
    *ret_wake = lease->queued[WP_ETCD_QUEUE_ASK].when_ns;
    if (!lease->lapsed && *ret_wake < m->leases.next_ask_ns)
        *ret_wake = m->leases.next_ask_ns;
    return *ret_wake <= now ? lease : NULL;
}

void wp_etcd_lease_poll(struct wp_etcd_mirror *m)
{
    struct wp_etcd_leases *l = &m->leases;
    struct wp_etcd_lease_question *q;
    struct wp_etcd_lease *lease;
    uint64_t now = m->g->now(), wake = 0;

    if (m->channel == NULL)
        return;
    while ((q = free_question(l)) != NULL && (lease = next_due(m, now, &wake)) != NULL) {
        ask(m, q, lease);
        if (l->next_ask_ns + ASK_LATE_US * 1000u < now)
            l->next_ask_ns = now - ASK_LATE_US * 1000u;
        l->next_ask_ns += ASK_EVERY_US * 1000u;
    }
    if (wp_etcd_lease_first(m, WP_ETCD_QUEUE_ASK) == NULL || q == NULL)
        return; /* the next answer comes back here */
    l->timer.fn = on_timer;
    m->g->timer_set(&l->timer, wake);
}

void wp_etcd_lease_probe(struct wp_etcd_mirror *m)
{
    struct wp_etcd_lease *lease = wp_etcd_lease_first(m, WP_ETCD_QUEUE_LAPSE);

    if (m->channel == NULL || lease == NULL)
        return;
    for (unsigned i = 0; i < WP_ETCD_ASKING_MAX; i++)
        if (m->leases.questions[i].call != NULL)
            return;
    ask(m, &m->leases.questions[0], lease);
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
            wp_etcd_lease_queue(m, lease, WP_ETCD_QUEUE_ASK, 0);
    }
}
