#include "server/plugins/cache/store.h"

#include <stdlib.h>

int cache_store_init(struct cache_store *s, int64_t capacity)
{
    unsigned buckets = 4;

    *s = (struct cache_store){0};
    s->cap = capacity / CACHE_SHARDS > CACHE_SHARD_MIN ? (unsigned)(capacity / CACHE_SHARDS)
                                                       : CACHE_SHARD_MIN;
    while (buckets < s->cap)
        buckets *= 2;
    s->mask = buckets - 1;
    for (unsigned i = 0; i < CACHE_SHARDS; i++)
        pthread_mutex_init(&s->shard[i].lock, NULL);
    /* buckets come with the first item of a shard: an empty cache costs no memory */
    return 0;
}

void cache_store_done(struct cache_store *s)
{
    for (unsigned i = 0; i < CACHE_SHARDS; i++) {
        struct cache_shard *h = &s->shard[i];

        for (unsigned k = 0; k < h->n; k++)
            free(h->items[k]);
        free(h->items);
        free(h->buckets);
        pthread_mutex_destroy(&h->lock);
    }
}

uint64_t cache_key(const struct wp_query *q)
{
    uint64_t more = (uint64_t)q->msg.qtype << 32 | (uint64_t)q->msg.qclass << 16 |
                    (unsigned)(q->msg.edns.present && q->msg.edns.dnssec_ok) << 1 |
                    ((q->msg.flags & WP_FLAG_CD) != 0);

    return wp_hash_mix(q->msg.qname.suffix[0], more);
}

static bool is_for(const struct cache_item *i, const struct wp_query *q, uint64_t key)
{
    return i->hash == key && i->qtype == q->msg.qtype && i->qclass == q->msg.qclass &&
           i->dnssec_ok == (q->msg.edns.present && q->msg.edns.dnssec_ok) &&
           i->checking_disabled == ((q->msg.flags & WP_FLAG_CD) != 0) &&
           wp_qname_is(&q->msg.qname, cache_item_name(i), i->name_len);
}

void cache_store_prefetch(const struct cache_store *s, uint64_t key, unsigned step)
{
    _Atomic(struct cache_item *) *buckets =
        __atomic_load_n(&s->shard[key >> 56].buckets, __ATOMIC_ACQUIRE);

    if (buckets == NULL)
        return;
    if (step == 0)
        __builtin_prefetch(&buckets[key & s->mask]);
    else
        __builtin_prefetch(atomic_load_explicit(&buckets[key & s->mask], memory_order_acquire));
}

struct cache_item *cache_store_find(const struct cache_store *s, const struct wp_query *q,
                                    uint64_t key)
{
    const struct cache_shard *h = &s->shard[key >> 56];
    _Atomic(struct cache_item *) *buckets = __atomic_load_n(&h->buckets, __ATOMIC_ACQUIRE);
    struct cache_item *i;

    if (buckets == NULL)
        return NULL;
    i = atomic_load_explicit(&buckets[key & s->mask], memory_order_acquire);
    while (i != NULL && !is_for(i, q, key))
        i = atomic_load_explicit(&i->next, memory_order_acquire);
    return i;
}

static void free_item(struct wp_grace_item *g)
{
    free(g);
}

/* Out of its chain and list; readers may still be on it. */
static void take_out(struct cache_store *s, struct cache_shard *h, struct cache_item *i)
{
    _Atomic(struct cache_item *) *at = &h->buckets[i->hash & s->mask];
    struct cache_item *cur = atomic_load_explicit(at, memory_order_relaxed);

    while (cur != i) {
        at = &cur->next;
        cur = atomic_load_explicit(at, memory_order_relaxed);
    }
    atomic_store_explicit(at, atomic_load_explicit(&i->next, memory_order_relaxed),
                          memory_order_release);
    h->items[i->at] = h->items[--h->n];
    h->items[i->at]->at = i->at;
    atomic_fetch_sub_explicit(&s->n_items, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->n_octets, cache_item_octets(i), memory_order_relaxed);
    wp_grace_retire(&i->grace, free_item);
}

static bool same_key(const struct cache_item *a, const struct cache_item *b)
{
    return a->hash == b->hash && a->qtype == b->qtype && a->qclass == b->qclass &&
           a->dnssec_ok == b->dnssec_ok && a->checking_disabled == b->checking_disabled &&
           a->name_len == b->name_len &&
           memcmp(cache_item_name(a), cache_item_name(b), a->name_len) == 0;
}

static bool ready_shard(struct cache_store *s, struct cache_shard *h)
{
    if (h->items == NULL)
        h->items = calloc(s->cap, sizeof(*h->items));
    if (h->items != NULL && h->buckets == NULL)
        __atomic_store_n(&h->buckets, calloc((size_t)s->mask + 1, sizeof(*h->buckets)),
                         __ATOMIC_RELEASE);
    return h->items != NULL && h->buckets != NULL;
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

bool cache_store_put(struct cache_store *s, struct cache_item *item)
{
    struct cache_shard *h = &s->shard[item->hash >> 56];
    bool evicted = false;
    struct cache_item *old, *first;

    pthread_mutex_lock(&h->lock);
    if (!ready_shard(s, h)) {
        pthread_mutex_unlock(&h->lock);
        free(item);
        return false;
    }
    old = atomic_load_explicit(&h->buckets[item->hash & s->mask], memory_order_relaxed);
    while (old != NULL && !same_key(old, item))
        old = atomic_load_explicit(&old->next, memory_order_relaxed);
    if (old != NULL) {
        take_out(s, h, old);
    } else if (h->n == s->cap) {
        take_out(s, h, h->items[next_random(&h->seed) % h->n]);
        evicted = true;
    }
    first = atomic_load_explicit(&h->buckets[item->hash & s->mask], memory_order_relaxed);
    atomic_store_explicit(&item->next, first, memory_order_relaxed);
    item->at = h->n;
    h->items[h->n++] = item;
    atomic_store_explicit(&h->buckets[item->hash & s->mask], item, memory_order_release);
    atomic_fetch_add_explicit(&s->n_items, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->n_octets, cache_item_octets(item), memory_order_relaxed);
    pthread_mutex_unlock(&h->lock);
    return evicted;
}
