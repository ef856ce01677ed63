/* A server at the other end of a stream towards an upstream, spoken for by the test: plain TCP,
 * TLS, and HTTP/2 inside it. Include behind upstream_world.h, in one file of a program. */
#pragma once
#include <fcntl.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include "tls/certs.h"
#include "waypost/tls/tls.h"

enum { SERVER_REQUESTS = 64 };

struct request { /* one HTTP/2 request */
    int32_t stream;
    char method[8], path[256], authority[64];
    uint8_t body[600];
    size_t len;
    bool ended;
    const uint8_t *reply; /* what goes out for it */
    size_t reply_len, sent;
};

struct server {
    int listener, fd; /* fd -1: no connection */
    struct wp_addr addr;
    struct wp_tls_ctx *ctx;
    struct wp_tls_conn *tls;
    nghttp2_session *h2;
    uint8_t in[8192]; /* plaintext not yet used */
    size_t len;
    bool closed;      /* the client has closed */
    struct request requests[SERVER_REQUESTS];
    unsigned n, accepted;
    int resets;       /* RST_STREAM frames that came */
};

static inline void server_new(struct server *s)
{
    *s = (struct server){.fd = -1};
    s->listener = fake(SOCK_STREAM, &s->addr);
    CHECK(fcntl(s->listener, F_SETFL, O_NONBLOCK) == 0);
}

/* The same with TLS; the client's roots are cert_path("ca.pem"). */
static inline void server_new_tls(struct server *s, const char *alpn)
{
    struct cert ca = cert_new("test ca", NULL, NULL, 2), own = cert_new("dns.example", &ca, "serverAuth", 2);
    char why[WP_TLS_ERR_MAX];
    struct wp_tls_server_config c;

    cert_write("ca.pem", &ca);
    cert_write("cert.pem", &own);
    cert_write_key("key.pem", &own);
    c = (struct wp_tls_server_config){.cert_file = cert_path("cert.pem"), .key_file = cert_path("key.pem"), .alpn = alpn};
    server_new(s);
    CHECK(wp_tls_server_new(&c, why, &s->ctx) == 0);
    cert_free(&own);
    cert_free(&ca);
}

static inline void server_hang_up(struct server *s)
{
    if (s->fd < 0)
        return;
    nghttp2_session_del(s->h2);
    wp_tls_conn_free(s->tls);
    close(s->fd);
    s->fd = -1;
    s->h2 = NULL;
    s->tls = NULL;
    s->len = s->n = 0;
    s->closed = false;
}

static inline void server_free(struct server *s)
{
    server_hang_up(s);
    close(s->listener);
    wp_tls_ctx_unref(s->ctx);
}

/* The test's certificates go with the program. */
static inline int server_done(void **state)
{
    static const char *const names[] = {"ca.pem", "cert.pem", "key.pem"};

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        unlink(cert_path(names[i]));
    return cert_dir[0] != '\0' ? rmdir(cert_dir) : 0;
}

static inline void server_send_raw(struct server *s)
{
    const uint8_t *data;
    size_t len;

    for (data = wp_tls_pending(s->tls, &len); len > 0; data = wp_tls_pending(s->tls, &len)) {
        ssize_t n = send(s->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n <= 0)
            return;
        wp_tls_sent(s->tls, (size_t)n);
    }
}

static inline void server_write(struct server *s, const void *data, size_t len)
{
    if (s->tls == NULL) {
        CHECK(send(s->fd, data, len, MSG_NOSIGNAL) == (ssize_t)len);
        return;
    }
    CHECK(wp_tls_write(s->tls, data, len) >= 0);
    server_send_raw(s);
}

static inline void server_plain(struct server *s, const uint8_t *data, size_t len)
{
    if (s->h2 != NULL) {
        CHECK(nghttp2_session_mem_recv(s->h2, data, len) == (ssize_t)len);
        return;
    }
    CHECK(s->len + len <= sizeof(s->in));
    memcpy(s->in + s->len, data, len);
    s->len += len;
}

static inline void server_flush_h2(struct server *s)
{
    const uint8_t *data;
    ssize_t n;

    while (s->h2 != NULL && wp_tls_is_ready(s->tls) && (n = nghttp2_session_mem_send(s->h2, &data)) > 0)
        server_write(s, data, (size_t)n);
}

/* --- HTTP/2 -------------------------------------------------------------------------------- */

static inline struct request *server_request(struct server *s, int32_t stream)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->requests[i].stream == stream)
            return &s->requests[i];
    return NULL;
}

static inline int server_on_header(nghttp2_session *h2, const nghttp2_frame *f, const uint8_t *name, size_t name_len,
                                   const uint8_t *value, size_t len, uint8_t flags, void *arg)
{
    struct server *s = arg;
    struct request *r = server_request(s, f->hd.stream_id);

    (void)h2, (void)flags;
    if (r == NULL) {
        CHECK(s->n < SERVER_REQUESTS);
        r = &s->requests[s->n++];
        *r = (struct request){.stream = f->hd.stream_id};
    }
    if (name_len == 7 && memcmp(name, ":method", 7) == 0)
        snprintf(r->method, sizeof(r->method), "%.*s", (int)len, (const char *)value);
    if (name_len == 5 && memcmp(name, ":path", 5) == 0)
        snprintf(r->path, sizeof(r->path), "%.*s", (int)len, (const char *)value);
    if (name_len == 10 && memcmp(name, ":authority", 10) == 0)
        snprintf(r->authority, sizeof(r->authority), "%.*s", (int)len, (const char *)value);
    return 0;
}

