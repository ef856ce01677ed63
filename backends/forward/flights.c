/* The flights of a worker by what they ask. A forged answer has one flight to hit, however often
 * its question is asked (CVE-2023-30464). */
#include <stdlib.h>
#include <string.h>

#include "backends/forward/flight.h"
#include "waypost/dns/msg.h"

enum { BUCKETS_MIN = 256, FREE_MAX = 1024 };

static bool same(const struct forward_flight *f, const uint8_t *msg, uint32_t len,
                 uint16_t name_len)
{
    size_t tail = WP_HEADER_LEN + (size_t)name_len;

    return f->len == len && f->name_len == name_len &&
           memcmp(f->msg + 2, msg + 2, WP_HEADER_LEN - 2) == 0 &&
           wp_name_equal(f->msg + WP_HEADER_LEN, msg + WP_HEADER_LEN) &&
           memcmp(f->msg + tail, msg + tail, len - tail) == 0;
}

struct forward_flight *forward_flight_find(struct forward_worker *w,
                                           const struct forward_stanza *st, uint64_t hash,
                                           const uint8_t *msg, uint32_t len, uint16_t name_len,
                                           bool tcp)
{
    for (struct forward_flight *f = w->bucket[hash & w->mask]; f != NULL; f = f->next) {
        if (f->hash == hash && f->stanza == st && f->tcp == tcp && same(f, msg, len, name_len))
            return f;
    }
    return NULL;
}

static void link_flight(struct forward_worker *w, struct forward_flight *f)
{
    struct forward_flight **at = &w->bucket[f->hash & w->mask];

    f->next = *at;
    f->prev = at;
    if (f->next != NULL)
        f->next->prev = &f->next;
    *at = f;
}

/* Twice the buckets; without memory the chains just get longer. */
static void grow(struct forward_worker *w)
{
    unsigned n = (w->mask + 1) * 2;
    struct forward_flight **bucket = calloc(n, sizeof(struct forward_flight *));
    struct forward_flight **old = w->bucket;
    unsigned old_n = w->mask + 1;

    if (bucket == NULL)
        return;
    w->bucket = bucket;
    w->mask = n - 1;
    for (unsigned i = 0; i < old_n; i++) {
        while (old[i] != NULL) {
            struct forward_flight *f = old[i];
            old[i] = f->next;
            link_flight(w, f);
        }
    }
    free(old);
}

static struct forward_flight *take(struct forward_worker *w)
{
    struct forward_flight *f = w->free;

    if (f == NULL)
        return calloc(1, sizeof(*f));
    w->free = f->next;
    w->n_free--;
    return f;
}

/* Only what is small is cleared: the rest is written before it is read. */
static void reset(struct forward_flight *f)
{
    f->waiters = NULL;
    f->n = f->at = f->down = f->failed = f->failovers = f->reasked = f->trying = 0;
    f->silent = 0;
    f->all_down = f->held = f->starting = f->over = false;
    f->err = 0;
    f->why[0] = '\0';
}

struct forward_flight *forward_flight_new(struct forward_worker *w, struct forward_stanza *st,
                                          uint64_t hash, const uint8_t *msg, uint32_t len,
                                          uint16_t name_len, bool tcp)
{
    struct forward_flight *f = take(w);

    if (f == NULL)
        return NULL;
    reset(f);
    f->msg = f->small;
    if (len > sizeof(f->small))
        f->msg = malloc(len);
    if (f->msg == NULL) {
        free(f);
        return NULL;
    }
    memcpy(f->msg, msg, len);
    f->worker = w;
    f->stanza = st;
    f->hash = hash;
    f->len = len;
    f->name_len = name_len;
    f->tcp = tcp;
    if (++w->n_flights > w->mask)
        grow(w);
    link_flight(w, f);
    return f;
}

void forward_flight_unlink(struct forward_flight *f)
{
    if (f->prev == NULL)
        return;
    *f->prev = f->next;
    if (f->next != NULL)
        f->next->prev = f->prev;
    f->prev = NULL;
    f->worker->n_flights--;
}

void forward_flight_free(struct forward_flight *f)
{
    struct forward_worker *w = f->worker;

    forward_flight_unlink(f);
    if (f->msg != f->small)
        free(f->msg);
    if (w->n_free >= FREE_MAX) {
        free(f);
        return;
    }
    f->next = w->free;
    w->free = f;
    w->n_free++;
}

/* --- workers ------------------------------------------------------------------------------- */

int forward_workers_new(struct forward *f)
{
    int n = f->env->n_workers;

    f->workers = calloc((size_t)n, sizeof(struct forward_worker *));
    if (f->workers == NULL)
        return -ENOMEM;
    for (int i = 0; i < n; i++) {
        struct forward_worker *w = calloc(1, sizeof(*w));

        f->workers[i] = w;
        if (w == NULL)
            return -ENOMEM;
        w->forward = f;
        w->loop = f->env->workers[i];
        w->index = i;
        w->mask = BUCKETS_MIN - 1;
        w->bucket = calloc(BUCKETS_MIN, sizeof(struct forward_flight *));
        if (w->bucket == NULL)
            return -ENOMEM;
    }
    return 0;
}

void forward_workers_free(struct forward *f)
{
    for (int i = 0; f->workers != NULL && i < f->env->n_workers; i++) {
        struct forward_worker *w = f->workers[i];

        if (w == NULL)
            continue;
        while (w->free != NULL) {
            struct forward_flight *one = w->free;
            w->free = one->next;
            free(one);
        }
        free(w->bucket);
        free(w);
    }
    free(f->workers);
    f->workers = NULL;
}
