/* Queries over UDP against servers that answer late, wrongly, twice, too much, or not at all. */
#include "upstream_world.h"

#include "waypost/plugin/metric.h"

static struct wp_upstream *up;
static int server;
static struct sockaddr_storage peer;
static socklen_t peer_len;
static uint8_t got[4096];

static void begin(void)
{
    struct wp_addr a;

    world_new();
    server = fake(SOCK_DGRAM, &a);
    CHECK(wp_upstream_new(set, &profile, WP_UPSTREAM_DNS, &a, NULL, &up) == 0);
}

static void end(void)
{
    world_free();
    if (server >= 0)
        close(server);
}

/* The next query at the server; 0: none. */
static size_t receive(void)
{
    ssize_t n;

    peer_len = sizeof(peer);
    n = recvfrom(server, got, sizeof(got), MSG_DONTWAIT, (struct sockaddr *)&peer, &peer_len);
    return n > 0 ? (size_t)n : 0;
}

static void say(const void *msg, size_t len)
{
    CHECK(sendto(server, msg, len, 0, (struct sockaddr *)&peer, peer_len) == (ssize_t)len);
    turn();
}

static void say_answer(unsigned rcode, unsigned n)
{
    uint8_t buf[4096];
    size_t qlen = WP_HEADER_LEN + (size_t)wp_name_len(got + WP_HEADER_LEN, 255) + 4;

    say(buf, answer(buf, got, qlen, rcode, n));
}

static void test_answer(void)
{
    struct probe p;

    begin();
    CHECK(ask(up, &p, "www.example.org", false) == 0);
    CHECK(receive() == 0); /* batched to the end of the turn */
    turn();
    CHECK(receive() == p.x.len && memcmp(got + 2, p.msg + 2, p.x.len - 2) == 0);
    say_answer(0, 2);
    CHECK(p.calls == 1 && p.err == 0 && p.udp && p.look.verdict == WP_REPLY_OK);
    CHECK(p.look.answers == 2 && p.look.rcode == 0 && (p.look.flags & WP_FLAG_RA));
    say_answer(0, 2); /* a second one meets nobody */
    CHECK(p.calls == 1);
    end();
}

/* What must not end the waiting for the true answer: CVE-2023-28452 (TuDoor) and forgeries with
 * one field right. */
static void test_forgeries(void)
{
    static const char *const rows[] = {"wrong id", "short", "no reply", "other name", "other type",
                                       "other class", "no question", "two questions", "cut question", "garbage"};
    uint8_t buf[4096];

    begin();
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct probe p;
        size_t qlen, len;

        CHECK(ask(up, &p, "www.example.org", false) == 0);
        turn();
        qlen = receive();
        CHECK_AT(rows[i], qlen > 0);
        len = answer(buf, got, qlen, 0, 1);
        switch (i) {
        case 0: buf[0] ^= 1; break;
        case 1: len = 11; break;
        case 2: buf[2] &= 0x7f; break;
        case 3: buf[13] ^= 2; break;
        case 4: buf[qlen - 3] = 28; break;
        case 5: buf[qlen - 1] = 3; break;
        case 6: buf[5] = 0; break;
        case 7: buf[5] = 2; break;
        case 8: len = qlen - 2; break;
        case 9: memset(buf + 4, 0xff, len - 4); break;
        default: fail();
        }
        say(buf, len);
        later(50 * MS);
        CHECK_AT(rows[i], p.calls == 0);
        say_answer(0, 1);
        CHECK_AT(rows[i], p.calls == 1 && p.err == 0 && p.look.verdict == WP_REPLY_OK);
    }
    end();
}

/* An upstream that answers another question and nothing else: said after a short wait. */
static void test_mismatch_only(void)
{
    uint8_t buf[4096];
    struct probe p;

    begin();
    CHECK(ask(up, &p, "www.example.org", false) == 0);
    turn();
    answer(buf, got, receive(), 0, 0);
    buf[13] ^= 2;
    say(buf, p.x.len);
    later(499 * MS);
    CHECK(p.calls == 0);
    later(2 * MS);
    CHECK(p.calls == 1 && p.err == 0 && p.look.verdict == WP_REPLY_MISMATCH);
    end();
}

