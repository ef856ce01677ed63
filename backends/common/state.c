/* The life of a source's file: who it is of, when it is written, and the thread that writes. */
#include "backends/common/state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backends/common/state_priv.h"
#include "waypost/base/digest.h"
#include "waypost/base/hash.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/metric.h"

enum { NAME_OCTETS = 12, STACK = 128 << 10, TELL_AGAIN_MS = 3600 * 1000 };

static _Atomic uint64_t hung_dir; /* hash of a directory whose disk did not come back; 0: none */

int64_t wp_state_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- a disk that hangs ---------------------------------------------------------------------------
 */

/* One directory is enough: what hangs is told apart from what does not, nothing more. */
static uint64_t dir_hash(const struct wp_state *s)
{
    return wp_hash_bytes(s->c.dir, strlen(s->c.dir));
}

void wp_state_hangs(struct wp_state *s)
{
    atomic_store(&hung_dir, dir_hash(s));
}

bool wp_state_is_hung(const struct wp_state *s)
{
    return atomic_load(&hung_dir) == dir_hash(s);
}

/* --- the writing thread -------------------------------------------------------------------------
 */

static void tell_failure(struct wp_state *s, int e)
{
    int64_t now = wp_state_clock_ms();

    wp_metric_add(s->stats.failed, WP_METRIC_SHARED, 1);
    if (s->told_failure_ms != 0 && now - s->told_failure_ms < TELL_AGAIN_MS)
        return;
    s->told_failure_ms = now;
    if (e == WP_ELIMIT)
        wp_log(WP_WARNING, s->c.backend,
               "%s: not saved: %s would be larger than %llu octets; what was saved before stays",
               s->c.source, s->path, (unsigned long long)s->file.max);
    else
        wp_log(WP_WARNING, s->c.backend, "%s: not saved to %s: %s; what was saved before stays",
               s->c.source, s->path, e == -EBUSY ? "another process saves there" : wp_strerror(e));
}

static void tell_done(struct wp_state *s)
{
    uint64_t octets = s->file.octets;

    atomic_store_explicit(&s->last_size, octets, memory_order_relaxed);
    wp_metric_add(s->stats.done, WP_METRIC_SHARED, 1);
    wp_metric_set(s->stats.octets, (double)octets);
    wp_log(s->told_once ? WP_DEBUG : WP_INFO, s->c.backend,
           "%s: saved %llu records, %llu octets, in %lld ms to %s", s->c.source,
           (unsigned long long)s->writing_records, (unsigned long long)octets,
           (long long)(wp_state_clock_ms() - s->start_ms), s->path);
    if (s->writing_left_out > 0)
        wp_log(WP_WARNING, s->c.backend, "%s: %llu records larger than %d octets were not saved",
               s->c.source, (unsigned long long)s->writing_left_out, WP_STATE_RECORD_MAX);
    s->told_once = true;
    s->told_failure_ms = 0;
    if (wp_state_is_hung(s)) /* not any more */
        atomic_store(&hung_dir, 0);
}

/* File systems that know no locks must do without. */
static int begin_file(struct wp_state *s)
{
    s->start_ms = wp_state_clock_ms();
    if (mkdir(s->c.dir, 0700) < 0 && errno != EEXIST)
        return -errno;
    if (s->lock_fd < 0)
        s->lock_fd = wp_state_lock(s->lock_path);
    return s->lock_fd == -EBUSY ? -EBUSY : wp_state_file_open(&s->file);
}

static int write_block(struct wp_state *s, struct wp_state_block *b)
{
    int r = b->kind == WP_STATE_HEAD ? begin_file(s) : 0;

    if (r == 0)
        r = wp_state_file_block(&s->file, b);
    if (r == 0 && b->kind == WP_STATE_END)
        r = wp_state_file_commit(&s->file);
    if (r < 0) {
        tell_failure(s, r);
        wp_state_file_abandon(&s->file);
    } else if (b->kind == WP_STATE_END) {
        tell_done(s);
    }
    return r;
}

static void drop_queue(struct wp_state *s)
{
    while (s->queue != NULL) {
        struct wp_state_block *b = s->queue;
        s->queue = b->next;
        free(b);
    }
    s->queue_end = &s->queue;
    s->n_queued = 0;
}

