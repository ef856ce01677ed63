/* DoH and gRPC requests of one HTTP/2 connection, over nghttp2. */
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/load.h"
#include "waypost/dns/grpc_frame.h"

enum {
    REPLY_MAX = 600,
    BODY_MAX = WP_GRPC_DNS_HEAD_MAX + LOAD_QUESTION,
    PATH = 15, /* "/dns-query?dns=" */
    BASE64 = (LOAD_QUESTION * 8 + 5) / 6,
};

struct stream {
    bool busy;
    uint8_t body[BODY_MAX], reply[REPLY_MAX];
    size_t body_len, reply_len;
    char path[PATH + BASE64];
};
struct load_h2 {
    struct load *load;
    nghttp2_session *ng;
    unsigned in_flight;
    struct stream streams[]; /* load->depth of them */
};

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
                   void *user)
{
    struct stream *s = nghttp2_session_get_stream_user_data(ng, id);

    (void)flags, (void)user;
    if (s == NULL || len > REPLY_MAX - s->reply_len)
        return 0; /* then it counts as wrong */
    memcpy(s->reply + s->reply_len, data, len);
    s->reply_len += len;
    return 0;
}

static int on_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    struct stream *s = nghttp2_session_get_stream_user_data(ng, id);
    struct load_h2 *h = user;
    const uint8_t *msg;
    size_t len;

    if (s == NULL)
        return 0;
    msg = s->reply;
    len = code == NGHTTP2_NO_ERROR ? s->reply_len : 0;
    if (h->load->transport == LOAD_GRPC &&
        (len < WP_GRPC_HEAD_LEN ||
         wp_dns_packet_read(s->reply + WP_GRPC_HEAD_LEN, len - WP_GRPC_HEAD_LEN, &msg, &len) < 0))
        len = 0;
    load_reply(h->load, msg, len);
    s->busy = false;
    h->in_flight--;
    return 0;
}

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
                         nghttp2_data_source *src, void *user)
{
    const struct stream *s = src->ptr;

    (void)ng, (void)id, (void)user, (void)len; /* nghttp2 offers at least 16 kB */
    memcpy(buf, s->body, s->body_len);
    *flags = NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)s->body_len;
}

struct load_h2 *load_h2_new(struct load *l)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20},
    };
    struct load_h2 *h = calloc(1, sizeof(*h) + l->depth * sizeof(h->streams[0]));
    nghttp2_session_callbacks *cb = NULL;

    if (h == NULL || nghttp2_session_callbacks_new(&cb) != 0)
        load_die("memory");
    h->load = l;
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    if (nghttp2_session_client_new(&h->ng, cb, h) != 0 ||
        nghttp2_submit_settings(h->ng, 0, settings, 2) != 0 ||
        nghttp2_session_set_local_window_size(h->ng, 0, 0, 1 << 30) != 0)
        load_die("HTTP/2 session");
    nghttp2_session_callbacks_del(cb);
    return h;
}

void load_h2_free(struct load_h2 *h)
{
    if (h == NULL)
        return;
    h->load->lost += h->in_flight;
    nghttp2_session_del(h->ng);
    free(h);
}

static void base64url(const uint8_t *p, size_t len, char *to)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    for (size_t bit = 0; bit < len * 8; bit += 6) {
        size_t i = bit / 8;
        unsigned two = (unsigned)p[i] << 8 | (i + 1 < len ? p[i + 1] : 0u);

        *to++ = digits[two >> (10 - bit % 8) & 63];
    }
}

#define NV(name, value, len)                                                                       \
    {                                                                                              \
        (uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, (len),                            \
            NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE                           \
    }
#define TEXT(name, value) NV(name, value, sizeof(value) - 1)
#define DNS_MESSAGE "application/dns-message"

/* As clients of each kind write them. */
static int submit(struct load_h2 *h, struct stream *s)
{
    const nghttp2_nv post[] = {
        TEXT(":method", "POST"),          TEXT(":scheme", "https"),
        TEXT(":authority", "bench.test"), TEXT(":path", "/dns-query"),
        TEXT("accept", DNS_MESSAGE),      TEXT("content-type", DNS_MESSAGE),
        TEXT("content-length", "37"),
    };
    const nghttp2_nv get[] = {
        TEXT(":method", "GET"),           TEXT(":scheme", "https"),
        TEXT(":authority", "bench.test"), NV(":path", s->path, sizeof(s->path)),
        TEXT("accept", DNS_MESSAGE),
    };
    const nghttp2_nv grpc[] = {
        TEXT(":method", "POST"),
        TEXT(":scheme", "http"),
        TEXT(":authority", "bench.test"),
        TEXT(":path", "/coredns.dns.DnsService/Query"),
        TEXT("content-type", "application/grpc"),
        TEXT("te", "trailers"),
    };
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = read_body};
    size_t head;

    switch (h->load->transport) {
    case LOAD_GET:
        load_question(h->load, s->body);
        memcpy(s->path, "/dns-query?dns=", PATH);
        base64url(s->body, LOAD_QUESTION, s->path + PATH);
        return nghttp2_submit_request(h->ng, NULL, get, 5, NULL, s);
    case LOAD_GRPC:
        head = wp_dns_packet_head(s->body, LOAD_QUESTION);
        load_question(h->load, s->body + head);
        s->body_len = head + LOAD_QUESTION;
        return nghttp2_submit_request(h->ng, NULL, grpc, 6, &body, s);
    default:
        load_question(h->load, s->body);
        s->body_len = LOAD_QUESTION;
        return nghttp2_submit_request(h->ng, NULL, post, 7, &body, s);
    }
}

void load_h2_ask(struct load_h2 *h)
{
    for (unsigned i = 0; i < h->load->depth && h->in_flight < h->load->depth; i++) {
        struct stream *s = &h->streams[i];

        if (s->busy)
            continue;
        s->reply_len = 0;
        if (submit(h, s) < 0)
            return; /* no stream ids are left: the connection ends */
        s->busy = true;
        h->in_flight++;
    }
}

bool load_h2_read(struct load_h2 *h, const uint8_t *data, size_t len)
{
    return nghttp2_session_mem_recv(h->ng, data, len) == (ssize_t)len &&
           (nghttp2_session_want_read(h->ng) || nghttp2_session_want_write(h->ng));
}

size_t load_h2_pending(struct load_h2 *h, const uint8_t **ret_data)
{
    ssize_t n = nghttp2_session_mem_send(h->ng, ret_data);

    return n > 0 ? (size_t)n : 0;
}
