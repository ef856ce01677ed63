/* Inside backends/common/upstream*.c. Everything in `here` and `local` belongs to one loop. */
#pragma once
#include <pthread.h>
#include "backends/common/upstream.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/plugin.h"

enum {
    WP_UP_RX = 32,              /* datagrams read with one call */
    WP_UP_RX_LEN = 65536 + 192, /* not a power of two: the slots do not share cache sets */
    WP_UP_STREAM_READ = 65536,
    WP_UP_RCODES = 24,  /* series kept ready for these rcodes */
    WP_UP_SOCKETS = 64, /* UDP sockets of one upstream on one loop */
    WP_UP_ID_BUCKETS = 32,
    WP_UP_WHY_MAX = 320,
};

enum wp_up_proto { WP_UP_UDP, WP_UP_TCP, WP_UP_TLS, WP_UP_PROTOS };

/* What the upstreams of a set share on one loop. */
struct wp_up_here {
    struct wp_loop *loop;
    int index;
    uint16_t random[256]; /* from getrandom(2) */
    unsigned n_random;
    uint8_t *rx;    /* WP_UP_RX slots of WP_UP_RX_LEN; made at first use */
    uint8_t *read;  /* octets of a stream as they come, WP_UP_STREAM_READ */
    uint8_t *plain; /* the same decrypted */
    struct wp_up_local *locals;
    struct wp_up_socket *free_sockets;
    unsigned n_free_sockets;
};

struct wp_upstreams {
    const struct wp_env *env;
    _Atomic bool quiet;
    int n_loops;              /* workers and admin */
    struct wp_up_here **here; /* each made by its own loop's thread */
    struct wp_upstream *all;  /* main thread, later admin */
};

struct wp_up_socket {
    struct wp_io io;
    struct wp_up_local *local;
    struct wp_up_socket *next; /* retired, or free */
    uint64_t born_ns, used_ns;
    uint32_t asked; /* queries sent so far */
    uint32_t open;  /* tries that wait on it */
    bool retired;   /* takes no more queries; closed when nothing is open */
    bool busy;      /* its datagrams are being handled: not closed meanwhile */
    struct wp_up_try *bucket[WP_UP_ID_BUCKETS];
};

/* One upstream on one loop. */
struct wp_up_local {
    struct wp_upstream *up;
    struct wp_up_here *here;
    struct wp_up_local *next, **prev; /* in here->locals */
    struct wp_timer sweep;            /* closes what is idle or old */
    bool retiring;                    /* goes when nothing is open */
    unsigned holds;                   /* askers that may still come */
    /* UDP */
    struct wp_up_socket *socket[WP_UP_SOCKETS];
    struct wp_up_socket *retired;
    struct wp_up_socket *current; /* takes the queries of this turn */
    unsigned n_sockets;
    struct wp_up_try *queue, **queue_end; /* to be sent */
    struct wp_task flush;
    /* streams */
    struct wp_up_conn *conns;
    unsigned n_conns;
    unsigned depth; /* queries in flight on one connection */
};

struct wp_up_probe {
    struct wp_mail mail;
    struct wp_up_try x;
    struct wp_timer again;
    uint8_t msg[WP_NAME_MAX + 16];
};

struct wp_upstream {
    struct wp_upstreams *set;
    struct wp_upstream *next;
    const struct wp_upstream_profile *profile;
    enum wp_upstream_kind kind;
    struct wp_addr addr;
    struct sockaddr_storage sa;
    socklen_t sa_len;
    char text[WP_ADDR_TEXT_MAX]; /* IP:PORT */
    char *server_name;           /* as given, or NULL */
    const char *verify;          /* server_name, or the IP's text */
    char ip[WP_ADDR_TEXT_MAX];
    _Atomic int64_t dial_avg_ns;
    _Atomic int64_t reply_avg_ns; /* 0: none yet */
    _Atomic uint64_t n_failed;    /* tries */
    pthread_mutex_t fault_lock;   /* of: */
    char fault[160];              /* the last failure of a try, "": none */
    int64_t fault_ms;             /* Unix time */
    _Atomic uint32_t fails; /* health checks, in a row */
    _Atomic bool probing;
    bool gone;     /* admin's: retired */
    int retire_at; /* next loop to be asked whether it is done */
    struct wp_mail retire_mail;
    struct wp_up_probe probe;   /* admin's */
    struct wp_up_local **local; /* one for each loop, or NULL */
    struct wp_series *failures;
    _Atomic(struct wp_series *) duration[WP_UP_RCODES];
    struct wp_series *hits[WP_UP_PROTOS], *misses[WP_UP_PROTOS];
};

static inline bool wp_up_is_h2(const struct wp_upstream *u)
{
    return u->kind == WP_UPSTREAM_HTTPS || u->kind == WP_UPSTREAM_GRPC;
}

/* --- upstream.c ---------------------------------------------------------------------------- */
uint16_t wp_up_random(struct wp_up_here *h);
struct wp_up_local *wp_up_local_of(struct wp_upstream *u, struct wp_loop *loop);
/* Sockets and connections are to be looked after. */
void wp_up_sweep_later(struct wp_up_local *l);

/* --- upstream_try.c ------------------------------------------------------------------- */
void wp_up_make_series(struct wp_upstream *u);
/* End a try: out of its bucket, timer off, done(). Its memory may be gone afterwards. */
void wp_up_try_end(struct wp_up_try *x, const struct wp_outcome *o);
void wp_up_try_fail(struct wp_up_try *x, int err, const char *why);
void wp_up_try_link(struct wp_up_try **bucket, struct wp_up_try *x);
void wp_up_try_unlink(struct wp_up_try *x);

/* --- upstream_socket.c --------------------------------------------------------------------- */
/* A non-blocking socket towards the upstream, bound to the profile's source; connected, or
 * connecting. Negative: -errno. */
int wp_up_connect(const struct wp_upstream *u, int type);
/* "dial tcp 192.0.2.1:53: i/o timeout": in a buffer of this thread, good until the next call. */
const char *wp_up_why(const struct wp_upstream *u, const char *op, const char *net, int fd,
                      int err);

/* --- upstream_udp.c ------------------------------------------------------------------------ */
int wp_up_udp_ask(struct wp_up_local *l, struct wp_up_try *x, const char **ret_why);
void wp_up_udp_cancel(struct wp_up_try *x);
bool wp_up_udp_sweep(struct wp_up_local *l, uint64_t now_ns); /* true: some are left */
bool wp_up_udp_is_open(const struct wp_up_local *l);          /* tries wait */
void wp_up_udp_close(struct wp_up_local *l);
void wp_up_udp_done(struct wp_up_here *h);

/* --- upstream_pool.c ----------------------------------------------------------------------- */
int wp_up_conn_ask(struct wp_up_local *l, struct wp_up_try *x, const char **ret_why);
void wp_up_conn_cancel(struct wp_up_try *x);
bool wp_up_conn_sweep(struct wp_up_local *l, uint64_t now_ns);
bool wp_up_conn_is_open(const struct wp_up_local *l);
void wp_up_conn_close_all(struct wp_up_local *l);

/* --- upstream_health.c --------------------------------------------------------------------- */
void wp_up_probe_stop(struct wp_upstream *u); /* on the admin loop */
