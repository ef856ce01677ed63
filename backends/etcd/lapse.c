/* Leases that end while etcd is away. Nobody deletes their keys then, so the mirror does without
 * them by its own clock: they are kept, for the watch goes on where it was, but not shown. When
 * etcd is heard again its word counts: what is alive is shown again, what is not is deleted.
 *
 * While etcd is there nothing of that happens: it deletes what is over by itself, and a mirror that
 * is late with its questions about very many leases must not act on what it does not know. So near
 * the end of a lease etcd must have been silent for some ticks of this very thread, though it was
 * asked: ticks, not time, for a process that was stopped has not heard what was said meanwhile. */
#include "backends/etcd/mirror_priv.h"

enum {
    TICK_MS = 100,
    QUIET_TICKS = 5, /* that many without a word: etcd is away */
    BEFORE_MS = QUIET_TICKS * TICK_MS,
    RENEWED_MS = 3000, /* etcd was in step so long beyond the end: the lease was renewed */
    BUSY_MS = 200,
    TELL_MS = 1000,
    SLICE = 1000, /* leases at a time */
};

void wp_etcd_lapse_heard(struct wp_etcd_mirror *m)
{
    m->leases.lapse.quiet = 0;
    if (atomic_load(&m->lost_ns) == 0)
        m->leases.lapse.proof_ns = m->g->now();
}

/* --- what was done, and back --------------------------------------------------------------------
 */

/* One line for all of a while. */
static void tell(struct wp_grpc_timer *t)
{
    struct wp_etcd_leases *l =
        (struct wp_etcd_leases *)(void *)((char *)t - offsetof(struct wp_etcd_leases, lapse.tell));
    const struct wp_etcd_mirror *m =
        (struct wp_etcd_mirror *)(void *)((char *)l - offsetof(struct wp_etcd_mirror, leases));

    if (l->lapse.n_gone > 0)
        wp_log(WP_WARNING, "etcd",
               "%s: %zu keys are not answered any more: their lease has ended and etcd is away",
               m->name, l->lapse.n_gone);
    if (l->lapse.n_back > 0)
        wp_log(WP_INFO, "etcd", "%s: %zu keys are answered again: their lease was renewed", m->name,
               l->lapse.n_back);
    l->lapse.n_gone = l->lapse.n_back = 0;
}

static void show(struct wp_etcd_mirror *m)
{
    struct wp_etcd_lapse *p = &m->leases.lapse;

    wp_etcd_turn_show(m);
    p->tell.fn = tell;
    if (p->n_gone + p->n_back > 0 && !p->tell.is_set)
        m->g->timer_set(&p->tell, m->g->now() + wp_etcd_ms(TELL_MS));
}

static int turn(struct wp_etcd_mirror *m, struct wp_etcd_lease *lease, bool lapsed, size_t *n)
{
    int e = wp_etcd_turn(m, &lease->tied, WP_ETCD_TIED_LEASE, lapsed, n);

    if (e == 0)
        lease->lapsed = lapsed;
    return e;
}

bool wp_etcd_lapse_undo(struct wp_etcd_mirror *m, struct wp_etcd_lease *lease)
{
    bool whole = turn(m, lease, false, &m->leases.lapse.n_back) == 0;

    show(m);
    return whole;
}

/* --- out of sight -------------------------------------------------------------------------------
 */

/* etcd was there, in step, long after what we took for the end, and deleted nothing: the lease was
 * renewed after we last asked. Then it may last a whole time from the last word. */
static uint64_t renewed_until(const struct wp_etcd_mirror *m, const struct wp_etcd_lease *lease)
{
    uint64_t proof = m->leases.lapse.proof_ns;
    uint64_t when = lease->queued[WP_ETCD_QUEUE_LAPSE].when_ns;

    if (atomic_load_explicit(&((struct wp_etcd_lease *)(uintptr_t)lease)->ends,
                             memory_order_relaxed) == WP_ETCD_LEASE_GONE)
        return 0;
    return proof >= when + wp_etcd_ms(RENEWED_MS)
               ? proof + wp_etcd_ms(1000 * ((uint64_t)lease->granted_s + 1))
               : 0;
}

