/* A connection to an upstream: from its dial to its end, and the queries on it. */
#include "backends/common/upstream_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "waypost/tls/tls.h"

#define SECOND 1000000000ll
enum { DOH_S = 2 }; /* a try over HTTP/2, from its start */

/* --- dial timeout -------------------------------------------------------------------------- */

static uint64_t dial_timeout(const struct wp_upstream *u)
{
    int64_t avg = atomic_load_explicit(&u->dial_avg_ns, memory_order_relaxed);

    if (avg < SECOND)
        return SECOND;
    return (uint64_t)(avg < 15 * SECOND ? 2 * avg : 30 * SECOND);
}

/* The average moves a quarter of the way; a lost update among loops does no harm. */
static void dial_took(struct wp_up_conn *c)
{
    struct wp_upstream *u = c->local->up;
    int64_t avg = atomic_load_explicit(&u->dial_avg_ns, memory_order_relaxed);
    int64_t took = (int64_t)(wp_loop_now(c->local->here->loop) - c->born_ns);

    atomic_store_explicit(&u->dial_avg_ns, avg + (took - avg) / 4, memory_order_relaxed);
}

/* --- end of a connection ------------------------------------------------------------------- */

static void conn_free(struct wp_up_conn *c)
{
    if (c->state != NULL)
        c->proto->stop(c); /* never from within its own callbacks */
    wp_octets_clear(&c->in);
    wp_octets_clear(&c->out);
    wp_tls_conn_free(c->tls);
    free(c);
}

void wp_up_conn_hold(struct wp_up_conn *c)
{
    c->busy++;
}

void wp_up_conn_release(struct wp_up_conn *c)
{
    if (--c->busy == 0 && c->phase == WP_UP_CLOSED)
        conn_free(c);
}

