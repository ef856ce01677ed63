/* The table of zones of one group, and what main needs of the router. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "waypost/plugin/block.h"
#include "waypost/server/worker.h"

struct wp_group;
struct wp_gen;

/* One zone of a group with the blocks that serve it, in Corefile order (several: views). */
struct wp_route_zone {
    uint64_t hash;
    const uint8_t *name; /* wire, lower case */
    uint8_t len, n_labels;
    unsigned n_blocks;
    const struct wp_block **blocks;
};
struct wp_route {
    const struct wp_group *group;
    struct wp_gen *gen;
    bool class_any;          /* some block admits classes other than IN */
    unsigned opcodes;        /* admitted by some block, a bit each; QUERY and NOTIFY always */
    uint64_t labels[2];      /* bit n: some zone has n labels, so that others need no probe */
    unsigned mask;           /* slots - 1 */
    unsigned n_zones;
    struct wp_route_zone *slots;
    struct wp_route_zone *root;
};
/* Blocks that have a key of this group; memory from the arena. */
int wp_route_new(struct wp_arena *arena, const struct wp_group *g,
                 const struct wp_block *const *blocks, unsigned n, struct wp_route **ret) WP_MUSTCHECK;

/* Queries that wait keep their generation: counted for each worker, on its thread. Implemented
 * beside the generations (server/config or main); the last release of a retired generation on
 * a worker lets it end there. */
void wp_gen_hold(struct wp_gen *gen, int worker);
void wp_gen_release(struct wp_gen *gen, int worker);
