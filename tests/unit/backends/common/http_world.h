/* tests/fake/http_server.py in a process of its own, and calls to it whose outcome is waited for.
 * Included by one file of a program. */
#pragma once
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "backends/common/http_client.h"
#include "check.h"
#include "loop_thread.h"
#include "tls/certs.h"

static const struct wp_httpc_ops *http;
static struct {
    pid_t pid;
    int in; /* the server ends when this closes */
    int plain, tls, expired, wrong, stranger, client;
    char ca[4096]; /* PEM */
} server;

/* The test's own folder, and so the tree's, is known from where this file is. */
static inline const char *http_server_path(void)
{
    static char path[500];
    const char *end = strstr(__FILE__, "tests/unit/");

    CHECK(end != NULL);
    snprintf(path, sizeof(path), "%.*stests/fake/http_server.py", (int)(end - __FILE__), __FILE__);
    return path;
}

static inline void read_file(const char *path, char *buf, size_t cap)
{
    FILE *f = fopen(path, "re");
    size_t n;

    CHECK(f != NULL);
    n = fread(buf, 1, cap - 1, f);
    buf[n] = '\0';
    fclose(f);
}

static inline void leaf(const char *name, const char *cn, const struct cert *ca, int days)
{
    struct cert c = cert_new(cn, ca, "serverAuth", days);
    char file[40];

    snprintf(file, sizeof(file), "%s.pem", name);
    cert_write(file, &c);
    snprintf(file, sizeof(file), "%s.key", name);
    cert_write_key(file, &c);
    cert_free(&c);
}

static inline void make_certificates(void)
{
    struct cert ca = cert_new("test ca", NULL, NULL, 2), other = cert_new("other ca", NULL, NULL, 2);
    struct cert own = cert_new("api.test", &ca, "serverAuth", 2);
    struct cert user = cert_new("user", &ca, "clientAuth", 2);

    cert_write("ca.pem", &ca);
    cert_write("cert.pem", &own);
    cert_write_key("key.pem", &own);
    cert_write("user.pem", &user);
    cert_write_key("user.key", &user);
    leaf("expired", "api.test", &ca, -1);
    leaf("stranger", "api.test", &other, 2);
    leaf("wrong", "else.test", &ca, 2);
    cert_free(&own);
    cert_free(&user);
    cert_free(&other);
    cert_free(&ca);
    read_file(cert_path("ca.pem"), server.ca, sizeof(server.ca));
}

