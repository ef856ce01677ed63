/* The event loop of one thread: descriptors, timers, mail from other threads. A worker has
 * one, the admin thread has one. Everything here except wp_loop_post belongs to the loop's own
 * thread. Nothing called from a loop may block. */
#pragma once
#include <stdatomic.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include "waypost/base/err.h"

struct wp_loop;

enum { WP_IO_READ = 1, WP_IO_WRITE = 2, WP_IO_ERROR = 4, WP_IO_HANGUP = 8 };

/* A watched descriptor; memory belongs to the caller and stays put while it is added.
 * Level-triggered. Errors and hang-ups (both directions closed, reset) are reported whatever is
 * watched, again in each turn: the callback must take the descriptor out. After wp_io_del the
 * callback is not called again, also not for an event of the same turn. The descriptor itself
 * is the caller's to close, after wp_io_del. */
struct wp_io {
    int fd;
    uint32_t events; /* what is watched, WP_IO_READ and WP_IO_WRITE; 0: only errors (a pause) */
    void (*fn)(struct wp_io *io, uint32_t events);
    struct wp_loop *loop; /* NULL: not added */
};
int wp_io_add(struct wp_loop *loop, struct wp_io *io, uint32_t events) WP_MUSTCHECK;
void wp_io_set(struct wp_io *io, uint32_t events); /* change the watched events */
void wp_io_del(struct wp_io *io);                  /* accepts one that was never added */
/* It does not wait for the end of a long turn: its callback is called for reading every
 * millisecond or so between the others, also when there is nothing to read. For few (32 of a
 * loop, others go without): the sockets of datagrams, which many connections would keep waiting. */
void wp_io_urgent(struct wp_io *io);

/* A one-shot timer; memory belongs to the caller; zeroed is idle. Resolution 1 ms, never
 * early. Setting a running timer moves it, in O(1): idle timeouts are moved at each query. A
 * timer that is already due fires in the next turn, never from within wp_timer_set. */
struct wp_timer {
    struct wp_timer *next, **prev; /* the loop's; prev NULL: idle */
    uint64_t due_ns;
    void (*fn)(struct wp_timer *t);
};
void wp_timer_set(struct wp_loop *loop, struct wp_timer *t, uint64_t due_ns);
void wp_timer_cancel(struct wp_timer *t);
static inline bool wp_timer_is_set(const struct wp_timer *t)
{
    return t->prev != NULL;
}

/* Monotonic nanoseconds, read once for each turn. */
uint64_t wp_loop_now(const struct wp_loop *loop);
/* The same clock, read at this moment: for durations shorter than a turn. */
uint64_t wp_loop_clock(const struct wp_loop *loop);
/* Unix time in seconds, as of the same reading. */
int64_t wp_loop_unix_time(const struct wp_loop *loop);
/* 0..n_workers-1 for workers; n_workers for the admin loop. */
int wp_loop_index(const struct wp_loop *loop);

/* Work for another thread's loop. `fn` runs on the loop's thread, in the order posted by one
 * thread. The mail's memory belongs to the poster until fn is called. Any thread; lock-free. */
struct wp_mail {
    struct wp_mail *next;
    void (*fn)(struct wp_mail *mail);
};
void wp_loop_post(struct wp_loop *loop, struct wp_mail *mail);

/* Run fn on the loop's thread and wait until it has returned. From any thread that is not a loop's
 * (start(), stop() and quiesce() run on main, where this is allowed); the loop must be running. */
void wp_loop_call(struct wp_loop *loop, void (*fn)(void *arg, struct wp_loop *loop), void *arg);

/* Work at the end of this turn, before the loop blocks (flushing what was batched), in the
 * order queued. A task that is already queued is not queued twice; it may queue itself or
 * others when it runs. */
struct wp_task {
    struct wp_task *next;
    bool queued;
    void (*fn)(struct wp_task *task);
};
void wp_loop_defer(struct wp_loop *loop, struct wp_task *task);
/* Take it out again, before its memory goes. Accepts one that is not queued. */
void wp_task_cancel(struct wp_loop *loop, struct wp_task *task);
