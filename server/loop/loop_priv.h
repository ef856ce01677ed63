/* The parts of a loop, each in its own file: wheel.c timers, mail.c mail, loop.c the turn. */
#pragma once
#include <stdatomic.h>
#include <stdalign.h>
#include <sys/epoll.h>
#include "waypost/server/worker.h"

/* Timers by due tick (1 ms). A timer stands on the level of the highest 6-bit digit in which
 * its due tick differs from `tick`, in the slot of that digit; when the wheel reaches the slot
 * of an upper level its timers move down. Each level's bitmap finds the next slot at once. */
enum { WHEEL_BITS = 6, WHEEL_SLOTS = 1 << WHEEL_BITS, WHEEL_LEVELS = 8 };

struct wheel {
    uint64_t tick;               /* every timer due by then has been moved to `due` or run */
    uint64_t used[WHEEL_LEVELS]; /* bit n: slot n may hold a timer (a cancel leaves the bit) */
    struct wp_timer *slot[WHEEL_LEVELS][WHEEL_SLOTS];
    struct wp_timer *due; /* fire in the next turn */
};

enum { LOOP_EVENTS = 256, LOOP_URGENT = 32 };

struct wp_loop {
    int index;
    int epoll_fd;
    int grace_slot; /* -1 outside wp_loop_run */
    void *user;
    uint64_t now_ns;
    int64_t unix_time;
    bool is_virtual;
    struct wheel wheel;

    struct wp_task *tasks, **tasks_end;

    /* events of this turn: wp_io_del takes its own out */
    struct epoll_event events[LOOP_EVENTS];
    int n_events, at_event;

    struct wp_io *urgent[LOOP_URGENT];
    unsigned n_urgent;
    uint64_t looked_ns; /* at them, in this turn */

    struct wp_io wake; /* eventfd */

    /* other threads write here */
    alignas(64) struct wp_mail *_Atomic mail; /* newest first */
    atomic_bool stopping;
};

void wp_wheel_init(struct wheel *w, uint64_t now_ns);
/* Time goes to now_ns, maybe backwards: every timer is placed anew. */
void wp_wheel_rebase(struct wheel *w, uint64_t now_ns);
void wp_wheel_run(struct wheel *w, uint64_t now_ns);
/* Milliseconds to wait: 0 something is due, -1 nothing is set. */
int wp_wheel_wait_ms(struct wheel *w, uint64_t now_ns);

int wp_mail_init(struct wp_loop *loop) WP_MUSTCHECK;
void wp_mail_done(struct wp_loop *loop);
void wp_mail_wake(struct wp_loop *loop); /* any thread */
