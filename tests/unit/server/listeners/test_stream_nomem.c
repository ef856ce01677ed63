/* The n-th allocation fails, for every n, anywhere between accept and the last answer: the
 * connection may end, nothing else may happen, and the next connection is served. */
#include "failmalloc.h"
#include "server/listeners/stream_rig.h"
#include "tls/peer.h"

static bool served(struct rig *r)
{
    int fd = rig_dial(r);
    bool ok;

    rig_ask(r, fd, 77, 'a');
    rig_pass(r, 100 * MS); /* a pause of accept or of a starved connection ends */
    rig_pass(r, 100 * MS);
    ok = rig_answer_id(r, fd) == 77;
    close(fd);
    rig_turns(r, 3);
    return ok;
}

/* Everything that allocates: a message in pieces, one that waits, a large one, a congested
 * connection, a PROXY header with TLVs. */
static void torture(struct rig *r)
{
    static const char proxy[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\xc0\0\2\x32\xc0\0\2\1\4\xd2\0\x35"
                                "\xea\0\2\xca\xfe";
    uint8_t m[22];
    int fd = rig_dial(r);

    send(fd, proxy, 10, MSG_NOSIGNAL);
    rig_turns(r, 3);
    send(fd, proxy + 10, sizeof(proxy) - 1 - 10, MSG_NOSIGNAL);
    rig_turns(r, 3);
    rig_message(m, 1, 's');
    send(fd, m, 9, MSG_NOSIGNAL);
    rig_turns(r, 3);
    send(fd, m + 9, sizeof(m) - 9, MSG_NOSIGNAL);
    rig_turns(r, 3);
    rig_message(m, 2, 'b');
    for (unsigned i = 0; i < 120; i++) {
        send(fd, m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT);
        rig_turns(r, 1);
    }
    rig_pass(r, 20 * MS);
    while (rig_n_waiting > 0)
        rig_finish(0);
    rig_turns(r, 3);
    close(fd);
    rig_turns(r, 3);
}

static void test_tcp(void)
{
    long n;

    for (n = 0; n < 500; n++) {
        struct rig r = {.group.proxy = {.set = true, .deflt = WP_PROXY_USE}};

        rig_limits(&r.group.limits);
        r.group.limits.max_per_client = 5;
        rig_open(&r, &wp_listener_tcp);
        failmalloc_after(n);
        torture(&r);
        if (!failmalloc_stop()) {
            rig_close(&r);
            break;
        }
        assert_true(served(&r));
        assert_int_equal(wp_guard_connections(&r.group), 0);
        rig_close(&r);
    }
    assert_in_range(n, 5, 400);
}

static void handshake_and_ask(struct rig *r)
{
    uint8_t buf[4096], m[22];
    struct peer p;
    int fd = rig_dial(r);

    peer_new(&p, &(struct peer_setup){.sni = "ns.example"});
    for (unsigned i = 0; i < 8; i++) {
        size_t len;
        ssize_t n;

        if (!p.ready && SSL_do_handshake(p.ssl) == 1) {
            p.ready = true;
            rig_message(m, 1, 'a');
            SSL_write(p.ssl, m, sizeof(m));
        }
        ERR_clear_error();
        len = peer_take(&p, buf, sizeof(buf));
        if (len > 0)
            send(fd, buf, len, MSG_NOSIGNAL);
        n = rig_recv(r, fd, buf, sizeof(buf));
        if (n > 0)
            BIO_write(p.in, buf, (int)n);
    }
    peer_free(&p);
    close(fd);
    rig_pass(r, 20 * MS); /* one that waits for a query to spare looks again */
}

static void test_dot(void)
{
    struct cert c = cert_new("ns.example", NULL, NULL, 30);
    struct wp_tls_server_config config = {.alpn = "dot"};
    char why[WP_TLS_ERR_MAX], command[128];
    long n;

    cert_write("cert.pem", &c);
    cert_write_key("key.pem", &c);
    config.cert_file = cert_path("cert.pem");
    config.key_file = cert_path("key.pem");
    for (n = 0; n < 500; n++) {
        struct rig r = {0};
        bool met;

        assert_int_equal(wp_tls_server_new(&config, why, &r.group.tls), 0);
        rig_open(&r, &wp_listener_dot);
        failmalloc_after(n);
        handshake_and_ask(&r);
        met = failmalloc_stop();
        handshake_and_ask(&r);
        assert_true(rig_runs >= 1);
        assert_int_equal(wp_guard_connections(&r.group), 0);
        rig_close(&r);
        wp_tls_ctx_unref(r.group.tls);
        if (!met)
            break;
    }
    assert_in_range(n, 5, 400);
    cert_free(&c);
    snprintf(command, sizeof(command), "rm -r %s", cert_dir);
    assert_int_equal(system(command), 0);
}

/* Contexts: an error with a reason, nothing kept. */
static void test_contexts(void)
{
    struct cert c = cert_new("ns.example", NULL, NULL, 30);
    struct wp_tls_server_config config = {.alpn = "dot"};
    char command[128];
    long n;

    cert_dir[0] = '\0';
    cert_write("cert.pem", &c);
    cert_write_key("key.pem", &c);
    config.cert_file = cert_path("cert.pem");
    config.key_file = cert_path("key.pem");
    config.ca_file = cert_path("cert.pem");
    for (n = 0; n < 500; n++) {
        char why[WP_TLS_ERR_MAX] = "";
        struct wp_tls_ctx *ctx = NULL;
        int r;

        failmalloc_after(n);
        r = wp_tls_server_new(&config, why, &ctx);
        if (!failmalloc_stop()) {
            assert_int_equal(r, 0);
            wp_tls_ctx_unref(ctx);
            break;
        }
        assert_int_equal(r, WP_ETLS);
        assert_null(ctx);
        assert_true(strlen(why) > 0);
    }
    assert_in_range(n, 5, 400);
    cert_free(&c);
    snprintf(command, sizeof(command), "rm -r %s", cert_dir);
    assert_int_equal(system(command), 0);
}

RUN_TESTS(TEST(test_tcp), TEST(test_dot), TEST(test_contexts))
