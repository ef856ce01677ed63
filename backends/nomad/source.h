/* One Nomad region as the process knows it: its agents, what is followed there, and the services that came
 * of it. Shared by every block that names the same agents with the same terms; lives as long as somebody holds
 * it, and so survives a reload. All its work is done on the HTTP engine's thread; a question reads.
 *
 * A name is known in one of three ways. Of a namespace that the list of services covers and is believed
 * about (`covered`) everything is known: what is not there does not exist. Any other name is read when it is
 * first asked for, and then kept fresh while it is asked for; that there is none is remembered for a
 * while, too. What is not known can be asked for: wp_nomad_ask. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/nomad/access.h"
#include "backends/nomad/service.h"
#include "waypost/base/err.h"
#include "waypost/plugin/query.h"

enum wp_nomad_stale { /* `stale` of reads */
    WP_NOMAD_STALE_LEADERLESS, /* when there has been no leader for 5 s */
    WP_NOMAD_STALE_ALWAYS,     /* any server answers */
    WP_NOMAD_STALE_NEVER,
};

/* What makes one source different from another. Words are copied. */
struct wp_nomad_wants {
    struct wp_nomad_agents agents;
    const char *filter; /* passed on, or NULL */
    enum wp_nomad_stale stale;
    uint32_t fresh_s;   /* names that are not covered are read again after so long while they are asked for */
    uint32_t absent_s;  /* that there is none is remembered for so long */
    bool tags;          /* keep them: `tags` */
    bool weights;       /* priority and weight from tags */
    bool health;        /* ask for the checks of allocations */
    int64_t health_interval_ns;
    const char *state_dir; /* NULL: nothing is saved */
};

struct wp_nomad_source_own; /* source_priv.h */
struct wp_nomad_store;      /* store.h */
struct wp_nomad_source {
    struct wp_nomad_store *store;
    atomic_bool away; /* every agent has been tried, and none answers */
    atomic_bool reached; /* an agent has answered once, or saved data is there; it stays */
    /* When the data was last in step, on the loops' clock (wp_loop_now); 0: it is. */
    _Atomic uint64_t behind_since_ns;
    struct wp_nomad_source_own *own;
};

enum { WP_NOMAD_STALE_S = 30 }; /* out of step for longer: answers say so (EDE 3) */
enum { WP_NOMAD_WHY = 256 };

/* Main thread. 0, -ENOMEM; WP_ECONFIG (files or addresses that cannot be used), WP_EUNSUPPORTED (no HTTP
 * module), with why. Following begins at once; nothing waits for it. */
int wp_nomad_source_get(const struct wp_nomad_wants *wants, char why[WP_NOMAD_WHY],
                        struct wp_nomad_source **ret) WP_MUSTCHECK;
/* No query reads it or waits for it any more. Main thread; waits until it is gone. Accepts NULL. */
void wp_nomad_source_put(struct wp_nomad_source *s);

/* --- a question: loop threads ------------------------------------------------------------------ */

struct wp_nomad_key {
    uint64_t hash; /* wp_nomad_hash */
    const char *name, *namespace; /* lower case; not NUL-terminated */
    uint8_t name_len, namespace_len;
};
enum wp_nomad_known {
    WP_NOMAD_THERE,   /* it has instances */
    WP_NOMAD_ABSENT,  /* it is known that there is none */
    WP_NOMAD_UNKNOWN, /* wp_nomad_ask may find out */
};
/* *ret_service: only when it is THERE; valid until the end of the loop's turn. With q all that the finding hangs
 * on, wp_nomad_state_key included, is recorded first (wp_query_depends), and what is kept because it is asked
 * for is kept on. One probe; no lock, no allocation. */
enum wp_nomad_known wp_nomad_find(const struct wp_nomad_source *s, const struct wp_nomad_key *k,
                                  struct wp_query *q, const struct wp_nomad_service **ret_service);
/* Bring near what wp_nomad_find will look at: step 0 the slot, step 1 the service. */
void wp_nomad_prefetch(const struct wp_nomad_source *s, uint64_t hash, unsigned step);

/* Have an UNKNOWN name read. Questions for one name share one request; each ends within
 * WP_NOMAD_ASK_MS. The caller embeds `struct wp_nomad_ask` in what lives as long as the query (its arena); done() is
 * called once, on the loop thread of the query, unless it was cancelled before: then look with wp_nomad_find
 * again; still UNKNOWN means that no agent could tell. Nothing is called back before this returns.
 * WP_EUNREACHABLE: no agent can be reached now, and it has been tried: the answer is SERVFAIL at once. WP_ELIMIT: too
 * many wait. */
enum { WP_NOMAD_ASK_MS = 2000 };
struct wp_nomad_ask {
    void (*done)(struct wp_nomad_ask *a);
    struct wp_loop *loop; /* of the query */
    void *own;            /* the source's */
    struct wp_mail *mail; /* the source's */
};
int wp_nomad_ask(struct wp_nomad_source *s, const struct wp_nomad_key *k, struct wp_nomad_ask *a) WP_MUSTCHECK;
void wp_nomad_ask_cancel(struct wp_nomad_source *s, struct wp_nomad_ask *a);

/* Does the source know this namespace (for the label of a metric)? */
bool wp_nomad_has_namespace(const struct wp_nomad_source *s, const char *namespace, size_t len);

/* Seconds since the data was last in step with the agents; 0 while it is. Any thread. */
static inline uint64_t wp_nomad_behind_s(const struct wp_nomad_source *s, uint64_t now_ns)
{
    uint64_t since = atomic_load_explicit(&((struct wp_nomad_source *)(uintptr_t)s)->behind_since_ns,
                                          memory_order_relaxed);

    return since == 0 || now_ns <= since ? 0 : (now_ns - since) / 1000000000u;
}
/* Key of wp_changed that moves when the source becomes stale or stops being it, and when a namespace
 * becomes covered. */
uint64_t wp_nomad_state_key(const struct wp_nomad_source *s);

/* For `waypost status` and metrics; any thread. */
struct wp_report;
void wp_nomad_source_report(struct wp_nomad_source *s, struct wp_report *r);