/* By lock, which is given back while the disk works. */
static void write_next(struct wp_state *s)
{
    struct wp_state_block *b = s->queue;
    bool is_end = b->kind == WP_STATE_END;
    int r = 0;

    s->queue = b->next;
    if (s->queue == NULL)
        s->queue_end = &s->queue;
    s->n_queued--;
    if (!s->failed) {
        pthread_mutex_unlock(&s->lock);
        r = write_block(s, b);
        pthread_mutex_lock(&s->lock);
    }
    free(b);
    s->failed |= r < 0;
    if (is_end) {
        if (s->failed)
            atomic_store(&s->again, true);
        s->busy = s->ended = s->failed = false;
    }
}

static void give_up(struct wp_state *s)
{
    drop_queue(s);
    pthread_mutex_unlock(&s->lock);
    wp_state_file_abandon(&s->file);
    pthread_mutex_lock(&s->lock);
    s->busy = s->ended = s->failed = s->cancel = false;
}

/* The file's time. One that is not there has nothing to confirm. */
static void confirm(struct wp_state *s)
{
    s->confirm = false;
    pthread_mutex_unlock(&s->lock);
    (void)utimensat(AT_FDCWD, s->path, NULL, AT_SYMLINK_NOFOLLOW);
    pthread_mutex_lock(&s->lock);
}

static void destroy(struct wp_state *s)
{
    if (s->lock_fd >= 0) {
        (void)unlink(s->lock_path); /* the lock is still ours */
        close(s->lock_fd);
    }
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->cond);
    free((char *)(uintptr_t)s->c.dir);
    free((char *)(uintptr_t)s->c.backend);
    free((char *)(uintptr_t)s->c.source);
    free((char *)(uintptr_t)s->c.identity);
    free(s->path);
    free(s->temp);
    free(s->lock_path);
    free(s);
}

static void *run(void *arg)
{
    struct wp_state *s = arg;
    bool orphan;

    pthread_setname_np(pthread_self(), "wp-state");
    pthread_mutex_lock(&s->lock);
    for (;;) {
        if (s->cancel)
            give_up(s);
        else if (s->queue != NULL)
            write_next(s);
        else if (s->confirm)
            confirm(s);
        else if (s->stop)
            break;
        else
            pthread_cond_wait(&s->cond, &s->lock);
    }
    s->gone = true;
    orphan = s->orphan;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->lock);
    if (orphan)
        destroy(s);
    return NULL;
}

/* --- beginning and end --------------------------------------------------------------------------
 */

static int copy_words(struct wp_state *s, const struct wp_state_config *c)
{
    struct wp_digest *d = wp_digest_new();
    uint8_t digest[WP_DIGEST_LEN];
    char name[2 * NAME_OCTETS + 1];
    int r;

    if (d != NULL)
        wp_digest_add(d, c->identity, strlen(c->identity));
    r = wp_digest_end(d, digest);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < NAME_OCTETS; i++)
        snprintf(name + 2 * i, 3, "%02x", digest[i]);
    s->c.dir = strdup(c->dir);
    s->c.backend = strdup(c->backend);
    s->c.source = strdup(c->source);
    s->c.identity = strdup(c->identity);
    if (asprintf(&s->path, "%s/%s-%s.state", c->dir, c->backend, name) < 0)
        s->path = NULL;
    if (asprintf(&s->temp, "%s/%s-%s.tmp", c->dir, c->backend, name) < 0)
        s->temp = NULL;
    if (asprintf(&s->lock_path, "%s/%s-%s.lock", c->dir, c->backend, name) < 0)
        s->lock_path = NULL;
    return s->c.dir == NULL || s->lock_path == NULL || s->c.backend == NULL || s->c.source == NULL ||
                   s->c.identity == NULL || s->path == NULL || s->temp == NULL
               ? -ENOMEM
               : 0;
}

