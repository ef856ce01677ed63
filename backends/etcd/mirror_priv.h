/* The parts of a mirror: scout.c finds a member, life.c doubts it, session.c decides what is done
 * next, request.c and auth.c make calls, load.c lists, verify.c compares, watch.c follows, apply.c
 * changes trees, mark.c knows the last change, lease.c, lease_poll.c and lapse.c know leases, keep.c
 * saves, restore.c reads what was saved, files.c looks after certificates, report.c, trouble.c and
 * status.c tell. Everything is the engine thread's unless it says otherwise. */
#pragma once
#include <pthread.h>
#include "backends/common/backoff.h"
#include "backends/common/state.h"
#include "backends/etcd/channel.h"
#include "backends/etcd/check.h"
#include "backends/etcd/lease.h"
#include "backends/etcd/mirror.h"
#include "etcd.pb-c.h"
#include "waypost/base/arena.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/metric.h"

enum {
    WP_ETCD_SPOT_MAX = 280, /* text of an endpoint that was found */
    WP_ETCD_PAGE_MS = 20000,
    WP_ETCD_ACK_MS = 5000,       /* for all watches to be created */
    WP_ETCD_PROGRESS_MS = 15000, /* a silent stream is asked for one of life (life.c asks the member), */
    WP_ETCD_SILENCE_MS = 15000,  /* and given up this long after */
    WP_ETCD_BACKOFF_FIRST_MS = 100,
    WP_ETCD_BACKOFF_MOST_MS = 5000, /* between sessions that fail for a reason of their own, */
    WP_ETCD_AWAY_MOST_MS = 500,     /* or because the cluster is away: soon after it is back */
    WP_ETCD_REFUSED_MS = 30000, /* no endpoint will help: credentials, permissions */
    WP_ETCD_RENEW_MS = 5000,    /* between two tokens of a session */
    WP_ETCD_STEADY_MS = 5000,   /* in step this long: the next failure is a new one */
    WP_ETCD_COLD_MS = 5000,     /* without quorum and data this long: a serializable load */
    WP_ETCD_HOLD_MS = 300000,   /* a data set that was suddenly emptied is kept this long */
    WP_ETCD_REAP_MS = 20,
    WP_ETCD_PAGE_KEYS = 1000, /* of the first page; later ones by octets */
    WP_ETCD_PAGE_KEYS_MAX = 200000,
    WP_ETCD_PAGE_OCTETS = 8 << 20,
    WP_ETCD_SERVERS_MAX = 32,
    WP_ETCD_SAVE_MS = 30000,       /* a save that takes longer is given up */
    WP_ETCD_SAVE_LAST_MS = 4000,   /* the one at the end */
    WP_ETCD_SAVE_SLICE = 2000,     /* records at a time */
    WP_ETCD_FILES_MS = 5000,       /* how often TLS files are looked at */
    WP_ETCD_CONFIRM_MS = 10000,    /* how often the saved file's time moves on */
    WP_ETCD_LOAD_MS = 600000,        /* a listing that is not over by then never is */
    WP_ETCD_COMPACTIONS = 3,         /* so many in a row are bad luck, */
    WP_ETCD_COMPACTIONS_MS = 60000,  /* more within this time are a failure */
    WP_ETCD_VERIFY_MS = 600000,      /* between verifications, more or less a tenth */
    WP_ETCD_VERIFY_SOON_MS = 2000,   /* after coming back into step, */
    WP_ETCD_VERIFY_LEAST_MS = 60000, /* but this long after the last one */
    WP_ETCD_VERIFY_SETTLE_MS = 2000, /* events under way have come by then */
};

/* One of the two key ranges of a zone: everything below its path, and the path itself. */
struct wp_etcd_part {
    char *key, *end; /* with the prefix; end NULL: the one key */
    size_t key_len, end_len;
    int64_t next_revision; /* where a watch goes on */
    int64_t watch_id;      /* asked for, 0: none */
    bool created, in_fragment;
    bool denied; /* the single key may not be read: it is taken as absent */
};

