/* How a change in a backend reaches the cache. Process-wide version numbers, one for each of
 * WP_CHANGE_SLOTS hash slots. A backend that publishes new data for a name then calls
 * wp_changed with that name's key (and with the keys of every name whose answers are made from
 * it). A reply remembers the keys it was made from with the versions at that time
 * (wp_query_depends, called before the data is read); a cached copy is served only while all
 * its versions are unchanged. So the next question after the publication cannot meet the old
 * answer, and nobody searches the cache. Two keys in one slot only drop more than needed. */
#pragma once
#include <stdatomic.h>
#include <stdint.h>
#include "waypost/base/hash.h"

enum { WP_CHANGE_SLOTS = 1 << 18 };
extern _Atomic uint32_t wp_change_version[WP_CHANGE_SLOTS];

/* A key: what owns the data (an address or id that a reload keeps for carried-over data) and
 * the hash of the name; name 0 stands for the whole source. */
static inline uint64_t wp_change_key(uint64_t source, uint64_t name)
{
    return wp_hash_mix(source, name);
}
static inline uint32_t wp_change_slot(uint64_t key)
{
    return (uint32_t)(key >> 40) & (WP_CHANGE_SLOTS - 1);
}
/* After the new data can be read. Any thread. */
static inline void wp_changed(uint64_t key)
{
    atomic_fetch_add_explicit(&wp_change_version[wp_change_slot(key)], 1, memory_order_acq_rel);
}
