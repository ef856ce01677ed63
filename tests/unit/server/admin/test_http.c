#include "check.h"
#include "server/admin/http_priv.h"
#include "waypost/server/worker.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <zlib.h>

static struct wp_loop *loop;
static pthread_t thread;
static struct wp_http_page *page_a, *page_b;
static struct wp_addr bound;

static void *run_loop(void *arg)
{
    wp_loop_run(arg);
    return NULL;
}

static void answer_ok(void *arg, const struct wp_http_request *rq, struct wp_http_answer *a)
{
    (void)rq;
    a->body = arg;
    a->len = strlen(arg);
}

static void answer_echo(void *arg, const struct wp_http_request *rq, struct wp_http_answer *a)
{
    char *text = NULL;

    (void)arg;
    CHECK(asprintf(&text, "%s %s [%s]", rq->method, rq->path, rq->authorization) > 0);
    a->status = 503;
    a->type = "text/x-echo";
    a->headers = "X-Echo: yes\r\n";
    a->body = a->to_free = text;
    a->len = strlen(text);
}

/* An answer that is given when the timer fires. */
struct promise {
    struct wp_timer timer;
    struct wp_http_later *later;
    char query[64];
};
static atomic_int n_promises;

static void keep_promise(struct wp_timer *t)
{
    struct promise *p = (struct promise *)t;
    struct wp_http_answer a = {.status = 200, .body = p->query, .len = strlen(p->query)};

    wp_http_finish(p->later, &a);
    free(p);
    atomic_fetch_sub(&n_promises, 1);
}

static void answer_later(void *arg, const struct wp_http_request *rq, struct wp_http_answer *a)
{
    struct promise *p = calloc(1, sizeof(*p));

    (void)arg;
    (void)a;
    CHECK(p != NULL);
    snprintf(p->query, sizeof(p->query), "%s;", rq->query);
    p->later = wp_http_later(rq);
    p->timer.fn = keep_promise;
    atomic_fetch_add(&n_promises, 1);
    wp_timer_set(loop, &p->timer, wp_loop_now(loop) + 20000000);
}

static void answer_large(void *arg, const struct wp_http_request *rq, struct wp_http_answer *a)
{
    size_t len = 3 << 20;
    char *text = malloc(len);

    (void)arg;
    (void)rq;
    for (size_t i = 0; i < len; i++)
        text[i] = "metric "[i % 7];
    a->body = a->to_free = text;
    a->len = len;
    a->compressible = true;
}

static int open_page(const char *address, const char *path, wp_http_fn *fn, const char *arg,
                     char why[256], struct wp_http_page **ret)
{
    struct wp_http_site site = {
        .address = address, .path = path, .fn = fn, .arg = (void *)(uintptr_t)arg, .gen = &loop};

    return wp_http_open(loop, &site, why, ret);
}

static void start(void)
{
    char why[256];

    CHECK(wp_loop_new(0, &loop) == 0);
    CHECK(pthread_create(&thread, NULL, run_loop, loop) == 0);
    CHECK(open_page("localhost:0", "/health", answer_ok, "OK", why, &page_a) == 0);
    wp_http_bound(page_a, &bound);
    CHECK(bound.family == 4 && bound.ip[0] == 127 && bound.port != 0);
}

static int dial(void)
{
    struct timeval limit = {.tv_sec = 10};
    struct sockaddr_storage ss;
    socklen_t len = wp_addr_to_sockaddr(&bound, &ss);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&ss, len) == 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
}

/* All that comes until the server closes. */
static char *read_all(int fd, size_t *ret_len)
{
    size_t len = 0, cap = 8 << 20;
    char *text = malloc(cap + 1);
    ssize_t n;

    while (len < cap && (n = recv(fd, text + len, cap - len, 0)) > 0)
        len += (size_t)n;
    CHECK(n == 0);
    text[len] = '\0';
    if (ret_len != NULL)
        *ret_len = len;
    return text;
}

static char *talk(const char *request, size_t len)
{
    int fd = dial();
    char *text;

    CHECK(send(fd, request, len, MSG_NOSIGNAL) == (ssize_t)len);
    text = read_all(fd, NULL);
    close(fd);
    return text;
}

#define CLOSE "Connection: close\r\n\r\n"
#define NOT_FOUND "404 page not found\n"
static char long_url[5000], long_head[9000], many_heads[9000], long_auth[1200];

