/* DNS over TCP and, the same inside TLS, over DoT: messages behind a two-octet length, any
 * number outstanding up to the limit, answered as they get ready (RFC 7766). A reply that stands
 * at once is made in the output buffer itself. */
#include <stdlib.h>
#include <string.h>

#include "server/listeners/conn_priv.h"
#include "server/listeners/tcp_priv.h"
#include "waypost/base/rd.h"
#include "waypost/base/wr.h"
#include "waypost/server/guard.h"

enum {
    PREFIX = 2,
    REPLY_MIN = 512 + WP_REPLY_SPARE, /* the least the router wants to write into */
    REPLY_MAX = WP_MSG_MAX + WP_REPLY_SPARE,
    STARVED_RETRY_NS = 10 * 1000 * 1000, /* no query to be had: look again */
};

/* A query that waits for its answer; lives in the query's arena. */
struct waiting {
    struct wp_conn *conn; /* held */
    struct dns_conn *d;   /* NULL: the connection is gone */
    struct wp_query *q;
    struct waiting *next, **prev;
};

struct dns_conn {
    unsigned outstanding;
    int64_t n_read; /* messages, for maxtcpqueries */
    struct waiting *waiting;
    struct waiting *late; /* done while another query ran: see on_done */
    bool any;             /* the first message is complete */
    bool partial;         /* a message has begun; its deadline runs */
    bool finishing;       /* no more input: close when nothing is outstanding */
    bool full;            /* paused: pipeline, or the peer does not read */
    bool starved;         /* paused: the worker has no query to spare */
    bool running;         /* inside wp_query_run */
};

static uint64_t now_of(const struct wp_conn *c)
{
    return wp_loop_now(c->worker->loop);
}

static void close_when_done(struct wp_conn *c, struct dns_conn *d)
{
    if (d->finishing && d->outstanding == 0)
        wp_conn_close(c);
}

/* --- one message --------------------------------------------------------------------------- */

static void send_reply(struct wp_conn *c, const struct wp_query *q)
{
    uint8_t prefix[PREFIX];
    uint8_t *room;

    if (q->out_len == 0)
        return;
    room = wp_conn_room(c, PREFIX + q->out_len);
    if (room == NULL) {
        wp_guard_refused(wp_conn_group(c), c->worker->index, WP_LIMIT_MEMORY);
        wp_conn_abort(c);
        return;
    }
    wp_put16(prefix, q->out_len);
    memcpy(room, prefix, PREFIX);
    memcpy(room + PREFIX, q->out, q->out_len);
    wp_conn_commit(c, PREFIX + q->out_len);
}

static void unlink_waiting(struct waiting *w)
{
    *w->prev = w->next;
    if (w->next != NULL)
        w->next->prev = w->prev;
}

static void link_waiting(struct waiting **list, struct waiting *w)
{
    w->next = *list;
    w->prev = list;
    if (w->next != NULL)
        w->next->prev = &w->next;
    *list = w;
}

/* The connection has a place again, or nothing to do. */
static void after_answer(struct wp_conn *c, struct dns_conn *d)
{
    const struct wp_limits *limits = &wp_conn_group(c)->limits;

    d->outstanding--;
    if (d->full && !d->finishing && !wp_conn_is_congested(c) && d->outstanding < limits->pipeline) {
        d->full = false;
        wp_conn_resume(c);
    }
    if (d->outstanding == 0 && !d->partial && !d->starved)
        wp_conn_deadline(c, now_of(c) + limits->idle_ns);
    close_when_done(c, d);
}

static void finish_waiting(struct waiting *w)
{
    struct wp_conn *c = w->conn;
    struct dns_conn *d = w->d;
    struct wp_query *q = w->q;

    if (d != NULL) {
        unlink_waiting(w);
        if (!c->closed) {
            send_reply(c, q);
            after_answer(c, d);
        }
    }
    wp_query_put(q);
    wp_conn_unref(c);
}

