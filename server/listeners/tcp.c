/* DNS over TCP and, the same inside TLS, over DoT: messages behind a two-octet length, any
 * number outstanding up to the limit, answered as they get ready (RFC 7766). A reply that stands
 * at once is made in the output buffer itself. */
#include <stdlib.h>

#include "server/listeners/tcp_priv.h"
#include "waypost/base/rd.h"
#include "waypost/server/guard.h"

enum {
    PREFIX = WP_DNS_PREFIX,
    NS_PER_MS = 1000 * 1000,
    STARVED_RETRY_NS = 10 * NS_PER_MS, /* no query to be had: look again */
};

static uint64_t now_of(const struct wp_conn *c)
{
    return wp_loop_now(c->worker->loop);
}

static uint32_t now_ms_of(const struct wp_conn *c)
{
    return (uint32_t)(now_of(c) / NS_PER_MS);
}

void wp_dns_is_idle(struct wp_conn *c, struct wp_dns_stream *d)
{
    d->idle_since_ms = now_ms_of(c);
    wp_conn_deadline(c, now_of(c) + wp_guard_idle_ns(wp_conn_group(c)));
}

/* The deadline was set when more connections were open than now: this one may stay longer. */
static bool stays_idle(struct wp_conn *c, const struct wp_dns_stream *d)
{
    uint64_t idle = wp_guard_idle_ns(wp_conn_group(c));
    uint64_t for_ns = (uint64_t)(uint32_t)(now_ms_of(c) - d->idle_since_ms) * NS_PER_MS;

    if (!d->any || d->partial || for_ns >= idle)
        return false;
    wp_conn_deadline(c, now_of(c) + idle - for_ns);
    return true;
}

void wp_dns_close_when_done(struct wp_conn *c, struct wp_dns_stream *d)
{
    if (d->finishing && d->outstanding == 0)
        wp_conn_close(c);
}

/* --- input --------------------------------------------------------------------------------- */

/* May another message be taken up? Otherwise the connection is paused. */
static bool has_place(struct wp_conn *c, struct wp_dns_stream *d, struct wp_query **q)
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
static void set_deadline(struct wp_conn *c, struct wp_dns_stream *d, size_t used, size_t left)
{
    const struct wp_limits *limits = &wp_conn_group(c)->limits;

    if (d->starved || c->closed)
        return;
    if (d->full || d->finishing) {
        d->partial = false;
        wp_conn_deadline(c, d->take_due_ns);
    } else if (left > 0) {
        if ((used > 0 || !d->partial) && d->any)
            wp_conn_deadline(c, now_of(c) + limits->read_ns);
        d->partial = true;
    } else {
        d->partial = false;
        if (d->outstanding > 0)
            wp_conn_deadline(c, d->take_due_ns);
        else
            wp_dns_is_idle(c, d);
    }
}

/* The messages in data; returns the octets used, or negative. */
static int run_messages(struct wp_conn *c, struct wp_dns_stream *d, const uint8_t *data, size_t len,
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
        if (wp_dns_ask(c, d, q, data + at + PREFIX, n) < 0)
            return WP_ELIMIT;
        at += PREFIX + n;
        if (d->late != NULL)
            wp_dns_finish_late(d);
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
    struct wp_dns_stream *d = c->state;
    struct wp_query *q = NULL;
    int used = run_messages(c, d, data, len, &q);

    if (q != NULL)
        wp_query_put(q);
    if (used < 0)
        return used;
    if (c->draining && !d->full && !d->starved)
        d->finishing = true; /* everything read before the end has been taken up */
    set_deadline(c, d, (size_t)used, len - (size_t)used);
    wp_dns_close_when_done(c, d);
    return used;
}

/* --- the rest of a connection's life ------------------------------------------------------- */

static int dns_start(struct wp_conn *c)
{
    struct wp_dns_stream *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return WP_ELIMIT;
    c->state = d;
    wp_conn_deadline(c, now_of(c) + wp_conn_group(c)->limits.read_ns);
    return 0;
}

static void dns_eof(struct wp_conn *c)
{
    struct wp_dns_stream *d = c->state;

    d->finishing = true;
    d->partial = false;
    wp_conn_deadline(c, d->take_due_ns);
    wp_dns_close_when_done(c, d);
}

static void dns_writable(struct wp_conn *c)
{
    struct wp_dns_stream *d = c->state;

    if (WP_UNLIKELY(d->sending != NULL))
        wp_conn_more(c);
    if (!d->full || d->finishing || d->outstanding >= wp_conn_group(c)->limits.pipeline)
        return;
    d->full = false;
    wp_conn_resume(c);
}

/* While a zone transfer waits for the client; when it has waited for too long nothing else helps.
 */
static bool takes_its_time(struct wp_conn *c, struct wp_dns_stream *d)
{
    if (d->sending == NULL)
        return false;
    if (now_of(c) < d->take_due_ns) {
        wp_conn_deadline(c, d->take_due_ns);
        return true;
    }
    wp_guard_refused(wp_conn_group(c), c->worker->index, WP_LIMIT_WRITE_TIME);
    wp_conn_abort(c);
    return true;
}

static void dns_timeout(struct wp_conn *c)
{
    struct wp_dns_stream *d = c->state;

    if (d->starved) {
        d->starved = false;
        wp_conn_resume(c);
        return;
    }
    if (!d->partial && takes_its_time(c, d))
        return;
    if (stays_idle(c, d))
        return;
    wp_guard_refused(wp_conn_group(c), c->worker->index,
                     d->any && !d->partial ? WP_LIMIT_IDLE_TIME : WP_LIMIT_READ_TIME);
    /* what was asked before an unfinished message is still answered */
    d->finishing = true;
    d->partial = false;
    wp_conn_pause(c);
    wp_conn_deadline(c, d->take_due_ns);
    wp_dns_close_when_done(c, d);
}

static void dns_drain(struct wp_conn *c)
{
    struct wp_dns_stream *d = c->state;

    wp_dns_drain_waiting(d);
    if (d->full || d->starved)
        return; /* messages wait here: dns_input finishes when they are taken up */
    d->finishing = true;
    wp_conn_pause(c);
    wp_dns_close_when_done(c, d);
}

static void dns_stop(struct wp_conn *c)
{
    struct wp_dns_stream *d = c->state;

    wp_dns_cancel_all(d);
    c->state = NULL;
    free(d);
}

const struct wp_conn_proto wp_dns_tcp = {
    .start = dns_start,
    .input = dns_input,
    .eof = dns_eof,
    .writable = dns_writable,
    .more = wp_dns_send_more,
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
    .more = wp_dns_send_more,
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
