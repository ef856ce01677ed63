/* HTTP/2 (RFC 9113) over nghttp2: the life of a session. One read is one mem_recv; the answers of
 * a turn leave in one loop of mem_send into the connection's output. */
#include "http2_priv.h"

#include <errno.h>
#include <string.h>

enum { CONNECTION_WINDOW = 1 << 20 }; /* octets of bodies that may be under way at once */
#define DRAIN_PING_NS                                                                              \
    (WP_H2_SECONDS(1) / 2)         /* between the two GOAWAYs when the ping gets no answer */
#define SLEEP_NS WP_H2_SECONDS(1)  /* idle: the session's memory is put aside */
#define PROBE_NS WP_H2_SECONDS(60) /* gRPC without calls: is anybody there? */

void wp_h2_refused(struct wp_h2 *s, enum wp_guard_limit limit)
{
    wp_guard_refused(wp_conn_group(s->http.conn), s->http.conn->worker->index, limit);
}

int wp_h2_fail(struct wp_h2 *s, uint32_t code, enum wp_guard_limit limit, const char *text)
{
    if (s->fatal == 0) {
        s->fatal = code + 1;
        s->fatal_text = text;
        if (limit < WP_LIMITS)
            wp_h2_refused(s, limit);
    }
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

int wp_h2_check_memory(struct wp_h2 *s)
{
    if (WP_LIKELY(!s->http.pool->starved))
        return 0;
    return wp_h2_fail(s, NGHTTP2_INTERNAL_ERROR, WP_LIMIT_MEMORY, NULL);
}

/* The second GOAWAY of a drain, which names the last stream (RFC 9113 s6.8). */
void wp_h2_goaway(struct wp_h2 *s)
{
    s->drain_ns = 0;
    if (nghttp2_submit_goaway(s->ng, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(s->ng), NGHTTP2_NO_ERROR,
                              NULL, 0) < 0)
        wp_h2_fail(s, NGHTTP2_NO_ERROR, WP_LIMITS, NULL);
}

static uint64_t idle_of(const struct wp_h2 *s)
{
    return s->http.app->keeps ? PROBE_NS : wp_guard_idle_ns(wp_conn_group(s->http.conn));
}

void wp_h2_arm(struct wp_h2 *s)
{
    const struct wp_limits *l = wp_h2_limits(s);
    struct wp_exchange *x = s->paused ? NULL : TAILQ_FIRST(&s->reading);
    uint64_t due = s->paused ? 0 : s->drain_ns; /* paused: the write deadline runs below us */

    if (x != NULL && (due == 0 || x->since_ns + l->read_ns < due))
        due = x->since_ns + l->read_ns;
    x = s->paused ? NULL : TAILQ_FIRST(&s->answered);
    if (x != NULL && (due == 0 || x->since_ns + l->write_ns < due))
        due = x->since_ns + l->write_ns;
    if (s->n_open == 0 && due == 0 && !s->paused) {
        uint64_t idle = idle_of(s);

        due = s->idle_ns + (s->begun ? idle : l->read_ns);
        if (s->begun && s->region.packed == NULL && s->idle_ns + SLEEP_NS < due && !s->wakeful)
            due = s->idle_ns + SLEEP_NS;
    }
    if (due != s->due_ns)
        wp_conn_deadline(s->http.conn, due);
    s->due_ns = due;
}

static void flush_late(struct wp_task *task)
{
    wp_h2_flush((struct wp_h2 *)((uint8_t *)task - offsetof(struct wp_h2, task)));
}

/* --- session -------------------------------------------------------------------------------------
 */

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

    if (p->h2 != NULL)
        return 0;
    h = calloc(1, sizeof(*h));
    if (h == NULL)
        return -ENOMEM;
    if (nghttp2_session_callbacks_new(&h->callbacks) < 0 || nghttp2_option_new(&h->option) < 0) {
        shared_free(h);
        return -ENOMEM;
    }
    wp_h2_set_callbacks(h->callbacks);
    nghttp2_option_set_no_closed_streams(h->option, 1);
    /* type, age and date of the answers; each further second would be an entry of 200 octets */
    nghttp2_option_set_max_deflate_dynamic_table_size(h->option, 256);
    nghttp2_option_set_stream_reset_rate_limit(h->option, 100000, 100000); /* ours is lower */
    p->h2 = h;
    p->h2_free = shared_free;
    return 0;
}

static int submit_settings(struct wp_h2 *s)
{
    const nghttp2_settings_entry iv[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, INT32_MAX}, /* see tell_limit */
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, wp_h2_limits(s)->header_octets},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };

    if (nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, iv, WP_COUNT(iv)) < 0 ||
        nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) < 0)
        return -ENOMEM;
    return 0;
}

static void stop(struct wp_conn *c)
{
    struct wp_h2 *s = c->state;
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
    wp_region_wake(&s->http.pool->regions, &s->region);
    nghttp2_session_del(s->ng);
    wp_region_put(&p->regions, &s->region);
    wp_http_free(p, s);
    wp_http_pool_put(p);
}

/* --- the connection's calls ----------------------------------------------------------------------
 */

/* What nghttp2 could not go on with, in the peer's words. */
static void fail_recv(struct wp_h2 *s, int r)
{
    switch (r) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
        wp_h2_fail(s, NGHTTP2_PROTOCOL_ERROR, WP_LIMITS, NULL);
        break;
    case NGHTTP2_ERR_FLOODED:
        wp_h2_fail(s, NGHTTP2_ENHANCE_YOUR_CALM, WP_LIMIT_H2_PINGS, NULL);
        break;
    case NGHTTP2_ERR_TOO_MANY_SETTINGS:
        wp_h2_fail(s, NGHTTP2_ENHANCE_YOUR_CALM, WP_LIMIT_H2_SETTINGS, NULL);
        break;
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        wp_h2_fail(s, NGHTTP2_ENHANCE_YOUR_CALM, WP_LIMIT_H2_CONTINUATION, NULL);
        break;
    case NGHTTP2_ERR_NOMEM:
        wp_h2_fail(s, NGHTTP2_INTERNAL_ERROR, WP_LIMIT_MEMORY, NULL);
        break;
    default:
        wp_h2_fail(s, NGHTTP2_INTERNAL_ERROR, WP_LIMITS, NULL);
        break;
    }
}

