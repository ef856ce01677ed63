/* The HTTP client against a server that misbehaves: what comes back, and how calls end. */
#include "http_world.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>

/* --- answers ------------------------------------------------------------------------------- */

static void test_answers(void)
{
    const struct {
        const char *what;
        int port;
        bool http1, streams, unix_socket;
    } cases[] = {
        {"HTTP/1.1", server.plain, true, false, false},
        {"HTTP/1.1, streamed", server.plain, false, true, false},
        {"unix socket", server.plain, true, false, true},
        {"HTTP/1.1 over TLS", server.tls, true, false, false},
        {"HTTP/2", server.tls, false, false, false},
        {"HTTP/2, streamed", server.tls, false, true, false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_httpc_tls tls = trusting();
        struct got *g = call_new(url(cases[i].port, "/hello"), cases[i].streams);
        g->r.tls = &tls;
        g->r.http1 = cases[i].http1;
        g->r.unix_path = cases[i].unix_socket ? cert_path("sock") : NULL;
        call_run(g);
        CHECK_AT(cases[i].what, g->err == 0 && g->status == 200 && g->head.status == 200);
        CHECK_AT(cases[i].what, g->heads == 1 && g->ends == 1);
        CHECK_AT(cases[i].what, g->len == 5 && memcmp(g->body, "hello", 5) == 0);
        CHECK_AT(cases[i].what, strcmp(g->content_type, "text/plain") == 0);
        CHECK_AT(cases[i].what, strcmp(g->more, "of this") == 0 && g->head.retry_after_s == -1);
        CHECK_AT(cases[i].what, g->text[0] == '\0');
        call_free(g);
    }
}

/* What arrives of a request: method, path, headers in order of their names, body. */
static void test_request(void)
{
    const struct wp_httpc_header headers[] = {
        {"Authorization", "Bearer s3cret"}, {"Accept", "application/json"}, {"X-Empty", ""}};
    struct got *g = call_new(url(server.plain, "/echo?a=b%20c"), false);

    g->r.headers = headers;
    g->r.n_headers = COUNT(headers);
    g->r.method = "PUT";
    g->r.body = "a body";
    g->r.body_len = 6;
    call_run(g);
    CHECK(g->err == 0);
    CHECK(strstr(g->body, "PUT /echo?a=b%20c\naccept: application/json\n"
                          "authorization: Bearer s3cret\ncontent-length: 6\n") == g->body);
    CHECK(strstr(g->body, "\nx-empty: \n") != NULL && strstr(g->body, "\n\na body") != NULL);
    CHECK(strstr(g->body, "expect:") == NULL && strstr(g->body, "accept-encoding") == NULL);
    call_free(g);
}

static void test_statuses(void)
{
    static const struct {
        const char *path;
        int status;
        int64_t after;
    } cases[] = {
        {"/status?n=401", 401, 7},
        {"/status?n=429", 429, 7},
        {"/status?n=503&after=0", 503, 0},
        {"/status?n=503&after=-1", 503, -1},
        {"/status?n=503&after=Wed", 503, -1},
        {"/status?n=500&after=9x", 500, -1},
        {"/redirect", 302, -1}, /* not followed */
        {"/nowhere", 404, -1},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int secure = 0; secure < 2; secure++) {
            struct wp_httpc_tls tls = trusting();
            struct got *g = call_new(url(secure ? server.tls : server.plain, cases[i].path), false);
            g->r.tls = &tls;
            call_run(g);
            CHECK_AT(cases[i].path, g->err == 0 && g->status == cases[i].status);
            CHECK_AT(cases[i].path, g->heads == 1 && g->head.retry_after_s == cases[i].after);
            CHECK_AT(cases[i].path, g->len > 0);
            call_free(g);
        }
    }
}

/* 1xx are not the answer, nor are their headers. */
static void test_early(void)
{
    struct got *g = call_new(url(server.plain, "/early"), false);

    call_run(g);
    CHECK(g->err == 0 && g->heads == 1 && g->status == 200 && strcmp(g->more, "of this") == 0);
    call_free(g);
}

static void test_gzip(void)
{
    struct got *g = call_new(url(server.plain, "/zipped"), false);

    g->r.gzip = true;
    call_run(g);
    CHECK(g->err == 0 && g->total == 11000 && memcmp(g->body, "compressed compressed ", 22) == 0);
    call_free(g);
    g = call_new(url(server.plain, "/zipped"), false); /* not asked for */
    call_run(g);
    CHECK(g->err == 0 && g->len == 8 && memcmp(g->body, "as it is", 8) == 0);
    call_free(g);
}

/* --- ends ---------------------------------------------------------------------------------- */

