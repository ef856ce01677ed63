/* DNS over HTTPS (RFC 8484) and CoreDNS's gRPC service as a client: an HTTP/2 session for each
 * connection, a stream for each query. */
#include "backends/common/upstream_conn.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "waypost/base/wr.h"
#include "waypost/dns/grpc_frame.h"
#include "waypost/dns/msg.h"
#include "waypost/tls/tls.h"

enum {
    BODY_MAX = WP_GRPC_HEAD_LEN + WP_GRPC_PACKET_MAX,
    GET_MAX = 4096,      /* octets of a query in a GET; longer ones are posted */
    STREAMS_USUAL = 100, /* until the server has said how many (RFC 9113 s6.5.2) */
};
static const char type[] = "application/dns-message", path[] = "/dns-query";
static const char grpc_type[] = "application/grpc", grpc_path[] = "/coredns.dns.DnsService/Query";

static struct wp_up_try *try_of(nghttp2_session *s, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(s, stream);
}

/* --- the reply ----------------------------------------------------------------------------- */

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *arg)
{
    struct wp_up_try *x = try_of(s, frame->hd.stream_id);

    (void)flags;
    (void)arg;
    if (x == NULL || frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    if (name_len == 7 && memcmp(name, ":status", 7) == 0 && len == 3)
        x->status = (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0');
    else if (name_len == 11 && memcmp(name, "grpc-status", 11) == 0 && len > 0 && len < 3)
        x->grpc_status = len == 1 ? value[0] - '0' : (value[0] - '0') * 10 + (value[1] - '0');
    return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t len, void *arg)
{
    struct wp_up_try *x = try_of(s, stream);

    (void)flags;
    (void)arg;
    if (x == NULL)
        return 0;
    if (len > BODY_MAX - x->body_len) /* no DNS message is that long */
        return nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
    if (x->body_len + len > x->body_cap) {
        size_t cap = x->body_len + len + 512;
        uint8_t *body = realloc(x->body, cap);

        if (body == NULL)
            return nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, stream, NGHTTP2_INTERNAL_ERROR);
        x->body = body;
        x->body_cap = (uint32_t)cap;
    }
    memcpy(x->body + x->body_len, data, len);
    x->body_len += (uint32_t)len;
    return 0;
}

/* The one message of a gRPC reply; nothing when it is none. */
static void unframe(const uint8_t *body, size_t len, struct wp_outcome *o)
{
    struct wp_grpc_reader r;
    size_t at = 0;

    o->reply = NULL;
    o->len = 0;
    wp_grpc_reader_init(&r, WP_GRPC_PACKET_MAX);
    while (at < len && !r.complete) {
        const uint8_t *piece;
        size_t piece_len;
        int n = wp_grpc_read(&r, body + at, len - at, &piece, &piece_len);

        if (n < 0 || r.compressed)
            return;
        at += (size_t)n;
        if (r.complete && wp_dns_packet_read(piece, piece_len, &o->reply, &o->len) < 0)
            o->len = 0;
    }
}

/* What HTTP, or gRPC, says against taking the body for a reply; NULL: nothing. */
static const char *refusal(const struct wp_up_conn *c, const struct wp_up_try *x)
{
    static _Thread_local char why[64];

    if (x->status < 200 || x->status > 299)
        snprintf(why, sizeof(why), "unexpected HTTP status %d", x->status);
    else if (c->local->up->kind == WP_UPSTREAM_GRPC && x->grpc_status != 0)
        snprintf(why, sizeof(why), "gRPC status %d%s", x->grpc_status,
                 x->grpc_status < 0 ? " (none came)" : "");
    else
        return NULL;
    return why;
}

static void ended(struct wp_up_conn *c, struct wp_up_try *x)
{
    struct wp_outcome o = {.reply = x->body, .len = x->body_len};
    const char *why = refusal(c, x);
    uint8_t *body = x->body;

    c->replies++;
    x->body = NULL; /* it must outlive x */
    if (why != NULL) {
        wp_up_try_fail(x, WP_EMALFORMED, why);
    } else {
        if (c->local->up->kind == WP_UPSTREAM_GRPC)
            unframe(body, o.len, &o);
        if (o.len > 0)
            o.look = wp_reply_look(x->msg, x->len, o.reply, o.len);
        if (o.look.verdict == WP_REPLY_NOT_ONE || o.look.verdict == WP_REPLY_CUT)
            o.look.verdict = WP_REPLY_MALFORMED;
        wp_up_try_end(x, &o);
    }
    free(body);
}

static int on_close(nghttp2_session *s, int32_t stream, uint32_t code, void *arg)
{
    struct wp_up_conn *c = arg;
    struct wp_up_try *x = try_of(s, stream);

    if (x == NULL)
        return 0;
    nghttp2_session_set_stream_user_data(s, stream, NULL);
    x->stream = 0;
    if (code == NGHTTP2_NO_ERROR)
        ended(c, x);
    else
        wp_up_try_end(x, &(struct wp_outcome){.err = WP_EREFUSED,
                                              .why = "HTTP/2 stream was reset",
                                              .again = code == NGHTTP2_REFUSED_STREAM});
    return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *arg)
{
    struct wp_up_conn *c = arg;

    (void)s;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        c->draining = true; /* streams above its last id are closed as refused, by nghttp2 */
    return 0;
}

/* --- the query ----------------------------------------------------------------------------- */

static ssize_t read_body(nghttp2_session *s, int32_t stream, uint8_t *buf, size_t len,
                         uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct wp_up_try *x = try_of(s, stream);
    size_t at, n;

    (void)source;
    (void)arg;
    if (x == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (x->sent < x->head_len) {
        at = x->sent;
        n = x->head_len - at < len ? x->head_len - at : len;
        memcpy(buf, x->head + at, n);
    } else {
        at = x->sent - x->head_len;
        n = x->len - at < len ? x->len - at : len;
        memcpy(buf, x->msg + at, n);
    }
    x->sent += (uint32_t)n;
    if (x->sent == x->head_len + x->len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static nghttp2_nv header(const char *name, const char *value, size_t len)
{
    return (nghttp2_nv){.name = (uint8_t *)name,
                        .namelen = strlen(name),
                        .value = (uint8_t *)value,
                        .valuelen = len,
                        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME};
}

/* RFC 8484 s4.1: base64url without padding. */
static size_t encode(const uint8_t *in, size_t len, char *out)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t n = 0;

    for (size_t i = 0; i < len; i += 3) {
        uint32_t v = (uint32_t)in[i] << 16 | (i + 1 < len ? (uint32_t)in[i + 1] << 8 : 0) |
                     (i + 2 < len ? in[i + 2] : 0);

        out[n++] = digit[v >> 18];
        out[n++] = digit[v >> 12 & 63];
        if (i + 1 < len)
            out[n++] = digit[v >> 6 & 63];
        if (i + 2 < len)
            out[n++] = digit[v & 63];
    }
    return n;
}

static const char *host_of(const struct wp_upstream *u)
{
    return u->profile->http_host != NULL ? u->profile->http_host : u->text;
}

static int32_t post_grpc(struct wp_up_conn *c, struct wp_up_try *x)
{
    const char *host = host_of(c->local->up);
    nghttp2_data_provider body = {.read_callback = read_body};
    nghttp2_nv nv[] = {
        header(":method", "POST", 4),
        c->tls != NULL ? header(":scheme", "https", 5) : header(":scheme", "http", 4),
        header(":authority", host, strlen(host)),
        header(":path", grpc_path, sizeof(grpc_path) - 1),
        header("content-type", grpc_type, sizeof(grpc_type) - 1),
        header("te", "trailers", 8),
    };

    x->head_len = (uint8_t)wp_dns_packet_head(x->head, x->len);
    return nghttp2_submit_request(c->state, NULL, nv, WP_COUNT(nv), &body, x);
}

static int32_t ask_https(struct wp_up_conn *c, struct wp_up_try *x)
{
    const struct wp_upstream_profile *p = c->local->up->profile;
    const char *host = host_of(c->local->up), *to = p->http_path != NULL ? p->http_path : path;
    bool get = p->doh_get && x->len <= GET_MAX;
    nghttp2_data_provider body = {.read_callback = read_body};
    char target[WP_UP_PATH_MAX + 5 + GET_MAX * 4 / 3 + 4], len[8];
    size_t target_len = strnlen(to, WP_UP_PATH_MAX);
    nghttp2_nv nv[7];

    memcpy(target, to, target_len);
    if (get) {
        memcpy(target + target_len, "?dns=", 5);
        target_len += 5 + encode(x->msg, x->len, target + target_len + 5);
    }
    nv[0] = get ? header(":method", "GET", 3) : header(":method", "POST", 4);
    nv[1] = header(":scheme", "https", 5);
    nv[2] = header(":authority", host, strlen(host));
    nv[3] = header(":path", target, target_len);
    nv[4] = header("accept", type, sizeof(type) - 1);
    nv[5] = header("content-type", type, sizeof(type) - 1);
    nv[6] = header("content-length", len, (size_t)snprintf(len, sizeof(len), "%u", x->len));
    return nghttp2_submit_request(c->state, NULL, nv, get ? 5 : 7, get ? NULL : &body, x);
}

static int h2_send(struct wp_up_conn *c, struct wp_up_try *x)
{
    int32_t stream;

    wp_put16(x->msg, 0); /* the same question is the same request, for caches (s4.1) */
    x->id = 0;
    x->sent = 0;
    x->status = 0;
    x->grpc_status = -1;
    x->head_len = 0;
    x->body_len = 0;
    stream = c->local->up->kind == WP_UPSTREAM_GRPC ? post_grpc(c, x) : ask_https(c, x);
    if (stream < 0)
        return stream == NGHTTP2_ERR_NOMEM ? -ENOMEM : WP_ELIMIT;
    x->stream = stream;
    wp_up_try_link(&c->bucket[(uint32_t)stream / 2 % WP_UP_ID_BUCKETS], x);
    return 0;
}

static void h2_cancel(struct wp_up_conn *c, struct wp_up_try *x)
{
    free(x->body);
    x->body = NULL;
    x->body_cap = 0;
    if (x->stream == 0 || c->phase == WP_UP_CLOSED)
        return;
    nghttp2_session_set_stream_user_data(c->state, x->stream, NULL);
    if (nghttp2_submit_rst_stream(c->state, NGHTTP2_FLAG_NONE, x->stream, NGHTTP2_CANCEL) == 0)
        wp_up_conn_flush_later(c);
    x->stream = 0;
}

/* --- the session --------------------------------------------------------------------------- */

static int h2_start(struct wp_up_conn *c)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 65535},
    };
    nghttp2_session_callbacks *cb;
    nghttp2_session *s;
    int r;

    if (c->tls != NULL && strcmp(wp_tls_alpn(c->tls), "h2") != 0)
        return WP_EUNSUPPORTED;
    if (nghttp2_session_callbacks_new(&cb) != 0)
        return -ENOMEM;
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    r = nghttp2_session_client_new(&s, cb, c);
    nghttp2_session_callbacks_del(cb);
    if (r != 0)
        return -ENOMEM;
    c->state = s;
    r = nghttp2_submit_settings(s, NGHTTP2_FLAG_NONE, settings, WP_COUNT(settings));
    return r == 0 ? 0 : -ENOMEM;
}

