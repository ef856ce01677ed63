/* A generation: everything one Corefile made: blocks, groups, instances. A reload builds the
 * next one beside it, hands sockets over, swaps, and lets the old one finish its queries. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include "waypost/server/config.h"
#include "waypost/server/listener.h"

struct wp_gen {
    struct wp_arena arena;
    struct wp_conf conf;
    struct wp_block *blocks;
    unsigned n_blocks;
    struct wp_group *groups;
    unsigned n_groups;
    uint64_t id;
    _Atomic int64_t *in_flight; /* one for each worker (own cache line), plus one */
    atomic_bool retired;        /* stop when in_flight is 0 */
};

/* What the Corefile is read from, remembered for reloads. */
struct wp_conf_source {
    const char *path; /* NULL: built-in default */
    bool from_stdin;
    uint16_t default_port;
};

/* Parse, bind, group. check_only: opens and starts nothing. On failure the report says why. */
int wp_gen_new(const struct wp_conf_source *src, bool check_only, struct wp_arena *report_arena,
               struct wp_conf_report *report, struct wp_gen **ret) WP_MUSTCHECK;
void wp_gen_free(struct wp_gen *gen);