static void test_failures(void)
{
    static const struct {
        const char *path;
        int err, status;
        const char *text;
        size_t body_max;
        unsigned idle_ms, total_ms;
        bool gzip;
    } cases[] = {
        {.path = "/torn", .err = WP_ECLOSED, .status = 200, .text = ": connection closed before the end"},
        {.path = "/torn-chunk", .err = WP_ECLOSED, .status = 200, .text = ": connection "},
        {.path = "/silent", .err = WP_ECLOSED, .text = ": connection "},
        {.path = "/garbage", .err = WP_EMALFORMED, .text = ": not an HTTP answer"},
        {.path = "/endless-headers", .err = WP_ELIMIT, .text = ": headers too large"},
        {.path = "/endless-early", .err = WP_ELIMIT, .text = ": headers too large"},
        {.path = "/big?n=5000", .err = WP_ELIMIT, .status = 200, .text = ": body too large", .body_max = 4999},
        {.path = "/big?n=5000", .err = 0, .status = 200, .text = "", .body_max = 5000},
        {.path = "/big?n=1048577", .err = WP_ELIMIT, .status = 200, .text = ": body too large"},
        {.path = "/bomb", .err = WP_ELIMIT, .status = 200, .text = ": body too large", .gzip = true},
        {.path = "/bad-gzip", .err = WP_EMALFORMED, .status = 200, .text = ": broken compression", .gzip = true},
        {.path = "/hang", .err = WP_ETIMEOUT, .text = ": silent for 1500 ms", .idle_ms = 1500},
        {.path = "/drip", .err = WP_ETIMEOUT, .status = 200, .text = ": silent for 1500 ms", .idle_ms = 1500},
        {.path = "/hang", .err = WP_ETIMEOUT, .text = ": no answer in time", .total_ms = 1500},
        {.path = "/drip", .err = WP_ETIMEOUT, .status = 200, .text = ": no answer in time", .total_ms = 1500},
    };
    struct got *calls[COUNT(cases)];
    char peer[60];

    snprintf(peer, sizeof(peer), "127.0.0.1:%d", server.plain);
    for (size_t i = 0; i < COUNT(cases); i++) { /* all at once: some of them wait */
        struct got *g = calls[i] = call_new(url(server.plain, cases[i].path), false);
        g->r.body_max = cases[i].body_max;
        g->r.gzip = cases[i].gzip;
        g->r.idle_ms = cases[i].idle_ms;
        if (cases[i].total_ms > 0)
            g->r.total_ms = cases[i].total_ms;
        http->post(&g->post);
    }
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct got *g = calls[i];
        WAIT_FOR(atomic_load(&g->done));
        if (g->err != cases[i].err || strstr(g->text, cases[i].text) == NULL)
            print_error("%s: %d %s\n", cases[i].path, g->err, g->text);
        CHECK_AT(cases[i].path, g->err == cases[i].err && g->status == cases[i].status);
        CHECK_AT(cases[i].path, strstr(g->text, cases[i].text) != NULL && g->ends == 1);
        CHECK_AT(cases[i].path, g->err == 0 || strstr(g->text, peer) == g->text);
        call_free(g);
    }
}

/* One header without an end: curl's own limit or ours. */
static void test_long_header(void)
{
    struct got *g = call_new(url(server.plain, "/long-header"), false);

    call_run(g);
    CHECK(g->err < 0 && g->heads == 0 && g->ends == 1);
    call_free(g);
}

static void test_not_connecting(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char text[80];
    struct got *g;

    /* bound, not listening: nobody else can have the port */
    CHECK(bind(fd, (struct sockaddr *)&sa, len) == 0 && getsockname(fd, (struct sockaddr *)&sa, &len) == 0);
    snprintf(text, sizeof(text), "http://127.0.0.1:%d/", ntohs(sa.sin_port));
    g = call_new(text, false);
    call_run(g);
    CHECK(g->err == -ECONNREFUSED && strstr(g->text, ": connection refused") != NULL && g->status == 0);
    call_free(g);
    close(fd);

    g = call_new("http://localhost/", false);
    g->r.unix_path = cert_path("nosuch");
    call_run(g);
    CHECK(g->err == -ENOENT && strstr(g->text, "nosuch: no such file or directory") != NULL);
    call_free(g);
}

static void test_refused_requests(void)
{
    static const struct wp_httpc_header bad[] = {
        {"A b", "c"}, {"A:", "c"}, {"", "c"}, {"A", "b\r\nC: d"}, {"A", "b\n"}, {"A\n", "b"}};
    static const char *const urls[] = {"ftp://a/", "file:///etc/passwd", "http://u:p@a/", "nonsense://", "http://", "http://a:99999/"};

    for (size_t i = 0; i < COUNT(bad); i++) {
        struct got *g = call_new(url(server.plain, "/hello"), false);
        g->r.headers = &bad[i];
        g->r.n_headers = 1;
        call_run(g);
        CHECK(g->started == WP_ECONFIG && g->ends == 0);
        call_free(g);
    }
    for (size_t i = 0; i < COUNT(urls); i++) {
        struct got *g = call_new(urls[i], false);
        call_run(g);
        CHECK_AT(urls[i], g->started == WP_ECONFIG && g->ends == 0);
        call_free(g);
    }
}

