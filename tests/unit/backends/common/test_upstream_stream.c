/* Connections to upstreams: opened, shared, kept, worn out, closed under us, silent. */
#include "upstream_world.h"
/* */
#include "stream_server.h"

#include "backends/common/upstream_conn.h"

static struct server s;
static struct wp_upstream *up;

static void begin(void)
{
    world_new();
    server_new(&s);
    CHECK(wp_upstream_new(set, &profile, WP_UPSTREAM_DNS, &s.addr, NULL, &up) == 0);
}

static void begin_tls(const char *ca, const char *name)
{
    char why[WP_TLS_ERR_MAX];
    struct wp_tls_client_config c = {0};

    world_new();
    server_new_tls(&s, "dot");
    c.ca_file = ca != NULL ? cert_path(ca) : NULL;
    CHECK(wp_tls_client_new(&c, why, &profile.tls) == 0);
    CHECK(wp_upstream_new(set, &profile, WP_UPSTREAM_TLS, &s.addr, name, &up) == 0);
}

static void end(void)
{
    struct wp_tls_ctx *ctx = profile.tls;

    world_free();
    server_free(&s);
    wp_tls_ctx_unref(ctx);
}

static void answer_one(const uint8_t *q, size_t len)
{
    uint8_t buf[4096];

    server_reply(&s, buf, answer(buf, q, len, 0, 1));
}

static unsigned n_conns(void)
{
    return up->local[0]->n_conns;
}

static void test_answer(void)
{
    struct probe p;
    uint8_t q[600];
    size_t len;

    begin();
    CHECK(ask(up, &p, "a.example", true) == 0);
    talk(&s);
    len = server_message(&s, q);
    CHECK(len == p.x.len && memcmp(q + 2, p.msg + 2, len - 2) == 0);
    answer_one(q, len);
    talk(&s);
    CHECK(p.calls == 1 && p.err == 0 && !p.udp && p.look.verdict == WP_REPLY_OK && p.look.answers == 1);
    end();
}

/* A reply that comes octet by octet, and several in one piece. */
static void test_pieces(void)
{
    struct probe p[3];
    uint8_t q[600], one[600], all[2000];
    size_t len, at = 0;

    begin();
    CHECK(ask(up, &p[0], "a.example", true) == 0);
    talk(&s);
    len = server_message(&s, q);
    len = answer(one, q, len, 0, 1);
    wp_put16(all, (unsigned)len);
    memcpy(all + 2, one, len);
    for (size_t i = 0; i < len + 2; i++) {
        CHECK(p[0].calls == 0);
        server_write(&s, all + i, 1);
        talk(&s);
    }
    CHECK(p[0].calls == 1 && p[0].err == 0);
    for (int i = 0; i < 3; i++) /* three questions on the idle one would be three connections */
        up->local[0]->n_conns = 100;
    for (int i = 0; i < 3; i++)
        CHECK(ask(up, &p[i], i == 0 ? "a.example" : i == 1 ? "b.example" : "c.example", true) == 0);
    up->local[0]->n_conns = 1;
    talk(&s);
    for (int i = 0; i < 3; i++) {
        len = server_message(&s, q);
        CHECK(len > 0);
        len = answer(one, q, len, 0, 1);
        wp_put16(all + at, (unsigned)len);
        memcpy(all + at + 2, one, len);
        at += len + 2;
    }
    server_write(&s, all, at);
    talk(&s);
    for (int i = 0; i < 3; i++)
        CHECK(p[i].calls == 1 && p[i].err == 0 && p[i].look.verdict == WP_REPLY_OK);
    end();
}

static void test_reply_to_nobody(void)
{
    struct probe p;
    uint8_t q[600], buf[4096];
    size_t len;

    begin();
    CHECK(ask(up, &p, "a.example", true) == 0);
    talk(&s);
    len = server_message(&s, q);
    q[0] ^= 0x80;
    answer_one(q, len); /* an id that nobody waits for */
    server_reply(&s, q, 3); /* no message at all */
    server_reply(&s, q, 0);
    talk(&s);
    CHECK(p.calls == 0);
    q[0] ^= 0x80;
    answer(buf, q, len, 0, 1);
    server_reply(&s, buf, len + 5); /* cut: on a stream nothing may be */
    talk(&s);
    CHECK(p.calls == 1 && p.err == 0 && p.look.verdict == WP_REPLY_MALFORMED);
    end();
}

/* A kept connection that the peer closed does not count; a fresh one does. */
static void test_closed_by_peer(void)
{
    struct probe p;
    uint8_t q[600];

    begin();
    CHECK(ask(up, &p, "a.example", true) == 0);
    talk(&s);
    server_hang_up(&s);
    talk(&s);
    CHECK(p.calls == 1 && p.err == WP_ECLOSED && !p.again && strcmp(p.why, "EOF") == 0);
    CHECK(ask(up, &p, "a.example", true) == 0);
    talk(&s);
    answer_one(q, server_message(&s, q));
    talk(&s);
    CHECK(p.calls == 1 && n_conns() == 1);
    CHECK(ask(up, &p, "b.example", true) == 0);
    wp_loop_turn(worker, 0); /* written before the close is seen */
    server_hang_up(&s);
    talk(&s);
    CHECK(p.calls == 1 && p.err < 0 && p.again && n_conns() == 0);
    end();
}

