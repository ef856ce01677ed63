/* One message of a DNS stream: run in place where the answer stands at once, kept on a list where
 * it waits. */
#include <string.h>

#include "server/listeners/tcp_priv.h"
#include "waypost/base/wr.h"
#include "waypost/server/guard.h"

enum {
    PREFIX = WP_DNS_PREFIX,
    REPLY_MIN = 512 + WP_REPLY_SPARE, /* the least the router wants to write into */
    REPLY_MAX = WP_MSG_MAX + WP_REPLY_SPARE,
};

/* A query that waits for its answer; lives in the query's arena. */
struct wp_dns_waiting {
    struct wp_conn *conn;    /* held */
    struct wp_dns_stream *d; /* NULL: the connection is gone */
    struct wp_query *q;
    struct wp_dns_waiting *next, **prev;
};

static void send_reply(struct wp_conn *c, const struct wp_query *q)
{
    uint8_t *room;

    if (q->out_len == 0)
        return;
    room = wp_conn_room(c, PREFIX + q->out_len);
    if (room == NULL) {
        wp_guard_refused(wp_conn_group(c), c->worker->index, WP_LIMIT_MEMORY);
        wp_conn_abort(c);
        return;
    }
    wp_put16(room, q->out_len);
    memcpy(room + PREFIX, q->out, q->out_len);
    wp_conn_commit(c, PREFIX + q->out_len);
}

/* The finished reply that was made at `room`, or wherever it had to go. */
static void take_up(struct wp_conn *c, const struct wp_query *q, uint8_t *room)
{
    if (q->out_len > 0 && q->out == room + PREFIX) {
        wp_put16(room, q->out_len);
        wp_conn_commit(c, PREFIX + q->out_len);
    } else {
        send_reply(c, q);
    }
}

static void unlink_waiting(struct wp_dns_waiting *w)
{
    *w->prev = w->next;
    if (w->next != NULL)
        w->next->prev = w->prev;
}

static void link_waiting(struct wp_dns_waiting **list, struct wp_dns_waiting *w)
{
    w->next = *list;
    w->prev = list;
    if (w->next != NULL)
        w->next->prev = &w->next;
    *list = w;
}

/* The connection has a place again, or nothing to do. */
static void after_answer(struct wp_conn *c, struct wp_dns_stream *d)
{
    const struct wp_limits *limits = &wp_conn_group(c)->limits;

    d->outstanding--;
    if (d->full && !d->finishing && !wp_conn_is_congested(c) && d->outstanding < limits->pipeline) {
        d->full = false;
        wp_conn_resume(c);
    }
    if (d->outstanding == 0 && !d->partial && !d->starved)
        wp_dns_is_idle(c, d);
    else if (WP_UNLIKELY(d->take_due_ns != 0) && d->sending == NULL && !d->partial && !d->starved)
        wp_conn_deadline(c, 0); /* others still wait, for us */
    if (d->sending == NULL)
        d->take_due_ns = 0;
    wp_dns_close_when_done(c, d);
}

static void finish_waiting(struct wp_dns_waiting *w)
{
    struct wp_conn *c = w->conn;
    struct wp_dns_stream *d = w->d;
    struct wp_query *q = w->q;

    if (d != NULL) {
        unlink_waiting(w);
        if (WP_UNLIKELY(q->sent && q->more != NULL)) {
            wp_conn_abort(c); /* what was begun cannot be ended otherwise */
        } else if (!c->closed) {
            send_reply(c, q);
            after_answer(c, d);
        }
    }
    wp_query_put(q);
    wp_conn_unref(c);
}

static void on_done(struct wp_query *q)
{
    struct wp_dns_waiting *w = q->owner;

    if (w->d != NULL && w->d->running) {
        /* Another query of this connection runs and writes its reply at the end of the output
         * buffer: ours must not go there now. */
        struct wp_dns_stream *d = w->d;

        unlink_waiting(w);
        link_waiting(&d->late, w);
        return;
    }
    finish_waiting(w);
}

static void on_done_alone(struct wp_query *q)
{
    wp_query_put(q);
}

static void begin_sending(struct wp_conn *c, struct wp_dns_stream *d, struct wp_dns_waiting *w)
{
    struct wp_dns_waiting **at = &d->sending;

    while (*at != NULL)
        at = &(*at)->next;
    link_waiting(at, w);
    if (d->take_due_ns == 0)
        d->take_due_ns = wp_loop_now(c->worker->loop) + WP_DNS_TAKE_NS;
    wp_conn_more(c);
}

