/* DNS over HTTPS towards a server that answers out of order, refuses, resets, leaves, stalls. */
#include "upstream_world.h"
/* */
#include "stream_server.h"

#include "backends/common/upstream_conn.h"
#include "waypost/base/text.h"

static struct server s;
static struct wp_upstream *up;

static void begin_alpn(const char *alpn)
{
    char why[WP_TLS_ERR_MAX];
    struct wp_tls_client_config c = {.alpn = "h2"};

    world_new();
    server_new_tls(&s, alpn);
    c.ca_file = cert_path("ca.pem");
    CHECK(wp_tls_client_new(&c, why, &profile.https) == 0);
    CHECK(wp_upstream_new(set, &profile, WP_UPSTREAM_HTTPS, &s.addr, NULL, &up) == 0);
}

static void begin(void)
{
    begin_alpn("h2");
}

static void end(void)
{
    struct wp_tls_ctx *ctx = profile.https;

    world_free();
    server_free(&s);
    wp_tls_ctx_unref(ctx);
}

/* The server's side of the connection, then everything until nothing moves. */
static void settle(uint32_t max_streams)
{
    turn();
    if (server_accept(&s) && s.h2 == NULL)
        server_start_h2(&s, max_streams);
    talk(&s);
}

static uint8_t reply_buf[SERVER_REQUESTS][4096];

static void answer_nth(unsigned i)
{
    size_t len = answer(reply_buf[i], s.requests[i].body, s.requests[i].len, 0, 1);

    server_respond(&s, &s.requests[i], "200", reply_buf[i], len);
}

static void test_post(void)
{
    struct probe p;

    begin();
    CHECK(ask(up, &p, "a.example", false) == 0);
    settle(100);
    CHECK(s.n == 1 && s.requests[0].ended && strcmp(s.requests[0].method, "POST") == 0);
    CHECK(strcmp(s.requests[0].path, "/dns-query") == 0);
    CHECK(strcmp(s.requests[0].authority, wp_upstream_text(up)) == 0);
    CHECK(s.requests[0].len == p.x.len && memcmp(s.requests[0].body, "\0\0", 2) == 0);
    CHECK(memcmp(s.requests[0].body + 2, p.msg + 2, p.x.len - 2) == 0);
    answer_nth(0);
    talk(&s);
    CHECK(p.calls == 1 && p.err == 0 && p.look.verdict == WP_REPLY_OK && p.look.answers == 1 && !p.udp);
    end();
}

static void test_get(void)
{
    struct probe p;
    uint8_t msg[600];
    size_t len;

    begin();
    profile.doh_get = true;
    profile.http_host = "dns.example";
    CHECK(ask(up, &p, "ab.example", false) == 0); /* not a multiple of three octets */
    settle(100);
    CHECK(s.n == 1 && strcmp(s.requests[0].method, "GET") == 0 && s.requests[0].len == 0);
    CHECK(strcmp(s.requests[0].authority, "dns.example") == 0);
    CHECK(strncmp(s.requests[0].path, "/dns-query?dns=", 15) == 0);
    CHECK(wp_base64url_decode(s.requests[0].path + 15, strlen(s.requests[0].path) - 15, msg, sizeof(msg), &len) == 0);
    CHECK(len == p.x.len && memcmp(msg, p.msg, len) == 0);
    end();
}

static void test_out_of_order_on_one_connection(void)
{
    enum { N = 20 };
    static struct probe p[N];
    char name[32];

    begin();
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "q%d.example", i);
        CHECK(ask(up, &p[i], name, false) == 0);
    }
    settle(100);
    CHECK(s.n == N && s.accepted == 1 && up->local[0]->n_conns == 1);
    for (int i = N; i-- > 0;) {
        answer_nth((unsigned)i);
        talk(&s);
    }
    for (int i = 0; i < N; i++)
        CHECK(p[i].calls == 1 && p[i].err == 0 && p[i].look.verdict == WP_REPLY_OK);
    end();
}

