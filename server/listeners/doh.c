/* DNS over HTTPS (RFC 8484), the application: what a request means, what an answer says.
 * HTTP/2 and HTTP/1.1 are the carriers' business. */
#include "doh_target.h"
#include "http_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "waypost/dns/rr.h"
#include "waypost/plugin/metric.h"
#include "waypost/server/guard.h"

enum { MAX_AGE_CAP_S = 3600, MAX_AGE_ERROR_S = 5, MEDIA_NONE = 0, MEDIA_DNS, MEDIA_OTHER };

static const char type_dns[] = "application/dns-message";

/* --- counters ------------------------------------------------------------------------------ */

static const struct wp_family responses = {
    .name = "coredns_dns_https_responses_total",
    .help = "Counter of DoH responses per server and http status code.",
    .kind = WP_COUNTER,
    .labels = {"server", "status", NULL},
};

static const uint16_t statuses[] = {200, 400, 404, 405, 408, 413, 414,
                                    415, 417, 431, 500, 501, 503, 505};

struct wp_doh_counts {
    struct wp_doh_counts *next;
    struct wp_series *series[WP_COUNT(statuses)]; /* NULL: not seen yet */
    char label[];
};

void wp_doh_counts_free(struct wp_doh_counts *c)
{
    while (c != NULL) {
        struct wp_doh_counts *next = c->next;

        free(c);
        c = next;
    }
}

/* The counters of a listener; one for each label that the worker serves. */
static void start(struct wp_http *h)
{
    const char *label = wp_conn_group(h->conn)->label;
    struct wp_doh_counts *c;
    size_t len = strlen(label) + 1;

    for (c = h->pool->counts; c != NULL; c = c->next)
        if (strcmp(c->label, label) == 0)
            break;
    if (c == NULL) {
        c = calloc(1, sizeof(*c) + len);
        if (c == NULL)
            return; /* served, not counted */
        memcpy(c->label, label, len);
        c->next = h->pool->counts;
        h->pool->counts = c;
    }
    h->counts = c;
}

static void count(struct wp_exchange *x)
{
    struct wp_doh_counts *c = x->http->counts;
    size_t i = 0;

    if (c == NULL)
        return;
    while (i < WP_COUNT(statuses) - 1 && statuses[i] != x->answer.status)
        i++;
    if (WP_UNLIKELY(c->series[i] == NULL)) {
        size_t len;
        const char *text = wp_http_reason(x->answer.status, &len);
        char status[4] = {text[0], text[1], text[2], 0};
        const char *values[] = {c->label, status};

        c->series[i] = wp_metric_series(&responses, values);
    }
    wp_metric_add(c->series[i], x->http->conn->worker->index, 1);
}

/* --- answers --------------------------------------------------------------------------------- */

static void answer_text(struct wp_exchange *x, unsigned status, const char *text, size_t len)
{
    x->answer = (struct wp_answer){
        .status = (uint16_t)status,
        .grpc_status = -1,
        .max_age = -1,
        .allow = status == 405 ? "GET, HEAD, POST" : NULL,
        .retry_after = status == 503,
        .type = "text/plain; charset=utf-8",
        .body = (const uint8_t *)text,
        .body_len = (uint32_t)len,
    };
    wp_exchange_answer(x);
}
#define ANSWER(x, status, text) answer_text(x, status, text, sizeof(text) - 1)

/* The texts are CoreDNS's where it has such an answer. */
static void error(struct wp_exchange *x, unsigned status)
{
    size_t len;
    const char *text;

    switch (status) {
    case 400:
        ANSWER(x, 400, "invalid request\n");
        break;
    case 404:
        ANSWER(x, 404, "\n");
        break;
    case 500:
        ANSWER(x, 500, "No response\n");
        break;
    default:
        text = wp_http_reason(status, &len);
        answer_text(x, status, text + 4, len - 4);
        break;
    }
}

/* RFC 2308 s5: a negative answer lives no longer than the SOA's last field says. */
static int soa_minimum(void *arg, uint8_t *buf, const struct wp_rr_at *rr, enum wp_section s)
{
    uint32_t *ttl = arg;

    if (s == WP_AUTHORITY && rr->type == WP_TYPE_SOA && rr->rdlen >= 20) {
        uint32_t minimum = wp_be32(buf + rr->end - 4);

        if (minimum < *ttl)
            *ttl = minimum;
    }
    return 0;
}

/* RFC 8484 s5.1: what HTTP caches may do with it. Errors and empty replies 5 s, as CoreDNS. */
static int32_t max_age(struct wp_query *q)
{
    enum wp_reply_kind kind = wp_reply_kind(q);
    uint32_t ttl = wp_reply_ttl_min(q);

    if (kind > WP_REPLY_NODATA || ttl == UINT32_MAX)
        return MAX_AGE_ERROR_S;
    if (kind != WP_REPLY_NOERROR)
        wp_reply_each(q, soa_minimum, &ttl);
    return ttl < MAX_AGE_CAP_S ? (int32_t)ttl : MAX_AGE_CAP_S;
}