/* --- streams ------------------------------------------------------------------------------- */

static void test_stream(void)
{
    for (int secure = 0; secure < 2; secure++) {
        struct wp_httpc_tls tls = trusting();
        struct got *g = call_new(url(secure ? server.tls : server.plain, "/pieces?n=50"), true);
        g->r.tls = &tls;
        g->r.idle_ms = 10000;
        call_run(g);
        CHECK(g->err == 0 && g->bodies > 1 && g->heads == 1);
        CHECK(strncmp(g->body, "piece 0\npiece 1\n", 16) == 0 && strstr(g->body, "piece 49\n") != NULL);
        call_free(g);
    }
}

static void go_on(void *arg)
{
    http->resume(((struct got *)arg)->call);
}

/* A piece sent back comes again, complete; silence while it waits is nobody's fault. */
static void test_pause(void)
{
    struct wp_httpc_tls tls = trusting();
    struct got *g[2];

    for (size_t i = 0; i < COUNT(g); i++) {
        g[i] = call_new(url(i == 0 ? server.plain : server.tls, "/big?n=60000"), true);
        g[i]->r.tls = &tls;
        g[i]->r.idle_ms = 2000;
        g[i]->pauses = 2;
        http->post(&g[i]->post);
    }
    for (size_t i = 0; i < COUNT(g); i++) {
        WAIT_FOR(atomic_load(&g[i]->pieces) == 1);
        visit(go_on, g[i]);
        WAIT_FOR(atomic_load(&g[i]->pieces) == 2);
    }
    nanosleep(&(struct timespec){.tv_sec = 2, .tv_nsec = 200000000}, NULL); /* longer than idle_ms */
    for (size_t i = 0; i < COUNT(g); i++) {
        CHECK(atomic_load(&g[i]->pieces) == 2 && !atomic_load(&g[i]->done));
        visit(go_on, g[i]);
        WAIT_FOR(atomic_load(&g[i]->done));
        CHECK(g[i]->err == 0 && g[i]->total == 60000 && g[i]->len == 60000);
        for (size_t at = 0; at < 60000; at++)
            CHECK((uint8_t)g[i]->body[at] == at >> 14);
        call_free(g[i]);
    }
}

static void test_body_ends_it(void)
{
    struct got *g = call_new(url(server.plain, "/pieces?n=1000"), true);

    g->stop_with = WP_ESTATE;
    g->stop_after = 20;
    call_run(g);
    CHECK(g->err == WP_ESTATE && g->status == 200 && g->ends == 1 && g->total >= 20);
    call_free(g);
}

static void test_drop(void)
{
    struct wp_httpc_tls tls = trusting();
    struct got *g;

    for (int secure = 0; secure < 2; secure++) {
        for (int where = 0; where < 2; where++) {
            g = call_new(url(secure ? server.tls : server.plain, "/pieces?n=20"), true);
            g->r.tls = &tls;
            g->drop_in_head = where == 0;
            g->drop_in_body = where == 1;
            call_run(g);
            visit(nothing, NULL); /* the turn in which it was dropped is over */
            CHECK(g->ends == 0 && g->bodies == (unsigned)where && g->heads == 1);
            call_free(g);
        }
        g = call_new(url(secure ? server.tls : server.plain, "/hang"), true);
        g->r.tls = &tls;
        http->post(&g->post);
        visit(drop_it, g); /* before or while it connects */
        visit(nothing, NULL);
        CHECK(g->ends == 0 && g->heads == 0);
        call_free(g);
    }
    visit(drop_it, &(struct got){0}); /* NULL */
}

/* --- HTTP/2 -------------------------------------------------------------------------------- */

static void test_one_connection(void)
{
    struct wp_httpc_tls tls = trusting();
    struct got *g[8];

    for (size_t i = 0; i < COUNT(g); i++) {
        g[i] = call_new(url(server.tls, i == 7 ? "/release" : "/held"), false);
        g[i]->r.tls = &tls;
        http->post(&g[i]->post);
    }
    for (size_t i = 0; i < COUNT(g); i++) {
        WAIT_FOR(atomic_load(&g[i]->done));
        CHECK(g[i]->err == 0 && g[i]->connection == g[0]->connection);
    }
    for (size_t i = 0; i < COUNT(g); i++)
        call_free(g[i]);
}