static void test_limit_of_streams(void)
{
    static struct probe p[4];

    begin();
    CHECK(ask(up, &p[0], "a.example", false) == 0);
    settle(2);
    CHECK(ask(up, &p[1], "b.example", false) == 0 && ask(up, &p[2], "c.example", false) == 0);
    CHECK(p[0].x.via == p[1].x.via && p[1].x.via != p[2].x.via && up->local[0]->n_conns == 2);
    for (int i = 0; i < 3; i++)
        wp_upstream_cancel(&p[i].x);
    end();
}

static void test_bad_answers(void)
{
    static const struct {
        const char *what, *status;
        size_t cut; /* octets off the end of a good reply; 999: all */
        int err;
        enum wp_reply_verdict verdict;
        const char *why;
    } rows[] = {
        {"good", "200", 0, 0, WP_REPLY_OK, ""},
        {"another 2xx", "203", 0, 0, WP_REPLY_OK, ""},
        {"503", "503", 0, WP_EMALFORMED, WP_REPLY_NOT_ONE, "unexpected HTTP status 503"},
        {"404 without a body", "404", 999, WP_EMALFORMED, WP_REPLY_NOT_ONE, "unexpected HTTP status 404"},
        {"redirected", "302", 0, WP_EMALFORMED, WP_REPLY_NOT_ONE, "unexpected HTTP status 302"},
        {"empty", "200", 999, 0, WP_REPLY_MALFORMED, ""},
        {"cut", "200", 3, 0, WP_REPLY_MALFORMED, ""},
        {"less than a header", "200", 36, 0, WP_REPLY_MALFORMED, ""},
    };

    begin();
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct probe p;
        size_t len;

        CHECK(ask(up, &p, "a.example", false) == 0);
        settle(100);
        len = answer(reply_buf[0], s.requests[i].body, s.requests[i].len, 0, 1);
        server_respond(&s, &s.requests[i], rows[i].status, reply_buf[0], rows[i].cut == 999 ? 0 : len - rows[i].cut);
        talk(&s);
        CHECK_AT(rows[i].what, p.calls == 1 && p.err == rows[i].err && p.look.verdict == rows[i].verdict);
        CHECK_AT(rows[i].what, strcmp(p.why, rows[i].why) == 0 && up->local[0]->n_conns == 1);
    }
    end();
}

static void test_too_much(void)
{
    static uint8_t big[70000];
    struct probe p;

    begin();
    CHECK(ask(up, &p, "a.example", false) == 0);
    settle(100);
    server_respond(&s, &s.requests[0], "200", big, sizeof(big));
    for (int i = 0; i < 4; i++)
        talk(&s);
    CHECK(p.calls == 1 && p.err != 0 && up->local[0]->n_conns == 1);
    end();
}

static void test_reset_and_refused(void)
{
    struct probe p[2];

    begin();
    CHECK(ask(up, &p[0], "a.example", false) == 0 && ask(up, &p[1], "b.example", false) == 0);
    settle(100);
    CHECK(nghttp2_submit_rst_stream(s.h2, 0, s.requests[0].stream, NGHTTP2_INTERNAL_ERROR) == 0);
    CHECK(nghttp2_submit_rst_stream(s.h2, 0, s.requests[1].stream, NGHTTP2_REFUSED_STREAM) == 0);
    server_flush_h2(&s);
    talk(&s);
    CHECK(p[0].calls == 1 && p[0].err == WP_EREFUSED && !p[0].again);
    CHECK(p[1].calls == 1 && p[1].err == WP_EREFUSED && p[1].again);
    end();
}

