/* From a query to a flight, and from its end back to everybody who waits for it. */
#include "backends/forward/flight.h"

#include <string.h>

#include "backends/common/upstream_query.h"
#include "waypost/base/hash.h"
#include "waypost/base/random.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/explain.h"
#include "waypost/plugin/loop.h"

#define SECOND 1000000000ull

/* --- order of the upstreams ---------------------------------------------------------------- */

static void shuffle(struct wp_upstream **up, unsigned n)
{
    for (unsigned i = n; i > 1; i--) {
        unsigned j = wp_random_below(i);
        struct wp_upstream *u = up[i - 1];

        up[i - 1] = up[j];
        up[j] = u;
    }
}

/* One to the front, the others stay in their order. */
static void to_front(struct wp_upstream **up, unsigned i)
{
    struct wp_upstream *u = up[i];

    memmove(up + 1, up, i * sizeof(struct wp_upstream *));
    up[0] = u;
}

static void line_up(struct forward_flight *f)
{
    struct forward_stanza *st = f->stanza;
    const struct forward_list *list = atomic_load_explicit(&st->list, memory_order_acquire);

    f->n = list->n;
    memcpy(f->up, list->up, list->n * sizeof(struct wp_upstream *));
    if (f->n == 1 || st->policy == FORWARD_SEQUENTIAL)
        return;
    if (st->policy == FORWARD_RANDOM)
        shuffle(f->up, f->n);
    else
        to_front(f->up,
                 (atomic_fetch_add_explicit(&st->position, 1, memory_order_relaxed) + 1) % f->n);
}

/* Upstreams of a stanza with files may be taken out of service meanwhile. */
static int hold_all(struct forward_flight *f)
{
    if (!f->stanza->has_files)
        return 0;
    for (unsigned i = 0; i < f->n; i++) {
        int r = wp_upstream_hold(f->up[i], f->worker->loop);

        if (r < 0) {
            while (i-- > 0)
                wp_upstream_release(f->up[i], f->worker->loop);
            return r;
        }
    }
    f->held = true;
    return 0;
}

static void end_flight(struct forward_flight *f)
{
    for (unsigned i = 0; f->held && i < f->n; i++)
        wp_upstream_release(f->up[i], f->worker->loop);
    forward_flight_free(f);
}

/* --- who waits ----------------------------------------------------------------------------- */

static void leave(struct forward_stanza *st)
{
    if (st->max_concurrent > 0)
        atomic_fetch_sub_explicit(&st->concurrent, 1, memory_order_relaxed);
}

static int join(struct forward_flight *f, struct wp_query *q)
{
    struct forward_waiter *w = wp_arena_alloc(q->arena, sizeof(*w));

    if (w == NULL)
        return -ENOMEM;
    *w = (struct forward_waiter){.q = q, .flight = f, .next = f->waiters, .prev = &f->waiters};
    if (w->next != NULL)
        w->next->prev = &w->next;
    f->waiters = w;
    wp_query_state_set(q, w);
    return WP_STEP_WAIT;
}

static void unjoin(struct forward_waiter *w)
{
    *w->prev = w->next;
    if (w->next != NULL)
        w->next->prev = w->prev;
    leave(w->flight->stanza);
}

static struct wp_query *pop(struct forward_flight *f)
{
    struct wp_query *q = f->waiters->q;

    unjoin(f->waiters);
    return q;
}

/* --- asking -------------------------------------------------------------------------------- */

static bool wants_tcp(const struct forward_stanza *st, const struct wp_query *q)
{
    if (st->force_tcp)
        return true;
    return !st->prefer_udp && q->transport != WP_UDP && q->transport != WP_DOQ &&
           q->transport != WP_DOH3;
}