static const struct {
    const char *what, *request;
    const char *status, *has, *body;
} talks[] = {
    {"plain", "GET /health HTTP/1.1\r\nHost: x\r\n" CLOSE, "200 OK",
     "Content-Type: text/plain; charset=utf-8\r\n", "OK"},
    {"1.0", "GET /health HTTP/1.0\r\n\r\n", "200 OK", "Content-Length: 2\r\n", "OK"},
    {"any method", "DELETE /health HTTP/1.1\r\n" CLOSE, "200 OK", "Date: ", "OK"},
    {"head", "HEAD /health HTTP/1.1\r\n" CLOSE, "200 OK", "Content-Length: 2\r\n", ""},
    {"query is cut off", "GET /health?x=/y#z HTTP/1.1\r\n" CLOSE, "200 OK", "", "OK"},
    {"body is thrown away",
     "POST /health HTTP/1.1\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", "200 OK", "",
     "OK"},
    {"other path", "GET /healthz HTTP/1.1\r\n" CLOSE, "404 Not Found",
     "X-Content-Type-Options: nosniff\r\n", NOT_FOUND},
    {"below the path", "GET /health/ HTTP/1.1\r\n" CLOSE, "404 Not Found", "", NOT_FOUND},
    {"root", "GET / HTTP/1.1\r\n" CLOSE, "404 Not Found", "", NOT_FOUND},
    {"page's own status and headers",
     "PUT /echo?a HTTP/1.1\r\nAccept: a\r\nAUTHORIZATION: Basic eA==\r\nAccept-Language: "
     "b\r\n" CLOSE,
     "503 Service Unavailable", "X-Echo: yes\r\nContent-Type: text/x-echo\r\n",
     "PUT /echo [Basic eA==]"},
    {"two requests, the first kept alive",
     "GET /echo HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\n" CLOSE, "503 Service Unavailable",
     "GET /echo []HTTP/1.1 200 OK\r\n", "OK"},
    {"not HTTP", "\x16\x03\x01\x02garbage\r\n\r\n", "400 Bad Request", "Connection: close\r\n",
     "400 Bad Request"},
    {"smuggling", "GET /health HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
     "400 Bad Request", "", "400 Bad Request"},
    {"upgrade", "GET /health HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", "200 OK",
     "Connection: close\r\n", "OK"},
    {"URL too long", long_url, "414 URI Too Long", "", "414 URI Too Long"},
    {"header too long", long_head, "431 Request Header Fields Too Large", "", NULL},
    {"headers too many", many_heads, "431 Request Header Fields Too Large", "", NULL},
    {"authorization too long", long_auth, "431 Request Header Fields Too Large", "", NULL},
};

static void test_requests(void)
{
    char why[256], address[WP_ADDR_TEXT_MAX];

    memset(long_url, 'a', sizeof(long_url) - 1);
    memcpy(long_url, "GET /", 5);
    memset(long_head, 'a', sizeof(long_head) - 1);
    memcpy(long_head, "GET / HTTP/1.1\r\nA: ", 19);
    memcpy(many_heads, "GET / HTTP/1.1\r\n", 16);
    for (size_t at = 16; at + 6 < sizeof(many_heads); at += 6)
        memcpy(many_heads + at, "A: b\r\n", 6);
    memset(long_auth, 'a', sizeof(long_auth) - 1);
    memcpy(long_auth, "GET / HTTP/1.1\r\nAuthorization: ", 31);
    CHECK(open_page(wp_addr_text(&bound, address), "/echo", answer_echo, NULL, why, &page_b) == 0);
    for (size_t i = 0; i < COUNT(talks); i++) {
        char *got = talk(talks[i].request, strlen(talks[i].request)), *body;
        const char *what = talks[i].what;
        CHECK_AT(what, strncmp(got, "HTTP/1.1 ", 9) == 0);
        CHECK_AT(what, strncmp(got + 9, talks[i].status, strlen(talks[i].status)) == 0);
        CHECK_AT(what, strstr(got, talks[i].has) != NULL);
        body = strstr(got, "\r\n\r\n") + 4;
        for (char *next; (next = strstr(body, "\r\n\r\n")) != NULL;)
            body = next + 4;
        if (talks[i].body != NULL)
            CHECK_AT(what, strcmp(body, talks[i].body) == 0);
        free(got);
    }
}

