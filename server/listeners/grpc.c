/* CoreDNS's gRPC service, the application: coredns.dns.DnsService/Query takes a DnsPacket and
 * gives one back. Every other outcome is a gRPC status in trailers of their own. */
#include "grpc_timeout.h"
#include "http_priv.h"

#include <string.h>
#include "waypost/dns/grpc_frame.h"
#include "waypost/dns/msg.h"
#include "waypost/server/guard.h"

enum grpc_status {
    OK = 0,
    INVALID_ARGUMENT = 3,
    DEADLINE_EXCEEDED = 4,
    RESOURCE_EXHAUSTED = 8,
    UNIMPLEMENTED = 12,
    INTERNAL = 13,
    UNAVAILABLE = 14,
};

enum { TARGET_OTHER = 0, TARGET_QUERY };
enum { MEDIA_OTHER = 0, MEDIA_GRPC };
enum { ENCODING_NONE = 0, ENCODING_OTHER };

/* --- answers --------------------------------------------------------------------------------- */

/* The message goes out as it is: plain ASCII without '%' needs no percent-encoding. */
static void answer_status(struct wp_exchange *x, enum grpc_status status, const char *message)
{
    x->answer = (struct wp_answer){
        .status = 200,
        .grpc_status = (int8_t)status,
        .message = message,
    };
    wp_exchange_answer(x);
}

/* Not gRPC at all: an HTTP status, which clients of gRPC understand as well. */
static void answer_http(struct wp_exchange *x, unsigned status, const char *text)
{
    x->answer = (struct wp_answer){
        .status = (uint16_t)status,
        .grpc_status = -1,
        .max_age = -1,
        .type = "text/plain; charset=utf-8",
        .allow = status == 405 ? "POST" : NULL,
        .body = (const uint8_t *)text,
        .body_len = (uint32_t)strlen(text),
    };
    wp_exchange_answer(x);
}

static void reply(struct wp_exchange *x, struct wp_query *q)
{
    if (q == NULL) {
        answer_status(x, RESOURCE_EXHAUSTED, "too many queries in flight");
    } else if (!wp_intake_is_answered(q->intake)) {
        answer_status(x, INVALID_ARGUMENT, "not a DNS query");
    } else if (q->out_len == 0) {
        answer_status(x, UNAVAILABLE, "no response");
    } else {
        x->answer = (struct wp_answer){
            .status = 200,
            .grpc_status = OK,
            .body = q->out,
            .body_len = q->out_len,
        };
        x->answer.head_len = (uint8_t)wp_dns_packet_head(x->answer.head, q->out_len);
        wp_exchange_answer(x);
    }
}

/* --- requests -------------------------------------------------------------------------------- */

static void target(struct wp_exchange *x, const uint8_t *s, size_t len)
{
    static const char query[] = "/coredns.dns.DnsService/Query";

    x->target =
        len == sizeof(query) - 1 && memcmp(s, query, sizeof(query) - 1) == 0 ? TARGET_QUERY : TARGET_OTHER;
}

static void field(struct wp_exchange *x, enum wp_http_field f, const uint8_t *value, size_t len)
{
    static const char type[] = "application/grpc";
    size_t n = sizeof(type) - 1;

    switch (f) {
    case WP_FIELD_CONTENT_TYPE:
        if (len >= n && memcmp(value, type, n) == 0 &&
            (len == n || value[n] == '+' || value[n] == ';'))
            x->media = MEDIA_GRPC;
        break;
    case WP_FIELD_GRPC_ENCODING:
        if (len != 8 || memcmp(value, "identity", 8) != 0)
            x->encoding = ENCODING_OTHER;
        break;
    case WP_FIELD_GRPC_TIMEOUT:
        x->has_timeout = true;
        x->bad_timeout = wp_grpc_timeout_read(value, len, &x->timeout_ns) < 0;
        break;
    case WP_FIELD_CONTENT_LENGTH:
        break;
    }
}

static void on_deadline(struct wp_timer *t)
{
    struct wp_exchange *x =
        (struct wp_exchange *)((uint8_t *)t - offsetof(struct wp_exchange, timer));
    struct wp_query *q = x->running ? x->q : NULL;

    answer_status(x, DEADLINE_EXCEEDED, "deadline exceeded");
    if (q != NULL)
        wp_query_cancel(q);
}

