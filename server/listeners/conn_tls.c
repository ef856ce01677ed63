/* The TLS layer of a connection: ciphertext from the socket to plaintext for the protocol. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/listeners/stream_priv.h"
#include "waypost/base/err.h"
#include "waypost/tls/tls.h"

int wp_conn_tls_start(struct wp_stream_conn *s)
{
    return wp_tls_conn_new(wp_conn_group(&s->c)->tls, NULL, &s->tls);
}

bool wp_conn_tls_may_step(struct wp_stream_conn *s)
{
    struct wp_stream_pool *p = s->c.worker->stream;

    if (p->handshakes >= WP_STREAM_HANDSHAKES)
        return false;
    if (p->handshakes++ == 0)
        wp_loop_defer(s->c.worker->loop, &p->next_turn);
    return true;
}

void wp_conn_tls_next_turn(struct wp_task *task)
{
    WP_CONTAINER(task, struct wp_stream_pool, next_turn)->handshakes = 0;
}

static void settled(struct wp_stream_conn *s)
{
    if (!wp_link_is_in(&s->half_open))
        return;
    wp_link_remove(&s->half_open);
    s->c.worker->stream->n_half_open--;
}

/* Who never answers our flight must not hold more memory than the others leave: the one that has
 * kept us waiting longest goes. A peer that is there answers within a round trip. */
static void half_open(struct wp_stream_conn *s)
{
    struct wp_stream_pool *p = s->c.worker->stream;
    struct wp_stream_conn *oldest;

    if (wp_link_is_in(&s->half_open))
        return;
    wp_link_append(&p->half_open, &s->half_open);
    if (++p->n_half_open <= WP_STREAM_HALF_OPEN)
        return;
    oldest = WP_CONTAINER(p->half_open.next, struct wp_stream_conn, half_open);
    wp_guard_refused(wp_conn_group(&oldest->c), p->worker->index, WP_LIMIT_HANDSHAKES);
    wp_guard_handshake(wp_conn_group(&oldest->c), p->worker->index, WP_GUARD_TLS_FAILED);
    settled(oldest);
    wp_conn_abort(&oldest->c);
}

static void failed(struct wp_stream_conn *s)
{
    if (s->phase == WP_CONN_HANDSHAKE)
        wp_guard_handshake(wp_conn_group(&s->c), s->c.worker->index, WP_GUARD_TLS_FAILED);
    s->tls_broken = true; /* the alert goes, close_notify does not */
    wp_conn_close(&s->c);
}

/* Names that queries point at live as long as the connection's memory, not as its TLS. */
static int copy_names(struct wp_stream_conn *s)
{
    const char *sni = wp_tls_server_name(s->tls);

    s->c.tls_peer = wp_tls_peer(s->tls);
    if (sni == NULL)
        return 0;
    s->name = strdup(sni);
    s->c.server_name = s->name;
    return s->name != NULL ? 0 : -ENOMEM;
}

static void ready(struct wp_stream_conn *s)
{
    struct wp_conn *c = &s->c;

    settled(s);
    wp_guard_handshake(wp_conn_group(c), c->worker->index,
                       wp_tls_is_resumed(s->tls) ? WP_GUARD_TLS_RESUMED : WP_GUARD_TLS_FULL);
    c->alpn = wp_tls_alpn(s->tls);
    if (copy_names(s) < 0) {
        wp_guard_refused(wp_conn_group(c), c->worker->index, WP_LIMIT_MEMORY);
        wp_conn_abort(c);
        return;
    }
    wp_conn_start(s);
}

void wp_conn_tls_pump(struct wp_stream_conn *s)
{
    uint8_t *plain = s->c.worker->stream->plain + WP_STREAM_LEFT_MAX;
    int r = 1;

    while (r > 0 && !s->paused && !s->c.closed) {
        size_t n = 0;

        while (n < WP_STREAM_READ) {
            r = wp_tls_read(s->tls, plain + n, WP_STREAM_READ - n);
            if (r <= 0)
                break;
            n += (size_t)r;
        }
        if (n > 0)
            wp_conn_deliver(s, plain, n);
    }
    if (s->c.closed || r >= 0)
        return;
    if (r == WP_ECLOSED && !s->paused)
        wp_conn_eof(s);
    else if (r != WP_ECLOSED)
        failed(s);
}

void wp_conn_tls_input(struct wp_stream_conn *s, const uint8_t *data, size_t len)
{
    if (wp_tls_feed(s->tls, data, len) < 0) {
        wp_guard_refused(wp_conn_group(&s->c), s->c.worker->index, WP_LIMIT_MEMORY);
        wp_conn_abort(&s->c);
        return;
    }
    if (s->phase == WP_CONN_HANDSHAKE) {
        int r = wp_tls_handshake(s->tls);

        if (r < 0)
            failed(s);
        else if (r == 0)
            half_open(s);
        if (r <= 0)
            return;
        ready(s);
    }
    if (!s->c.closed)
        wp_conn_tls_pump(s);
}

void wp_conn_tls_done(struct wp_stream_conn *s)
{
    settled(s);
    wp_tls_conn_free(s->tls);
    s->tls = NULL;
    s->c.alpn = "";
}