/* Each request cut at every octet: the answer is the same. */
static void test_requests_in_pieces(void)
{
    static const char request[] = "GET /echo HTTP/1.1\r\nHost: x\r\nAuthorization: Basic "
                                  "abc\r\nAccept-Encoding: gzip\r\n" CLOSE;

    for (size_t cut = 1; cut < sizeof(request) - 1; cut++) {
        int fd = dial();
        char *got;
        CHECK(send(fd, request, cut, 0) == (ssize_t)cut);
        usleep(200);
        CHECK(send(fd, request + cut, sizeof(request) - 1 - cut, 0) ==
              (ssize_t)(sizeof(request) - 1 - cut));
        got = read_all(fd, NULL);
        CHECK(strstr(got, "\r\n\r\nGET /echo [Basic abc]") != NULL);
        free(got);
        close(fd);
    }
}

/* Answered in the order of the requests, and only while somebody waits for it. */
static void test_later(void)
{
    static const char one[] = "GET /later?x HTTP/1.1\r\n\r\n";
    static const char all[] = "GET /later?a=1&b HTTP/1.1\r\n\r\nGET /echo HTTP/1.1\r\n\r\n"
                              "GET /later?#c HTTP/1.1\r\n" CLOSE;
    char why[256], address[WP_ADDR_TEXT_MAX], *got, *at;
    struct wp_http_page *page;

    CHECK(open_page(wp_addr_text(&bound, address), "/later", answer_later, NULL, why, &page) == 0);
    got = talk(all, strlen(all));
    at = strstr(got, "\r\n\r\na=1&b;HTTP/1.1 503");
    CHECK(at != NULL && strstr(at, "\r\n\r\nGET /echo []HTTP/1.1 200 OK") != NULL);
    CHECK(strcmp(got + strlen(got) - 5, "\r\n\r\n;") == 0);
    free(got);
    for (int i = 0; i < 10; i++) {
        int fd = dial();

        CHECK(send(fd, one, strlen(one), 0) == (ssize_t)strlen(one));
        if (i % 2 == 0) /* reset */
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        close(fd);
    }
    wp_http_close(page); /* answers are still owed */
    got = talk("GET /later HTTP/1.1\r\n" CLOSE, strlen("GET /later HTTP/1.1\r\n" CLOSE));
    CHECK(strncmp(got, "HTTP/1.1 404", 12) == 0);
    free(got);
    for (int i = 0; i < 1000 && atomic_load(&n_promises) > 0; i++)
        usleep(10000);
    CHECK(atomic_load(&n_promises) == 0);
}

static void answer_body(void *arg, const struct wp_http_request *rq, struct wp_http_answer *a)
{
    char *text = NULL;

    (void)arg;
    CHECK(rq->body != NULL && strlen(rq->body) == rq->body_len);
    CHECK(asprintf(&text, "%s %s|%s|%s|%s|", rq->method, rq->path, rq->host, rq->origin, rq->body) >
          0);
    a->body = a->to_free = text;
    a->len = strlen(text);
}

/* A page on a socket of its opener's, with what lies below it and with bodies; in one piece and octet by
 * octet. */
static void test_bodies(void)
{
    static const char all[] =
        "PUT /api/x?y HTTP/1.1\r\nHost: h:1\r\nOrigin: o\r\nContent-Length: 5\r\n\r\nhello"
        "GET /api HTTP/1.1\r\nHost: i\r\n\r\n"
        "POST /api/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        "GET /apis HTTP/1.1\r\n" CLOSE;
    static const char *const answers[] = {"PUT /api/x|h:1|o|hello|", "GET /api|i|||",
                                          "POST /api/|||abcde|", "404 page not found"};
    const struct wp_http_site site = {
        .path = "/api", .below = true, .takes_body = true, .fn = answer_body};
    struct wp_addr before = bound, any = {.family = 4, .ip = {127, 0, 0, 1}};
    struct wp_http_page *page;
    struct sockaddr_storage ss;
    socklen_t len = wp_addr_to_sockaddr(&any, &ss);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), c;
    char *got, *at;

    CHECK(bind(fd, (struct sockaddr *)&ss, len) == 0 && listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&ss, &len) == 0);
    CHECK(wp_http_open_on(loop, fd, 4, &site, &page) == 0);
    wp_addr_from_sockaddr((struct sockaddr *)&ss, &bound);
    for (int pieces = 0; pieces < 2; pieces++) {
        size_t n;

        c = dial();
        for (size_t i = 0; i < strlen(all); i += pieces ? 1 : strlen(all))
            CHECK(send(c, all + i, pieces ? 1 : strlen(all), 0) > 0);
        at = got = read_all(c, &n);
        for (size_t i = 0; i < COUNT(answers); i++) {
            at = strstr(at, answers[i]);
            CHECK(at != NULL);
        }
        free(got);
    }
    wp_http_close(page);
    bound = before;
}

