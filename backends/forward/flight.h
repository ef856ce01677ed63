/* One question on its way to the upstreams, for everybody who asks it meanwhile. A flight belongs
 * to its worker. */
#pragma once
#include "backends/forward/forward.h"

enum { FLIGHT_MSG = 512, FLIGHT_WHY = 256 };

/* A client's query in a flight; in the query's arena. */
struct forward_waiter {
    struct wp_query *q;
    struct forward_flight *flight;
    struct forward_waiter *next, **prev;
};

struct forward_flight {
    struct forward_worker *worker;
    struct forward_stanza *stanza;
    struct forward_flight *next, **prev; /* in its bucket, or in the free list */
    uint64_t hash;
    struct forward_waiter *waiters;
    /* the question as it is sent, from its third octet on what makes two flights the same */
    uint8_t *msg;
    uint32_t len, cap;
    uint16_t name_len;
    bool tcp; /* what the first try of an upstream goes over */
    /* the tries */
    struct wp_up_try x;
    uint64_t deadline_ns, setup_ns;
    struct wp_timer pause;
    unsigned n, at; /* upstreams in the order of this flight; the next one */
    unsigned down;  /* met down in this round */
    unsigned failed, failovers, reasked;
    uint64_t silent; /* a bit for each of `up` that let a try time out */
    unsigned trying; /* index in `up` of the current one */
    bool all_down;   /* this try is a shot in the dark */
    bool held;       /* `up` is held */
    bool starting;   /* serve() is on the stack: nobody is resumed */
    bool over;
    int err; /* of the last failed try */
    char why[FLIGHT_WHY];
    struct wp_upstream *up[FORWARD_UPSTREAMS_MAX];
    uint8_t small[FLIGHT_MSG];
};

/* A loop's own part of an instance. */
struct forward_worker {
    struct forward *forward;
    struct wp_loop *loop;
    int index;
    struct forward_flight **bucket;
    unsigned mask, n_flights;
    struct forward_flight *free;
    unsigned n_free;
};

/* --- flights.c: the table ------------------------------------------------------------------ */
/* The flight that already asks exactly this, or NULL. The message's id and the case of its name
 * do not count. */
struct forward_flight *forward_flight_find(struct forward_worker *w,
                                           const struct forward_stanza *st, uint64_t hash,
                                           const uint8_t *msg, uint32_t len, uint16_t name_len,
                                           bool tcp);
/* A new one in the table, with a copy of the message; NULL: no memory. */
struct forward_flight *forward_flight_new(struct forward_worker *w, struct forward_stanza *st,
                                          uint64_t hash, const uint8_t *msg, uint32_t len,
                                          uint16_t name_len, bool tcp);
void forward_flight_unlink(struct forward_flight *f); /* nobody joins it any more */
void forward_flight_free(struct forward_flight *f);

/* --- try.c: from upstream to upstream ------------------------------------------------------ */
/* Start the first or the next try; the flight may be over when it returns. */
void forward_try(struct forward_flight *f);
/* Give up what runs: nobody waits any more. */
void forward_abandon(struct forward_flight *f);

/* --- flight.c: what becomes of those who wait ---------------------------------------------- */
/* False: the message cannot be taken over; nobody was told. */
bool forward_deliver(struct forward_flight *f, const struct wp_outcome *o);
void forward_deliver_next(struct forward_flight *f); /* `next`: the stanzas behind this one */
void forward_deliver_failure(struct forward_flight *f);
