/* The engine: one thread that waits for C core's completions, runs timers and what is posted. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "backends/common/grpc_client_priv.h"

enum { END_WAIT_MS = 1000, END_STEP_MS = 2 };

static struct {
    pthread_mutex_t lock;
    unsigned users; /* by lock */
    pthread_t thread;
    grpc_completion_queue *cq;
    grpc_channel *nowhere; /* a call that goes nowhere: an empty batch on it wakes the thread */
    grpc_call *waker;
    struct wp_grpc_tag wake;
    atomic_bool waking; /* the batch is started: whoever posts next need not */
    struct wp_engine_work work;
    bool stopping; /* the engine thread's */
    struct wp_engine_post stop;
} engine = {.lock = PTHREAD_MUTEX_INITIALIZER};

gpr_timespec wp_grpc_in(uint64_t ns)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_nanos((int64_t)ns, GPR_TIMESPAN));
}

void wp_grpc_engine_post(struct wp_engine_post *post)
{
    wp_engine_post(&engine.work, post);
    if (!atomic_exchange(&engine.waking, true))
        grpc_call_start_batch(engine.waker, NULL, 0, &engine.wake, NULL);
}

static void run_posts(struct wp_grpc_tag *t, bool ok)
{
    (void)t;
    (void)ok;
    atomic_store(&engine.waking, false); /* before the list is taken: a later post wakes again */
    wp_engine_run_posts(&engine.work);
}

void wp_grpc_timer_set(struct wp_engine_timer *t, uint64_t due_ns)
{
    wp_engine_timer_set(&engine.work, t, due_ns);
}

void wp_grpc_timer_cancel(struct wp_engine_timer *t)
{
    wp_engine_timer_cancel(&engine.work, t);
}

static gpr_timespec next_deadline(void)
{
    uint64_t wait = wp_engine_wait(&engine.work, UINT64_MAX);

    return wait == UINT64_MAX ? gpr_inf_future(GPR_CLOCK_MONOTONIC) : wp_grpc_in(wait);
}

static void *engine_run(void *arg)
{
    (void)arg;
    pthread_setname_np(pthread_self(), "wp-grpc");
    for (;;) {
        grpc_event e = grpc_completion_queue_next(engine.cq, next_deadline(), NULL);
        if (e.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        if (e.type == GRPC_OP_COMPLETE)
            ((struct wp_grpc_tag *)e.tag)->fn(e.tag, e.success != 0);
        if (!engine.stopping)
            wp_engine_run_timers(&engine.work);
    }
}

static void stop_engine(struct wp_engine_post *post)
{
    (void)post;
    engine.stopping = true;
    wp_grpc_channels_end();
    grpc_completion_queue_shutdown(engine.cq);
}

/* abseil, built without NDEBUG as Debian does, looks for deadlocks: each lock that C core takes
 * while it holds another becomes an edge of a graph. The graph never shrinks, and as channels come
 * and go it grows without end, in pages of its own that no tool for the heap shows. The function is
 * of C++, under a name that tells abseil's version: another abseil is left as it is. */
enum { DEADLOCKS_IGNORE = 0 }; /* absl::OnDeadlockCycle::kIgnore */
extern void deadlocks_set(int mode)
    __asm__("_ZN4absl7debian329SetMutexDeadlockDetectionModeENS0_15OnDeadlockCycleE")
        __attribute__((weak));

static void ignore_deadlocks(void)
{
    if (deadlocks_set != NULL)
        deadlocks_set(DEADLOCKS_IGNORE);
}

/* C core starts threads of its own: none of them may take the program's signals. Names are for the
 * host's resolver (getaddrinfo): the other one, c-ares, leaks a name for each channel. */
static int start_engine(void)
{
    sigset_t all, before;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    setenv("GRPC_DNS_RESOLVER", "native", 0);
    ignore_deadlocks();
    grpc_init();
    engine.cq = grpc_completion_queue_create_for_next(NULL);
    engine.nowhere = grpc_lame_client_channel_create("nowhere", GRPC_STATUS_UNAVAILABLE, "");
    engine.waker = grpc_channel_create_call(engine.nowhere, NULL, GRPC_PROPAGATE_DEFAULTS,
                                            engine.cq, grpc_slice_from_static_string("/wake"), NULL,
                                            gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    engine.wake.fn = run_posts;
    engine.stopping = false;
    r = pthread_create(&engine.thread, NULL, engine_run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

/* A connection that failed leaves a timer behind that keeps the library alive beyond its "blocking"
 * shutdown; its threads would then end while the process does. The timer is short, see channel_new.
 */
static void wait_for_the_end(void)
{
    struct timespec step = {.tv_nsec = END_STEP_MS * 1000000};

    for (int i = 0; i < END_WAIT_MS / END_STEP_MS && grpc_is_initialized(); i++)
        nanosleep(&step, NULL);
}

static void end_engine(bool started)
{
    if (started) {
        engine.stop.fn = stop_engine;
        wp_grpc_engine_post(&engine.stop);
        pthread_join(engine.thread, NULL);
    } else {
        grpc_completion_queue_shutdown(engine.cq);
        while (
            grpc_completion_queue_next(engine.cq, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
            GRPC_QUEUE_SHUTDOWN)
            ;
    }
    grpc_call_unref(engine.waker);
    grpc_channel_destroy(engine.nowhere);
    grpc_completion_queue_destroy(engine.cq);
    grpc_shutdown_blocking();
    wait_for_the_end();
}

int wp_grpc_engine_acquire(void)
{
    int r = 0;

    pthread_mutex_lock(&engine.lock);
    if (engine.users == 0)
        r = start_engine();
    if (r == 0)
        engine.users++;
    else
        end_engine(false);
    pthread_mutex_unlock(&engine.lock);
    return r;
}

void wp_grpc_engine_release(void)
{
    pthread_mutex_lock(&engine.lock);
    if (--engine.users == 0)
        end_engine(true);
    pthread_mutex_unlock(&engine.lock);
}

grpc_completion_queue *wp_grpc_engine_queue(void)
{
    return engine.cq;
}