/* GOAWAY: what was accepted is answered, what was not is asked again, on a new connection. */
static void test_goaway(void)
{
    struct probe p[3];

    begin();
    CHECK(ask(up, &p[0], "a.example", false) == 0 && ask(up, &p[1], "b.example", false) == 0);
    settle(100);
    CHECK(nghttp2_submit_goaway(s.h2, 0, s.requests[0].stream, NGHTTP2_NO_ERROR, NULL, 0) == 0);
    server_flush_h2(&s);
    talk(&s);
    CHECK(p[0].calls == 0 && p[1].calls == 1 && p[1].again);
    CHECK(ask(up, &p[2], "c.example", false) == 0);
    CHECK(p[2].x.via != p[0].x.via && up->local[0]->n_conns == 2);
    answer_nth(0);
    talk(&s);
    CHECK(p[0].calls == 1 && p[0].err == 0 && up->local[0]->n_conns == 1);
    wp_upstream_cancel(&p[2].x);
    end();
}

static void test_two_seconds_in_all(void)
{
    struct probe p;

    begin();
    profile.read_timeout_ns = 60 * (int64_t)SECOND; /* is not for HTTPS */
    CHECK(ask(up, &p, "a.example", false) == 0);
    turn();
    at(now + 900 * MS);
    settle(100); /* the handshake took that long */
    CHECK(s.n == 1);
    later(1099 * MS);
    CHECK(p.calls == 0);
    later(2 * MS);
    CHECK(p.calls == 1 && p.err == WP_ETIMEOUT);
    end();
}

static void test_cancel_resets_the_stream(void)
{
    struct probe p[2];

    begin();
    CHECK(ask(up, &p[0], "a.example", false) == 0);
    wp_upstream_cancel(&p[0].x);
    CHECK(up->local[0]->n_conns == 0);
    CHECK(ask(up, &p[0], "a.example", false) == 0 && ask(up, &p[1], "b.example", false) == 0);
    turn();
    CHECK(server_accept(&s));
    server_hang_up(&s); /* of the first one */
    settle(100);
    CHECK(s.n == 2);
    wp_upstream_cancel(&p[0].x);
    talk(&s);
    CHECK(s.resets == 1 && up->local[0]->n_conns == 1);
    answer_nth(1);
    talk(&s);
    CHECK(p[0].calls == 0 && p[1].calls == 1 && p[1].err == 0);
    end();
}

static void test_server_without_http2(void)
{
    struct probe p;

    begin_alpn(NULL);
    CHECK(ask(up, &p, "a.example", false) == 0);
    talk(&s);
    CHECK(p.calls == 1 && p.err == WP_EUNSUPPORTED && up->local[0]->n_conns == 0);
    end();
}

static void test_garbage(void)
{
    struct probe p;

    begin();
    CHECK(ask(up, &p, "a.example", false) == 0);
    talk(&s);
    server_write(&s, "HTTP/1.1 200 OK\r\n\r\n", 19);
    talk(&s);
    CHECK(p.calls == 1 && p.err < 0 && up->local[0]->n_conns == 0);
    end();
}

/* A server that asks for answers without end and reads none of them does not fill our memory. */
static void test_pings_that_are_not_read(void)
{
    struct probe p;

    begin();
    CHECK(ask(up, &p, "a.example", false) == 0);
    settle(100);
    for (int round = 0; round < 3000 && p.calls == 0; round++) {
        for (int i = 0; i < 50; i++)
            CHECK(nghttp2_submit_ping(s.h2, 0, NULL) == 0);
        server_flush_h2(&s);
        turn();
        if (up->local[0]->n_conns > 0)
            CHECK(wp_up_conn_backlog(up->local[0]->conns) < 2 * WP_UP_OUT_MAX);
    }
    CHECK(p.calls == 1 || up->local[0]->n_conns == 1);
    if (p.calls == 0)
        wp_upstream_cancel(&p.x);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_post), TEST(test_get), TEST(test_out_of_order_on_one_connection), TEST(test_limit_of_streams),
        TEST(test_bad_answers), TEST(test_too_much), TEST(test_reset_and_refused), TEST(test_goaway),
        TEST(test_two_seconds_in_all), TEST(test_cancel_resets_the_stream), TEST(test_server_without_http2),
        TEST(test_garbage), TEST(test_pings_that_are_not_read)};

    return cmocka_run_group_tests(tests, NULL, server_done);
}
