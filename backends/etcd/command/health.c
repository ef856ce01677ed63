#include "backends/etcd/command/health_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000ull
#define FIRST_EVERY_NS (500 * MS) /* before the first success: a start is not waited for long */
static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct timespec at_ns(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
}

/* --- exec ----------------------------------------------------------------------------------- */

/* Until the child has been reaped; at `end` it is killed with all that it started. */
static int wait_child(struct etcd_health *h, uint64_t end)
{
    struct timespec until = at_ns(end);
    bool late = false;

    while (!h->reaped && !h->stop && !late)
        late = pthread_cond_timedwait(&h->cond, &h->lock, &until) == ETIMEDOUT;
    if (h->reaped)
        return 0;
    kill(-h->pid, SIGKILL);
    while (!h->reaped && !h->stop)
        pthread_cond_wait(&h->cond, &h->lock);
    return h->stop ? -ECANCELED : -ETIMEDOUT;
}

static int check_exec(struct etcd_health *h, uint64_t end, char why[HEALTH_WHY_MAX])
{
    char *argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                    (char *)(uintptr_t)h->config.command, NULL};
    int r;

    pthread_mutex_lock(&h->lock); /* whoever reaps waits until the number is known */
    h->reaped = false;
    r = h->stop ? -ECANCELED : etcd_spawn(h->config.signals, argv, true, &h->pid);
    if (r == 0)
        r = wait_child(h, end);
    if (r < 0)
        snprintf(why, HEALTH_WHY_MAX, "check: %s", strerror(-r));
    else if (WIFSIGNALED(h->status))
        snprintf(why, HEALTH_WHY_MAX, "check: killed by signal %d", WTERMSIG(h->status));
    else
        snprintf(why, HEALTH_WHY_MAX, "check: exit code %d", WEXITSTATUS(h->status));
    if (r == 0 && h->status != 0)
        r = WP_EREFUSED;
    h->pid = 0;
    pthread_mutex_unlock(&h->lock);
    return r;
}

bool etcd_health_reaped(struct etcd_health *h, pid_t pid, int status)
{
    bool mine;

    pthread_mutex_lock(&h->lock);
    mine = h->pid == pid;
    if (mine) {
        h->reaped = true;
        h->status = status;
        pthread_cond_broadcast(&h->cond);
    }
    pthread_mutex_unlock(&h->lock);
    return mine;
}

/* --- again and again ------------------------------------------------------------------------ */

static int check_once(struct etcd_health *h, char why[HEALTH_WHY_MAX])
{
    uint64_t end = now_ns() + (uint64_t)h->config.timeout_ns;

    switch (h->config.kind) {
    case ETCD_HEALTH_TCP:
        return health_tcp(h, end, why);
    case ETCD_HEALTH_HTTP:
        return health_http(h, end, why);
    case ETCD_HEALTH_EXEC:
        break;
    }
    return check_exec(h, end, why);
}

/* False: stop. */
static bool pause_ns(struct etcd_health *h, uint64_t ns)
{
    struct timespec until = at_ns(now_ns() + ns);
    bool late = false, go_on;

    pthread_mutex_lock(&h->lock);
    while (!h->stop && !late)
        late = pthread_cond_timedwait(&h->cond, &h->lock, &until) == ETIMEDOUT;
    go_on = !h->stop;
    pthread_mutex_unlock(&h->lock);
    return go_on;
}

static void health_free(struct etcd_health *h)
{
    if (h->stop_fd >= 0)
        close(h->stop_fd);
    pthread_cond_destroy(&h->cond);
    pthread_mutex_destroy(&h->lock);
    wp_arena_done(&h->arena);
    free(h);
}

/* Whoever has stopped the check, under the lock, hears nothing more. */
static void tell(struct etcd_health *h, bool is_well, const char *why)
{
    pthread_mutex_lock(&h->lock);
    if (!h->stop)
        h->change(h->arg, is_well, why);
    pthread_mutex_unlock(&h->lock);
}

static void *run(void *arg)
{
    struct etcd_health *h = arg;
    uint64_t interval = (uint64_t)h->config.interval_ns, wait;
    int64_t failed = 0;
    bool was_well = false, told = false, ever = false, mine;

    do {
        char why[HEALTH_WHY_MAX] = "";
        int r = check_once(h, why);

        if (r == -ECANCELED)
            break;
        failed = r == 0 ? 0 : failed + 1;
        if (r == 0 && !was_well) {
            tell(h, true, "");
            was_well = told = ever = true;
        } else if (r < 0 && ((was_well && failed >= h->config.fails) || !told)) {
            tell(h, false, why);
            was_well = false;
            told = true;
        }
        wait = !ever && interval > FIRST_EVERY_NS ? FIRST_EVERY_NS : interval;
    } while (pause_ns(h, wait));
    pthread_mutex_lock(&h->lock);
    mine = h->abandoned;
    pthread_mutex_unlock(&h->lock);
    if (mine) {
        wp_client_tls_free(h->config.tls);
        health_free(h);
    }
    return NULL;
}

static int copy_config(struct etcd_health *h, const struct etcd_health_config *config)
{
    const char **texts[] = {&h->config.host,  &h->config.port,     &h->config.path,
                            &h->config.named, &h->config.tls_name, &h->config.command};

    wp_arena_init(&h->arena, 0);
    h->config = *config;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (*texts[i] != NULL)
            *texts[i] = wp_arena_strdup(&h->arena, *texts[i]);
        else
            continue;
        if (*texts[i] == NULL)
            return -ENOMEM;
    }
    return 0;
}

int etcd_health_start(const struct etcd_health_config *config, etcd_health_fn *change, void *arg,
                      struct etcd_health **ret)
{
    struct etcd_health *h = calloc(1, sizeof(*h));
    pthread_condattr_t attr;
    int r;

    if (h == NULL)
        return -ENOMEM;
    if (copy_config(h, config) < 0) {
        wp_arena_done(&h->arena);
        free(h);
        return -ENOMEM;
    }
    h->change = change;
    h->arg = arg;
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->cond, &attr);
    pthread_condattr_destroy(&attr);
    h->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = h->stop_fd < 0 ? -errno : -pthread_create(&h->thread, NULL, run, h);
    if (r < 0) {
        health_free(h);
        return r;
    }
    *ret = h;
    return 0;
}

void etcd_health_stop(struct etcd_health *h)
{
    if (h == NULL)
        return;
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    if (h->pid > 0 && !h->reaped)
        kill(-h->pid, SIGKILL);
    pthread_cond_broadcast(&h->cond);
    pthread_mutex_unlock(&h->lock);
    eventfd_write(h->stop_fd, 1);
    pthread_join(h->thread, NULL);
    health_free(h);
}

void etcd_health_abandon(struct etcd_health *h)
{
    if (h == NULL)
        return;
    pthread_mutex_lock(&h->lock);
    h->stop = h->abandoned = true;
    pthread_detach(h->thread);
    eventfd_write(h->stop_fd, 1);
    pthread_cond_broadcast(&h->cond);
    pthread_mutex_unlock(&h->lock);
}