static void test_idle_close_is_noticed(void)
{
    struct probe p;
    uint8_t q[600];

    begin();
    CHECK(ask(up, &p, "a.example", true) == 0);
    talk(&s);
    answer_one(q, server_message(&s, q));
    talk(&s);
    server_hang_up(&s);
    turn();
    CHECK(n_conns() == 0);
    end();
}

static void test_refused(void)
{
    struct probe p;
    char want[120];

    begin();
    close(s.listener);
    CHECK(ask(up, &p, "a.example", true) == 0);
    turn();
    snprintf(want, sizeof(want), "dial tcp %s: connect: connection refused", wp_upstream_text(up));
    CHECK(p.calls == 1 && p.err == -ECONNREFUSED && strcmp(p.why, want) == 0 && !p.again);
    s.listener = dup(0);
    end();
}

static void test_no_reply(void)
{
    struct probe p;
    char want[120];

    begin();
    CHECK(ask(up, &p, "a.example", true) == 0);
    talk(&s);
    later(1999 * MS);
    CHECK(p.calls == 0);
    later(2 * MS);
    snprintf(want, sizeof(want), "->%s: i/o timeout", wp_upstream_text(up));
    CHECK(p.calls == 1 && p.err == WP_ETIMEOUT && strncmp(p.why, "read tcp 127.0.0.1:", 19) == 0 && strstr(p.why, want) != NULL);
    CHECK(n_conns() == 0); /* silent since the query: not worth another one */
    end();
}

/* Another query was answered meanwhile: the connection is good. */
static void test_one_unanswered_query_does_not_end_a_connection(void)
{
    struct probe p, other;
    uint8_t q[600];

    begin();
    CHECK(ask(up, &p, "a.example", true) == 0);
    talk(&s);
    server_message(&s, q);
    up->local[0]->n_conns = 100;
    later(500 * MS);
    CHECK(ask(up, &other, "b.example", true) == 0);
    up->local[0]->n_conns = 1;
    talk(&s);
    answer_one(q, server_message(&s, q));
    talk(&s);
    CHECK(other.calls == 1 && other.err == 0);
    later(1600 * MS);
    CHECK(p.calls == 1 && p.err == WP_ETIMEOUT && n_conns() == 1);
    end();
}

/* The set-up has its own limit, and the socket goes with it. */
static void test_silent_handshake(void)
{
    struct probe p;
    char want[120];

    begin_tls("ca.pem", NULL);
    CHECK(ask(up, &p, "a.example", true) == 0);
    turn();
    later(2499 * MS);
    CHECK(p.calls == 0 && n_conns() == 1);
    later(2 * MS);
    snprintf(want, sizeof(want), "dial tcp %s: i/o timeout", wp_upstream_text(up));
    CHECK(p.calls == 1 && p.err == WP_ETIMEOUT && strcmp(p.why, want) == 0 && n_conns() == 0);
    end();
}

static void test_tls(void)
{
    static const struct {
        const char *what, *ca, *name;
        bool good;
    } rows[] = {
        {"by address", "ca.pem", NULL, true},
        {"by name", "ca.pem", "dns.example", true},
        {"another name", "ca.pem", "other.example", false},
        {"the system's roots", NULL, "dns.example", false},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct probe p;
        uint8_t q[600];

        begin_tls(rows[i].ca, rows[i].name);
        CHECK(ask(up, &p, "a.example", false) == 0);
        talk(&s);
        if (rows[i].good) {
            answer_one(q, server_message(&s, q));
            talk(&s);
                        CHECK_AT(rows[i].what, p.calls == 1 && p.err == 0 && p.look.verdict == WP_REPLY_OK);
        } else {
            CHECK_AT(rows[i].what, p.calls == 1 && p.err == WP_ETLS && strncmp(p.why, "tls: ", 5) == 0);
            CHECK_AT(rows[i].what, n_conns() == 0);
        }
        end();
    }
}

static void test_tls_resumes(void)
{
    struct probe p;
    uint8_t q[600];

    begin_tls("ca.pem", NULL);
    for (int i = 0; i < 2; i++) {
        CHECK(ask(up, &p, "a.example", false) == 0);
        talk(&s);
        CHECK(wp_tls_is_resumed(s.tls) == (i == 1));
        answer_one(q, server_message(&s, q));
        talk(&s);
        CHECK(p.calls == 1 && p.err == 0);
        server_hang_up(&s);
        talk(&s);
    }
    end();
}