static int start(struct forward_stanza *st, struct wp_query *q, uint64_t hash, const uint8_t *msg,
                 uint32_t len, bool tcp)
{
    struct forward_worker *w = st->forward->workers[q->worker];
    struct forward_flight *f = forward_flight_new(w, st, hash, msg, len, q->msg.qname.len, tcp);
    int r;

    if (f == NULL)
        return -ENOMEM;
    line_up(f);
    r = hold_all(f);
    if (r == 0)
        r = join(f, q);
    if (r < 0) {
        end_flight(f);
        return r;
    }
    f->deadline_ns = wp_loop_now(w->loop) + FORWARD_WINDOW_S * SECOND;
    f->setup_ns = FORWARD_WINDOW_S * SECOND * 12 / 25; /* not quite half: the next try needs time */
    f->starting = true;
    forward_try(f);
    if (f->over) { /* no upstream could even be asked; q has its failure */
        end_flight(f);
        return WP_STEP_DONE;
    }
    f->starting = false;
    return WP_STEP_WAIT;
}

/* The query did not join a flight. */
static int turned_away(struct forward_stanza *st, int step)
{
    leave(st);
    return step;
}

static int ask(struct forward_stanza *st, struct wp_query *q)
{
    size_t room = wp_upstream_query_room(q);
    uint8_t *msg = wp_arena_alloc(q->arena, room);
    bool tcp = wants_tcp(st, q);
    struct forward_flight *f;
    uint64_t hash;
    int len; /* later the step */

    if (msg == NULL)
        return turned_away(st, -ENOMEM);
    len = wp_upstream_query_write(q, msg, room);
    if (len < 0)
        return turned_away(st,
                           len == -ENOMEM ? len : wp_query_fail(q, WP_RCODE_FORMERR, len, NULL));
    hash = wp_hash_mix(q->msg.qname.suffix[0] + st->index, (uint64_t)len << 32 |
                                                               (uint32_t)q->msg.qtype << 16 |
                                                               (q->msg.flags ^ q->msg.qclass));
    f = forward_flight_find(st->forward->workers[q->worker], st, hash, msg, (uint32_t)len,
                            q->msg.qname.len, tcp);
    len = f != NULL ? join(f, q) : start(st, q, hash, msg, (uint32_t)len, tcp);
    return len < 0 ? turned_away(st, len) : len;
}

static int admit(struct forward_stanza *st, struct wp_query *q)
{
    if (st->max_concurrent > 0 &&
        atomic_fetch_add_explicit(&st->concurrent, 1, memory_order_relaxed) >= st->max_concurrent) {
        leave(st);
        wp_metric_add(st->forward->rejects, q->worker, 1);
        return wp_query_fail(q, WP_RCODE_REFUSED, WP_ELIMIT,
                             "concurrent queries exceeded maximum %s", st->max_concurrent_text);
    }
    return ask(st, q);
}

static bool is_responsible(const struct forward_stanza *st, const struct wp_query *q)
{
    const struct wp_qname *name = &q->msg.qname;

    if (st->from_len > 1 && !wp_name_within(name->wire, st->from))
        return false;
    return st->except.n == 0 || wp_qname_is(name, st->from, st->from_len) ||
           wp_zones_match(&st->except, name) == NULL;
}

int forward_from(struct forward *f, struct forward_stanza *st, struct wp_query *q)
{
    (void)f;
    for (; st != NULL; st = st->next) {
        if (is_responsible(st, q)) {
            int r = forward_special(st, q);

            return r == WP_STEP_NEXT ? admit(st, q) : r;
        }
    }
    return WP_STEP_NEXT;
}

void forward_cancel(void *self, struct wp_query *q)
{
    struct forward_waiter *w = wp_query_state(q);
    struct forward_flight *f = w->flight;

    (void)self;
    unjoin(w);
    if (!f->over && f->waiters == NULL) {
        forward_abandon(f);
        end_flight(f);
    }
    wp_query_fail(q, WP_RCODE_SERVFAIL, WP_ECANCELLED, "context canceled");
    wp_query_resume(q, WP_STEP_DONE);
}

/* --- the end ------------------------------------------------------------------------------- */

static void note_upstream(const struct forward_flight *f, struct wp_query *q)
{
    if (q->block != NULL && q->block->has_metadata)
        wp_query_meta_set(q, "forward/upstream", wp_upstream_text(f->up[f->trying]));
}