static void test_case_is_ignored(void)
{
    struct probe p;
    uint8_t buf[4096];
    size_t len;

    begin();
    CHECK(ask(up, &p, "wWw.ExAmPle.org", false) == 0);
    turn();
    len = answer(buf, got, receive(), 3, 0);
    CHECK(memcmp(got + 13, "wWw", 3) == 0); /* sent as spelled */
    buf[13] = 'W', buf[14] = 'w';
    say(buf, len);
    CHECK(p.calls == 1 && p.look.verdict == WP_REPLY_OK && p.look.rcode == 3);
    end();
}

static void test_too_long_is_cut(void)
{
    struct probe p;

    begin();
    CHECK(ask(up, &p, "a.example", false) == 0);
    turn();
    receive();
    say_answer(0, 40); /* 640 octets and no EDNS in the query */
    CHECK(p.calls == 1 && p.err == 0 && p.look.verdict == WP_REPLY_CUT);
    end();
}

static void test_silence(void)
{
    struct probe p;
    char want[120];

    begin();
    CHECK(ask(up, &p, "a.example", false) == 0);
    turn();
    CHECK(receive() > 0);
    later(990 * MS);
    CHECK(receive() == 0);
    later(20 * MS);
    CHECK(receive() > 0); /* once more, half-way, same id */
    CHECK(memcmp(got, p.msg, 2) == 0);
    later(980 * MS);
    CHECK(p.calls == 0);
    later(20 * MS);
    CHECK(p.calls == 1 && p.err == WP_ETIMEOUT);
    snprintf(want, sizeof(want), "->%s: i/o timeout", wp_upstream_text(up));
    CHECK(strncmp(p.why, "read udp 127.0.0.1:", 19) == 0 && strstr(p.why, want) != NULL);
    later(10 * SECOND);
    CHECK(receive() == 0);
    end();
}

static void test_lost_datagram_costs_half(void)
{
    struct probe p;

    begin();
    CHECK(ask(up, &p, "a.example", false) == 0);
    turn();
    CHECK(receive() > 0); /* lost */
    later(1001 * MS);
    CHECK(receive() > 0);
    say_answer(0, 1);
    CHECK(p.calls == 1 && p.err == 0);
    end();
}

static void test_deadline_bounds_the_wait(void)
{
    struct probe p;

    begin();
    CHECK(ask(up, &p, "a.example", false) == 0);
    wp_upstream_cancel(&p.x);
    p.x.deadline_ns = now + 300 * MS;
    const char *why;
    CHECK(wp_upstream_ask(up, worker, &p.x, &why) == 0);
    later(301 * MS);
    CHECK(p.calls == 0 || p.err == WP_ETIMEOUT);
    later(1 * MS);
    CHECK(p.calls == 1);
    end();
}

static void test_port_unreachable(void)
{
    struct probe p, q;

    begin();
    close(server);
    server = -1;
    CHECK(ask(up, &p, "a.example", false) == 0);
    CHECK(ask(up, &q, "b.example", false) == 0);
    turn();
    CHECK(p.calls == 1 && p.err == -ECONNREFUSED && q.calls == 1);
    CHECK(strstr(p.why, ": read: connection refused") != NULL);
    end();
}

/* No route at all: the try cannot even start, and says so. */
static void test_no_route(void)
{
    struct wp_upstream *far;
    struct wp_addr a;
    struct probe p;

    begin();
    profile.source = (struct wp_addr){.family = 4, .ip = {127, 0, 0, 1}};
    CHECK(wp_addr_parse("192.0.2.1", 53, &a) == 0);
    CHECK(wp_upstream_new(set, &profile, WP_UPSTREAM_DNS, &a, NULL, &far) == 0);
    CHECK(ask(far, &p, "a.example", false) < 0 || (turn(), p.err < 0));
    CHECK(strncmp(p.why, "dial udp 192.0.2.1:53: connect: ", 32) == 0 ||
          strncmp(p.why, "write udp 127.0.0.1:", 20) == 0);
    end();
}

