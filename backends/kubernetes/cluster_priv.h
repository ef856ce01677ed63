/* The parts of a cluster: cluster.c is the registry of them, in_step.c knows whether they are synced
 * and in step, reflector.c decides what each collection does next, reflector_call.c makes its
 * requests, reflector_end.c judges how they ended, reflector_item.c brings objects into the store, latency.c times them,
 * report.c counts. Everything is the engine thread's unless it says otherwise. */
#pragma once
#include <pthread.h>
#include "backends/common/http_client.h"
#include "backends/common/state.h"
#include "backends/kubernetes/body.h"
#include "backends/kubernetes/cluster.h"
#include "backends/kubernetes/keep.h"
#include "backends/kubernetes/limiter.h"
#include "waypost/base/arena.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/metric.h"

enum {
    WP_KUBE_PAGE = 500,            /* items of a list that comes in pages */
    WP_KUBE_WATCH_S = 300,         /* a watch lasts so long, or up to twice */
    WP_KUBE_WATCH_GRACE_S = 60,    /* and is ended by us when the server has not */
    WP_KUBE_IDLE_MS = 90000,       /* bookmarks come about once a minute */
    WP_KUBE_BACKOFF_FIRST_MS = 800,
    WP_KUBE_BACKOFF_MOST_MS = 30000, /* before jitter, which may double it */
    WP_KUBE_BACKOFF_RESET_MS = 120000,
    WP_KUBE_BRIEF_MS = 1000,       /* a watch without an event that ends sooner is a failure */
    WP_KUBE_RELIST_MS = 30000,     /* lists that a compaction asks for sooner wait */
    WP_KUBE_RETRIES = 10,          /* after as many seconds as the server says, */
    WP_KUBE_RETRY_MOST_S = 60,     /* at most so many */
    WP_KUBE_TORN_MOST = 3,         /* streaming lists that broke off in a row, before a plain one */
    WP_KUBE_STREAM_AGAIN_S = 3600, /* a server that refused to stream a list is asked again */
    WP_KUBE_HOLD_MAX = 1 << 20,    /* octets of changes that wait for the end of a listing */
    WP_KUBE_REFUSAL_MAX = 64 * 1024, /* octets of a body that is no data */
    WP_KUBE_REAP_MS = 20,
    WP_KUBE_WHY_MAX = 500,
};

static inline uint64_t wp_kube_ms(uint64_t ms)
{
    return ms * 1000000u;
}

enum wp_kube_phase {
    WP_KUBE_RESTING,   /* until the timer rings; then comes `next` */
    WP_KUBE_QUEUED,    /* until another list has ended */
    WP_KUBE_STREAMING, /* a streaming list, before the bookmark at its end */
    WP_KUBE_LISTING,   /* a page */
    WP_KUBE_WATCHING,
};
enum wp_kube_next {
    WP_KUBE_GO_CYCLE, /* everything from the start: a list, streamed if possible */
    WP_KUBE_GO_PAGE,
    WP_KUBE_GO_WATCH,
};
enum wp_kube_relist { /* why */
                      WP_KUBE_RELIST_START,
                      WP_KUBE_RELIST_EXPIRED,
                      WP_KUBE_RELIST_ERROR,
                      WP_KUBE_RELISTS,
};

/* Changes that a listing brings, until it is whole. Behind each length and encoding its octets. */
struct wp_kube_hold {
    char *at;
    size_t len, cap;
    bool spilled; /* they were too many: what comes is stored at once */
};

/* One collection: list, watch, and list again. */
struct wp_kube_reflector {
    struct wp_kube_cluster_own *own;
    enum wp_kube_collection collection;
    enum wp_kube_phase phase;
    enum wp_kube_next next;
    struct wp_engine_timer timer;

