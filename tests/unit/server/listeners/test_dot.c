#include "server/listeners/stream_rig.h"
#include "tls/peer.h"
#include "waypost/plugin/metric.h"

static struct cert ca, server, good, stranger;

static void rig_open_tls(struct rig *r, enum wp_tls_auth auth)
{
    struct wp_tls_server_config c = {
        .cert_file = cert_path("cert.pem"),
        .key_file = cert_path("key.pem"),
        .ca_file = cert_path("ca.pem"),
        .client_auth = auth,
        .alpn = "dot",
    };
    char why[WP_TLS_ERR_MAX];

    assert_int_equal(wp_tls_server_new(&c, why, &r->group.tls), 0);
    rig_open(r, &wp_listener_dot);
}

static void rig_close_tls(struct rig *r)
{
    rig_close(r);
    wp_tls_ctx_unref(r->group.tls);
}

/* Octets both ways until nothing moves. Returns the octets that came; *ret_end: the server's FIN
 * or RST. */
static size_t exchange(struct rig *r, int fd, struct peer *p, bool *ret_end)
{
    uint8_t buf[70000];
    size_t total = 0;
    bool moved = true;

    *ret_end = false;
    for (unsigned i = 0; i < 300 && moved; i++) {
        ssize_t n;
        size_t out;

        moved = false;
        if (!p->ready && SSL_do_handshake(p->ssl) == 1)
            p->ready = true;
        ERR_clear_error();
        out = peer_take(p, buf, sizeof(buf));
        if (out > 0) {
            send(fd, buf, out, MSG_NOSIGNAL);
            moved = true;
        }
        n = rig_recv(r, fd, buf, sizeof(buf));
        if (n > 0) {
            BIO_write(p->in, buf, (int)n);
            total += (size_t)n;
            moved = true;
        } else if (n != -EAGAIN) {
            *ret_end = true;
        }
    }
    return total;
}

/* A handshake that is through. */
static int dial_tls(struct rig *r, struct peer *p, const struct peer_setup *setup)
{
    int fd = rig_dial(r);
    bool end;

    peer_new(p, setup);
    exchange(r, fd, p, &end);
    assert_true(p->ready);
    return fd;
}

static void put(struct peer *p, const void *data, size_t len)
{
    assert_int_equal(SSL_write(p->ssl, data, (int)len), (int)len);
}

static void put_query(struct peer *p, uint16_t id, char command)
{
    uint8_t m[22];

    put(p, m, rig_message(m, id, command));
}

/* ID of the next answer, or -EAGAIN, or -1: close_notify. */
static int get_id(struct rig *r, int fd, struct peer *p)
{
    uint8_t head[2], msg[65536];
    size_t n, len, at = 0;
    bool end;

    exchange(r, fd, p, &end);
    if (SSL_read_ex(p->ssl, head, 2, &n) != 1)
        return SSL_get_error(p->ssl, 0) == SSL_ERROR_ZERO_RETURN ? -1 : -EAGAIN;
    assert_int_equal(n, 2);
    len = wp_be16(head);
    while (at < len) {
        if (SSL_read_ex(p->ssl, msg + at, len - at, &n) == 1)
            at += n;
        else
            exchange(r, fd, p, &end);
    }
    return wp_be16(msg);
}

static void hang_up(struct peer *p, int fd)
{
    peer_free(p);
    close(fd);
}

static void test_answers(void)
{
    struct rig r = {0};
    struct peer p;
    uint8_t m[66];
    int fd;

    rig_open_tls(&r, WP_TLS_AUTH_NONE);
    fd = dial_tls(&r, &p, &(struct peer_setup){.alpn = "\3dot", .sni = "ns.example"});
    put_query(&p, 1, 'a'); /* S01 */
    assert_int_equal(get_id(&r, fd, &p), 1);
    assert_int_equal(rig_last.transport, WP_DOT);
    assert_true(rig_last.encrypted);
    assert_string_equal(rig_last.tls_server_name, "ns.example");
    for (unsigned i = 0; i < 3; i++) /* S22: three queries in a record */
        rig_message(m + 22 * i, (uint16_t)(i + 2), i == 0 ? 's' : 'a');
    put(&p, m, sizeof(m));
    assert_int_equal(get_id(&r, fd, &p), 3);
    assert_int_equal(get_id(&r, fd, &p), 4);
    rig_finish(0);
    assert_int_equal(get_id(&r, fd, &p), 2);
    put_query(&p, 5, 'b');
    assert_int_equal(get_id(&r, fd, &p), 5);
    put(&p, "\0\0", 2); /* T08 inside TLS */
    assert_int_equal(get_id(&r, fd, &p), -1);
    hang_up(&p, fd);
    rig_close_tls(&r);
}

