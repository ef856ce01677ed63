/* The instance of `cache`. */
#pragma once
#include "server/plugins/cache/item.h"
#include "waypost/plugin/metric.h"
#include "waypost/plugin/plugin.h"

enum cache_stale_mode { CACHE_STALE_OFF, CACHE_STALE_IMMEDIATE, CACHE_STALE_VERIFY };

struct cache_limits {
    int64_t capacity;
    int64_t ttl_s, min_ttl_s;
    bool disabled;
    struct wp_zones disabled_zones; /* none and disabled: all */
};

/* Counters of one listener (the server label). */
struct cache_meters {
    _Atomic(const char *) server; /* wp_query_server: one pointer for each listener */
    struct wp_series *requests, *misses, *hits[2], *evictions[2], *prefetch, *drops, *stale;
};
enum { CACHE_SUCCESS_AT = 0, CACHE_DENIAL_AT = 1, CACHE_METERS = 32 };

/* Both stores; shared with the next generation when its block is the same. */
struct cache_stores {
    _Atomic int refs;
    struct cache_store store[2]; /* success, denial */
};

struct cache {
    struct wp_zones zones;
    bool all_zones; /* the block's own keys: what comes here is within them */
    struct cache_limits limits[2];
    int64_t prefetch_amount, prefetch_ns, prefetch_percent;
    enum cache_stale_mode stale;
    int64_t stale_ns, verify_ns, stale_ttl_s, recheck_ns;
    bool prefer_positive, prefer_positive_set, keep_ttl;
    int64_t servfail_ns;
    struct cache_stores *stores;
    struct cache_meters meters[CACHE_METERS];
    pthread_mutex_t meters_lock;
    const char *zones_label;
    struct wp_env *env;
};

/* --- refresh.c --- */
/* Keep the reply of q if it may be kept; returns its TTL, or -1: not kept. Sets the TTLs of the
 * reply to what was stored. */
int64_t cache_keep(struct cache *c, struct wp_query *q, bool miss);
/* One background look-up of the item's question, unless one runs already. */
void cache_refresh(struct cache *c, struct wp_query *q, struct cache_item *i);
/* Serve the item although its time is over, after the mode's rule. As serve(). */
int cache_serve_stale(struct cache *c, struct wp_query *q, struct cache_item *i);
/* reply() of a query that cache_serve_stale let through; false: it was not one. */
bool cache_verified(struct cache *c, struct wp_query *q);
void cache_stale_cancel(struct cache *c, struct wp_query *q);

/* --- cache.c --- */
struct cache_meters *cache_meters_for(struct cache *c, const struct wp_query *q);
