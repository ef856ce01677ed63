/* HTTP/1.1 (RFC 9112): one request at a time, answered in order. What a client sends beyond it
 * waits in the connection. */
#include "http1_chunk.h"
#include "http1_head.h"
#include "http_priv.h"

#include <errno.h>
#include <string.h>
#include "waypost/server/guard.h"

enum h1_at {
    AT_HEAD,
    AT_LENGTH, /* body of known length */
    AT_CHUNKS,
    AT_ANSWER, /* the request is complete, its query runs */
};

enum { ANSWER_HEAD_MAX = 320 };

struct h1 {
    struct wp_http http;   /* first */
    struct wp_exchange *x; /* the running one */
    struct wp_head head;
    struct wp_chunked chunked;
    uint64_t left;    /* octets of the body still to come */
    uint64_t idle_ns; /* between requests since */
    uint8_t at;       /* enum h1_at */
    bool last;        /* the connection ends with this answer */
    bool waiting;     /* input is paused until the answer */
    bool congested;   /* input is paused until the client reads */
    bool eof;
    bool served; /* not the first request */
};

static uint64_t now_of(const struct h1 *s)
{
    return wp_loop_now(s->http.conn->worker->loop);
}

static const struct wp_limits *limits_of(const struct h1 *s)
{
    return &wp_conn_group(s->http.conn)->limits;
}

static void refused(struct h1 *s, enum wp_guard_limit limit)
{
    wp_guard_refused(wp_conn_group(s->http.conn), s->http.conn->worker->index, limit);
}

/* --- answers ------------------------------------------------------------------------------------
 */

struct text {
    char *at;
};

static void put(struct text *t, const char *s, size_t len)
{
    memcpy(t->at, s, len);
    t->at += len;
}
#define PUT(t, literal) put(t, literal, sizeof(literal) - 1)

/* At most ANSWER_HEAD_MAX octets: every text in it is ours. */
static size_t write_head(const struct wp_answer *a, const char *date, bool last, char *to)
{
    struct text t = {to};
    size_t len;
    const char *reason = wp_http_reason(a->status, &len);

    PUT(&t, "HTTP/1.1 ");
    put(&t, reason, len - 1);
    PUT(&t, "\r\nContent-Type: ");
    put(&t, a->type, strlen(a->type));
    PUT(&t, "\r\nContent-Length: ");
    t.at += wp_http_decimal(t.at, a->body_len);
    PUT(&t, "\r\nDate: ");
    put(&t, date, WP_HTTP_DATE);
    if (a->max_age >= 0) {
        PUT(&t, "\r\nCache-Control: max-age=");
        t.at += wp_http_decimal(t.at, (uint32_t)a->max_age);
    }
    if (a->allow != NULL) {
        PUT(&t, "\r\nAllow: ");
        put(&t, a->allow, strlen(a->allow));
    }
    if (a->retry_after)
        PUT(&t, "\r\nRetry-After: 1");
    if (last)
        PUT(&t, "\r\nConnection: close");
    PUT(&t, "\r\n\r\n");
    return (size_t)(t.at - to);
}

static bool body_is_coming(const struct h1 *s)
{
    return s->at == AT_CHUNKS || (s->at == AT_LENGTH && s->left > 0);
}

static void next_request(struct h1 *s)
{
    struct wp_conn *c = s->http.conn;

    s->x = NULL;
    s->at = AT_HEAD;
    s->served = true;
    wp_head_reset(&s->head, limits_of(s)->header_octets);
    if (s->last || s->eof) {
        wp_conn_close(c);
        return;
    }
    s->idle_ns = now_of(s);
    wp_conn_deadline(c, s->idle_ns + wp_guard_idle_ns(wp_conn_group(c)));
    if (!s->congested && wp_conn_is_congested(c)) {
        s->congested = true;
        wp_conn_pause(c);
    }
    if (s->waiting && !s->congested)
        wp_conn_resume(c); /* and what it has sent meanwhile comes next */
    s->waiting = false;
}

