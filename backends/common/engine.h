/* What the threads of client libraries (gRPC C core, libcurl) have in common: work that other
 * threads post to them, and timers. No thread of its own: the library's loop runs both. It is part
 * of each module, so it needs nothing of the program. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Work for the engine's thread; the memory is the poster's until fn runs, and until then it may not
 * be posted again: what has a beginning and an end has a post for each. */
struct wp_engine_post {
    struct wp_engine_post *next;
    void (*fn)(struct wp_engine_post *post);
};

/* One-shot; memory is the caller's; zeroed is idle. */
struct wp_engine_timer {
    struct wp_engine_timer *next;
    uint64_t due_ns;
    bool is_set;
    void (*fn)(struct wp_engine_timer *t);
};

struct wp_engine_work {
    _Atomic(struct wp_engine_post *) posts; /* newest first */
    struct wp_engine_timer *timers;         /* soonest first; the engine thread's */
};

uint64_t wp_engine_now(void); /* monotonic ns, the clock of the loops */

/* Any thread. The caller wakes the engine. */
void wp_engine_post(struct wp_engine_work *w, struct wp_engine_post *post);

/* The rest: the engine's thread. */
void wp_engine_run_posts(struct wp_engine_work *w); /* oldest first */
void wp_engine_timer_set(struct wp_engine_work *w, struct wp_engine_timer *t,
                         uint64_t due_ns); /* moves one that is set */
void wp_engine_timer_cancel(struct wp_engine_work *w, struct wp_engine_timer *t);
void wp_engine_run_timers(struct wp_engine_work *w);
/* Nanoseconds until the next timer is due, or `none` without one. */
uint64_t wp_engine_wait(const struct wp_engine_work *w, uint64_t none);
