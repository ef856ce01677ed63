/* An engine that is late: what is posted waits until so many posts do, and runs on a thread of its
 * own then, in its order. A post that waits already may not be posted again.
 *
 *     late_begin(2);
 *     ... two posts ...
 *     late_end();
 */
#pragma once
#include <pthread.h>

#include "backends/common/engine.h"
#include "check.h"

enum { LATE_MAX = 8 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct wp_engine_post *waiting[LATE_MAX];
    unsigned n, wanted; /* wanted 0: not late */
    pthread_t thread;
} late_engine = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

static void *late_run(void *arg)
{
    pthread_mutex_lock(&late_engine.lock);
    while (late_engine.n < late_engine.wanted)
        pthread_cond_wait(&late_engine.cond, &late_engine.lock);
    pthread_mutex_unlock(&late_engine.lock);
    for (unsigned i = 0; i < late_engine.wanted; i++)
        late_engine.waiting[i]->fn(late_engine.waiting[i]);
    return arg;
}

static inline void late_begin(unsigned wanted)
{
    late_engine.n = 0;
    late_engine.wanted = wanted;
    CHECK(wanted <= LATE_MAX && pthread_create(&late_engine.thread, NULL, late_run, NULL) == 0);
}

static inline void late_end(void)
{
    CHECK(pthread_join(late_engine.thread, NULL) == 0);
    late_engine.wanted = 0;
}

/* False: the engine is not late, run it at once. */
static inline bool late_post(struct wp_engine_post *post)
{
    if (late_engine.wanted == 0)
        return false;
    pthread_mutex_lock(&late_engine.lock);
    for (unsigned i = 0; i < late_engine.n; i++)
        CHECK(late_engine.waiting[i] != post);
    CHECK(late_engine.n < late_engine.wanted);
    late_engine.waiting[late_engine.n++] = post;
    pthread_cond_signal(&late_engine.cond);
    pthread_mutex_unlock(&late_engine.lock);
    return true;
}
