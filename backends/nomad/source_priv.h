/* The parts of a source: source.c is the registry of them, source_find.c what a question sees,
 * source_ask.c how it has a name read, source_call.c makes requests and judges answers,
 * source_agent.c knows which agent is asked and when none is, source_list.c follows the list of
 * services, source_index.c knows how far what is known explains the index of the table,
 * source_events.c hears of changes, source_bell.c of those that are not listed, source_read.c reads services, source_demand.c keeps those fresh that
 * nobody lists, source_step.c knows whether all that is in step, source_tell.c writes log lines,
 * source_health.c asks for checks, source_report.c counts. Everything is the engine thread's unless it says otherwise. */
#pragma once
#include <pthread.h>
#include "backends/common/backoff.h"
#include "backends/common/http_client.h"
#include "backends/common/state.h"
#include "backends/nomad/build.h"
#include "backends/nomad/health.h"
#include "backends/nomad/items.h"
#include "backends/nomad/keep.h"
#include "backends/nomad/source.h"
#include "backends/nomad/store.h"
#include "waypost/base/arena.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/metric.h"

enum {
    WP_NOMAD_READS = 8,           /* at a time; with list, events, bells and a probe below 16 connections */
    WP_NOMAD_BELLS = 4,           /* namespaces whose changes are waited for beside the list */
    WP_NOMAD_CONNECT_MS = 1500,   /* so that the next agent is asked within 2 s; */
    WP_NOMAD_CONNECT_ONE_MS = 5000, /* there is no other */
    WP_NOMAD_SIGN_MS = 1500,      /* for a first sign of life: the next agent is asked within 2 s */
    WP_NOMAD_READ_MS = 5000,
    WP_NOMAD_WAIT_S = 120,        /* of a blocking query; the agent adds up to a sixteenth */
    WP_NOMAD_WAIT_GRACE_MS = 10000,
    WP_NOMAD_STALE_WAIT_S = 10,   /* the same while there is no leader */
    WP_NOMAD_EACH_MS = 1000,      /* between two lists, two passes */
    WP_NOMAD_STEADY_MS = 1000,    /* a list that waits, and a stream: nothing can have been missed */
    WP_NOMAD_EVENT_MS = 200,      /* an event that belongs to an index comes within this time */
    WP_NOMAD_VERIFY_MS = 300000,  /* everything listed is read again, whatever events say; */
    WP_NOMAD_BUSY_MS = 30000,     /* sooner, when changes came so fast that one may have hidden */
    WP_NOMAD_REFUSED_MS = 30000,  /* 400, 403: nothing will help soon */
    WP_NOMAD_DENIED_MS = 5000,    /* a name of a namespace that may not be read */
    WP_NOMAD_AGAIN_MS = 1000,     /* one answer that makes no sense */
    WP_NOMAD_ODD_MOST = 3,        /* such answers in a row: the agent is at fault */
    WP_NOMAD_BACKOFF_FIRST_MS = 1000,
    WP_NOMAD_BACKOFF_MOST_MS = 30000,
    WP_NOMAD_LEADERLESS_MS = 5000, /* after that any server will do */
    WP_NOMAD_LAG_MS = 10000,      /* a server that is behind is one that was restored after so long */
    WP_NOMAD_HOLD_MS = 300000,    /* a restored server that is empty is not believed for so long */
    WP_NOMAD_LIFE_MS = 5000,      /* how often to look whether the agent is alive, and at files */
    WP_NOMAD_SILENT_MS = 20000,   /* an agent that said nothing for so long is asked for a sign */
    WP_NOMAD_NARROW_MS = 5000,    /* a stream of all namespaces that says nothing for so long is not allowed */
    WP_NOMAD_HEARTBEAT_MS = 75000, /* of the event stream: 30 s */
    WP_NOMAD_FEATURE_MS = 300000, /* what an agent does not have is looked for again */
    WP_NOMAD_DEMAND_MAX = 10000,  /* names that are kept because they are asked for */
    WP_NOMAD_IDLE_S = 60,         /* a name that was not asked for is not kept fresh any more, */
    WP_NOMAD_FORGET_S = 600,      /* and then forgotten */
    WP_NOMAD_TICKETS = 1024,      /* questions that wait */
    WP_NOMAD_ASKED_MAX = 64,      /* names that they wait for */
    WP_NOMAD_EVENTS_KEPT = 64,
    WP_NOMAD_LINE_MAX = 16 << 20, /* octets of one line of the event stream */
    WP_NOMAD_BODY_MAX = 64 << 20,
    WP_NOMAD_REAP_MS = 20,
    WP_NOMAD_TELL_MS = 60000,
};

