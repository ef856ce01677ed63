/* Probes of targets that answer, refuse, hang, dribble and talk rubbish; who shares a target, and who leaves
 * in the midst of it. A loop runs on a thread of its own, as the admin loop does. */
#include "check.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "backends/common/health_probe.h"
#include "waypost/server/worker.h"

#define MS 1000000ull
enum { WAIT_MS = 10000 };

/* --- targets ---------------------------------------------------------------------------------- */

enum behaviour { GOOD, STATUS_500, REDIRECT, TORN, RUBBISH, DRIBBLE, HANG, CLOSED };

struct target {
    enum behaviour how;
    int fd;
    uint16_t port;
    pthread_t thread;
    atomic_uint n; /* connections */
    atomic_bool over;
    char asked[512];
};

static void say(int fd, const char *text)
{
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void pause_ms(unsigned ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&ts, NULL);
}

static void serve(struct target *t, int fd)
{
    static const char ok[] = "HTTP/1.1 204 No Content\r\n\r\n";
    ssize_t n = recv(fd, t->asked, sizeof(t->asked) - 1, 0);

    if (n <= 0)
        return; /* TCP: nothing is asked */
    t->asked[n] = '\0';
    switch (t->how) {
    case STATUS_500:
        say(fd, "HTTP/1.0 500 Oh\r\n\r\n");
        break;
    case REDIRECT:
        say(fd, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n");
        break;
    case TORN:
        say(fd, "HTTP/1.1 2");
        break;
    case RUBBISH:
        say(fd, "SSH-2.0-OpenSSH_9.2p1\r\n");
        break;
    case DRIBBLE:
        for (size_t i = 0; i < sizeof(ok) - 1; i++) {
            (void)!send(fd, ok + i, 1, MSG_NOSIGNAL);
            pause_ms(2);
        }
        break;
    case HANG:
        (void)!recv(fd, t->asked, 1, 0); /* until the other side gives up */
        break;
    default:
        say(fd, ok);
    }
}

static void *target_run(void *arg)
{
    struct target *t = arg;
    int fd;

    while ((fd = accept(t->fd, NULL, NULL)) >= 0) {
        atomic_fetch_add(&t->n, 1);
        if (!atomic_load(&t->over))
            serve(t, fd);
        close(fd);
    }
    return NULL;
}

static void target_listen(struct target *t)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(t->port)};
    socklen_t len = sizeof(a);
    int one = 1;

    t->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(t->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    CHECK(bind(t->fd, (struct sockaddr *)&a, sizeof(a)) == 0 && getsockname(t->fd, (struct sockaddr *)&a, &len) == 0);
    t->port = ntohs(a.sin_port);
    if (t->how == CLOSED)
        return; /* bound, so that nobody else gets it */
    CHECK(listen(t->fd, 64) == 0);
    CHECK(pthread_create(&t->thread, NULL, target_run, t) == 0);
}

static void target_close(struct target *t)
{
    atomic_store(&t->over, true);
    if (t->how != CLOSED) {
        shutdown(t->fd, SHUT_RDWR);
        pthread_join(t->thread, NULL);
    }
    close(t->fd);
}

/* --- the owner -------------------------------------------------------------------------------- */

static struct wp_loop *loop;
static pthread_t loop_thread;
static atomic_uint woken;

static void *loop_run(void *arg)
{
    wp_loop_run(arg);
    return NULL;
}

static void wake(struct wp_probe_group *g)
{
    (void)g;
    atomic_fetch_add(&woken, 1);
}

static struct wp_probe_group group(unsigned interval_ms, unsigned timeout_ms, unsigned fails)
{
    return (struct wp_probe_group){
        .loop = loop, .terms = {interval_ms * MS, timeout_ms * MS, fails}, .size = sizeof(struct wp_probe), .wake = wake};
}

