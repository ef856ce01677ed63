/* What goes through a connection to an upstream: octets of the protocol, with TLS or without. */
#include "backends/common/upstream_conn.h"

#include <errno.h>
#include <sys/socket.h>

#include "waypost/tls/tls.h"

enum { READS = 4 }; /* of one connection in one turn */

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
int wp_up_conn_write_out(struct wp_up_conn *c)
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
            wp_up_conn_tls_failed(c);
            return;
        }
        wp_octets_clear(&c->out);
    }
    if (r >= 0)
        r = wp_up_conn_write_out(c);
    if (r < 0)
        wp_up_conn_read_failed(c, r);
    else
        wp_io_set(&c->io, r > 0 ? WP_IO_READ : WP_IO_READ | WP_IO_WRITE);
}

static void on_flush(struct wp_task *task)
{
    struct wp_up_conn *c = (struct wp_up_conn *)((char *)task - offsetof(struct wp_up_conn, flush));

    wp_up_conn_hold(c);
    flush_now(c);
    wp_up_conn_release(c);
}

void wp_up_conn_flush_later(struct wp_up_conn *c)
{
    c->flush.fn = on_flush;
    wp_loop_defer(c->local->here->loop, &c->flush);
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
            wp_up_conn_broken(c, r, "out of memory");
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
        wp_up_conn_broken(c, r, why);
}

static void deliver_tls(struct wp_up_conn *c, const uint8_t *data, size_t len)
{
    struct wp_up_here *h = c->local->here;
    int r = wp_tls_feed(c->tls, data, len);

    if (r < 0) {
        wp_up_conn_broken(c, r, "out of memory");
        return;
    }
    if (c->phase == WP_UP_HANDSHAKE)
        wp_up_conn_handshake(c);
    while (c->phase == WP_UP_OPEN) {
        r = wp_tls_read(c->tls, h->plain, WP_UP_STREAM_READ);
        if (r <= 0)
            break;
        deliver(c, h->plain, (size_t)r);
    }
    if (c->phase != WP_UP_OPEN)
        return;
    if (r == WP_ECLOSED)
        wp_up_conn_read_failed(c, r);
    else if (r < 0)
        wp_up_conn_tls_failed(c);
    else
        wp_up_conn_flush_later(c); /* what TLS itself wants to say */
}

static void readable(struct wp_up_conn *c)
{
    uint8_t *buf = c->local->here->read;

    for (int i = 0; i < READS && c->phase != WP_UP_CLOSED; i++) {
        ssize_t n = recv(c->io.fd, buf, WP_UP_STREAM_READ, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0)
            wp_up_conn_read_failed(c, -errno);
        else if (n == 0)
            wp_up_conn_read_failed(c, WP_ECLOSED);
        else if (c->tls != NULL)
            deliver_tls(c, buf, (size_t)n);
        else
            deliver(c, buf, (size_t)n);
        if (n < WP_UP_STREAM_READ)
            return;
    }
}

void wp_up_conn_on_event(struct wp_io *io, uint32_t events)
{
    struct wp_up_conn *c = (struct wp_up_conn *)((char *)io - offsetof(struct wp_up_conn, io));

    wp_up_conn_hold(c);
    if (c->phase == WP_UP_DIALING) {
        wp_up_conn_connected(c);
    } else {
        if (events & (WP_IO_READ | WP_IO_ERROR | WP_IO_HANGUP))
            readable(c);
        if (c->phase != WP_UP_CLOSED && (events & WP_IO_WRITE))
            flush_now(c);
    }
    wp_up_conn_release(c);
}
