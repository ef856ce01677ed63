/* Large output (zone transfers), made piece by piece as clients take it. A connection has at most
 * one piece queued beyond what its socket holds, and all of a worker's together get a part of each
 * turn: neither a slow client nor a fast one costs others more than that. */
#include "server/listeners/stream_priv.h"

static bool may_make(const struct wp_stream_conn *s)
{
    return s->phase == WP_CONN_OPEN && !s->c.closed;
}

/* The others first: what has come for them meanwhile is in the next turn. */
static void next_turn(struct wp_stream_pool *p)
{
    if (!wp_timer_is_set(&p->more_timer))
        wp_timer_set(p->worker->loop, &p->more_timer, wp_loop_now(p->worker->loop));
}

void wp_conn_more(struct wp_conn *c)
{
    struct wp_stream_conn *s = wp_stream_conn_of(c);
    struct wp_stream_pool *p = c->worker->stream;

    if (!may_make(s) || wp_link_is_in(&s->more))
        return;
    if (wp_conn_unsent(s) > WP_STREAM_LOW) {
        s->congested = true; /* writable() will tell */
        return;
    }
    wp_link_append(&p->more, &s->more);
    if (p->more_at_ns == wp_stream_now(s))
        next_turn(p);
    else
        wp_loop_defer(c->worker->loop, &p->more_task);
}

static void make(struct wp_stream_conn *s)
{
    bool again = false;

    wp_link_remove(&s->more);
    wp_conn_ref(&s->c);
    s->busy = true;
    if (may_make(s))
        again = s->c.proto->more(&s->c);
    s->busy = false;
    wp_conn_settle(s);
    if (again)
        wp_conn_more(&s->c);
    wp_conn_unref(&s->c);
}

static void make_some(struct wp_stream_pool *p)
{
    struct wp_loop *loop = p->worker->loop;
    uint64_t until = wp_loop_clock(loop) + WP_STREAM_MORE_NS;

    p->more_at_ns = wp_loop_now(loop);
    for (unsigned n = 0; wp_link_is_in(&p->more); n++) {
        if (n == WP_STREAM_MORE_BATCH || (n > 0 && wp_loop_clock(loop) >= until)) {
            next_turn(p);
            return;
        }
        make(WP_CONTAINER(p->more.next, struct wp_stream_conn, more));
    }
}

static void on_task(struct wp_task *t)
{
    make_some(WP_CONTAINER(t, struct wp_stream_pool, more_task));
}

static void on_timer(struct wp_timer *t)
{
    make_some(WP_CONTAINER(t, struct wp_stream_pool, more_timer));
}

void wp_conn_more_init(struct wp_stream_pool *p)
{
    wp_link_init(&p->more);
    p->more_task.fn = on_task;
    p->more_timer.fn = on_timer;
}

void wp_conn_more_done(struct wp_stream_pool *p)
{
    wp_task_cancel(p->worker->loop, &p->more_task);
    wp_timer_cancel(&p->more_timer);
}