enum wp_etcd_reason { /* of a load */
                      WP_ETCD_LOAD_START,
                      WP_ETCD_LOAD_COMPACTED,
                      WP_ETCD_LOAD_CLUSTER_CHANGED,
                      WP_ETCD_LOAD_REVISION_BACK,
                      WP_ETCD_LOAD_VERIFY,
                      WP_ETCD_LOAD_CONFIG,
                      WP_ETCD_LOAD_REASONS,
};

/* A range's file. */
struct wp_etcd_keep {
    struct wp_state *state;                /* NULL: nothing is saved */
    struct wp_grpc_timer timer, confirm;   /* the next save, or the next slice of one */
    const struct wp_etcd_rec *at;          /* saved last */
    struct wp_etcd_snap snap;
    bool saving, ending;                   /* ending: the range leaves after this save */
    uint64_t give_up_ns;
    /* reading */
    struct wp_state_reader *reader;
    struct wp_state_info info;
    size_t n_lapsed;
    uint64_t cluster_id;                   /* of the saved data */
    int64_t revision;
};

struct wp_etcd_mark {
    char *key;
    size_t len, cap;
    int64_t revision; /* 0: none */
    bool is_delete;
};

struct wp_etcd_range_own {
    struct wp_etcd_range r;
    struct wp_etcd_keep keep;
    atomic_bool restoring; /* its file is being read */
    struct wp_etcd_range_own *next;       /* of the mirror */
    struct wp_etcd_range_own *next_known; /* by the registry's lock, like refs */
    unsigned refs;
    char *base;
    struct wp_etcd_part parts[2];
    struct wp_etcd_mark mark;
    bool needs_load, suspect; /* the data set may be another one: trust no revision */
    bool published_once;
    enum wp_etcd_reason reason;
    size_t published_keys, published_octets;
    struct wp_grpc_timer hold, reap;
    bool held, turned; /* turned: records went out of sight, or came back, in the open batch */
    /* the main thread waits on the mirror's condition; the second may come before the first has run */
    struct wp_grpc_post join, leave;
    bool leaving, gone; /* gone: by the mirror's lock */
};

/* A question about one lease that is under way. */
struct wp_etcd_lease_question {
    struct wp_etcd_mirror *m;
    struct wp_grpc_call *call; /* NULL: free */
    int64_t id;
};
enum { WP_ETCD_ASKING_MAX = 8 };

struct wp_etcd_heap { /* soonest first */
    struct wp_etcd_lease **at;
    size_t n, cap;
};

/* Leases that end while etcd says nothing: lapse.c. */
struct wp_etcd_lapse {
    struct wp_grpc_timer timer, tell;
    bool ticking;
    unsigned quiet;    /* ticks without a word from etcd */
    uint64_t proof_ns; /* when etcd was last heard of, in step */
    size_t n_gone, n_back; /* records out of sight and back, not told yet */
};

struct wp_etcd_leases {
    struct wp_etcd_lease **buckets;
    size_t n, mask;
    struct wp_etcd_heap heap[WP_ETCD_QUEUES];
    struct wp_etcd_lease_question questions[WP_ETCD_ASKING_MAX];
    uint64_t next_ask_ns; /* rate */
    struct wp_grpc_timer timer;
    bool refused_logged;
    struct wp_etcd_lapse lapse;
};

/* Targets that records are checked by: check.c. */
enum { WP_ETCD_HEALTH_SERIES_MAX = 1000 };
struct wp_etcd_checks {
    struct wp_probe_group group;
    struct wp_grpc_post post;
    atomic_bool posted;
    struct wp_grpc_timer timer;
    struct wp_etcd_check *late;
    size_t n[3]; /* by enum wp_probe_verdict */
    unsigned n_series;
    struct wp_series *targets[3];
    struct wp_log_limit limit;
};

struct wp_etcd_load {
    struct wp_etcd_range_own *range; /* NULL: none runs */
    unsigned part;
    int64_t revision; /* of the snapshot; 0 before the first page */
    int64_t limit;
    char *from; /* next key to ask for */
    size_t from_len;
    uint64_t began_ns;
    unsigned restarts;
    bool serializable;
};