static void answer(struct wp_exchange *x)
{
    struct h1 *s = (struct h1 *)x->http;
    struct wp_conn *c = s->http.conn;
    struct wp_answer *a = &x->answer;
    size_t body = x->method == WP_HTTP_HEAD ? 0 : a->body_len;
    char *p = (char *)wp_conn_room(c, ANSWER_HEAD_MAX + body);
    size_t n;

    s->last |= c->draining || (a->early && body_is_coming(s));
    if (p == NULL) {
        refused(s, WP_LIMIT_MEMORY);
        wp_conn_abort(c);
    } else {
        n = write_head(a, wp_http_date(x->pool), s->last, p);
        memcpy(p + n, a->body, body);
        wp_conn_commit(c, n + body);
    }
    s->http.pool->turn_used = 0;
    wp_exchange_end(x);
    next_request(s);
}

/* --- requests -----------------------------------------------------------------------------------
 */

static int exchange(struct h1 *s)
{
    if (s->x == NULL)
        s->x = wp_exchange_new(&s->http);
    if (s->x != NULL)
        return 0;
    refused(s, WP_LIMIT_MEMORY);
    wp_conn_abort(s->http.conn);
    return -ENOMEM;
}

/* The request cannot be read on: answered, and the connection ends. */
static void refuse(struct h1 *s, unsigned status)
{
    s->last = true;
    if (status == 431 || status == 414)
        refused(s, WP_LIMIT_HEADER);
    if (exchange(s) == 0)
        s->http.app->error(s->x, status);
}

static uint8_t method_of(const struct wp_head *h)
{
    return h->method == HTTP_GET    ? WP_HTTP_GET
           : h->method == HTTP_POST ? WP_HTTP_POST
           : h->method == HTTP_HEAD ? WP_HTTP_HEAD
                                    : WP_HTTP_OTHER;
}

static void complete(struct h1 *s)
{
    s->at = AT_ANSWER;
    s->waiting = true;
    s->x->at = WP_X_WORKING;
    wp_conn_deadline(s->http.conn, 0);
    s->http.app->complete(s->x);
}

static void say_continue(struct h1 *s)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

    if (wp_conn_write(s->http.conn, text, sizeof(text) - 1) < 0)
        wp_conn_abort(s->http.conn);
}

static void head_done(struct h1 *s)
{
    const struct wp_http_app *app = s->http.app;
    struct wp_head *h = &s->head;
    struct wp_exchange *x;

    if (exchange(s) < 0)
        return;
    x = s->x;
    x->method = method_of(h);
    x->has_length = h->has_length;
    x->length = s->left = h->length;
    s->last |= !h->keep_alive;
    s->at = h->chunked ? AT_CHUNKS : AT_LENGTH;
    s->chunked = (struct wp_chunked){0};
    if (h->target_len > 0)
        app->target(x, h->target, h->target_len);
    if (h->has_type)
        app->field(x, WP_FIELD_CONTENT_TYPE, (uint8_t *)h->type, h->type_len);
    app->headers(x);
    if (s->x == NULL)
        return;
    if (x->has_length && x->length > x->body_max) {
        refused(s, WP_LIMIT_BODY);
        app->error(x, 413);
    } else if (!body_is_coming(s)) {
        complete(s);
    } else if (h->expect_continue && h->minor == 1) {
        say_continue(s);
    }
}

static size_t read_head(struct h1 *s, const uint8_t *data, size_t len)
{
    bool was_empty = wp_head_is_empty(&s->head), done;
    int n = wp_head_read(&s->head, data, len, &done);

    if (n < 0) {
        refuse(s, s->head.status);
        return len;
    }
    if (was_empty && s->served && !wp_head_is_empty(&s->head))
        wp_conn_deadline(s->http.conn, now_of(s) + limits_of(s)->read_ns);
    if (done)
        head_done(s);
    return (size_t)n;
}

static size_t read_length(struct h1 *s, const uint8_t *data, size_t len)
{
    size_t n = len < s->left ? len : (size_t)s->left;

    s->left -= n;
    wp_exchange_body(s->x, data, n);
    if (s->x != NULL && s->left == 0)
        complete(s);
    return n;
}

