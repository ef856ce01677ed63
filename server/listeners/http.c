#include "http_priv.h"

#include <errno.h>
#include <string.h>
#include "waypost/server/guard.h"

/* Least room at the end of the turn memory that a query may be pointed at. */
enum { AHEAD_STEP = 2 }; /* queries between the two steps of a prefetch */
enum { TURN_LEAST = 512 + WP_REPLY_SPARE };

struct wp_exchange *wp_exchange_new(struct wp_http *h)
{
    struct wp_exchange *x = wp_http_alloc(h->pool, sizeof(*x));

    if (x == NULL)
        return NULL;
    memset(x, 0, offsetof(struct wp_exchange, age_text));
    x->http = h;
    x->pool = h->pool;
    x->pool->refs++;
    x->body = x->in_place;
    x->body_cap = sizeof(x->in_place);
    x->body_max = WP_HTTP_DNS_MAX;
    x->since_ns = wp_loop_now(h->conn->worker->loop);
    return x;
}

static void exchange_free(struct wp_exchange *x)
{
    struct wp_http_pool *p = x->pool;

    wp_timer_cancel(&x->timer);
    if (x->q != NULL)
        wp_query_put(x->q);
    if (x->body != x->in_place)
        wp_http_free(p, x->body);
    wp_http_free(p, x->held_body);
    wp_http_free(p, x);
    wp_http_pool_put(p);
}

static void leave_ahead(struct wp_exchange *x)
{
    struct wp_http_pool *p = x->pool;
    unsigned i = 0;

    while (p->ahead[i] != x)
        i++;
    p->n_ahead--;
    for (; i < p->n_ahead; i++)
        p->ahead[i] = p->ahead[i + 1];
    x->ahead = false;
}

void wp_exchange_end(struct wp_exchange *x)
{
    wp_timer_cancel(&x->timer);
    x->http = NULL;
    if (x->ahead)
        leave_ahead(x);
    if (!x->running)
        exchange_free(x);
    else if (!x->q->cancelled)
        wp_query_cancel(x->q); /* its end, maybe within this call, frees x */
}

int wp_exchange_room(struct wp_exchange *x, size_t len)
{
    size_t cap = x->body_cap;
    uint8_t *body;

    if (len <= cap)
        return 0;
    while (cap < len)
        cap *= 2;
    body = wp_http_alloc(x->pool, cap);
    if (body == NULL)
        return -ENOMEM;
    memcpy(body, x->body, x->body_len);
    if (x->body != x->in_place)
        wp_http_free(x->pool, x->body);
    x->body = body;
    x->body_cap = (uint32_t)cap;
    return 0;
}

void wp_exchange_body(struct wp_exchange *x, const uint8_t *data, size_t len)
{
    struct wp_conn *c = x->http->conn;
    const struct wp_http_app *app = x->http->app;

    if (x->at != WP_X_READING)
        return;
    if (x->skip_body && len <= x->body_max - x->skipped) {
        x->skipped += (uint32_t)len;
        return;
    }
    if (x->skip_body || len > x->body_max - x->body_len ||
        wp_exchange_room(x, x->body_len + len) < 0) {
        wp_guard_refused(wp_conn_group(c), c->worker->index, WP_LIMIT_BODY);
        app->error(x, 413);
        return;
    }
    memcpy(x->body + x->body_len, data, len);
    x->body_len += (uint32_t)len;
    if (app->body != NULL)
        app->body(x);
}

/* The query stands still. A reply in turn memory outlives its query, so that the next exchange
 * of this turn gets the same, warm one; any other reply keeps it until it is sent. */
static void settle(struct wp_exchange *x, struct wp_query *q)
{
    struct wp_http_pool *p = x->pool;
    bool in_turn = q->out >= p->turn && q->out < p->turn + sizeof(p->turn);

    if (in_turn)
        p->turn_used = (uint32_t)(((size_t)(q->out - p->turn) + q->out_len + 15) & ~(size_t)15);
    x->q = in_turn ? NULL : q;
    x->http->app->reply(x, q);
    if (in_turn)
        wp_query_put(q);
}

static void on_done(struct wp_query *q)
{
    struct wp_exchange *x = q->owner;
    struct wp_conn *c = x->conn;

    x->running = false;
    x->conn = NULL;
    if (x->http == NULL) {
        exchange_free(x);
    } else if (x->at == WP_X_ANSWERED) { /* by a deadline */
        x->q = NULL;
        wp_query_put(q);
    } else {
        settle(x, q);
    }
    wp_conn_unref(c);
}

static void fill(struct wp_query *q, struct wp_exchange *x, const uint8_t *wire, size_t len)
{
    struct wp_conn *c = x->http->conn;

    q->wire = wire;
    q->wire_len = (uint32_t)len;
    q->transport = x->http->app->transport;
    wp_conn_describe(c, q);
    q->done = on_done;
    q->owner = x;
}