/* Who answered, or was the last to fail. */
static void explain(const struct forward_flight *f, struct wp_query *q, bool answered)
{
    struct wp_report *d = wp_explain_details(q), *s = wp_explain_sources(q);
    const struct wp_upstream *u = f->up[f->trying];
    uint64_t rtt_ns = wp_loop_clock(f->worker->loop) - f->x.asked_ns;

    wp_report_text(d, "upstream", wp_upstream_text(u));
    wp_report_text(d, "over", wp_upstream_over(u, f->x.tcp));
    wp_report_int(d, "failed_tries", f->failed);
    if (f->failed > 0)
        wp_report_text(d, "last_failure", f->why);
    if (!answered)
        return;
    wp_report_ns(d, "rtt_ns", rtt_ns);
    wp_report_open(s, NULL);
    wp_report_text(s, "source", "forward");
    wp_report_text(s, "upstream", wp_upstream_text(u));
    wp_report_ns(s, "rtt_ns", rtt_ns);
    wp_report_close(s);
}

/* 0, or a negative error when the message cannot be taken over. */
static int fill(struct wp_query *q, const struct wp_outcome *o)
{
    uint16_t kept = o->look.flags & (WP_FLAG_AA | WP_FLAG_RA | WP_FLAG_AD);
    int r;

    switch (o->look.verdict) {
    case WP_REPLY_MISMATCH:
        return wp_reply_begin(q, WP_RCODE_FORMERR, 0);
    case WP_REPLY_CUT:
        return wp_reply_begin(q, o->look.rcode & WP_FLAG_RCODE, kept | WP_FLAG_TC);
    default:
        r = wp_reply_take(q, o->reply, o->len);
        if (r == 0)
            wp_upstream_reply_clean(q);
        return r;
    }
}

bool forward_deliver(struct forward_flight *f, const struct wp_outcome *o)
{
    struct wp_query *q = f->waiters->q;
    int r = fill(q, o);

    if (r == WP_EMALFORMED) { /* as if it had never been there */
        q->reply.begun = q->reply.has_opt = false;
        q->reply.options_len = 0;
        return false;
    }
    forward_flight_unlink(f);
    f->over = true;
    for (;;) {
        pop(f);
        note_upstream(f, q);
        if (WP_UNLIKELY(wp_query_is_explained(q)))
            explain(f, q, true);
        wp_query_resume(q, r < 0 ? r : WP_STEP_DONE);
        if (f->waiters == NULL)
            break;
        q = f->waiters->q;
        r = fill(q, o);
    }
    end_flight(f);
    return true;
}

void forward_deliver_next(struct forward_flight *f)
{
    forward_flight_unlink(f);
    f->over = true;
    while (f->waiters != NULL) {
        struct wp_query *q = pop(f);
        int r;

        note_upstream(f, q);
        r = forward_from(f->stanza->forward, f->stanza->next, q);
        if (r != WP_STEP_WAIT)
            wp_query_resume(q, r);
    }
    end_flight(f);
}

/* Timeouts are "no reachable authority", what the network said is "network error" (RFC 8914). */
static void fail_query(const struct forward_flight *f, struct wp_query *q)
{
    if (f->err == 0) {
        wp_query_fail(q, WP_RCODE_SERVFAIL, WP_EUNREACHABLE, "no healthy proxies");
        wp_reply_ede(q, WP_EDE_NO_REACHABLE_AUTHORITY, "all upstreams are down");
        return;
    }
    wp_query_fail(q, WP_RCODE_SERVFAIL, f->err, "%s", f->why);
    if (f->err == WP_ETIMEOUT || f->err == WP_EMALFORMED)
        wp_reply_ede(q, WP_EDE_NO_REACHABLE_AUTHORITY, "no usable answer from upstream");
    else
        wp_reply_ede(q, WP_EDE_NETWORK_ERROR, "upstream could not be asked");
}

void forward_deliver_failure(struct forward_flight *f)
{
    bool starting = f->starting;

    forward_flight_unlink(f);
    while (f->waiters != NULL) {
        struct wp_query *q = pop(f);

        note_upstream(f, q);
        if (WP_UNLIKELY(wp_query_is_explained(q)))
            explain(f, q, false);
        fail_query(f, q);
        if (!starting)
            wp_query_resume(q, WP_STEP_DONE);
    }
    if (!starting)
        end_flight(f);
}
