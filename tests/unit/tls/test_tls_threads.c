/* Two threads make handshakes, a third changes certificates and ticket keys under them; two threads
 * are clients of one context. */
#include <pthread.h>
#include <stdatomic.h>

#include "peer.h"
#include "provider_arg.h"

enum { HANDSHAKES = 150 };

static struct wp_tls_ctx *ctx;
static atomic_int running;

static void shake(SSL_SESSION **session)
{
    struct peer_setup setup = {.session = *session};
    struct wp_tls_conn *c;
    struct peer p;
    uint8_t buf[8192];
    int r = 0;

    assert_int_equal(wp_tls_conn_new(ctx, NULL, &c), 0);
    peer_new(&p, &setup);
    for (unsigned i = 0; i < 6; i++) {
        const uint8_t *out;
        size_t n;

        if (!p.ready && SSL_do_handshake(p.ssl) == 1)
            p.ready = true;
        n = peer_take(&p, buf, sizeof(buf));
        if (n > 0)
            assert_int_equal(wp_tls_feed(c, buf, n), 0);
        if (r == 0)
            r = wp_tls_handshake(c);
        out = wp_tls_pending(c, &n);
        if (n > 0) {
            BIO_write(p.in, out, (int)n);
            wp_tls_sent(c, n);
        }
    }
    assert_int_equal(r, 1);
    SSL_read(p.ssl, buf, sizeof(buf)); /* the ticket */
    ERR_clear_error();
    SSL_SESSION_free(*session);
    *session = p.session;
    p.session = NULL;
    wp_tls_conn_free(c);
    peer_free(&p);
}

static void *handshakes(void *arg)
{
    SSL_SESSION *session = NULL;

    (void)arg;
    for (unsigned i = 0; i < HANDSHAKES; i++)
        shake(&session);
    SSL_SESSION_free(session);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static void test_changes_under_handshakes(void)
{
    struct cert a = cert_new("a.example", NULL, NULL, 30),
                b = cert_new("b.example", NULL, NULL, 30);
    struct wp_tls_server_config config = {.alpn = "dot"};
    char why[WP_TLS_ERR_MAX], command[128];
    pthread_t thread[2];
    unsigned changed = 0;

    cert_write("cert.pem", &a);
    cert_write_key("key.pem", &a);
    config.cert_file = cert_path("cert.pem");
    config.key_file = cert_path("key.pem");
    assert_int_equal(wp_tls_server_new(&config, why, &ctx), 0);
    atomic_store(&running, 2);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, handshakes, NULL), 0);
    for (unsigned i = 0; atomic_load(&running) > 0 || i < 3; i++) {
        cert_write("cert.pem", i % 2 ? &a : &b);
        cert_write_key("key.pem", i % 2 ? &a : &b);
        changed += wp_tls_ctx_refresh(ctx, why) == 1;
        wp_tls_tickets_rotate();
        usleep(1000);
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    assert_true(changed >= 3);
    wp_tls_ctx_unref(ctx);
    cert_free(&a);
    cert_free(&b);
    snprintf(command, sizeof(command), "rm -r %s", cert_dir);
    assert_int_equal(system(command), 0);
}

/* --- clients ------------------------------------------------------------------------------------- */

static struct wp_tls_ctx *client_ctx;
static atomic_int resumed;

/* What one has to send, to the other. */
static void carry(struct wp_tls_conn *from, struct wp_tls_conn *to)
{
    size_t n;
    const uint8_t *p = wp_tls_pending(from, &n);

    if (n > 0)
        assert_int_equal(wp_tls_feed(to, p, n), 0);
    wp_tls_sent(from, n);
}

static void *client_handshakes(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < HANDSHAKES; i++) {
        struct wp_tls_conn *c, *s;
        char buf[8];

        assert_int_equal(wp_tls_conn_new(client_ctx, "127.0.0.1", &c), 0);
        assert_int_equal(wp_tls_conn_new(ctx, NULL, &s), 0);
        for (unsigned k = 0; k < 4; k++) {
            assert_true(wp_tls_handshake(c) >= 0);
            carry(c, s);
            assert_true(wp_tls_handshake(s) >= 0);
            carry(s, c);
        }
        assert_true(wp_tls_is_ready(c) && wp_tls_is_ready(s));
        assert_int_equal(wp_tls_read(c, buf, sizeof(buf)), 0); /* the ticket */
        atomic_fetch_add(&resumed, wp_tls_is_resumed(c));
        wp_tls_conn_free(c);
        wp_tls_conn_free(s);
    }
    return NULL;
}

/* Sessions of a client's context are everybody's. */
static void test_clients_share_sessions(void)
{
    struct cert a = cert_new("a.example", NULL, NULL, 30);
    struct wp_tls_client_config cc = {.insecure = true};
    struct wp_tls_server_config config = {.alpn = "dot"};
    char why[WP_TLS_ERR_MAX], command[128];
    pthread_t thread[2];

    cert_dir[0] = '\0';
    cert_write("cert.pem", &a);
    cert_write_key("key.pem", &a);
    config.cert_file = cert_path("cert.pem");
    config.key_file = cert_path("key.pem");
    assert_int_equal(wp_tls_server_new(&config, why, &ctx), 0);
    assert_int_equal(wp_tls_client_new(&cc, why, &client_ctx), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, client_handshakes, NULL), 0);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    assert_true(atomic_load(&resumed) > HANDSHAKES);
    wp_tls_ctx_unref(client_ctx);
    wp_tls_ctx_unref(ctx);
    cert_free(&a);
    snprintf(command, sizeof(command), "rm -r %s", cert_dir);
    assert_int_equal(system(command), 0);
}

RUN_TLS_TESTS(NULL, NULL, TEST(test_changes_under_handshakes),
              TEST(test_clients_share_sessions))
