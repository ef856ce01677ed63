/* From the socket to the protocol: one read for each wake-up into the worker's buffer, then the
 * PROXY header, TLS, and the protocol. Octets that make no whole message yet are kept by the
 * connection, everything else leaves nothing behind. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "server/listeners/proxy.h"
#include "server/listeners/stream_priv.h"

/* --- the protocol -------------------------------------------------------------------------- */

void wp_conn_start(struct wp_stream_conn *s)
{
    s->phase = WP_CONN_OPEN;
    s->due_ns = 0;
    if (!wp_guard_client(wp_conn_group(&s->c), s->c.worker->index, &s->c.client, &s->slot)) {
        wp_conn_abort(&s->c);
        return;
    }
    if (s->c.proto->start(&s->c) < 0)
        wp_conn_close(&s->c);
    else
        s->started = true;
}

/* Keep the last `rest` octets of data. */
static void keep(struct wp_stream_conn *s, const uint8_t *data, size_t len, size_t rest)
{
    struct wp_octets *left = &s->left;

    if (left->len > 0 && rest == len) { /* the front is there already */
        data += left->len;
        rest -= left->len;
    } else {
        data += len - rest;
        left->at = left->len = 0;
    }
    if (rest > 0 && wp_octets_append(left, data, rest) < 0) {
        wp_guard_refused(wp_conn_group(&s->c), s->c.worker->index, WP_LIMIT_MEMORY);
        wp_conn_abort(&s->c);
    }
    wp_octets_drop(left, 0); /* frees it when empty */
}

/* input() on one run of octets; returns what it consumed. */
static size_t consume(struct wp_stream_conn *s, const uint8_t *data, size_t len)
{
    int used;

    s->want = 0;
    used = s->c.proto->input(&s->c, data, len);
    if (used < 0)
        wp_conn_close(&s->c);
    return used < 0 || s->c.closed ? len : (size_t)used;
}

void wp_conn_deliver(struct wp_stream_conn *s, uint8_t *data, size_t len)
{
    size_t used = 0;

    if (s->left.len + len < s->want || s->paused) {
        if (wp_octets_append(&s->left, data, len) < 0)
            wp_conn_abort(&s->c);
        return;
    }
    if (s->left.len > WP_STREAM_LEFT_MAX) { /* a protocol that waits for more has a limit below */
        wp_guard_refused(wp_conn_group(&s->c), s->c.worker->index, WP_LIMIT_MEMORY);
        wp_conn_abort(&s->c);
        return;
    }
    data -= s->left.len; /* there is as much space before the buffer */
    len += s->left.len;
    if (s->left.len > 0)
        memcpy(data, wp_octets_view(&s->left), s->left.len);
    used = consume(s, data, len);
    if (s->left.len > 0 || used < len)
        keep(s, data, len, len - used);
}

void wp_conn_redeliver(struct wp_stream_conn *s)
{
    s->redeliver = false;
    if (s->phase != WP_CONN_OPEN || s->paused || s->c.closed)
        return;
    if (s->left.len > 0 && s->left.len >= s->want)
        wp_octets_drop(&s->left, consume(s, wp_octets_view(&s->left), s->left.len));
    if (s->tls != NULL && !s->paused && !s->c.closed)
        wp_conn_tls_pump(s);
}

void wp_conn_eof(struct wp_stream_conn *s)
{
    s->eof = true;
    if (s->phase != WP_CONN_OPEN) {
        wp_conn_abort(&s->c);
        return;
    }
    if (!s->c.closed)
        s->c.proto->eof(&s->c);
}

/* --- PROXY --------------------------------------------------------------------------------- */

/* The socket's addresses stand below; the header changes what everybody else sees. */
static void believe(struct wp_stream_conn *s, const struct wp_proxy_header *h)
{
    struct wp_conn *c = &s->c;

    if (h->local)
        return;
    c->client = h->client;
    c->local = h->dest;
    if (h->tlv_len == 0)
        return;
    s->tlv = malloc(h->tlv_len);
    if (s->tlv == NULL) {
        wp_conn_abort(c);
        return;
    }
    memcpy(s->tlv, h->tlv, h->tlv_len);
    c->proxy_tlv = s->tlv;
    c->proxy_tlv_len = h->tlv_len;
}