static size_t read_chunks(struct h1 *s, const uint8_t *data, size_t len)
{
    const uint8_t *piece;
    size_t n;
    int used = wp_chunked_read(&s->chunked, data, len, &piece, &n);

    if (used < 0) {
        refuse(s, used == WP_ELIMIT ? 413 : 400);
        return len;
    }
    if (n > 0)
        wp_exchange_body(s->x, piece, n);
    if (s->x != NULL && s->chunked.done)
        complete(s);
    return (size_t)used;
}

/* --- the connection's calls
 * ------------------------------------------------------------------------ */

static int input(struct wp_conn *c, const uint8_t *data, size_t len)
{
    struct h1 *s = c->state;
    size_t used = 0;

    s->http.in_turn = true;
    while (used < len && !c->closed && s->at != AT_ANSWER && !s->congested) {
        if (s->at == AT_HEAD)
            used += read_head(s, data + used, len - used);
        else if (s->at == AT_LENGTH)
            used += read_length(s, data + used, len - used);
        else
            used += read_chunks(s, data + used, len - used);
    }
    s->http.in_turn = false;
    if (s->at == AT_ANSWER)
        wp_conn_pause(c);
    return (int)used;
}

static void eof(struct wp_conn *c)
{
    struct h1 *s = c->state;

    s->eof = true;
    if (s->at != AT_ANSWER)
        wp_conn_close(c);
}

static void writable(struct wp_conn *c)
{
    struct h1 *s = c->state;

    if (!s->congested)
        return;
    s->congested = false;
    if (s->at != AT_ANSWER)
        wp_conn_resume(c);
}

static void timeout(struct wp_conn *c)
{
    struct h1 *s = c->state;
    uint64_t until = s->idle_ns + wp_guard_idle_ns(wp_conn_group(c));

    if (s->at == AT_HEAD && wp_head_is_empty(&s->head) && s->served && until > now_of(s)) {
        wp_conn_deadline(c, until); /* it was set when more connections were open than now */
    } else if (s->at == AT_HEAD && wp_head_is_empty(&s->head)) {
        refused(s, s->served ? WP_LIMIT_IDLE_TIME : WP_LIMIT_READ_TIME);
        wp_conn_close(c);
    } else if (s->at != AT_ANSWER) {
        refused(s, WP_LIMIT_READ_TIME);
        refuse(s, 408);
    }
}

static void drain(struct wp_conn *c)
{
    struct h1 *s = c->state;

    if (s->at == AT_HEAD && wp_head_is_empty(&s->head))
        wp_conn_close(c);
    else
        s->last = true;
}

static void stop(struct wp_conn *c)
{
    struct h1 *s = c->state;
    struct wp_http_pool *p = s->http.pool;

    c->state = NULL;
    if (s->x != NULL)
        wp_exchange_end(s->x);
    wp_head_done(&s->head);
    wp_http_free(p, s);
    wp_http_pool_put(p);
}

static int start(struct wp_conn *c)
{
    (void)c; /* the connection speaks it since wp_http1_start */
    return 0;
}

static const struct wp_conn_proto proto = {
    .alpn = "http/1.1",
    .start = start,
    .input = input,
    .eof = eof,
    .writable = writable,
    .timeout = timeout,
    .drain = drain,
    .stop = stop,
    .wait_when_full = true,
};

int wp_http1_start(struct wp_conn *c, const struct wp_http_app *app)
{
    struct wp_http_pool *p = wp_http_pool_get(c->worker);
    struct h1 *s = p != NULL ? wp_http_alloc(p, sizeof(*s)) : NULL;

    if (s == NULL) {
        wp_http_pool_put(p);
        return -ENOMEM;
    }
    memset(s, 0, sizeof(*s));
    s->http = (struct wp_http){.conn = c, .app = app, .pool = p, .answer = answer};
    wp_head_reset(&s->head, limits_of(s)->header_octets);
    if (app->start != NULL)
        app->start(&s->http);
    c->state = s;
    c->proto = &proto;
    wp_conn_deadline(c, now_of(s) + limits_of(s)->read_ns);
    return 0;
}
