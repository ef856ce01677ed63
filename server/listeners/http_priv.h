/* HTTP above a stream connection: one exchange is a request and its answer. The carriers
 * (http1.c, http2.c) turn octets into exchanges and answers into octets; the applications
 * (doh.c, grpc.c) know what a request means. Neither knows sockets, TLS or DNS.
 *
 * The way of one exchange:
 *  1. The carrier takes it from the worker's pool and tells the application target and fields.
 *  2. app->headers: the application may answer at once (404, 415, ...); else octets of the body
 *     are collected in x->body, within x->body_max.
 *  3. app->complete: the application asks (wp_exchange_ask), or answers an error.
 *  4. app->reply, at once or when the query has ended: the application answers; the carrier
 *     sends it at the end of the turn and gives the exchange back to the pool.
 * When the client goes away first, the query is cancelled and its end frees the exchange. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include "conn_priv.h"
#include "http_region.h"

struct wp_exchange;
struct wp_http;
struct wp_http_pool;
struct wp_doh_counts;

enum wp_http_method { WP_HTTP_OTHER, WP_HTTP_GET, WP_HTTP_HEAD, WP_HTTP_POST };
enum wp_http_field {
    WP_FIELD_CONTENT_TYPE,
    WP_FIELD_CONTENT_LENGTH,
    WP_FIELD_GRPC_ENCODING,
    WP_FIELD_GRPC_TIMEOUT,
};

enum {
    WP_HTTP_DNS_MAX = 65535,      /* octets of a DNS message */
    WP_HTTP_INLINE = 256,         /* of a body kept in the exchange: a padded query fits */
    WP_HTTP_TURN = 32768,         /* of replies that wait for the end of the turn, a worker */
    WP_HTTP_BLOCKED_MAX = 262144, /* of answers that a client's closed window holds back, each */
    WP_HTTP_AHEAD = 4,            /* queries that wait while memory comes near */
    WP_HTTP_CLASSES = 65,         /* sizes of pooled blocks */
    WP_HTTP_FRAME = 16640,        /* a whole HTTP/2 frame of the default size, and some */
};

/* What the application says; the carrier picks what it can express. */
struct wp_answer {
    uint16_t status;      /* HTTP */
    int8_t grpc_status;   /* -1: not gRPC. 0: trailers after the body. Above: trailers only */
    bool reject_encoding; /* gRPC: say which encodings there are */
    bool early;           /* given before the request was complete: its rest is not wanted */
    bool retry_after;     /* 503: say when */
    const char *allow;    /* 405: the methods there are, else NULL */
    int32_t max_age;      /* cache-control in seconds, -1: none */
    const char *type;     /* content-type, static */
    const char *message;  /* grpc-message, static, percent-encoded; NULL: none */
    const uint8_t *body;
    uint32_t body_len;
    uint8_t head_len; /* octets of head that go before the body */
    uint8_t head[12];
};

enum wp_exchange_at {
    WP_X_READING,  /* the request is not complete */
    WP_X_WORKING,  /* the query runs */
    WP_X_ANSWERED, /* given to the carrier, not wholly sent */
};

struct wp_exchange {
    TAILQ_ENTRY(wp_exchange) link; /* in the carrier's list of its state */
    struct wp_http *http;          /* NULL: the client is gone */
    struct wp_http_pool *pool;
    struct wp_query *q;    /* running, or holding the answer's octets */
    struct wp_conn *conn;  /* referenced while the query runs, else NULL */
    uint64_t since_ns;     /* in this state: deadlines */
    struct wp_timer timer; /* the application's deadline */
    int32_t stream;        /* HTTP/2 */
    uint8_t at;            /* enum wp_exchange_at */
    bool running;          /* q->done is still to come */
    bool ahead;            /* in pool->ahead: asked, not yet run */
    bool retained;         /* answer.body is memory of the exchange (held_body) */

    /* the request */
    uint8_t method;   /* enum wp_http_method */
    uint8_t target;   /* the application's verdict on the target */
    uint8_t media;    /* and on the content-type */
    uint8_t encoding; /* gRPC: message encoding named */
    bool has_length, has_timeout, bad_timeout;
    bool skip_body;      /* counted, not kept */
    uint64_t length;     /* content-length */
    uint64_t timeout_ns; /* grpc-timeout */
    uint32_t header_octets;
    uint32_t body_len, body_cap, body_max, skipped;
    uint8_t *body; /* in_place, or from the pool */

    struct wp_answer answer;
    uint32_t sent; /* octets of head and body */
    uint8_t *held_body;
    char age_text[24], length_text[12];
    uint8_t in_place[WP_HTTP_INLINE];
};
TAILQ_HEAD(wp_exchanges, wp_exchange);

/* What HTTP carries. All on the worker's thread. */
struct wp_http_app {
    enum wp_transport transport;
    bool keeps;                       /* clients keep idle connections (gRPC) */
    void (*start)(struct wp_http *h); /* a new connection; may be NULL */
    void (*target)(struct wp_exchange *x, const uint8_t *s, size_t len);
    void (*field)(struct wp_exchange *x, enum wp_http_field f, const uint8_t *value, size_t len);
    /* The header block is complete. May answer. */
    void (*headers)(struct wp_exchange *x);
    /* Octets were added to the body. May answer. */
    void (*body)(struct wp_exchange *x);
    /* The carrier refuses: 400 framing, 408 too slow, 413 body above x->body_max, 414 target,
     * 431 header fields, 417, 501, 505. Must answer. */
    void (*error)(struct wp_exchange *x, unsigned status);
    /* The request is complete. Asks or answers. */
    void (*complete)(struct wp_exchange *x);
    /* The query has ended: q->out stands until the answer is sent. Must answer. */
    void (*reply)(struct wp_exchange *x, struct wp_query *q);
    void (*answered)(struct wp_exchange *x); /* counts; may be NULL */
};