    struct wp_httpc_call *call;
    enum wp_kube_encoding encoding;
    struct wp_kube_body *body; /* NULL: no data came (yet) */
    char *refusal;             /* the body of a response that is no data */
    size_t refusal_len;
    int status;
    int64_t retry_after_s;
    char content_type[80];
    unsigned generation; /* of the access, when the call began */
    uint64_t began_ns, heard_ns;
    size_t n_events; /* of the call */
    struct wp_kube_status event_error;
    bool has_event_error;

    char rv[WP_KUBE_RV_MAX + 1]; /* the last one seen; "": none yet */
    bool rv_gone;                /* the server does not have it any more: lists do without */
    bool paginates;              /* the server does so although it has no need to */
    bool distrusts;              /* equal resourceVersions do not make objects equal, this once */

    /* the listing */
    enum wp_kube_relist reason;
    char list_rv[WP_KUBE_RV_MAX + 1];
    char *page;      /* `continue` of the next page; NULL: the first one */
    bool whole;      /* no limit: in one page */
    bool granted;    /* the limiter has been asked for this request */
    bool in_flight;  /* counted by the limiter */
    uint64_t page_began_ns, listed_ns; /* listed_ns: when the last listing began */
    struct wp_kube_hold hold;
    unsigned torn, retries;

    bool away; /* it rests because nobody answered */
    uint64_t wait_ns, waited_ns; /* back-off: the next one, when the last one began */
    atomic_bool listed;          /* once; it stays */
    atomic_bool open;            /* there is an open watch: any thread */
    uint64_t lost_ns;            /* since when there is no open watch; 0: there is one */
    uint64_t silent_ns;          /* since when the last one was silent; 0: it was not */
    struct wp_log_limit limit, bad_limit;
    struct wp_series *bad, *events[3], *relists[WP_KUBE_RELISTS];
};

struct wp_kube_stats {
    struct wp_series *list_time, *wait_time;
    struct wp_series *synced, *behind, *octets, *objects[WP_KUBE_COLLECTIONS];
};

struct wp_kube_cluster_own {
    struct wp_kube_cluster c;
    struct wp_kube_cluster_own *next; /* by the registry's lock, like refs */
    unsigned refs;
    char *key;                /* of the registry */
    const char *name;         /* of metrics: host, and the selectors */
    struct wp_arena words;    /* of wants and name */
    struct wp_kube_wants wants;
    struct wp_kube_access *access;
    const struct wp_httpc_ops *h;
    uint64_t made_ns, state_key;
    pthread_mutex_t lock;
    pthread_cond_t cond; /* synced, or gone */
    struct wp_engine_post join, leave; /* the second may come before the first has run */
    char error[WP_KUBE_WHY_MAX]; /* by lock: the last failure */
    int64_t error_ms;            /* by lock: when; 0: there was none */
    _Atomic uint64_t changed_ns; /* of the store; 0: never */
    bool gone; /* by lock: the engine's thread has let go of it */

    struct wp_kube_keep *keep;     /* NULL: nothing is saved */

    struct wp_kube_reflector reflectors[WP_KUBE_COLLECTIONS];
    unsigned n_reflectors;
    struct wp_kube_decode_config decode;
    struct wp_kube_limiter limiter;
    struct wp_arena scratch;       /* of one object, one head */
    uint64_t stream_refused_ns;    /* when the server said that it streams no lists; 0: never */
    unsigned generation;           /* of the access, when it was last looked at */
    bool changed;                  /* the store, since the last reaping */
    bool stale;                    /* told */
    struct wp_engine_timer reap, stale_timer;
    struct wp_log_limit trigger_limit;
    struct wp_kube_stats stats;
};

/* --- in_step.c -------------------------------------------------------------------------------- */
/* A collection has been listed. */
void wp_kube_listed(struct wp_kube_reflector *r);
/* Its watch is open; there is none any more. away: not even an answer came. silent: nothing had
 * come for long, which may be nothing but quiet: it counts if the server turns out to be away. */