/* It takes no signal: one for a file that grows too large must be an error of write. */
static int start_thread(struct wp_state *s)
{
    sigset_t all, before;
    pthread_attr_t attr;
    int e;

    pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    e = pthread_create(&s->thread, &attr, run, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return -e;
}

int wp_state_new(const struct wp_state_config *c, struct wp_state **ret)
{
    struct wp_state *s = calloc(1, sizeof(*s));
    pthread_condattr_t monotonic;
    int r;

    if (s == NULL)
        return -ENOMEM;
    s->c.max_octets = c->max_octets;
    s->c.is_kin = c->is_kin;
    s->lock_fd = -1;
    s->queue_end = &s->queue;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
    r = strlen(c->identity) > WP_STATE_IDENTITY_MAX ? WP_ELIMIT : copy_words(s, c);
    s->file = (struct wp_state_file){
        .dir = s->c.dir,
        .path = s->path,
        .temp = s->temp,
        .max = c->max_octets != 0 ? c->max_octets : WP_STATE_OCTETS_MAX,
        .fd = -1,
    };
    if (r == 0)
        r = start_thread(s);
    if (r < 0) {
        destroy(s);
        return r;
    }
    wp_state_stats_init(s);
    *ret = s;
    return 0;
}

void wp_state_free(struct wp_state *s)
{
    struct timespec until;
    pthread_t thread;
    bool gone;

    if (s == NULL)
        return;
    thread = s->thread;
    wp_state_cancel(s);
    wp_state_stats_drop(s);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wp_state_is_hung(s) ? 0 : WP_STATE_STOP_MS / 1000;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->cond);
    while (!s->gone && pthread_cond_timedwait(&s->cond, &s->lock, &until) == 0)
        ;
    gone = s->gone;
    s->orphan = !gone;
    if (!gone)
        wp_state_hangs(s); /* from the unlocking on it is the thread's */
    pthread_mutex_unlock(&s->lock);
    if (gone) {
        pthread_join(s->thread, NULL);
        destroy(s);
        return;
    }
    /* the disk hangs: the thread frees what is left when it comes back */
    wp_log(WP_ERROR, "state", "the disk does not finish writing, not waiting any longer");
    pthread_detach(thread);
}

const char *wp_state_path(const struct wp_state *s)
{
    return s->path;
}

/* --- when ----------------------------------------------------------------------------------------
 */

static uint64_t ms(uint64_t n)
{
    return n * 1000000u;
}

void wp_state_changed(struct wp_state *s, uint64_t now_ns)
{
    if (s->dirty)
        return;
    s->dirty = true;
    s->dirty_ns = now_ns;
}

void wp_state_aged(struct wp_state *s, uint64_t now_ns)
{
    if (!s->dirty && !s->aged)
        s->dirty_ns = now_ns;
    s->aged = true;
}

bool wp_state_is_dirty(const struct wp_state *s)
{
    return s->dirty || s->aged || atomic_load(&((struct wp_state *)(uintptr_t)s)->again);
}

uint64_t wp_state_due(const struct wp_state *s)
{
    struct wp_state *w = (struct wp_state *)(uintptr_t)s;
    bool again = atomic_load(&w->again);
    uint64_t size = atomic_load_explicit(&w->last_size, memory_order_relaxed);
    uint64_t every = ms(WP_STATE_EVERY_MS), due = s->dirty_ns + ms(WP_STATE_DELAY_MS);

    if (!wp_state_is_dirty(s) || wp_state_is_busy(w))
        return UINT64_MAX;
    if (!s->dirty && !again) {
        every = ms(WP_STATE_AGED_MS);
        every = every > ms(size / WP_STATE_AGED_RATE) ? every : ms(size / WP_STATE_AGED_RATE);
    }
    if (s->began_ns != 0 && due < s->began_ns + every)
        due = s->began_ns + every;
    return due;
}

void wp_state_confirm(struct wp_state *s)
{
    pthread_mutex_lock(&s->lock);
    s->confirm = true;
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->lock);
}

/* --- a save --------------------------------------------------------------------------------------
 */

static void push(struct wp_state *s, struct wp_state_block *b)
{
    *s->queue_end = b;
    s->queue_end = &b->next;
    s->n_queued++;
    pthread_cond_signal(&s->cond);
}

static struct wp_state_block *head_block(const struct wp_state *s, const void *meta, size_t len)
{
    size_t backend = strlen(s->c.backend), identity = strlen(s->c.identity);
    struct wp_state_block *b =
        wp_state_block_new(WP_STATE_HEAD, 8 + 2 + backend + 2 + len + 4 + identity);
    uint64_t now_ms = (uint64_t)wp_state_clock_ms();
    struct wp_wr wr;

