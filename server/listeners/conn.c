/* The life of a connection. Whatever happens in an event or a protocol's call is only noted;
 * wp_conn_settle, at the end of the event or of the turn, flushes, closes and frees. So a
 * protocol may close from anywhere, and nothing is freed under a running function. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/listeners/proxy.h"
#include "server/listeners/stream_priv.h"
#include "waypost/tls/tls.h"

const struct wp_group *wp_conn_group(const struct wp_conn *c)
{
    return c->listener->group;
}

void wp_conn_ref(struct wp_conn *c)
{
    wp_stream_conn_of(c)->refs++;
}

void wp_conn_unref(struct wp_conn *c)
{
    struct wp_stream_conn *s = wp_stream_conn_of(c);

    if (--s->refs > 0)
        return;
    free(s->tlv);
    free(s->name);
    free(s->c.tls_peer);
    free(s);
}

void wp_conn_touch(struct wp_stream_conn *s)
{
    if (s->busy || wp_link_is_in(&s->touched) || s->phase == WP_CONN_GONE)
        return;
    wp_link_append(&s->c.worker->stream->touched, &s->touched);
    wp_loop_defer(s->c.worker->loop, &s->c.worker->stream->task);
}

/* --- deadlines ----------------------------------------------------------------------------- */

/* Deadlines move at every message, mostly forwards: the timer is set anew only when it would be
 * late, and looks again when it fires early. */
void wp_conn_arm(struct wp_stream_conn *s)
{
    uint64_t due = s->due_ns;

    if (due == 0 || (s->write_due_ns != 0 && s->write_due_ns < due))
        due = s->write_due_ns;
    if (due == 0 || s->phase == WP_CONN_GONE)
        return;
    if (!wp_timer_is_set(&s->timer) || s->timer.due_ns > due)
        wp_timer_set(s->c.worker->loop, &s->timer, due);
}

void wp_conn_deadline(struct wp_conn *c, uint64_t due_ns)
{
    struct wp_stream_conn *s = wp_stream_conn_of(c);

    s->due_ns = due_ns;
    wp_conn_arm(s);
}

static void refused(struct wp_stream_conn *s, enum wp_guard_limit limit)
{
    wp_guard_refused(wp_conn_group(&s->c), s->c.worker->index, limit);
}

static void on_deadline(struct wp_stream_conn *s)
{
    s->due_ns = 0;
    switch ((enum wp_conn_phase)s->phase) {
    case WP_CONN_PROXY:
        refused(s, WP_LIMIT_READ_TIME);
        wp_conn_abort(&s->c);
        break;
    case WP_CONN_HANDSHAKE:
        refused(s, WP_LIMIT_HANDSHAKE_TIME);
        wp_guard_handshake(wp_conn_group(&s->c), s->c.worker->index, WP_GUARD_TLS_FAILED);
        wp_conn_abort(&s->c);
        break;
    case WP_CONN_OPEN:
        if (!s->c.closed)
            s->c.proto->timeout(&s->c);
        break;
    case WP_CONN_LINGER:
        wp_conn_abort(&s->c);
        break;
    case WP_CONN_FLUSH:
    case WP_CONN_GONE:
        break;
    }
}

static void on_timer(struct wp_timer *t)
{
    struct wp_stream_conn *s = WP_CONTAINER(t, struct wp_stream_conn, timer);
    uint64_t now = wp_stream_now(s);

    wp_conn_ref(&s->c);
    s->busy = true;
    if (s->write_due_ns != 0 && s->write_due_ns <= now) {
        refused(s, WP_LIMIT_WRITE_TIME);
        wp_conn_abort(&s->c);
    } else if (s->due_ns != 0 && s->due_ns <= now) {
        on_deadline(s);
    }
    s->busy = false;
    wp_conn_settle(s);
    wp_conn_arm(s);
    wp_conn_unref(&s->c);
}

/* --- events -------------------------------------------------------------------------------- */

static void on_io(struct wp_io *io, uint32_t events)
{
    struct wp_stream_conn *s = WP_CONTAINER(io, struct wp_stream_conn, io);
    struct wp_stream *l = wp_stream_of(s);

    wp_conn_ref(&s->c);
    s->busy = true;
    if (s->all.next != &l->conns) { /* now the one active last */
        wp_link_remove(&s->all);
        wp_link_append(&l->conns, &s->all);
    }
    if (events & WP_IO_READ)
        wp_conn_read(s);
    else if (events & (WP_IO_ERROR | WP_IO_HANGUP))
        wp_conn_abort(&s->c); /* nobody is there to read what we would still send */
    /* WP_IO_WRITE: settling flushes */
    s->busy = false;
    wp_conn_settle(s);
    wp_conn_unref(&s->c);
}

