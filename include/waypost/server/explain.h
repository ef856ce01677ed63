/* An explained query's story, for whoever asked for it. Memory is the arena's; it must live until
 * the query is done. */
#pragma once
#include "waypost/plugin/explain.h"

struct wp_explain_step;

enum { WP_EXPLAIN_STEPS = 512 };

struct wp_explain {
    struct wp_arena *arena;
    uint64_t began_ns; /* of the loop's clock, like all times of the steps */
    struct wp_explain_step *first, **last;
    unsigned n, left_out; /* steps; past WP_EXPLAIN_STEPS */
    struct wp_report sources;
};
/* Set as q->explain before the query runs. */
void wp_explain_init(struct wp_explain *e, struct wp_arena *arena, uint64_t now_ns);
/* The steps as a list of objects, when the query is done. */
void wp_explain_tell(struct wp_explain *e, struct wp_report *r);