/* The answers of one turn are one record and one write. */
static void test_one_record(void)
{
    struct rig r = {0};
    uint8_t m[22 * 40], buf[8192];
    struct peer p;
    size_t len;
    int fd;

    rig_open_tls(&r, WP_TLS_AUTH_NONE);
    fd = dial_tls(&r, &p, &(struct peer_setup){0});
    for (unsigned i = 0; i < 40; i++)
        rig_message(m + 22 * i, (uint16_t)i, 'a');
    put(&p, m, sizeof(m));
    len = peer_take(&p, buf, sizeof(buf));
    assert_int_equal(send(fd, buf, len, 0), (ssize_t)len);
    assert_int_equal(rig_recv(&r, fd, buf, sizeof(buf)), 5 + 22 * 40 + 17);
    hang_up(&p, fd);
    rig_close_tls(&r);
}

/* A flood of handshakes leaves room in every turn. */
static void test_handshakes_of_a_turn(void)
{
    enum { N = 30 };
    struct rig r = {0};
    struct peer p[N];
    uint8_t buf[8192];
    unsigned answered = 0;
    int fd[N];

    rig_open_tls(&r, WP_TLS_AUTH_NONE);
    for (unsigned i = 0; i < N; i++)
        fd[i] = rig_dial(&r);
    for (unsigned i = 0; i < N; i++) {
        size_t len;

        peer_new(&p[i], &(struct peer_setup){0});
        SSL_do_handshake(p[i].ssl);
        len = peer_take(&p[i], buf, sizeof(buf));
        assert_int_equal(send(fd[i], buf, len, 0), (ssize_t)len);
    }
    rig_turns(&r, 1);
    for (unsigned i = 0; i < N; i++)
        answered += recv(fd[i], buf, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
    assert_in_range(answered, 1, 8);
    rig_turns(&r, 4);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(recv(fd[i], buf, 1, MSG_DONTWAIT | MSG_PEEK), 1);
        hang_up(&p[i], fd[i]);
    }
    rig_close_tls(&r);
}

/* S12, S13: no TLS, no answer. */
static void test_not_tls(void)
{
    static const char *const inputs[] = {"GET / HTTP/1.0\r\n\r\n", "\0\x14\0\1aaaaaaaaaaaaaaaaaa"};
    struct rig r = {0};

    rig_open_tls(&r, WP_TLS_AUTH_NONE);
    for (unsigned i = 0; i < COUNT(inputs); i++) {
        int fd = rig_dial(&r);
        uint8_t buf[100];
        ssize_t n;

        rig_send(&r, fd, inputs[i], i == 0 ? 18 : 22);
        n = rig_recv(&r, fd, buf, sizeof(buf));
        if (n > 0) {
            assert_int_equal(buf[0], 21); /* an alert */
            n = rig_recv(&r, fd, buf, sizeof(buf));
        }
        assert_int_equal(n, 0);
        close(fd);
        rig_turns(&r, 3);
    }
    assert_int_equal(rig_runs, 0);
    rig_close_tls(&r);
}

/* S15: 5 s for the handshake, however it drips. */
static void test_handshake_deadline(void)
{
    struct rig r = {0};
    uint8_t hello[4096];
    struct peer p;
    size_t len;
    int silent, slow;

    rig_open_tls(&r, WP_TLS_AUTH_NONE);
    silent = rig_dial(&r);
    slow = rig_dial(&r);
    peer_new(&p, &(struct peer_setup){0});
    SSL_do_handshake(p.ssl);
    len = peer_take(&p, hello, sizeof(hello));
    assert_true(len > 20);
    for (unsigned i = 0; i < 9; i++) {
        rig_send(&r, slow, hello + i, 1);
        rig_pass(&r, 540 * MS);
    }
    assert_int_equal(rig_recv(&r, silent, hello, 1), -EAGAIN);
    rig_pass(&r, 300 * MS);
    assert_int_equal(rig_recv(&r, silent, hello, 1), 0);
    assert_true(rig_recv(&r, slow, hello, 1) <= 0);
    assert_int_equal(wp_guard_connections(&r.group), 0);
    hang_up(&p, slow);
    close(silent);
    rig_close_tls(&r);
}