static void headers(struct wp_exchange *x)
{
    struct wp_loop *loop = x->http->conn->worker->loop;

    x->body_max = WP_GRPC_HEAD_LEN + WP_GRPC_PACKET_MAX;
    if (x->media != MEDIA_GRPC) {
        answer_http(x, 415, "invalid gRPC request content-type\n");
    } else if (x->method != WP_HTTP_POST) {
        answer_http(x, 405, "invalid gRPC request method\n");
    } else if (x->target != TARGET_QUERY) {
        answer_status(x, UNIMPLEMENTED, "unknown service or method");
    } else if (x->bad_timeout) {
        answer_status(x, INTERNAL, "malformed grpc-timeout");
    } else if (x->has_timeout && x->timeout_ns == 0) {
        answer_status(x, DEADLINE_EXCEEDED, "deadline exceeded");
    } else if (x->has_timeout && x->timeout_ns < WP_GRPC_TIMEOUT_MAX_NS) {
        x->timer.fn = on_deadline;
        wp_timer_set(loop, &x->timer, wp_loop_now(loop) + x->timeout_ns);
    }
}

static void error(struct wp_exchange *x, unsigned status)
{
    if (status == 413)
        answer_status(x, RESOURCE_EXHAUSTED, "message too large");
    else if (status == 431)
        answer_status(x, RESOURCE_EXHAUSTED, "metadata too large");
    else
        answer_status(x, DEADLINE_EXCEEDED, "message not received in time");
}

static void refuse_long(struct wp_exchange *x)
{
    struct wp_conn *c = x->http->conn;

    wp_guard_refused(wp_conn_group(c), c->worker->index, WP_LIMIT_BODY);
    error(x, 413);
}

/* The head of the message announces what is to come: judged before any room is made for it. */
static void body(struct wp_exchange *x)
{
    uint32_t len;

    if (x->body_len < WP_GRPC_HEAD_LEN)
        return;
    len = wp_be32(x->body + 1);
    if (len > WP_GRPC_PACKET_MAX)
        refuse_long(x);
    else if (x->body_len - WP_GRPC_HEAD_LEN > len)
        answer_status(x, INTERNAL, "more than one message");
}

static void answer_compressed(struct wp_exchange *x)
{
    if (x->body[0] > 1 || x->encoding == ENCODING_NONE) {
        answer_status(x, INTERNAL, "compressed flag without grpc-encoding");
        return;
    }
    x->answer = (struct wp_answer){
        .status = 200,
        .grpc_status = UNIMPLEMENTED,
        .reject_encoding = true,
        .message = "compression is not supported",
    };
    wp_exchange_answer(x);
}

static void complete(struct wp_exchange *x)
{
    const uint8_t *msg;
    size_t len;

    if (x->body_len < WP_GRPC_HEAD_LEN || x->body_len - WP_GRPC_HEAD_LEN < wp_be32(x->body + 1))
        answer_status(x, INTERNAL, "incomplete message");
    else if (x->body[0] != 0)
        answer_compressed(x);
    else if (wp_dns_packet_read(x->body + WP_GRPC_HEAD_LEN, x->body_len - WP_GRPC_HEAD_LEN, &msg,
                                &len) < 0)
        answer_status(x, INTERNAL, "malformed DnsPacket");
    else if (len > WP_HTTP_DNS_MAX)
        refuse_long(x);
    else
        wp_exchange_ask(x, msg, len);
}

static const struct wp_http_app app = {
    .transport = WP_GRPC,
    .keeps = true,
    .target = target,
    .field = field,
    .headers = headers,
    .body = body,
    .error = error,
    .complete = complete,
    .reply = reply,
};

/* --- the listener ------------------------------------------------------------------------------
 */

static int start(struct wp_conn *c)
{
    return wp_http2_start(c, &app);
}

/* Until start() puts HTTP/2's own in its place. */
static const struct wp_conn_proto proto = {
    .alpn = "h2",
    .start = start,
    .wait_when_full = true,
};

static int open_grpc(struct wp_worker *w, struct wp_group *g, int fd, struct wp_listener **ret)
{
    return wp_http_listener_open(w, g, fd, &wp_listener_grpc, &proto, ret);
}

const struct wp_listener_ops wp_listener_grpc = {
    .name = "grpc",
    .transport = WP_GRPC,
    .open = open_grpc,
    .swap = wp_stream_swap,
    .drain = wp_stream_drain,
    .close = wp_http_listener_close,
};
