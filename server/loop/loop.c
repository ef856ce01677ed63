#include "server/loop/loop_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "waypost/base/grace.h"

/* LOOK_NS: after so much of a turn what is urgent is looked at. */
enum { NS_PER_S = 1000000000, TASK_ROUNDS = 8, LOOK_NS = 1000000 };

static uint64_t read_clock(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void update_now(struct wp_loop *loop)
{
    struct timespec ts;

    if (loop->is_virtual)
        return;
    loop->now_ns = read_clock(CLOCK_MONOTONIC);
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    loop->unix_time = ts.tv_sec;
}

int wp_loop_new(int index, struct wp_loop **ret)
{
    struct wp_loop *loop = aligned_alloc(64, sizeof(*loop)); /* a multiple: it has such members */
    int r;

    if (loop == NULL)
        return -ENOMEM;
    *loop = (struct wp_loop){.index = index, .grace_slot = -1};
    loop->tasks_end = &loop->tasks;
    update_now(loop);
    wp_wheel_init(&loop->wheel, loop->now_ns);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        r = -errno;
        free(loop);
        return r;
    }
    r = wp_mail_init(loop);
    if (r < 0) {
        close(loop->epoll_fd);
        free(loop);
        return r;
    }
    *ret = loop;
    return 0;
}

void wp_loop_free(struct wp_loop *loop)
{
    if (loop == NULL)
        return;
    wp_mail_done(loop);
    close(loop->epoll_fd);
    free(loop);
}

/* --- descriptors --------------------------------------------------------------------------- */

static struct epoll_event event_of(struct wp_io *io, uint32_t events)
{
    return (struct epoll_event){
        .events = (events & WP_IO_READ ? (uint32_t)EPOLLIN : 0) |
                  (events & WP_IO_WRITE ? (uint32_t)EPOLLOUT : 0),
        .data.ptr = io,
    };
}

int wp_io_add(struct wp_loop *loop, struct wp_io *io, uint32_t events)
{
    struct epoll_event ev = event_of(io, events);

    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, io->fd, &ev) < 0)
        return -errno;
    io->events = events;
    io->loop = loop;
    return 0;
}

void wp_io_set(struct wp_io *io, uint32_t events)
{
    struct epoll_event ev = event_of(io, events);

    if (io->loop == NULL || io->events == events)
        return;
    /* Changing what is there allocates nothing and cannot fail. */
    epoll_ctl(io->loop->epoll_fd, EPOLL_CTL_MOD, io->fd, &ev);
    io->events = events;
}

void wp_io_del(struct wp_io *io)
{
    struct wp_loop *loop = io->loop;

    if (loop == NULL)
        return;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
    for (int i = loop->at_event + 1; i < loop->n_events; i++)
        if (loop->events[i].data.ptr == io)
            loop->events[i].data.ptr = NULL;
    for (unsigned i = 0; i < loop->n_urgent; i++)
        if (loop->urgent[i] == io)
            loop->urgent[i--] = loop->urgent[--loop->n_urgent];
    io->loop = NULL;
    io->events = 0;
}

void wp_io_urgent(struct wp_io *io)
{
    struct wp_loop *loop = io->loop;

    if (loop != NULL && loop->n_urgent < WP_COUNT(loop->urgent))
        loop->urgent[loop->n_urgent++] = io;
}

/* A turn may have hundreds of connections to serve, each with megabytes to copy. */
static void look_at_urgent(struct wp_loop *loop)
{
    uint64_t now;

    if (loop->n_urgent == 0 || loop->is_virtual || loop->at_event + 1 >= loop->n_events)
        return;
    now = read_clock(CLOCK_MONOTONIC);
    if (now - loop->looked_ns < LOOK_NS)
        return;
    for (unsigned i = 0; i < loop->n_urgent; i++)
        if (loop->urgent[i]->events & WP_IO_READ)
            loop->urgent[i]->fn(loop->urgent[i], WP_IO_READ);
    loop->looked_ns = read_clock(CLOCK_MONOTONIC);
}

static void dispatch(struct wp_loop *loop, int n)
{
    loop->n_events = n;
    loop->looked_ns = loop->now_ns;
    for (loop->at_event = 0; loop->at_event < loop->n_events; loop->at_event++) {
        struct wp_io *io = loop->events[loop->at_event].data.ptr;
        uint32_t ev = loop->events[loop->at_event].events;
        if (io == NULL)
            continue;
        io->fn(io, (ev & EPOLLIN ? (uint32_t)WP_IO_READ : 0) |
                       (ev & EPOLLOUT ? (uint32_t)WP_IO_WRITE : 0) |
                       (ev & EPOLLERR ? (uint32_t)WP_IO_ERROR : 0) |
                       (ev & EPOLLHUP ? (uint32_t)WP_IO_HANGUP : 0));
        look_at_urgent(loop);
    }
    loop->n_events = 0;
}