/* S26, and close_notify followed by nothing: what was asked is answered. */
static void test_ends(void)
{
    struct rig r = {0};
    struct peer p;
    int fd;

    rig_open_tls(&r, WP_TLS_AUTH_NONE);
    for (unsigned notify = 0; notify < 2; notify++) {
        bool end;

        fd = dial_tls(&r, &p, &(struct peer_setup){0});
        put_query(&p, 1, 's');
        put_query(&p, 2, 'a');
        if (notify)
            SSL_shutdown(p.ssl);
        exchange(&r, fd, &p, &end);
        if (!notify)
            shutdown(fd, SHUT_WR);
        assert_int_equal(get_id(&r, fd, &p), 2);
        rig_finish(0);
        assert_int_equal(get_id(&r, fd, &p), 1);
        assert_int_equal(get_id(&r, fd, &p), -1); /* close_notify before FIN */
        hang_up(&p, fd);
        rig_turns(&r, 3);
        assert_int_equal(wp_guard_connections(&r.group), 0);
    }
    rig_close_tls(&r);
}

/* T14 to T16 inside TLS: read 3 s from the handshake, idle 10 s; ended with close_notify. */
static void test_deadlines(void)
{
    struct rig r = {0};
    struct peer p, q;
    int fd, idle;

    rig_open_tls(&r, WP_TLS_AUTH_NONE);
    fd = dial_tls(&r, &p, &(struct peer_setup){0});
    idle = dial_tls(&r, &q, &(struct peer_setup){0});
    put_query(&q, 1, 'a');
    assert_int_equal(get_id(&r, idle, &q), 1);
    rig_pass(&r, 3100 * MS);
    assert_int_equal(get_id(&r, fd, &p), -1);
    rig_pass(&r, 6800 * MS);
    assert_int_equal(get_id(&r, idle, &q), -EAGAIN);
    rig_pass(&r, 200 * MS);
    assert_int_equal(get_id(&r, idle, &q), -1);
    hang_up(&p, fd);
    hang_up(&q, idle);
    rig_close_tls(&r);
}

