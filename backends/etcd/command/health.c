#include "backends/etcd/command/health.h"

#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000ull
#define FIRST_EVERY_NS (500 * MS) /* before the first success: a start is not waited for long */
enum { WHY_MAX = 160, REPLY_MAX = 512 };

struct etcd_health {
    struct etcd_health_config config;
    etcd_health_fn *change;
    void *arg;
    pthread_t thread;
    int stop_fd; /* readable: stop */
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool stop;
    pid_t pid; /* by lock, like the next two; 0: no check runs */
    bool reaped;
    int status;
};

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

/* --- tcp and http --------------------------------------------------------------------------- */

/* 0 when the descriptor is ready, -ETIMEDOUT, or -ECANCELED: stop. */
static int wait_fd(const struct etcd_health *h, int fd, short events, uint64_t end)
{
    struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = h->stop_fd, .events = POLLIN}};

    for (;;) {
        uint64_t now = now_ns();
        int left_ms = now >= end ? 0 : (int)((end - now + MS - 1) / MS);
        int n = poll(fds, 2, left_ms);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0 && fds[1].revents != 0)
            return -ECANCELED;
        if (n > 0)
            return 0;
        if (n == 0 && now_ns() >= end)
            return -ETIMEDOUT;
    }
}

static int connect_one(const struct etcd_health *h, const struct addrinfo *ai, uint64_t end,
                       int *ret_fd)
{
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r = 0, e = 0;
    socklen_t len = sizeof(e);

    if (fd < 0)
        return -errno;
    if (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0) {
        r = errno == EINPROGRESS ? wait_fd(h, fd, POLLOUT, end) : -errno;
        if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) == 0)
            r = -e;
    }
    if (r < 0)
        close(fd);
    else
        *ret_fd = fd;
    return r;
}

/* Any address of the host. */
static int connect_any(const struct etcd_health *h, uint64_t end, int *ret_fd, char why[WHY_MAX])
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    const struct etcd_health_config *c = &h->config;
    struct addrinfo *all = NULL;
    int r = getaddrinfo(c->host, c->port, &hints, &all);

    if (r != 0) {
        snprintf(why, WHY_MAX, "%.60s: %s", c->host, gai_strerror(r));
        return WP_ENOTFOUND;
    }
    r = -ECONNREFUSED;
    for (const struct addrinfo *ai = all; ai != NULL; ai = ai->ai_next) {
        r = connect_one(h, ai, end, ret_fd);
        if (r == 0 || r == -ECANCELED)
            break;
    }
    freeaddrinfo(all);
    if (r < 0)
        snprintf(why, WHY_MAX, "%.60s port %s: %s", c->host, c->port, strerror(-r));
    return r;
}

static int check_tcp(struct etcd_health *h, uint64_t end, char why[WHY_MAX])
{
    int fd, r = connect_any(h, end, &fd, why);

    if (r == 0)
        close(fd);
    return r;
}

/* The status of the reply: all that counts of it. */
static int read_status(const struct etcd_health *h, int fd, uint64_t end, char why[WHY_MAX])
{
    char reply[REPLY_MAX];
    size_t n = 0;
    unsigned minor, status;

    while (n < sizeof(reply) - 1 && memchr(reply, '\n', n) == NULL) {
        ssize_t got;
        int r = wait_fd(h, fd, POLLIN, end);
        if (r == 0) {
            got = recv(fd, reply + n, sizeof(reply) - 1 - n, 0);
            r = got < 0 ? (errno == EAGAIN ? 0 : -errno) : got == 0 ? -ECONNRESET : 0;
            n += got > 0 ? (size_t)got : 0;
        }
        if (r < 0) {
            snprintf(why, WHY_MAX, "%.60s: %s", h->config.named, strerror(-r));
            return r;
        }
    }
    reply[n] = '\0';
    if (sscanf(reply, "HTTP/1.%1u %3u", &minor, &status) != 2) {
        snprintf(why, WHY_MAX, "%.60s: no HTTP reply", h->config.named);
        return WP_EMALFORMED;
    }
    snprintf(why, WHY_MAX, "%.60s: HTTP status %u", h->config.named, status);
    return status >= 200 && status < 400 ? 0 : WP_EREFUSED;
}

static int check_http(struct etcd_health *h, uint64_t end, char why[WHY_MAX])
{
    char *ask = NULL;
    int fd, r, len;

    r = connect_any(h, end, &fd, why);
    if (r < 0)
        return r;
    len = asprintf(&ask,
                   "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: waypost\r\nAccept: */*\r\n"
                   "Connection: close\r\n\r\n",
                   h->config.path, h->config.named);
    if (len < 0 || send(fd, ask, (size_t)len, MSG_NOSIGNAL) != len) {
        snprintf(why, WHY_MAX, "%.60s: %s", h->config.named, strerror(errno));
        r = -EPIPE;
    }
    if (len >= 0)
        free(ask);
    if (r == 0)
        r = read_status(h, fd, end, why);
    close(fd);
    return r;
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

static int check_exec(struct etcd_health *h, uint64_t end, char why[WHY_MAX])
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
        snprintf(why, WHY_MAX, "check: %s", strerror(-r));
    else if (WIFSIGNALED(h->status))
        snprintf(why, WHY_MAX, "check: killed by signal %d", WTERMSIG(h->status));
    else
        snprintf(why, WHY_MAX, "check: exit code %d", WEXITSTATUS(h->status));
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

static int check_once(struct etcd_health *h, char why[WHY_MAX])
{
    uint64_t end = now_ns() + (uint64_t)h->config.timeout_ns;

    switch (h->config.kind) {
    case ETCD_HEALTH_TCP:
        return check_tcp(h, end, why);
    case ETCD_HEALTH_HTTP:
        return check_http(h, end, why);
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

static void *run(void *arg)
{
    struct etcd_health *h = arg;
    uint64_t interval = (uint64_t)h->config.interval_ns, wait;
    int64_t failed = 0;
    bool was_well = false, told = false, ever = false;

    do {
        char why[WHY_MAX] = "";
        int r = check_once(h, why);

        if (r == -ECANCELED)
            break;
        failed = r == 0 ? 0 : failed + 1;
        if (r == 0 && !was_well) {
            h->change(h->arg, true, "");
            was_well = told = ever = true;
        } else if (r < 0 && ((was_well && failed >= h->config.fails) || !told)) {
            h->change(h->arg, false, why);
            was_well = false;
            told = true;
        }
        wait = !ever && interval > FIRST_EVERY_NS ? FIRST_EVERY_NS : interval;
    } while (pause_ns(h, wait));
    return NULL;
}

static void health_free(struct etcd_health *h)
{
    if (h->stop_fd >= 0)
        close(h->stop_fd);
    pthread_cond_destroy(&h->cond);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

int etcd_health_start(const struct etcd_health_config *config, etcd_health_fn *change, void *arg,
                      struct etcd_health **ret)
{
    struct etcd_health *h = calloc(1, sizeof(*h));
    pthread_condattr_t attr;
    int r;

    if (h == NULL)
        return -ENOMEM;
    h->config = *config;
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
