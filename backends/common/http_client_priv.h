/* The module around libcurl: http_client_engine.c is its thread, http_client_call.c calls on it,
 * http_client_setup.c turns a request into curl's options, http_client_error.c curl's results into
 * ours, http_client.c is the table of what others see. It needs nothing of the program that opens
 * it. */
#pragma once
#include <curl/curl.h>
#include "backends/common/http_client.h"

enum wp_httpc_state { WP_HTTPC_NEW, WP_HTTPC_RUNNING, WP_HTTPC_ENDED, WP_HTTPC_DROPPED };

struct wp_httpc_call {
    struct wp_httpc_call *next, *prev; /* of all calls */
    enum wp_httpc_state state;
    bool paused, resuming, head_told;
    int err; /* why our own callbacks ended it, 0: they did not */
    CURL *easy;
    struct curl_slist *headers, *connect_to;
    struct wp_httpc_call_ops ops;
    void *arg;
    char peer[160];            /* "host:port" or the socket's path, for texts */
    uint64_t last_ns, idle_ns; /* when an octet came last; the limit, 0: none */
    struct wp_engine_timer idle;
    size_t head_len, body_len, body_max;
    uint8_t *body; /* collected */
    size_t body_cap;
    char why[CURL_ERROR_SIZE]; /* curl's words */
};

/* --- http_client_engine.c ------------------------------------------------------------------ */
int wp_httpc_engine_acquire(void);
void wp_httpc_engine_release(void);
void wp_httpc_engine_post(struct wp_engine_post *post);
void wp_httpc_timer_set(struct wp_engine_timer *t, uint64_t due_ns);
void wp_httpc_timer_cancel(struct wp_engine_timer *t);
void wp_httpc_engine_add(struct wp_httpc_call *c); /* takes it up at the next turn */
/* Close the connection that the call runs on, unless another call has heard from it since. */
void wp_httpc_engine_cut(const struct wp_httpc_call *c, uint64_t since_ns);
int wp_httpc_engine_socket(void *clientp, curl_socket_t fd, curlsocktype purpose);
int wp_httpc_engine_close(void *clientp, curl_socket_t fd);

/* --- http_client_call.c -------------------------------------------------------------------- */
int wp_httpc_call_start(const struct wp_httpc_request *r, const struct wp_httpc_call_ops *ops,
                        void *arg, struct wp_httpc_call **ret);
void wp_httpc_call_resume(struct wp_httpc_call *c);
const char *wp_httpc_call_header(struct wp_httpc_call *c, const char *name);
void wp_httpc_call_drop(struct wp_httpc_call *c);
void wp_httpc_call_end(struct wp_httpc_call *c, CURLcode result); /* tells it, frees nothing */
void wp_httpc_call_free(struct wp_httpc_call *c);

/* --- http_client_setup.c ------------------------------------------------------------------- */
/* All options of c->easy except those of the callbacks. 0, WP_ECONFIG or -ENOMEM. */
int wp_httpc_setup(struct wp_httpc_call *c, const struct wp_httpc_request *r);

/* --- http_client_error.c ------------------------------------------------------------------- */
int wp_httpc_error(const struct wp_httpc_call *c, CURLcode result, char text[WP_HTTPC_TEXT_MAX]);
