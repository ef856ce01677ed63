/* Certificates, contexts and whole conversations for the tests of the TLS layer. */
#pragma once
#include "peer.h"
#include "provider_arg.h"

#include "waypost/base/err.h"

static struct cert ca, other_ca, server, server2, good, expired, server_only, stranger;

static inline void make_certs(void)
{
    ca = cert_new("test CA", NULL, NULL, 30);
    other_ca = cert_new("other CA", NULL, NULL, 30);
    server = cert_new("ns.example", &ca, "serverAuth", 30);
    server2 = cert_new("ns2.example", &ca, "serverAuth", 30);
    good = cert_new("client.example", &ca, "clientAuth", 30);
    expired = cert_new("expired.example", &ca, "clientAuth", -1);
    server_only = cert_new("server-only.example", &ca, "serverAuth", 30);
    stranger = cert_new("stranger.example", &other_ca, "clientAuth", 30);
    cert_write("ca.pem", &ca);
    cert_write("other-ca.pem", &other_ca);
    cert_write("cert.pem", &server);
    cert_write_key("key.pem", &server);
    cert_write("cert2.pem", &server2);
    cert_write_key("key2.pem", &server2);
    cert_write_text("rubbish.pem", "rubbish\n");
}

static inline struct wp_tls_ctx *server_ctx(const char *alpn, enum wp_tls_auth auth, const char *ca_file)
{
    struct wp_tls_server_config c = {
        .cert_file = cert_path("cert.pem"),
        .key_file = cert_path("key.pem"),
        .ca_file = ca_file != NULL ? cert_path(ca_file) : NULL,
        .client_auth = auth,
        .alpn = alpn,
    };
    char why[WP_TLS_ERR_MAX];
    struct wp_tls_ctx *ctx;

    if (wp_tls_server_new(&c, why, &ctx) < 0)
        fail_msg("%s", why);
    return ctx;
}

/* --- one conversation ------------------------------------------------------------------------ */

struct outcome {
    bool answered, resumed, verified, asked_for_cert;
    int alert, version;
    char alpn[16], server_cn[64], peer[64], sni[64];
    SSL_SESSION *session; /* the caller's */
};

static bool cert_asked;
static inline int on_cert_asked(SSL *ssl, X509 **x, EVP_PKEY **key)
{
    (void)ssl;
    (void)x;
    (void)key;
    cert_asked = true;
    return 0;
}

/* Octets both ways until nothing moves; `piece` at a time towards the server (0: all). */
static inline int pump(struct peer *p, struct wp_tls_conn *c, size_t piece)
{
    uint8_t buf[20000];
    int r = 0;

    for (unsigned rounds = 0; rounds < 5000; rounds++) {
        const uint8_t *out;
        size_t n, m;

        if (!p->ready && SSL_do_handshake(p->ssl) == 1)
            p->ready = true;
        ERR_clear_error();
        n = peer_take(p, buf, piece != 0 && !p->ready ? piece : sizeof(buf));
        if (n > 0)
            assert_int_equal(wp_tls_feed(c, buf, n), 0);
        if (!wp_tls_is_ready(c) && r >= 0)
            r = wp_tls_handshake(c);
        out = wp_tls_pending(c, &m);
        if (m > 0) {
            BIO_write(p->in, out, (int)m);
            wp_tls_sent(c, m);
        }
        if (n == 0 && m == 0)
            break;
    }
    return r;
}

static inline void copy_text(char *to, size_t cap, const char *from)
{
    snprintf(to, cap, "%s", from != NULL ? from : "");
}

static inline void describe(struct peer *p, struct wp_tls_conn *c, struct outcome *o)
{
    X509 *x = SSL_get0_peer_certificate(p->ssl);
    struct wp_peer *client = wp_tls_peer(c);

    o->resumed = wp_tls_is_resumed(c);
    o->version = SSL_version(p->ssl);
    copy_text(o->alpn, sizeof(o->alpn), wp_tls_alpn(c));
    copy_text(o->sni, sizeof(o->sni), wp_tls_server_name(c));
    copy_text(o->peer, sizeof(o->peer), client != NULL ? client->name : NULL);
    o->verified = client != NULL && client->verified;
    free(client);
    if (x != NULL)
        X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, o->server_cn,
                                  sizeof(o->server_cn));
}

static inline void talk(struct wp_tls_ctx *ctx, const struct peer_setup *setup, size_t piece,
                 struct outcome *o)
{
    struct wp_tls_conn *c;
    struct peer p;
    char buf[64];
    int n;

    *o = (struct outcome){0};
    cert_asked = false;
    assert_int_equal(wp_tls_conn_new(ctx, NULL, &c), 0);
    peer_new(&p, setup);
    if (setup->cert == NULL)
        SSL_CTX_set_client_cert_cb(p.ctx, on_cert_asked);
    n = pump(&p, c, piece);
    if (p.ready)
        SSL_write(p.ssl, "ping", 4);
    if (n >= 0)
        n = pump(&p, c, 0);
    if (wp_tls_is_ready(c) && wp_tls_read(c, buf, sizeof(buf)) == 4) {
        assert_memory_equal(buf, "ping", 4);
        assert_int_equal(wp_tls_write(c, "pong", 4), 4);
    }
    pump(&p, c, 0);
    o->answered = SSL_read(p.ssl, buf, sizeof(buf)) == 4 && memcmp(buf, "pong", 4) == 0;
    if (wp_tls_is_ready(c))
        describe(&p, c, o);
    o->alert = p.alert;
    o->asked_for_cert = cert_asked || setup->cert != NULL;
    o->session = p.session;
    p.session = NULL;
    ERR_clear_error();
    wp_tls_conn_free(c);
    peer_free(&p);
}

static inline int setup(void **state)
{
    (void)state;
    make_certs();
    return 0;
}

static inline int teardown(void **state)
{
    char command[128];

    (void)state;
    cert_free(&ca);
    cert_free(&other_ca);
    cert_free(&server);
    cert_free(&server2);
    cert_free(&good);
    cert_free(&expired);
    cert_free(&server_only);
    cert_free(&stranger);
    snprintf(command, sizeof(command), "rm -r %s", cert_dir);
    return system(command);
}
