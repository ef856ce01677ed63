/* One probe: a connection, for HTTP a question and the first octets of what comes back. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/common/health_probe_priv.h"

enum { REQUEST_MAX = WP_PROBE_PATH_MAX + WP_ADDR_TEXT_MAX + 96 };

void wp_probe_stop(struct wp_probe_target *t)
{
    if (t->io.fd < 0)
        return;
    wp_timer_cancel(&t->deadline);
    wp_io_del(&t->io);
    close(t->io.fd);
    t->io.fd = -1;
}

static void finish(struct wp_probe_target *t, enum wp_probe_result r)
{
    wp_probe_stop(t);
    wp_probe_done(t, r);
}

static enum wp_probe_result result_of(int e)
{
    switch (e) {
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
        return WP_PROBE_REFUSED;
    case ETIMEDOUT:
        return WP_PROBE_TIMEOUT;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EACCES:
    case EPERM:
        return WP_PROBE_UNREACHABLE;
    default:
        return WP_PROBE_LOCAL; /* descriptors, memory, ports */
    }
}

/* "HTTP/1.x NNN" */
static enum wp_probe_result status_of(const char reply[WP_PROBE_STATUS_LEN])
{
    const char *digits = reply + WP_PROBE_STATUS_LEN - 3;

    if (memcmp(reply, "HTTP/1.", 7) != 0 || reply[8] != ' ')
        return WP_PROBE_REPLY;
    for (unsigned i = 0; i < 3; i++)
        if (digits[i] < '0' || digits[i] > '9')
            return WP_PROBE_REPLY;
    return digits[0] == '2' || digits[0] == '3' ? WP_PROBE_OK : WP_PROBE_STATUS;
}

static void receive(struct wp_probe_target *t)
{
    ssize_t n = recv(t->io.fd, t->reply + t->got, sizeof(t->reply) - t->got, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        finish(t, n < 0 ? result_of(errno) : WP_PROBE_REPLY);
        return;
    }
    t->got += (size_t)n;
    if (t->got == sizeof(t->reply))
        finish(t, status_of(t->reply));
}

/* The request is made anew for each piece: all but always there is one. */
static void ask(struct wp_probe_target *t)
{
    char text[REQUEST_MAX], host[WP_ADDR_TEXT_MAX];
    int len = snprintf(text, sizeof(text),
                       "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: waypost\r\nAccept: */*\r\n"
                       "Connection: close\r\n\r\n",
                       t->path, wp_addr_text(&t->spec.to, host));
    ssize_t n = send(t->io.fd, text + t->sent, (size_t)len - t->sent, MSG_NOSIGNAL);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        finish(t, result_of(errno));
        return;
    }
    t->sent += (size_t)n;
    if (t->sent == (size_t)len)
        wp_io_set(&t->io, WP_IO_READ);
}

/* A port that nobody listens on may be the one that the connection itself was given. */
static bool is_own(int fd)
{
    struct sockaddr_storage a, b;
    struct wp_addr own, other;
    socklen_t len = sizeof(a);

    if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return false;
    len = sizeof(b);
    if (getpeername(fd, (struct sockaddr *)&b, &len) < 0)
        return false;
    wp_addr_from_sockaddr((struct sockaddr *)&a, &own);
    wp_addr_from_sockaddr((struct sockaddr *)&b, &other);
    return wp_addr_equal(&own, &other);
}

static void on_io(struct wp_io *io, uint32_t events)
{
    struct wp_probe_target *t =
        (struct wp_probe_target *)(void *)((char *)io - offsetof(struct wp_probe_target, io));
    int e = 0;
    socklen_t len = sizeof(e);

    if (io->events & WP_IO_READ) {
        receive(t);
        return;
    }
    if (t->sent == 0 && getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
        e = errno;
    if (e != 0)
        finish(t, result_of(e));
    else if (t->spec.kind == WP_PROBE_TCP)
        finish(t, events & (WP_IO_ERROR | WP_IO_HANGUP) || is_own(io->fd) ? WP_PROBE_REFUSED
                                                                          : WP_PROBE_OK);
    else
        ask(t);
}

static void too_late(struct wp_timer *timer)
{
    finish((struct wp_probe_target *)(void *)((char *)timer -
                                              offsetof(struct wp_probe_target, deadline)),
           WP_PROBE_TIMEOUT);
}

void wp_probe_start(struct wp_probe_target *t, uint64_t timeout_ns)
{
    struct sockaddr_storage to;
    socklen_t len = wp_addr_to_sockaddr(&t->spec.to, &to);
    int r = 0;

    t->sent = t->got = 0;
    t->io.fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    t->io.fn = on_io;
    if (t->io.fd < 0 ||
        (connect(t->io.fd, (struct sockaddr *)&to, len) < 0 && errno != EINPROGRESS))
        r = errno;
    if (r == 0)
        r = -wp_io_add(t->loop, &t->io, WP_IO_WRITE);
    if (r != 0) {
        finish(t, result_of(r));
        return;
    }
    t->deadline.fn = too_late;
    wp_timer_set(t->loop, &t->deadline, wp_loop_clock(t->loop) + timeout_ns);
}
