/* Calls to HTTP servers (Kubernetes, Nomad) by libcurl: HTTP/2 with many calls on one connection
 * where the server has it, else HTTP/1.1. libcurl brings two dozen libraries, so it lives in a
 * module, waypost-http.so, that is opened when something first needs it: wp_httpc_open gives the
 * functions.
 *
 * There is one engine for the process: a thread that runs libcurl's transfers, timers and what
 * other threads post to it. Every callback comes on that thread, and every function here except
 * acquire, release, post and now is called on it. Nothing called there may block.
 *
 * A call goes: start() -> head() once, when the final response's headers are complete -> body()
 * for each piece, if the call streams -> end() once. Redirects are answers like any other. What
 * fails on the way goes straight to end(). Texts of errors name the peer and the reason, never a
 * header or a query. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/common/engine.h"
#include "waypost/base/err.h"

struct wp_httpc_call;

enum {
    WP_HTTPC_CONNECT_MS = 30000,   /* name, TCP and TLS together, unless said otherwise */
    WP_HTTPC_HEAD_MAX = 64 * 1024, /* octets of headers of one call, all responses together */
    WP_HTTPC_BODY_MAX = 1 << 20,   /* octets of a collected body, unless said otherwise */
    WP_HTTPC_TEXT_MAX = 256,       /* of an error's text */
    WP_HTTPC_PAUSE = 1,            /* what body() may return */
};

struct wp_httpc_header {
    const char *name, *value; /* no octet below 0x20 in either */
};

/* Whom to believe and who to be. Texts are PEM, and win over files. */
struct wp_httpc_tls {
    /* CAs; without any of the three: the system's. A text without any certificate trusts nobody. */
    const char *ca_pem, *ca_file;
    const char
        *ca_dir; /* of files named by their subject's hash (openssl rehash); beside ca_file */
    const char *cert_pem, *key_pem, *cert_file, *key_file; /* or NULL */
    const char *server_name; /* name to ask for and to verify; NULL: the URL's host */
    bool insecure;           /* whoever answers is believed */
};

/* Copied as far as needed. */
struct wp_httpc_request {
    const char *method; /* NULL: GET */
    const char *url;    /* http: or https: without user and password */
    const struct wp_httpc_header *headers;
    size_t n_headers;
    const void *body; /* or NULL */
    size_t body_len;
    const struct wp_httpc_tls *tls; /* NULL: the system's CAs */
    const char *proxy;              /* "http://H:P", "https://H:P", "socks5h://H:P", or NULL */
    bool proxy_env;                 /* without `proxy`: HTTPS_PROXY, HTTP_PROXY, NO_PROXY count */
    const char *unix_path;          /* socket to connect to instead of the URL's host, or NULL */
    bool http1;                     /* HTTP/2 is not offered */
    bool gzip;                      /* offer it; body() gets what was inflated */
    unsigned connect_ms;            /* 0: WP_HTTPC_CONNECT_MS */
    unsigned total_ms;              /* from start to end; 0: no limit */
    unsigned idle_ms;               /* no octet for so long ends the call; 0: no limit */
    /* of the body after inflation; 0: WP_HTTPC_BODY_MAX when collected, no limit when it streams */
    size_t body_max;
};

/* The final response's head. Valid during the callback; more headers: ops->header. */
struct wp_httpc_head {
    int status;
    const char *content_type; /* "" without one */
    int64_t retry_after_s;    /* -1: none, or a date */
};

/* The end. err 0: the response is complete, whatever its status. Else WP_ETIMEOUT, WP_ETLS,
 * WP_ECLOSED (the connection ended early), WP_EUNREACHABLE (also: no such name), -errno of
 * connecting (-ECONNREFUSED, ...), WP_ELIMIT (body_max, WP_HTTPC_HEAD_MAX), WP_EMALFORMED (not
 * HTTP, bad gzip), WP_ECONFIG (URL, client certificate), -ENOMEM, or what body() returned. */
struct wp_httpc_end {
    int err;
    int status;          /* 0: no head came */
    const char *text;    /* of err: "192.0.2.1:6443: connection refused" */
    const uint8_t *body; /* of a call without body(), also beside an error: what there is */
    size_t len;
};

struct wp_httpc_call_ops {
    void (*head)(void *arg, const struct wp_httpc_head *head); /* or NULL */
    /* 0: go on; WP_HTTPC_PAUSE: this piece was not taken and comes again after resume(); negative:
     * end the call with that. NULL: collect. */
    int (*body)(void *arg, const uint8_t *data, size_t len);
    void (*end)(void *arg, const struct wp_httpc_end *end); /* once, last */
};

struct wp_httpc_ops {
    unsigned version; /* WP_HTTPC_VERSION */
    /* The engine runs between the first acquire and the last release. acquire: 0, -ENOMEM or
     * -errno of the thread. release, of the last one, waits until the engine has stopped; no
     * call or timer may be left. */
    int (*acquire)(void);
    void (*release)(void);
    void (*post)(struct wp_engine_post *post);

    uint64_t (*now)(void);
    void (*timer_set)(struct wp_engine_timer *t, uint64_t due_ns); /* moves one that is set */
    void (*timer_cancel)(struct wp_engine_timer *t);

    /* Callbacks never come before this returns. 0; WP_ECONFIG: the request cannot be made;
     * -ENOMEM. */
    int (*start)(const struct wp_httpc_request *r, const struct wp_httpc_call_ops *ops, void *arg,
                 struct wp_httpc_call **ret);
    void (*resume)(struct wp_httpc_call *c);
    /* A header of the final response, NULL without it; from head() to end(). */
    const char *(*header)(struct wp_httpc_call *c, const char *name);
    /* Cancel and forget: no callback comes any more. Accepts NULL; not for a call that has called
     * back its end. Allowed from the call's own callbacks. */
    void (*drop)(struct wp_httpc_call *c);
};
enum { WP_HTTPC_VERSION = 1 };
#define WP_HTTPC_MODULE "waypost-http.so"
#define WP_HTTPC_SYMBOL "wp_httpc_client_ops"

/* Open the module, once for the process; wp_module_open says where. NULL with a reason in errbuf.
 * Any thread. */
const struct wp_httpc_ops *wp_httpc_open(char errbuf[256]);