    if (b == NULL)
        return NULL;
    wr = wp_wr_to(wp_state_payload(b), b->cap);
    wp_wr_u32(&wr, (uint32_t)(now_ms >> 32));
    wp_wr_u32(&wr, (uint32_t)now_ms);
    wp_wr_u16(&wr, (unsigned)backend);
    wp_wr_bytes(&wr, s->c.backend, backend);
    wp_wr_u16(&wr, (unsigned)len);
    wp_wr_bytes(&wr, meta, len);
    wp_wr_u32(&wr, (uint32_t)identity);
    wp_wr_bytes(&wr, s->c.identity, identity);
    b->len = wr.len;
    return b;
}

int wp_state_begin(struct wp_state *s, uint64_t now_ns, const void *meta, size_t len)
{
    struct wp_state_block *head;

    if (wp_state_is_busy(s))
        return -EBUSY;
    head = head_block(s, meta, len);
    s->last = wp_state_block_new(WP_STATE_END, 8);
    if (head == NULL || s->last == NULL || len > WP_STATE_META_MAX) {
        free(head);
        free(s->last);
        s->last = NULL;
        return -ENOMEM;
    }
    s->dirty = s->aged = false;
    atomic_store(&s->again, false);
    s->began_ns = now_ns;
    s->n_records = s->n_left_out = 0;
    pthread_mutex_lock(&s->lock);
    s->busy = true;
    push(s, head);
    pthread_mutex_unlock(&s->lock);
    return 0;
}

/* Hand the open block over. */
static int flush(struct wp_state *s)
{
    int r = 0;

    pthread_mutex_lock(&s->lock);
    if (s->failed)
        r = WP_ECANCELLED;
    else if (s->n_queued >= WP_STATE_QUEUE_MAX)
        r = -EAGAIN;
    else if (s->open != NULL && s->open->len > 0) {
        push(s, s->open);
        s->open = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

int wp_state_room(struct wp_state *s, size_t len, uint8_t **ret)
{
    uint8_t *p;

    if (len > WP_STATE_RECORD_MAX) {
        s->n_left_out++;
        return WP_ELIMIT;
    }
    if (s->open != NULL && s->open->cap - s->open->len < len + 4) {
        int r = flush(s);
        if (r < 0)
            return r;
    }
    if (s->open == NULL) {
        s->open = wp_state_block_new(WP_STATE_RECORDS,
                                     len + 4 > WP_STATE_BLOCK ? len + 4 : WP_STATE_BLOCK);
        if (s->open == NULL)
            return -ENOMEM;
    }
    p = wp_state_payload(s->open) + s->open->len;
    wp_put32(p, (uint32_t)len);
    s->open->len += len + 4;
    s->n_records++;
    *ret = p + 4;
    return 0;
}

int wp_state_end(struct wp_state *s)
{
    int r = flush(s);

    if (r < 0)
        return r;
    free(s->open);
    s->open = NULL;
    wp_state_put64(wp_state_payload(s->last), s->n_records);
    s->last->len = 8;
    pthread_mutex_lock(&s->lock);
    s->writing_records = s->n_records;
    s->writing_left_out = s->n_left_out;
    s->ended = true;
    push(s, s->last);
    s->last = NULL;
    pthread_mutex_unlock(&s->lock);
    return 0;
}

void wp_state_cancel(struct wp_state *s)
{
    free(s->open);
    free(s->last);
    s->open = s->last = NULL;
    pthread_mutex_lock(&s->lock);
    if (s->busy && !s->ended) {
        s->cancel = true;
        atomic_store(&s->again, true);
        pthread_cond_signal(&s->cond);
    }
    pthread_mutex_unlock(&s->lock);
}

/* In that order: what fails is dirty before it is no longer busy. */
bool wp_state_is_settled(struct wp_state *s)
{
    return !wp_state_is_busy(s) && !wp_state_is_dirty(s);
}

bool wp_state_is_busy(struct wp_state *s)
{
    bool busy;

    pthread_mutex_lock(&s->lock);
    busy = s->busy;
    pthread_mutex_unlock(&s->lock);
    return busy;
}
