/* The engine: one thread that runs curl's transfers, timers and what is posted. curl forbids to add
 * or remove a transfer in its own callbacks: both wait for the engine's next turn. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/common/http_client_priv.h"

enum {
    SOCKETS_MAX = 256, /* connections that can be cut; the others end by themselves */
    LONGEST_WAIT_MS = 60000,
    /* a dead peer is given up 15 seconds after 30 silent ones, whatever still waits for it */
    KEEP_IDLE_S = 30,
    KEEP_EACH_S = 5,
    KEEP_PROBES = 3,
};

static struct {
    pthread_mutex_t lock;
    unsigned users; /* by lock */
    pthread_t thread;
    CURLM *multi;
    struct wp_engine_work work;
    struct wp_httpc_call *calls; /* the engine thread's, like what follows */
    int sockets[SOCKETS_MAX];
    unsigned n_sockets;
    bool stopping;
    struct wp_engine_post stop;
} engine = {.lock = PTHREAD_MUTEX_INITIALIZER};

void wp_httpc_engine_post(struct wp_engine_post *post)
{
    wp_engine_post(&engine.work, post);
    curl_multi_wakeup(engine.multi);
}

void wp_httpc_timer_set(struct wp_engine_timer *t, uint64_t due_ns)
{
    wp_engine_timer_set(&engine.work, t, due_ns);
}

void wp_httpc_timer_cancel(struct wp_engine_timer *t)
{
    wp_engine_timer_cancel(&engine.work, t);
}

void wp_httpc_engine_add(struct wp_httpc_call *c)
{
    c->prev = NULL;
    c->next = engine.calls;
    if (c->next != NULL)
        c->next->prev = c;
    engine.calls = c;
}

/* --- sockets ------------------------------------------------------------------------------- */

int wp_httpc_engine_socket(void *clientp, curl_socket_t fd, curlsocktype purpose)
{
    const int on = 1, idle = KEEP_IDLE_S, each = KEEP_EACH_S, probes = KEEP_PROBES;
    const unsigned most_ms = (KEEP_IDLE_S + KEEP_EACH_S * KEEP_PROBES) * 1000;

    (void)clientp;
    (void)purpose;
    /* All of them hints: a unix socket has none. */
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &each, sizeof(each));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &most_ms, sizeof(most_ms));
    if (engine.n_sockets < SOCKETS_MAX)
        engine.sockets[engine.n_sockets++] = fd;
    return CURL_SOCKOPT_OK;
}

int wp_httpc_engine_close(void *clientp, curl_socket_t fd)
{
    (void)clientp;
    for (unsigned i = 0; i < engine.n_sockets; i++)
        if (engine.sockets[i] == fd) {
            engine.sockets[i] = engine.sockets[--engine.n_sockets];
            break;
        }
    return close(fd);
}

struct ports {
    long local, peer;
};

static struct ports ports_of(const struct wp_httpc_call *c)
{
    struct ports p = {0};

    if (c->state == WP_HTTPC_RUNNING) {
        curl_easy_getinfo(c->easy, CURLINFO_LOCAL_PORT, &p.local);
        curl_easy_getinfo(c->easy, CURLINFO_PRIMARY_PORT, &p.peer);
    }
    return p;
}

static long port_of(int fd, int (*name)(int, struct sockaddr *, socklen_t *))
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } sa = {0};
    socklen_t len = sizeof(sa);

    if (name(fd, &sa.any, &len) < 0)
        return 0;
    return sa.any.sa_family == AF_INET    ? ntohs(sa.v4.sin_port)
           : sa.any.sa_family == AF_INET6 ? ntohs(sa.v6.sin6_port)
                                          : 0;
}

/* curl would give the connection of a silent call to the next one. It has no way to close it, and
 * tells no descriptor of a running transfer, but the ports. */
void wp_httpc_engine_cut(const struct wp_httpc_call *c, uint64_t since_ns)
{
    struct ports p = ports_of(c);

    if (p.local == 0 || p.peer == 0)
        return;
    for (const struct wp_httpc_call *o = engine.calls; o != NULL; o = o->next) {
        struct ports other = ports_of(o);
        if (o != c && other.local == p.local && other.peer == p.peer && o->last_ns > since_ns)
            return;
    }
    for (unsigned i = 0; i < engine.n_sockets; i++)
        if (port_of(engine.sockets[i], getsockname) == p.local &&
            port_of(engine.sockets[i], getpeername) == p.peer)
            shutdown(engine.sockets[i], SHUT_RDWR);
}