static int input(struct wp_conn *c, const uint8_t *data, size_t len)
{
    struct wp_h2 *s = c->state;
    ssize_t r;

    wp_region_wake(&s->http.pool->regions, &s->region);
    s->wakeful = false;
    s->http.in_turn = true;
    s->http.batches = true;
    r = nghttp2_session_mem_recv(s->ng, data, len);
    s->http.batches = false;
    wp_exchange_run_ahead(s->http.pool);
    s->http.in_turn = s->resetting = false;
    if (WP_UNLIKELY(r < 0))
        fail_recv(s, (int)r);
    wp_h2_flush(s);
    return (int)len;
}

static void eof(struct wp_conn *c)
{
    struct wp_h2 *s = c->state;

    s->eof = true;
    wp_h2_flush(s);
}

static void writable(struct wp_conn *c)
{
    struct wp_h2 *s = c->state;

    if (!s->paused)
        return;
    s->paused = false;
    wp_conn_resume(c);
    wp_h2_flush(s);
}

/* Bodies that do not come, answers that nobody takes. */
static void expire(struct wp_h2 *s, uint64_t now)
{
    const struct wp_limits *l = wp_h2_limits(s);
    struct wp_exchange *x;

    TAILQ_FOREACH(x, &s->reading, link)
    {
        if (x->since_ns + l->read_ns > now)
            break;
        wp_h2_refused(s, WP_LIMIT_READ_TIME);
        wp_h2_reset(s, x, NGHTTP2_CANCEL);
    }
    x = TAILQ_FIRST(&s->answered);
    if (x != NULL && x->since_ns + l->write_ns <= now)
        wp_h2_fail(s, NGHTTP2_ENHANCE_YOUR_CALM, WP_LIMIT_H2_WINDOW, "window_stalled");
}

/* Nothing is open and nothing came for the idle time. A gRPC client keeps its channel: it is
 * asked for a sign of life instead (CoreDNS ends no idle channel). */
static void expire_idle(struct wp_h2 *s, uint64_t now)
{
    if (s->http.app->keeps && s->begun && !s->probing) {
        s->probing = true;
        s->idle_ns = now;
        if (nghttp2_submit_ping(s->ng, NGHTTP2_FLAG_NONE, NULL) < 0)
            wp_h2_fail(s, NGHTTP2_INTERNAL_ERROR, WP_LIMIT_MEMORY, NULL);
        return;
    }
    wp_h2_refused(s, s->begun ? WP_LIMIT_IDLE_TIME : WP_LIMIT_READ_TIME);
    wp_h2_goaway(s);
}

/* Idle, but not for long enough to end: puts the session's memory aside. */
static bool fall_asleep(struct wp_h2 *s, uint64_t now)
{
    if (!s->begun || now >= s->idle_ns + idle_of(s))
        return false;
    s->wakeful = wp_region_sleep(&s->http.pool->regions, &s->region) < 0;
    wp_h2_arm(s);
    return true;
}

static void timeout(struct wp_conn *c)
{
    struct wp_h2 *s = c->state;
    uint64_t now = wp_h2_now(s);
    bool idle = s->n_open == 0 && s->drain_ns == 0;

    s->due_ns = 0;
    if (idle && s->region.packed == NULL && fall_asleep(s, now))
        return;
    wp_region_wake(&s->http.pool->regions, &s->region);
    expire(s, now);
    if (s->drain_ns != 0 && s->drain_ns <= now)
        wp_h2_goaway(s);
    else if (idle)
        expire_idle(s, now);
    wp_h2_flush(s);
}

static void drain(struct wp_conn *c)
{
    struct wp_h2 *s = c->state;

    wp_region_wake(&s->http.pool->regions, &s->region);
    if (!s->begun) {
        wp_h2_goaway(s);
    } else if (nghttp2_submit_shutdown_notice(s->ng) < 0 ||
               nghttp2_submit_ping(s->ng, NGHTTP2_FLAG_NONE, NULL) < 0) {
        wp_h2_fail(s, NGHTTP2_NO_ERROR, WP_LIMITS, NULL);
    } else {
        s->drain_ns = wp_h2_now(s) + DRAIN_PING_NS;
    }
    wp_h2_flush(s);
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
    struct wp_h2 *s = p != NULL ? wp_http_alloc(p, sizeof(*s)) : NULL;
    nghttp2_mem mem = {p, mem_malloc, mem_free, mem_calloc, mem_realloc};
    int r;

    if (s != NULL)
        memset(s, 0, sizeof(*s));
    if (s == NULL || shared_get(p) < 0)
        goto fail;
    s->http = (struct wp_http){.conn = c, .app = app, .pool = p, .answer = wp_h2_answer};
    TAILQ_INIT(&s->reading);
    TAILQ_INIT(&s->working);
    TAILQ_INIT(&s->answered);
    s->task.fn = flush_late;
    s->idle_ns = wp_h2_now(s);
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
    wp_h2_flush(s);
    return 0;
fail:
    if (s != NULL)
        wp_region_put(&p->regions, &s->region);
    wp_http_free(p, s);
    wp_http_pool_put(p);
    return -ENOMEM;
}
