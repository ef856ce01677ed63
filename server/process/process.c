/* The running process: workers and admin thread, the current generation, and how one follows
 * another. Everything here runs on the main thread unless its comment says otherwise. */
#include "server/process/process.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server/process/process_priv.h"
#include "waypost/base/grace.h"
#include "waypost/plugin/log.h"
#include "waypost/server/admin.h"
#include "waypost/server/router.h"
#include "waypost/server/worker.h"

enum { WORKERS_MAX = 64, QUERIES_PER_WORKER = 10000 };

struct thread {
    struct wp_loop *loop;
    struct wp_worker worker; /* unused for admin */
    pthread_t id;
    bool running;
};

struct wp_process {
    struct thread *threads; /* n_workers workers, then admin */
    struct wp_loop **loops; /* of the workers */
    int n_workers;
    struct wp_gen *gen;
    struct wp_socket *sockets;
    struct wp_admin *admin; /* what it tells of itself */
    int event_fd;           /* any thread wakes main */
    pthread_mutex_t lock;   /* of ended */
    struct wp_gen *ended;   /* retired generations without queries */
    _Atomic int draining;   /* stream listeners not yet empty */
};

/* --- threads ------------------------------------------------------------------------------- */

static int count_cpus(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    const char *asked = getenv("WAYPOST_WORKERS");

    if (asked == NULL)
        asked = getenv("GOMAXPROCS"); /* what a unit file for CoreDNS would set */
    if (asked != NULL && atoi(asked) > 0)
        n = atoi(asked);
    return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : n;
}

static void *run_thread(void *arg)
{
    struct thread *t = arg;

    wp_loop_run(t->loop);
    return NULL;
}

static int start_threads(struct wp_process *p)
{
    for (int i = 0; i <= p->n_workers; i++) {
        struct thread *t = &p->threads[i];
        char name[32]; /* the kernel keeps 15 */
        int r = wp_loop_new(i, &t->loop);

        if (r < 0)
            return r;
        if (i < p->n_workers) {
            p->loops[i] = t->loop;
            r = wp_worker_init(&t->worker, t->loop, QUERIES_PER_WORKER);
            if (r < 0)
                return r;
        }
        r = pthread_create(&t->id, NULL, run_thread, t);
        if (r != 0)
            return -r;
        t->running = true;
        if (i < p->n_workers)
            snprintf(name, sizeof(name), "worker-%.2d", i);
        else
            snprintf(name, sizeof(name), "admin");
        pthread_setname_np(t->id, name);
    }
    return 0;
}

static void stop_threads(struct wp_process *p)
{
    for (int i = 0; p->threads != NULL && i <= p->n_workers; i++) {
        struct thread *t = &p->threads[i];

        if (t->running) {
            wp_loop_stop(t->loop);
            pthread_join(t->id, NULL);
        }
    }
    /* no reader is left: what waits for a grace period goes now */
    while (wp_grace_reclaim() > 0)
        ;
    for (int i = 0; p->threads != NULL && i <= p->n_workers; i++) {
        if (i < p->n_workers && p->threads[i].loop != NULL)
            wp_worker_done(&p->threads[i].worker);
        wp_loop_free(p->threads[i].loop);
    }
}

int wp_process_new(struct wp_process **ret)
{
    struct wp_process *p = calloc(1, sizeof(*p));
    int r = -ENOMEM;

    if (p == NULL)
        return -ENOMEM;
    p->event_fd = -1;
    pthread_mutex_init(&p->lock, NULL);
    p->n_workers = count_cpus();
    p->threads = calloc((size_t)p->n_workers + 1, sizeof(*p->threads));
    p->loops = calloc((size_t)p->n_workers, sizeof(*p->loops));
    if (p->threads == NULL || p->loops == NULL)
        goto out;
    p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->event_fd < 0) {
        r = -errno;
        goto out;
    }
    r = start_threads(p);
    if (r == 0)
        r = wp_admin_new(wp_process_admin(p), p->loops, p->n_workers, &p->admin);
    if (r < 0)
        goto out;
    *ret = p;
    return 0;
