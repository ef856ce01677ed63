#include "backends/common/engine.h"

#include <stddef.h>
#include <time.h>

uint64_t wp_engine_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void wp_engine_post(struct wp_engine_work *w, struct wp_engine_post *post)
{
    post->next = atomic_load_explicit(&w->posts, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&w->posts, &post->next, post,
                                                  memory_order_release, memory_order_relaxed))
        ;
}

void wp_engine_run_posts(struct wp_engine_work *w)
{
    struct wp_engine_post *post, *oldest = NULL;

    post = atomic_exchange_explicit(&w->posts, NULL, memory_order_acquire);
    while (post != NULL) {
        struct wp_engine_post *next = post->next;
        post->next = oldest;
        oldest = post;
        post = next;
    }
    while (oldest != NULL) {
        struct wp_engine_post *next = oldest->next;
        oldest->fn(oldest);
        oldest = next;
    }
}

void wp_engine_timer_cancel(struct wp_engine_work *w, struct wp_engine_timer *t)
{
    struct wp_engine_timer **p = &w->timers;

    if (!t->is_set)
        return;
    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    t->is_set = false;
}

void wp_engine_timer_set(struct wp_engine_work *w, struct wp_engine_timer *t, uint64_t due_ns)
{
    struct wp_engine_timer **p = &w->timers;

    wp_engine_timer_cancel(w, t);
    while (*p != NULL && (*p)->due_ns <= due_ns)
        p = &(*p)->next;
    t->next = *p;
    t->due_ns = due_ns;
    t->is_set = true;
    *p = t;
}

void wp_engine_run_timers(struct wp_engine_work *w)
{
    uint64_t now = wp_engine_now();

    while (w->timers != NULL && w->timers->due_ns <= now) {
        struct wp_engine_timer *t = w->timers;
        w->timers = t->next;
        t->is_set = false;
        t->fn(t);
    }
}

uint64_t wp_engine_wait(const struct wp_engine_work *w, uint64_t none)
{
    uint64_t now;

    if (w->timers == NULL)
        return none;
    now = wp_engine_now();
    return w->timers->due_ns > now ? w->timers->due_ns - now : 0;
}