/* Keys and revisions compared with etcd's own list, twice when something differs: what differs in
 * both passes alike is no event that was still under way. */
struct wp_etcd_verify {
    struct wp_etcd_range_own *range; /* NULL: none runs */
    unsigned part;
    struct wp_grpc_call *call;
    struct wp_grpc_timer timer;
    bool second;
    int64_t revision, limit; /* of the listing; revision 0 before the first page */
    char *from;              /* next key to ask for */
    size_t from_len;
    uint64_t *found; /* differences of the first pass: hashes */
    size_t n_found, cap_found, n_confirmed;
    uint64_t ended_ns; /* the last one */
};

/* What a member says of itself. */
struct wp_etcd_said {
    bool known; /* else it does not tell: it may not be asked */
    bool has_leader, is_learner, progress_exact;
    uint64_t cluster_id;
    int64_t revision;
};

enum wp_etcd_grade {
    WP_ETCD_UNFIT,
    WP_ETCD_SECOND, /* when nobody better has answered in time */
    WP_ETCD_GOOD,
};

/* One attempt to reach an endpoint, or the connection that came of it. */
struct wp_etcd_feeler {
    struct wp_etcd_seat *seat;
    struct wp_grpc_channel *channel;
    struct wp_grpc_call *call;
    uint64_t began_ns;
};

/* One endpoint in a search. */
struct wp_etcd_seat {
    struct wp_etcd_mirror *m;
    unsigned at;
    struct wp_etcd_feeler quick, patient;
    struct wp_grpc_timer timer; /* the next attempt */
    bool begun, tried;          /* in this search: an attempt, the end of one */
    unsigned dear;              /* failures that cost the server something, in a row */
    enum wp_etcd_grade grade;
    struct wp_etcd_said said;
};

struct wp_etcd_scout {
    bool running, settled; /* settled: second choices count */
    struct wp_etcd_seat *seats; /* of each endpoint */
    unsigned *order;
    unsigned n;
    struct wp_grpc_timer settle;
};

enum wp_etcd_doubt {
    WP_ETCD_SURE,
    WP_ETCD_SILENT,
    WP_ETCD_LEADERLESS,
    WP_ETCD_SLOW,  /* the session takes long to come about */
    WP_ETCD_MOVED, /* DNS does not list it any more */
};

struct wp_etcd_life {
    struct wp_grpc_timer timer;
    struct wp_grpc_call *call;
    enum wp_etcd_doubt doubt;
    uint64_t doubted_ns, heard_ns; /* heard on the watch's connection */
};

struct wp_etcd_spot {
    char text[WP_ETCD_SPOT_MAX], target[WP_ETCD_SPOT_MAX];
    uint16_t priority;
};

/* Endpoints from DNS. */
struct wp_etcd_discover {
    struct wp_etcd_spot *places; /* what src.endpoints points into: one more than are listed */
    struct wp_grpc_timer timer;
    struct wp_etcd_lookup_job *job; /* NULL: none is under way */
    uint64_t ended_ns, due_ns;
    unsigned failures;
    bool wanted; /* one is due because the session has failed, whether another follows or not */
    char why[256];
    struct wp_log_limit limit;
    struct wp_series *done, *failed, *known;
};

struct wp_etcd_stats {
    _Atomic(struct wp_series *) synced[WP_ETCD_SERVERS_MAX]; /* set by the main thread */
    struct wp_series *keys, *malformed, *lapsed, *revision, *contact, *held, *octets;
    struct wp_series *reloads[WP_ETCD_LOAD_REASONS];
    struct wp_series *puts, *deletes, *reconnects, *bad_records;
    struct wp_series *ranges, *lease_queries;
};

/* What was last told of an endpoint. */
struct wp_etcd_trouble {
    uint64_t hash, told_ns, looked_ns;
    struct wp_log_limit limit;
};
struct wp_etcd_look; /* trouble.c */
struct wp_tls_ctx;

/* What `waypost status` tells of a mirror: copies, so that the asking thread needs no more than the
 * mirror's lock. */
