/* A loop that runs on a thread of its own, as the admin loop does. */
#pragma once
#include <pthread.h>
#include <time.h>
#include "check.h"
#include "waypost/server/worker.h"

struct loop_thread {
    struct wp_loop *loop;
    pthread_t thread;
};

static inline void *loop_thread_run(void *arg)
{
    wp_loop_run(arg);
    return NULL;
}

static inline void loop_thread_start(struct loop_thread *t)
{
    CHECK(wp_loop_new(0, &t->loop) == 0);
    CHECK(pthread_create(&t->thread, NULL, loop_thread_run, t->loop) == 0);
}

static inline void loop_thread_stop(struct loop_thread *t)
{
    wp_loop_stop(t->loop);
    pthread_join(t->thread, NULL);
    wp_loop_free(t->loop);
}

/* Wait until cond holds; real time, since another thread makes it true. */
#define WAIT_FOR(cond)                                                                             \
    do {                                                                                           \
        for (int tries_ = 0; tries_ < 10000 && !(cond); tries_++)                                  \
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);                               \
        CHECK(cond);                                                                               \
    } while (0)
