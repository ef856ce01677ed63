/* A set of octet strings, each with its place in the order of adding: what record synthesis uses
 * to leave out what it has already said. Keys are not copied. Zeroed is empty; the arena owns
 * the rest. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "waypost/base/arena.h"

struct wp_etcd_set_key {
    const void *key;
    uint32_t len, tag;
};
struct wp_etcd_set {
    struct wp_etcd_set_key *keys; /* in the order of adding */
    uint32_t *slots;              /* place + 1, 0: free */
    uint32_t n, cap, mask;
};
/* Add (tag, key) unless it is there. Place of the key; -ENOMEM. *ret_new tells. */
int64_t wp_etcd_set_add(struct wp_etcd_set *s, struct wp_arena *a, uint32_t tag, const void *key,
                        size_t len, bool *ret_new) WP_MUSTCHECK;
