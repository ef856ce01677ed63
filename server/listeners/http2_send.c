/* Answers, and the way of frames into the connection's output. DATA goes from the reply straight
 * there, and nothing that is constant is copied. */
#include "http2_priv.h"

#include <string.h>
#include "waypost/base/wr.h"

enum { ROOM_LEAST = 2048 }; /* output asked for at a time */

/* --- answers
 * -------------------------------------------------------------------------------------- */

static void set(nghttp2_nv *nv, const char *name, size_t name_len, const char *value, size_t len)
{
    *nv = (nghttp2_nv){
        .name = (uint8_t *)name,
        .value = (uint8_t *)value,
        .namelen = name_len,
        .valuelen = len,
        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE,
    };
}
#define SET(nv, name, value, len) set(nv, name, sizeof(name) - 1, value, len)
#define SET_TEXT(nv, name, value) set(nv, name, sizeof(name) - 1, value, strlen(value))

enum { FIELDS_MAX = 8 };

static size_t http_fields(struct wp_exchange *x, nghttp2_nv *nv)
{
    static const char max_age[] = "max-age=";
    struct wp_answer *a = &x->answer;
    size_t n = 0, unused;

    SET(&nv[n++], ":status", wp_http_reason(a->status, &unused), 3);
    SET_TEXT(&nv[n++], "content-type", a->type);
    SET(&nv[n++], "date", wp_http_date(x->pool), WP_HTTP_DATE);
    SET(&nv[n++], "content-length", x->length_text, wp_http_decimal(x->length_text, a->body_len));
    if (a->max_age >= 0) {
        size_t len = sizeof(max_age) - 1;

        memcpy(x->age_text, max_age, len);
        len += wp_http_decimal(x->age_text + len, (uint32_t)a->max_age);
        SET(&nv[n++], "cache-control", x->age_text, len);
    }
    if (a->allow != NULL)
        SET_TEXT(&nv[n++], "allow", a->allow);
    if (a->retry_after)
        SET(&nv[n++], "retry-after", "1", 1);
    return n;
}

static size_t grpc_fields(struct wp_exchange *x, nghttp2_nv *nv)
{
    struct wp_answer *a = &x->answer;
    size_t n = 0;

    SET(&nv[n++], ":status", "200", 3);
    SET(&nv[n++], "content-type", "application/grpc", 16);
    if (a->grpc_status == 0)
        return n;
    SET(&nv[n++], "grpc-status", x->length_text,
        wp_http_decimal(x->length_text, (uint32_t)a->grpc_status));
    if (a->message != NULL)
        SET_TEXT(&nv[n++], "grpc-message", a->message);
    if (a->reject_encoding)
        SET(&nv[n++], "grpc-accept-encoding", "identity", 8);
    return n;
}

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
                         nghttp2_data_source *source, void *user)
{
    struct wp_exchange *x = source->ptr;
    uint32_t left = wp_exchange_left(x);

    (void)buf, (void)user;
    *flags = NGHTTP2_DATA_FLAG_NO_COPY;
    if (left > len)
        return (ssize_t)len;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (x->answer.grpc_status == 0) {
        nghttp2_nv status;

        SET(&status, "grpc-status", "0", 1);
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(ng, id, &status, 1) < 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)left;
}

void wp_h2_reset(struct wp_h2 *s, struct wp_exchange *x, uint32_t code)
{
    if (nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, x->stream, code) < 0)
        wp_h2_fail(s, NGHTTP2_INTERNAL_ERROR, WP_LIMIT_MEMORY, NULL);
}

static void h2_answer(struct wp_exchange *x)
{
    struct wp_h2 *s = wp_h2_of(x->http);
    struct wp_answer *a = &x->answer;
    nghttp2_nv nv[FIELDS_MAX];
    nghttp2_data_provider body = {.source.ptr = x, .read_callback = read_body};
    bool has_body =
        a->grpc_status < 0 ? a->body_len > 0 && x->method != WP_HTTP_HEAD : a->grpc_status == 0;
    size_t n = a->grpc_status < 0 ? http_fields(x, nv) : grpc_fields(x, nv);

    if (!has_body)
        a->body_len = a->head_len = 0;
    wp_flood_answered(&s->flood);
    s->strikes = 0;
    if (nghttp2_submit_response(s->ng, x->stream, nv, n, has_body ? &body : NULL) < 0)
        wp_h2_reset(s, x, NGHTTP2_INTERNAL_ERROR);
    if (!s->http.in_turn)
        wp_loop_defer(s->http.conn->worker->loop, &s->task);
}

/* Lists follow x->at: wp_exchange_answer has set it to ANSWERED when it calls this. */
void wp_h2_answer(struct wp_exchange *x)
{
    struct wp_h2 *s = wp_h2_of(x->http);

    TAILQ_REMOVE(x->answer.early ? &s->reading : &s->working, x, link);
    TAILQ_INSERT_TAIL(&s->answered, x, link);
    if (!s->http.conn->closed)
        h2_answer(x);
}

/* --- output
 * --------------------------------------------------------------------------------------- */

void wp_h2_commit(struct wp_h2 *s)
{
    if (s->room_used > 0)
        wp_conn_commit(s->http.conn, s->room_used);
    s->room = NULL;
    s->room_len = s->room_used = 0;
}

static uint8_t *room(struct wp_h2 *s, size_t len)
{
    uint8_t *p;

    if (WP_UNLIKELY(s->room_len - s->room_used < len)) {
        wp_h2_commit(s);
        s->room = wp_conn_room_max(s->http.conn, len < ROOM_LEAST ? ROOM_LEAST : len, &s->room_len);
        if (s->room == NULL) {
            s->room_len = 0;
            return NULL;
        }
        s->congested = wp_conn_is_congested(s->http.conn);
    }
    p = s->room + s->room_used;
    s->room_used += len;
    return p;
}