static void test_expire_and_age(void)
{
    struct probe p;
    uint8_t q[600];

    begin();
    profile.expire_ns = 3 * (int64_t)SECOND;
    profile.max_age_ns = 8 * (int64_t)SECOND;
    CHECK(ask(up, &p, "a.example", true) == 0);
    talk(&s);
    answer_one(q, server_message(&s, q));
    talk(&s);
    later(2900 * MS);
    CHECK(n_conns() == 1);
    for (int i = 0; i < 3; i++) {
        later(2 * SECOND);
        CHECK(ask(up, &p, "a.example", true) == 0);
        talk(&s);
        if (s.closed)
            server_hang_up(&s);
        talk(&s);
        answer_one(q, server_message(&s, q));
        talk(&s);
        CHECK(p.calls == 1 && p.err == 0);
    }
    CHECK(s.accepted == 2); /* its age ended the first one, though it was never idle for long */
    later(3100 * MS);
    later(1600 * MS);
    CHECK(n_conns() == 0);
    end();
}

static void test_max_idle(void)
{
    static struct probe p[6];

    begin();
    profile.max_idle = 2;
    for (int i = 0; i < 6; i++)
        CHECK(ask(up, &p[i], "a.example", true) == 0);
    turn();
    CHECK(n_conns() == 6);
    for (int i = 0; i < 6; i++)
        wp_upstream_cancel(&p[i].x);
    CHECK(n_conns() == 2);
    end();
}

static void test_sharing(void)
{
    enum { N = 100 };
    static struct probe p[N];

    begin();
    for (int i = 0; i < N; i++)
        CHECK(ask(up, &p[i], "a.example", true) == 0);
    turn();
    CHECK(n_conns() == 8);
    for (const struct wp_up_conn *c = up->local[0]->conns; c != NULL; c = c->next)
        CHECK(c->open >= N / 8 && c->open <= N / 8 + 1);
    for (int i = 0; i < N; i++)
        for (int j = i + 1; j < N; j++)
            CHECK(p[i].x.via != p[j].x.via || p[i].x.id != p[j].x.id);
    for (int i = 0; i < N; i++)
        wp_upstream_cancel(&p[i].x);
    end();
}

/* A server that closes after its first reply gets one query at a time. */
static void test_server_that_takes_one_at_a_time(void)
{
    struct probe p[3];
    uint8_t q[600];
    size_t len;

    begin();
    CHECK(ask(up, &p[0], "a.example", true) == 0);
    talk(&s);
    up->local[0]->n_conns = 100;
    CHECK(ask(up, &p[1], "b.example", true) == 0 && ask(up, &p[2], "c.example", true) == 0);
    up->local[0]->n_conns = 1;
    talk(&s);
    len = server_message(&s, q);
    answer_one(q, len);
    talk(&s);
    CHECK(p[0].calls == 1 && p[0].err == 0);
    server_hang_up(&s);
    talk(&s);
    CHECK(p[1].again && p[2].again && up->local[0]->depth == 1);
    up->local[0]->n_conns = 10;
    for (int i = 0; i < 3; i++)
        CHECK(ask(up, &p[i], "a.example", true) == 0);
    CHECK(p[0].x.via != p[1].x.via && p[1].x.via != p[2].x.via);
    for (int i = 0; i < 3; i++)
        wp_upstream_cancel(&p[i].x);
    end();
}

static void test_cancel(void)
{
    struct probe p, other;
    uint8_t q[600];
    size_t len;

    begin();
    CHECK(ask(up, &p, "a.example", true) == 0);
    wp_upstream_cancel(&p.x); /* nobody waits for the connection */
    CHECK(n_conns() == 0);
    CHECK(ask(up, &p, "a.example", true) == 0);
    talk(&s);
    server_hang_up(&s); /* the one that was given up */
    talk(&s);
    len = server_message(&s, q);
    CHECK(len > 0);
    wp_upstream_cancel(&p.x);
    CHECK(n_conns() == 1);
    answer_one(q, len); /* too late */
    CHECK(ask(up, &other, "b.example", true) == 0);
    talk(&s);
    CHECK(other.calls == 0);
    answer_one(q, server_message(&s, q));
    talk(&s);
    CHECK(p.calls == 0 && other.calls == 1 && other.err == 0);
    end();
}

/* A server that sends and sends is heard a piece at a time. */
static void test_flood(void)
{
    static uint8_t junk[60000];
    struct probe p;

    begin();
    CHECK(ask(up, &p, "a.example", true) == 0);
    talk(&s);
    for (int i = 0; i < 20; i++) {
        uint8_t head[2];

        wp_put16(head, sizeof(junk));
        if (send(s.fd, head, 2, MSG_DONTWAIT) != 2 || send(s.fd, junk, sizeof(junk), MSG_DONTWAIT) != sizeof(junk))
            break;
        turn();
        CHECK(p.calls == 0 && up->local[0]->conns->in.len <= 65537);
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answer), TEST(test_pieces), TEST(test_reply_to_nobody), TEST(test_closed_by_peer),
        TEST(test_idle_close_is_noticed), TEST(test_refused), TEST(test_no_reply),
        TEST(test_one_unanswered_query_does_not_end_a_connection), TEST(test_silent_handshake), TEST(test_tls),
        TEST(test_tls_resumes), TEST(test_expire_and_age), TEST(test_max_idle), TEST(test_sharing),
        TEST(test_server_that_takes_one_at_a_time), TEST(test_cancel), TEST(test_flood)};

    return cmocka_run_group_tests(tests, NULL, server_done);
}
