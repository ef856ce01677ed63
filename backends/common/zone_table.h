/* From a name to the longest zone that holds it, by the hashes that the question brings. */
#pragma once
#include "backends/common/zone_slot.h"
#include "waypost/base/arena.h"

struct wp_zone_table {
    struct wp_zone_slot **slots; /* open addressing; NULL: free */
    unsigned mask;
    uint64_t labels[2]; /* bit n: some zone has n labels */
};
/* Memory from the arena; the slots' origins may not change afterwards. */
int wp_zone_table_init(struct wp_zone_table *t, struct wp_arena *a,
                       struct wp_zone_slot *const *slots, unsigned n) WP_MUSTCHECK;
struct wp_zone_slot *wp_zone_table_find(const struct wp_zone_table *t, const struct wp_qname *q);
/* The slot of exactly that zone (lower case), or NULL. */
struct wp_zone_slot *wp_zone_table_get(const struct wp_zone_table *t, const uint8_t *origin);
