/* Upstream servers, asked from a loop without blocking: over UDP, TCP, TLS, HTTPS and gRPC.
 *
 * An upstream is one server of one plugin instance. It is shared by all loops: address, names,
 * health, metrics. What a loop holds of it (sockets, connections) belongs to that loop and is
 * made when it is first asked there. A try is a message out, a reply or an error
 * back. It belongs to the loop that started it.
 *
 * What guards against forged replies: connected sockets (the kernel compares addresses), a
 * random port for each of many short-lived sockets, random ids, the question compared. A
 * datagram that fails one of these does not end the waiting. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "backends/common/upstream_reply.h"
#include "waypost/base/addr.h"
#include "waypost/dns/name.h"
#include "waypost/plugin/loop.h"

struct wp_env;
struct wp_report;
struct wp_series;
struct wp_tls_ctx;
struct wp_upstream;
struct wp_upstreams;

enum wp_upstream_kind {
    WP_UPSTREAM_DNS,
    WP_UPSTREAM_TLS,
    WP_UPSTREAM_HTTPS,
    WP_UPSTREAM_GRPC,
};

enum { WP_UP_PATH_MAX = 1024 };

/* What upstreams of one stanza have in common. Read-only; outlives them. */
struct wp_upstream_profile {
    const char *asker;        /* plugin name: label proxy_name */
    int64_t expire_ns;        /* an idle socket or connection is closed after this */
    int64_t max_age_ns;       /* any is, after this; 0: no bound */
    int64_t max_idle;         /* idle ones kept, for each upstream and transport; 0: no bound */
    int64_t read_timeout_ns;  /* of one try, after the query went out */
    struct wp_addr source;    /* local address; family 0: the system chooses */
    struct wp_tls_ctx *tls;   /* for TLS upstreams, else NULL */
    struct wp_tls_ctx *https; /* for HTTPS upstreams (ALPN h2), else NULL; for gRPC ones, NULL:
                                 cleartext */
    const char *http_host;    /* :authority; NULL: IP:PORT */
    const char *http_path;    /* of HTTPS; NULL: "/dns-query"; at most WP_UP_PATH_MAX */
    bool doh_get;
    int64_t health_ns; /* between failing health checks */
    bool health_tcp;   /* over TCP for DNS upstreams */
    bool health_rd;
    struct wp_name health_name;
};

/* --- the upstreams of one instance --------------------------------------------------------- */

/* Main thread. `env` outlives the set. */
int wp_upstreams_new(const struct wp_env *env, struct wp_upstreams **ret) WP_MUSTCHECK;
/* No more health checks; questions are still answered. Main thread, loops run. */
void wp_upstreams_quiesce(struct wp_upstreams *s);
/* Takes down sockets on every loop and frees all upstreams. Main thread, loops run, no try
 * is open. Accepts NULL. */
void wp_upstreams_free(struct wp_upstreams *s);

/* server_name: SNI and the name to verify; NULL: the IP. Copied. The set owns the upstream. Main
 * or admin thread. */
int wp_upstream_new(struct wp_upstreams *s, const struct wp_upstream_profile *p,
                    enum wp_upstream_kind kind, const struct wp_addr *addr, const char *server_name,
                    struct wp_upstream **ret) WP_MUSTCHECK;
/* Upstreams that may be retired are held by who keeps a pointer over turns, on its own loop. 0 or
 * -ENOMEM. */
int wp_upstream_hold(struct wp_upstream *u, struct wp_loop *loop) WP_MUSTCHECK;
void wp_upstream_release(struct wp_upstream *u, struct wp_loop *loop);
/* Nobody finds it any more (what pointed at it has been replaced). Its memory goes when no loop
 * holds it or has a try with it, at the latest with the set. Admin thread. */
void wp_upstream_retire(struct wp_upstream *u);

bool wp_upstream_is(const struct wp_upstream *u, enum wp_upstream_kind kind,
                    const struct wp_addr *addr, const char *server_name);
const char *wp_upstream_text(const struct wp_upstream *u); /* "IP:PORT" */
/* "udp", "tcp", "tls", "https": what a try of this kind goes over. */
const char *wp_upstream_over(const struct wp_upstream *u, bool tcp);

/* --- one try ------------------------------------------------------------------------------- */

/* How it ended. Valid during the callback. */
struct wp_outcome {
    int err;         /* 0, or a negative error: no reply */
    const char *why; /* with err: as Go's network errors read */
    bool again;      /* with err: a kept connection was closed by the peer: ask again, this
                        try does not count */
    struct wp_reply_look look; /* without err: what the reply is */
    const uint8_t *reply; /* look.verdict OK, CUT or MISMATCH: the message; its id is the try's */
    size_t len;
    bool udp; /* came over UDP: a TC can be asked again over TCP */
};

enum wp_up_try_state { WP_TRY_IDLE, WP_TRY_SETUP, WP_TRY_SENT };

/* Memory is the asker's; zeroed before its first use, and stays put while the try runs. */
struct wp_up_try {
    /* set by the asker */
    uint8_t *msg; /* the query; its first two octets are overwritten with the id */
    uint32_t len;
    bool tcp;             /* DNS upstreams: over TCP */
    uint64_t deadline_ns; /* the reply must be there by then, whatever else is allowed */
    uint64_t setup_ns;    /* a new connection must be open by then */
    uint64_t wait_ns;     /* for the reply, after the query went out; 0: as the profile says */
    bool once;            /* UDP: not sent a second time */
    /* Called exactly once, unless cancelled; never from within wp_upstream_ask. */
    void (*done)(struct wp_up_try *x, const struct wp_outcome *o);

    /* the upstream's */
    enum wp_up_try_state state;
    struct wp_upstream *up;
    void *via;                                  /* socket or connection */
    struct wp_up_try *next, **prev;             /* in its bucket, or waiting for the connection */
    struct wp_up_try *queue_next, **queue_prev; /* UDP: to be sent at the end of this turn */
    struct wp_timer timer;
    struct wp_loop *loop;
    uint64_t asked_ns, due_ns;
    uint16_t id;
    bool resent;                /* UDP: a second datagram went out */
    int send_error;             /* UDP: what the kernel said, told at the end of the turn */
    struct wp_reply_look other; /* UDP: last datagram with our id but not our question */
    int32_t stream;             /* HTTP/2; 0: none */
    uint32_t sent;              /* octets of msg that went out */
    int status;                 /* HTTP */
    int grpc_status;            /* -1: none came */
    uint8_t head[9], head_len;  /* gRPC: what stands before msg */
    uint8_t *body;              /* HTTP: what came of the reply so far */
    uint32_t body_len, body_cap;
};

/* On a loop of the set (worker or admin). 0: done() follows. Negative: it could not be started,
 * done() is not called; *ret_why is static text or made for this thread's next call. */
int wp_upstream_ask(struct wp_upstream *u, struct wp_loop *loop, struct wp_up_try *x,
                    const char **ret_why) WP_MUSTCHECK;
/* done() will not be called. Accepts an idle one. */
void wp_upstream_cancel(struct wp_up_try *x);

/* --- health -------------------------------------------------------------------------------- */

/* More than max_fails health checks failed in a row? 0: never. Any thread. */
bool wp_upstream_is_down(const struct wp_upstream *u, uint32_t max_fails);
/* A try failed: check it in the background until it answers. Any loop; cheap when a check
 * already runs. */
void wp_upstream_check(struct wp_upstream *u);
/* One upstream, as rows of an object in a list that is open; max_fails as above. Admin thread. */
void wp_upstream_status(struct wp_upstream *u, uint32_t max_fails, struct wp_report *r);