/* True: there may be more. */
static bool hide_some(struct wp_etcd_mirror *m, uint64_t now)
{
    for (unsigned i = 0; i < SLICE; i++) {
        struct wp_etcd_lease *lease = wp_etcd_lease_first(m, WP_ETCD_QUEUE_LAPSE);
        uint64_t until;
        if (lease == NULL || lease->queued[WP_ETCD_QUEUE_LAPSE].when_ns > now)
            return false;
        until = renewed_until(m, lease);
        if (until <= now && turn(m, lease, true, &m->leases.lapse.n_gone) < 0)
            until = now + wp_etcd_ms(BUSY_MS);
        if (until > now) {
            wp_etcd_lease_queue(m, lease, WP_ETCD_QUEUE_LAPSE, until);
            continue;
        }
        wp_etcd_lease_unqueue(m, lease, WP_ETCD_QUEUE_LAPSE);
        wp_etcd_lease_queue(m, lease, WP_ETCD_QUEUE_ASK, 0); /* the first to be asked about */
    }
    return true;
}

static void on_tick(struct wp_grpc_timer *t);

static void tick_at(struct wp_etcd_mirror *m, uint64_t when_ns)
{
    m->leases.lapse.timer.fn = on_tick;
    m->g->timer_set(&m->leases.lapse.timer, when_ns);
}

/* The next tick, or a time before the next end when ticks begin. */
static void wait(struct wp_etcd_mirror *m, uint64_t now)
{
    struct wp_etcd_lapse *p = &m->leases.lapse;
    const struct wp_etcd_lease *first = wp_etcd_lease_first(m, WP_ETCD_QUEUE_LAPSE);
    uint64_t before = wp_etcd_ms(BEFORE_MS), next = now + wp_etcd_ms(TICK_MS), end;

    if (first == NULL) {
        p->ticking = false;
        return;
    }
    end = first->queued[WP_ETCD_QUEUE_LAPSE].when_ns;
    p->ticking = end <= now + before;
    if (!p->ticking)
        next = end - before;
    else if (p->quiet >= QUIET_TICKS && end > now && end < next)
        next = end;
    tick_at(m, next);
}

static void on_tick(struct wp_grpc_timer *t)
{
    struct wp_etcd_leases *l =
        (struct wp_etcd_leases *)(void *)((char *)t - offsetof(struct wp_etcd_leases, lapse.timer));
    struct wp_etcd_mirror *m =
        (struct wp_etcd_mirror *)(void *)((char *)l - offsetof(struct wp_etcd_mirror, leases));
    struct wp_etcd_lapse *p = &l->lapse;
    uint64_t now = m->g->now();

    p->quiet = p->ticking ? p->quiet + 1 : 0;
    if (p->quiet >= QUIET_TICKS) {
        bool more = hide_some(m, now);
        show(m);
        if (more) {
            tick_at(m, now);
            return;
        }
    }
    wait(m, now);
    if (p->ticking &&
        p->quiet != 1) /* at first, then unless there was a word since the last tick */
        wp_etcd_lease_probe(m);
}

void wp_etcd_lapse_at(struct wp_etcd_mirror *m, struct wp_etcd_lease *lease, uint64_t when_ns)
{
    const struct wp_etcd_lapse *p = &m->leases.lapse;
    uint64_t before = wp_etcd_ms(BEFORE_MS);

    if (m->src.keep_lapsed || m->closed || lease->lapsed)
        return;
    wp_etcd_lease_queue(m, lease, WP_ETCD_QUEUE_LAPSE, when_ns);
    if (!p->timer.is_set || (!p->ticking && p->timer.due_ns > when_ns - before))
        tick_at(m, when_ns - before);
}

void wp_etcd_lapse_stop(struct wp_etcd_mirror *m)
{
    m->g->timer_cancel(&m->leases.lapse.timer);
    m->g->timer_cancel(&m->leases.lapse.tell);
}
