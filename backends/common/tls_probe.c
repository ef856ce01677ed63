#include "backends/common/tls_probe.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "waypost/tls/tls.h"

/* What a client of HTTP/2 says first, and an empty SETTINGS. */
#define HELLO "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
enum { HELLO_LEN = sizeof(HELLO) - 1, SETTINGS = 4, RECORD_ALERT = 0x15, RECORD_HANDSHAKE = 0x16 };

/* One connection of a probe. */
struct line {
    int fd, cancel;
    uint64_t until_ms;
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* False: the time is over, or nobody wants to know. */
static bool wait_for(const struct line *l, short events)
{
    struct pollfd fds[2] = {{.fd = l->fd, .events = events}, {.fd = l->cancel, .events = POLLIN}};
    uint64_t now = now_ms();
    int n;

    do
        n = now < l->until_ms ? poll(fds, 2, (int)(l->until_ms - now)) : 0;
    while (n < 0 && errno == EINTR && (now = now_ms()) > 0);
    return n > 0 && fds[1].revents == 0 && fds[0].revents != 0;
}

static bool open_line(const struct wp_tls_probe *p, uint64_t until_ms, struct line *l)
{
    int e = 0;
    socklen_t len = sizeof(e);

    *l = (struct line){.cancel = p->cancel, .until_ms = until_ms};
    l->fd = socket(p->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return false;
    if (connect(l->fd, (const struct sockaddr *)&p->addr, p->addr_len) == 0)
        return true;
    if (errno == EINPROGRESS && wait_for(l, POLLOUT) &&
        getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &e, &len) == 0 && e == 0)
        return true;
    close(l->fd);
    l->fd = -1;
    return false;
}

static bool put(const struct line *l, const uint8_t *p, size_t len)
{
    while (len > 0) {
        ssize_t n = send(l->fd, p, len, MSG_NOSIGNAL);
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        } else if (n < 0 && errno != EINTR && (errno != EAGAIN || !wait_for(l, POLLOUT))) {
            return false;
        }
    }
    return true;
}

/* Octets; 0: the other side has ended it; -1: time, cancelled, reset. */
static ssize_t get(const struct line *l, uint8_t *to, size_t len)
{
    for (;;) {
        ssize_t n = recv(l->fd, to, len, 0);
        if (n >= 0)
            return n;
        if (errno == ECONNRESET)
            return 0;
        if (errno != EINTR && (errno != EAGAIN || !wait_for(l, POLLIN)))
            return -1;
    }
}

static bool send_pending(const struct line *l, struct wp_tls_conn *c)
{
    size_t len;
    const uint8_t *out = wp_tls_pending(c, &len);
    bool sent = len == 0 || put(l, out, len);

    wp_tls_sent(c, len);
    return sent;
}

/* --- the first octets of the other side --------------------------------------------------------
 */

static bool is_http2(const uint8_t *p, ssize_t n)
{
    return n >= 4 && p[3] == SETTINGS;
}

/* What it says to a client of HTTP/2 that uses no TLS. */
static ssize_t ask_plain(const struct wp_tls_probe *p, uint64_t until_ms, uint8_t first[64])
{
    struct line l;
    ssize_t n = -1;

    if (!open_line(p, until_ms, &l))
        return -1;
    if (put(&l, (const uint8_t *)HELLO, HELLO_LEN))
        n = get(&l, first, 64);
    close(l.fd);
    return n;
}

/* Does it answer a TLS client? One of our own: whom it would trust makes no difference. */
static bool speaks_tls(const struct wp_tls_probe *p, uint64_t until_ms)
{
    static const struct wp_tls_client_config any = {.alpn = "h2"};
    struct wp_tls_ctx *ctx = NULL;
    struct wp_tls_conn *c = NULL;
    char why[WP_TLS_ERR_MAX];
    uint8_t first[64];
    ssize_t n = 0;
    struct line l;

    if (wp_tls_client_new(&any, why, &ctx) < 0 || wp_tls_conn_new(ctx, p->name, &c) < 0) {
        wp_tls_ctx_unref(ctx);
        return false;
    }
    if (open_line(p, until_ms, &l)) {
        if (wp_tls_handshake(c) == 0 && send_pending(&l, c))
            n = get(&l, first, sizeof(first));
        close(l.fd);
    }
    wp_tls_conn_free(c);
    wp_tls_ctx_unref(ctx);
    return n > 0 && (first[0] == RECORD_HANDSHAKE || first[0] == RECORD_ALERT);
}

