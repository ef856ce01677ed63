/* HTTP/2 (RFC 9113) over nghttp2, the only file of the server that sees it. One read is one
 * mem_recv; the answers of a turn leave in one loop of mem_send into the connection's output.
 * DATA goes from the reply straight to the output, and nothing that is constant is copied. */
#include "http2_flood.h"
#include "http_priv.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <string.h>
#include "waypost/base/wr.h"
#include "waypost/server/guard.h"

#define SECONDS(n) ((uint64_t)(n)*1000000000u)

enum {
    CONNECTION_WINDOW = 1 << 20, /* octets of bodies that may be under way at once */
    ROOM_LEAST = 2048,           /* output asked for at a time */
    HEADER_FLOOD = 4,            /* times the header limit: not 431 any more, but the end */
    FRAME_HEAD = 9,
    PING_STRIKES = 2,            /* gRPC keepalive without calls, sooner than PING_LEAST_NS */
};
#define PING_LEAST_NS SECONDS(5)
#define DRAIN_PING_NS (SECONDS(1) / 2) /* between the two GOAWAYs when the ping gets no answer */
#define SLEEP_NS SECONDS(1)            /* idle: the session's memory is put aside */
#define PROBE_NS SECONDS(60)           /* gRPC without calls: is anybody there? */

/* What the sessions of a worker share. */
struct h2_shared {
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
};

struct h2 {
    struct wp_http http; /* first */
    nghttp2_session *ng;      /* asleep while region.packed is set */
    struct wp_region region;
    struct wp_exchanges reading, working, answered;
    struct wp_exchange *cur;  /* the one last looked up */
    struct wp_task task;      /* flush of late answers */
    struct wp_flood_state flood;
    uint64_t idle_ns;         /* without an open stream since */
    uint64_t due_ns;          /* deadline in force */
    uint64_t ping_ns;         /* last ping, for strikes */
    uint64_t drain_ns;        /* the real GOAWAY follows then at the latest; 0: not draining */
    uint32_t n_open;          /* exchanges */
    uint32_t held;            /* octets of answers that wait for the client */
    uint32_t block_octets;    /* of the header block that comes */
    uint32_t fatal;           /* error code for GOAWAY + 1 */
    const char *fatal_text;
    uint8_t *room;            /* output, while flushing */
    size_t room_len, room_used;
    uint8_t strikes;
    bool begun;               /* the client's SETTINGS have come */
    bool greeted;             /* ours have gone */
    bool resetting;           /* the frame that is read is the client's RST_STREAM */
    bool congested;           /* the client does not read: no more output ... */
    bool paused;              /* ... and no more input */
    bool eof, probing;
    bool wakeful;             /* no memory to fall asleep */
};

static struct h2 *h2_of(const struct wp_http *h)
{
    return (struct h2 *)h;
}

static uint64_t now_of(const struct h2 *s)
{
    return wp_loop_now(s->http.conn->worker->loop);
}

static void refused(struct h2 *s, enum wp_guard_limit limit)
{
    wp_guard_refused(wp_conn_group(s->http.conn), s->http.conn->worker->index, limit);
}

static uint32_t max_streams(const struct h2 *s)
{
    uint32_t n = wp_conn_group(s->http.conn)->limits.max_streams;

    return n == 0 || n > INT32_MAX ? INT32_MAX : n;
}

/* Ends the connection with a GOAWAY after the running callback. Returns what that callback
 * returns, so that nghttp2 reads nothing more. */
static int fail(struct h2 *s, uint32_t code, enum wp_guard_limit limit, const char *text)
{
    if (s->fatal == 0) {
        s->fatal = code + 1;
        s->fatal_text = text;
        if (limit < WP_LIMITS)
            refused(s, limit);
    }
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* Memory is short: the session ends while its library still lives on the pool's reserve. */
static int check_memory(struct h2 *s)
{
    if (WP_LIKELY(!s->http.pool->starved))
        return 0;
    return fail(s, NGHTTP2_INTERNAL_ERROR, WP_LIMIT_MEMORY, NULL);
}

static int spend(struct h2 *s, enum wp_flood kind)
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

    if (WP_LIKELY(wp_flood_spend(&s->flood, kind, now_of(s))))
        return 0;
    return fail(s, NGHTTP2_ENHANCE_YOUR_CALM, says[kind].limit, says[kind].text);
}