struct wp_etcd_facts {
    char endpoint[WP_ETCD_SPOT_MAX]; /* the one at hand, "": none is known */
    bool connected, held;
    uint64_t cluster_id, member_id;
    int64_t revision;
    size_t bad, leases;
    uint64_t changed_ns, apply_ns; /* when a change was last shown, and how long that took; 0: never */
    char error[256];               /* the last failure; "": none */
    int64_t error_ms;              /* Unix time */
};

struct wp_etcd_mirror {
    struct wp_etcd_mirror *next; /* by the registry's lock, like refs */
    unsigned refs;
    struct wp_etcd_range_own *known; /* ranges, as the main thread knows them */
    char *key;                       /* of the registry */
    char *name;                      /* first endpoint and prefix: metrics */
    struct wp_etcd_source src;
    struct wp_arena words; /* of src */
    const struct wp_grpc_ops *g;
    uint64_t id;              /* source key of wp_changed */
    struct wp_etcd_facts facts; /* by lock */
    _Atomic uint64_t seen_ns;   /* any thread: when etcd was last heard of; 0: never */
    uint64_t arrived_ns;        /* the message that is being read */
    _Atomic uint64_t lost_ns; /* any thread: 0 in step, else since when not */
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool round_failed; /* by lock: every endpoint has failed since the start */

    struct wp_etcd_range_own *ranges;
    const char *servers[WP_ETCD_SERVERS_MAX]; /* by the registry's lock */
    unsigned n_servers;
    uint64_t random;

    unsigned at, next_at;        /* endpoint; where the next search begins */
    unsigned shunned;            /* endpoint that has just failed, UINT_MAX: none */
    unsigned tried, in_a_row;    /* sessions that failed: in this round; before they were steady */
    struct wp_etcd_scout scout;
    struct wp_etcd_life life;
    struct wp_etcd_discover discover;
    struct wp_backoff backoff;
    struct wp_grpc_timer retry, stale;
    bool retry_now;     /* the timer only breaks a recursion */
    uint64_t steady_ns; /* in step since, 0: not */

    struct wp_grpc_channel *channel, *watch_channel;
    struct wp_grpc_call *call; /* the one that the session waits for */
    char *token;
    struct wp_grpc_call *renewing; /* the token, beside the session */
    uint64_t renewed_ns;           /* the last time; in the future: not before */
    bool connected, no_auth, reauthed, checked, rechecked, progress_exact;
    int64_t mark_revision; /* asked for, 0: none */
    bool mark_is_delete, markless; /* markless: that revision cannot be asked for any more */
    struct wp_arena scratch; /* of the message being read */

    struct wp_grpc_call *watch;
    int64_t last_watch_id;
    struct wp_grpc_timer watch_timer; /* acknowledgement, then signs of life */
    bool asked_progress;

    struct wp_etcd_load load;
    struct wp_etcd_leases leases;
    struct wp_etcd_checks checks;
    struct wp_etcd_verify verify;
    unsigned compactions; /* since then: */
    uint64_t compacted_ns;
    _Atomic uint64_t max_octets; /* set by the main thread */
    bool large_told;

    uint64_t cluster_id, member_id;
    uint64_t raft_term; /* of the last reply that a quorum has confirmed */
    int64_t revision; /* last applied */
    uint64_t heard_ns; /* when a member that knows its cluster was last heard, now()'s clock; 0:
                        * never yet. In step it is some seconds old at most, out of step it stays */
    bool was_synced, stale_told, closed;
    bool was_without_quorum; /* an endpoint could be reached but not its cluster */
    uint64_t first_failure_ns;
    struct wp_etcd_stats stats;
    struct wp_log_limit bad_limit, untold_limit, lost_limit, outside_limit;
    size_t bad_untold; /* malformed keys and values since the last line about such */

    /* TLS: what the files said when they were last good */
    struct wp_tls_ctx *tls;
    struct wp_etcd_pem pem;
    struct wp_grpc_timer files; /* the next look at them */

    struct wp_etcd_trouble *trouble; /* of each endpoint */
    struct wp_etcd_look *look;       /* NULL: none is under way */
    bool heard;                      /* something came back since it connected */
};