static inline int server_on_data(nghttp2_session *h2, uint8_t flags, int32_t stream, const uint8_t *data, size_t len, void *arg)
{
    struct request *r = server_request(arg, stream);

    (void)h2, (void)flags;
    CHECK(r != NULL && r->len + len <= sizeof(r->body));
    memcpy(r->body + r->len, data, len);
    r->len += len;
    return 0;
}

static inline int server_on_frame(nghttp2_session *h2, const nghttp2_frame *f, void *arg)
{
    struct server *s = arg;
    struct request *r = server_request(s, f->hd.stream_id);

    (void)h2;
    s->resets += f->hd.type == NGHTTP2_RST_STREAM;
    if (r != NULL && f->hd.flags & NGHTTP2_FLAG_END_STREAM)
        r->ended = true;
    return 0;
}

static inline void server_start_h2(struct server *s, uint32_t max_streams)
{
    nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, max_streams};
    nghttp2_session_callbacks *cb;

    CHECK(nghttp2_session_callbacks_new(&cb) == 0);
    nghttp2_session_callbacks_set_on_header_callback(cb, server_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, server_on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, server_on_frame);
    CHECK(nghttp2_session_server_new(&s->h2, cb, s) == 0);
    nghttp2_session_callbacks_del(cb);
    CHECK(nghttp2_submit_settings(s->h2, 0, &entry, 1) == 0);
}

static inline ssize_t server_read_reply(nghttp2_session *h2, int32_t stream, uint8_t *buf, size_t len, uint32_t *flags,
                                        nghttp2_data_source *source, void *arg)
{
    struct request *r = source->ptr;
    size_t n = r->reply_len - r->sent < len ? r->reply_len - r->sent : len;

    (void)h2, (void)stream, (void)arg;
    memcpy(buf, r->reply + r->sent, n);
    r->sent += n;
    if (r->sent == r->reply_len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* `data` must live until it is sent. */
static inline void server_respond(struct server *s, struct request *r, const char *status, const uint8_t *data, size_t len)
{
    nghttp2_nv nv = {(uint8_t *)":status", (uint8_t *)status, 7, 3, 0};
    nghttp2_data_provider body = {.source.ptr = r, .read_callback = server_read_reply};

    r->reply = data;
    r->reply_len = len;
    r->sent = 0;
    CHECK(nghttp2_submit_response(s->h2, r->stream, &nv, 1, &body) == 0);
    server_flush_h2(s);
}

/* --- turns --------------------------------------------------------------------------------- */

static inline void server_read(struct server *s)
{
    uint8_t buf[16384], plain[16384];
    ssize_t n;
    int r = 1;

    while ((n = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
        if (s->tls == NULL) {
            server_plain(s, buf, (size_t)n);
            continue;
        }
        CHECK(wp_tls_feed(s->tls, buf, (size_t)n) >= 0);
        if (!wp_tls_is_ready(s->tls))
            r = wp_tls_handshake(s->tls);
        while (r > 0 && (r = wp_tls_read(s->tls, plain, sizeof(plain))) > 0)
            server_plain(s, plain, (size_t)r);
        server_send_raw(s);
        r = 1;
    }
    s->closed = n == 0 || (n < 0 && errno != EAGAIN);
}

/* Take the next connection if there is none. */
static inline bool server_accept(struct server *s)
{
    if (s->fd >= 0)
        return true;
    s->fd = accept(s->listener, NULL, NULL);
    if (s->fd < 0)
        return false;
    s->accepted++;
    CHECK(setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == 0);
    if (s->ctx != NULL)
        CHECK(wp_tls_conn_new(s->ctx, NULL, &s->tls) == 0);
    return true;
}

/* Both sides until nothing moves. */
static inline void talk(struct server *s)
{
    for (int i = 0; i < 8; i++) {
        turn();
        if (!server_accept(s))
            continue;
        server_read(s);
        server_flush_h2(s);
    }
    turn();
}

/* The next message of DNS over a stream; 0: none. */
static inline size_t server_message(struct server *s, uint8_t *buf)
{
    size_t n = s->len >= 2 ? wp_be16(s->in) : 0;

    if (s->len < 2 || s->len < n + 2)
        return 0;
    memcpy(buf, s->in + 2, n);
    s->len -= n + 2;
    memmove(s->in, s->in + n + 2, s->len);
    return n;
}

static inline void server_reply(struct server *s, const uint8_t *msg, size_t len)
{
    uint8_t buf[65537];

    wp_put16(buf, (unsigned)len);
    memcpy(buf + 2, msg, len);
    server_write(s, buf, len + 2);
}