/* Nothing is open on it. */
void wp_up_conn_close(struct wp_up_conn *c)
{
    struct wp_up_local *l = c->local;

    if (c->phase == WP_UP_CLOSED)
        return;
    if (c->phase == WP_UP_OPEN && c->tls != NULL) {
        size_t len;
        const uint8_t *bye;

        wp_tls_close(c->tls);
        bye = wp_tls_pending(c->tls, &len);
        if (len > 0)
            (void)!send(c->io.fd, bye, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    c->phase = WP_UP_CLOSED;
    wp_io_del(&c->io);
    close(c->io.fd);
    wp_timer_cancel(&c->timer);
    wp_task_cancel(l->here->loop, &c->flush);
    *c->prev = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    l->n_conns--;
    if (c->busy == 0)
        conn_free(c);
}

/* A peer that hangs up on queries although it has answered others may not like several at a
 * time. */
static void note_hang_up(struct wp_up_conn *c)
{
    struct wp_up_local *l = c->local;

    if (c->replies > 0 && c->open > 1 && l->depth > 1) {
        unsigned met = c->open < l->depth ? c->open : l->depth;

        l->depth = met > 3 ? met / 2 : 1;
    }
}

/* The connection is of no use: everything on it fails. */
void wp_up_conn_broken(struct wp_up_conn *c, int err, const char *why)
{
    bool again = c->phase == WP_UP_OPEN && c->replies > 0;
    char text[WP_UP_WHY_MAX]; /* done() may make another one where `why` lies */
    struct wp_outcome o = {.err = err, .why = text, .again = again};

    if (c->phase == WP_UP_CLOSED)
        return;
    snprintf(text, sizeof(text), "%s", why);
    if (c->phase == WP_UP_OPEN)
        note_hang_up(c);
    else
        dial_took(c);
    wp_up_conn_hold(c);
    c->draining = true; /* what is asked from done() goes elsewhere */
    while (c->waiting != NULL)
        wp_up_try_end(c->waiting, &o);
    for (unsigned i = 0; i < WP_UP_ID_BUCKETS; i++) {
        while (c->bucket[i] != NULL)
            wp_up_try_end(c->bucket[i], &o);
    }
    wp_up_conn_close(c);
    wp_up_conn_release(c);
}

static void dial_failed(struct wp_up_conn *c, int err)
{
    wp_up_conn_broken(c, err, wp_up_why(c->local->up, "dial", "tcp", -1, err));
}

void wp_up_conn_read_failed(struct wp_up_conn *c, int err)
{
    if (err == WP_ECLOSED)
        wp_up_conn_broken(c, err, "EOF");
    else
        wp_up_conn_broken(c, err, wp_up_why(c->local->up, "read", "tcp", c->io.fd, err));
}

void wp_up_conn_tls_failed(struct wp_up_conn *c)
{
    static _Thread_local char why[200];

    snprintf(why, sizeof(why), "tls: %s", wp_tls_error(c->tls));
    wp_up_conn_broken(c, WP_ETLS, why);
}

/* --- tries on it --------------------------------------------------------------------------- */

static void on_try_timer(struct wp_timer *t);

/* The query goes out: now its reply is waited for. */
int wp_up_conn_send(struct wp_up_conn *c, struct wp_up_try *x)
{
    uint64_t now_ns = wp_loop_now(x->loop);
    int r = c->proto->send(c, x);

    if (r < 0)
        return r;
    x->state = WP_TRY_SENT;
    if (x->wait_ns > 0)
        x->due_ns = now_ns + x->wait_ns;
    else if (wp_up_is_h2(c->local->up))
        x->due_ns = x->asked_ns + DOH_S * (uint64_t)SECOND;
    else
        x->due_ns = now_ns + (uint64_t)c->local->up->profile->read_timeout_ns;
    if (x->due_ns > x->deadline_ns)
        x->due_ns = x->deadline_ns;
    x->timer.fn = on_try_timer;
    wp_timer_set(x->loop, &x->timer, x->due_ns);
    wp_up_conn_flush_later(c);
    return 0;
}

void wp_up_conn_wait(struct wp_up_conn *c, struct wp_up_try *x)
{
    x->next = NULL;
    x->prev = c->waiting_end;
    *c->waiting_end = x;
    c->waiting_end = &x->next;
    x->state = WP_TRY_SETUP;
    x->due_ns = x->setup_ns < x->deadline_ns ? x->setup_ns : x->deadline_ns;
    x->timer.fn = on_try_timer;
    wp_timer_set(x->loop, &x->timer, x->due_ns);
}

static void on_try_timer(struct wp_timer *t)
{
    struct wp_up_try *x = (struct wp_up_try *)((char *)t - offsetof(struct wp_up_try, timer));
    struct wp_up_conn *c = x->via;
    bool setup = x->state == WP_TRY_SETUP;

    /* A connection that has been silent since the query went out is not worth another one. */
    if (!setup && c->heard_ns <= x->asked_ns)
        c->draining = true;
    wp_up_try_fail(
        x, WP_ETIMEOUT,
        wp_up_why(x->up, setup ? "dial" : "read", "tcp", setup ? -1 : c->io.fd, WP_ETIMEOUT));
}

void wp_up_conn_cancel(struct wp_up_try *x)
{
    struct wp_up_conn *c = x->via;
    bool waiting = x->state == WP_TRY_SETUP;

    if (waiting && c->waiting_end == &x->next)
        c->waiting_end = x->prev;
    else if (!waiting && c->proto->cancel != NULL)
        c->proto->cancel(c, x);
    wp_up_try_unlink(x);
    c->used_ns = wp_loop_now(x->loop);
    if (--c->open > 0 || c->phase == WP_UP_CLOSED)
        return;
    /* Nobody waits for it to open, it is worn out, or there are enough like it. */
    if (c->phase != WP_UP_OPEN || c->draining || wp_up_conn_has_spare(c->local))
        wp_up_conn_close(c);
}

/* --- opening ------------------------------------------------------------------------------- */

static void opened(struct wp_up_conn *c)
{
    int r;

    dial_took(c);
    wp_timer_cancel(&c->timer);
    c->phase = WP_UP_OPEN;
    c->heard_ns = wp_loop_now(c->local->here->loop);
    r = c->proto->start(c);
    while (r == 0 && c->waiting != NULL) {
        struct wp_up_try *x = c->waiting;

        if (c->waiting_end == &x->next)
            c->waiting_end = x->prev;
        wp_up_try_unlink(x);
        r = wp_up_conn_send(c, x);
        if (r < 0) /* back where the clean-up finds it */
            wp_up_try_link(&c->bucket[0], x);
    }
    if (r < 0)
        wp_up_conn_broken(c, r, r == WP_EUNSUPPORTED ? "upstream does not speak HTTP/2" : wp_strerror(r));
}

void wp_up_conn_handshake(struct wp_up_conn *c)
{
    int r = wp_tls_handshake(c->tls);

    if (r < 0) {
        (void)wp_up_conn_write_out(c); /* the alert */
        wp_up_conn_tls_failed(c);
        return;
    }
    wp_up_conn_flush_later(c);
    if (r > 0)
        opened(c);
}

/* NULL: cleartext. */
static struct wp_tls_ctx *tls_of(const struct wp_upstream *u)
{
    if (u->kind == WP_UPSTREAM_DNS)
        return NULL;
    return u->kind == WP_UPSTREAM_TLS ? u->profile->tls : u->profile->https;
}

void wp_up_conn_connected(struct wp_up_conn *c)
{
    struct wp_upstream *u = c->local->up;
    struct wp_tls_ctx *ctx = tls_of(u);
    int err = 0, on = 1, r;
    socklen_t len = sizeof(err);

    if (getsockopt(c->io.fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        err = errno;
    if (err != 0) {
        dial_failed(c, -err);
        return;
    }
    setsockopt(c->io.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    wp_io_set(&c->io, WP_IO_READ);
    if (ctx == NULL) {
        opened(c);
        return;
    }
    r = wp_tls_conn_new(ctx, u->verify, &c->tls);
    if (r < 0) {
        wp_up_conn_broken(c, r, "tls: no connection object");
        return;
    }
    c->phase = WP_UP_HANDSHAKE;
    wp_up_conn_handshake(c);
}

static void on_dial_timer(struct wp_timer *t)
{
    struct wp_up_conn *c = (struct wp_up_conn *)((char *)t - offsetof(struct wp_up_conn, timer));

    dial_failed(c, WP_ETIMEOUT);
}

static bool make_buffers(struct wp_up_here *h)
{
    if (h->read == NULL)
        h->read = malloc(WP_UP_STREAM_READ);
    if (h->plain == NULL)
        h->plain = malloc(WP_UP_STREAM_READ);
    return h->read != NULL && h->plain != NULL;
}

int wp_up_conn_new(struct wp_up_local *l, struct wp_up_conn **ret)
{
    struct wp_up_conn *c = make_buffers(l->here) ? calloc(1, sizeof(*c)) : NULL;
    struct wp_up_conn **at = &l->conns;
    int r;

    if (c == NULL)
        return -ENOMEM;
    c->io = (struct wp_io){.fd = wp_up_connect(l->up, SOCK_STREAM), .fn = wp_up_conn_on_event};
    r = c->io.fd < 0 ? c->io.fd : wp_io_add(l->here->loop, &c->io, WP_IO_READ | WP_IO_WRITE);
    if (r < 0) {
        if (c->io.fd >= 0)
            close(c->io.fd);
        free(c);
        return r;
    }
    c->local = l;
    c->proto = wp_up_is_h2(l->up) ? &wp_up_h2_proto : &wp_up_dns_proto;
    c->waiting_end = &c->waiting;
    c->born_ns = c->used_ns = wp_loop_now(l->here->loop);
    c->next_id = wp_up_random(l->here);
    c->timer.fn = on_dial_timer;
    wp_timer_set(l->here->loop, &c->timer, c->born_ns + dial_timeout(l->up));
    while (*at != NULL)
        at = &(*at)->next;
    *at = c;
    c->prev = at;
    l->n_conns++;
    wp_up_sweep_later(l);
    *ret = c;
    return 0;
}
