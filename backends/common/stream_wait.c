#include "backends/common/stream_wait.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "waypost/tls/tls.h"

#define MS 1000000u
enum { PIECE = 16384 };

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int wp_stream_wait_for(const struct wp_stream_wait *s, int fd, short events)
{
    struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = s->stop_fd, .events = POLLIN}};

    for (;;) {
        uint64_t now = now_ns();
        int left_ms = now >= s->end_ns ? 0 : (int)((s->end_ns - now + MS - 1) / MS);
        int n = poll(fds, 2, left_ms);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0 && fds[1].revents != 0)
            return -ECANCELED;
        if (n > 0)
            return 0;
        if (n == 0 && now_ns() >= s->end_ns)
            return -ETIMEDOUT;
    }
}

static int send_all(struct wp_stream_wait *s, const uint8_t *data, size_t len, size_t *ret_sent)
{
    *ret_sent = 0;
    while (*ret_sent < len) {
        ssize_t n = send(s->fd, data + *ret_sent, len - *ret_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        int r = 0;

        if (n > 0)
            *ret_sent += (size_t)n;
        else if (errno == EAGAIN)
            r = wp_stream_wait_for(s, s->fd, POLLOUT);
        else if (errno != EINTR)
            r = -errno;
        if (r < 0)
            return r;
    }
    return 0;
}

static int recv_some(struct wp_stream_wait *s, void *buf, size_t len)
{
    for (;;) {
        ssize_t n = recv(s->fd, buf, len, MSG_DONTWAIT);
        int r = 0;

        if (n > 0)
            return (int)n;
        if (n == 0)
            return WP_ECLOSED;
        if (errno == EAGAIN)
            r = wp_stream_wait_for(s, s->fd, POLLIN);
        else if (errno != EINTR)
            r = -errno;
        if (r < 0)
            return r;
    }
}

/* --- TLS ------------------------------------------------------------------------------------ */

static int tls_broken(struct wp_stream_wait *s)
{
    snprintf(s->why, sizeof(s->why), "%s", wp_tls_error(s->tls));
    return WP_ETLS;
}

static int tls_flush(struct wp_stream_wait *s)
{
    for (;;) {
        size_t len, sent;
        const uint8_t *data = wp_tls_pending(s->tls, &len);
        int r;

        if (len == 0)
            return 0;
        r = send_all(s, data, len, &sent);
        wp_tls_sent(s->tls, sent);
        if (r < 0)
            return r;
    }
}

static int tls_feed(struct wp_stream_wait *s)
{
    uint8_t cipher[PIECE];
    int n = recv_some(s, cipher, sizeof(cipher));

    return n < 0 ? n : wp_tls_feed(s->tls, cipher, (size_t)n);
}

int wp_stream_wait_tls(struct wp_stream_wait *s, struct wp_tls_ctx *ctx, const char *name)
{
    int done = 0, r = wp_tls_conn_new(ctx, name, &s->tls);

    while (r == 0) {
        int flushed;

        done = wp_tls_handshake(s->tls);
        flushed = tls_flush(s); /* an alert, when it has failed */
        if (done < 0)
            return tls_broken(s);
        if (flushed < 0 || done > 0)
            return flushed;
        r = tls_feed(s);
    }
    return r;
}

/* --- octets --------------------------------------------------------------------------------- */

int wp_stream_wait_write(struct wp_stream_wait *s, const void *data, size_t len)
{
    size_t sent;

    if (s->tls == NULL)
        return send_all(s, data, len, &sent);
    if (wp_tls_write(s->tls, data, len) < 0)
        return tls_broken(s);
    return tls_flush(s);
}

int wp_stream_wait_read(struct wp_stream_wait *s, void *buf, size_t len)
{
    if (s->tls == NULL)
        return recv_some(s, buf, len);
    for (;;) {
        int n = wp_tls_read(s->tls, buf, len), r;

        if (n > 0 || n == WP_ECLOSED)
            return n;
        if (n < 0)
            return tls_broken(s);
        r = tls_flush(s);
        if (r == 0)
            r = tls_feed(s);
        if (r < 0)
            return r;
    }
}

void wp_stream_wait_done(struct wp_stream_wait *s)
{
    if (s->tls != NULL) {
        wp_tls_close(s->tls);
        (void)!tls_flush(s); /* waits no longer than the rest */
    }
    wp_tls_conn_free(s->tls);
    s->tls = NULL;
}
