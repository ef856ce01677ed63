/* What is the same for every protocol over streams: PROXY headers, limits of accept. */
#include <sys/resource.h>

#include "server/listeners/stream_rig.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define V1 "PROXY TCP4 192.0.2.50 192.0.2.1 1234 53\r\n"
#define V2 SIG "\x21\x11\0\x11\xc0\0\2\x32\xc0\0\2\1\4\xd2\0\x35\xea\0\2\xca\xfe"
#define LOCAL SIG "\x20\x11\0\x0c\xc0\0\2\x32\xc0\0\2\1\4\xd2\0\x35"

/* The header, then a query. client NULL: no answer and the connection ends; "": the socket's. */
static const struct {
    const char *what;
    enum wp_proxy_default policy;
    const char *header;
    size_t len;
    const char *client;
    unsigned tlv_len;
} cases[] = {
    {"P01 v1", WP_PROXY_USE, WIRE(V1), "192.0.2.50:1234", 0},
    {"P02 v2 with TLVs", WP_PROXY_USE, WIRE(V2), "192.0.2.50:1234", 5},
    {"P04 LOCAL", WP_PROXY_USE, WIRE(LOCAL), "", 0},
    {"P05 ignore", WP_PROXY_IGNORE, WIRE(V2), "", 0},
    {"P05 reject", WP_PROXY_REJECT, WIRE(V2), NULL, 0},
    {"P05 reject, no header", WP_PROXY_REJECT, WIRE(""), "", 0},
    {"use, no header: it is optional, as in CoreDNS", WP_PROXY_USE, WIRE(""), "", 0},
    {"P07 truncated by the query", WP_PROXY_USE, WIRE("PROXY TCP4 192.0.2.50"), NULL, 0},
    {"P07 bad", WP_PROXY_USE, WIRE("PROXY TCP4 ::1 ::2 1 2\r\n"), NULL, 0},
    {"P07 bad, also when ignored", WP_PROXY_IGNORE, WIRE("PROXY TCP9 a b 1 2\r\n"), NULL, 0},
    {"P07 length 65535", WP_PROXY_USE, WIRE(SIG "\x21\x11\xff\xff"), NULL, 0},
    {"P07 bad signature is no header", WP_PROXY_USE, WIRE("\r\n\r\n\0\r\nQUIX\n"), NULL, 0},
};

static void check(size_t i, bool pieces)
{
    struct rig r = {.group.proxy = {.set = true, .deflt = cases[i].policy}};
    uint8_t buf[256], m[22];
    struct wp_addr want, local;
    size_t len = cases[i].len;
    int fd, id;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    memcpy(buf, cases[i].header, len);
    len += rig_message(buf + len, 7, 'a');
    for (size_t at = 0; at < len; at += pieces ? 1 : len) {
        if (send(fd, buf + at, pieces ? 1 : len, MSG_NOSIGNAL) < 0)
            break;
        rig_turns(&r, 2);
    }
    rig_pass(&r, 3100 * MS); /* a header that never ends: the read timeout */
    id = rig_answer_id(&r, fd);
    CHECK_AT(cases[i].what, id == (cases[i].client != NULL ? 7 : -1));
    if (cases[i].client != NULL) {
        rig_message(m, 8, 'a'); /* the address holds for every query */
        rig_send(&r, fd, m, sizeof(m));
        CHECK_AT(cases[i].what, rig_answer_id(&r, fd) == 8);
        CHECK_AT(cases[i].what, wp_addr_parse("192.0.2.1:53", 0, &local) == 0);
        if (cases[i].client[0] == '\0') {
            want = rig_last.peer;
        } else {
            CHECK_AT(cases[i].what, wp_addr_parse(cases[i].client, 0, &want) == 0);
            CHECK_AT(cases[i].what, wp_addr_equal(&rig_last.local, &local));
        }
        CHECK_AT(cases[i].what, wp_addr_equal(&rig_last.client, &want));
        CHECK_AT(cases[i].what, rig_last.peer.ip[0] == 127);
        CHECK_AT(cases[i].what, rig_last.proxy_tlv_len == cases[i].tlv_len);
        if (cases[i].tlv_len > 0)
            CHECK_AT(cases[i].what, memcmp(rig_last.proxy_tlv, "\xea\0\2\xca\xfe", 5) == 0);
    }
    close(fd);
    rig_close(&r);
}

static void test_proxy(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        check(i, false);
        check(i, true);
    }
}

/* P05 skip: the header is octets of DNS, here the beginning of a long message. */
static void test_proxy_skip(void)
{
    struct rig r = {.group.proxy = {.set = true, .deflt = WP_PROXY_SKIP}};
    int fd;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    rig_send(&r, fd, WIRE(V1));
    rig_ask(&r, fd, 7, 'a');
    assert_int_equal(rig_answer_id(&r, fd), -EAGAIN);
    rig_pass(&r, 3100 * MS);
    assert_int_equal(rig_answer_id(&r, fd), -1);
    assert_int_equal(rig_runs, 0);
    close(fd);
    rig_close(&r);
}