/* --- exchanges and their lists ---------------------------------------------------------------- */

static struct wp_exchanges *list_of(struct h2 *s, const struct wp_exchange *x)
{
    return x->at == WP_X_READING ? &s->reading : x->at == WP_X_WORKING ? &s->working : &s->answered;
}

static struct wp_exchange *find(struct h2 *s, int32_t id)
{
    if (s->cur == NULL || s->cur->stream != id)
        s->cur = nghttp2_session_get_stream_user_data(s->ng, id);
    return s->cur;
}

static void forget(struct h2 *s, struct wp_exchange *x)
{
    TAILQ_REMOVE(list_of(s, x), x, link);
    if (s->cur == x)
        s->cur = NULL;
    if (x->retained)
        s->held -= x->answer.body_len;
    if (--s->n_open == 0)
        s->idle_ns = now_of(s);
}

static void complete(struct h2 *s, struct wp_exchange *x)
{
    if (x->at != WP_X_READING)
        return;
    TAILQ_REMOVE(&s->reading, x, link);
    TAILQ_INSERT_TAIL(&s->working, x, link);
    x->at = WP_X_WORKING;
    s->http.app->complete(x);
}

/* --- answers ------------------------------------------------------------------------------------ */

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

static void reset(struct h2 *s, struct wp_exchange *x, uint32_t code)
{
    if (nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, x->stream, code) < 0)
        fail(s, NGHTTP2_INTERNAL_ERROR, WP_LIMIT_MEMORY, NULL);
}

static void h2_answer(struct wp_exchange *x)
{
    struct h2 *s = h2_of(x->http);
    struct wp_answer *a = &x->answer;
    nghttp2_nv nv[FIELDS_MAX];
    nghttp2_data_provider body = {.source.ptr = x, .read_callback = read_body};
    bool has_body = a->grpc_status < 0 ? a->body_len > 0 && x->method != WP_HTTP_HEAD
                                       : a->grpc_status == 0;
    size_t n = a->grpc_status < 0 ? http_fields(x, nv) : grpc_fields(x, nv);

    if (!has_body)
        a->body_len = a->head_len = 0;
    wp_flood_answered(&s->flood);
    s->strikes = 0;
    if (nghttp2_submit_response(s->ng, x->stream, nv, n, has_body ? &body : NULL) < 0)
        reset(s, x, NGHTTP2_INTERNAL_ERROR);
    if (!s->http.in_turn)
        wp_loop_defer(s->http.conn->worker->loop, &s->task);
}

/* Lists follow x->at: wp_exchange_answer has set it to ANSWERED when it calls this. */
static void answer(struct wp_exchange *x)
{
    struct h2 *s = h2_of(x->http);

    TAILQ_REMOVE(x->answer.early ? &s->reading : &s->working, x, link);
    TAILQ_INSERT_TAIL(&s->answered, x, link);
    if (!s->http.conn->closed)
        h2_answer(x);
}

/* --- output --------------------------------------------------------------------------------------- */

static void commit(struct h2 *s)
{
    if (s->room_used > 0)
        wp_conn_commit(s->http.conn, s->room_used);
    s->room = NULL;
    s->room_len = s->room_used = 0;
}