out:
    wp_process_free(p);
    return r;
}

void wp_process_free(struct wp_process *p)
{
    if (p == NULL)
        return;
    stop_threads(p);
    wp_admin_free(p->admin);
    wp_sockets_free(p->sockets);
    if (p->event_fd >= 0)
        close(p->event_fd);
    pthread_mutex_destroy(&p->lock);
    free(p->threads);
    free(p->loops);
    free(p);
}

int wp_process_event_fd(const struct wp_process *p)
{
    return p->event_fd;
}

static void wake_main(struct wp_process *p)
{
    uint64_t one = 1;
    ssize_t r = write(p->event_fd, &one, sizeof(one));

    (void)r; /* full: main is being woken already */
}

struct wp_gen *wp_process_gen(const struct wp_process *p)
{
    return p->gen;
}

struct wp_loop *wp_process_admin(const struct wp_process *p)
{
    return p->threads[p->n_workers].loop;
}

struct wp_admin *wp_process_status(const struct wp_process *p)
{
    return p->admin;
}

int wp_process_workers(const struct wp_process *p)
{
    return p->n_workers;
}

/* --- generations --------------------------------------------------------------------------- */

static struct wp_process *the_process; /* for callbacks that only get a generation */

/* On the thread of the worker that was last. */
static void on_gen_idle(struct wp_gen *gen)
{
    struct wp_process *p = the_process;

    pthread_mutex_lock(&p->lock);
    gen->next = p->ended;
    p->ended = gen;
    pthread_mutex_unlock(&p->lock);
    wake_main(p);
}

void wp_process_reap(struct wp_process *p)
{
    struct wp_gen *list;
    uint64_t n;
    ssize_t r = read(p->event_fd, &n, sizeof(n));

    (void)r;
    pthread_mutex_lock(&p->lock);
    list = p->ended;
    p->ended = NULL;
    pthread_mutex_unlock(&p->lock);
    while (list != NULL) {
        struct wp_gen *next = list->next;

        if (list == p->gen)
            p->gen = NULL; /* the process is ending */
        wp_gen_free(list);
        list = next;
    }
    wp_grace_reclaim();
}

/* What one worker is told to do; all of it on that worker's thread. */
struct apply {
    struct wp_process *p;
    struct wp_socket *made, *left; /* of the new generation; no longer needed */
    struct wp_gen *gen, *old;      /* old: NULL at first start */
    int worker;
    int failed;                    /* of the first open() that failed */
};

/* A listener on its way out. Its connections may still ask: they hold its generation, whose routes
 * and limits apply to them. */
struct leaving {
    struct wp_task task;
    struct wp_socket socket;
    struct wp_process *p;
    struct wp_gen *gen;
};

static void close_leaving(struct wp_task *task)
{
    struct leaving *l = (struct leaving *)task;
    struct wp_process *p = l->p;

    l->socket.ops->close(l->socket.listener);
    wp_gen_release(l->gen, l->socket.worker);
    free(l);
    if (atomic_fetch_sub(&p->draining, 1) == 1)
        wake_main(p);
}

static void on_drained(void *arg)
{
    struct leaving *l = arg;

    l->task.fn = close_leaving;
    wp_loop_defer(l->p->loops[l->socket.worker], &l->task);
}

static void leave(struct wp_process *p, const struct wp_socket *s, struct wp_gen *gen)
{
    struct leaving *l = s->ops->drain != NULL ? calloc(1, sizeof(*l)) : NULL;

    if (l == NULL) {
        s->ops->close(s->listener);
        return;
    }
    *l = (struct leaving){.socket = *s, .p = p, .gen = gen};
    wp_gen_hold(gen, s->worker);
    atomic_fetch_add(&p->draining, 1);
    s->ops->drain(s->listener, on_drained, l);
}