void wp_conn_run_touched(struct wp_task *task)
{
    struct wp_stream_pool *p = WP_CONTAINER(task, struct wp_stream_pool, task);
    struct wp_link now;

    /* what is touched meanwhile comes in the next round */
    wp_link_init(&now);
    if (wp_link_is_in(&p->touched)) {
        now = p->touched;
        now.next->prev = now.prev->next = &now;
        wp_link_init(&p->touched);
    }
    while (wp_link_is_in(&now)) {
        struct wp_stream_conn *s = WP_CONTAINER(now.next, struct wp_stream_conn, touched);

        wp_link_remove(&s->touched);
        wp_conn_ref(&s->c);
        s->busy = true;
        if (s->redeliver)
            wp_conn_redeliver(s);
        s->busy = false;
        wp_conn_settle(s);
        wp_conn_unref(&s->c);
    }
}

static void watch(struct wp_stream_conn *s)
{
    uint32_t events = wp_conn_unsent(s) > 0 ? WP_IO_WRITE : 0;

    if (!s->eof && !s->paused && s->phase != WP_CONN_FLUSH)
        events |= WP_IO_READ;
    if (events != s->io.events)
        wp_io_set(&s->io, events);
}

/* --- the end ------------------------------------------------------------------------------- */

static void stop_protocol(struct wp_stream_conn *s)
{
    if (!s->started)
        return;
    s->started = false;
    s->c.proto->stop(&s->c);
}

/* Everything is gone but the memory that queries in flight point at. */
void wp_conn_end(struct wp_stream_conn *s)
{
    struct wp_stream *l = wp_stream_of(s);

    if (s->phase == WP_CONN_GONE)
        return;
    s->c.closed = true;
    if (s->phase == WP_CONN_LINGER)
        wp_guard_leaving(&s->slot, false);
    s->busy = true; /* stop() may still write or close: to no effect */
    stop_protocol(s);
    s->phase = WP_CONN_GONE;
    wp_conn_out_done(s);
    wp_conn_tls_done(s);
    wp_octets_clear(&s->left);
    wp_timer_cancel(&s->timer);
    wp_io_del(&s->io);
    close(s->io.fd);
    wp_link_remove(&s->touched);
    wp_link_remove(&s->more);
    wp_link_remove(&s->all);
    wp_guard_disconnect(&s->slot);
    s->c.listener = NULL;
    wp_conn_unref(&s->c);
    wp_stream_left(l);
}

static void linger_until(struct wp_stream_conn *s)
{
    uint64_t ms = s->c.draining ? WP_STREAM_LINGER_DRAIN_MS : WP_STREAM_LINGER_MS;

    wp_conn_deadline(&s->c, wp_stream_now(s) + ms * UINT64_C(1000000));
}

static void begin_linger(struct wp_stream_conn *s)
{
    stop_protocol(s);
    wp_conn_out_done(s);
    wp_conn_tls_done(s);
    wp_octets_clear(&s->left);
    if (s->eof || shutdown(s->io.fd, SHUT_WR) < 0) {
        s->abort = true;
        return;
    }
    s->phase = WP_CONN_LINGER;
    wp_guard_leaving(&s->slot, true);
    s->paused = false;
    linger_until(s);
}

/* Nothing is left to do for it, unless what is kept comes again: that is done in its turn only. */
static void untouch(struct wp_stream_conn *s)
{
    if (!s->redeliver)
        wp_link_remove(&s->touched);
}

/* We closed it: the rest of the output, close_notify, FIN. */
static void settle_closed(struct wp_stream_conn *s)
{
    if (s->phase != WP_CONN_FLUSH) {
        s->phase = WP_CONN_FLUSH;
        s->due_ns = 0;
        if (s->tls != NULL && !s->tls_broken)
            wp_tls_close(s->tls);
        wp_conn_flush(s);
    }
    if (!s->abort && wp_conn_unsent(s) == 0)
        begin_linger(s);
}