static uint8_t *room(struct h2 *s, size_t len)
{
    uint8_t *p;

    if (WP_UNLIKELY(s->room_len - s->room_used < len)) {
        commit(s);
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

static int send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t len,
                     nghttp2_data_source *source, void *user)
{
    uint8_t *p = room(user, FRAME_HEAD + len);

    (void)ng, (void)frame;
    if (p == NULL)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    memcpy(p, head, FRAME_HEAD);
    wp_exchange_take(source->ptr, p + FRAME_HEAD, len);
    return 0;
}

/* nghttp2 ends the connection when a client passes the limit of streams that it has been told;
 * RFC 9113 s5.1.2 wants only that stream refused. So nghttp2 is told of no limit, the client of
 * the real one: in our first frame, whose first entry it is. */
static void tell_limit(struct h2 *s, uint8_t *settings, size_t len)
{
    s->greeted = true;
    if (len >= FRAME_HEAD + 6 && settings[3] == NGHTTP2_SETTINGS &&
        wp_be16(settings + FRAME_HEAD) == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
        wp_put32(settings + FRAME_HEAD + 2, max_streams(s));
}

static void send_frames(struct h2 *s)
{
    const uint8_t *data;
    ssize_t n = 0;
    uint8_t *p;

    s->congested = wp_conn_is_congested(s->http.conn);
    while (!s->congested && check_memory(s) == 0 &&
           (n = nghttp2_session_mem_send(s->ng, &data)) > 0) {
        p = room(s, (size_t)n);
        if (p == NULL) {
            fail(s, NGHTTP2_INTERNAL_ERROR, WP_LIMIT_MEMORY, NULL);
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
        fail(s, NGHTTP2_INTERNAL_ERROR, WP_LIMITS, NULL);
    }
}

/* Answers that did not leave: the client's window is closed, or it does not read. Their octets
 * move out of the turn's memory, within a bound for each connection.
 * True: there is more to send. */
static bool hold_back(struct h2 *s)
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
        refused(s, WP_LIMIT_H2_WINDOW);
        x->answer.head_len = 0; /* nothing is left, whatever was sent */
        x->answer.body_len = x->sent = 0;
        reset(s, x, NGHTTP2_ENHANCE_YOUR_CALM);
        more = true;
    }
    return more;
}

/* An answer that stands before the request is complete says that the rest is not wanted
 * (RFC 9113 s8.1). True: there is more to send. */
static bool stop_early(struct h2 *s)
{
    struct wp_exchange *x;
    bool more = false;

    TAILQ_FOREACH(x, &s->answered, link)
    {
        if (!x->answer.early || wp_exchange_left(x) > 0)
            continue;
        x->answer.early = false;
        reset(s, x, NGHTTP2_NO_ERROR);
        more = true;
    }
    return more;
}

static void arm(struct h2 *s)
{
    const struct wp_limits *l = &wp_conn_group(s->http.conn)->limits;
    struct wp_exchange *x = s->paused ? NULL : TAILQ_FIRST(&s->reading);
    uint64_t due = s->paused ? 0 : s->drain_ns; /* paused: the write deadline runs below us */

    if (x != NULL && (due == 0 || x->since_ns + l->read_ns < due))
        due = x->since_ns + l->read_ns;
    x = s->paused ? NULL : TAILQ_FIRST(&s->answered);
    if (x != NULL && (due == 0 || x->since_ns + l->write_ns < due))
        due = x->since_ns + l->write_ns;
    if (s->n_open == 0 && due == 0 && !s->paused) {
        uint64_t idle = s->http.app->keeps ? PROBE_NS : l->idle_ns;

        due = s->idle_ns + (s->begun ? idle : l->read_ns);
        if (s->begun && s->region.packed == NULL && s->idle_ns + SLEEP_NS < due && !s->wakeful)
            due = s->idle_ns + SLEEP_NS;
    }
    if (due != s->due_ns)
        wp_conn_deadline(s->http.conn, due);
    s->due_ns = due;
}

/* GOAWAY as the last word, written by hand: nghttp2 is past use. */
static void last_word(struct h2 *s)
{
    size_t text = s->fatal_text != NULL ? strlen(s->fatal_text) : 0;
    size_t len = FRAME_HEAD + 8 + text;
    uint8_t *p;

    p = wp_conn_is_congested(s->http.conn) ? NULL : wp_conn_room(s->http.conn, len);
    if (p == NULL)
        return;
    memset(p, 0, FRAME_HEAD);
    p[2] = (uint8_t)(8 + text);
    p[3] = NGHTTP2_GOAWAY;
    wp_put32(p + FRAME_HEAD, (uint32_t)nghttp2_session_get_last_proc_stream_id(s->ng));
    wp_put32(p + FRAME_HEAD + 4, s->fatal - 1);
    if (text > 0)
        memcpy(p + FRAME_HEAD + 8, s->fatal_text, text);
    wp_conn_commit(s->http.conn, len);
}

/* Everything that waits goes out; then what the connection waits for next. */
static void flush(struct h2 *s)
{
    struct wp_conn *c = s->http.conn;

    if (c->closed)
        return;
    wp_region_wake(&s->region);
    while (check_memory(s) == 0 && s->fatal == 0) {
        bool more = false;

        send_frames(s);
        if (!TAILQ_EMPTY(&s->answered)) {
            more = hold_back(s);
            more |= !s->paused && stop_early(s);
        }
        if (!more || s->paused)
            break;
    }
    commit(s);
    s->http.pool->turn_used = 0;
    if (WP_UNLIKELY(s->fatal != 0)) {
        s->http.pool->starved = false;
        last_word(s);
        wp_conn_close(c);
    } else if (!s->paused && ((!nghttp2_session_want_read(s->ng) &&
                               !nghttp2_session_want_write(s->ng)) ||
                              (s->eof && s->n_open == 0))) {
        wp_conn_close(c);
    } else {
        arm(s);
    }
}

static void flush_late(struct wp_task *task)
{
    flush((struct h2 *)((uint8_t *)task - offsetof(struct h2, task)));
}

/* --- what nghttp2 tells ------------------------------------------------------------------------------ */

static int on_ping(struct h2 *s)
{
    uint64_t now = now_of(s);

    if (s->http.app->keeps) {
        if (s->n_open == 0 && s->ping_ns != 0 && now - s->ping_ns < PING_LEAST_NS)
            s->strikes++;
        s->ping_ns = now;
        if (s->strikes > PING_STRIKES)
            return fail(s, NGHTTP2_ENHANCE_YOUR_CALM, WP_LIMIT_H2_PINGS, "too_many_pings");
    }
    return spend(s, WP_FLOOD_PINGS);
}

static int on_block(struct h2 *s, const nghttp2_frame_hd *hd)
{
    uint32_t limit = wp_conn_group(s->http.conn)->limits.header_octets;

    if (hd->type == NGHTTP2_HEADERS)
        s->block_octets = 0;
    s->block_octets += (uint32_t)hd->length + FRAME_HEAD;
    if (s->block_octets > HEADER_FLOOD * limit)
        return fail(s, NGHTTP2_ENHANCE_YOUR_CALM, WP_LIMIT_H2_CONTINUATION, "header_block_too_large");
    return 0;
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *user)
{
    struct h2 *s = user;

    (void)ng;
    if (check_memory(s) < 0)
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
    struct h2 *s = user;
    struct wp_exchange *x;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    s->cur = NULL;
    if (s->n_open >= max_streams(s)) {
        if (spend(s, WP_FLOOD_REFUSED) != 0)
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        refused(s, WP_LIMIT_STREAMS);
        return nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                         NGHTTP2_REFUSED_STREAM);
    }
    x = wp_exchange_new(&s->http);
    if (x == NULL) {
        refused(s, WP_LIMIT_MEMORY);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    x->stream = frame->hd.stream_id;
    nghttp2_session_set_stream_user_data(ng, x->stream, x);
    s->cur = x;
    TAILQ_INSERT_TAIL(&s->reading, x, link);
    s->n_open++;
    return 0;
}

static bool is(const nghttp2_vec *a, const char *text, size_t len)
{
    return a->len == len && memcmp(a->base, text, len) == 0;
}
#define IS(vec, text) is(vec, text, sizeof(text) - 1)

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
    struct h2 *s = user;
    nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
    uint32_t limit = wp_conn_group(s->http.conn)->limits.header_octets;
    const struct wp_http_app *app = s->http.app;
    struct wp_exchange *x;

    (void)ng, (void)flags;
    if (check_memory(s) < 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    x = find(s, frame->hd.stream_id);
    if (x == NULL)
        return 0;
    x->header_octets += (uint32_t)(n.len + v.len + 32);
    if (WP_UNLIKELY(x->header_octets > limit)) {
        if (x->header_octets > HEADER_FLOOD * limit)
            return fail(s, NGHTTP2_ENHANCE_YOUR_CALM, WP_LIMIT_HEADER, "header_list_too_large");
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

static void on_headers_end(struct h2 *s, struct wp_exchange *x)
{
    if (WP_UNLIKELY(x->header_octets > wp_conn_group(s->http.conn)->limits.header_octets)) {
        refused(s, WP_LIMIT_HEADER);
        s->http.app->error(x, 431);
    } else {
        s->http.app->headers(x);
        if (x->at == WP_X_READING && x->has_length && x->length > x->body_max && !x->skip_body) {
            refused(s, WP_LIMIT_BODY);
            s->http.app->error(x, 413);
        }
    }
}

/* The second GOAWAY of a drain, which names the last stream (RFC 9113 s6.8). */
static void drain_now(struct h2 *s)
{
    s->drain_ns = 0;
    if (nghttp2_submit_goaway(s->ng, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(s->ng), NGHTTP2_NO_ERROR,
                              NULL, 0) < 0)
        fail(s, NGHTTP2_NO_ERROR, WP_LIMITS, NULL);
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2 *s = user;
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
            drain_now(s);
        break;
    }
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    struct h2 *s = user;
    struct wp_exchange *x = nghttp2_session_get_stream_user_data(ng, id);

    if (x != NULL) {
        forget(s, x);
        if (x->running)
            commit(s); /* ending a query may lead anywhere */
        wp_exchange_end(x);
    }
    /* Resets that the client makes us send cost as much as its own (CVE-2025-8671). */
    if (code != NGHTTP2_NO_ERROR && code != NGHTTP2_REFUSED_STREAM && !s->resetting)
        return spend(s, WP_FLOOD_RESETS);
    return 0;
}

/* --- session ------------------------------------------------------------------------------------------ */

static void *mem_malloc(size_t len, void *pool)
{
    return wp_http_alloc(pool, len);
}

static void mem_free(void *p, void *pool)
{
    wp_http_free(pool, p);
}

static void *mem_calloc(size_t n, size_t size, void *pool)
{
    void *p = n > 0 && size > SIZE_MAX / n ? NULL : wp_http_alloc(pool, n * size);

    if (p != NULL)
        memset(p, 0, n * size);
    return p;
}

static void *mem_realloc(void *p, size_t len, void *pool)
{
    return wp_http_realloc(pool, p, len);
}

static void shared_free(struct h2_shared *h)
{
    nghttp2_session_callbacks_del(h->callbacks);
    nghttp2_option_del(h->option);
    free(h);
}

static int shared_get(struct wp_http_pool *p)
{
    struct h2_shared *h;
    nghttp2_session_callbacks *cb;

    if (p->h2 != NULL)
        return 0;
    h = calloc(1, sizeof(*h));
    if (h == NULL)
        return -ENOMEM;
    if (nghttp2_session_callbacks_new(&h->callbacks) < 0 || nghttp2_option_new(&h->option) < 0) {
        shared_free(h);
        return -ENOMEM;
    }
    cb = h->callbacks;
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(cb, send_data);
    nghttp2_option_set_no_closed_streams(h->option, 1);
    /* type, age and date of the answers; each further second would be an entry of 200 octets */
    nghttp2_option_set_max_deflate_dynamic_table_size(h->option, 256);
    nghttp2_option_set_stream_reset_rate_limit(h->option, 100000, 100000); /* ours is lower */
    p->h2 = h;
    p->h2_free = shared_free;
    return 0;
}

static int submit_settings(struct h2 *s)
{
    const nghttp2_settings_entry iv[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, INT32_MAX}, /* see tell_limit */
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, wp_conn_group(s->http.conn)->limits.header_octets},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };

    if (nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, iv, WP_COUNT(iv)) < 0 ||
        nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) < 0)
        return -ENOMEM;
    return 0;
}

