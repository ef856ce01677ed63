/* health asking itself: in time, too slow, silent, refused, cut off. Time is virtual. */
#include "check.h"
#include "server/plugins/health/probe.h"
#include "waypost/plugin/metric.h"
#include "waypost/server/log.h"
#include "waypost/server/worker.h"
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define URL "http://localhost:8080/health"

static struct wp_loop *loop;
static struct health_probe probe;
static struct wp_addr to;
static int listen_fd, log_fd;
static uint64_t now = 1000 * MS;

static void advance(uint64_t ms)
{
    now += ms * MS;
    wp_loop_set_now(loop, now);
    for (int i = 0; i < 5; i++) /* connect, write, read: each its turn */
        wp_loop_turn(loop, 1);
}

static void begin(void)
{
    struct sockaddr_storage ss;
    socklen_t len;
    char path[] = "/tmp/waypost-probe-XXXXXX";

    log_fd = mkstemp(path);
    CHECK(log_fd >= 0);
    unlink(path);
    wp_log_set_fd(log_fd);
    CHECK(wp_addr_parse("127.0.0.1:0", 0, &to) == 0);
    len = wp_addr_to_sockaddr(&to, &ss);
    listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(listen_fd, (struct sockaddr *)&ss, len) == 0 && listen(listen_fd, 5) == 0);
    len = sizeof(ss);
    CHECK(getsockname(listen_fd, (struct sockaddr *)&ss, &len) == 0);
    wp_addr_from_sockaddr((struct sockaddr *)&ss, &to);
    CHECK(wp_loop_new(0, &loop) == 0);
    wp_loop_set_now(loop, now);
    wp_health_probe_start(&probe, loop, &to, URL);
}

static const char *read_log(void)
{
    static char text[4096];
    ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);

    CHECK(n >= 0 && ftruncate(log_fd, 0) == 0 && lseek(log_fd, 0, SEEK_SET) == 0);
    text[n] = '\0';
    return text;
}

static double metric(const char *name)
{
    size_t len;
    char *text = wp_metric_text(&len), *at = strstr(text, name);
    double v;

    CHECK_AT(name, at != NULL);
    v = atof(at + strlen(name));
    free(text);
    return v;
}

#define COUNT_METRIC "\ncoredns_health_request_duration_seconds_count "
#define FAILURES "\ncoredns_health_request_failures_total "

/* The question that is under way, read. */
static int take(void)
{
    char request[512];
    int fd = accept(listen_fd, NULL, NULL);
    ssize_t n;

    CHECK(fd >= 0);
    n = recv(fd, request, sizeof(request) - 1, 0);
    CHECK(n > 0);
    request[n] = '\0';
    CHECK(strncmp(request, "GET /health HTTP/1.1\r\nHost: localhost\r\n", 39) == 0);
    return fd;
}

static void reply(int fd, const char *text)
{
    CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
    close(fd);
}

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"

static void test_in_time(void)
{
    CHECK(metric(COUNT_METRIC) == 0 && metric(FAILURES) == 0);
    advance(999);
    CHECK(probe.io.fd < 0); /* once a second */
    advance(1);
    reply(take(), OK_REPLY);
    advance(10);
    CHECK(probe.io.fd < 0 && metric(COUNT_METRIC) == 1 && metric(FAILURES) == 0);
    CHECK(strcmp(read_log(), "") == 0);
}

static void test_too_slow(void)
{
    int fd;

    advance(990); /* a second after the question before */
    fd = take();
    advance(1500);
    reply(fd, OK_REPLY);
    advance(0);
    CHECK(strcmp(read_log(), "[WARNING] plugin/health: Local health request to \"" URL
                             "\" took more than 1s: 1.5s\n") == 0);
    CHECK(metric(COUNT_METRIC) == 2 && metric(FAILURES) == 0);
}

static void test_silent(void)
{
    int fd;

    fd = take(); /* asked at once: the last one took longer than a second */
    advance(2999);
    CHECK(strcmp(read_log(), "") == 0);
    advance(2);
    CHECK(strcmp(read_log(), "[WARNING] plugin/health: Local health request to \"" URL
                             "\" failed: request timed out after 3s\n") == 0);
    CHECK(metric(COUNT_METRIC) == 2 && metric(FAILURES) == 1);
    close(fd);
}

static void test_cut_off_and_refused(void)
{
    close(take());
    advance(1);
    CHECK(strstr(read_log(), "\" failed: ") != NULL && metric(FAILURES) == 2);
    advance(1000);
    reply(take(), "garbage");
    advance(1);
    CHECK(strstr(read_log(), "\" failed: EOF\n") != NULL && metric(FAILURES) == 3);
    close(listen_fd);
    advance(1000);
    CHECK(strstr(read_log(), "\" failed: ") != NULL && metric(FAILURES) == 4);
}

static void test_stop(void)
{
    wp_health_probe_stop(&probe);
    wp_health_probe_stop(&probe);
    advance(5000);
    CHECK(metric(FAILURES) == 4 && strcmp(read_log(), "") == 0);
    wp_loop_free(loop);
    close(log_fd);
}

RUN_TESTS(TEST(begin), TEST(test_in_time), TEST(test_too_slow), TEST(test_silent),
          TEST(test_cut_off_and_refused), TEST(test_stop))