/* The limit per client counts who asks, not the proxy (advisory 53). */
static void test_proxy_per_client(void)
{
    static const char other[] = "PROXY TCP4 192.0.2.51 192.0.2.1 1234 53\r\n";
    struct rig r = {.group.proxy = {.set = true, .deflt = WP_PROXY_USE}};
    int fd[3];

    rig_limits(&r.group.limits);
    r.group.limits.max_per_client = 1;
    rig_open(&r, &wp_listener_tcp);
    for (unsigned i = 0; i < 3; i++) {
        fd[i] = rig_dial(&r);
        if (i < 2)
            rig_send(&r, fd[i], WIRE(V1));
        else
            rig_send(&r, fd[i], WIRE(other));
        rig_ask(&r, fd[i], 1, 'a');
    }
    assert_int_equal(rig_answer_id(&r, fd[0]), 1);
    assert_int_equal(rig_answer_id(&r, fd[1]), -1);
    assert_int_equal(rig_answer_id(&r, fd[2]), 1);
    for (unsigned i = 0; i < 3; i++)
        close(fd[i]);
    rig_close(&r);
}

/* --- accept ----------------------------------------------------------------------------------- */

/* L07: no descriptor to be had: those connected are served, accept pauses and comes back. */
static void test_descriptors(void)
{
    struct rig r = {0};
    struct rlimit before, none;
    int fd, waiting;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    rig_ask(&r, fd, 1, 's'); /* busy: it is not closed to make room */
    waiting = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)waiting + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(
        connect(waiting,
                (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET,
                                                         .sin_port = htons(r.port),
                                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
                sizeof(struct sockaddr_in)),
        0);
    rig_turns(&r, 20);
    assert_int_equal(wp_guard_connections(&r.group), 1);
    rig_finish(0);
    assert_int_equal(rig_answer_id(&r, fd), 1);
    rig_ask(&r, fd, 2, 's');
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    rig_turns(&r, 3);
    assert_int_equal(wp_guard_connections(&r.group), 1); /* paused: no turn is wasted on it */
    rig_pass(&r, 110 * MS);
    assert_int_equal(wp_guard_connections(&r.group), 2);
    rig_ask(&r, waiting, 3, 'a');
    assert_int_equal(rig_answer_id(&r, waiting), 3);
    close(fd);
    close(waiting);
    rig_close(&r);
}

/* The same with an idle connection: it makes room. */
static void test_descriptors_idle(void)
{
    struct rig r = {0};
    struct rlimit before, none;
    int idle, next;

    rig_open(&r, &wp_listener_tcp);
    idle = rig_dial(&r);
    rig_ask(&r, idle, 1, 'a');
    assert_int_equal(rig_answer_id(&r, idle), 1);
    next = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)next + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(
        connect(next,
                (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET,
                                                         .sin_port = htons(r.port),
                                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
                sizeof(struct sockaddr_in)),
        0);
    rig_turns(&r, 3);
    rig_pass(&r, 110 * MS);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(rig_answer_id(&r, idle), -1);
    rig_ask(&r, next, 2, 'a');
    assert_int_equal(rig_answer_id(&r, next), 2);
    close(idle);
    close(next);
    rig_close(&r);
}

/* A protocol whose surplus waits in the kernel's queue instead (DoH, gRPC). */
static int echo_start(struct wp_conn *c)
{
    c->state = NULL;
    return 0;
}
static int echo_input(struct wp_conn *c, const uint8_t *data, size_t len)
{
    return wp_conn_write(c, data, len) < 0 ? WP_ELIMIT : (int)len;
}
static void echo_end(struct wp_conn *c)
{
    wp_conn_close(c);
}
static void echo_nothing(struct wp_conn *c)
{
    (void)c;
}
static const struct wp_conn_proto echo = {
    .start = echo_start,
    .input = echo_input,
    .eof = echo_end,
    .writable = echo_nothing,
    .timeout = echo_end,
    .drain = echo_end,
    .stop = echo_nothing,
    .wait_when_full = true,
};
static int echo_open(struct wp_worker *w, struct wp_group *g, int fd, struct wp_listener **ret)
{
    return wp_stream_open(w, g, fd, &wp_listener_tcp, &echo, ret);
}

static void test_wait_when_full(void)
{
    struct wp_listener_ops ops = wp_listener_tcp;
    struct rig r = {0};
    char buf[8];
    int fd[3];

    ops.open = echo_open;
    rig_limits(&r.group.limits);
    r.group.limits.max_connections = 2;
    rig_open(&r, &ops);
    for (unsigned i = 0; i < 3; i++) {
        fd[i] = rig_dial(&r);
        rig_send(&r, fd[i], "hello", 5);
    }
    rig_pass(&r, 100 * MS);
    assert_int_equal(rig_recv(&r, fd[0], buf, 8), 5);
    assert_int_equal(rig_recv(&r, fd[1], buf, 8), 5);
    assert_int_equal(rig_recv(&r, fd[2], buf, 8), -EAGAIN);
    close(fd[0]);
    assert_int_equal(rig_recv(&r, fd[2], buf, 8), 5);
    close(fd[1]);
    close(fd[2]);
    rig_close(&r);
}

RUN_TESTS(TEST(test_proxy), TEST(test_proxy_skip), TEST(test_proxy_per_client),
          TEST(test_descriptors), TEST(test_descriptors_idle), TEST(test_wait_when_full))
