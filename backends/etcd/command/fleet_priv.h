/* Inside fleet*.c. */
#pragma once
#include <pthread.h>
#include "backends/common/backoff.h"
#include "backends/etcd/command/client.h"
#include "backends/etcd/command/fleet.h"

#define MS 1000000ull
enum {
    FLEET_AT_ONCE = 32, /* calls under way */
    FLEET_BUCKETS = 4096,
    FLEET_BACKOFF_MS = 100,
    FLEET_BACKOFF_MOST_MS = 5000,
    FLEET_REFUSED_MS = 30000, /* names, passwords and rights */
    FLEET_REPEAT_MS = 60000,  /* a failure that stays the same is told again */
    FLEET_TURN_MS = 20,       /* items that are due are looked for no more often */
};

/* Counted: what is wanted, what is there, what is being put. */
struct fleet_record {
    unsigned refs;
    struct etcd_teller teller;
    int64_t ttl_s;
    unsigned n;
    struct etcd_pair pairs[];
};

enum fleet_op { FLEET_IDLE, FLEET_GRANT, FLEET_PUT, FLEET_REVOKE };

struct etcd_fleet_item {
    struct etcd_fleet *fleet;
    struct etcd_fleet_item *next, **prev;
    struct etcd_fleet_item *ready_next;
    bool is_ready;
    struct etcd_fleet_item *lease_next; /* in the bucket of its lease */
    struct fleet_record *wanted;
    struct fleet_record *there; /* under the lease; NULL: nothing */
    struct fleet_record *old;   /* while `there` is being put in its place */
    bool up, removed;
    bool told;     /* that it is there */
    bool doubtful; /* a put under this lease may still be carried out */
    bool standing;
    int64_t lease, granted_s;
    uint64_t act_ns, alive_ns; /* when to try again; when to keep alive */
    struct wp_backoff backoff;
    enum fleet_op op;
    struct wp_grpc_call *call;
    char why[200];
};

/* Everything by the lock. Callbacks of the engine take it; calls are started under it. */
struct etcd_fleet {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    const struct wp_grpc_ops *g;
    struct wp_etcd_source src;
    bool json;
    struct etcd_fleet_item *items;
    unsigned n_items;
    struct etcd_fleet_item *ready, **ready_end;
    struct etcd_fleet_item *bucket[FLEET_BUCKETS];
    struct wp_grpc_post post;
    bool posted;
    struct wp_grpc_timer timer;
    bool closing, ended;
    bool cut; /* calls or a connection were left before their end */
    /* the session */
    unsigned at;
    struct wp_grpc_channel *channel;
    char *token;
    bool no_auth, reauthed, proved; /* proved: a call has succeeded */
    struct wp_grpc_call *login, *stream;
    unsigned n_calls, n_asked;   /* unary calls; answers of the stream that are still to come */
    uint64_t retry_ns, heard_ns; /* of the stream */
    struct wp_backoff backoff;
    char last_why[200];
    uint64_t told_ns;
};

struct fleet_record *fleet_record_ref(struct fleet_record *r);
void fleet_record_unref(struct fleet_record *r); /* accepts NULL */
void fleet_item_free(struct etcd_fleet_item *i);
/* The engine shall look soon. */
void fleet_wake(struct etcd_fleet *f);
void fleet_set_lease(struct etcd_fleet_item *i, int64_t lease);

/* --- fleet_session.c: everything on the engine's thread ------------------------------------- */

/* Is there a connection to call on? Makes one, or goes on making it, when it is time. */
bool fleet_connected(struct etcd_fleet *f, uint64_t now);
/* The endpoint at hand is of no use: all calls end, the next one is tried. */
void fleet_leave(struct etcd_fleet *f, int status, const char *message, const char *what);
/* A call came back with an error: true when it is the session's, which has been left. */
bool fleet_failed(struct etcd_fleet *f, int status, const char *message, const char *what);
/* One more sign of life on the stream. False: the session has been left. */
bool fleet_keep_alive(struct etcd_fleet *f, int64_t lease);
struct wp_grpc_call *fleet_call(struct etcd_fleet *f, const char *path,
                                const ProtobufCMessage *request, wp_grpc_done_fn *done, void *arg);
void fleet_close(struct etcd_fleet *f);

/* --- fleet_step.c --------------------------------------------------------------------------- */

/* Queued if there is something to do for it now; freed if nobody needs it any more. Of an item that waits
 * for nothing (act_ns 0) any thread, else the engine's. */
void fleet_settle(struct etcd_fleet_item *i);
/* Start what is queued, as far as it goes; the engine's thread. */
void fleet_go(struct etcd_fleet *f);
/* What the stream says of a lease. */
void fleet_alive(struct etcd_fleet *f, int64_t lease, int64_t ttl_s);
/* Its call has been dropped. */
void fleet_item_cut(struct etcd_fleet_item *i);