int wp_h2_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t len,
                    nghttp2_data_source *source, void *user)
{
    uint8_t *p = room(user, WP_H2_FRAME_HEAD + len);

    (void)ng, (void)frame;
    if (p == NULL)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    memcpy(p, head, WP_H2_FRAME_HEAD);
    wp_exchange_take(source->ptr, p + WP_H2_FRAME_HEAD, len);
    return 0;
}

/* nghttp2 ends the connection when a client passes the limit of streams that it has been told;
 * RFC 9113 s5.1.2 wants only that stream refused. So nghttp2 is told of no limit, the client of
 * the real one: in our first frame, whose first entry it is. */
static void tell_limit(struct wp_h2 *s, uint8_t *settings, size_t len)
{
    s->greeted = true;
    if (len >= WP_H2_FRAME_HEAD + 6 && settings[3] == NGHTTP2_SETTINGS &&
        wp_be16(settings + WP_H2_FRAME_HEAD) == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
        wp_put32(settings + WP_H2_FRAME_HEAD + 2, wp_h2_max_streams(s));
}

static void send_frames(struct wp_h2 *s)
{
    const uint8_t *data;
    ssize_t n = 0;
    uint8_t *p;

    s->congested = wp_conn_is_congested(s->http.conn);
    while (!s->congested && wp_h2_check_memory(s) == 0 &&
           (n = nghttp2_session_mem_send(s->ng, &data)) > 0) {
        p = room(s, (size_t)n);
        if (p == NULL) {
            wp_h2_fail(s, NGHTTP2_INTERNAL_ERROR, WP_LIMIT_MEMORY, NULL);
            return;
        }
        memcpy(p, data, (size_t)n);
        if (WP_UNLIKELY(!s->greeted))
            tell_limit(s, p, (size_t)n);
    }
    if (s->congested) {
        s->paused = true;
        wp_conn_pause(s->http.conn);
    } else if (n < 0) {
        wp_h2_fail(s, NGHTTP2_INTERNAL_ERROR, WP_LIMITS, NULL);
    }
}

/* Answers that did not leave: the client's window is closed, or it does not read. Their octets
 * move out of the turn's memory, within a bound for each connection.
 * True: there is more to send. */
static bool hold_back(struct wp_h2 *s)
{
    struct wp_exchange *x;
    bool more = false;

    TAILQ_FOREACH(x, &s->answered, link)
    {
        if (x->retained || wp_exchange_left(x) == 0)
            continue;
        if (s->held + x->answer.body_len <= WP_HTTP_BLOCKED_MAX && wp_exchange_retain(x) == 0) {
            s->held += x->answer.body_len;
            continue;
        }
        wp_h2_refused(s, WP_LIMIT_H2_WINDOW);
        x->answer.head_len = 0; /* nothing is left, whatever was sent */
        x->answer.body_len = x->sent = 0;
        wp_h2_reset(s, x, NGHTTP2_ENHANCE_YOUR_CALM);
        more = true;
    }
    return more;
}

/* An answer that stands before the request is complete says that the rest is not wanted
 * (RFC 9113 s8.1). True: there is more to send. */
static bool stop_early(struct wp_h2 *s)
{
    struct wp_exchange *x;
    bool more = false;

    TAILQ_FOREACH(x, &s->answered, link)
    {
        if (!x->answer.early || wp_exchange_left(x) > 0)
            continue;
        x->answer.early = false;
        wp_h2_reset(s, x, NGHTTP2_NO_ERROR);
        more = true;
    }
    return more;
}

/* GOAWAY as the last word, written by hand: nghttp2 is past use. */
static void last_word(struct wp_h2 *s)
{
    size_t text = s->fatal_text != NULL ? strlen(s->fatal_text) : 0;
    size_t len = WP_H2_FRAME_HEAD + 8 + text;
    uint8_t *p;

    p = wp_conn_is_congested(s->http.conn) ? NULL : wp_conn_room(s->http.conn, len);
    if (p == NULL)
        return;
    memset(p, 0, WP_H2_FRAME_HEAD);
    p[2] = (uint8_t)(8 + text);
    p[3] = NGHTTP2_GOAWAY;
    wp_put32(p + WP_H2_FRAME_HEAD, (uint32_t)nghttp2_session_get_last_proc_stream_id(s->ng));
    wp_put32(p + WP_H2_FRAME_HEAD + 4, s->fatal - 1);
    if (text > 0)
        memcpy(p + WP_H2_FRAME_HEAD + 8, s->fatal_text, text);
    wp_conn_commit(s->http.conn, len);
}

void wp_h2_flush(struct wp_h2 *s)
{
    struct wp_conn *c = s->http.conn;

    if (c->closed)
        return;
    wp_region_wake(&s->http.pool->regions, &s->region);
    while (wp_h2_check_memory(s) == 0 && s->fatal == 0) {
        bool more = false;

        send_frames(s);
        if (!TAILQ_EMPTY(&s->answered)) {
            more = hold_back(s);
            more |= !s->paused && stop_early(s);
        }
        if (!more || s->paused)
            break;
    }
    wp_h2_commit(s);
    s->http.pool->turn_used = 0;
    if (WP_UNLIKELY(s->fatal != 0)) {
        s->http.pool->starved = false;
        last_word(s);
        wp_conn_close(c);
    } else if (!s->paused &&
               ((!nghttp2_session_want_read(s->ng) && !nghttp2_session_want_write(s->ng)) ||
                (s->eof && s->n_open == 0))) {
        wp_conn_close(c);
    } else {
        wp_h2_arm(s);
    }
}
