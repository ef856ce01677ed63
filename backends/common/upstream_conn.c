/* Connections to upstreams: kept, shared by many queries, opened when none is free. */
#include "backends/common/upstream_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "waypost/plugin/metric.h"
#include "waypost/tls/tls.h"

#define SECOND 1000000000ll
enum {
    CONNS_USUAL = 8, /* opened as long as no idle one is there; then queries share them */
    CONNS_MAX = 64,  /* for upstreams that do not take several queries at a time */
    READS = 4,       /* of one connection in one turn */
    DOH_S = 2,       /* a DoH try, from its start */
};

static void conn_close(struct wp_up_conn *c);

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

static void hold(struct wp_up_conn *c)
{
    c->busy++;
}

static void release(struct wp_up_conn *c)
{
    if (--c->busy == 0 && c->phase == WP_UP_CLOSED)
        conn_free(c);
}

/* Nothing is open on it. */
static void conn_close(struct wp_up_conn *c)
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
static void conn_broken(struct wp_up_conn *c, int err, const char *why)
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
    hold(c);
    c->draining = true; /* what is asked from done() goes elsewhere */
    while (c->waiting != NULL)
        wp_up_try_end(c->waiting, &o);
    for (unsigned i = 0; i < WP_UP_ID_BUCKETS; i++) {
        while (c->bucket[i] != NULL)
            wp_up_try_end(c->bucket[i], &o);
    }
    conn_close(c);
    release(c);
}

static void dial_failed(struct wp_up_conn *c, int err)
{
    conn_broken(c, err, wp_up_why(c->local->up, "dial", "tcp", -1, err));
}

static void read_failed(struct wp_up_conn *c, int err)
{
    if (err == WP_ECLOSED)
        conn_broken(c, err, "EOF");
    else
        conn_broken(c, err, wp_up_why(c->local->up, "read", "tcp", c->io.fd, err));
}

static void tls_failed(struct wp_up_conn *c)
{
    static _Thread_local char why[200];

    snprintf(why, sizeof(why), "tls: %s", wp_tls_error(c->tls));
    conn_broken(c, WP_ETLS, why);
}

/* --- output -------------------------------------------------------------------------------- */

size_t wp_up_conn_backlog(const struct wp_up_conn *c)
{
    size_t cipher = 0;

    if (c->tls != NULL)
        (void)wp_tls_pending(c->tls, &cipher);
    return c->out.len + cipher;
}