/* --- session.c ----------------------------------------------------------------------------- */
void wp_etcd_session_start(struct wp_etcd_mirror *m);
void wp_etcd_session_stop(struct wp_etcd_mirror *m);
/* Do what has to be done next; nothing if a call is under way. */
void wp_etcd_step(struct wp_etcd_mirror *m);
/* A member was found: the session begins. Takes the channel. */
void wp_etcd_adopt(struct wp_etcd_mirror *m, unsigned at, struct wp_grpc_channel *channel,
                   const struct wp_etcd_said *said);
/* Out of step since now. */
void wp_etcd_lose(struct wp_etcd_mirror *m);
/* Every endpoint has failed: who waits for the first data need not wait longer. */
void wp_etcd_round_failed(struct wp_etcd_mirror *m);
/* The session is over: tell, and look for another member. `what`: which call. */
void wp_etcd_fail(struct wp_etcd_mirror *m, int status, const char *message, const char *what);
/* A call ended with an error that may be about credentials: either they are renewed once, or the
 * session fails. */
void wp_etcd_refused(struct wp_etcd_mirror *m, int status, const char *message, const char *what);
/* The same of a call about this part's keys (NULL: of none). */
void wp_etcd_part_refused(struct wp_etcd_mirror *m, const struct wp_etcd_part *p, int status,
                          const char *message, const char *what);
/* Is it a failure that no other endpoint and no quick retry will change? */
bool wp_etcd_is_final(int status, const char *what);
/* The whole data set may be another one. */
void wp_etcd_suspect_all(struct wp_etcd_mirror *m, enum wp_etcd_reason reason);
/* A new session at the same endpoint, for a reason that is no failure. */
void wp_etcd_renew(struct wp_etcd_mirror *m);
/* All watches stand. */
void wp_etcd_in_step(struct wp_etcd_mirror *m);
void wp_etcd_settled(struct wp_etcd_mirror *m); /* wake whoever waits */

/* --- trouble.c ----------------------------------------------------------------------------- */
/* A failure at an endpoint: told, unless it was lately. */
void wp_etcd_trouble(struct wp_etcd_mirror *m, unsigned at, int status, const char *message,
                     const char *what);
void wp_etcd_trouble_over(struct wp_etcd_mirror *m); /* the endpoint at hand is good */
void wp_etcd_trouble_stop(struct wp_etcd_mirror *m); /* what is under way ends soon: m->look */

/* --- files.c ------------------------------------------------------------------------------- */
/* The TLS files as they are now, in m->tls and m->pem; bad ones are told and the good ones before
 * them stay. WP_ETLS with why: there were none before. */
int wp_etcd_files_read(struct wp_etcd_mirror *m, char why[256]) WP_MUSTCHECK;
/* Look at them now and then while connected: new ones make a new session. */
void wp_etcd_files_watch(struct wp_etcd_mirror *m);
void wp_etcd_files_done(struct wp_etcd_mirror *m);
/* --- scout.c ------------------------------------------------------------------------------- */
int wp_etcd_scout_init(struct wp_etcd_mirror *m) WP_MUSTCHECK; /* the endpoints are set */
void wp_etcd_scout_done(struct wp_etcd_mirror *m);
/* Look for a member until there is one or it is stopped; ends in wp_etcd_adopt. */
void wp_etcd_scout_begin(struct wp_etcd_mirror *m);
void wp_etcd_scout_stop(struct wp_etcd_mirror *m);

void wp_etcd_scout_resize(struct wp_etcd_mirror *m); /* the number of endpoints is another */

/* --- discover.c ---------------------------------------------------------------------------- */
int wp_etcd_discover_init(struct wp_etcd_mirror *m) WP_MUSTCHECK;
void wp_etcd_discover_begin(struct wp_etcd_mirror *m);
void wp_etcd_discover_soon(struct wp_etcd_mirror *m);  /* the session is over */
void wp_etcd_discover_later(struct wp_etcd_mirror *m); /* in step */
void wp_etcd_discover_stop(struct wp_etcd_mirror *m);

