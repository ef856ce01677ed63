/* Between replies and items: what may be kept, for how long, and how it is given back. */
#pragma once
#include "server/plugins/cache/store.h"

enum cache_kind { CACHE_NONE, CACHE_SUCCESS, CACHE_DENIAL };

/* What the reply of q is for the cache. *ret_answers: it answers the question with data.
 * unix_s: to compare signatures' expiry with. */
enum cache_kind cache_judge(struct wp_query *q, int64_t unix_s, bool *ret_answers);
/* An item of the reply that stands in q, every TTL as it is there; NULL: no memory, or larger
 * than may be kept. ttl_s is what all its records carry. */
struct cache_item *cache_item_new(struct wp_query *q, uint64_t key, uint32_t ttl_s, uint64_t now_ns);
/* The reply of q from the item, every TTL set to ttl_s. 0 or negative. */
int cache_item_reply(const struct cache_item *i, struct wp_query *q, uint32_t ttl_s) WP_MUSTCHECK;
/* Nothing it was made from has changed since. */
bool cache_item_is_current(const struct cache_item *i);
/* Set the TTL of every record of q's reply. */
void cache_set_ttls(struct wp_query *q, uint32_t ttl_s);
