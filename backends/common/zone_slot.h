/* A place where the current version of a zone stands for the workers, and what keeps it
 * current: looking at the file again and again, reading it on a helper thread when it has
 * changed, and swapping the version that readers see. */
#pragma once
#include "backends/common/job.h"
#include "backends/common/zone_load.h"
#include "waypost/plugin/loop.h"

struct wp_zone_reloader;

struct wp_zone_slot {
    struct wp_zone *_Atomic zone; /* one reference; NULL: not loaded yet */
    struct wp_name origin;        /* lower case */
    const char *path;
    uint64_t source;
    int64_t reload_ns; /* 0: never look again */
    bool by_mtime;     /* reload when the file is newer, whatever the serial */
    int64_t mtime_ns;  /* of the version in use, by_mtime */
    bool fresh;        /* loaded by us: cached answers of a version before may be about */

    /* the admin loop's, or the helper's while it runs */
    struct wp_zone_reloader *reloader;
    struct wp_timer timer;
    struct wp_zone_slot *next_due;
    struct wp_arena memory;          /* of seen */
    const struct wp_zone_file *seen; /* the files at the last look that ended well */
    struct wp_zone_load load;
    struct wp_arena load_memory;
    struct wp_zone_ticket *ticket;
    int64_t load_mtime_ns;
    int result;
    /* what `waypost status` tells; times are Unix milliseconds */
    int64_t loaded_ms, failed_ms; /* failed 0: the last look was good */
    char why[256];
};

struct wp_zone_reloader {
    const char *plugin;   /* in log lines */
    struct wp_loop *loop; /* the admin loop; NULL: not started */
    struct wp_zone_slot **slots;
    unsigned n_slots;
    struct wp_zone_slot *due, **last_due; /* to be looked at by the next round */
    struct wp_zone_slot *round;           /* being looked at */
    struct wp_job job;
    bool ordered; /* zones are to be given away (wp_zone_make_order) */
    void (*reloaded)(void *arg, struct wp_zone_slot *s); /* admin loop; may be NULL */
    void *arg;
};

/* The version in use, for this turn of a worker's loop; NULL: none yet. */
static inline struct wp_zone *wp_zone_slot_zone(const struct wp_zone_slot *s)
{
    return atomic_load_explicit(&((struct wp_zone_slot *)(uintptr_t)s)->zone, memory_order_acquire);
}
/* Set-up: load for the first time. As wp_zone_load; the error texts are in `a`. */
int wp_zone_slot_load(struct wp_zone_slot *s, struct wp_arena *a,
                      const char **ret_error) WP_MUSTCHECK;
/* Main thread; the admin loop runs. */
void wp_zone_reloader_start(struct wp_zone_reloader *r, struct wp_loop *admin);
/* Main thread: no look follows, none runs any more. Accepts one that was not started. */
void wp_zone_reloader_stop(struct wp_zone_reloader *r);
/* The zone, as rows of an object of its own in a list that is open. Admin thread. */
struct wp_report;
void wp_zone_slot_status(const struct wp_zone_slot *s, struct wp_report *r);
/* After that, when no query can see the zone. */
void wp_zone_slot_done(struct wp_zone_slot *s);