static void test_source_address(void)
{
    struct probe p;

    begin();
    CHECK(wp_addr_parse_ip("127.0.0.77", &profile.source) == 0);
    CHECK(ask(up, &p, "a.example", false) == 0);
    turn();
    CHECK(receive() > 0);
    CHECK(ntohl(((struct sockaddr_in *)&peer)->sin_addr.s_addr) == 0x7f00004d);
    say_answer(0, 0);
    end();
}

/* Ids and ports are spread (CVE-2019-19794): all ids of a burst differ on a socket, many ports are
 * used, ports do not stay. */
static void test_ids_and_ports(void)
{
    enum { N = 4096 };
    static uint8_t port_seen[65536];
    unsigned ports = 0, ids[16] = {0};

    begin();
    memset(port_seen, 0, sizeof(port_seen));
    for (int i = 0; i < N; i++) {
        struct probe p;
        uint16_t id, port;

        CHECK(ask(up, &p, "a.example", false) == 0);
        turn();
        CHECK(receive() > 0);
        id = wp_be16(got);
        port = ntohs(((struct sockaddr_in *)&peer)->sin_port);
        ports += port_seen[port]++ == 0;
        for (int b = 0; b < 16; b++)
            ids[b] += id >> b & 1;
        say_answer(0, 0);
        CHECK(p.calls == 1);
    }
    CHECK(ports >= 16);
    for (int b = 0; b < 16; b++) /* 6 sigma of a fair coin */
        CHECK(ids[b] > N / 2 - 192 && ids[b] < N / 2 + 192);
    later(40 * SECOND); /* all idle: gone */
    CHECK(up->local[0]->n_sockets == 0);
    end();
}

/* Many at a time: sockets are shared, ids on one socket differ, each reply finds its own. */
static void test_many_in_flight(void)
{
    enum { N = 1200, ROUND = 100 };
    static struct probe p[N];
    static struct {
        uint8_t msg[64];
        size_t len;
        struct sockaddr_storage peer;
    } seen[N];
    unsigned n = 0, sockets = 0;

    begin();
    for (int i = 0; i < N; i++) {
        CHECK(ask(up, &p[i], "a.example", false) == 0);
        if (i % ROUND < ROUND - 1)
            continue;
        turn();
        for (size_t len; n < N && (len = receive()) > 0; n++) {
            memcpy(seen[n].msg, got, len);
            seen[n].len = len;
            seen[n].peer = peer;
        }
    }
    CHECK(n == N);
    for (int i = 0; i < N; i++)
        for (int j = i + 1; j < N; j++)
            CHECK(p[i].x.via != p[j].x.via || p[i].x.id != p[j].x.id);
    for (int i = 0; i < WP_UP_SOCKETS; i++)
        sockets += up->local[0]->socket[i] != NULL;
    CHECK(sockets >= 12 && sockets < 40);
    while (n-- > 0) {
        memcpy(got, seen[n].msg, seen[n].len);
        peer = seen[n].peer;
        say_answer(0, 1);
    }
    for (int i = 0; i < N; i++)
        CHECK(p[i].calls == 1 && p[i].err == 0 && p[i].look.answers == 1);
    end();
}

static void test_cancel(void)
{
    struct probe p, q;

    begin();
    CHECK(ask(up, &p, "a.example", false) == 0);
    wp_upstream_cancel(&p.x); /* before it went out */
    turn();
    CHECK(receive() == 0);
    CHECK(ask(up, &q, "b.example", false) == 0);
    turn();
    CHECK(receive() > 0);
    wp_upstream_cancel(&q.x);
    say_answer(0, 1);
    later(10 * SECOND);
    CHECK(p.calls == 0 && q.calls == 0);
    end();
}

RUN_TESTS(TEST(test_answer), TEST(test_forgeries), TEST(test_mismatch_only),
          TEST(test_case_is_ignored), TEST(test_too_long_is_cut), TEST(test_silence),
          TEST(test_lost_datagram_costs_half), TEST(test_deadline_bounds_the_wait),
          TEST(test_port_unreachable), TEST(test_no_route), TEST(test_source_address),
          TEST(test_ids_and_ports), TEST(test_many_in_flight), TEST(test_cancel))