static inline void server_start(void)
{
    int in[2], out[2];
    char line[300];
    FILE *f;

    make_certificates();
    CHECK(pipe2(in, 0) == 0 && pipe2(out, 0) == 0);
    server.pid = fork();
    CHECK(server.pid >= 0);
    if (server.pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        unsetenv("LD_PRELOAD");
        execl("/usr/bin/python3", "python3", http_server_path(), cert_dir, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    server.in = in[1];
    f = fdopen(out[0], "r");
    CHECK(f != NULL && fgets(line, sizeof(line), f) != NULL);
    CHECK(sscanf(line, "plain=%d tls=%d expired=%d wrong=%d stranger=%d client=%d", &server.plain,
                 &server.tls, &server.expired, &server.wrong, &server.stranger,
                 &server.client) == 6);
    fclose(f);
}

static inline void server_stop(void)
{
    close(server.in);
    waitpid(server.pid, NULL, 0);
}

/* --- calls --------------------------------------------------------------------------------- */

enum { GOT_MAX = 1 << 16 };

/* One call and what came of it. Written by the engine's thread until `done`. */
struct got {
    struct wp_engine_post post; /* first */
    struct wp_httpc_request r;
    struct wp_httpc_call_ops ops;
    struct wp_httpc_call *call;
    int started; /* what start() said */
    atomic_bool done;
    unsigned heads, bodies, ends;
    atomic_uint pieces;
    struct wp_httpc_head head;
    char content_type[100], more[100];
    int connection; /* the server's number for it */
    int err, status;
    char text[WP_HTTPC_TEXT_MAX];
    char body[GOT_MAX];
    size_t len, total;
    unsigned pauses;  /* how many pieces to send back once */
    int stop_with;    /* what body() returns at the end of its patience */
    size_t stop_after;
    bool drop_in_head, drop_in_body;
};

static inline void got_head(void *arg, const struct wp_httpc_head *head)
{
    struct got *g = arg;
    const char *connection = http->header(g->call, "x-connection"), *more = http->header(g->call, "X-MORE");

    g->heads++;
    g->head = *head;
    snprintf(g->content_type, sizeof(g->content_type), "%s", head->content_type);
    snprintf(g->more, sizeof(g->more), "%s", more != NULL ? more : "");
    g->connection = connection != NULL ? atoi(connection) : 0;
    if (g->drop_in_head) {
        http->drop(g->call);
        atomic_store(&g->done, true);
    }
}

static inline int got_body(void *arg, const uint8_t *data, size_t len)
{
    struct got *g = arg;
    size_t n = len < GOT_MAX - g->len ? len : GOT_MAX - g->len;

    atomic_fetch_add(&g->pieces, 1);
    if (g->pauses > 0) {
        g->pauses--;
        return WP_HTTPC_PAUSE;
    }
    g->bodies++;
    memcpy(g->body + g->len, data, n);
    g->len += n;
    g->total += len;
    if (g->drop_in_body) {
        http->drop(g->call);
        atomic_store(&g->done, true);
    }
    return g->stop_with < 0 && g->total >= g->stop_after ? g->stop_with : 0;
}

static inline void got_end(void *arg, const struct wp_httpc_end *end)
{
    struct got *g = arg;

    g->ends++;
    g->err = end->err;
    g->status = end->status;
    snprintf(g->text, sizeof(g->text), "%s", end->text);
    if (end->body != NULL) {
        g->len = end->len < GOT_MAX ? end->len : GOT_MAX;
        memcpy(g->body, end->body, g->len);
        g->total = end->len;
    }
    atomic_store(&g->done, true);
}

static inline void got_start(struct wp_engine_post *post)
{
    struct got *g = (struct got *)post;

    g->started = http->start(&g->r, &g->ops, g, &g->call);
    if (g->started < 0)
        atomic_store(&g->done, true);
}

/* streams: with body(). The URL is a format of the port. */
static inline struct got *call_new(const char *url, bool streams)
{
    struct got *g = calloc(1, sizeof(*g));

    CHECK(g != NULL);
    g->post.fn = got_start;
    g->ops = (struct wp_httpc_call_ops){.head = got_head, .body = streams ? got_body : NULL, .end = got_end};
    g->r.url = strdup(url);
    g->r.total_ms = 30000; /* a test that hangs ends */
    return g;
}

static inline void call_free(struct got *g)
{
    free((char *)(uintptr_t)g->r.url);
    free(g);
}

static inline void call_run(struct got *g)
{
    http->post(&g->post);
    for (int i = 0; i < 40000 && !atomic_load(&g->done); i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    CHECK(atomic_load(&g->done));
}

static inline const char *url(int port, const char *rest)
{
    static char text[8][300];
    static unsigned n;
    char *p = text[n++ % 8];

    snprintf(p, sizeof(text[0]), "http%s://127.0.0.1:%d%s", port == server.plain ? "" : "s", port, rest);
    return p;
}

static inline struct wp_httpc_tls trusting(void)
{
    return (struct wp_httpc_tls){.ca_pem = server.ca};
}

/* Work on the engine's thread that is waited for. */
struct visit {
    struct wp_engine_post post; /* first */
    void (*fn)(void *arg);
    void *arg;
    atomic_bool done;
};

static inline void visit_run(struct wp_engine_post *post)
{
    struct visit *v = (struct visit *)post;

    v->fn(v->arg);
    atomic_store(&v->done, true);
}

static inline void visit(void (*fn)(void *arg), void *arg)
{
    struct visit v = {.post = {.fn = visit_run}, .fn = fn, .arg = arg};

    http->post(&v.post);
    WAIT_FOR(atomic_load(&v.done));
}

static inline void drop_it(void *arg)
{
    http->drop(((struct got *)arg)->call);
}

static inline void nothing(void *arg)
{
    (void)arg;
}

/* --- a program's set-up -------------------------------------------------------------------- */

static const char *const proxy_words[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
                                          "all_proxy",  "ALL_PROXY",  "no_proxy",    "NO_PROXY"};

static inline int http_set_up(void **state)
{
    char why[256] = "";

    (void)state;
    for (size_t i = 0; i < COUNT(proxy_words); i++)
        unsetenv(proxy_words[i]);
    http = wp_httpc_open(why);
    if (http == NULL)
        print_error("%s\n", why);
    CHECK(http != NULL && http == wp_httpc_open(why) && http->acquire() == 0);
    server_start();
    return 0;
}

static inline int http_tear_down(void **state)
{
    (void)state;
    http->release();
    server_stop();
    return 0;
}
