/* What nghttp2 tells of a session: frames, header fields, bodies, the ends of streams. What a
 * client can do for nothing is counted here. */
#include "http2_priv.h"

#include <string.h>

enum {
    HEADER_FLOOD = 4, /* times the header limit: not 431 any more, but the end */
    PING_STRIKES = 2, /* gRPC keepalive without calls, sooner than PING_LEAST_NS */
};
#define PING_LEAST_NS WP_H2_SECONDS(5)

static int spend(struct wp_h2 *s, enum wp_flood kind)
{
    static const struct {
        enum wp_guard_limit limit;
        const char *text;
    } says[WP_FLOODS] = {
        [WP_FLOOD_RESETS] = {WP_LIMIT_H2_RESETS, "too_many_resets"},
        [WP_FLOOD_REFUSED] = {WP_LIMIT_STREAMS, "too_many_streams"},
        [WP_FLOOD_PINGS] = {WP_LIMIT_H2_PINGS, "too_many_pings"},
        [WP_FLOOD_SETTINGS] = {WP_LIMIT_H2_SETTINGS, "too_many_settings"},
        [WP_FLOOD_EMPTY] = {WP_LIMIT_H2_EMPTY, "too_many_empty_frames"},
        [WP_FLOOD_CONTROL] = {WP_LIMIT_H2_WINDOW, "too_many_control_frames"},
    };

    if (WP_LIKELY(wp_flood_spend(&s->flood, kind, wp_h2_now(s))))
        return 0;
    return wp_h2_fail(s, NGHTTP2_ENHANCE_YOUR_CALM, says[kind].limit, says[kind].text);
}

static struct wp_exchanges *list_of(struct wp_h2 *s, const struct wp_exchange *x)
{
    return x->at == WP_X_READING ? &s->reading : x->at == WP_X_WORKING ? &s->working : &s->answered;
}

static struct wp_exchange *find(struct wp_h2 *s, int32_t id)
{
    if (s->cur == NULL || s->cur->stream != id)
        s->cur = nghttp2_session_get_stream_user_data(s->ng, id);
    return s->cur;
}

static void forget(struct wp_h2 *s, struct wp_exchange *x)
{
    TAILQ_REMOVE(list_of(s, x), x, link);
    if (s->cur == x)
        s->cur = NULL;
    if (x->retained)
        s->held -= x->answer.body_len;
    if (--s->n_open == 0)
        s->idle_ns = wp_h2_now(s);
}

static void complete(struct wp_h2 *s, struct wp_exchange *x)
{
    if (x->at != WP_X_READING)
        return;
    TAILQ_REMOVE(&s->reading, x, link);
    TAILQ_INSERT_TAIL(&s->working, x, link);
    x->at = WP_X_WORKING;
    s->http.app->complete(x);
}

static int on_ping(struct wp_h2 *s)
{
    uint64_t now = wp_h2_now(s);

    if (s->http.app->keeps) {
        if (s->n_open == 0 && s->ping_ns != 0 && now - s->ping_ns < PING_LEAST_NS)
            s->strikes++;
        s->ping_ns = now;
        if (s->strikes > PING_STRIKES)
            return wp_h2_fail(s, NGHTTP2_ENHANCE_YOUR_CALM, WP_LIMIT_H2_PINGS, "too_many_pings");
    }
    return spend(s, WP_FLOOD_PINGS);
}