static void test_gzip(void)
{
    static const char *const requests[] = {
        "GET /large HTTP/1.1\r\nAccept-Encoding: deflate, gzip;q=0.5\r\n" CLOSE,
        "GET /large HTTP/1.1\r\n" CLOSE,
        "GET /large HTTP/1.1\r\nAccept-Encoding: gzip;q=0\r\n" CLOSE,
    };
    char why[256], address[WP_ADDR_TEXT_MAX];
    struct wp_http_page *page;

    CHECK(open_page(wp_addr_text(&bound, address), "/large", answer_large, NULL, why, &page) == 0);
    for (size_t i = 0; i < COUNT(requests); i++) {
        int fd = dial();
        size_t len;
        char *got, *body;
        CHECK(send(fd, requests[i], strlen(requests[i]), 0) > 0);
        got = read_all(fd, &len);
        body = strstr(got, "\r\n\r\n") + 4;
        len -= (size_t)(body - got);
        CHECK_AT(requests[i], (strstr(got, "Content-Encoding: gzip\r\n") != NULL) == (i == 0));
        if (i == 0) {
            size_t plain_len = 4 << 20;
            char *plain = malloc(plain_len);
            z_stream z = {.next_in = (Bytef *)body,
                          .avail_in = (uInt)len,
                          .next_out = (Bytef *)plain,
                          .avail_out = (uInt)plain_len};
            CHECK(inflateInit2(&z, 15 + 16) == Z_OK && inflate(&z, Z_FINISH) == Z_STREAM_END);
            CHECK(z.total_out == 3 << 20 && memcmp(plain, "metric metric", 13) == 0);
            CHECK(len < 100000);
            inflateEnd(&z);
            free(plain);
        } else {
            CHECK_AT(requests[i], len == 3 << 20 && memcmp(body, "metric metric", 13) == 0);
        }
        free(got);
        close(fd);
    }
    wp_http_close(page);
}

/* More connections than the limit: the oldest goes, the newest is served. */
static void test_connection_limit(void)
{
    int fds[HTTP_CONNS_MAX + 5];
    char c;

    for (size_t i = 0; i < COUNT(fds); i++)
        fds[i] = dial();
    for (size_t i = 0; i < 5; i++)
        CHECK(recv(fds[i], &c, 1, 0) <= 0);
    for (size_t i = COUNT(fds) - 1; i > COUNT(fds) - 4; i--) {
        char *got;
        static const char request[] = "GET /health HTTP/1.1\r\n" CLOSE;
        CHECK(send(fds[i], request, sizeof(request) - 1, 0) > 0);
        got = read_all(fds[i], NULL);
        CHECK(strncmp(got, "HTTP/1.1 200", 12) == 0);
        free(got);
    }
    for (size_t i = 0; i < COUNT(fds); i++)
        close(fds[i]);
}

static void test_body_limit(void)
{
    static char request[HTTP_BODY_MAX + 200];
    size_t head =
        (size_t)snprintf(request, sizeof(request),
                         "POST /health HTTP/1.1\r\nContent-Length: %d\r\n\r\n", HTTP_BODY_MAX + 1);
    char *got;

    memset(request + head, 'x', HTTP_BODY_MAX + 1);
    got = talk(request, head + HTTP_BODY_MAX + 1);
    CHECK(strncmp(got, "HTTP/1.1 413 ", 13) == 0);
    free(got);
}

/* Silence, a slow head and an idle kept-alive connection all end at the time limit, which is told
 * by moving the loop's clock. */
static void move_clock(void *arg, struct wp_loop *l)
{
    wp_loop_set_now(l, *(uint64_t *)arg);
}

static void turn(void *arg, struct wp_loop *l)
{
    (void)arg;
    (void)l;
}