void wp_conn_settle(struct wp_stream_conn *s)
{
    if (s->phase == WP_CONN_GONE)
        return;
    untouch(s);
    if (s->c.draining && !s->drained && s->phase == WP_CONN_OPEN && !s->c.closed) {
        s->drained = true; /* after the input of this event: that was asked before the end */
        s->c.proto->drain(&s->c);
        untouch(s);
    }
    if (!s->abort && s->phase != WP_CONN_LINGER)
        wp_conn_flush(s);
    if (s->congested && !s->c.closed && wp_conn_unsent(s) <= WP_STREAM_LOW) {
        s->congested = false;
        s->c.proto->writable(&s->c); /* what it writes is flushed at the end of the turn */
    }
    if (!s->abort && s->c.closed && s->phase != WP_CONN_LINGER)
        settle_closed(s);
    if (s->abort)
        wp_conn_end(s);
    else
        watch(s);
}

void wp_conn_drain(struct wp_stream_conn *s)
{
    wp_conn_ref(&s->c);
    s->c.draining = true;
    if (s->phase == WP_CONN_LINGER)
        linger_until(s);
    s->busy = true;
    /* What the kernel holds for us would be reset when the socket closes: take and answer it. */
    wp_conn_read(s);
    s->busy = false;
    wp_conn_settle(s);
    wp_conn_unref(&s->c);
}

void wp_conn_close(struct wp_conn *c)
{
    if (c->closed)
        return;
    c->closed = true;
    wp_conn_touch(wp_stream_conn_of(c));
}

void wp_conn_abort(struct wp_conn *c)
{
    c->closed = true;
    wp_stream_conn_of(c)->abort = true;
    wp_conn_touch(wp_stream_conn_of(c));
}

void wp_conn_pause(struct wp_conn *c)
{
    wp_stream_conn_of(c)->paused = true;
}

void wp_conn_resume(struct wp_conn *c)
{
    struct wp_stream_conn *s = wp_stream_conn_of(c);

    if (!s->paused || c->closed)
        return;
    s->paused = false;
    s->redeliver = true;
    if (!s->busy) {
        wp_conn_touch(s);
        return;
    }
    /* in its own event: what is kept comes again at the end of the turn */
    s->busy = false;
    wp_conn_touch(s);
    s->busy = true;
}

void wp_conn_want(struct wp_conn *c, size_t len)
{
    wp_stream_conn_of(c)->want = (uint32_t)len;
}

bool wp_conn_is_idle(const struct wp_stream_conn *s)
{
    if (s->phase == WP_CONN_PROXY || s->phase == WP_CONN_HANDSHAKE)
        return true; /* it has asked nothing yet */
    return s->refs == 1 && s->left.len == 0 && s->chunk == NULL && wp_conn_unsent(s) == 0;
}

/* --- the beginning ------------------------------------------------------------------------- */

int wp_conn_new(struct wp_stream *l, int fd, const struct wp_addr *peer, struct wp_guard_slot *slot)
{
    struct wp_stream_conn *s = calloc(1, sizeof(*s));
    int r;

    if (s == NULL)
        return -ENOMEM;
    s->c.worker = l->l.worker;
    s->c.listener = &l->l;
    s->c.proto = l->proto;
    s->c.client = s->c.peer = *peer;
    s->c.local = l->local;
    s->c.alpn = "";
    s->c.draining = l->draining;
    s->refs = 1;
    s->timer.fn = on_timer;
    s->io = (struct wp_io){.fd = fd, .fn = on_io};
    wp_link_init(&s->all);
    wp_link_init(&s->touched);
    wp_link_init(&s->half_open);
    wp_link_init(&s->more);
    if (l->wildcard) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof(ss);

        if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
            wp_addr_from_sockaddr((struct sockaddr *)&ss, &s->c.local);
    }
    r = wp_io_add(s->c.worker->loop, &s->io, WP_IO_READ);
    if (r < 0) {
        free(s);
        return r;
    }
    s->slot = *slot;
    *slot = (struct wp_guard_slot){0};
    wp_link_append(&l->conns, &s->all);
    l->n_conns++;
    s->busy = true;
    if (wp_proxy_policy(&l->l.group->proxy, peer) != WP_PROXY_SKIP)
        wp_conn_deadline(&s->c, wp_stream_now(s) + l->l.group->limits.read_ns);
    else
        wp_conn_open_layers(s);
    s->busy = false;
    wp_conn_settle(s);
    return 0;
}