static struct wp_probe *join(struct wp_probe_group *g, const struct target *t, const char *path)
{
    struct wp_probe_spec s = {.to = {.family = 4, .ip = {127, 0, 0, 1}, .port = t->port},
                              .kind = path != NULL ? WP_PROBE_HTTP : WP_PROBE_TCP,
                              .path = path,
                              .path_len = path != NULL ? strlen(path) : 0};
    struct wp_probe *p = NULL;

    CHECK(wp_probe_join(g, &s, &p) == 0 && p != NULL);
    return p;
}

/* Take what comes until the probe has a verdict that is not this one. */
static enum wp_probe_verdict verdict(struct wp_probe_group *g, const struct wp_probe *p, enum wp_probe_verdict before)
{
    for (unsigned i = 0; i < WAIT_MS && p->verdict == before; i++) {
        while (wp_probe_take(g) != NULL)
            ;
        pause_ms(1);
    }
    return p->verdict;
}

static const struct {
    const char *what;
    enum behaviour how;
    const char *path;
    enum wp_probe_verdict verdict;
    enum wp_probe_result why;
} rows[] = {
    {"tcp: it listens", GOOD, NULL, WP_PROBE_UP, WP_PROBE_OK},
    {"tcp: nobody listens", CLOSED, NULL, WP_PROBE_DOWN, WP_PROBE_REFUSED},
    {"tcp: it hangs, but takes connections", HANG, NULL, WP_PROBE_UP, WP_PROBE_OK},
    {"http: 204", GOOD, "/", WP_PROBE_UP, WP_PROBE_OK},
    {"http: nobody listens", CLOSED, "/", WP_PROBE_DOWN, WP_PROBE_REFUSED},
    {"http: 500", STATUS_500, "/healthz", WP_PROBE_DOWN, WP_PROBE_STATUS},
    {"http: a redirect is not followed", REDIRECT, "/", WP_PROBE_UP, WP_PROBE_OK},
    {"http: it ends in the middle of the status", TORN, "/", WP_PROBE_DOWN, WP_PROBE_REPLY},
    {"http: no HTTP", RUBBISH, "/", WP_PROBE_DOWN, WP_PROBE_REPLY},
    {"http: octet by octet", DRIBBLE, "/", WP_PROBE_UP, WP_PROBE_OK},
    {"http: no answer", HANG, "/", WP_PROBE_DOWN, WP_PROBE_TIMEOUT},
};

