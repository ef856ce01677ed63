/* The leases of a mirror: by number, and by when to ask about them next. */
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

/* --- the queue: a binary heap, each lease knows its place ------------------------------------- */

static void place(struct wp_etcd_leases *l, size_t at, struct wp_etcd_lease *lease)
{
    l->heap[at] = lease;
    lease->heap_at = (uint32_t)at;
}

static void sift(struct wp_etcd_leases *l, size_t at)
{
    struct wp_etcd_lease *lease = l->heap[at];

    while (at > 0 && l->heap[(at - 1) / 2]->due_ns > lease->due_ns) {
        place(l, at, l->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < l->n_heap && l->heap[child + 1]->due_ns < l->heap[child]->due_ns)
            child++;
        if (child >= l->n_heap || l->heap[child]->due_ns >= lease->due_ns)
            break;
        place(l, at, l->heap[child]);
        at = child;
    }
    place(l, at, lease);
}

static void unqueue(struct wp_etcd_leases *l, struct wp_etcd_lease *lease)
{
    size_t at = lease->heap_at;

    if (lease->heap_at == NOT_QUEUED)
        return;
    lease->heap_at = NOT_QUEUED;
    l->n_heap--;
    if (at == l->n_heap)
        return;
    place(l, at, l->heap[l->n_heap]);
    sift(l, at);
}

void wp_etcd_lease_due(struct wp_etcd_mirror *m, struct wp_etcd_lease *lease, uint64_t due_ns)
{
    struct wp_etcd_leases *l = &m->leases;

    lease->due_ns = due_ns;
    if (lease->heap_at == NOT_QUEUED)
        place(l, l->n_heap++, lease); /* there is room for every lease */
    sift(l, lease->heap_at);
}

struct wp_etcd_lease *wp_etcd_lease_next_due(struct wp_etcd_mirror *m, uint64_t now_ns)
{
    struct wp_etcd_lease *lease = m->leases.n_heap > 0 ? m->leases.heap[0] : NULL;

    if (lease == NULL || lease->due_ns > now_ns)
        return NULL;
    unqueue(&m->leases, lease);
    return lease;
}

static int reserve(struct wp_etcd_leases *l)
{
    if (l->n + 1 > l->cap_heap) {
        size_t cap = l->cap_heap == 0 ? BUCKETS_MIN : 2 * l->cap_heap;
        struct wp_etcd_lease **heap = realloc(l->heap, cap * sizeof(struct wp_etcd_lease *));
        if (heap == NULL)
            return -ENOMEM;
        l->heap = heap;
        l->cap_heap = cap;
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
    lease->heap_at = NOT_QUEUED;
    b = &l->buckets[bucket_of(l, id)];
    lease->next = *b;
    *b = lease;
    l->n++;
    wp_etcd_lease_due(m, lease, 0); /* new: ask at once */
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
    unqueue(l, lease);
    l->n--;
    free(lease);
}

void wp_etcd_leases_done(struct wp_etcd_mirror *m)
{
    free(m->leases.buckets);
    free(m->leases.heap);
    m->leases = (struct wp_etcd_leases){0};
}