void wp_kube_watch_opened(struct wp_kube_reflector *r);
void wp_kube_watch_ended(struct wp_kube_reflector *r, bool away, bool silent);
void wp_kube_in_step_stop(struct wp_kube_cluster_own *o);
/* Data of an earlier run is in the store, age_s old; below 0: there is none. */
void wp_kube_restored(struct wp_kube_cluster_own *o, int64_t age_s);
/* The store has changed, or is about to be said to have. */
void wp_kube_store_changed(struct wp_kube_cluster_own *o);

/* --- reflector.c ------------------------------------------------------------------------------ */
void wp_kube_reflector_init(struct wp_kube_reflector *r, struct wp_kube_cluster_own *own,
                            enum wp_kube_collection collection);
void wp_kube_reflector_start(struct wp_kube_reflector *r);
void wp_kube_reflector_stop(struct wp_kube_reflector *r); /* nothing of it is called any more */
/* Go on with `next` after so long. */
void wp_kube_rest(struct wp_kube_reflector *r, enum wp_kube_next next, uint64_t ns);
/* The same after a failure. */
void wp_kube_back_off(struct wp_kube_reflector *r, enum wp_kube_next next);
/* A listing in pages, from the first one on. whole: without a limit. */
void wp_kube_list(struct wp_kube_reflector *r, bool whole);
/* All items of the listing have come, as of rv: what was held is stored, what is gone removed. The
 * watch goes on, or follows. 0 or -ENOMEM. */
int wp_kube_list_complete(struct wp_kube_reflector *r, const char *rv) WP_MUSTCHECK;
/* A list request has ended: the next one may be made. */
void wp_kube_list_release(struct wp_kube_reflector *r);
/* A watch that goes on where another one was. */
void wp_kube_watch(struct wp_kube_reflector *r);
const char *wp_kube_type_text(enum wp_kube_collection c); /* "*v1.Service" */

/* --- reflector_call.c ------------------------------------------------------------------------- */
/* Begin the request of the phase. It may fail at once, which is told as an end would be. */
void wp_kube_call(struct wp_kube_reflector *r, enum wp_kube_phase phase);
void wp_kube_call_drop(struct wp_kube_reflector *r);

/* --- reflector_end.c -------------------------------------------------------------------------- */
/* The call has ended; r->call is NULL. */
void wp_kube_call_ended(struct wp_kube_reflector *r, int err, const char *text);

/* --- reflector_item.c ------------------------------------------------------------------------- */
extern const struct wp_kube_split_ops wp_kube_list_ops, wp_kube_watch_ops;
/* A listing begins; its end: what was held is stored. 0 or -ENOMEM. */
void wp_kube_hold_begin(struct wp_kube_reflector *r);
int wp_kube_hold_end(struct wp_kube_reflector *r) WP_MUSTCHECK;
void wp_kube_hold_done(struct wp_kube_reflector *r);
/* Memory that nobody can see any more is given back: now, and soon again if some is left. */
void wp_kube_reap(struct wp_kube_cluster_own *o);

/* --- latency.c -------------------------------------------------------------------------------- */
/* A slice has been stored or removed: how long after the change that it tells of? */
void wp_kube_latency(struct wp_kube_cluster_own *o, const struct wp_kube_object *slice);

/* --- status.c --------------------------------------------------------------------------------- */
/* A list or a watch has failed. */
void wp_kube_tell_error(struct wp_kube_cluster_own *o, const char *verb, const char *type,
                        const char *why);

/* --- report.c --------------------------------------------------------------------------------- */
/* The second collection of slices has a name of its own. */
const char *wp_kube_resource_text(enum wp_kube_collection c);
void wp_kube_stats_init(struct wp_kube_cluster_own *o); /* main thread */
void wp_kube_stats_show(struct wp_kube_cluster_own *o); /* main thread; a second time, too */
void wp_kube_stats_drop(struct wp_kube_cluster_own *o); /* main thread */
void wp_kube_count_request(const struct wp_kube_cluster_own *o, int status); /* 0: none came */
void wp_kube_count_latency(bool headless, double s);