static inline uint64_t wp_nomad_ms(uint64_t ms)
{
    return ms * 1000000u;
}

/* --- requests ---------------------------------------------------------------------------------- */

enum wp_nomad_verdict {
    WP_NOMAD_GOOD,       /* 200 */
    WP_NOMAD_LACKS,      /* 404, 405: it has no such thing */
    WP_NOMAD_BAD,        /* 400 */
    WP_NOMAD_DENIED,     /* 401, 403 */
    WP_NOMAD_BUSY,       /* 429 */
    WP_NOMAD_LEADERLESS, /* 500 */
    WP_NOMAD_ODD,        /* no answer of Nomad's */
    WP_NOMAD_AWAY,       /* none at all, or 5xx */
    WP_NOMAD_NOMEM,
};

struct wp_nomad_reply {
    enum wp_nomad_verdict verdict;
    bool hung; /* no answer in time */
    uint64_t index; /* 0: it told none */
    const char *body;
    size_t len;
    char why[512]; /* of what is not good: "127.0.0.1:4646: HTTP status 403: Permission denied" */
};

struct wp_nomad_call {
    struct wp_nomad_source_own *own;
    struct wp_httpc_call *http; /* NULL: none runs */
    struct wp_nomad_item *item; /* that is read */
    bool stale, waits;          /* as it was asked for */
    int status;                 /* of one that streams */
};

/* A namespace that the list does not tell of, with names that are asked for. */
struct wp_nomad_bell {
    struct wp_nomad_call call; /* the first member */
    struct wp_engine_timer timer;
    uint64_t index;            /* that is waited on; 0: not known yet */
    uint64_t began_ns, rang_ns, rang_before_ns;
    bool wanted;               /* since the last sweep */
    uint8_t len;               /* 0: free */
    char namespace[WP_NOMAD_NAME_MAX];
};

/* --- questions that wait ----------------------------------------------------------------------- */

enum wp_nomad_ticket_state {
    WP_NOMAD_TICKET_FREE,
    WP_NOMAD_TICKET_ASKED,     /* the engine will answer */
    WP_NOMAD_TICKET_CANCELLED, /* nobody wants to know any more */
    WP_NOMAD_TICKET_ANSWERED,  /* the loop will hear of it */
};

struct wp_nomad_ticket {
    atomic_int state;
    struct wp_nomad_tickets *pool;
    struct wp_nomad_source_own *own;
    struct wp_engine_post post;
    struct wp_mail mail;
    struct wp_loop *loop;
    struct wp_nomad_ask *ask;     /* the loop's; NULL: cancelled */
    struct wp_nomad_ticket *next; /* of the item: the engine's, as what follows */
    struct wp_nomad_ticket *newer, *older;
    struct wp_nomad_item *item;
    uint64_t due_ns;
    uint8_t name_len, namespace_len;
    char name[WP_NOMAD_NAME_MAX + 1], namespace[WP_NOMAD_NAME_MAX + 1];
};
/* Lives until the last mail has been read, which may be after the source. */
struct wp_nomad_tickets {
    atomic_uint refs;
    struct wp_nomad_ticket at[WP_NOMAD_TICKETS];
};

/* --- the source -------------------------------------------------------------------------------- */

/* Something that is not as it should be, from the first failure to the first success. */
struct wp_nomad_trouble {
    uint64_t since_ns, told_ns; /* 0: there is none */
    uint64_t hash;              /* of what was told */
};
enum wp_nomad_troubles {
    WP_NOMAD_OF_AGENTS,
    WP_NOMAD_OF_LIST,
    WP_NOMAD_OF_READS,
    WP_NOMAD_OF_FILTER,
    WP_NOMAD_TROUBLES,
};