static int send_octets(struct wp_up_conn *c, const uint8_t *data, size_t len)
{
    ssize_t n;

    do
        n = send(c->io.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    return (int)n;
}

/* Ciphertext, or the plain octets. 1: all gone, 0: the socket is full. */
static int write_out(struct wp_up_conn *c)
{
    for (;;) {
        size_t len = c->out.len;
        const uint8_t *data =
            c->tls != NULL ? wp_tls_pending(c->tls, &len) : wp_octets_view(&c->out);
        int n;

        if (len == 0)
            return 1;
        n = send_octets(c, data, len);
        if (n <= 0)
            return n;
        if (c->tls != NULL)
            wp_tls_sent(c->tls, (size_t)n);
        else
            wp_octets_drop(&c->out, (size_t)n);
    }
}

static void flush_now(struct wp_up_conn *c)
{
    int r = 0;

    if (c->phase == WP_UP_OPEN && c->proto->output != NULL)
        r = c->proto->output(c);
    if (r == 0 && c->phase == WP_UP_OPEN && c->tls != NULL && c->out.len > 0) {
        r = wp_tls_write(c->tls, wp_octets_view(&c->out), c->out.len);
        if (r < 0) {
            tls_failed(c);
            return;
        }
        wp_octets_clear(&c->out);
    }
    if (r >= 0)
        r = write_out(c);
    if (r < 0)
        read_failed(c, r);
    else
        wp_io_set(&c->io, r > 0 ? WP_IO_READ : WP_IO_READ | WP_IO_WRITE);
}

static void on_flush(struct wp_task *task)
{
    struct wp_up_conn *c = (struct wp_up_conn *)((char *)task - offsetof(struct wp_up_conn, flush));

    hold(c);
    flush_now(c);
    release(c);
}

void wp_up_conn_flush_later(struct wp_up_conn *c)
{
    c->flush.fn = on_flush;
    wp_loop_defer(c->local->here->loop, &c->flush);
}

/* --- tries on it ----------------------------------------------------------------------- */

static void on_try_timer(struct wp_timer *t);

/* The query goes out: now its reply is waited for. */
static int send_query(struct wp_up_conn *c, struct wp_up_try *x)
{
    uint64_t now_ns = wp_loop_now(x->loop);
    int r = c->proto->send(c, x);

    if (r < 0)
        return r;
    x->state = WP_TRY_SENT;
    if (x->wait_ns > 0)
        x->due_ns = now_ns + x->wait_ns;
    else if (c->local->up->kind == WP_UPSTREAM_HTTPS)
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

static void wait_for_open(struct wp_up_conn *c, struct wp_up_try *x)
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

static unsigned idle_conns(const struct wp_up_local *l)
{
    unsigned n = 0;

    for (const struct wp_up_conn *c = l->conns; c != NULL; c = c->next)
        n += c->phase == WP_UP_OPEN && c->open == 0;
    return n;
}

/* How many idle ones this loop may keep of the bound for all. */
static unsigned idle_max(const struct wp_up_local *l)
{
    int64_t max = l->up->profile->max_idle, workers = l->up->set->n_loops - 1;

    if (max == 0)
        return UINT32_MAX;
    return (unsigned)(max > workers ? max / workers : 1);
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
    if (c->phase != WP_UP_OPEN || c->draining || idle_conns(c->local) > idle_max(c->local))
        conn_close(c);
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
        r = send_query(c, x);
        if (r < 0) /* back where the clean-up finds it */
            wp_up_try_link(&c->bucket[0], x);
    }
    if (r < 0)
        conn_broken(c, r, r == WP_EUNSUPPORTED ? "upstream does not speak HTTP/2" : wp_strerror(r));
}

static void handshake(struct wp_up_conn *c)
{
    int r = wp_tls_handshake(c->tls);

    if (r < 0) {
        (void)write_out(c); /* the alert */
        tls_failed(c);
        return;
    }
    wp_up_conn_flush_later(c);
    if (r > 0)
        opened(c);
}

static void connected(struct wp_up_conn *c)
{
    struct wp_upstream *u = c->local->up;
    struct wp_tls_ctx *ctx = u->kind == WP_UPSTREAM_HTTPS ? u->profile->https : u->profile->tls;
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
    if (u->kind == WP_UPSTREAM_DNS) {
        opened(c);
        return;
    }
    r = wp_tls_conn_new(ctx, u->verify, &c->tls);
    if (r < 0) {
        conn_broken(c, r, "tls: no connection object");
        return;
    }
    c->phase = WP_UP_HANDSHAKE;
    handshake(c);
}

static void on_dial_timer(struct wp_timer *t)
{
    struct wp_up_conn *c = (struct wp_up_conn *)((char *)t - offsetof(struct wp_up_conn, timer));

    dial_failed(c, WP_ETIMEOUT);
}

/* --- input --------------------------------------------------------------------------------- */

static void deliver(struct wp_up_conn *c, const uint8_t *data, size_t len)
{
    const char *why = "malformed";
    bool kept = c->in.len > 0;
    int r;

    c->heard_ns = wp_loop_now(c->local->here->loop);
    if (kept) {
        r = wp_octets_append(&c->in, data, len);
        if (r < 0) {
            conn_broken(c, r, "out of memory");
            return;
        }
        data = wp_octets_view(&c->in);
        len = c->in.len;
    }
    r = c->proto->input(c, data, len, &why);
    if (c->phase == WP_UP_CLOSED)
        return;
    if (r >= 0 && kept)
        wp_octets_drop(&c->in, (size_t)r);
    else if (r >= 0 && (size_t)r < len)
        r = wp_octets_append(&c->in, data + r, len - (size_t)r);
    if (r < 0)
        conn_broken(c, r, why);
}

static void deliver_tls(struct wp_up_conn *c, const uint8_t *data, size_t len)
{
    struct wp_up_here *h = c->local->here;
    int r = wp_tls_feed(c->tls, data, len);

    if (r < 0) {
        conn_broken(c, r, "out of memory");
        return;
    }
    if (c->phase == WP_UP_HANDSHAKE)
        handshake(c);
    while (c->phase == WP_UP_OPEN) {
        r = wp_tls_read(c->tls, h->plain, WP_UP_STREAM_READ);
        if (r <= 0)
            break;
        deliver(c, h->plain, (size_t)r);
    }
    if (c->phase != WP_UP_OPEN)
        return;
    if (r == WP_ECLOSED)
        read_failed(c, r);
    else if (r < 0)
        tls_failed(c);
    else
        wp_up_conn_flush_later(c); /* what TLS itself wants to say */
}

static bool make_buffers(struct wp_up_here *h)
{
    if (h->read == NULL)
        h->read = malloc(WP_UP_STREAM_READ);
    if (h->plain == NULL)
        h->plain = malloc(WP_UP_STREAM_READ);
    return h->read != NULL && h->plain != NULL;
}

static void readable(struct wp_up_conn *c)
{
    uint8_t *buf = c->local->here->read;

    for (int i = 0; i < READS && c->phase != WP_UP_CLOSED; i++) {
        ssize_t n = recv(c->io.fd, buf, WP_UP_STREAM_READ, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0)
            read_failed(c, -errno);
        else if (n == 0)
            read_failed(c, WP_ECLOSED);
        else if (c->tls != NULL)
            deliver_tls(c, buf, (size_t)n);
        else
            deliver(c, buf, (size_t)n);
        if (n < WP_UP_STREAM_READ)
            return;
    }
}

static void on_event(struct wp_io *io, uint32_t events)
{
    struct wp_up_conn *c = (struct wp_up_conn *)((char *)io - offsetof(struct wp_up_conn, io));

    hold(c);
    if (c->phase == WP_UP_DIALING) {
        connected(c);
    } else {
        if (events & (WP_IO_READ | WP_IO_ERROR | WP_IO_HANGUP))
            readable(c);
        if (c->phase != WP_UP_CLOSED && (events & WP_IO_WRITE))
            flush_now(c);
    }
    release(c);
}

/* --- choosing ------------------------------------------------------------------------------ */

static int conn_new(struct wp_up_local *l, struct wp_up_conn **ret)
{
    struct wp_up_conn *c = make_buffers(l->here) ? calloc(1, sizeof(*c)) : NULL;
    struct wp_up_conn **at = &l->conns;
    int r;

    if (c == NULL)
        return -ENOMEM;
    c->io = (struct wp_io){.fd = wp_up_connect(l->up, SOCK_STREAM), .fn = on_event};
    r = c->io.fd < 0 ? c->io.fd : wp_io_add(l->here->loop, &c->io, WP_IO_READ | WP_IO_WRITE);
    if (r < 0) {
        if (c->io.fd >= 0)
            close(c->io.fd);
        free(c);
        return r;
    }
    c->local = l;
    c->proto = l->up->kind == WP_UPSTREAM_HTTPS ? &wp_up_h2_proto : &wp_up_dns_proto;
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

static bool is_worn(const struct wp_up_conn *c, uint64_t now_ns)
{
    const struct wp_upstream_profile *p = c->local->up->profile;

    return (c->open == 0 && c->phase == WP_UP_OPEN &&
            now_ns - c->used_ns > (uint64_t)p->expire_ns) ||
           (p->max_age_ns > 0 && now_ns - c->born_ns > (uint64_t)p->max_age_ns);
}

/* Worn ones take no more queries; NULL: open another one. */
static struct wp_up_conn *choose(struct wp_up_local *l)
{
    uint64_t now_ns = wp_loop_now(l->here->loop);
    bool h2 = l->up->kind == WP_UPSTREAM_HTTPS;
    struct wp_up_conn *best = NULL, *next;

    for (struct wp_up_conn *c = l->conns; c != NULL; c = next) {
        next = c->next;
        if (is_worn(c, now_ns)) {
            c->draining = true;
            if (c->open == 0)
                conn_close(c);
            continue;
        }
        if (c->draining || wp_up_conn_backlog(c) > WP_UP_OUT_MAX ||
            (c->proto->room != NULL && c->phase == WP_UP_OPEN && c->open >= c->proto->room(c)))
            continue;
        if (best == NULL || c->open < best->open)
            best = c;
    }
    if (best == NULL || best->open == 0 || l->n_conns >= CONNS_MAX)
        return best;
    if (h2)
        return best;
    return l->n_conns < CONNS_USUAL || best->open >= l->depth ? NULL : best;
}

int wp_up_conn_ask(struct wp_up_local *l, struct wp_up_try *x, const char **ret_why)
{
    struct wp_up_conn *c = choose(l);
    bool worker = l->here->index < l->up->set->n_loops - 1;
    enum wp_up_proto proto = l->up->kind == WP_UPSTREAM_DNS ? WP_UP_TCP : WP_UP_TLS;
    int r = 0;

    if (worker)
        wp_metric_add(c != NULL ? l->up->hits[proto] : l->up->misses[proto], l->here->index, 1);
    if (c == NULL)
        r = l->n_conns < CONNS_MAX ? conn_new(l, &c) : WP_ELIMIT;
    if (r == 0) {
        x->via = c;
        c->open++;
        if (c->phase != WP_UP_OPEN)
            wait_for_open(c, x);
        else
            r = send_query(c, x);
        if (r < 0)
            c->open--;
    }
    if (r < 0)
        *ret_why = r == WP_ELIMIT ? "too many connections to the upstream"
                                  : wp_up_why(l->up, "dial", "tcp", -1, r);
    return r;
}

/* --- looking after ------------------------------------------------------------------------- */

bool wp_up_conn_sweep(struct wp_up_local *l, uint64_t now_ns)
{
    struct wp_up_conn *next;

    for (struct wp_up_conn *c = l->conns; c != NULL; c = next) {
        next = c->next;
        if (!is_worn(c, now_ns))
            continue;
        c->draining = true;
        if (c->open == 0)
            conn_close(c);
    }
    return l->conns != NULL;
}

bool wp_up_conn_is_open(const struct wp_up_local *l)
{
    for (const struct wp_up_conn *c = l->conns; c != NULL; c = c->next) {
        if (c->open > 0)
            return true;
    }
    return false;
}

void wp_up_conn_close_all(struct wp_up_local *l)
{
    while (l->conns != NULL)
        conn_close(l->conns);
}
