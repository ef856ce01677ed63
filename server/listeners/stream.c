/* Stream listeners: a listening socket of one worker, the connections it accepted, and the
 * buffers that all connections of the worker share. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/listeners/stream_priv.h"
#include "waypost/tls/tls.h"

/* --- the worker's pool --------------------------------------------------------------------- */

static int pool_join(struct wp_worker *w, struct wp_stream *l)
{
    struct wp_stream_pool *p = w->stream;

    if (p == NULL) {
        p = calloc(1, sizeof(*p));
        if (p == NULL)
            return -ENOMEM;
        p->worker = w;
        p->task.fn = wp_conn_run_touched;
        p->next_turn.fn = wp_conn_tls_next_turn;
        wp_link_init(&p->listeners);
        wp_link_init(&p->touched);
        wp_link_init(&p->half_open);
        wp_conn_more_init(p);
        w->stream = p;
    }
    wp_link_append(&p->listeners, &l->in_pool);
    return 0;
}

static void pool_leave(struct wp_worker *w, struct wp_stream *l)
{
    struct wp_stream_pool *p = w->stream;

    wp_link_remove(&l->in_pool);
    if (wp_link_is_in(&p->listeners))
        return;
    wp_task_cancel(w->loop, &p->task);
    wp_task_cancel(w->loop, &p->next_turn);
    wp_conn_more_done(p);
    wp_stream_pool_free_chunks(p);
    w->stream = NULL;
    free(p);
}

/* --- accept -------------------------------------------------------------------------------- */

static void pause_accept(struct wp_stream *l, unsigned ms)
{
    wp_io_set(&l->io, 0);
    wp_timer_set(l->l.worker->loop, &l->retry,
                 wp_loop_now(l->l.worker->loop) + ms * UINT64_C(1000000));
}

static void resume_accept(struct wp_stream *l)
{
    wp_timer_cancel(&l->retry);
    if (!l->draining)
        wp_io_set(&l->io, WP_IO_READ);
}

static void on_retry(struct wp_timer *t)
{
    resume_accept(WP_CONTAINER(t, struct wp_stream, retry));
}

/* The connection that has been idle longest makes room. */
static bool evict(struct wp_stream *l)
{
    unsigned looked = 0;

    for (struct wp_link *at = l->conns.next; at != &l->conns && looked < WP_STREAM_EVICT_LOOK;
         at = at->next, looked++) {
        struct wp_stream_conn *s = WP_CONTAINER(at, struct wp_stream_conn, all);

        if (s->phase == WP_CONN_LINGER || (wp_conn_is_idle(s) && !s->busy)) {
            wp_guard_refused(l->l.group, l->l.worker->index, WP_LIMIT_CONNECTIONS);
            if (s->tls != NULL && s->phase == WP_CONN_OPEN) {
                wp_tls_close(s->tls);
                wp_conn_flush(s);
            }
            wp_conn_end(s);
            return true;
        }
    }
    return false;
}

/* The worker's listener with the most connections. Descriptors are everybody's: a flood of one
 * listener must not take those in use from another. */
static struct wp_stream *most_crowded(struct wp_stream *l)
{
    const struct wp_link *all = &l->l.worker->stream->listeners;
    struct wp_stream *most = l;

    for (struct wp_link *at = all->next; at != all; at = at->next) {
        struct wp_stream *other = WP_CONTAINER(at, struct wp_stream, in_pool);

        if (other->n_conns > most->n_conns)
            most = other;
    }
    return most;
}

/* A connection on fd, or the fd closed. */
static void admit(struct wp_stream *l, int fd, const struct sockaddr *sa)
{
    struct wp_guard_slot slot = {0};
    struct wp_addr peer;
    bool ok = wp_guard_connect(l->l.group, &slot);

    if (!ok && evict(l))
        ok = wp_guard_connect(l->l.group, &slot);
    if (!ok) {
        wp_guard_refused(l->l.group, l->l.worker->index, WP_LIMIT_CONNECTIONS);
        close(fd);
        return;
    }
    wp_addr_from_sockaddr(sa, &peer);
    if (wp_conn_new(l, fd, &peer, &slot) < 0) {
        wp_guard_refused(l->l.group, l->l.worker->index, WP_LIMIT_MEMORY);
        wp_guard_disconnect(&slot);
        close(fd);
    }
}

/* The kernel looks for a descriptor before it looks for a connection: EMFILE alone does not say
 * that somebody waits. */