static void test_behaviours(void)
{
    struct target t[COUNT(rows)] = {0};
    struct wp_probe *p[COUNT(rows)];
    struct wp_probe_group g = group(150, 140, 2);

    for (size_t i = 0; i < COUNT(rows); i++) {
        t[i].how = rows[i].how;
        target_listen(&t[i]);
        p[i] = join(&g, &t[i], rows[i].path);
        CHECK_AT(rows[i].what, p[i]->verdict == WP_PROBE_UNKNOWN);
    }
    for (size_t i = 0; i < COUNT(rows); i++) {
        CHECK_AT(rows[i].what, verdict(&g, p[i], WP_PROBE_UNKNOWN) == rows[i].verdict);
        CHECK_AT(rows[i].what, p[i]->why == rows[i].why);
    }
    CHECK(strncmp(t[5].asked, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:", 39) == 0);
    for (size_t i = 0; i < COUNT(rows); i++)
        wp_probe_leave(p[i]);
    wp_probe_settle(loop);
    for (size_t i = 0; i < COUNT(rows); i++)
        target_close(&t[i]);
}

/* Down when it stops, up when it is there again. */
static void test_down_and_up(void)
{
    struct target t = {.how = GOOD};
    struct wp_probe_group g = group(50, 50, 3);
    struct wp_probe *p;
    unsigned before = atomic_load(&woken);

    target_listen(&t);
    p = join(&g, &t, "/x");
    CHECK(verdict(&g, p, WP_PROBE_UNKNOWN) == WP_PROBE_UP);
    target_close(&t);
    CHECK(verdict(&g, p, WP_PROBE_UP) == WP_PROBE_DOWN && p->why == WP_PROBE_REFUSED);
    atomic_store(&t.over, false);
    target_listen(&t);
    CHECK(verdict(&g, p, WP_PROBE_DOWN) == WP_PROBE_UP);
    CHECK(atomic_load(&woken) - before == 3);
    wp_probe_leave(p);
    wp_probe_settle(loop);
    target_close(&t);
}

/* One prober for all who name a target; another path is another target. */
static void test_shared(void)
{
    struct target t = {.how = GOOD};
    struct wp_probe_group g = group(100, 50, 1), h = group(400, 50, 1);
    struct wp_probe *p[4], *other;
    unsigned n;

    target_listen(&t);
    p[0] = join(&g, &t, "/a");
    p[1] = join(&g, &t, "/a");
    p[2] = join(&h, &t, "/a");
    CHECK(p[0] == p[1] && p[2] != p[0] && p[0]->refs == 2);
    CHECK(verdict(&g, p[0], WP_PROBE_UNKNOWN) == WP_PROBE_UP && verdict(&h, p[2], WP_PROBE_UNKNOWN) == WP_PROBE_UP);
    p[3] = join(&h, &t, "/a");
    CHECK(p[3] == p[2] && p[3]->verdict == WP_PROBE_UP);
    n = atomic_load(&t.n);
    pause_ms(1000);
    n = atomic_load(&t.n) - n;
    CHECK(n >= 3 && n <= 12); /* ten for one, forty for four */
    other = join(&g, &t, "/b");
    CHECK(other != p[0] && verdict(&g, other, WP_PROBE_UNKNOWN) == WP_PROBE_UP && strstr(t.asked, "GET /") != NULL);
    wp_probe_leave(other);
    for (size_t i = 0; i < COUNT(p); i++)
        wp_probe_leave(p[i]);
    wp_probe_settle(loop);
    target_close(&t);
}

/* Very many that never answer: no more than may be at a time; leaving them is quick. */
static void test_many(void)
{
    static struct wp_probe *p[3000];
    struct target t = {.how = HANG};
    struct wp_probe_group g = group(200, 200, 1);
    unsigned n;

    target_listen(&t);
    for (size_t i = 0; i < COUNT(p); i++) {
        char path[32];
        snprintf(path, sizeof(path), "/%zu", i);
        p[i] = join(&g, &t, path);
    }
    pause_ms(600);
    n = atomic_load(&t.n);
    for (size_t i = 0; i < COUNT(p); i++)
        wp_probe_leave(p[i]);
    wp_probe_settle(loop);
    CHECK(wp_probe_take(&g) == NULL && n > 0);
    target_close(&t);
}

static void test_text(void)
{
    char buf[WP_PROBE_TEXT_MAX];
    struct wp_probe_spec s = {.to = {.family = 4, .ip = {192, 0, 2, 1}, .port = 80}};

    CHECK(strcmp(wp_probe_spec_text(&s, buf), "tcp://192.0.2.1:80") == 0);
    s.kind = WP_PROBE_HTTP;
    s.path = "/x y";
    s.path_len = 2;
    CHECK(strcmp(wp_probe_spec_text(&s, buf), "http://192.0.2.1:80/x") == 0);
}

static int setup(void **state)
{
    (void)state;
    if (wp_loop_new(0, &loop) < 0)
        return -1;
    return pthread_create(&loop_thread, NULL, loop_run, loop);
}

static int teardown(void **state)
{
    (void)state;
    wp_loop_stop(loop);
    pthread_join(loop_thread, NULL);
    wp_loop_free(loop);
    return 0;
}

RUN_TESTS_WITH(setup, teardown, TEST(test_behaviours), TEST(test_down_and_up), TEST(test_shared), TEST(test_many), TEST(test_text))