enum wp_nomad_reload { /* why everything was read again */
    WP_NOMAD_RELOAD_START,
    WP_NOMAD_RELOAD_INDEX,      /* it moved, and no event told why */
    WP_NOMAD_RELOAD_INDEX_BACK,
    WP_NOMAD_RELOAD_AGENT,      /* another one is asked */
    WP_NOMAD_RELOAD_VERIFY,
    WP_NOMAD_RELOAD_CONFIG,     /* nothing was read: a configuration was loaded, and the source kept */
    WP_NOMAD_RELOAD_TOKEN,      /* it, or a certificate, has changed */
    WP_NOMAD_RELOADS,
};

struct wp_nomad_source_own {
    struct wp_nomad_source s;
    struct wp_nomad_source_own *next; /* by the registry's lock, like refs */
    unsigned refs;
    char *key;              /* of the registry */
    const char *name;       /* of log lines and metrics */
    struct wp_arena words;  /* of wants and name */
    struct wp_nomad_wants wants; /* agents apart: the access has read them */
    const char *filter;     /* "&filter=..." or "" */
    struct wp_nomad_access *access;
    const struct wp_httpc_ops *h;
    uint64_t made_ns, state_key;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct wp_engine_post begin, leave; /* the second may come before the first has run */
    bool gone;              /* by lock: the engine's thread has let go of it */
    char error[256];        /* by lock: the last failure */
    int64_t error_ms;       /* by lock: when; 0: there was none */

    struct wp_nomad_keep *keep; /* NULL: nothing is saved */
    struct wp_nomad_items items;
    struct wp_nomad_build build;
    struct wp_nomad_health *health; /* NULL: not asked for */
    struct wp_nomad_tickets *tickets;
    struct wp_nomad_ticket *oldest, *newest; /* that wait */
    struct wp_arena scratch;                 /* of one request */

    /* the agent */
    unsigned agent;
    atomic_uint agent_told; /* the same, for any thread */
    unsigned n_failed;      /* agents in a row */
    unsigned n_odd;         /* answers in a row that made no sense */
    unsigned generation;    /* of the access, when it was last looked at */
    bool trying;            /* after a failure, before the first word of the agent */
    bool resting;           /* every agent has failed: until the timer rings */
    bool stale;             /* any server will do */
    bool stopped;
    uint64_t heard_ns;      /* the agent's last word */
    uint64_t leaderless_ns; /* since when there is no leader; 0: there is one */
    struct wp_backoff backoff;
    struct wp_engine_timer rest, life, reap, verify;
    struct wp_nomad_call list, events, probe, reads[WP_NOMAD_READS];
    struct wp_nomad_bell bells[WP_NOMAD_BELLS];

    /* the list */
    uint32_t mark;          /* number of the last list */
    uint64_t list_index;    /* of the last list; 0: none, or it is not to be waited on */
    _Atomic uint64_t index; /* the same, for any thread */
    uint64_t listed_ns;     /* when the last one came */
    bool lacks_list, listed; /* listed: once, on this agent */
    bool untrusted_told;
    struct wp_engine_timer list_timer;
    size_t n_listed;        /* names in the last one */
    uint64_t listed_before_ns; /* when the one before came */
    uint64_t back_ns;       /* since when servers tell an index that is too low; 0: they do not */
    bool new_token;         /* since the last list */
    bool new_namespace;     /* listed since the last pass began */

    /* the index of the table */
    uint64_t explained;     /* all changes up to here are known */
    bool by_events;         /* events have told of every change since */
    bool stream_open;
    bool in_pass, pass_again, pass_by_events;
    uint64_t pass_index, pass_ns;
    enum wp_nomad_reload reason;
    size_t pass_left, n_passes;
    struct wp_engine_timer explain, pass_timer, steady;
    uint64_t steady_ns;     /* since when the stream is open and the same list waits */
    uint64_t awaited;       /* the index that an event may yet explain; 0: none */
    struct wp_engine_timer hold;
    atomic_bool held;

    /* events */
    char *line;
    size_t line_len, line_cap;
    bool line_too_long;     /* what comes is passed over to its end */
    uint64_t event_index, event_kept[WP_NOMAD_EVENTS_KEPT];
    unsigned n_events;      /* kept, and where the next one goes */
    unsigned n_since;       /* changes since the index was last explained */
    struct wp_backoff events_backoff;
    struct wp_engine_timer events_timer, narrow_timer;
    bool narrow;            /* the stream is of the one namespace that is listed */