/* --- life.c -------------------------------------------------------------------------------- */
/* In step: keep asking. */
void wp_etcd_life_watch(struct wp_etcd_mirror *m);
/* A call without which nothing goes on has been made; it should not take long. */
void wp_etcd_life_hurry(struct wp_etcd_mirror *m);
/* The stream has spoken, or the member. */
void wp_etcd_life_heard(struct wp_etcd_mirror *m);
void wp_etcd_life_moved(struct wp_etcd_mirror *m);
void wp_etcd_life_rest(struct wp_etcd_mirror *m);

/* --- request.c ----------------------------------------------------------------------------- */
/* One unary call of the session; m->call is set until it ends. -ENOMEM: the endpoint has failed. */
void wp_etcd_request(struct wp_etcd_mirror *m, const char *method, const ProtobufCMessage *request,
                     unsigned timeout_ms, wp_grpc_done_fn *fn);
/* The same beside the session (leases, verification), or on a channel of one's own; arg is the
 * callback's. NULL: no memory. */
struct wp_grpc_call *wp_etcd_request_beside(struct wp_etcd_mirror *m, const char *method,
                                            const ProtobufCMessage *request, unsigned timeout_ms,
                                            wp_grpc_done_fn *fn, void *arg);
struct wp_grpc_call *wp_etcd_request_on(struct wp_etcd_mirror *m, struct wp_grpc_channel *channel,
                                        const char *method, const ProtobufCMessage *request,
                                        unsigned timeout_ms, wp_grpc_done_fn *fn, void *arg);
size_t wp_etcd_headers(const struct wp_etcd_mirror *m, bool leader, struct wp_grpc_header out[2]);
/* Unpack into m->scratch: valid until the next one. NULL: malformed, or no memory. */
void *wp_etcd_unpack(struct wp_etcd_mirror *m, const ProtobufCMessageDescriptor *d,
                     const uint8_t *data, size_t len);
/* Header of any reply: who answered. */
void wp_etcd_seen(struct wp_etcd_mirror *m, const Etcd__Header *h);
uint64_t wp_etcd_random(struct wp_etcd_mirror *m);

/* --- auth.c -------------------------------------------------------------------------------- */
void wp_etcd_authenticate(struct wp_etcd_mirror *m);
void wp_etcd_token_drop(struct wp_etcd_mirror *m);
/* A call beside the session was refused for its token, while the stream lives on. True: there will
 * be another one, ask again a little later. */
bool wp_etcd_token_renew(struct wp_etcd_mirror *m);
/* NULL: no memory. */
struct wp_grpc_call *wp_etcd_ask_status(struct wp_etcd_mirror *m, struct wp_grpc_channel *channel,
                                        unsigned timeout_ms, wp_grpc_done_fn *fn, void *arg);
/* The reply; any status, it is not one of the connection. */
void wp_etcd_status_read(struct wp_etcd_mirror *m, int status, const uint8_t *data, size_t len,
                         struct wp_etcd_said *ret);
void wp_etcd_check_revision(struct wp_etcd_mirror *m);
/* How far the store had come: the last event, or what a progress said since. */
int64_t wp_etcd_revision_seen(const struct wp_etcd_mirror *m);

/* --- load.c -------------------------------------------------------------------------------- */
void wp_etcd_load_begin(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r);
void wp_etcd_load_abort(struct wp_etcd_mirror *m);
/* Would a listing take a member's own view, without a quorum? */
bool wp_etcd_load_is_cold(const struct wp_etcd_mirror *m);
/* A page of the part that was asked for from this key on: is it one that a store would send? */
bool wp_etcd_page_in_order(const struct wp_etcd_part *p, const char *from, size_t from_len,
                           const Etcd__RangeResponse *page);
/* The key after the last one of a page: in *from, which is freed first. -ENOMEM. */
int wp_etcd_page_next(const Etcd__RangeResponse *page, char **from, size_t *from_len) WP_MUSTCHECK;
/* How many keys make a page, when so many took so much. */
int64_t wp_etcd_page_limit(size_t octets, size_t keys);

/* --- verify.c ------------------------------------------------------------------------------ */
/* In step: compare soon when the watch was resumed, else after the usual time. */
void wp_etcd_verify_later(struct wp_etcd_mirror *m, bool resumed);
void wp_etcd_verify_stop(struct wp_etcd_mirror *m);