/* A connection of which nothing is heard any more is not used again. */
static void test_frozen_connection(void)
{
    struct wp_httpc_tls tls = trusting();
    struct got *frozen, *g = call_new(url(server.tls, "/hello"), false);
    int before;

    g->r.tls = &tls;
    call_run(g);
    CHECK(g->err == 0);
    before = g->connection;
    call_free(g);
    frozen = call_new(url(server.tls, "/freeze"), false);
    frozen->r.tls = &tls;
    frozen->r.idle_ms = 200;
    call_run(frozen);
    CHECK(frozen->err == WP_ETIMEOUT);
    call_free(frozen);
    g = call_new(url(server.tls, "/hello"), false);
    g->r.tls = &tls;
    call_run(g);
    CHECK(g->err == 0 && g->connection != before);
    call_free(g);
}

/* One silent call does not end the others of its connection while they hear something. */
static void test_silent_beside_lively(void)
{
    struct wp_httpc_tls tls = trusting();
    struct got *lively = call_new(url(server.tls, "/pieces?n=600&ms=2"), true), *silent;

    lively->r.tls = &tls;
    http->post(&lively->post);
    WAIT_FOR(atomic_load(&lively->pieces) > 0);
    silent = call_new(url(server.tls, "/hang"), true);
    silent->r.tls = &tls;
    silent->r.idle_ms = 1000;
    call_run(silent);
    CHECK(silent->err == WP_ETIMEOUT);
    WAIT_FOR(atomic_load(&lively->done));
    CHECK(lively->err == 0 && strstr(lively->body, "piece 599\n") != NULL);
    call_free(silent);
    call_free(lively);
}

/* --- the engine ---------------------------------------------------------------------------- */

static struct {
    struct wp_engine_timer a, b, c;
    char order[8];
    size_t n;
    atomic_bool done;
} timers;

static void ring(struct wp_engine_timer *t)
{
    timers.order[timers.n++] = t == &timers.a ? 'a' : t == &timers.b ? 'b' : 'c';
    atomic_store(&timers.done, t == &timers.b);
}

static void set_timers(void *arg)
{
    uint64_t now = http->now();

    (void)arg;
    timers.a.fn = timers.b.fn = timers.c.fn = ring;
    http->timer_set(&timers.b, now + 1000000);
    http->timer_set(&timers.c, now + 2000000);
    http->timer_set(&timers.a, now + 30000000);
    http->timer_set(&timers.b, now + 60000000); /* moves */
    http->timer_cancel(&timers.c);
    http->timer_cancel(&timers.c);
}

static void test_timers(void)
{
    visit(set_timers, NULL);
    WAIT_FOR(atomic_load(&timers.done));
    CHECK(timers.n == 2 && memcmp(timers.order, "ab", 2) == 0);
}

/* The kernel finds a dead peer also when nobody sends anything. */
static void test_keep_alive(void)
{
    struct got *g = call_new(url(server.plain, "/drip"), true);
    unsigned found = 0;

    http->post(&g->post);
    WAIT_FOR(atomic_load(&g->pieces) > 0);
    for (int fd = 3; fd < 200; fd++) {
        struct sockaddr_in sa = {0};
        socklen_t len = sizeof(sa), size = sizeof(int);
        int on = 0, idle = 0, user = 0;
        if (getpeername(fd, (struct sockaddr *)&sa, &len) < 0 || sa.sin_family != AF_INET ||
            ntohs(sa.sin_port) != server.plain)
            continue;
        CHECK(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &size) == 0 && on == 1);
        CHECK(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, &size) == 0 && idle == 30);
        CHECK(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user, &size) == 0 && user == 45000);
        found++;
    }
    CHECK(found > 0);
    visit(drop_it, g);
    visit(nothing, NULL);
    call_free(g);
}

/* The last user's release ends the thread; the next acquire starts another one. */
static void test_again(void)
{
    struct got *g;

    CHECK(http->acquire() == 0);
    http->release(); /* the set-up's is left */
    http->release();
    CHECK(http->acquire() == 0);
    g = call_new(url(server.plain, "/hello"), false);
    call_run(g);
    CHECK(g->err == 0);
    call_free(g);
}

RUN_TESTS_WITH(http_set_up, http_tear_down, TEST(test_answers), TEST(test_request), TEST(test_statuses),
               TEST(test_early), TEST(test_gzip), TEST(test_failures), TEST(test_long_header),
               TEST(test_not_connecting), TEST(test_refused_requests), TEST(test_stream),
               TEST(test_pause), TEST(test_body_ends_it), TEST(test_drop), TEST(test_one_connection),
               TEST(test_frozen_connection), TEST(test_silent_beside_lively), TEST(test_timers),
               TEST(test_keep_alive), TEST(test_again))