static void apply_on_worker(void *arg, struct wp_loop *loop)
{
    struct apply *a = arg;
    struct wp_worker *w = wp_loop_user(loop);

    for (struct wp_socket *s = a->made; s != NULL; s = s->next) {
        int r;

        if (s->worker != a->worker)
            continue;
        if (s->listener != NULL) {
            s->ops->swap(s->listener, s->group);
            continue;
        }
        r = s->ops->open(w, s->group, s->fd, &s->listener);
        if (r < 0) {
            a->failed = r;
            continue;
        }
        s->fd = -1; /* the listener's now */
    }
    for (struct wp_socket *s = a->left; s != NULL; s = s->next) {
        if (s->worker == a->worker && s->listener != NULL)
            leave(a->p, s, a->old);
    }
    w->gen = a->gen;
    if (a->old != NULL)
        wp_gen_retire(a->old, a->worker);
}

int wp_process_apply(struct wp_process *p, struct wp_gen *gen, struct wp_conf_report *report)
{
    struct wp_env env = {
        .workers = p->loops, .n_workers = p->n_workers, .admin = wp_process_admin(p)};
    struct wp_socket *made = NULL, *left;
    struct wp_gen *old = p->gen;
    int r, failed = 0;

    the_process = p;
    gen->on_idle = on_gen_idle;
    r = wp_gen_start(gen, &env, old, report);
    if (r < 0)
        return r;
    r = wp_sockets_open(gen, p->n_workers, p->sockets, report, &made);
    if (r < 0)
        return r;
    left = p->sockets;
    p->sockets = made;
    p->gen = gen;
    if (old != NULL)
        wp_gen_quiesce(old);
    for (int i = 0; i < p->n_workers; i++) {
        struct apply a = {.p = p, .made = made, .left = left, .gen = gen, .old = old, .worker = i};

        wp_loop_call(p->loops[i], apply_on_worker, &a);
        if (a.failed < 0)
            failed = a.failed;
    }
    wp_sockets_free(left);
    if (failed < 0 && old == NULL)
        return wp_conf_report_add(report, WP_CONF_PLAIN, NULL, NULL, 0, "cannot listen: %s",
                                  wp_strerror(failed));
    if (failed < 0)
        wp_log(WP_ERROR, NULL, "A listener could not be opened: %s", wp_strerror(failed));
    wp_admin_serve(p->admin, gen);
    return 0;
}

/* --- the end ------------------------------------------------------------------------------- */

static void drain_on_worker(void *arg, struct wp_loop *loop)
{
    struct apply *a = arg;

    (void)loop;
    for (struct wp_socket *s = a->left; s != NULL; s = s->next) {
        if (s->worker == a->worker && s->listener != NULL && s->ops->drain != NULL) {
            leave(a->p, s, a->p->gen);
            s->listener = NULL;
        }
    }
}

static void close_on_worker(void *arg, struct wp_loop *loop)
{
    struct apply *a = arg;
    struct wp_worker *w = wp_loop_user(loop);

    w->gen = NULL;
    for (struct wp_socket *s = a->left; s != NULL; s = s->next) {
        if (s->worker == a->worker && s->listener != NULL) {
            s->ops->close(s->listener);
            s->listener = NULL;
        }
    }
    if (a->old != NULL)
        wp_gen_retire(a->old, a->worker);
}

static void on_all(struct wp_process *p, void (*fn)(void *arg, struct wp_loop *loop),
                   struct wp_gen *old)
{
    for (int i = 0; i < p->n_workers; i++) {
        struct apply a = {.p = p, .left = p->sockets, .old = old, .worker = i};

        wp_loop_call(p->loops[i], fn, &a);
    }
}

void wp_process_drain(struct wp_process *p)
{
    on_all(p, drain_on_worker, NULL);
}

bool wp_process_is_drained(const struct wp_process *p)
{
    return atomic_load(&p->draining) == 0;
}

void wp_process_close(struct wp_process *p)
{
    wp_admin_close(p->admin);
    on_all(p, close_on_worker, p->gen);
}

bool wp_process_is_idle(const struct wp_process *p)
{
    return p->gen == NULL;
}