/* --- watch.c ------------------------------------------------------------------------------- */
/* Open the stream if there is none, ask for the watches that are missing. */
void wp_etcd_watch(struct wp_etcd_mirror *m);
void wp_etcd_watch_close(struct wp_etcd_mirror *m);
/* The range's watches end; what still comes of them is ignored. */
void wp_etcd_watch_cancel(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r);

/* --- apply.c ------------------------------------------------------------------------------- */
/* One key of a listing, or one event; the batch stays open. -ENOMEM: the range must be loaded
 * again. WP_EMALFORMED: no store says that. */
int wp_etcd_apply_listed(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r,
                         const Etcd__KeyValue *kv) WP_MUSTCHECK;
int wp_etcd_apply_event(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r,
                        const Etcd__Event *e) WP_MUSTCHECK;
/* Show the batch, or hold it back while a suspect data set looks emptied. */
void wp_etcd_apply_reap(struct wp_etcd_range_own *r); /* free later what is not needed any more */
void wp_etcd_apply_done(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r, bool after_load,
                        struct wp_etcd_batch_size *ret);
/* The mirror is larger than it may be, or would be with the batch that is `whole`: what was not
 * shown goes, the session fails. False: there is room. */
bool wp_etcd_apply_is_full(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r, bool whole);
/* The key below the prefix if it lies in the range, else NULL. */
const char *wp_etcd_apply_key(const struct wp_etcd_mirror *m, const struct wp_etcd_range_own *r,
                              const ProtobufCBinaryData *key, size_t *ret_len);

/* --- mark.c -------------------------------------------------------------------------------- */
void wp_etcd_mark_set(struct wp_etcd_mark *k, const ProtobufCBinaryData *key, int64_t revision,
                      bool is_delete);
void wp_etcd_mark_drop(struct wp_etcd_mark *k);
const struct wp_etcd_mark *wp_etcd_mark_newest(const struct wp_etcd_mirror *m); /* NULL: none */
/* The reply for the mark's key at its revision. */
bool wp_etcd_mark_is_there(int64_t revision, bool is_delete, const Etcd__RangeResponse *at);

/* --- lease.c, lease_poll.c ------------------------------------------------------------------- */
/* A reference, NULL for id 0 or without memory. */
struct wp_etcd_lease *wp_etcd_lease_get(struct wp_etcd_mirror *m, int64_t id);
void wp_etcd_lease_put(struct wp_etcd_mirror *m, struct wp_etcd_lease *lease);
struct wp_etcd_lease *wp_etcd_lease_find(struct wp_etcd_mirror *m, int64_t id);
/* Into the queue, or to another place in it. */
void wp_etcd_lease_queue(struct wp_etcd_mirror *m, struct wp_etcd_lease *lease,
                         enum wp_etcd_queue q, uint64_t when_ns);
void wp_etcd_lease_unqueue(struct wp_etcd_mirror *m, struct wp_etcd_lease *lease,
                           enum wp_etcd_queue q);
struct wp_etcd_lease *wp_etcd_lease_first(const struct wp_etcd_mirror *m, enum wp_etcd_queue q);
void wp_etcd_leases_done(struct wp_etcd_mirror *m);
void wp_etcd_lease_poll(struct wp_etcd_mirror *m);
/* A sign of life is wanted: ask about the lease that is over first, unless a question is under
 * way. */
void wp_etcd_lease_probe(struct wp_etcd_mirror *m);
/* The session is over: its questions are asked again in the next one. */
void wp_etcd_lease_poll_stop(struct wp_etcd_mirror *m);

/* --- lapse.c ------------------------------------------------------------------------------- */
/* etcd has spoken, and not only the member for itself. */
void wp_etcd_lapse_heard(struct wp_etcd_mirror *m);
/* The lease is over then, unless etcd says otherwise or is there to say so. */
void wp_etcd_lapse_at(struct wp_etcd_mirror *m, struct wp_etcd_lease *lease, uint64_t when_ns);
/* One that had lapsed lives. False: not now, ask again. */
bool wp_etcd_lapse_undo(struct wp_etcd_mirror *m, struct wp_etcd_lease *lease);
void wp_etcd_lapse_stop(struct wp_etcd_mirror *m);