    /* reads */
    unsigned n_reading, reads_max;
    uint64_t filter_bad_ns; /* until then nothing is read */
    struct wp_engine_timer retry, demand, asks;
    uint64_t retry_ns;      /* when it rings; 0: not at all */
    size_t n_asked;         /* names that questions wait for */

    struct wp_nomad_trouble trouble[WP_NOMAD_TROUBLES];
    struct wp_engine_timer stale_timer;
    atomic_bool synced;
    bool stale_told;
    _Atomic int64_t contact_ms; /* Unix time of the last good answer */
    struct wp_series *reloads[WP_NOMAD_RELOADS];
};

/* --- source_call.c ----------------------------------------------------------------------------- */
/* Begin a request. path: "/v1/..." with its parameters. What cannot be begun is told to the agent's part,
 * which rests; false then. */
struct wp_nomad_limits {
    unsigned total_ms, idle_ms;
};
bool wp_nomad_call(struct wp_nomad_call *c, const char *path, const struct wp_nomad_limits *limits,
                   const struct wp_httpc_call_ops *ops);
void wp_nomad_call_drop(struct wp_nomad_call *c);
/* How it ended; c->http is NULL from here on. The agent's part has heard of it. */
void wp_nomad_judge(struct wp_nomad_call *c, const struct wp_httpc_end *end,
                    struct wp_nomad_reply *ret);

/* --- source_agent.c ---------------------------------------------------------------------------- */
void wp_nomad_agent_start(struct wp_nomad_source_own *o);
/* The token may have been replaced: look at once. */
void wp_nomad_agent_denied(struct wp_nomad_source_own *o);
void wp_nomad_agent_stop(struct wp_nomad_source_own *o);
/* It has said something, whatever it was; something good. */
void wp_nomad_agent_lives(struct wp_nomad_source_own *o);
void wp_nomad_agent_serves(struct wp_nomad_source_own *o);
/* An answer that was none. True: another agent is asked now, or none, and every request was dropped;
 * what the caller was about to do will be begun anew. */
bool wp_nomad_agent_failed(struct wp_nomad_source_own *o, const struct wp_nomad_reply *reply);
/* A request could not even be made. */
void wp_nomad_agent_rest(struct wp_nomad_source_own *o, const char *why);
static inline bool wp_nomad_agent_is_ready(const struct wp_nomad_source_own *o)
{
    return !o->trying && !o->resting && !o->stopped;
}

/* --- source_list.c ----------------------------------------------------------------------------- */
void wp_nomad_list_start(struct wp_nomad_source_own *o); /* from index 0 */
void wp_nomad_list_stop(struct wp_nomad_source_own *o);
/* An answer had an index before that of the list, which may wait in vain. */
void wp_nomad_list_doubt(struct wp_nomad_source_own *o);
/* A namespace is not what the list says: names in it are asked for. */
void wp_nomad_uncover(struct wp_nomad_source_own *o, struct wp_nomad_item *namespace);
/* 0 or -ENOMEM. */
int wp_nomad_cover(struct wp_nomad_source_own *o, struct wp_nomad_item *namespace,
                   enum wp_nomad_covered covered) WP_MUSTCHECK;

/* --- source_index.c ---------------------------------------------------------------------------- */
/* The list came, with this index. */
void wp_nomad_index_seen(struct wp_nomad_source_own *o, uint64_t index);
void wp_nomad_index_event(struct wp_nomad_source_own *o, uint64_t index);
void wp_nomad_index_stream(struct wp_nomad_source_own *o, bool open);
void wp_nomad_index_read(struct wp_nomad_source_own *o); /* one item of the pass */
void wp_nomad_index_stop(struct wp_nomad_source_own *o);
/* Read everything again, as soon as it may be. */
void wp_nomad_pass(struct wp_nomad_source_own *o, enum wp_nomad_reload reason);

/* --- source_events.c --------------------------------------------------------------------------- */
void wp_nomad_events_start(struct wp_nomad_source_own *o);
void wp_nomad_events_stop(struct wp_nomad_source_own *o);

