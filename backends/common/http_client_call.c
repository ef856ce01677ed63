/* One call: what curl's callbacks make of it. */
#include <stdlib.h>
#include <string.h>

#include "backends/common/http_client_priv.h"

enum { BODY_FIRST = 4096 };

/* Ends the transfer from one of its callbacks; curl then reports CURLE_WRITE_ERROR. */
static size_t give_up(struct wp_httpc_call *c, int err)
{
    c->err = err;
    return 0;
}

static int64_t retry_after(struct wp_httpc_call *c)
{
    const char *text = wp_httpc_call_header(c, "Retry-After");
    char *end;
    long s;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return -1;
    s = strtol(text, &end, 10);
    return *end == '\0' ? s : -1;
}

static void tell_head(struct wp_httpc_call *c)
{
    struct wp_httpc_head head = {.content_type = wp_httpc_call_header(c, "Content-Type")};
    long status = 0;

    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200) /* 1xx: the response is still to come */
        return;
    c->head_told = true;
    head.status = (int)status;
    head.retry_after_s = retry_after(c);
    if (head.content_type == NULL)
        head.content_type = "";
    if (c->ops.head != NULL)
        c->ops.head(c->arg, &head);
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct wp_httpc_call *c = arg;
    size_t len = size * n;

    if (c->state != WP_HTTPC_RUNNING)
        return give_up(c, WP_ECANCELLED);
    c->last_ns = wp_engine_now();
    c->head_len += len;
    if (c->head_len > WP_HTTPC_HEAD_MAX)
        return give_up(c, WP_ELIMIT);
    if (!c->head_told && len > 0 && (line[0] == '\r' || line[0] == '\n'))
        tell_head(c);
    return c->state == WP_HTTPC_RUNNING ? len : give_up(c, WP_ECANCELLED);
}

static int collect(struct wp_httpc_call *c, const void *data, size_t len)
{
    size_t need = c->body_len + len, cap = c->body_cap > 0 ? c->body_cap : BODY_FIRST;
    uint8_t *grown;

    while (cap < need)
        cap *= 2;
    if (cap > c->body_cap) {
        grown = realloc(c->body, cap);
        if (grown == NULL)
            return -ENOMEM;
        c->body = grown;
        c->body_cap = cap;
    }
    memcpy(c->body + c->body_len, data, len);
    return 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct wp_httpc_call *c = arg;
    size_t len = size * n;
    int r;

    if (c->state != WP_HTTPC_RUNNING)
        return give_up(c, WP_ECANCELLED);
    c->last_ns = wp_engine_now();
    if (c->body_max > 0 && len > c->body_max - c->body_len)
        return give_up(c, WP_ELIMIT);
    r = c->ops.body != NULL ? c->ops.body(c->arg, (const uint8_t *)data, len)
                            : collect(c, data, len);
    if (c->state != WP_HTTPC_RUNNING)
        return give_up(c, WP_ECANCELLED);
    if (r == WP_HTTPC_PAUSE) {
        c->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (r < 0)
        return give_up(c, r);
    c->body_len += len;
    return len;
}

static void arm_idle(struct wp_httpc_call *c)
{
    if (c->idle_ns > 0)
        wp_httpc_timer_set(&c->idle, c->last_ns + c->idle_ns);
}

/* The timer is not moved with each octet: when it rings, it looks how long the silence was. */
static void on_idle(struct wp_engine_timer *t)
{
    struct wp_httpc_call *c =
        (struct wp_httpc_call *)((char *)t - offsetof(struct wp_httpc_call, idle));
    uint64_t now = wp_engine_now();

    if (c->paused) /* the silence is ours */
        c->last_ns = now;
    if (c->last_ns + c->idle_ns > now) {
        arm_idle(c);
        return;
    }
    wp_httpc_engine_cut(c, c->last_ns);
    c->err = WP_ETIMEOUT;
    wp_httpc_call_end(c, CURLE_OPERATION_TIMEDOUT);
}

static bool set_callbacks(struct wp_httpc_call *c)
{
    CURL *e = c->easy;

    return curl_easy_setopt(e, CURLOPT_PRIVATE, c) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->why) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HEADERDATA, c) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEDATA, c) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, wp_httpc_engine_socket) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, wp_httpc_engine_close) == CURLE_OK;
}

int wp_httpc_call_start(const struct wp_httpc_request *r, const struct wp_httpc_call_ops *ops,
                        void *arg, struct wp_httpc_call **ret)
{
    struct wp_httpc_call *c = calloc(1, sizeof(*c));
    int err = -ENOMEM;

    if (c == NULL)
        return -ENOMEM;
    c->easy = curl_easy_init();
    if (c->easy == NULL || !set_callbacks(c))
        goto fail;
    err = wp_httpc_setup(c, r);
    if (err < 0)
        goto fail;
    c->ops = *ops;
    c->arg = arg;
    c->body_max = r->body_max > 0 || ops->body != NULL ? r->body_max : WP_HTTPC_BODY_MAX;
    c->idle_ns = (uint64_t)r->idle_ms * 1000000;
    c->idle.fn = on_idle;
    c->last_ns = wp_engine_now();
    arm_idle(c);
    wp_httpc_engine_add(c);
    *ret = c;
    return 0;
fail:
    wp_httpc_call_free(c);
    return err;
}

void wp_httpc_call_resume(struct wp_httpc_call *c)
{
    c->resuming = c->paused;
    c->last_ns = wp_engine_now();
}

const char *wp_httpc_call_header(struct wp_httpc_call *c, const char *name)
{
    struct curl_header *h;

    return curl_easy_header(c->easy, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value : NULL;
}

void wp_httpc_call_drop(struct wp_httpc_call *c)
{
    if (c != NULL)
        c->state = WP_HTTPC_DROPPED;
}

void wp_httpc_call_end(struct wp_httpc_call *c, CURLcode result)
{
    char text[WP_HTTPC_TEXT_MAX] = "";
    struct wp_httpc_end end = {.text = text, .body = c->body, .len = c->body_len};
    long status = 0;

    if (c->head_told)
        curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    end.status = (int)status;
    if (c->ops.body != NULL)
        end.len = 0;
    if (result != CURLE_OK)
        end.err = wp_httpc_error(c, result, text);
    c->state = WP_HTTPC_ENDED;
    c->ops.end(c->arg, &end);
}

void wp_httpc_call_free(struct wp_httpc_call *c)
{
    curl_easy_cleanup(c->easy);
    curl_slist_free_all(c->headers);
    curl_slist_free_all(c->connect_to);
    free(c->body);
    free(c);
}