static bool is_waiting(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

/* False: more have come in this second than the listener is to take. */
static bool may_accept(struct wp_stream *l)
{
    uint64_t wait = wp_guard_accept_wait_ns(l->l.group, wp_loop_now(l->l.worker->loop));

    if (WP_LIKELY(wait == 0))
        return true;
    if (is_waiting(l->io.fd)) {
        wp_guard_refused(l->l.group, l->l.worker->index, WP_LIMIT_ACCEPT_RATE);
        pause_accept(l, (unsigned)(wait / 1000000) + 1);
    }
    return false;
}

/* False: nothing more to accept now. */
static bool accept_one(struct wp_stream *l)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    struct wp_stream *most;
    int fd;

    if (l->proto->wait_when_full && wp_guard_is_full(l->l.group)) {
        pause_accept(l, WP_STREAM_FULL_PAUSE_MS);
        return false;
    }
    if (!may_accept(l))
        return false;
    fd = accept4(l->io.fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        wp_guard_accepted(l->l.group, wp_loop_now(l->l.worker->loop));
        admit(l, fd, (struct sockaddr *)&ss);
        return true;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        if (!is_waiting(l->io.fd))
            return false;
        /* Level-triggered: without the pause the loop would spin until a descriptor is free. */
        wp_guard_refused(l->l.group, l->l.worker->index, WP_LIMIT_DESCRIPTORS);
        most = most_crowded(l);
        if (evict(most) && most != l)
            return true; /* now, or the other one takes the place */
        pause_accept(l, WP_STREAM_ACCEPT_PAUSE_MS);
        return false;
    }
    return errno != EAGAIN && errno != EWOULDBLOCK && errno != EBADF && errno != EINVAL;
}

static void on_accept(struct wp_io *io, uint32_t events)
{
    struct wp_stream *l = WP_CONTAINER(io, struct wp_stream, io);

    (void)events;
    for (unsigned i = 0; i < WP_STREAM_ACCEPT_BATCH; i++)
        if (!accept_one(l))
            break;
}

/* --- life ---------------------------------------------------------------------------------- */

static void read_local(struct wp_stream *l)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    uint8_t any = 0;

    if (getsockname(l->io.fd, (struct sockaddr *)&ss, &len) < 0)
        return;
    wp_addr_from_sockaddr((struct sockaddr *)&ss, &l->local);
    for (unsigned i = 0; i < sizeof(l->local.ip); i++)
        any |= l->local.ip[i];
    l->wildcard = any == 0;
}

static void run_closed(struct wp_task *task)
{
    struct wp_stream *l = WP_CONTAINER(task, struct wp_stream, closed_task);

    l->closed(l->closed_arg);
}

int wp_stream_open(struct wp_worker *w, struct wp_group *g, int fd,
                   const struct wp_listener_ops *ops, const struct wp_conn_proto *proto,
                   struct wp_listener **ret)
{
    struct wp_stream *l = calloc(1, sizeof(*l));
    int one = 1, r;

    if (l == NULL)
        return -ENOMEM;
    l->l.ops = ops;
    l->l.worker = w;
    l->l.group = g;
    l->proto = proto;
    l->io = (struct wp_io){.fd = fd, .fn = on_accept};
    l->retry.fn = on_retry;
    l->closed_task.fn = run_closed;
    wp_link_init(&l->conns);
    read_local(l);
    /* Inherited by what is accepted: one call here instead of one for each connection. A reply
     * is one write, so Nagle's algorithm could only delay it. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    r = pool_join(w, l);
    if (r < 0) {
        free(l);
        return r;
    }
    r = wp_io_add(w->loop, &l->io, WP_IO_READ);
    if (r < 0) {
        pool_leave(w, l);
        free(l);
        return r;
    }
    *ret = &l->l;
    return 0;
}

void wp_stream_swap(struct wp_listener *listener, struct wp_group *g)
{
    struct wp_stream *l = (struct wp_stream *)listener;

    l->l.group = g;
    if (wp_timer_is_set(&l->retry))
        resume_accept(l); /* limits may have grown */
}

void wp_stream_left(struct wp_stream *l)
{
    l->n_conns--;
    if (wp_timer_is_set(&l->retry))
        resume_accept(l);
    if (l->draining && l->n_conns == 0 && l->closed != NULL)
        wp_loop_defer(l->l.worker->loop, &l->closed_task);
}

static void stop_accepting(struct wp_stream *l)
{
    wp_timer_cancel(&l->retry);
    if (l->io.fd < 0)
        return;
    wp_io_del(&l->io);
    close(l->io.fd);
    l->io.fd = -1;
}

void wp_stream_drain(struct wp_listener *listener, void (*closed)(void *arg), void *arg)
{
    struct wp_stream *l = (struct wp_stream *)listener;
    struct wp_link *at, *next;

    for (unsigned i = 0; i < WP_STREAM_ACCEPT_LAST && accept_one(l); i++)
        ;
    stop_accepting(l);
    l->draining = true;
    l->closed = closed;
    l->closed_arg = arg;
    for (at = l->conns.next; at != &l->conns; at = next) {
        next = at->next;
        wp_conn_drain(WP_CONTAINER(at, struct wp_stream_conn, all));
    }
    if (l->n_conns == 0)
        wp_loop_defer(l->l.worker->loop, &l->closed_task);
}

void wp_stream_close(struct wp_listener *listener)
{
    struct wp_stream *l = (struct wp_stream *)listener;

    if (l == NULL)
        return;
    l->closed = NULL;
    while (wp_link_is_in(&l->conns))
        wp_conn_end(WP_CONTAINER(l->conns.next, struct wp_stream_conn, all));
    stop_accepting(l);
    wp_task_cancel(l->l.worker->loop, &l->closed_task);
    pool_leave(l->l.worker, l);
    free(l);
}