/* --- tasks --------------------------------------------------------------------------------- */

void wp_loop_defer(struct wp_loop *loop, struct wp_task *task)
{
    if (task->queued)
        return;
    task->queued = true;
    task->next = NULL;
    *loop->tasks_end = task;
    loop->tasks_end = &task->next;
}

void wp_task_cancel(struct wp_loop *loop, struct wp_task *task)
{
    struct wp_task **at = &loop->tasks;

    if (!task->queued)
        return;
    while (*at != task)
        at = &(*at)->next;
    *at = task->next;
    if (task->next == NULL)
        loop->tasks_end = at;
    task->queued = false;
}

/* What tasks queue runs in the same turn too, so that a flush is not put off; the bound keeps
 * one that queues itself for ever from stopping the loop. `mark` is the end of a round. */
static void run_tasks(struct wp_loop *loop)
{
    for (int round = 0; round < TASK_ROUNDS && loop->tasks != NULL; round++) {
        struct wp_task mark = {0};
        wp_loop_defer(loop, &mark);
        for (;;) {
            struct wp_task *task = loop->tasks;
            wp_task_cancel(loop, task);
            if (task == &mark)
                break;
            task->fn(task);
        }
    }
}

/* --- the turn ------------------------------------------------------------------------------ */

static int wait_ms(struct wp_loop *loop, int limit_ms)
{
    int ms = loop->tasks != NULL ? 0 : wp_wheel_wait_ms(&loop->wheel, loop->now_ns);

    if (loop->is_virtual && ms > 0)
        ms = -1; /* waiting brings no virtual timer nearer */
    if (limit_ms >= 0 && (ms < 0 || ms > limit_ms))
        ms = limit_ms;
    return ms;
}

void wp_loop_turn(struct wp_loop *loop, int timeout_ms)
{
    int wait = wait_ms(loop, timeout_ms);
    int n;

    if (wait != 0 && loop->grace_slot >= 0)
        wp_grace_offline(loop->grace_slot);
    n = epoll_wait(loop->epoll_fd, loop->events, LOOP_EVENTS, wait);
    if (wait != 0 && loop->grace_slot >= 0)
        wp_grace_online(loop->grace_slot);
    update_now(loop);
    /* Descriptors first: after a stall, what arrived in time stops the timer that waits for it. */
    dispatch(loop, n > 0 ? n : 0); /* n < 0: EINTR */
    wp_wheel_run(&loop->wheel, loop->now_ns);
    run_tasks(loop);
    if (loop->grace_slot >= 0)
        wp_grace_quiescent(loop->grace_slot);
}

void wp_loop_run(struct wp_loop *loop)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    loop->grace_slot = wp_grace_register();
    if (loop->grace_slot < 0)
        abort(); /* more loops than WP_GRACE_READERS_MAX: main refuses such a number */
    while (!atomic_load_explicit(&loop->stopping, memory_order_acquire))
        wp_loop_turn(loop, -1);
    wp_grace_unregister(loop->grace_slot);
    loop->grace_slot = -1;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void wp_loop_stop(struct wp_loop *loop)
{
    atomic_store_explicit(&loop->stopping, true, memory_order_release);
    wp_mail_wake(loop);
}

/* --- small things -------------------------------------------------------------------------- */

void wp_loop_set_now(struct wp_loop *loop, uint64_t now_ns)
{
    if (!loop->is_virtual)
        wp_wheel_rebase(&loop->wheel, now_ns);
    loop->is_virtual = true;
    loop->now_ns = now_ns;
    loop->unix_time = WP_LOOP_TEST_UNIX + (int64_t)(now_ns / NS_PER_S);
}

uint64_t wp_loop_now(const struct wp_loop *loop)
{
    return loop->now_ns;
}

uint64_t wp_loop_clock(const struct wp_loop *loop)
{
    return loop->is_virtual ? loop->now_ns : read_clock(CLOCK_MONOTONIC);
}

int64_t wp_loop_unix_time(const struct wp_loop *loop)
{
    return loop->unix_time;
}

int wp_loop_index(const struct wp_loop *loop)
{
    return loop->index;
}

void *wp_loop_user(const struct wp_loop *loop)
{
    return loop->user;
}

void wp_loop_set_user(struct wp_loop *loop, void *user)
{
    loop->user = user;
}