static void stop(struct wp_conn *c)
{
    struct h2 *s = c->state;
    struct wp_exchanges *lists[] = {&s->reading, &s->working, &s->answered};
    struct wp_http_pool *p = s->http.pool;

    c->state = NULL;
    for (size_t i = 0; i < WP_COUNT(lists); i++) {
        struct wp_exchange *x;

        while ((x = TAILQ_FIRST(lists[i])) != NULL) {
            TAILQ_REMOVE(lists[i], x, link);
            wp_exchange_end(x);
        }
    }
    wp_task_cancel(c->worker->loop, &s->task);
    wp_region_wake(&s->region);
    nghttp2_session_del(s->ng);
    wp_region_put(&p->regions, &s->region);
    wp_http_free(p, s);
    wp_http_pool_put(p);
}

/* --- the connection's calls ------------------------------------------------------------------------------ */

/* What nghttp2 could not go on with, in the peer's words. */
static void fail_recv(struct h2 *s, int r)
{
    switch (r) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
        fail(s, NGHTTP2_PROTOCOL_ERROR, WP_LIMITS, NULL);
        break;
    case NGHTTP2_ERR_FLOODED:
        fail(s, NGHTTP2_ENHANCE_YOUR_CALM, WP_LIMIT_H2_PINGS, NULL);
        break;
    case NGHTTP2_ERR_TOO_MANY_SETTINGS:
        fail(s, NGHTTP2_ENHANCE_YOUR_CALM, WP_LIMIT_H2_SETTINGS, NULL);
        break;
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        fail(s, NGHTTP2_ENHANCE_YOUR_CALM, WP_LIMIT_H2_CONTINUATION, NULL);
        break;
    case NGHTTP2_ERR_NOMEM:
        fail(s, NGHTTP2_INTERNAL_ERROR, WP_LIMIT_MEMORY, NULL);
        break;
    default:
        fail(s, NGHTTP2_INTERNAL_ERROR, WP_LIMITS, NULL);
        break;
    }
}

