/* A worker: one thread, one loop, its pools. Nothing in it is shared. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "waypost/plugin/loop.h"
#include "waypost/plugin/query.h"

struct wp_gen;

/* Owned by its thread. Made by server/router, run by server/main. */
struct wp_worker {
    struct wp_loop *loop;
    int index;
    struct wp_pooled *free;     /* queries ready for use */
    unsigned n_queries, max_queries; /* made; the most there may be */
    uint64_t n_asked; /* questions run, internal ones excepted */
    const struct wp_gen *gen; /* in service here; NULL: none, before and after */
    unsigned n_waiting, max_waiting; /* queries that wait for somebody; past the limit they are
                                        cancelled, so that those that need not wait go on */
    void *big_free;             /* 64 KiB reply buffers ready for use */
    unsigned n_big;
    struct wp_listener *listeners; /* open on this worker */
    struct wp_stream_pool *stream; /* server/listeners: buffers its connections share, or NULL */
    struct wp_http_pool *http;     /* server/listeners: memory of its HTTP sessions, or NULL */
};
int wp_worker_init(struct wp_worker *w, struct wp_loop *loop, unsigned max_waiting) WP_MUSTCHECK;
void wp_worker_done(struct wp_worker *w); /* no query in flight */

/* --- server/loop ------------------------------------------------------------------------- */
int wp_loop_new(int index, struct wp_loop **ret) WP_MUSTCHECK;
void wp_loop_free(struct wp_loop *loop);
/* Runs until wp_loop_stop; registers itself with wp_grace. Blocks signals of the thread. */
void wp_loop_run(struct wp_loop *loop);
void wp_loop_stop(struct wp_loop *loop); /* any thread */
/* One turn with a limit on waiting, for tests: -1 as long as it takes. */
void wp_loop_turn(struct wp_loop *loop, int timeout_ms);
/* Tests: time stands still and is moved by hand, forwards after the first call. Unix time is
 * then WP_LOOP_TEST_UNIX plus now. */
enum { WP_LOOP_TEST_UNIX = 1700000000 };
void wp_loop_set_now(struct wp_loop *loop, uint64_t now_ns);
void *wp_loop_user(const struct wp_loop *loop); /* the worker of a worker's loop, else NULL */
void wp_loop_set_user(struct wp_loop *loop, void *user);

/* --- server/router: queries --------------------------------------------------------------- */

/* A pooled query with its own request and reply buffers and arena. */
enum { WP_QUERY_IN = 4096, WP_QUERY_OUT = 4608, WP_REPLY_SPARE = 512 };
struct wp_pooled {
    struct wp_query q;          /* first: a wp_query * is its wp_pooled * */
    struct wp_pooled *next;     /* free list */
    struct wp_arena arena;
    uint8_t *big;               /* 64 KiB reply buffer taken from the worker, or NULL */
    struct wp_gen *gen;         /* generation it counts in while it waits, or NULL */
    struct wp_worker *worker;
    wp_lookup_fn *lookup_fn;    /* internal look-ups and spawned queries */
    void *lookup_arg;
    struct wp_query *first_child, *next_sibling; /* internal look-ups that run for it */
    struct wp_task task;        /* start of a spawned query, end of one too many */
    bool counted;               /* in the worker's n_waiting */
    uint32_t serial;            /* counts the uses of this memory */
    uint8_t in[WP_QUERY_IN];    /* for listeners that read into it (UDP) or must copy */
    uint8_t out[WP_QUERY_OUT];
};
static inline uint8_t *wp_query_in(struct wp_query *q)
{
    return ((struct wp_pooled *)q)->in;
}
/* From the pool, or the heap up to the worker's limit of queries in flight; NULL past it. All
 * per-query fields are reset; loop, worker and arena are set; reply.buf is `out`. */
struct wp_query *wp_query_get(struct wp_worker *w);
void wp_query_put(struct wp_query *q);
/* Reset the per-query fields of one that is reused in place. */
void wp_query_reset(struct wp_query *q);

/* Run it: guard, route, chain, finish. DONE: q->out/out_len are final (0: send nothing).
 * WAIT: q->done(q) is called later, exactly once, not before this returns; by then wire must
 * still be valid. The listener sets before: wire, wire_len, transport, stream, addresses,
 * route, start_ns, done, owner; and may point reply.buf/cap at its own memory
 * (cap >= 512 + WP_REPLY_SPARE): on WAIT the router moves to q's own buffer. */
int wp_query_run(struct wp_query *q);
/* Others run first: bring near what this one will look at. The same is set before as for
 * wp_query_run, which still must follow (or wp_query_put). Step 0 reads the message and finds its
 * block, step 1 comes after it and is best two or three questions later. */
void wp_query_prefetch(struct wp_query *q, unsigned step);
/* After WAIT with q->more set, on a listener that set q->many: the next message. The listener points
 * reply.buf/cap at its own memory, WP_MSG_MAX + WP_REPLY_SPARE octets. NEXT: more follow; DONE: it
 * was the last one, and wp_query_resume(q, DONE) is the listener's to call when it has taken the
 * message up; q->out/out_len are it, out_len 0: none yet, ask again soon. Negative: break the
 * connection off (and cancel the query, as always). done() while q->more is still set says the same:
 * the rest of the messages will not come. */
int wp_query_more(struct wp_query *q) WP_MUSTCHECK;
/* The client is gone: done(q) still follows. */
void wp_query_cancel(struct wp_query *q);
