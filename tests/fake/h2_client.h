/* An HTTP/2 client in memory, over nghttp2, for a fake connection (conn.h): requests go in, every
 * stream's answer can be looked at. Include in one file of a program. */
#pragma once
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/fake/conn.h"

enum { H2_STREAMS = 400, H2_FIELDS = 16, H2_BODY = 70000 };

struct h2_field {
    const char *name, *value;
};
struct h2_stream {
    int32_t id;
    int status; /* 0: none came */
    int reset;  /* code + 1 of RST_STREAM; 0: none */
    bool ended;
    unsigned n_fields;
    char fields[H2_FIELDS][2][128]; /* trailers too */
    uint8_t *body;
    size_t len;
    const uint8_t *request; /* body of the request, and how much of it went */
    size_t request_len, request_sent;
    unsigned order; /* of the first octets of its answer */
};
struct h2_client {
    nghttp2_session *ng;
    struct fake_conn *f;
    struct h2_stream streams[H2_STREAMS];
    unsigned n;
    bool keep_open;       /* no END_STREAM after the body */
    int goaway, n_goaway; /* code + 1 */
    int32_t goaway_last;
    char goaway_text[64];
    uint32_t max_streams; /* as told by the server */
    unsigned order;
};

static struct h2_stream *h2_find(struct h2_client *c, int32_t id)
{
    for (unsigned i = 0; i < c->n; i++)
        if (c->streams[i].id == id)
            return &c->streams[i];
    return NULL;
}

static int h2_on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                        size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                        void *user)
{
    struct h2_client *c = user;
    struct h2_stream *s = h2_find(c, frame->hd.stream_id);

    (void)ng, (void)flags;
    if (s == NULL)
        return 0;
    if (s->order == 0)
        s->order = ++c->order;
    if (name_len == 7 && memcmp(name, ":status", 7) == 0)
        s->status = atoi((const char *)value);
    if (s->n_fields < H2_FIELDS) {
        snprintf(s->fields[s->n_fields][0], 128, "%.*s", (int)name_len, (const char *)name);
        snprintf(s->fields[s->n_fields][1], 128, "%.*s", (int)value_len, (const char *)value);
        s->n_fields++;
    }
    return 0;
}

static int h2_on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data,
                      size_t len, void *user)
{
    struct h2_stream *s = h2_find(user, id);

    (void)ng, (void)flags;
    if (s != NULL && s->len + len <= H2_BODY) {
        memcpy(s->body + s->len, data, len);
        s->len += len;
    }
    return 0;
}

static int h2_on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2_client *c = user;
    struct h2_stream *s = h2_find(c, frame->hd.stream_id);

    (void)ng;
    if (s != NULL && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
        (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS))
        s->ended = true;
    if (s != NULL && frame->hd.type == NGHTTP2_RST_STREAM)
        s->reset = (int)frame->rst_stream.error_code + 1;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        c->goaway = (int)frame->goaway.error_code + 1;
        c->goaway_last = frame->goaway.last_stream_id;
        c->n_goaway++;
        snprintf(c->goaway_text, sizeof(c->goaway_text), "%.*s", (int)frame->goaway.opaque_data_len,
                 (const char *)frame->goaway.opaque_data);
    }
    if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
        c->max_streams =
            nghttp2_session_get_remote_settings(ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return 0;
}

static ssize_t h2_read_body(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t len,
                            uint32_t *flags, nghttp2_data_source *src, void *user)
{
    struct h2_client *c = user;
    struct h2_stream *s = src->ptr;
    size_t left = s->request_len - s->request_sent, n = left < len ? left : len;

    (void)ng, (void)id;
    if (n == 0 && c->keep_open)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(buf, s->request + s->request_sent, n);
    s->request_sent += n;
    if (s->request_sent == s->request_len && !c->keep_open)
        *flags = NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* Both ways until nothing moves. */
static inline void h2_exchange(struct h2_client *c)
{
    const uint8_t *data;
    ssize_t n;
    bool moved;

    do {
        uint8_t *all = NULL;
        size_t len = 0;

        moved = false;
        while ((n = nghttp2_session_mem_send(c->ng, &data)) > 0) {
            all = realloc(all, len + (size_t)n);
            memcpy(all + len, data, (size_t)n);
            len += (size_t)n;
        }
        if (len > 0 && !c->f->c.closed) {
            fake_feed(c->f, all, len);
            moved = true;
        }
        free(all);
        if (c->f->out_len > 0) {
            if (nghttp2_session_mem_recv(c->ng, c->f->out, c->f->out_len) < 0)
                abort();
            c->f->out_len = 0;
            moved = true;
        }
    } while (moved);
}

/* window: of each stream, as the client tells it; 0: the default. */
static inline struct h2_client *h2_open(struct fake_conn *f, uint32_t window)
{
    struct h2_client *c = calloc(1, sizeof(*c));
    nghttp2_session_callbacks *cb;
    nghttp2_option *o;
    nghttp2_settings_entry iv[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}};

    c->f = f;
    nghttp2_session_callbacks_new(&cb);
    nghttp2_session_callbacks_set_on_header_callback(cb, h2_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, h2_on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, h2_on_frame);
    nghttp2_option_new(&o);
    nghttp2_option_set_peer_max_concurrent_streams(o, 1000);
    nghttp2_session_client_new2(&c->ng, cb, c, o);
    nghttp2_option_del(o);
    nghttp2_session_callbacks_del(cb);
    nghttp2_submit_settings(c->ng, 0, iv, window == 0 ? 0 : 1);
    return c;
}

static inline void h2_close(struct h2_client *c)
{
    for (unsigned i = 0; i < c->n; i++)
        free(c->streams[i].body);
    nghttp2_session_del(c->ng);
    free(c);
}

static inline nghttp2_nv h2_nv(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), 0};
}

/* A request that is queued, not sent: h2_exchange sends it. body NULL: none, HEADERS ends it. */
static inline struct h2_stream *h2_submit(struct h2_client *c, const char *method, const char *path,
                                          const struct h2_field *fields, const void *body,
                                          size_t len)
{
    nghttp2_nv nv[40] = {h2_nv(":method", method), h2_nv(":scheme", "https"),
                         h2_nv(":authority", "dns.test"), h2_nv(":path", path)};
    struct h2_stream *s = &c->streams[c->n++];
    nghttp2_data_provider p = {.source.ptr = s, .read_callback = h2_read_body};
    size_t n = 4;

    for (; fields != NULL && fields->name != NULL; fields++)
        nv[n++] = h2_nv(fields->name, fields->value);
    s->request = body;
    s->request_len = len;
    s->body = malloc(H2_BODY);
    s->id = nghttp2_submit_request(c->ng, NULL, nv, n, body != NULL ? &p : NULL, NULL);
    return s;
}

static inline struct h2_stream *h2_ask(struct h2_client *c, const char *method, const char *path,
                                       const struct h2_field *fields, const void *body, size_t len)
{
    struct h2_stream *s = h2_submit(c, method, path, fields, body, len);

    h2_exchange(c);
    return s;
}

/* "" when the field is not there. */
static inline const char *h2_get(const struct h2_stream *s, const char *name)
{
    for (unsigned i = 0; i < s->n_fields; i++)
        if (strcmp(s->fields[i][0], name) == 0)
            return s->fields[i][1];
    return "";
}
