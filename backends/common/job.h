/* Work that blocks or takes long (reading large files), on a thread that lives as long as the
 * work does; started and taken up again on one loop, the admin loop. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "waypost/base/err.h"
#include "waypost/plugin/loop.h"

struct wp_job {
    struct wp_loop *loop;
    void (*work)(struct wp_job *j); /* the helper's thread; looks at `stopping` now and then */
    void (*done)(struct wp_job *j); /* the loop's thread, afterwards; may start the next one */
    atomic_bool stopping;
    bool running; /* the loop's */
    bool left;    /* stop() waits for the thread itself */
    pthread_t thread;
    struct wp_mail mail;
};
/* The loop's thread; loop, work and done are set; not while it runs. -errno: no thread;
 * WP_ECANCELLED: it is being stopped. done() follows only after 0. */
int wp_job_start(struct wp_job *j) WP_MUSTCHECK;
/* Main thread, the loop runs: afterwards nothing of it runs and done() is not called any more.
 * True: the work was under way and has ended (or given up) without done(). */
bool wp_job_stop(struct wp_job *j);