static int input(struct wp_conn *c, const uint8_t *data, size_t len)
{
    struct h2 *s = c->state;
    ssize_t r;

    wp_region_wake(&s->region);
    s->wakeful = false;
    s->http.in_turn = true;
    r = nghttp2_session_mem_recv(s->ng, data, len);
    s->http.in_turn = s->resetting = false;
    if (WP_UNLIKELY(r < 0))
        fail_recv(s, (int)r);
    flush(s);
    return (int)len;
}

static void eof(struct wp_conn *c)
{
    struct h2 *s = c->state;

    s->eof = true;
    flush(s);
}

static void writable(struct wp_conn *c)
{
    struct h2 *s = c->state;

    if (!s->paused)
        return;
    s->paused = false;
    wp_conn_resume(c);
    flush(s);
}

/* Bodies that do not come, answers that nobody takes. */
static void expire(struct h2 *s, uint64_t now)
{
    const struct wp_limits *l = &wp_conn_group(s->http.conn)->limits;
    struct wp_exchange *x;

    TAILQ_FOREACH(x, &s->reading, link)
    {
        if (x->since_ns + l->read_ns > now)
            break;
        refused(s, WP_LIMIT_READ_TIME);
        reset(s, x, NGHTTP2_CANCEL);
    }
    x = TAILQ_FIRST(&s->answered);
    if (x != NULL && x->since_ns + l->write_ns <= now)
        fail(s, NGHTTP2_ENHANCE_YOUR_CALM, WP_LIMIT_H2_WINDOW, "window_stalled");
}