/* --- source_read.c ----------------------------------------------------------------------------- */
void wp_nomad_read(struct wp_nomad_source_own *o, struct wp_nomad_item *i, enum wp_nomad_queue q);
void wp_nomad_reads_run(struct wp_nomad_source_own *o);
void wp_nomad_reads_stop(struct wp_nomad_source_own *o); /* what was being read waits again */
void wp_nomad_retry_at(struct wp_nomad_source_own *o, struct wp_nomad_item *i, uint64_t due_ns);
/* The item and what is published of it are gone. */
void wp_nomad_forget(struct wp_nomad_source_own *o, struct wp_nomad_item *i);

/* --- source_demand.c --------------------------------------------------------------------------- */
struct wp_nomad_service *wp_nomad_published(const struct wp_nomad_source_own *o,
                                            const struct wp_nomad_item *i);
/* Room for one more name that is asked for. */
void wp_nomad_demand_room(struct wp_nomad_source_own *o);
/* It is kept because it is asked for. */
void wp_nomad_demand(struct wp_nomad_source_own *o, struct wp_nomad_item *i);
void wp_nomad_demand_stop(struct wp_nomad_source_own *o);
/* Seconds on the loops' clock. */
uint32_t wp_nomad_now_s(const struct wp_nomad_source_own *o);
/* What is published of it is good for so long from now on. */
void wp_nomad_freshen(struct wp_nomad_source_own *o, struct wp_nomad_service *v);

/* Was it asked for lately? It is known, and nothing is under way for it. */
bool wp_nomad_demand_is_asked(const struct wp_nomad_source_own *o, const struct wp_nomad_item *i);

/* --- source_bell.c ----------------------------------------------------------------------------- */
/* A name of the namespace is asked for: changes there are to be heard of. */
void wp_nomad_bell_want(struct wp_nomad_source_own *o, const struct wp_nomad_item *ns);
void wp_nomad_bells_sweep(struct wp_nomad_source_own *o); /* what was not wanted since the last one ends */
void wp_nomad_bells_stop(struct wp_nomad_source_own *o);

/* --- source_ask.c ------------------------------------------------------------------------------ */
int wp_nomad_tickets_new(struct wp_nomad_source_own *o) WP_MUSTCHECK;
void wp_nomad_tickets_unref(struct wp_nomad_tickets *t);
void wp_nomad_answer(struct wp_nomad_source_own *o, struct wp_nomad_item *i); /* who waits for it */
void wp_nomad_answer_all(struct wp_nomad_source_own *o);

/* --- source_step.c ----------------------------------------------------------------------------- */
void wp_nomad_reached(struct wp_nomad_source_own *o);
/* All that is followed is in step; something is not any more, since then. */
void wp_nomad_in_step(struct wp_nomad_source_own *o);
void wp_nomad_lost_step(struct wp_nomad_source_own *o, uint64_t since_ns);
void wp_nomad_step_stop(struct wp_nomad_source_own *o);
void wp_nomad_restored(struct wp_nomad_source_own *o, int64_t age_s);
/* What is published has changed. */
void wp_nomad_changed(struct wp_nomad_source_own *o);

/* --- source_tell.c ----------------------------------------------------------------------------- */
/* Once for each outage and reason, and again each minute. */
void wp_nomad_tell(struct wp_nomad_source_own *o, enum wp_nomad_troubles what, enum wp_level level,
                   const char *fmt, ...) WP_PRINTF(4, 5);
void wp_nomad_tell_over(struct wp_nomad_source_own *o, enum wp_nomad_troubles what,
                        const char *words);

/* --- source_health.c --------------------------------------------------------------------------- */
int wp_nomad_source_health(struct wp_nomad_source_own *o) WP_MUSTCHECK; /* before the engine has it */
void wp_nomad_source_health_stop(struct wp_nomad_source_own *o);

/* --- source_report.c --------------------------------------------------------------------------- */
void wp_nomad_stats_init(struct wp_nomad_source_own *o); /* main thread */
void wp_nomad_stats_show(struct wp_nomad_source_own *o);
void wp_nomad_stats_drop(struct wp_nomad_source_own *o);
void wp_nomad_count_request(const struct wp_nomad_source_own *o, int status, int err);