/* Octets of the header at the start of data; 0 when it is not whole (kept) or refused. *ret_done
 * says whether the layer is through. */
static size_t proxy_input(struct wp_stream_conn *s, const uint8_t *data, size_t len, bool *ret_done)
{
    enum wp_proxy_default policy = wp_proxy_policy(&wp_conn_group(&s->c)->proxy, &s->c.peer);
    struct wp_proxy_header h;
    int r = wp_proxy_parse(data, len, &h);

    *ret_done = r > 0 || r == WP_ENOTFOUND;
    if (r == WP_EMALFORMED || (r > 0 && policy == WP_PROXY_REJECT)) {
        *ret_done = false;
        wp_conn_abort(&s->c);
    } else if (r > 0 && policy == WP_PROXY_USE) {
        believe(s, &h);
    }
    return r > 0 ? (size_t)r : 0;
}

/* --- layers -------------------------------------------------------------------------------- */

void wp_conn_open_layers(struct wp_stream_conn *s)
{
    const struct wp_group *g = wp_conn_group(&s->c);

    if (g->tls == NULL) {
        wp_conn_start(s);
        return;
    }
    s->phase = WP_CONN_HANDSHAKE;
    s->c.encrypted = true;
    wp_conn_deadline(&s->c, wp_stream_now(s) + g->limits.handshake_ns);
    if (wp_conn_tls_start(s) < 0)
        wp_conn_abort(&s->c);
}

static void proxy_layer(struct wp_stream_conn *s, uint8_t *data, size_t len)
{
    bool done;
    size_t used;

    if (s->left.len > 0) {
        data -= s->left.len;
        memcpy(data, wp_octets_view(&s->left), s->left.len);
        len += s->left.len;
    }
    used = proxy_input(s, data, len, &done);
    if (s->c.closed)
        return;
    if (!done) {
        keep(s, data, len, len);
        return;
    }
    wp_octets_clear(&s->left);
    wp_conn_open_layers(s);
    if (len == used || s->c.closed)
        return;
    if (s->tls != NULL)
        wp_conn_tls_input(s, data + used, len - used);
    else
        wp_conn_deliver(s, data + used, len - used);
}

/* After our FIN: read on, so that the kernel does not answer the peer's octets with an RST that
 * would make it lose our last replies (RFC 7766 s6.2.4). */
static void linger_read(struct wp_stream_conn *s)
{
    ssize_t n = recv(s->io.fd, s->c.worker->stream->wire, WP_STREAM_READ, 0);

    if (n > 0)
        s->lingered += (uint32_t)n;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ||
        s->lingered > WP_STREAM_LINGER_MAX)
        s->abort = true;
}

void wp_conn_read(struct wp_stream_conn *s)
{
    struct wp_stream_pool *p = s->c.worker->stream;
    bool sealed = s->tls != NULL;
    uint8_t *buf = sealed ? p->wire : p->plain + WP_STREAM_LEFT_MAX;
    ssize_t n;

    if (s->phase == WP_CONN_LINGER) {
        linger_read(s);
        return;
    }
    if (s->eof || s->paused || s->c.closed)
        return;
    if (s->phase == WP_CONN_HANDSHAKE && !wp_conn_tls_may_step(s))
        return;
    n = recv(s->io.fd, buf, WP_STREAM_READ, 0);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            wp_conn_abort(&s->c);
    } else if (n == 0) {
        wp_conn_eof(s);
    } else if (sealed) {
        wp_conn_tls_input(s, buf, (size_t)n);
    } else if (s->phase == WP_CONN_PROXY) {
        proxy_layer(s, buf, (size_t)n);
    } else {
        wp_conn_deliver(s, buf, (size_t)n);
    }
}