/* Nothing is open and nothing came for the idle time. A gRPC client keeps its channel: it is
 * asked for a sign of life instead (transports.md 15: no idle limit there). */
static void expire_idle(struct h2 *s, uint64_t now)
{
    if (s->http.app->keeps && s->begun && !s->probing) {
        s->probing = true;
        s->idle_ns = now;
        if (nghttp2_submit_ping(s->ng, NGHTTP2_FLAG_NONE, NULL) < 0)
            fail(s, NGHTTP2_INTERNAL_ERROR, WP_LIMIT_MEMORY, NULL);
        return;
    }
    refused(s, s->begun ? WP_LIMIT_IDLE_TIME : WP_LIMIT_READ_TIME);
    drain_now(s);
}

/* Idle, but not for long enough to end: puts the session's memory aside. */
static bool fall_asleep(struct h2 *s, uint64_t now)
{
    uint64_t idle = s->http.app->keeps ? PROBE_NS : wp_conn_group(s->http.conn)->limits.idle_ns;

    if (!s->begun || now >= s->idle_ns + idle)
        return false;
    s->wakeful = wp_region_sleep(&s->region) < 0;
    arm(s);
    return true;
}

static void timeout(struct wp_conn *c)
{
    struct h2 *s = c->state;
    uint64_t now = now_of(s);
    bool idle = s->n_open == 0 && s->drain_ns == 0;

    s->due_ns = 0;
    if (idle && s->region.packed == NULL && fall_asleep(s, now))
        return;
    wp_region_wake(&s->region);
    expire(s, now);
    if (s->drain_ns != 0 && s->drain_ns <= now)
        drain_now(s);
    else if (idle)
        expire_idle(s, now);
    flush(s);
}

