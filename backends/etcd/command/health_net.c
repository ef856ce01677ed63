/* Checks over the network: tcp, http, https. */
#include "backends/etcd/command/health_priv.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/common/stream_wait.h"

enum { REPLY_MAX = 512 };

static int connect_one(struct wp_stream_wait *s, const struct addrinfo *ai)
{
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r = 0, e = 0;
    socklen_t len = sizeof(e);

    if (fd < 0)
        return -errno;
    if (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0) {
        r = errno == EINPROGRESS ? wp_stream_wait_for(s, fd, POLLOUT) : -errno;
        if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) == 0)
            r = -e;
    }
    if (r < 0)
        close(fd);
    else
        s->fd = fd;
    return r;
}

/* Any address of the host. */
static int connect_any(const struct etcd_health_config *c, struct wp_stream_wait *s,
                       char why[HEALTH_WHY_MAX])
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *all = NULL;
    int r = getaddrinfo(c->host, c->port, &hints, &all);

    if (r != 0) {
        snprintf(why, HEALTH_WHY_MAX, "%.60s: %s", c->host, gai_strerror(r));
        return WP_ENOTFOUND;
    }
    r = -ECONNREFUSED;
    for (const struct addrinfo *ai = all; ai != NULL; ai = ai->ai_next) {
        r = connect_one(s, ai);
        if (r == 0 || r == -ECANCELED)
            break;
    }
    freeaddrinfo(all);
    if (r < 0)
        snprintf(why, HEALTH_WHY_MAX, "%.60s port %s: %s", c->host, c->port, strerror(-r));
    return r;
}

int health_tcp(struct etcd_health *h, uint64_t end, char why[HEALTH_WHY_MAX])
{
    struct wp_stream_wait s = {.stop_fd = h->stop_fd, .end_ns = end};
    int r = connect_any(&h->config, &s, why);

    if (r == 0)
        close(s.fd);
    return r;
}

/* --- http and https ------------------------------------------------------------------------- */

/* The status of the reply: all that counts of it. */
static int read_status(const struct etcd_health_config *c, struct wp_stream_wait *s,
                       char why[HEALTH_WHY_MAX])
{
    char reply[REPLY_MAX];
    size_t n = 0;
    unsigned minor, status;

    while (n < sizeof(reply) - 1 && memchr(reply, '\n', n) == NULL) {
        int got = wp_stream_wait_read(s, reply + n, sizeof(reply) - 1 - n);
        if (got < 0)
            return got;
        n += (size_t)got;
    }
    reply[n] = '\0';
    if (sscanf(reply, "HTTP/1.%1u %3u", &minor, &status) != 2) {
        snprintf(why, HEALTH_WHY_MAX, "%.60s: no HTTP reply", c->named);
        return WP_EMALFORMED;
    }
    snprintf(why, HEALTH_WHY_MAX, "%.60s: HTTP status %u", c->named, status);
    return status >= 200 && status < 400 ? 0 : WP_EREFUSED;
}

static int ask(const struct etcd_health_config *c, struct wp_stream_wait *s,
               char why[HEALTH_WHY_MAX])
{
    char *text = NULL;
    int r =
        c->https ? wp_stream_wait_tls(s, c->tls, c->tls_name != NULL ? c->tls_name : c->host) : 0;
    int len;

    if (r < 0)
        return r;
    len = asprintf(&text,
                   "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: waypost\r\nAccept: */*\r\n"
                   "Connection: close\r\n\r\n",
                   c->path, c->named);
    if (len < 0)
        return -ENOMEM;
    r = wp_stream_wait_write(s, text, (size_t)len);
    free(text);
    return r < 0 ? r : read_status(c, s, why);
}

int health_http(struct etcd_health *h, uint64_t end, char why[HEALTH_WHY_MAX])
{
    const struct etcd_health_config *c = &h->config;
    struct wp_stream_wait s = {.stop_fd = h->stop_fd, .end_ns = end};
    int r;

    wp_client_tls_refresh(c->tls, "register");
    r = connect_any(c, &s, why);
    if (r < 0)
        return r;
    r = ask(c, &s, why);
    if (r == WP_ETLS)
        snprintf(why, HEALTH_WHY_MAX, "%.60s: tls: %.90s", c->named, s.why);
    else if (r < 0 && r != WP_EMALFORMED && r != WP_EREFUSED)
        snprintf(why, HEALTH_WHY_MAX, "%.60s: %s", c->named,
                 r > -1000 ? strerror(-r) : wp_strerror(r));
    wp_stream_wait_done(&s);
    close(s.fd);
    return r;
}
