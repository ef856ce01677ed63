/* The shared store of replies: readers on any worker take no lock, an insert takes its shard's.
 * Entries are immutable but for their counters and live until a grace period after they left. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "waypost/base/grace.h"
#include "waypost/plugin/query.h"

enum { CACHE_SHARDS = 256, CACHE_SHARD_MIN = 4 };

struct cache_item {
    struct wp_grace_item grace; /* first */
    _Atomic(struct cache_item *) next;
    uint64_t hash;       /* of cache_key */
    uint64_t stored_ns;  /* wp_loop_now */
    uint32_t ttl_s;      /* as stored: what every record carried at stored_ns */
    uint32_t at;         /* index in the shard's list; the shard's lock */
    uint16_t qtype, qclass;
    uint16_t flags;      /* AA RA AD of the reply */
    uint16_t rcode;
    uint16_t count[WP_SECTIONS];
    uint16_t n_ttls;
    uint32_t body_len;
    uint8_t name_len, n_deps;
    bool dnssec_ok, checking_disabled, compressed;
    bool answers;        /* NOERROR with data that answers the question */
    atomic_bool refreshing;       /* one background refresh at a time */
    _Atomic uint64_t retry_ns;    /* no new refresh before (serve_stale RECHECK) */
    _Atomic uint64_t last_hit_ns; /* prefetch: the run of hits */
    _Atomic uint32_t hits;
    const char *wildcard; /* metadata zone/wildcard, or NULL; in data */
    struct wp_dep deps[WP_QUERY_DEPS];
    uint8_t data[];      /* TTL offsets (2 octets each, from the body's start), name, body */
};

struct cache_shard {
    pthread_mutex_t lock;
    _Atomic(struct cache_item *) *buckets;
    struct cache_item **items; /* in no order, n of them */
    unsigned n;
    uint32_t seed; /* of the eviction's choice */
};

struct cache_store {
    struct cache_shard shard[CACHE_SHARDS];
    unsigned cap, mask; /* items and buckets - 1 of one shard */
    _Atomic uint64_t n_items, n_octets;
};

/* capacity: items in all; each shard holds max(capacity / 256, 4). */
int cache_store_init(struct cache_store *s, int64_t capacity) WP_MUSTCHECK;
void cache_store_done(struct cache_store *s); /* no reader left */

uint64_t cache_key(const struct wp_query *q);
/* What cache_store_find will look at: step 0 the bucket, step 1 its first item. */
void cache_store_prefetch(const struct cache_store *s, uint64_t key, unsigned step);
/* A pointer that is good until the end of the loop turn, or NULL. Any worker. */
struct cache_item *cache_store_find(const struct cache_store *s, const struct wp_query *q,
                                    uint64_t key);
/* Takes the item over; replaces the one with the same key, evicts a random one when the shard is
 * full. True: something was evicted. */
bool cache_store_put(struct cache_store *s, struct cache_item *item);

/* Octets of memory it was given. */
static inline size_t cache_item_octets(const struct cache_item *i)
{
    return sizeof(*i) + 2 * (size_t)i->n_ttls + i->name_len + i->body_len +
           (i->wildcard != NULL ? strlen(i->wildcard) + 1 : 0);
}

/* The parts of an item. */
static inline const uint8_t *cache_item_name(const struct cache_item *i)
{
    return i->data + 2 * (size_t)i->n_ttls;
}
static inline const uint8_t *cache_item_body(const struct cache_item *i)
{
    return cache_item_name(i) + i->name_len;
}
