/* A generation: everything one Corefile made: blocks, groups, instances. A reload builds the
 * next one beside it, hands sockets over, swaps, and lets the old one finish its queries.
 * Main thread only, except wp_gen_hold and wp_gen_release (router.h). */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include "waypost/server/config.h"
#include "waypost/server/listener.h"

/* Waiting queries of one worker; its own cache line. */
struct wp_gen_count {
    int64_t waiting;
    bool retired; /* no new query comes on this worker */
} __attribute__((aligned(64)));

struct wp_gen {
    struct wp_arena arena;
    struct wp_conf conf;
    struct wp_block *blocks;
    unsigned n_blocks;
    struct wp_group *groups;
    unsigned n_groups;
    uint64_t id;              /* 1 is the first */
    const struct wp_env *env; /* start() got copies of it */
    unsigned n_started;       /* instances that start() succeeded for, in start order */
    struct wp_gen_count *counts;  /* one for each worker */
    _Atomic int busy_workers;     /* that are not retired or have queries waiting */
    void (*on_idle)(struct wp_gen *gen); /* last worker done: called on that worker's thread */
    struct wp_gen *next;      /* main's list of old ones */
};

/* What the Corefile is read from, remembered for reloads. */
struct wp_conf_source {
    const char *path;   /* as given by -conf, or "Corefile"; NULL: built-in default */
    const char *text;   /* of the built-in default or of standard input */
    size_t len;
    uint16_t default_port;
};

/* Parse, bind, make groups, load certificates. check_only: starts nothing later. On failure the
 * report says why. n_workers may be 0 for check_only. */
int wp_gen_new(const struct wp_conf_source *src, const char *text, size_t len, bool check_only,
               int n_workers, struct wp_conf_report *report, struct wp_gen **ret) WP_MUSTCHECK;
/* start() of every instance, directive by directive as set up. previous: the generation being
 * replaced, or NULL. On failure what was started is left for wp_gen_free to stop. */
int wp_gen_start(struct wp_gen *gen, const struct wp_env *services, const struct wp_gen *previous,
                 struct wp_conf_report *report) WP_MUSTCHECK;
/* What env->look_again of every instance is; set by main before the first start. */
extern void (*wp_gen_look_again)(void);
/* Shutdown hooks: background work ends, queries still come. */
void wp_gen_quiesce(struct wp_gen *gen);
/* No query is left: stop() of all, memory. */
void wp_gen_free(struct wp_gen *gen);
/* On the worker's thread: no new query of this generation comes here. */
void wp_gen_retire(struct wp_gen *gen, int worker);
/* Certificates: look at the files again; log what changed or is bad. */
void wp_gen_refresh_tls(struct wp_gen *gen);