static void reply(struct wp_exchange *x, struct wp_query *q)
{
    if (q == NULL) {
        error(x, 503);
    } else if (!wp_intake_is_answered(q->intake)) {
        error(x, 400);
    } else if (q->out_len == 0) {
        error(x, 500);
    } else {
        x->answer = (struct wp_answer){
            .status = 200,
            .grpc_status = -1,
            .max_age = max_age(q),
            .type = type_dns,
            .body = q->out,
            .body_len = q->out_len,
        };
        wp_exchange_answer(x);
    }
}

/* --- requests -------------------------------------------------------------------------------- */

static void target(struct wp_exchange *x, const uint8_t *s, size_t len)
{
    const uint8_t *param;
    size_t param_len, n;

    x->target = (uint8_t)wp_doh_target_read(s, len, &param, &param_len);
    if (x->target != WP_DOH_PARAM)
        return;
    if (wp_exchange_room(x, param_len) < 0 ||
        wp_doh_param_decode(param, param_len, x->body, x->body_cap, &n) < 0)
        x->target = WP_DOH_BAD;
    else if (n > WP_HTTP_DNS_MAX)
        x->target = WP_DOH_LONG;
    else
        x->body_len = (uint32_t)n;
}

static void field(struct wp_exchange *x, enum wp_http_field f, const uint8_t *value, size_t len)
{
    size_t n = sizeof(type_dns) - 1;

    if (f != WP_FIELD_CONTENT_TYPE)
        return;
    /* Parameters after the type are allowed; none has a meaning (RFC 9110 s8.3.1). */
    if (len >= n && strncasecmp((const char *)value, type_dns, n) == 0 &&
        (len == n || value[n] == ';' || value[n] == ' ' || value[n] == '\t'))
        x->media = MEDIA_DNS;
    else
        x->media = MEDIA_OTHER;
}

static void headers(struct wp_exchange *x)
{
    if (x->target == WP_DOH_NO_PATH) {
        error(x, 404);
    } else if (x->method == WP_HTTP_OTHER) {
        error(x, 405);
    } else if (x->method == WP_HTTP_POST) {
        x->body_len = 0; /* a `dns` parameter means nothing here */
        if (x->media == MEDIA_OTHER)
            error(x, 415);
    } else if (x->target == WP_DOH_LONG) {
        error(x, 414);
    } else if (x->target != WP_DOH_PARAM) {
        error(x, 400);
    } else {
        x->skip_body = true;
    }
}

static void complete(struct wp_exchange *x)
{
    wp_exchange_ask(x, x->body, x->body_len);
}

static const struct wp_http_app app = {
    .transport = WP_DOH,
    .start = start,
    .target = target,
    .field = field,
    .headers = headers,
    .error = error,
    .complete = complete,
    .reply = reply,
    .answered = count,
};

/* --- the listener ------------------------------------------------------------------------------
 */

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static int detect_start(struct wp_conn *c)
{
    if (strcmp(c->alpn, "h2") == 0)
        return wp_http2_start(c, &app);
    if (strcmp(c->alpn, "http/1.1") == 0)
        return wp_http1_start(c, &app);
    wp_conn_deadline(c, wp_loop_now(c->worker->loop) + wp_conn_group(c)->limits.read_ns);
    return 0;
}

/* Without ALPN the first octets tell: HTTP/2 by prior knowledge begins with its preface, which
 * no HTTP/1.1 request does (RFC 9113 s3.4). */
static int detect_input(struct wp_conn *c, const uint8_t *data, size_t len)
{
    size_t n = len < sizeof(preface) - 1 ? len : sizeof(preface) - 1;
    bool h2 = memcmp(data, preface, n) == 0;
    int r;

    if (h2 && n < sizeof(preface) - 1)
        return 0;
    r = h2 ? wp_http2_start(c, &app) : wp_http1_start(c, &app);
    return r < 0 ? r : c->proto->input(c, data, len);
}

static void detect_eof(struct wp_conn *c)
{
    wp_conn_close(c);
}

static void detect_timeout(struct wp_conn *c)
{
    wp_guard_refused(wp_conn_group(c), c->worker->index, WP_LIMIT_READ_TIME);
    wp_conn_close(c);
}

/* Before the carrier is known nothing is kept and nothing written. */
static void detect_nothing(struct wp_conn *c)
{
    (void)c;
}

static const struct wp_conn_proto proto = {
    .alpn = "h2,http/1.1",
    .start = detect_start,
    .input = detect_input,
    .eof = detect_eof,
    .writable = detect_nothing,
    .timeout = detect_timeout,
    .drain = detect_eof,
    .stop = detect_nothing,
    .wait_when_full = true,
};

static int open_doh(struct wp_worker *w, struct wp_group *g, int fd, struct wp_listener **ret)
{
    return wp_http_listener_open(w, g, fd, &wp_listener_doh, &proto, ret);
}

const struct wp_listener_ops wp_listener_doh = {
    .name = "doh",
    .transport = WP_DOH,
    .open = open_doh,
    .swap = wp_stream_swap,
    .drain = wp_stream_drain,
    .close = wp_http_listener_close,
};