static void run(struct wp_exchange *x)
{
    struct wp_conn *c = x->http->conn;
    struct wp_http_pool *p = x->pool;
    struct wp_query *q = x->q;

    if (x->http->in_turn && sizeof(p->turn) - p->turn_used >= TURN_LEAST) {
        q->reply.buf = p->turn + p->turn_used;
        q->reply.cap = (uint32_t)(sizeof(p->turn) - p->turn_used);
    }
    if (wp_query_run(q) == WP_STEP_WAIT) {
        x->running = true;
        x->conn = c;
        wp_conn_ref(c);
        return;
    }
    settle(x, q);
}

static void run_oldest(struct wp_http_pool *p)
{
    struct wp_exchange *x = p->ahead[0];

    leave_ahead(x);
    run(x);
}

void wp_exchange_run_ahead(struct wp_http_pool *p)
{
    while (p->n_ahead > 0)
        run_oldest(p);
}

void wp_exchange_ask(struct wp_exchange *x, const uint8_t *wire, size_t len)
{
    struct wp_conn *c = x->http->conn;
    struct wp_http_pool *p = x->pool;
    struct wp_query *q = wp_query_get(c->worker);

    if (q == NULL) {
        wp_guard_refused(wp_conn_group(c), c->worker->index, WP_LIMIT_IN_FLIGHT);
        x->http->app->reply(x, NULL);
        return;
    }
    fill(q, x, wire, len);
    x->q = q;
    x->at = WP_X_WORKING;
    if (!x->http->batches) {
        run(x);
        return;
    }
    if (p->n_ahead == WP_HTTP_AHEAD)
        run_oldest(p);
    p->ahead[p->n_ahead++] = x;
    x->ahead = true;
    wp_query_prefetch(q, 0);
    if (p->n_ahead > AHEAD_STEP)
        wp_query_prefetch(p->ahead[p->n_ahead - 1 - AHEAD_STEP]->q, 1);
}

void wp_exchange_answer(struct wp_exchange *x)
{
    if (x->at == WP_X_ANSWERED)
        return;
    x->answer.early = x->at == WP_X_READING;
    x->at = WP_X_ANSWERED;
    x->since_ns = wp_loop_now(x->http->conn->worker->loop);
    wp_timer_cancel(&x->timer);
    if (x->http->app->answered != NULL)
        x->http->app->answered(x);
    x->http->answer(x);
}

int wp_exchange_retain(struct wp_exchange *x)
{
    if (x->retained || x->answer.body_len == 0)
        return 0;
    x->held_body = wp_http_alloc(x->pool, x->answer.body_len);
    if (x->held_body == NULL)
        return -ENOMEM;
    memcpy(x->held_body, x->answer.body, x->answer.body_len);
    x->answer.body = x->held_body;
    x->retained = true;
    if (x->q != NULL && !x->running) {
        wp_query_put(x->q);
        x->q = NULL;
    }
    return 0;
}

void wp_exchange_take(struct wp_exchange *x, uint8_t *to, size_t len)
{
    const struct wp_answer *a = &x->answer;

    if (x->sent < a->head_len) {
        size_t n = a->head_len - x->sent < len ? a->head_len - x->sent : len;

        memcpy(to, a->head + x->sent, n);
        x->sent += (uint32_t)n;
        to += n;
        len -= n;
    }
    if (len > 0) {
        memcpy(to, a->body + (x->sent - a->head_len), len);
        x->sent += (uint32_t)len;
    }
}

size_t wp_http_decimal(char *to, uint32_t v)
{
    char digits[10];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    for (size_t i = 0; i < n; i++)
        to[i] = digits[n - 1 - i];
    return n;
}

const char *wp_http_reason(unsigned status, size_t *ret_len)
{
#define ROW(code, text)                                                                            \
    {                                                                                              \
        code, sizeof(text), text "\n"                                                              \
    }
    static const struct {
        uint16_t status, len;
        const char *text;
    } rows[] = {
        ROW(200, "200 OK"),
        ROW(400, "400 Bad Request"),
        ROW(404, "404 Not Found"),
        ROW(405, "405 Method Not Allowed"),
        ROW(408, "408 Request Timeout"),
        ROW(413, "413 Content Too Large"),
        ROW(414, "414 URI Too Long"),
        ROW(415, "415 Unsupported Media Type"),
        ROW(417, "417 Expectation Failed"),
        ROW(431, "431 Request Header Fields Too Large"),
        ROW(501, "501 Not Implemented"),
        ROW(503, "503 Service Unavailable"),
        ROW(505, "505 HTTP Version Not Supported"),
        ROW(500, "500 Internal Server Error"),
    };
#undef ROW
    size_t i = 0;

    while (i < WP_COUNT(rows) - 1 && rows[i].status != status)
        i++;
    *ret_len = rows[i].len;
    return rows[i].text;
}