static void drain(struct wp_conn *c)
{
    struct h2 *s = c->state;

    wp_region_wake(&s->region);
    if (!s->begun) {
        drain_now(s);
    } else if (nghttp2_submit_shutdown_notice(s->ng) < 0 ||
               nghttp2_submit_ping(s->ng, NGHTTP2_FLAG_NONE, NULL) < 0) {
        fail(s, NGHTTP2_NO_ERROR, WP_LIMITS, NULL);
    } else {
        s->drain_ns = now_of(s) + DRAIN_PING_NS;
    }
    flush(s);
}

static int start(struct wp_conn *c)
{
    (void)c; /* the connection speaks it since wp_http2_start */
    return 0;
}

static const struct wp_conn_proto proto = {
    .alpn = "h2",
    .start = start,
    .input = input,
    .eof = eof,
    .writable = writable,
    .timeout = timeout,
    .drain = drain,
    .stop = stop,
    .wait_when_full = true,
};

int wp_http2_start(struct wp_conn *c, const struct wp_http_app *app)
{
    struct wp_http_pool *p = wp_http_pool_get(c->worker);
    struct h2 *s = p != NULL ? wp_http_alloc(p, sizeof(*s)) : NULL;
    nghttp2_mem mem = {p, mem_malloc, mem_free, mem_calloc, mem_realloc};
    int r;

    if (s != NULL)
        memset(s, 0, sizeof(*s));
    if (s == NULL || shared_get(p) < 0)
        goto fail;
    s->http = (struct wp_http){.conn = c, .app = app, .pool = p, .answer = answer};
    TAILQ_INIT(&s->reading);
    TAILQ_INIT(&s->working);
    TAILQ_INIT(&s->answered);
    s->task.fn = flush_late;
    s->idle_ns = now_of(s);
    wp_flood_init(&s->flood, s->idle_ns);
    /* The one large block of a session, 16 KiB where it builds a frame, is empty between two
     * calls of mem_send and every frame is copied before the next call: sessions share it. */
    p->starved = false;
    if (wp_region_get(&p->regions, &s->region) < 0)
        goto fail;
    p->lend = &s->region;
    p->lend_frame = true;
    r = nghttp2_session_server_new3(&s->ng, p->h2->callbacks, s, p->h2->option, &mem);
    p->lend = NULL;
    p->lend_frame = false;
    if (r < 0)
        goto fail;
    if (submit_settings(s) < 0) {
        nghttp2_session_del(s->ng);
        goto fail;
    }
    if (app->start != NULL)
        app->start(&s->http);
    c->state = s;
    c->proto = &proto;
    flush(s);
    return 0;
fail:
    if (s != NULL)
        wp_region_put(&p->regions, &s->region);
    wp_http_free(p, s);
    wp_http_pool_put(p);
    return -ENOMEM;
}