/* T20 inside TLS. */
static void test_not_reading(void)
{
    struct rig r = {0};
    uint8_t buf[4096];
    struct peer p;
    int fd;

    rig_open_tls(&r, WP_TLS_AUTH_NONE);
    fd = dial_tls(&r, &p, &(struct peer_setup){0});
    for (unsigned i = 0; i < 400; i++) {
        size_t len;

        put_query(&p, 1, 'b');
        len = peer_take(&p, buf, sizeof(buf));
        if (send(fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        rig_turns(&r, 1);
    }
    rig_turns(&r, 50);
    assert_true(rig_runs < 200);
    rig_pass(&r, 5100 * MS);
    assert_int_equal(wp_guard_connections(&r.group), 0);
    hang_up(&p, fd);
    rig_close_tls(&r);
}

static void test_drain(void)
{
    struct rig r = {0};
    struct peer p, q;
    int idle, busy;

    rig_open_tls(&r, WP_TLS_AUTH_NONE);
    idle = dial_tls(&r, &p, &(struct peer_setup){0});
    busy = dial_tls(&r, &q, &(struct peer_setup){0});
    put_query(&q, 1, 's');
    assert_int_equal(get_id(&r, busy, &q), -EAGAIN);
    r.listener->ops->drain(r.listener, rig_closed, &r);
    assert_int_equal(get_id(&r, idle, &p), -1);
    hang_up(&p, idle);
    rig_finish(0);
    assert_int_equal(get_id(&r, busy, &q), 1);
    assert_int_equal(get_id(&r, busy, &q), -1);
    hang_up(&q, busy);
    rig_turns(&r, 3);
    assert_int_equal(r.closed, 1);
    rig_close_tls(&r);
}

/* The listener goes while a query waits: the query's view of the connection stays valid. */
static void test_close_while_waiting(void)
{
    struct rig r = {0};
    struct peer p;
    const char *sni;
    int fd;

    rig_open_tls(&r, WP_TLS_AUTH_NONE);
    rig_cancel_later = true;
    fd = dial_tls(&r, &p, &(struct peer_setup){.sni = "ns.example"});
    put_query(&p, 1, 's');
    assert_int_equal(get_id(&r, fd, &p), -EAGAIN);
    sni = rig_waiting[0]->tls_server_name;
    r.listener->ops->close(r.listener);
    r.listener = NULL;
    assert_string_equal(sni, "ns.example");
    assert_int_equal(rig_cancelled, 1);
    rig_finish(0);
    hang_up(&p, fd);
    rig_close_tls(&r);
}

/* S37, S38 through the listener. */
static void test_client_auth(void)
{
    struct rig r = {0};
    struct peer p;
    bool end;
    int fd;

    rig_open_tls(&r, WP_TLS_AUTH_REQUIRE_AND_VERIFY);
    fd = dial_tls(&r, &p, &(struct peer_setup){.cert = &good});
    put_query(&p, 1, 'a');
    assert_int_equal(get_id(&r, fd, &p), 1);
    hang_up(&p, fd);
    fd = dial_tls(&r, &p, &(struct peer_setup){.cert = &stranger}); /* 1.3: the client is ready */
    put_query(&p, 1, 'a');
    exchange(&r, fd, &p, &end);
    SSL_read(p.ssl, &(char){0}, 1);
    assert_int_equal(p.alert, 48);
    assert_true(end);
    assert_int_equal(rig_runs, 1);
    hang_up(&p, fd);
    rig_close_tls(&r);
}

/* P03: the PROXY header comes before TLS. */
static void test_proxy_before_tls(void)
{
    static const char header[] = "PROXY TCP4 192.0.2.50 192.0.2.1 1234 853\r\n";
    struct rig r = {.group.proxy = {.set = true, .deflt = WP_PROXY_USE}};
    struct wp_addr want;
    struct peer p;
    bool end;
    int fd;

    rig_open_tls(&r, WP_TLS_AUTH_NONE);
    for (unsigned whole = 0; whole < 2; whole++) {
        uint8_t buf[4096];
        size_t len = sizeof(header) - 1;

        fd = rig_dial(&r);
        peer_new(&p, &(struct peer_setup){0});
        SSL_do_handshake(p.ssl);
        memcpy(buf, header, len);
        len += peer_take(&p, buf + len, sizeof(buf) - len);
        if (whole) {
            rig_send(&r, fd, buf, len); /* header and hello in one segment */
        } else {
            rig_send(&r, fd, buf, 10);
            rig_send(&r, fd, buf + 10, len - 10);
        }
        exchange(&r, fd, &p, &end);
        put_query(&p, 1, 'a');
        assert_int_equal(get_id(&r, fd, &p), 1);
        assert_int_equal(wp_addr_parse("192.0.2.50:1234", 0, &want), 0);
        assert_true(wp_addr_equal(&rig_last.client, &want));
        hang_up(&p, fd);
    }
    rig_close_tls(&r);
}

static uint64_t handshakes(const struct rig *r, const char *result)
{
    static const struct wp_family f = {
        .name = "waypost_tls_handshakes_total",
        .help = "TLS handshakes of clients, by result.",
        .kind = WP_COUNTER,
        .labels = {"server", "result"},
    };

    return wp_metric_value(wp_metric_series(&f, (const char *const[]){r->group.label, result}));
}

static void test_counts(void)
{
    struct rig r = {.group.label = "tls://counted:853"};
    struct peer p;
    SSL_SESSION *session;
    uint8_t buf[64];
    int fd;

    rig_open_tls(&r, WP_TLS_AUTH_NONE);
    fd = dial_tls(&r, &p, &(struct peer_setup){0});
    put_query(&p, 1, 'a');
    assert_int_equal(get_id(&r, fd, &p), 1);
    session = p.session;
    p.session = NULL;
    hang_up(&p, fd);
    fd = dial_tls(&r, &p, &(struct peer_setup){.session = session});
    assert_true(SSL_session_reused(p.ssl));
    hang_up(&p, fd);
    fd = rig_dial(&r);
    rig_send(&r, fd, "GET / HTTP/1.0\r\n\r\n", 18);
    rig_recv(&r, fd, buf, sizeof(buf));
    close(fd);
    assert_int_equal(handshakes(&r, "full"), 1);
    assert_int_equal(handshakes(&r, "resumed"), 1);
    assert_int_equal(handshakes(&r, "failed"), 1);
    SSL_SESSION_free(session);
    rig_close_tls(&r);
}

static int setup(void **state)
{
    struct cert other = cert_new("other CA", NULL, NULL, 30);

    (void)state;
    ca = cert_new("test CA", NULL, NULL, 30);
    server = cert_new("ns.example", &ca, "serverAuth", 30);
    good = cert_new("client.example", &ca, "clientAuth", 30);
    stranger = cert_new("stranger.example", &other, "clientAuth", 30);
    cert_write("ca.pem", &ca);
    cert_write("cert.pem", &server);
    cert_write_key("key.pem", &server);
    cert_free(&other);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    cert_free(&ca);
    cert_free(&server);
    cert_free(&good);
    cert_free(&stranger);
    snprintf(command, sizeof(command), "rm -r %s", cert_dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answers),
        TEST(test_one_record),
        TEST(test_not_tls),
        TEST(test_handshake_deadline),
        TEST(test_ends),
        TEST(test_deadlines),
        TEST(test_not_reading),
        TEST(test_drain),
        TEST(test_client_auth),
        TEST(test_close_while_waiting),
        TEST(test_counts),
        TEST(test_handshakes_of_a_turn),
        TEST(test_proxy_before_tls),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
