#include "server/plugins/health/probe.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "waypost/base/text.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/metric.h"

#define SECOND UINT64_C(1000000000)
enum { INTERVAL_S = 1, LIMIT_S = 3, SLOW_S = 1 };

static const struct wp_family duration_family = {
    .name = "coredns_health_request_duration_seconds",
    .help = "Histogram of the time (in seconds) each request took.",
    .kind = WP_HISTOGRAM,
    .buckets = wp_slim_time_buckets,
    .n_buckets = WP_COUNT(wp_slim_time_buckets),
};
static const struct wp_family failures_family = {
    .name = "coredns_health_request_failures_total",
    .help = "The number of times the health check failed.",
    .kind = WP_COUNTER,
};

static void ask(struct health_probe *p);

static void on_next(struct wp_timer *t)
{
    ask((struct health_probe *)((char *)t - offsetof(struct health_probe, next)));
}

/* The question is over; why: what went wrong, or NULL. */
static void finish(struct health_probe *p, const char *why)
{
    uint64_t now = wp_loop_clock(p->loop), took = now - p->asked_ns;
    char text[32];

    wp_timer_cancel(&p->limit);
    wp_io_del(&p->io);
    if (p->io.fd >= 0)
        close(p->io.fd);
    p->io.fd = -1;
    wp_timer_set(p->loop, &p->next, p->asked_ns + INTERVAL_S * SECOND);
    if (why != NULL) {
        wp_metric_add(wp_metric_series(&failures_family, NULL), WP_METRIC_SHARED, 1);
        wp_log(WP_WARNING, "health", "Local health request to \"%s\" failed: %s", p->url, why);
        return;
    }
    wp_metric_observe(wp_metric_series(&duration_family, NULL), WP_METRIC_SHARED,
                      (double)took / 1e9);
    if (took > SLOW_S * SECOND) {
        wp_duration_text((int64_t)took, text);
        wp_log(WP_WARNING, "health", "Local health request to \"%s\" took more than 1s: %s", p->url,
               text);
    }
}

static void on_limit(struct wp_timer *t)
{
    finish((struct health_probe *)((char *)t - offsetof(struct health_probe, limit)),
           "request timed out after 3s");
}

static void send_request(struct health_probe *p)
{
    char request[256];
    int n = snprintf(request, sizeof(request),
                     "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");

    if (send(p->io.fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        finish(p, wp_strerror(-errno));
    else
        wp_io_set(&p->io, WP_IO_READ);
}

/* The head of the answer is enough; the rest is read to the end, as a client would. */
static void read_answer(struct health_probe *p)
{
    char buf[512];
    ssize_t n;

    while ((n = recv(p->io.fd, buf, sizeof(buf), 0)) > 0) {
        size_t room =
            sizeof(p->head) - 1 - (p->n_read < sizeof(p->head) ? p->n_read : sizeof(p->head) - 1);
        memcpy(p->head + sizeof(p->head) - 1 - room, buf, (size_t)n < room ? (size_t)n : room);
        p->n_read += (size_t)n;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0)
        finish(p, wp_strerror(-errno));
    else if (strncmp(p->head, "HTTP/1.1 ", 9) != 0)
        finish(p, "EOF");
    else
        finish(p, NULL); /* any status is an answer, as for CoreDNS */
}

static void on_io(struct wp_io *io, uint32_t events)
{
    struct health_probe *p =
        (struct health_probe *)((char *)io - offsetof(struct health_probe, io));
    int err = 0;
    socklen_t len = sizeof(err);

    if ((events & WP_IO_ERROR) != 0 && getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 &&
        err != 0)
        finish(p, wp_strerror(-err));
    else if ((events & WP_IO_WRITE) != 0)
        send_request(p);
    else
        read_answer(p);
}

static void ask(struct health_probe *p)
{
    struct sockaddr_storage ss;
    socklen_t len = wp_addr_to_sockaddr(&p->to, &ss);
    int r = 0;

    p->asked_ns = wp_loop_clock(p->loop);
    p->n_read = 0;
    memset(p->head, 0, sizeof(p->head));
    p->io = (struct wp_io){.fn = on_io};
    p->io.fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->io.fd < 0 ||
        (connect(p->io.fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS))
        r = -errno;
    if (r == 0)
        r = wp_io_add(p->loop, &p->io, WP_IO_WRITE);
    if (r == 0)
        wp_timer_set(p->loop, &p->limit, p->asked_ns + LIMIT_S * SECOND);
    else
        finish(p, wp_strerror(r));
}

void wp_health_probe_start(struct health_probe *p, struct wp_loop *loop, const struct wp_addr *to,
                           const char *url)
{
    *p = (struct health_probe){.loop = loop, .to = *to, .url = url, .io.fd = -1};
    p->next.fn = on_next;
    p->limit.fn = on_limit;
    /* The families are shown from the start. */
    wp_metric_add(wp_metric_series(&failures_family, NULL), WP_METRIC_SHARED, 0);
    (void)wp_metric_series(&duration_family, NULL);
    wp_timer_set(loop, &p->next, wp_loop_now(loop) + INTERVAL_S * SECOND);
}

void wp_health_probe_stop(struct health_probe *p)
{
    if (p->loop == NULL)
        return;
    wp_timer_cancel(&p->next);
    wp_timer_cancel(&p->limit);
    wp_io_del(&p->io);
    if (p->io.fd >= 0)
        close(p->io.fd);
    p->loop = NULL;
}
