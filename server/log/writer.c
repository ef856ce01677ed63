/* The log thread: takes finished lines from a queue and records from the loops' rings, formats,
 * writes in large pieces. While records come it looks every few milliseconds, so a loop makes no
 * system call for a line; after a while without any it sleeps and the next record wakes it. */
#include "server/log/log_priv.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "waypost/plugin/metric.h"

enum {
    QUEUE_SIZE = 512 << 10, /* octets of finished lines that may wait */
    OUT_SIZE = 128 << 10,
    PIPE_PIECE = 4096, /* POLLOUT promises room for this much in a pipe */
    LOOK_MS = 5,
    IDLE_MS = 1000,   /* a wake-up that was lost to a race costs at most this */
    IDLE_ROUNDS = 10, /* empty looks before sleeping */
    STUCK_MS = 1000,  /* how long stop and flush wait for a reader that does not read */
};

static struct {
    int fd, wake_fd;
    bool is_file;
    atomic_bool runs, stopping, asleep, signalled;
    pthread_t thread;
    struct wp_log_ring **rings;
    const struct wp_log_rec **next; /* the thread's: the oldest record of each ring */
    int n_rings;

    pthread_mutex_t lock;
    pthread_cond_t flushed;
    char *queue, *spare;              /* by lock; the thread swaps them */
    size_t queued;                    /* by lock */
    uint64_t flush_asked, flush_done; /* by lock */
    _Atomic uint64_t dropped;         /* finished lines */
    uint64_t dropped_before;          /* of rings that are gone */

    char *out; /* the thread's */
    size_t out_len;
} w = {.fd = STDOUT_FILENO, .lock = PTHREAD_MUTEX_INITIALIZER, .flushed = PTHREAD_COND_INITIALIZER};

static const struct wp_family dropped_family = {
    .name = "waypost_log_dropped_total",
    .help = "Counter of log lines dropped because they came faster than they could be written.",
    .kind = WP_COUNTER,
};

void wp_log_set_fd(int fd)
{
    w.fd = fd;
}

int wp_log_fd(void)
{
    return w.fd;
}

bool wp_log_writer_runs(void)
{
    return atomic_load_explicit(&w.runs, memory_order_acquire);
}