static int on_block(struct wp_h2 *s, const nghttp2_frame_hd *hd)
{
    uint32_t limit = wp_h2_limits(s)->header_octets;

    if (hd->type == NGHTTP2_HEADERS)
        s->block_octets = 0;
    s->block_octets += (uint32_t)hd->length + WP_H2_FRAME_HEAD;
    if (s->block_octets > HEADER_FLOOD * limit)
        return wp_h2_fail(s, NGHTTP2_ENHANCE_YOUR_CALM, WP_LIMIT_H2_CONTINUATION,
                          "header_block_too_large");
    return 0;
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *user)
{
    struct wp_h2 *s = user;

    (void)ng;
    if (wp_h2_check_memory(s) < 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    s->resetting = hd->type == NGHTTP2_RST_STREAM;
    switch (hd->type) {
    case NGHTTP2_DATA:
        if (hd->length > 0 || (hd->flags & NGHTTP2_FLAG_END_STREAM) != 0)
            return 0;
        return spend(s, WP_FLOOD_EMPTY);
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:
        return on_block(s, hd);
    case NGHTTP2_RST_STREAM:
        return spend(s, WP_FLOOD_RESETS);
    case NGHTTP2_SETTINGS:
        return (hd->flags & NGHTTP2_FLAG_ACK) != 0 ? 0 : spend(s, WP_FLOOD_SETTINGS);
    case NGHTTP2_PING:
        return (hd->flags & NGHTTP2_FLAG_ACK) != 0 ? 0 : on_ping(s);
    default:
        return spend(s, WP_FLOOD_CONTROL);
    }
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct wp_h2 *s = user;
    struct wp_exchange *x;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    s->cur = NULL;
    if (s->n_open >= wp_h2_max_streams(s)) {
        if (spend(s, WP_FLOOD_REFUSED) != 0)
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        wp_h2_refused(s, WP_LIMIT_STREAMS);
        return nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                         NGHTTP2_REFUSED_STREAM);
    }
    x = wp_exchange_new(&s->http);
    if (x == NULL) {
        wp_h2_refused(s, WP_LIMIT_MEMORY);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    x->stream = frame->hd.stream_id;
    nghttp2_session_set_stream_user_data(ng, x->stream, x);
    s->cur = x;
    TAILQ_INSERT_TAIL(&s->reading, x, link);
    s->n_open++;
    return 0;
}

/* A macro: a constant length makes it a compare or two instead of a call. */
#define IS(vec, text)                                                                              \
    ((vec)->len == sizeof(text) - 1 && memcmp((vec)->base, text, sizeof(text) - 1) == 0)

static void on_method(struct wp_exchange *x, const nghttp2_vec *v)
{
    if (IS(v, "POST"))
        x->method = WP_HTTP_POST;
    else if (IS(v, "GET"))
        x->method = WP_HTTP_GET;
    else if (IS(v, "HEAD"))
        x->method = WP_HTTP_HEAD;
}

/* nghttp2 has checked that it is decimal and fits. */
static void on_length(struct wp_exchange *x, const nghttp2_vec *v)
{
    x->has_length = true;
    x->length = 0;
    for (size_t i = 0; i < v->len; i++)
        x->length = x->length * 10 + (uint64_t)(v->base[i] - '0');
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    struct wp_h2 *s = user;
    nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
    uint32_t limit = wp_h2_limits(s)->header_octets;
    const struct wp_http_app *app = s->http.app;
    struct wp_exchange *x;

    (void)ng, (void)flags;
    if (wp_h2_check_memory(s) < 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    x = find(s, frame->hd.stream_id);
    if (x == NULL)
        return 0;
    x->header_octets += (uint32_t)(n.len + v.len + 32);
    if (WP_UNLIKELY(x->header_octets > limit)) {
        if (x->header_octets > HEADER_FLOOD * limit)
            return wp_h2_fail(s, NGHTTP2_ENHANCE_YOUR_CALM, WP_LIMIT_HEADER,
                              "header_list_too_large");
        return 0;
    }
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    switch (n.len) {
    case 5:
        if (IS(&n, ":path"))
            app->target(x, v.base, v.len);
        break;
    case 7:
        if (IS(&n, ":method"))
            on_method(x, &v);
        break;
    case 12:
        if (IS(&n, "content-type"))
            app->field(x, WP_FIELD_CONTENT_TYPE, v.base, v.len);
        else if (IS(&n, "grpc-timeout"))
            app->field(x, WP_FIELD_GRPC_TIMEOUT, v.base, v.len);
        break;
    case 13:
        if (IS(&n, "grpc-encoding"))
            app->field(x, WP_FIELD_GRPC_ENCODING, v.base, v.len);
        break;
    case 14:
        if (IS(&n, "content-length"))
            on_length(x, &v);
        break;
    }
    return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
                   void *user)
{
    struct wp_exchange *x = find(user, id);

    (void)ng, (void)flags;
    if (x != NULL)
        wp_exchange_body(x, data, len);
    return 0;
}

static void on_headers_end(struct wp_h2 *s, struct wp_exchange *x)
{
    if (WP_UNLIKELY(x->header_octets > wp_h2_limits(s)->header_octets)) {
        wp_h2_refused(s, WP_LIMIT_HEADER);
        s->http.app->error(x, 431);
    } else {
        s->http.app->headers(x);
        if (x->at == WP_X_READING && x->has_length && x->length > x->body_max && !x->skip_body) {
            wp_h2_refused(s, WP_LIMIT_BODY);
            s->http.app->error(x, 413);
        }
    }
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct wp_h2 *s = user;
    struct wp_exchange *x;

    (void)ng;
    s->probing = false;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        x = find(s, frame->hd.stream_id);
        if (x == NULL)
            break;
        if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
            on_headers_end(s, x);
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
            complete(s, x);
        break;
    case NGHTTP2_SETTINGS:
        s->begun = true;
        break;
    case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 && s->drain_ns != 0)
            wp_h2_goaway(s);
        break;
    }
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    struct wp_h2 *s = user;
    struct wp_exchange *x = nghttp2_session_get_stream_user_data(ng, id);

    if (x != NULL) {
        forget(s, x);
        if (x->running)
            wp_h2_commit(s); /* ending a query may lead anywhere */
        wp_exchange_end(x);
    }
    /* Resets that the client makes us send cost as much as its own (CVE-2025-8671). */
    if (code != NGHTTP2_NO_ERROR && code != NGHTTP2_REFUSED_STREAM && !s->resetting)
        return spend(s, WP_FLOOD_RESETS);
    return 0;
}

void wp_h2_set_callbacks(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(cb, wp_h2_send_data);
}
