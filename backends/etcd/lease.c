/* The leases of a mirror: by number, by when to ask about them next, by when they are over. */
#include "backends/etcd/lease.h"

#include <errno.h>
#include <stdlib.h>

#include "backends/etcd/mirror_priv.h"
#include "waypost/base/hash.h"

enum { NOT_QUEUED = UINT32_MAX, BUCKETS_MIN = 64 };

static size_t bucket_of(const struct wp_etcd_leases *l, int64_t id)
{
    return (size_t)wp_hash_mix((uint64_t)id, 1) & l->mask;
}

struct wp_etcd_lease *wp_etcd_lease_find(struct wp_etcd_mirror *m, int64_t id)
{
    struct wp_etcd_lease *lease =
        m->leases.n > 0 ? m->leases.buckets[bucket_of(&m->leases, id)] : NULL;

    while (lease != NULL && lease->id != id)
        lease = lease->next;
    return lease;
}

static int grow_buckets(struct wp_etcd_leases *l)
{
    size_t n = l->buckets == NULL ? BUCKETS_MIN : 2 * (l->mask + 1),
           old_n = l->buckets == NULL ? 0 : l->mask + 1;
    struct wp_etcd_lease **old = l->buckets, **buckets = calloc(n, sizeof(struct wp_etcd_lease *));

    if (buckets == NULL)
        return -ENOMEM;
    l->buckets = buckets;
    l->mask = n - 1;
    for (size_t i = 0; i < old_n; i++) {
        for (struct wp_etcd_lease *lease = old[i], *next; lease != NULL; lease = next) {
            struct wp_etcd_lease **b = &buckets[bucket_of(l, lease->id)];
            next = lease->next;
            lease->next = *b;
            *b = lease;
        }
    }
    free(old);
    return 0;
}

/* --- the queues: binary heaps, each lease knows its places ------------------------------------ */

static uint64_t when(const struct wp_etcd_heap *h, size_t at, enum wp_etcd_queue q)
{
    return h->at[at]->queued[q].when_ns;
}

static void place(struct wp_etcd_heap *h, size_t at, struct wp_etcd_lease *lease,
                  enum wp_etcd_queue q)
{
    h->at[at] = lease;
    lease->queued[q].at = (uint32_t)at;
}

static void sift(struct wp_etcd_heap *h, size_t at, enum wp_etcd_queue q)
{
    struct wp_etcd_lease *lease = h->at[at];
    uint64_t own = lease->queued[q].when_ns;

    while (at > 0 && when(h, (at - 1) / 2, q) > own) {
        place(h, at, h->at[(at - 1) / 2], q);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < h->n && when(h, child + 1, q) < when(h, child, q))
            child++;
        if (child >= h->n || when(h, child, q) >= own)
            break;
        place(h, at, h->at[child], q);
        at = child;
    }
    place(h, at, lease, q);
}

void wp_etcd_lease_unqueue(struct wp_etcd_mirror *m, struct wp_etcd_lease *lease,
                           enum wp_etcd_queue q)
{
    struct wp_etcd_heap *h = &m->leases.heap[q];
    size_t at = lease->queued[q].at;

    if (at == NOT_QUEUED)
        return;
    lease->queued[q].at = NOT_QUEUED;
    h->n--;
    if (at == h->n)
        return;
    place(h, at, h->at[h->n], q);
    sift(h, at, q);
}

void wp_etcd_lease_queue(struct wp_etcd_mirror *m, struct wp_etcd_lease *lease,
                         enum wp_etcd_queue q, uint64_t when_ns)
{
    struct wp_etcd_heap *h = &m->leases.heap[q];

    lease->queued[q].when_ns = when_ns;
    if (lease->queued[q].at == NOT_QUEUED)
        place(h, h->n++, lease, q); /* there is room for every lease */
    sift(h, lease->queued[q].at, q);
}

struct wp_etcd_lease *wp_etcd_lease_first(const struct wp_etcd_mirror *m, enum wp_etcd_queue q)
{
    const struct wp_etcd_heap *h = &m->leases.heap[q];

    return h->n > 0 ? h->at[0] : NULL;
}

static int reserve(struct wp_etcd_leases *l)
{
    for (unsigned q = 0; q < WP_ETCD_QUEUES; q++) {
        struct wp_etcd_heap *h = &l->heap[q];
        size_t cap = h->cap == 0 ? BUCKETS_MIN : 2 * h->cap;
        struct wp_etcd_lease **at;
        if (l->n < h->cap)
            continue;
        at = realloc(h->at, cap * sizeof(struct wp_etcd_lease *));
        if (at == NULL)
            return -ENOMEM;
        h->at = at;
        h->cap = cap;
    }
    return l->buckets == NULL || l->n > l->mask ? grow_buckets(l) : 0;
}

struct wp_etcd_lease *wp_etcd_lease_get(struct wp_etcd_mirror *m, int64_t id)
{
    struct wp_etcd_leases *l = &m->leases;
    struct wp_etcd_lease *lease = wp_etcd_lease_find(m, id), **b;

    if (lease != NULL) {
        lease->refs++;
        return lease;
    }
    if (reserve(l) < 0)
        return NULL;
    lease = calloc(1, sizeof(*lease));
    if (lease == NULL)
        return NULL;
    lease->id = id;
    lease->refs = 1;
    for (unsigned q = 0; q < WP_ETCD_QUEUES; q++)
        lease->queued[q].at = NOT_QUEUED;
    b = &l->buckets[bucket_of(l, id)];
    lease->next = *b;
    *b = lease;
    l->n++;
    wp_etcd_lease_queue(m, lease, WP_ETCD_QUEUE_ASK, 0); /* new: ask at once */
    return lease;
}

void wp_etcd_lease_put(struct wp_etcd_mirror *m, struct wp_etcd_lease *lease)
{
    struct wp_etcd_leases *l = &m->leases;
    struct wp_etcd_lease **b;

    if (--lease->refs > 0)
        return;
    b = &l->buckets[bucket_of(l, lease->id)];
    while (*b != lease)
        b = &(*b)->next;
    *b = lease->next;
    for (unsigned q = 0; q < WP_ETCD_QUEUES; q++)
        wp_etcd_lease_unqueue(m, lease, (enum wp_etcd_queue)q);
    l->n--;
    free(lease);
}

void wp_etcd_leases_done(struct wp_etcd_mirror *m)
{
    free(m->leases.buckets);
    for (unsigned q = 0; q < WP_ETCD_QUEUES; q++)
        free(m->leases.heap[q].at);
    m->leases = (struct wp_etcd_leases){0};
}
