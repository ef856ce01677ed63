/* Questions over connections: TCP and DoT with length prefix, DoH and gRPC through load_h2.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/load.h"
#include "waypost/base/octets.h"
#include "waypost/tls/tls.h"

enum { READ = 65536, WAIT_MS = 20, SOURCES = 200 };

struct link {
    int fd;
    struct wp_tls_conn *tls;  /* NULL: none */
    struct load_h2 *h2;       /* NULL: length prefix */
    struct wp_octets in, out; /* part of a message; what the socket did not take */
    unsigned in_flight;
    bool ready, over;
};

static struct link links[LOAD_CONNS_MAX];
static struct wp_tls_ctx *tls;
static int ep;

/* Sources change, so that the ports of ended connections (TIME_WAIT) do not run out. */
static int dial(const struct load *l)
{
    static unsigned n;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + n++ % SOURCES)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    if (fd < 0)
        load_die("socket");
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        load_die("bind");
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons(l->port);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        load_die("connect");
    return fd;
}

static void link_open(struct load *l, struct link *k)
{
    static unsigned n;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = k};
    char name[32];

    *k = (struct link){.fd = dial(l), .ready = tls == NULL};
    /* With -1 every connection has another name: the client remembers sessions by name, and what
     * is measured is the whole handshake. */
    snprintf(name, sizeof(name), "h%u.bench.test", l->once && !l->resume ? n++ % 1000000 : 0);
    if (tls != NULL && wp_tls_conn_new(tls, name, &k->tls) < 0)
        load_die("TLS connection");
    if (l->transport >= LOAD_DOH)
        k->h2 = load_h2_new(l);
    if (epoll_ctl(ep, EPOLL_CTL_ADD, k->fd, &ev) < 0)
        load_die("epoll");
}

static void link_close(struct load *l, struct link *k)
{
    l->lost += k->h2 == NULL ? k->in_flight : 0;
    load_h2_free(k->h2);
    wp_tls_conn_free(k->tls);
    wp_octets_clear(&k->in);
    wp_octets_clear(&k->out);
    close(k->fd);
}

static void put(struct link *k, const void *data, size_t len)
{
    if (k->tls != NULL ? wp_tls_write(k->tls, data, len) < 0
                       : wp_octets_append(&k->out, data, len) < 0)
        k->over = true;
}

static void flush(struct link *k)
{
    const uint8_t *data;
    ssize_t n;
    size_t len;

    if (k->tls != NULL) {
        data = wp_tls_pending(k->tls, &len);
    } else {
        data = wp_octets_view(&k->out);
        len = k->out.len;
    }
    if (len == 0)
        return;
    n = send(k->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0 && k->tls != NULL)
        wp_tls_sent(k->tls, (size_t)n);
    else if (n > 0)
        wp_octets_drop(&k->out, (size_t)n);
    else if (errno != EAGAIN)
        k->over = true;
}

static void ask(struct load *l, struct link *k)
{
    uint8_t out[LOAD_DEPTH_MAX][2 + LOAD_QUESTION];
    const uint8_t *data;
    unsigned n = 0;

    if (!k->ready || k->over)
        return;
    if (k->h2 != NULL) {
        load_h2_ask(k->h2);
        for (size_t len; !k->over && (len = load_h2_pending(k->h2, &data)) != 0;)
            put(k, data, len);
        return;
    }
    for (; k->in_flight < l->depth; k->in_flight++, n++) {
        out[n][0] = 0;
        out[n][1] = LOAD_QUESTION;
        load_question(l, out[n] + 2);
    }
    if (n != 0)
        put(k, out, n * sizeof(out[0]));
}

/* Plain octets from the server. */
static void take(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    if (k->h2 != NULL) {
        if (!load_h2_read(k->h2, data, len))
            k->over = true;
        return;
    }
    if (wp_octets_append(&k->in, data, len) < 0)
        load_die("memory");
    for (;;) {
        const uint8_t *p = wp_octets_view(&k->in);
        size_t n = k->in.len < 2 ? 0 : 2u + (size_t)(p[0] << 8 | p[1]);

        if (n == 0 || k->in.len < n)
            return;
        load_reply(l, p + 2, n - 2);
        wp_octets_drop(&k->in, n);
        if (k->in_flight > 0)
            k->in_flight--;
        k->over |= l->once;
    }
}

static void take_tls(struct load *l, struct link *k, const uint8_t *data, size_t len)
{
    static uint8_t plain[READ];
    int r;

    if (wp_tls_feed(k->tls, data, len) < 0)
        load_die("memory");
    if (!k->ready) {
        r = wp_tls_handshake(k->tls);
        if (r < 0)
            k->over = true;
        k->ready = r > 0;
        l->resumed += k->ready && wp_tls_is_resumed(k->tls);
    }
    while (k->ready && (r = wp_tls_read(k->tls, plain, sizeof(plain))) != 0) {
        if (r < 0) {
            k->over = true;
            return;
        }
        take(l, k, plain, (size_t)r);
    }
}

static void on_event(struct load *l, struct link *k)
{
    static uint8_t buf[READ];
    ssize_t n;

    do {
        n = recv(k->fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (n > 0 && k->tls != NULL)
            take_tls(l, k, buf, (size_t)n);
        else if (n > 0)
            take(l, k, buf, (size_t)n);
        else if (n == 0 || errno != EAGAIN)
            k->over = true;
    } while (n == (ssize_t)sizeof(buf) && !k->over);
    ask(l, k);
    flush(k);
}

void load_stream_open(struct load *l)
{
    bool secure = l->transport != LOAD_TCP && l->transport != LOAD_GRPC;
    struct wp_tls_client_config c = {.insecure = true,
                                     .alpn = l->transport == LOAD_DOT ? "dot" : "h2"};
    char err[WP_TLS_ERR_MAX];

    if (secure && wp_tls_client_new(&c, err, &tls) < 0) {
        fprintf(stderr, "load: %s\n", err);
        load_die("TLS");
    }
    ep = epoll_create1(EPOLL_CLOEXEC);
    if (ep < 0)
        load_die("epoll");
    for (unsigned i = 0; i < l->conns; i++) {
        link_open(l, &links[i]);
        if (tls != NULL && wp_tls_handshake(links[i].tls) < 0)
            load_die("TLS handshake");
        ask(l, &links[i]);
        flush(&links[i]);
    }
}

void load_stream_turn(struct load *l)
{
    struct epoll_event ev[LOAD_CONNS_MAX];
    int n = epoll_wait(ep, ev, LOAD_CONNS_MAX, WAIT_MS);

    for (int i = 0; i < n; i++) {
        struct link *k = ev[i].data.ptr;

        on_event(l, k);
        if (!k->over)
            continue;
        link_close(l, k);
        link_open(l, k);
        if (k->tls != NULL && wp_tls_handshake(k->tls) < 0)
            load_die("TLS handshake");
        ask(l, k);
        flush(k);
    }
}