/* --- the thread ---------------------------------------------------------------------------- */

/* Calls that are new or may go on again. Their callbacks may start others, which come first in the
 * list and are met in the next turn. */
static void take_up(void)
{
    for (struct wp_httpc_call *c = engine.calls, *next; c != NULL; c = next) {
        next = c->next;
        if (c->state == WP_HTTPC_NEW) {
            c->state = WP_HTTPC_RUNNING;
            if (curl_multi_add_handle(engine.multi, c->easy) != CURLM_OK)
                wp_httpc_call_end(c, CURLE_OUT_OF_MEMORY);
        }
        if (c->state == WP_HTTPC_RUNNING && c->resuming) {
            CURLcode r;
            c->resuming = c->paused = false;
            r = curl_easy_pause(c->easy, CURLPAUSE_CONT);
            if (r != CURLE_OK && c->state == WP_HTTPC_RUNNING)
                wp_httpc_call_end(c, r);
        }
    }
}

static void tell_ends(void)
{
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(engine.multi, &left)) != NULL) {
        struct wp_httpc_call *c = NULL;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
        if (m->msg == CURLMSG_DONE && c->state == WP_HTTPC_RUNNING)
            wp_httpc_call_end(c, m->data.result);
    }
}

static void reap(void)
{
    for (struct wp_httpc_call *c = engine.calls, *next; c != NULL; c = next) {
        next = c->next;
        if (c->state != WP_HTTPC_ENDED && c->state != WP_HTTPC_DROPPED)
            continue;
        if (c->prev != NULL)
            c->prev->next = next;
        else
            engine.calls = next;
        if (next != NULL)
            next->prev = c->prev;
        wp_engine_timer_cancel(&engine.work, &c->idle);
        curl_multi_remove_handle(engine.multi, c->easy);
        wp_httpc_call_free(c);
    }
}

static bool has_work(void)
{
    for (const struct wp_httpc_call *c = engine.calls; c != NULL; c = c->next)
        if (c->state == WP_HTTPC_NEW || c->resuming)
            return true;
    return false;
}

static void *engine_run(void *arg)
{
    (void)arg;
    pthread_setname_np(pthread_self(), "wp-http");
    for (;;) {
        uint64_t wait_ms;
        int running;

        wp_engine_run_posts(&engine.work);
        if (!engine.stopping)
            wp_engine_run_timers(&engine.work);
        take_up();
        curl_multi_perform(engine.multi, &running);
        tell_ends();
        reap();
        if (engine.stopping)
            return NULL;
        wait_ms = wp_engine_wait(&engine.work, UINT64_MAX - 999999) / 1000000 + 1;
        if (wait_ms > LONGEST_WAIT_MS)
            wait_ms = LONGEST_WAIT_MS;
        if (!has_work())
            curl_multi_poll(engine.multi, NULL, 0, (int)wait_ms, NULL);
    }
}

static void stop_engine(struct wp_engine_post *post)
{
    (void)post;
    engine.stopping = true;
}

/* curl's resolver starts threads of its own: none of them may take the program's signals. */
static int start_engine(void)
{
    sigset_t all, before;
    int r;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return -ENOMEM;
    engine.multi = curl_multi_init();
    if (engine.multi == NULL) {
        curl_global_cleanup();
        return -ENOMEM;
    }
    curl_multi_setopt(engine.multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    engine.stopping = false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&engine.thread, NULL, engine_run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0) {
        curl_multi_cleanup(engine.multi);
        curl_global_cleanup();
    }
    return -r;
}

int wp_httpc_engine_acquire(void)
{
    int r = 0;

    pthread_mutex_lock(&engine.lock);
    if (engine.users == 0)
        r = start_engine();
    if (r == 0)
        engine.users++;
    pthread_mutex_unlock(&engine.lock);
    return r;
}

void wp_httpc_engine_release(void)
{
    pthread_mutex_lock(&engine.lock);
    if (--engine.users == 0) {
        engine.stop.fn = stop_engine;
        wp_httpc_engine_post(&engine.stop);
        pthread_join(engine.thread, NULL);
        curl_multi_cleanup(engine.multi);
        curl_global_cleanup();
    }
    pthread_mutex_unlock(&engine.lock);
}
