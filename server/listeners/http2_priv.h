/* Inside HTTP/2: http2.c (a session's life, deadlines), http2_recv.c (what nghttp2 tells),
 * http2_send.c (answers and output). Together they are the only users of nghttp2 here. */
#pragma once
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>
#include "http2_flood.h"
#include "http_priv.h"
#include "waypost/server/guard.h"

#define WP_H2_SECONDS(n) ((uint64_t)(n)*1000000000u)

enum { WP_H2_FRAME_HEAD = 9 };

/* What the sessions of a worker share. */
struct h2_shared {
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
};

struct wp_h2 {
    struct wp_http http; /* first */
    nghttp2_session *ng; /* asleep while region.packed is set */
    struct wp_region region;
    struct wp_exchanges reading, working, answered;
    struct wp_exchange *cur; /* the one last looked up */
    struct wp_task task;     /* flush of late answers */
    struct wp_flood_state flood;
    uint64_t idle_ns;      /* without an open stream since */
    uint64_t due_ns;       /* deadline in force */
    uint64_t ping_ns;      /* last ping, for strikes */
    uint64_t drain_ns;     /* the real GOAWAY follows then at the latest; 0: not draining */
    uint32_t n_open;       /* exchanges */
    uint32_t held;         /* octets of answers that wait for the client */
    uint32_t block_octets; /* of the header block that comes */
    uint32_t fatal;        /* error code for GOAWAY + 1 */
    const char *fatal_text;
    uint8_t *room; /* output, while flushing */
    size_t room_len, room_used;
    uint8_t strikes;
    bool begun;     /* the client's SETTINGS have come */
    bool greeted;   /* ours have gone */
    bool resetting; /* the frame that is read is the client's RST_STREAM */
    bool congested; /* the client does not read: no more output ... */
    bool paused;    /* ... and no more input */
    bool eof, probing;
    bool wakeful; /* no memory to fall asleep */
};

static inline struct wp_h2 *wp_h2_of(const struct wp_http *h)
{
    return (struct wp_h2 *)h;
}

static inline uint64_t wp_h2_now(const struct wp_h2 *s)
{
    return wp_loop_now(s->http.conn->worker->loop);
}

static inline const struct wp_limits *wp_h2_limits(const struct wp_h2 *s)
{
    return &wp_conn_group(s->http.conn)->limits;
}

/* Of the requests that one connection may have open; what the client is told. */
static inline uint32_t wp_h2_max_streams(const struct wp_h2 *s)
{
    uint32_t n = wp_h2_limits(s)->max_streams;

    return n == 0 || n > INT32_MAX ? INT32_MAX : n;
}

/* http2.c */
void wp_h2_refused(struct wp_h2 *s, enum wp_guard_limit limit); /* counts */
/* Ends the connection with a GOAWAY after the running callback; limit WP_LIMITS: not counted.
 * Returns what that callback returns, so that nghttp2 reads nothing more. */
int wp_h2_fail(struct wp_h2 *s, uint32_t code, enum wp_guard_limit limit, const char *text);
/* Memory is short: the session ends while its library still lives on the pool's reserve.
 * Negative then. */
int wp_h2_check_memory(struct wp_h2 *s);
/* The GOAWAY that names the last stream; no more are taken (RFC 9113 s6.8). */
void wp_h2_goaway(struct wp_h2 *s);
void wp_h2_arm(struct wp_h2 *s); /* the deadline for what is waited for now */

/* http2_recv.c */
void wp_h2_set_callbacks(nghttp2_session_callbacks *cb);

/* http2_send.c */
void wp_h2_answer(struct wp_exchange *x); /* of struct wp_http */
void wp_h2_reset(struct wp_h2 *s, struct wp_exchange *x, uint32_t code);
/* Everything that waits goes out; then the connection waits for more, or ends. */
void wp_h2_flush(struct wp_h2 *s);
/* Give back the output that is held; before anything that may lead to other connections. */
void wp_h2_commit(struct wp_h2 *s);
/* send_data of nghttp2: DATA, straight from the reply. */
int wp_h2_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t len,
                    nghttp2_data_source *source, void *user);