/* --- turn.c -------------------------------------------------------------------------------- */
/* All records of a lease or a check out of sight, or back, in open batches. -EAGAIN: not now; -ENOMEM: some
 * may be done. *n: how many more. */
int wp_etcd_turn(struct wp_etcd_mirror *m, struct wp_etcd_tied *tied, enum wp_etcd_tied_by by,
                 bool is_out, size_t *n) WP_MUSTCHECK;
void wp_etcd_turn_show(struct wp_etcd_mirror *m);

/* --- check.c ------------------------------------------------------------------------------- */
/* A reference to what the value asks for, NULL when that is nothing, or not to be understood. -ENOMEM. */
int wp_etcd_check_get(struct wp_etcd_mirror *m, const Etcd__KeyValue *kv,
                      const struct wp_etcd_scratch *scratch, const struct wp_etcd_value *v,
                      struct wp_etcd_check **ret) WP_MUSTCHECK;
void wp_etcd_check_put(struct wp_etcd_mirror *m, struct wp_etcd_check *k);
void wp_etcd_checks_init(struct wp_etcd_mirror *m);
/* Main thread. */
void wp_etcd_checks_done(struct wp_etcd_mirror *m);
/* A range has left. False: nothing may be freed yet, ask again. */
bool wp_etcd_checks_stop(struct wp_etcd_mirror *m);

/* --- keep.c -------------------------------------------------------------------------------- */
/* The range's file; without memory it has none. Main thread. */
void wp_etcd_keep_init(struct wp_etcd_range_own *r);
void wp_etcd_keep_done(struct wp_etcd_range_own *r);
/* What is published is another than before. */
void wp_etcd_keep_changed(struct wp_etcd_range_own *r);
/* The mirror is in step, or not any more. */
void wp_etcd_keep_in_step(struct wp_etcd_mirror *m, bool in_step);
/* Times of leases have moved on. */
void wp_etcd_keep_aged(struct wp_etcd_mirror *m);
/* The range leaves. True: its last state is being saved; r->reap fires when that is over. */
bool wp_etcd_keep_last(struct wp_etcd_range_own *r);

/* --- restore.c ----------------------------------------------------------------------------- */
/* Read what an earlier run has saved, if there is something. */
void wp_etcd_restore(struct wp_etcd_range_own *r);
void wp_etcd_restore_stop(struct wp_etcd_range_own *r);
/* A listing begins to come: is the store the one that the saved data is of, and not an older
 * state of it? */
void wp_etcd_restore_compare(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r,
                             const Etcd__Header *h);
/* The range has been loaded. */
void wp_etcd_restore_over(struct wp_etcd_range_own *r);

/* --- report.c ------------------------------------------------------------------------------ */
void wp_etcd_stats_init(struct wp_etcd_mirror *m);
void wp_etcd_stats_drop(struct wp_etcd_mirror *m);
void wp_etcd_stats_server(struct wp_etcd_mirror *m, unsigned at);
void wp_etcd_stats_update(struct wp_etcd_mirror *m);
/* status.c: what is told of the mirror has changed; a change has been shown; the session has failed. */
void wp_etcd_facts_update(struct wp_etcd_mirror *m);
void wp_etcd_facts_changed(struct wp_etcd_mirror *m);
void wp_etcd_facts_failed(struct wp_etcd_mirror *m, unsigned at, int status, const char *message,
                          const char *what);
void wp_etcd_stats_error(struct wp_etcd_mirror *m, unsigned at, int status);
const char *wp_etcd_endpoint_text(const struct wp_etcd_mirror *m);
const char *wp_etcd_reason_text(enum wp_etcd_reason reason);

/* A store counts from 1, and never that far. */
static inline bool wp_etcd_is_revision(int64_t revision)
{
    return revision > 0 && revision < INT64_MAX / 2;
}
static inline uint64_t wp_etcd_ms(uint64_t ms)
{
    return ms * 1000000u;
}