static void on_done(struct wp_query *q)
{
    struct waiting *w = q->owner;

    if (w->d != NULL && w->d->running) {
        /* Another query of this connection runs and writes its reply at the end of the output
         * buffer: ours must not go there now. */
        struct dns_conn *d = w->d;

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

/* It waits: the list finds it when the connection goes away. */
static int keep_waiting(struct wp_conn *c, struct dns_conn *d, struct wp_query *q)
{
    struct waiting *w = wp_arena_alloc(q->arena, sizeof(*w));

    if (w == NULL) {
        q->done = on_done_alone;
        wp_query_cancel(q);
        return -1;
    }
    *w = (struct waiting){.conn = c, .d = d, .q = q};
    q->owner = w;
    link_waiting(&d->waiting, w);
    d->outstanding++;
    wp_conn_ref(c);
    return 0;
}

static void describe(struct wp_conn *c, struct wp_query *q)
{
    q->transport = c->encrypted ? WP_DOT : WP_TCP;
    q->stream = true;
    q->encrypted = c->encrypted;
    q->draining = c->draining;
    q->client = c->client;
    q->local = c->local;
    q->peer = c->peer;
    q->tls_server_name = c->server_name;
    q->tls_client = c->peer_name;
    q->tls_verified = c->peer_verified;
    q->proxy_tlv = c->proxy_tlv;
    q->proxy_tlv_len = c->proxy_tlv_len;
    q->route = wp_conn_group(c)->route;
    q->start_ns = now_of(c);
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

/* Runs one message in *q; on WAIT the query is gone from there. Negative: close. */
static int ask(struct wp_conn *c, struct dns_conn *d, struct wp_query **at, const uint8_t *msg,
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
    if (q->out_len > 0 && q->out == room + PREFIX) {
        wp_put16(room, q->out_len);
        wp_conn_commit(c, PREFIX + q->out_len);
    } else {
        send_reply(c, q);
    }
    wp_query_reset(q);
    return 0;
}

/* --- input --------------------------------------------------------------------------------- */

/* May another message be taken up? Otherwise the connection is paused. */
static bool has_place(struct wp_conn *c, struct dns_conn *d, struct wp_query **q)
{
    const struct wp_limits *limits = &wp_conn_group(c)->limits;

    if (d->finishing)
        return false;
    if (d->outstanding >= limits->pipeline || wp_conn_is_congested(c)) {
        if (!d->full && d->outstanding >= limits->pipeline)
            wp_guard_refused(wp_conn_group(c), c->worker->index, WP_LIMIT_PIPELINE);
        d->full = true;
        wp_conn_pause(c);
        return false;
    }
    if (*q == NULL)
        *q = wp_query_get(c->worker);
    if (*q == NULL) {
        wp_guard_refused(wp_conn_group(c), c->worker->index, WP_LIMIT_IN_FLIGHT);
        d->starved = true;
        wp_conn_pause(c);
        wp_conn_deadline(c, now_of(c) + STARVED_RETRY_NS);
        return false;
    }
    return true;
}

/* The deadline is for a message, not for an octet: dripping does not move it. */
static void set_deadline(struct wp_conn *c, struct dns_conn *d, size_t used, size_t left)
{
    const struct wp_limits *limits = &wp_conn_group(c)->limits;

    if (d->starved || c->closed)
        return;
    if (d->full || d->finishing) {
        d->partial = false;
        wp_conn_deadline(c, 0);
    } else if (left > 0) {
        if ((used > 0 || !d->partial) && d->any)
            wp_conn_deadline(c, now_of(c) + limits->read_ns);
        d->partial = true;
    } else {
        d->partial = false;
        wp_conn_deadline(c, d->outstanding > 0 ? 0 : now_of(c) + limits->idle_ns);
    }
}

/* Messages done while another ran. */
static void finish_late(struct dns_conn *d)
{
    while (d->late != NULL)
        finish_waiting(d->late);
}

/* The messages in data; returns the octets used, or negative. */
static int run_messages(struct wp_conn *c, struct dns_conn *d, const uint8_t *data, size_t len,
                        struct wp_query **q)
{
    size_t at = 0;

    while (len - at >= PREFIX) {
        size_t n = wp_be16(data + at);

        if (n < WP_HEADER_LEN)
            return WP_EMALFORMED; /* nothing to mirror: close without a reply */
        if (len - at - PREFIX < n) {
            wp_conn_want(c, PREFIX + n);
            break;
        }
        if (!has_place(c, d, q))
            break;
        d->any = true;
        if (ask(c, d, q, data + at + PREFIX, n) < 0)
            return WP_ELIMIT;
        at += PREFIX + n;
        if (d->late != NULL)
            finish_late(d);
        if (c->closed)
            break;
        if (++d->n_read == wp_conn_group(c)->limits.max_queries) {
            d->finishing = true;
            wp_conn_pause(c);
        }
    }
    return (int)at;
}

static int dns_input(struct wp_conn *c, const uint8_t *data, size_t len)
{
    struct dns_conn *d = c->state;
    struct wp_query *q = NULL;
    int used = run_messages(c, d, data, len, &q);

    if (q != NULL)
        wp_query_put(q);
    if (used < 0)
        return used;
    if (c->draining && !d->full && !d->starved)
        d->finishing = true; /* everything read before the end has been taken up */
    set_deadline(c, d, (size_t)used, len - (size_t)used);
    close_when_done(c, d);
    return used;
}

/* --- the rest of a connection's life ------------------------------------------------------- */

static int dns_start(struct wp_conn *c)
{
    struct dns_conn *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return WP_ELIMIT;
    c->state = d;
    wp_conn_deadline(c, now_of(c) + wp_conn_group(c)->limits.read_ns);
    return 0;
}

static void dns_eof(struct wp_conn *c)
{
    struct dns_conn *d = c->state;

    d->finishing = true;
    d->partial = false;
    wp_conn_deadline(c, 0);
    close_when_done(c, d);
}

static void dns_writable(struct wp_conn *c)
{
    struct dns_conn *d = c->state;

    if (!d->full || d->finishing || d->outstanding >= wp_conn_group(c)->limits.pipeline)
        return;
    d->full = false;
    wp_conn_resume(c);
}

static void dns_timeout(struct wp_conn *c)
{
    struct dns_conn *d = c->state;

    if (d->starved) {
        d->starved = false;
        wp_conn_resume(c);
        return;
    }
    wp_guard_refused(wp_conn_group(c), c->worker->index,
                     d->any && !d->partial ? WP_LIMIT_IDLE_TIME : WP_LIMIT_READ_TIME);
    /* what was asked before an unfinished message is still answered */
    d->finishing = true;
    wp_conn_pause(c);
    close_when_done(c, d);
}

static void dns_drain(struct wp_conn *c)
{
    struct dns_conn *d = c->state;

    for (struct waiting *w = d->waiting; w != NULL; w = w->next)
        w->q->draining = true; /* their answers say keepalive 0 too */
    if (d->full || d->starved)
        return; /* messages wait here: dns_input finishes when they are taken up */
    d->finishing = true;
    wp_conn_pause(c);
    close_when_done(c, d);
}

static void dns_stop(struct wp_conn *c)
{
    struct dns_conn *d = c->state;

    while (d->waiting != NULL) {
        struct waiting *w = d->waiting;

        unlink_waiting(w);
        w->d = NULL;
        wp_query_cancel(w->q); /* on_done follows, now or later */
    }
    finish_late(d);
    c->state = NULL;
    free(d);
}

const struct wp_conn_proto wp_dns_tcp = {
    .start = dns_start,
    .input = dns_input,
    .eof = dns_eof,
    .writable = dns_writable,
    .timeout = dns_timeout,
    .drain = dns_drain,
    .stop = dns_stop,
};
const struct wp_conn_proto wp_dns_dot = {
    .alpn = "dot",
    .start = dns_start,
    .input = dns_input,
    .eof = dns_eof,
    .writable = dns_writable,
    .timeout = dns_timeout,
    .drain = dns_drain,
    .stop = dns_stop,
};

static int tcp_open(struct wp_worker *w, struct wp_group *g, int fd, struct wp_listener **ret)
{
    return wp_stream_open(w, g, fd, &wp_listener_tcp, &wp_dns_tcp, ret);
}

const struct wp_listener_ops wp_listener_tcp = {
    .name = "tcp",
    .transport = WP_TCP,
    .open = tcp_open,
    .swap = wp_stream_swap,
    .drain = wp_stream_drain,
    .close = wp_stream_close,
};