/* A connection's carrier, first member of the carrier's own struct. */
struct wp_http {
    struct wp_conn *conn;
    const struct wp_http_app *app;
    struct wp_http_pool *pool;
    struct wp_doh_counts *counts;          /* DoH's, or NULL */
    void (*answer)(struct wp_exchange *x); /* x->answer stands */
    /* The memory that x->answer.body may borrow until the carrier's flush; false: the flush is
     * later than this call, so the exchange must keep the octets alive itself. */
    bool in_turn;
    /* Requests come many at once, and the carrier calls wp_exchange_run_ahead after the last: a
     * query may wait for the next few while memory comes near. */
    bool batches;
};

/* --- exchanges (http.c) -------------------------------------------------------------------- */

/* NULL: out of memory. In no list. */
struct wp_exchange *wp_exchange_new(struct wp_http *h);
/* The carrier is done with it, or the client is gone: cancels a running query, whose end then
 * frees the exchange. In no list any more. */
void wp_exchange_end(struct wp_exchange *x);
/* Room in x->body for len octets in all; what is there stays. */
int wp_exchange_room(struct wp_exchange *x, size_t len) WP_MUSTCHECK;
/* Add to the body; too long or no memory: has been answered. */
void wp_exchange_body(struct wp_exchange *x, const uint8_t *data, size_t len);
/* Run the query; app->reply follows, now or later. Answers by app->reply(x, NULL) when the
 * worker has no query left. */
void wp_exchange_ask(struct wp_exchange *x, const uint8_t *wire, size_t len);
/* Run what wp_exchange_ask has kept waiting. */
void wp_exchange_run_ahead(struct wp_http_pool *p);
/* x->answer stands: hand it to the carrier. Once for each exchange; the first one counts. */
void wp_exchange_answer(struct wp_exchange *x);
/* Copy what the carrier could not send in its turn, so that turn memory and query can go. */
int wp_exchange_retain(struct wp_exchange *x) WP_MUSTCHECK;
static inline uint32_t wp_exchange_left(const struct wp_exchange *x)
{
    return x->answer.head_len + x->answer.body_len - x->sent;
}
/* Copy the next len octets of head and body. */
void wp_exchange_take(struct wp_exchange *x, uint8_t *to, size_t len);

/* Octets of v in decimal at `to` (10 are enough); returns how many. */
size_t wp_http_decimal(char *to, uint32_t v);
/* "404 Not Found\n": for a status line without the newline, from the fifth octet a body. *ret_len
 * counts the newline. */
const char *wp_http_reason(unsigned status, size_t *ret_len);

/* "Sat, 21 Nov 2026 11:06:08 GMT", WP_HTTP_DATE octets: now, made once a second (RFC 9110 s6.6.1:
 * an answer tells when it was made). */
enum { WP_HTTP_DATE = 29 };
const char *wp_http_date(struct wp_http_pool *p);
/* The same for any Unix time. */
void wp_http_date_text(int64_t unix_s, char to[WP_HTTP_DATE + 1]);

/* --- the worker's pool (http_pool.c) -------------------------------------------------------- */

/* Memory of sessions and exchanges: freed blocks are kept by size, up to a bound, so that a
 * busy connection never meets malloc. One for each worker with an HTTP listener; counted. */
struct wp_http_pool *wp_http_pool_get(struct wp_worker *w);
void wp_http_pool_put(struct wp_http_pool *p);
/* open and close of the listener: the pool lives as long as one of its listeners, sessions or
 * exchanges. */
int wp_http_listener_open(struct wp_worker *w, struct wp_group *g, int fd,
                          const struct wp_listener_ops *ops, const struct wp_conn_proto *proto,
                          struct wp_listener **ret);
void wp_http_listener_close(struct wp_listener *l);
void *wp_http_alloc(struct wp_http_pool *p, size_t len);
void *wp_http_realloc(struct wp_http_pool *p, void *block, size_t len);
void wp_http_free(struct wp_http_pool *p, void *block);

struct wp_http_pool {
    struct wp_worker *worker;
    unsigned refs;
    struct http_block *free[WP_HTTP_CLASSES];
    uint16_t n_free[WP_HTTP_CLASSES];
    struct wp_region *lend; /* what a session allocates at its birth comes from here, */
    bool lend_frame;        /* and the one large block is `frame` (http2.c) */
    struct wp_regions regions;
    bool starved;             /* memory was short since this was last cleared */
    struct http_block *spare; /* reserve for then; untouched, it costs no memory */
    uint8_t *spares;
    struct wp_exchange *ahead[WP_HTTP_AHEAD]; /* oldest first */
    unsigned n_ahead;
    struct wp_doh_counts *counts; /* doh.c */
    struct h2_shared *h2;         /* http2.c: callbacks and options of all its sessions */
    void (*h2_free)(struct h2_shared *h2);
    int64_t date_s; /* what `date` says */
    char date[WP_HTTP_DATE + 1];
    uint32_t turn_used;
    uint8_t turn[WP_HTTP_TURN];                /* replies of the running turn */
    _Alignas(16) uint8_t frame[WP_HTTP_FRAME]; /* where nghttp2 builds a frame: see http2.c */
};

/* doh.c: the counters of one worker, cached. */
void wp_doh_counts_free(struct wp_doh_counts *c);

/* --- carriers -------------------------------------------------------------------------------- */

/* Make a connection speak it: sets conn->proto and conn->state. */
int wp_http1_start(struct wp_conn *c, const struct wp_http_app *app);
int wp_http2_start(struct wp_conn *c, const struct wp_http_app *app);