static int probe_plain(const struct wp_tls_probe *p, uint64_t until_ms, char why[WP_TLS_PROBE_WHY])
{
    uint8_t first[64];
    ssize_t n = ask_plain(p, until_ms, first);

    if (n < 0 || is_http2(first, n))
        return WP_ENOTFOUND;
    if (speaks_tls(p, until_ms))
        snprintf(why, WP_TLS_PROBE_WHY, "the server speaks TLS: the endpoint should be https");
    else if (n == 0)
        return WP_ENOTFOUND;
    else
        snprintf(why, WP_TLS_PROBE_WHY, "the server does not speak HTTP/2");
    return 0;
}

/* --- TLS ------------------------------------------------------------------------------------- */

static int say(char why[WP_TLS_PROBE_WHY], const char *text, const char *detail)
{
    snprintf(why, WP_TLS_PROBE_WHY, "%.60s%.90s", text, detail);
    return 0;
}

static int explain(const struct wp_tls_probe *p, struct wp_tls_conn *c, char why[WP_TLS_PROBE_WHY])
{
    const char *error = wp_tls_error(c), *alert = strstr(error, "alert ");

    if (alert == NULL) {
        snprintf(why, WP_TLS_PROBE_WHY, "TLS handshake with %.60s: the server's %.60s", p->name,
                 error);
        return 0;
    }
    return p->has_cert ? say(why, "the server refuses our client certificate: ", alert)
                       : say(why, "the server wants a client certificate: ", alert);
}

/* Until the handshake is over or has failed. 1: it stands; else the outcome. */
static int shake_hands(const struct wp_tls_probe *p, const struct line *l, struct wp_tls_conn *c,
                       char why[WP_TLS_PROBE_WHY])
{
    uint8_t in[4096], first[64];
    bool heard = false;
    int r;

    while ((r = wp_tls_handshake(c)) == 0) {
        ssize_t n = send_pending(l, c) ? get(l, in, sizeof(in)) : 0;
        if (n < 0)
            return heard ? WP_ENOTFOUND : say(why, "the server does not answer to TLS", "");
        if (n == 0 && !heard && is_http2(first, ask_plain(p, l->until_ms, first)))
            return say(why, "the server speaks no TLS: the endpoint should be http", "");
        if (n == 0)
            return say(why, "the server ends the connection during the TLS handshake", "");
        if (!heard && in[0] != RECORD_HANDSHAKE && in[0] != RECORD_ALERT)
            return say(why, "the server speaks no TLS: the endpoint should be http", "");
        heard = true;
        if (wp_tls_feed(c, in, (size_t)n) < 0)
            return WP_ENOTFOUND;
    }
    (void)send_pending(l, c);
    return r > 0 ? 1 : explain(p, c, why);
}

/* The handshake stands; since TLS 1.3 a server may still refuse our certificate. */
static int look_after(const struct wp_tls_probe *p, const struct line *l, struct wp_tls_conn *c,
                      char why[WP_TLS_PROBE_WHY])
{
    uint8_t in[4096], out[64];

    if (strcmp(wp_tls_alpn(c), "h2") != 0)
        return say(why, "the server does not speak HTTP/2 over TLS", "");
    if (wp_tls_write(c, HELLO, HELLO_LEN) < 0 || !send_pending(l, c))
        return WP_ENOTFOUND;
    for (;;) {
        ssize_t n = get(l, in, sizeof(in));
        int r;
        if (n < 0)
            return WP_ENOTFOUND;
        if (n == 0)
            return p->has_cert ? say(why, "the server ends the connection: it may refuse our ",
                                     "client certificate")
                               : say(why, "the server ends the connection: it may want a ",
                                     "client certificate");
        if (wp_tls_feed(c, in, (size_t)n) < 0)
            return WP_ENOTFOUND;
        r = wp_tls_read(c, out, sizeof(out));
        if (r == WP_ETLS)
            return explain(p, c, why);
        if (r != 0)
            return WP_ENOTFOUND;
    }
}

static int probe_tls(const struct wp_tls_probe *p, uint64_t until_ms, char why[WP_TLS_PROBE_WHY])
{
    struct wp_tls_conn *c = NULL;
    struct line l;
    int r;

    if (!open_line(p, until_ms, &l))
        return WP_ENOTFOUND;
    r = wp_tls_conn_new(p->ctx, p->name, &c);
    if (r == 0)
        r = shake_hands(p, &l, c, why);
    if (r == 1)
        r = look_after(p, &l, c, why);
    wp_tls_conn_free(c);
    close(l.fd);
    return r;
}

int wp_tls_probe(const struct wp_tls_probe *p, char why[WP_TLS_PROBE_WHY])
{
    uint64_t until_ms = now_ms() + WP_TLS_PROBE_MS;
    int r = p->ctx != NULL ? probe_tls(p, until_ms, why) : probe_plain(p, until_ms, why);

    return r == 0 ? 0 : WP_ENOTFOUND;
}