/* Closed by an error of the peer, or after GOAWAY: nghttp2 has nothing more to do. */
static bool is_over(const struct wp_up_conn *c)
{
    return !nghttp2_session_want_read(c->state) && !nghttp2_session_want_write(c->state);
}

static int h2_output(struct wp_up_conn *c)
{
    while (wp_up_conn_backlog(c) < WP_UP_OUT_MAX) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(c->state, &data);
        int r;

        if (n < 0)
            return -ENOMEM;
        if (n == 0)
            return is_over(c) ? WP_ECLOSED : 0;
        r = wp_octets_append(&c->out, data, (size_t)n);
        if (r < 0)
            return r;
    }
    return 0; /* a peer that asks and does not read is nghttp2's to stop (queue limits) */
}

static int h2_input(struct wp_up_conn *c, const uint8_t *data, size_t len, const char **ret_why)
{
    ssize_t n = nghttp2_session_mem_recv(c->state, data, len);

    if (n < 0) {
        *ret_why = nghttp2_strerror((int)n);
        return WP_EMALFORMED;
    }
    if (c->phase == WP_UP_CLOSED)
        return (int)n;
    wp_up_conn_flush_later(c);
    return (int)n;
}

static void h2_stop(struct wp_up_conn *c)
{
    nghttp2_session_del(c->state);
    c->state = NULL;
}

static unsigned h2_room(const struct wp_up_conn *c)
{
    uint32_t max =
        nghttp2_session_get_remote_settings(c->state, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

    return max < STREAMS_USUAL ? (max > 0 ? max : 1) : STREAMS_USUAL;
}

const struct wp_up_conn_proto wp_up_h2_proto = {
    .start = h2_start,
    .send = h2_send,
    .input = h2_input,
    .output = h2_output,
    .cancel = h2_cancel,
    .stop = h2_stop,
    .room = h2_room,
};