static void wake(void)
{
    uint64_t one = 1;

    if (atomic_load_explicit(&w.signalled, memory_order_relaxed) ||
        atomic_exchange(&w.signalled, true))
        return;
    while (write(w.wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

bool wp_log_writer_put(const char *line, size_t len)
{
    bool runs;

    pthread_mutex_lock(&w.lock);
    runs = w.queue != NULL;
    if (runs && len <= QUEUE_SIZE - w.queued) {
        memcpy(w.queue + w.queued, line, len);
        w.queued += len;
        wake();
    } else if (runs) {
        atomic_fetch_add_explicit(&w.dropped, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&w.lock);
    return runs;
}

bool wp_log_writer_has(int loop)
{
    return loop >= 0 && loop < w.n_rings;
}

void wp_log_writer_record(int loop, wp_log_format_fn *format, const void *rec, size_t len,
                          uint64_t at_ns)
{
    enum wp_log_pushed pushed = wp_log_ring_push(w.rings[loop], format, rec, len, at_ns);

    if (pushed == LOG_PUSHED_PAST_HALF)
        wake();
    else if (WP_UNLIKELY(atomic_load_explicit(&w.asleep, memory_order_relaxed))) {
        atomic_store_explicit(&w.asleep, false, memory_order_relaxed);
        wake();
    }
}

/* --- the thread ------------------------------------------------------------------------------ */

void wp_log_write_now(int fd, const char *line, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, line, len);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (n > 0) {
            line += n;
            len -= (size_t)n;
        }
    }
}

/* May the thread go on waiting for a reader? */
static bool is_patient(int waited_ms)
{
    return waited_ms < STUCK_MS || !atomic_load(&w.stopping);
}

/* A pipe is written only as far as poll promises, so that a reader that is stuck holds up this
 * thread no longer than the next look at `stopping`. */
static void write_out(const char *p, size_t len)
{
    int waited_ms = 0;

    while (len > 0 && is_patient(waited_ms)) {
        struct pollfd pfd = {.fd = w.fd, .events = POLLOUT};
        size_t piece = w.is_file || len < PIPE_PIECE ? len : PIPE_PIECE;
        ssize_t n;
        if (!w.is_file && poll(&pfd, 1, 50) == 0) {
            waited_ms += 50;
            continue;
        }
        n = write(w.fd, p, piece);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return; /* the reader is gone, the disk is full: nobody to tell */
        if (n > 0) {
            p += n;
            len -= (size_t)n;
            waited_ms = 0;
        }
    }
}

static void flush_out(void)
{
    write_out(w.out, w.out_len);
    w.out_len = 0;
}

/* The lines that wait now: their number of octets; they are in `spare` then. */
static size_t take_queue(void)
{
    size_t len;
    char *lines;

    pthread_mutex_lock(&w.lock);
    len = w.queued;
    lines = w.queue;
    w.queue = w.spare;
    w.spare = lines;
    w.queued = 0;
    pthread_mutex_unlock(&w.lock);
    return len;
}

static void write_record(const struct wp_log_rec *rec, uint64_t mono_to_unix)
{
    if (OUT_SIZE - w.out_len < WP_LOG_FORMAT_MAX + 128)
        flush_out();
    w.out_len += wp_log_line_rec(w.out + w.out_len, OUT_SIZE - w.out_len, wp_log_is_json(),
                                 rec->at_ns + mono_to_unix, rec->format, rec->data, rec->len);
}

/* The rings' records merged by time: what a client asked one after the other stands so, whichever
 * workers answered. A record from after `until` waits for the next look: one that came before it
 * may just have been put into a ring that this look has passed. At most what one look may find, so
 * that the queue gets its turn. */
static bool drain_rings(uint64_t until)
{
    uint64_t mono_to_unix = wp_log_unix_ns() - wp_log_mono_ns();
    uint64_t octets = 0, most = (uint64_t)w.n_rings * LOG_RING_SIZE;

    for (int i = 0; i < w.n_rings; i++)
        w.next[i] = wp_log_ring_peek(w.rings[i]);
    while (octets < most) {
        int first = -1;
        for (int i = 0; i < w.n_rings; i++)
            if (w.next[i] != NULL && (first < 0 || w.next[i]->at_ns < w.next[first]->at_ns))
                first = i;
        if (first < 0 || w.next[first]->at_ns > until)
            break;
        write_record(w.next[first], mono_to_unix);
        octets += w.next[first]->size;
        wp_log_ring_pop(w.rings[first], w.next[first]);
        w.next[first] = wp_log_ring_peek(w.rings[first]);
    }
    return octets > 0;
}

/* The lines are taken first and written last: what a loop recorded before somebody said "shutting
 * down" stands before that line. */
static bool drain(bool is_last)
{
    uint64_t until = is_last ? UINT64_MAX : wp_log_mono_ns();
    uint64_t asked;
    size_t lines;
    bool any;

    pthread_mutex_lock(&w.lock);
    asked = w.flush_asked;
    pthread_mutex_unlock(&w.lock);
    lines = take_queue();
    any = lines > 0;
    any = drain_rings(until) || any;
    flush_out();
    write_out(w.spare, lines);
    pthread_mutex_lock(&w.lock);
    if (w.flush_done < asked) {
        w.flush_done = asked;
        pthread_cond_broadcast(&w.flushed);
    }
    pthread_mutex_unlock(&w.lock);
    return any;
}

static void wait_for_work(int ms)
{
    struct pollfd pfd = {.fd = w.wake_fd, .events = POLLIN};
    uint64_t count;

    if (poll(&pfd, 1, ms) <= 0)
        return;
    while (read(w.wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
    atomic_store(&w.signalled, false); /* before looking: what comes now signals again */
}

static void *run(void *arg)
{
    int empty = 0;

    (void)arg;
    for (;;) {
        bool stopping = atomic_load(&w.stopping);
        bool any = drain(stopping);
        if (stopping)
            return NULL;
        empty = any ? 0 : empty + 1;
        if (empty == IDLE_ROUNDS)
            atomic_store(&w.asleep, true); /* and look once more */
        wait_for_work(empty > IDLE_ROUNDS ? IDLE_MS : LOOK_MS);
        if (!atomic_load(&w.asleep) && empty >= IDLE_ROUNDS)
            empty = 0;
    }
}

/* --- start, stop, flush ----------------------------------------------------------------------- */

static double read_dropped(void *arg)
{
    uint64_t n = atomic_load_explicit(&w.dropped, memory_order_relaxed) + w.dropped_before;

    (void)arg;
    for (int i = 0; i < w.n_rings; i++)
        n += wp_log_ring_dropped(w.rings[i]);
    return (double)n;
}

static void free_all(void)
{
    for (int i = 0; i < w.n_rings; i++) {
        w.dropped_before += wp_log_ring_dropped(w.rings[i]);
        wp_log_ring_free(w.rings[i]);
    }
    w.n_rings = 0;
    free(w.rings);
    free(w.next);
    free(w.out);
    w.rings = NULL;
    w.next = NULL;
    w.out = NULL;
    pthread_mutex_lock(&w.lock); /* a thread of a library may log as late as now */
    write_out(w.queue, w.queued);
    free(w.queue);
    free(w.spare);
    if (w.wake_fd > 0)
        close(w.wake_fd);
    w.queue = w.spare = NULL;
    w.queued = 0;
    w.wake_fd = 0;
    pthread_mutex_unlock(&w.lock);
}

static int allocate(int n_loops)
{
    w.queue = malloc(QUEUE_SIZE);
    w.spare = malloc(QUEUE_SIZE);
    w.out = malloc(OUT_SIZE);
    w.rings = calloc((size_t)n_loops, sizeof(struct wp_log_ring *));
    w.next = calloc((size_t)n_loops, sizeof(struct wp_log_rec *));
    if (w.queue == NULL || w.spare == NULL || w.out == NULL || w.rings == NULL || w.next == NULL)
        return -ENOMEM;
    for (; w.n_rings < n_loops; w.n_rings++) {
        int r = wp_log_ring_new(LOG_RING_SIZE, &w.rings[w.n_rings]);
        if (r < 0)
            return r;
    }
    w.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return w.wake_fd < 0 ? -errno : 0;
}

int wp_log_start(int n_loops)
{
    sigset_t all, before;
    struct stat st;
    int r = allocate(n_loops);

    if (r < 0) {
        free_all();
        return r;
    }
    w.is_file = fstat(w.fd, &st) == 0 && S_ISREG(st.st_mode);
    w.queued = w.out_len = 0;
    atomic_store(&w.stopping, false);
    atomic_store(&w.asleep, false);
    atomic_store(&w.signalled, false);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the thread inherits it */
    r = pthread_create(&w.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0) {
        free_all();
        return -r;
    }
    pthread_setname_np(w.thread, "wp-log");
    wp_metric_read(wp_metric_series(&dropped_family, NULL), read_dropped, NULL);
    atomic_store_explicit(&w.runs, true, memory_order_release);
    return 0;
}

void wp_log_stop(void)
{
    if (!wp_log_writer_runs())
        return;
    atomic_store(&w.runs, false);
    atomic_store(&w.stopping, true);
    wake();
    pthread_join(w.thread, NULL);
    free_all();
}

void wp_log_flush(void)
{
    struct timespec until;
    uint64_t mine;
    int r = 0;

    if (!wp_log_writer_runs())
        return;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STUCK_MS / 1000;
    pthread_mutex_lock(&w.lock);
    mine = ++w.flush_asked;
    pthread_mutex_unlock(&w.lock);
    wake();
    pthread_mutex_lock(&w.lock);
    while (w.flush_done < mine && r == 0)
        r = pthread_cond_timedwait(&w.flushed, &w.lock, &until);
    pthread_mutex_unlock(&w.lock);
}
