/* Owner names while records are gathered: a hash table of nodes that live in the user's arena. A
 * node begins with struct wp_owner; what follows is the user's. One thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

struct wp_arena; /* waypost/base/arena.h */

struct wp_owner {
    struct wp_owner *next; /* in the order in which they came */
    uint64_t hash;
    const uint8_t *name; /* lower case */
    uint8_t name_len;
};
struct wp_owner_table {
    struct wp_arena *arena;
    size_t node_size, mask, n;
    struct wp_owner **slots;
    struct wp_owner *first, **last;
};

/* node_size: octets of a node. 0 or -ENOMEM. */
int wp_owner_table_init(struct wp_owner_table *t, struct wp_arena *arena,
                        size_t node_size) WP_MUSTCHECK;
void wp_owner_table_done(struct wp_owner_table *t); /* the nodes are the arena's */
/* By the name in any case; NULL: it has none. */
void *wp_owner_table_find(const struct wp_owner_table *t, const uint8_t *name, size_t len);
/* The node of the name, a new one if it has none: zeros behind struct wp_owner. NULL: no memory. */
void *wp_owner_table_get(struct wp_owner_table *t, const uint8_t *name, size_t len);