static void test_time_limits(void)
{
    static const char *const requests[] = {"", "GET /health HTT", "GET /health HTTP/1.1\r\n\r\n"};
    uint64_t now = 1000000000;

    wp_loop_call(loop, move_clock, &now);
    for (size_t i = 0; i < COUNT(requests); i++) {
        int fd = dial();
        char *got, c;
        if (requests[i][0] != '\0')
            CHECK(send(fd, requests[i], strlen(requests[i]), 0) > 0);
        if (i == 2)
            CHECK(recv(fd, &c, 1, MSG_PEEK) == 1); /* answered; idle from here */
        for (int n = 0; n < 20; n++) {
            usleep(1000); /* lets the server accept and read */
            wp_loop_call(loop, turn, NULL);
        }
        now += (uint64_t)(HTTP_TIMEOUT_MS - 1) * 1000000;
        wp_loop_call(loop, move_clock, &now);
        wp_loop_call(loop, turn, NULL);
        CHECK_AT(requests[i], recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) == (i == 2 ? 1 : -1));
        now += (uint64_t)2 * 1000000;
        wp_loop_call(loop, move_clock, &now);
        wp_loop_call(loop, turn, NULL);
        got = read_all(fd, NULL); /* ends: the server has closed */
        free(got);
        close(fd);
    }
}

static void test_sharing_an_address(void)
{
    char why[256], address[WP_ADDR_TEXT_MAX];
    struct wp_http_page *newer;
    struct sockaddr_storage ss;
    socklen_t len;
    char *got;
    int fd;

    wp_addr_text(&bound, address);
    /* A new generation's page before the old one's; the port stays open all the time. */
    CHECK(open_page(address, "/health", answer_ok, "new", why, &newer) == 0);
    got = talk(WIRE("GET /health HTTP/1.0\r\n\r\n"));
    CHECK(strstr(got, "\r\n\r\nnew") != NULL);
    free(got);
    wp_http_close(page_a);
    wp_http_close(page_b);
    got = talk(WIRE("GET /health HTTP/1.0\r\n\r\n"));
    CHECK(strstr(got, "\r\n\r\nnew") != NULL);
    free(got);
    wp_http_close(newer);
    wp_http_close(NULL);
    len = wp_addr_to_sockaddr(&bound, &ss);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(fd, (struct sockaddr *)&ss, len) < 0); /* gone with the last page */
    close(fd);
}

static const struct {
    const char *address, *why;
} bad_addresses[] = {
    {"8080", "listen tcp: address 8080: missing port in address"},
    {"192.0.2.1:0", "listen tcp 192.0.2.1:0: bind: cannot assign requested address"},
    {"::1:8080", "listen tcp: address ::1:8080: too many colons in address"},
};

static void test_bad_addresses(void)
{
    struct wp_http_page *page;
    char why[256];

    for (size_t i = 0; i < COUNT(bad_addresses); i++) {
        CHECK_AT(bad_addresses[i].address,
                 open_page(bad_addresses[i].address, "/", answer_ok, "", why, &page) < 0);
        CHECK_AT(why, strcmp(why, bad_addresses[i].why) == 0);
    }
    CHECK(wp_http_address_ok(":8080") && wp_http_address_ok("[::1]:80") &&
          wp_http_address_ok("h:x"));
    CHECK(!wp_http_address_ok("8080") && !wp_http_address_ok("::1:80") && !wp_http_address_ok(""));
}

static void test_wildcard_is_both_families(void)
{
    char why[256];
    struct wp_http_page *page;
    struct wp_addr any;
    struct sockaddr_storage ss;
    socklen_t len;
    int fd;

    CHECK(open_page(":0", "/health", answer_ok, "OK", why, &page) == 0);
    wp_http_bound(page, &any);
    any = (struct wp_addr){.family = 4, .ip = {127, 0, 0, 1}, .port = any.port};
    len = wp_addr_to_sockaddr(&any, &ss);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(fd, (struct sockaddr *)&ss, len) == 0);
    close(fd);
    wp_http_close(page);
}

static void stop(void)
{
    wp_loop_stop(loop);
    pthread_join(thread, NULL);
    wp_loop_free(loop);
}

RUN_TESTS(TEST(start), TEST(test_requests), TEST(test_requests_in_pieces), TEST(test_later), TEST(test_bodies),
          TEST(test_gzip),
          TEST(test_connection_limit), TEST(test_body_limit), TEST(test_wildcard_is_both_families),
          TEST(test_bad_addresses), TEST(test_time_limits), TEST(test_sharing_an_address),
          TEST(stop))