/* It waits: the list finds it when the connection goes away. */
static int keep_waiting(struct wp_conn *c, struct wp_dns_stream *d, struct wp_query *q)
{
    struct wp_dns_waiting *w = wp_arena_alloc(q->arena, sizeof(*w));

    if (w == NULL) {
        q->done = on_done_alone;
        wp_query_cancel(q);
        return -1;
    }
    *w = (struct wp_dns_waiting){.conn = c, .d = d, .q = q};
    q->owner = w;
    d->outstanding++;
    wp_conn_ref(c);
    if (WP_UNLIKELY(q->more != NULL))
        begin_sending(c, d, w);
    else
        link_waiting(&d->waiting, w);
    return 0;
}

static void describe(struct wp_conn *c, struct wp_query *q)
{
    q->transport = c->encrypted ? WP_DOT : WP_TCP;
    wp_conn_describe(c, q);
    q->many = true;
    q->done = on_done;
}

/* The message must outlive the read buffer if the query waits; it is short. */
static bool take_wire(struct wp_query *q, const uint8_t *msg, size_t len)
{
    struct wp_pooled *p = (struct wp_pooled *)q;
    uint8_t *in = len <= WP_QUERY_IN ? p->in : wp_arena_alloc(q->arena, len);

    if (in == NULL)
        return false;
    memcpy(in, msg, len);
    q->wire = in;
    q->wire_len = (uint32_t)len;
    return true;
}

int wp_dns_ask(struct wp_conn *c, struct wp_dns_stream *d, struct wp_query **at, const uint8_t *msg,
               size_t len)
{
    struct wp_query *q = *at;
    uint8_t *room;
    size_t cap;
    int step;

    describe(c, q);
    room = wp_conn_room_max(c, PREFIX + REPLY_MIN, &cap);
    if (room == NULL || !take_wire(q, msg, len)) {
        wp_guard_refused(wp_conn_group(c), c->worker->index, WP_LIMIT_MEMORY);
        return -1;
    }
    cap -= PREFIX;
    q->reply.buf = room + PREFIX;
    q->reply.cap = (uint32_t)(cap < REPLY_MAX ? cap : REPLY_MAX);
    d->running = true;
    step = wp_query_run(q);
    d->running = false;
    if (step == WP_STEP_WAIT) {
        *at = NULL;
        return keep_waiting(c, d, q);
    }
    take_up(c, q, room);
    wp_query_reset(q);
    return 0;
}

bool wp_dns_send_more(struct wp_conn *c)
{
    struct wp_dns_stream *d = c->state;
    struct wp_query *q;
    uint8_t *room;
    int step;

    if (d->sending == NULL)
        return false;
    q = d->sending->q;
    room = wp_conn_room(c, PREFIX + REPLY_MAX);
    if (room == NULL) {
        wp_guard_refused(wp_conn_group(c), c->worker->index, WP_LIMIT_MEMORY);
        wp_conn_abort(c);
        return false;
    }
    q->reply.buf = room + PREFIX;
    q->reply.cap = REPLY_MAX;
    step = wp_query_more(q);
    if (step < 0) {
        wp_conn_abort(c);
        return false;
    }
    take_up(c, q, room);
    d->take_due_ns = wp_loop_now(c->worker->loop) + WP_DNS_TAKE_NS;
    if (!d->partial && !d->starved)
        wp_conn_deadline(c, d->take_due_ns);
    if (step == WP_STEP_DONE)
        wp_query_resume(q, step); /* on_done */
    return !c->closed && d->sending != NULL;
}

void wp_dns_finish_late(struct wp_dns_stream *d)
{
    while (d->late != NULL)
        finish_waiting(d->late);
}

void wp_dns_drain_waiting(struct wp_dns_stream *d)
{
    for (struct wp_dns_waiting *w = d->waiting; w != NULL; w = w->next)
        w->q->draining = true;
    for (struct wp_dns_waiting *w = d->sending; w != NULL; w = w->next)
        w->q->draining = true;
}

void wp_dns_cancel_all(struct wp_dns_stream *d)
{
    while (d->waiting != NULL || d->sending != NULL) {
        struct wp_dns_waiting *w = d->waiting != NULL ? d->waiting : d->sending;

        unlink_waiting(w);
        w->d = NULL;
        wp_query_cancel(w->q); /* on_done follows, now or later */
    }
    wp_dns_finish_late(d);
}
