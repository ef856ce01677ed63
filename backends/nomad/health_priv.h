/* health.c knows the allocations and what their checks say; health_poll.c asks, in time. */
#pragma once
#include <stdatomic.h>
#include "backends/nomad/health.h"
#include "waypost/base/arena.h"

/* A service of an allocation. */
struct wp_nomad_checked {
    struct wp_nomad_checked *next;
    bool fails, fails_now; /* now: in the answer that is being read */
    uint8_t len;
    char name[];
};

struct wp_nomad_alloc {
    struct wp_nomad_alloc *chain; /* of the table */
    struct wp_nomad_checked *services;
    uint64_t hash;
    uint64_t due_ns;  /* when it is asked next */
    uint64_t idle_ns; /* how long it has been asked without having been seen */
    size_t at;        /* in the heap; SIZE_MAX: it is being asked */
    uint8_t n_empty;  /* answers in a row without checks, up to WP_NOMAD_CHECKS_NEW */
    uint8_t n_silent; /* requests in a row without an answer, up to 8 */
    bool has_checks;
    uint8_t id_len, namespace_len;
    char text[]; /* ID, namespace */
};

struct wp_nomad_checks_call {
    struct wp_nomad_health *health;
    struct wp_httpc_call *http;   /* NULL: none runs */
    struct wp_nomad_alloc *alloc; /* that is asked */
};

struct wp_nomad_health {
    struct wp_nomad_health_config c;
    struct wp_nomad_alloc **buckets;
    size_t mask;
    _Atomic size_t n, n_with_checks, n_failing; /* any thread may look */
    struct wp_nomad_alloc **heap; /* those that wait, the one that is due first in front */
    size_t n_heap;
    struct wp_nomad_checks_call calls[WP_NOMAD_CHECKS_FLYING];
    unsigned n_flying;
    struct wp_engine_timer timer;
    struct wp_arena scratch; /* of one request */
    uint64_t next_ns; /* no request begins before */
    uint64_t told_ns; /* when a refusal was logged; 0: never */
    bool full_told;
};

/* --- health_heap.c --------------------------------------------------------------------------- */
/* There is room for all that the table holds. */
void wp_nomad_heap_push(struct wp_nomad_health *h, struct wp_nomad_alloc *a);
void wp_nomad_heap_remove(struct wp_nomad_health *h, struct wp_nomad_alloc *a);

/* --- health.c -------------------------------------------------------------------------------- */
/* What the answer says of its checks; 0, or an error with why and nothing has changed. */
int wp_nomad_alloc_checked(struct wp_nomad_health *h, struct wp_nomad_alloc *a, const char *text,
                           size_t len, char why[256]) WP_MUSTCHECK;
/* Nothing is known of its checks any more. */
void wp_nomad_alloc_unknown(struct wp_nomad_health *h, struct wp_nomad_alloc *a);
/* It is not in the heap. */
void wp_nomad_alloc_forget(struct wp_nomad_health *h, struct wp_nomad_alloc *a);

/* --- health_poll.c --------------------------------------------------------------------------- */
void wp_nomad_health_run(struct wp_nomad_health *h); /* begin what is due, set the timer */
void wp_nomad_health_wake(struct wp_nomad_health *h); /* something may be due sooner: set the timer */
