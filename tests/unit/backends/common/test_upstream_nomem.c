/* Upstreams with every allocation failing once: a try ends, well or badly; nothing leaks, nothing
 * hangs, and the next try works. */
#include "failmalloc.h"
#include "upstream_world.h"
/* */
#include "stream_server.h"

#include "waypost/plugin/metric.h"

static struct server s;
static int udp_server = -1;
static struct sockaddr_storage udp_peer;

/* The server's own memory does not run out. */
static void serve(enum wp_upstream_kind kind, bool tcp)
{
    static uint8_t replies[SERVER_REQUESTS][4096];
    long left = failmalloc_left;
    uint8_t q[600], buf[4096];
    size_t len;

    failmalloc_left = -1;
    if (kind == WP_UPSTREAM_DNS && !tcp) {
        socklen_t peer_len = sizeof(udp_peer);
        ssize_t n = recvfrom(udp_server, q, sizeof(q), MSG_DONTWAIT, (struct sockaddr *)&udp_peer, &peer_len);

        if (n > 0) {
            len = answer(buf, q, (size_t)n, 0, 1);
            CHECK(sendto(udp_server, buf, len, 0, (struct sockaddr *)&udp_peer, peer_len) == (ssize_t)len);
        }
    } else if (server_accept(&s)) {
        if (kind == WP_UPSTREAM_HTTPS && s.h2 == NULL)
            server_start_h2(&s, 100);
        server_read(&s);
        while ((len = server_message(&s, q)) > 0)
            server_reply(&s, buf, answer(buf, q, len, 0, 1));
        for (unsigned i = 0; i < s.n; i++) {
            if (!s.requests[i].ended || s.requests[i].reply != NULL)
                continue;
            len = answer(replies[i], s.requests[i].body, s.requests[i].len, 0, 1);
            server_respond(&s, &s.requests[i], "200", replies[i], len);
        }
        server_flush_h2(&s);
        if (s.closed)
            server_hang_up(&s);
    }
    failmalloc_left = left;
}

static void converse(enum wp_upstream_kind kind, bool tcp, const struct probe *p)
{
    for (int i = 0; i < 40 && p->calls == 0; i++) {
        turn();
        serve(kind, tcp);
    }
    for (int i = 0; i < 3 && p->calls == 0; i++) { /* what ran out of memory runs out of time */
        later(1100 * MS);
        serve(kind, tcp);
        turn();
    }
}

static bool round_of(enum wp_upstream_kind kind, bool tcp, long n)
{
    struct wp_upstream *up = NULL;
    struct wp_addr addr;
    struct probe p;
    bool failed;
    int r;

    world_new();
    if (kind != WP_UPSTREAM_DNS)
        server_new_tls(&s, kind == WP_UPSTREAM_HTTPS ? "h2" : "dot");
    else
        server_new(&s);
    udp_server = fake(SOCK_DGRAM, &addr);
    if (kind != WP_UPSTREAM_DNS) {
        char why[WP_TLS_ERR_MAX];
        struct wp_tls_client_config c = {.ca_file = cert_path("ca.pem"), .alpn = kind == WP_UPSTREAM_HTTPS ? "h2" : NULL};

        CHECK(wp_tls_client_new(&c, why, kind == WP_UPSTREAM_HTTPS ? &profile.https : &profile.tls) == 0);
    }
    if (kind != WP_UPSTREAM_DNS || tcp)
        addr = s.addr;
    wp_upstreams_free(set);
    set = NULL;
    failmalloc_after(n);
    r = wp_upstreams_new(&env, &set);
    if (r == 0)
        r = wp_upstream_new(set, &profile, kind, &addr, "dns.example", &up);
    if (r == 0)
        r = ask(up, &p, "a.example", tcp);
    if (r == 0)
        converse(kind, tcp, &p);
    failed = failmalloc_stop();
    CHECK(r == 0 || (failed && r == -ENOMEM));
    if (r == 0) {
        CHECK(p.calls == 1);
        CHECK(p.err == 0 || failed);
        CHECK(ask(up, &p, "b.example", tcp) == 0);
        converse(kind, tcp, &p);
        CHECK(p.calls == 1 && (p.err == 0 || p.again));
    }
    {
        struct wp_tls_ctx *tls = profile.tls, *https = profile.https;

        world_free();
        wp_tls_ctx_unref(tls);
        wp_tls_ctx_unref(https);
    }
    server_free(&s);
    close(udp_server);
    return failed;
}

static void test_every_allocation(void)
{
    static const struct {
        const char *what;
        enum wp_upstream_kind kind;
        bool tcp;
        long least;
    } rows[] = {
        {"udp", WP_UPSTREAM_DNS, false, 6},
        {"tcp", WP_UPSTREAM_DNS, true, 8},
        {"tls", WP_UPSTREAM_TLS, false, 10},
        {"https", WP_UPSTREAM_HTTPS, false, 12},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        long n = 0;

        while (round_of(rows[i].kind, rows[i].tcp, n))
            n++;
        if (n < rows[i].least)
            print_error("%s: %ld allocations\n", rows[i].what, n);
        CHECK_AT(rows[i].what, n >= rows[i].least);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_every_allocation)};

    return cmocka_run_group_tests(tests, NULL, server_done);
}
