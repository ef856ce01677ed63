#include "peer.h"

#include <openssl/ocsp.h>
#include "waypost/base/err.h"

static struct cert ca, other_ca, server, server2, good, expired, server_only, stranger;

static void make_certs(void)
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

static struct wp_tls_ctx *server_ctx(const char *alpn, enum wp_tls_auth auth, const char *ca_file)
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
static int on_cert_asked(SSL *ssl, X509 **x, EVP_PKEY **key)
{
    (void)ssl;
    (void)x;
    (void)key;
    cert_asked = true;
    return 0;
}

/* Octets both ways until nothing moves; `piece` at a time towards the server (0: all). */
static int pump(struct peer *p, struct wp_tls_conn *c, size_t piece)
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

static void copy_text(char *to, size_t cap, const char *from)
{
    snprintf(to, cap, "%s", from != NULL ? from : "");
}

static void describe(struct peer *p, struct wp_tls_conn *c, struct outcome *o)
{
    X509 *x = SSL_get0_peer_certificate(p->ssl);

    o->resumed = wp_tls_is_resumed(c);
    o->version = SSL_version(p->ssl);
    copy_text(o->alpn, sizeof(o->alpn), wp_tls_alpn(c));
    copy_text(o->sni, sizeof(o->sni), wp_tls_server_name(c));
    copy_text(o->peer, sizeof(o->peer), wp_tls_peer_name(c, &o->verified));
    if (x != NULL)
        X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, o->server_cn,
                                  sizeof(o->server_cn));
}

static void talk(struct wp_tls_ctx *ctx, const struct peer_setup *setup, size_t piece,
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

/* --- protocol policy -------------------------------------------------------------------------- */

static const struct {
    const char *what;
    struct peer_setup setup;
    bool answered;
    int alert, version;
    const char *alpn;
} hellos[] = {
    {"S01 TLS 1.3", {.alpn = "\3dot"}, true, 0, TLS1_3_VERSION, "dot"},
    {"S02 TLS 1.2 ECDHE-AESGCM",
     {.max_version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"},
     true,
     0,
     TLS1_2_VERSION,
     ""},
    {"S02 TLS 1.2 ChaCha20",
     {.max_version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305"},
     true,
     0,
     TLS1_2_VERSION,
     ""},
    {"S03 TLS 1.1",
     {.min_version = TLS1_VERSION, .max_version = TLS1_1_VERSION, .ciphers = "ALL:@SECLEVEL=0"},
     false,
     70,
     0,
     ""},
    {"S03 TLS 1.0",
     {.min_version = TLS1_VERSION, .max_version = TLS1_VERSION, .ciphers = "ALL:@SECLEVEL=0"},
     false,
     70,
     0,
     ""},
    {"S04 CBC only",
     {.max_version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA"},
     false,
     40,
     0,
     ""},
    {"S04 RSA key exchange only",
     {.max_version = TLS1_2_VERSION, .ciphers = "AES128-GCM-SHA256:AES256-GCM-SHA384"},
     false,
     40,
     0,
     ""},
    {"SHA-1 signatures only",
     {.max_version = TLS1_2_VERSION, .sigalgs = "ECDSA+SHA1:RSA+SHA1"},
     false,
     40,
     0,
     ""},
    {"S05 no ALPN", {0}, true, 0, TLS1_3_VERSION, ""},
    {"S06 ALPN h2 only", {.alpn = "\2h2"}, false, 120, 0, ""},
    {"S06 ALPN h2 only, TLS 1.2",
     {.max_version = TLS1_2_VERSION, .alpn = "\2h2"},
     false,
     120,
     0,
     ""},
    {"S07 ALPN h2, dot", {.alpn = "\2h2\3dot"}, true, 0, TLS1_3_VERSION, "dot"},
    {"ALPN with dot as a prefix", {.alpn = "\4dotx"}, false, 120, 0, ""},
    {"S09 unknown SNI", {.sni = "nobody.example"}, true, 0, TLS1_3_VERSION, ""},
};

static void test_hellos(void)
{
    struct wp_tls_ctx *ctx = server_ctx("dot", WP_TLS_AUTH_NONE, NULL);

    for (size_t i = 0; i < COUNT(hellos); i++) {
        struct outcome o;

        talk(ctx, &hellos[i].setup, 0, &o);
        CHECK_AT(hellos[i].what, o.answered == hellos[i].answered);
        CHECK_AT(hellos[i].what, o.alert == hellos[i].alert);
        if (o.answered) {
            CHECK_AT(hellos[i].what, o.version == hellos[i].version);
            CHECK_AT(hellos[i].what, strcmp(o.alpn, hellos[i].alpn) == 0);
            CHECK_AT(hellos[i].what, strcmp(o.server_cn, "ns.example") == 0);
            CHECK_AT(hellos[i].what,
                     strcmp(o.sni, hellos[i].setup.sni ? hellos[i].setup.sni : "") == 0);
            CHECK_AT(hellos[i].what, !o.asked_for_cert); /* S29 */
        }
        SSL_SESSION_free(o.session);
    }
    wp_tls_ctx_unref(ctx);
}

/* The server's order decides, whatever the client's is. */
static void test_alpn_order(void)
{
    struct wp_tls_ctx *ctx = server_ctx("h2,http/1.1", WP_TLS_AUTH_NONE, NULL);
    struct outcome o;

    talk(ctx, &(struct peer_setup){.alpn = "\10http/1.1\2h2"}, 0, &o);
    assert_string_equal(o.alpn, "h2");
    SSL_SESSION_free(o.session);
    talk(ctx, &(struct peer_setup){.alpn = "\10http/1.1"}, 0, &o);
    assert_string_equal(o.alpn, "http/1.1");
    SSL_SESSION_free(o.session);
    wp_tls_ctx_unref(ctx);
}

/* S16: a handshake in small pieces, down to single octets. */
static void test_pieces(void)
{
    struct wp_tls_ctx *ctx = server_ctx("dot", WP_TLS_AUTH_NONE, NULL);

    for (size_t piece = 1; piece < 50; piece += 16) {
        struct outcome o;

        talk(ctx, &(struct peer_setup){0}, piece, &o);
        assert_true(o.answered);
        SSL_SESSION_free(o.session);
    }
    wp_tls_ctx_unref(ctx);
}

/* S12, S13: what is no TLS gets an alert, never an answer. */
static void test_not_tls(void)
{
    static const char *const inputs[] = {"GET / HTTP/1.0\r\n\r\n", "\0\x22\0\0\1\0\0\1\0\0\0\0\0\0",
                                         "\x16\3\1\xff\xff\0\0"};
    struct wp_tls_ctx *ctx = server_ctx("dot", WP_TLS_AUTH_NONE, NULL);

    for (size_t i = 0; i < COUNT(inputs); i++) {
        struct wp_tls_conn *c;
        const uint8_t *out;
        size_t len;

        assert_int_equal(wp_tls_conn_new(ctx, NULL, &c), 0);
        assert_int_equal(wp_tls_feed(c, inputs[i], i == 0 ? 18 : i == 1 ? 14 : 7), 0);
        assert_int_equal(wp_tls_handshake(c), WP_ETLS);
        assert_true(strlen(wp_tls_error(c)) > 0);
        out = wp_tls_pending(c, &len);
        assert_true(len == 0 || out[0] == 21); /* an alert record or nothing */
        assert_int_equal(wp_tls_handshake(c), WP_ETLS);
        wp_tls_conn_free(c);
    }
    wp_tls_ctx_unref(ctx);
}

/* Close in both directions, and a large transfer: one record holds at most 16 KiB. */
static void test_octets(void)
{
    struct wp_tls_ctx *ctx = server_ctx("dot", WP_TLS_AUTH_NONE, NULL);
    static uint8_t big[100000], got[sizeof(big)];
    struct wp_tls_conn *c;
    struct peer p;
    size_t at = 0, n;

    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (uint8_t)(i * 7);
    assert_int_equal(wp_tls_conn_new(ctx, NULL, &c), 0);
    peer_new(&p, &(struct peer_setup){0});
    assert_int_equal(pump(&p, c, 0), 1);
    assert_int_equal(wp_tls_read(c, got, sizeof(got)), 0);
    assert_int_equal(wp_tls_write(c, big, sizeof(big)), sizeof(big));
    pump(&p, c, 0);
    while (SSL_read_ex(p.ssl, got + at, sizeof(got) - at, &n) == 1)
        at += n;
    assert_int_equal(at, sizeof(big));
    assert_memory_equal(got, big, sizeof(big));
    assert_int_equal(SSL_shutdown(p.ssl), 0);
    pump(&p, c, 0);
    assert_int_equal(wp_tls_read(c, got, 1), WP_ECLOSED);
    assert_int_equal(wp_tls_read(c, got, 1), WP_ECLOSED);
    assert_int_equal(wp_tls_write(c, "late", 4), 4); /* half closed: we may still answer */
    wp_tls_close(c);
    pump(&p, c, 0);
    assert_int_equal(SSL_read(p.ssl, got, sizeof(got)), 4);
    assert_int_equal(SSL_shutdown(p.ssl), 1); /* close_notify came */
    wp_tls_conn_free(c);
    peer_free(&p);
    wp_tls_ctx_unref(ctx);
}

/* S17 */
static void test_renegotiation(void)
{
    struct wp_tls_ctx *ctx = server_ctx("dot", WP_TLS_AUTH_NONE, NULL);
    struct wp_tls_conn *c;
    struct peer p;
    char buf[8];

    assert_int_equal(wp_tls_conn_new(ctx, NULL, &c), 0);
    peer_new(&p, &(struct peer_setup){.max_version = TLS1_2_VERSION});
    assert_int_equal(pump(&p, c, 0), 1);
    assert_int_equal(SSL_renegotiate(p.ssl), 1);
    SSL_do_handshake(p.ssl);
    for (unsigned i = 0; i < 3; i++) {
        pump(&p, c, 0);
        wp_tls_read(c, buf, sizeof(buf));
        SSL_read(p.ssl, buf, sizeof(buf));
    }
    assert_int_equal(p.alert, 100); /* no_renegotiation */
    ERR_clear_error();
    wp_tls_conn_free(c);
    peer_free(&p);
    wp_tls_ctx_unref(ctx);
}

/* --- client certificates: the transports table 6.1 --------------------------------------------------- */

enum { NOBODY, GOOD, STRANGER, EXPIRED, SERVER_ONLY, CLIENTS };
static const char *const client_names[CLIENTS] = {"none", "good", "unknown CA", "expired",
                                                  "server usage"};
static const struct {
    const char *what;
    enum wp_tls_auth mode;
    bool asks;
    char verdict[CLIENTS + 1]; /* A answered unverified or anonymous, V verified, - refused */
} modes[] = {
    {"S29 nocert", WP_TLS_AUTH_NONE, false, "AAAAA"},
    {"S30/S31 request", WP_TLS_AUTH_REQUEST, true, "AAAAA"},
    {"S32/S33 require", WP_TLS_AUTH_REQUIRE, true, "-AAAA"},
    {"S34/S35 verify_if_given", WP_TLS_AUTH_VERIFY_IF_GIVEN, true, "AV---"},
    {"S36/S37/S38 require_and_verify", WP_TLS_AUTH_REQUIRE_AND_VERIFY, true, "-V---"},
};

static const struct cert *client_cert(unsigned who)
{
    const struct cert *const certs[CLIENTS] = {NULL, &good, &stranger, &expired, &server_only};

    return certs[who];
}

/* Which alert a refusal may be, by client: the transports table 6.1. */
static bool alert_ok(unsigned who, int version, int alert)
{
    switch (who) {
    case NOBODY:
        return version == TLS1_2_VERSION ? alert == 40 || alert == 42 : alert == 116;
    case STRANGER:
        return alert == 48 || alert == 42;
    case EXPIRED:
        return alert == 45 || alert == 42;
    default:
        return alert == 42 || alert == 43;
    }
}

static void check_mode(struct wp_tls_ctx *ctx, size_t i, unsigned who, int version)
{
    struct peer_setup setup = {.max_version = version, .cert = client_cert(who)};
    char verdict = modes[i].verdict[who], what[100];
    struct outcome o;

    snprintf(what, sizeof(what), "%s, %s, %x", modes[i].what, client_names[who], (unsigned)version);
    talk(ctx, &setup, 0, &o);
    CHECK_AT(what, o.answered == (verdict != '-'));
    if (verdict == '-') {
        CHECK_AT(what, alert_ok(who, version, o.alert));
    } else {
        CHECK_AT(what, o.verified == (verdict == 'V'));
        CHECK_AT(what, (o.peer[0] != '\0') == (who != NOBODY && modes[i].asks));
    }
    if (who == NOBODY)
        CHECK_AT(what, o.asked_for_cert == modes[i].asks);
    if (who == GOOD && modes[i].asks)
        CHECK_AT(what, strcmp(o.peer, "client.example") == 0);
    SSL_SESSION_free(o.session);
}

static void test_client_auth(void)
{
    for (size_t i = 0; i < COUNT(modes); i++) {
        struct wp_tls_ctx *ctx = server_ctx("dot", modes[i].mode, "ca.pem");

        for (unsigned who = 0; who < CLIENTS; who++) {
            check_mode(ctx, i, who, TLS1_2_VERSION);
            check_mode(ctx, i, who, TLS1_3_VERSION);
        }
        wp_tls_ctx_unref(ctx);
    }
}

/* Without a CA the system's roots verify, which know none of ours. */
static void test_system_roots(void)
{
    struct wp_tls_ctx *ctx = server_ctx("dot", WP_TLS_AUTH_VERIFY_IF_GIVEN, NULL);
    struct outcome o;

    talk(ctx, &(struct peer_setup){.cert = &good}, 0, &o);
    assert_false(o.answered);
    SSL_SESSION_free(o.session);
    talk(ctx, &(struct peer_setup){0}, 0, &o);
    assert_true(o.answered);
    SSL_SESSION_free(o.session);
    wp_tls_ctx_unref(ctx);
}

/* --- resumption ------------------------------------------------------------------------------- */

/* A conversation that leaves a ticket; then one that brings it. */
static bool resumes(struct wp_tls_ctx *first, struct wp_tls_ctx *second, struct peer_setup setup,
                    unsigned rotations)
{
    struct outcome a, b;

    talk(first, &setup, 0, &a);
    assert_true(a.answered && a.session != NULL && !a.resumed);
    while (rotations-- > 0)
        wp_tls_tickets_rotate();
    setup.session = a.session;
    talk(second, &setup, 0, &b);
    /* a client of TLS 1.3 uses a ticket once: it must have the next one */
    assert_true(b.session != NULL || setup.max_version == TLS1_2_VERSION);
    SSL_SESSION_free(a.session);
    SSL_SESSION_free(b.session);
    return b.resumed;
}

static void test_tickets(void)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct wp_tls_ctx *ctx = server_ctx("dot", WP_TLS_AUTH_NONE, NULL);
    struct wp_tls_ctx *again = server_ctx("dot", WP_TLS_AUTH_NONE, NULL);
    struct wp_tls_ctx *h2 = server_ctx("h2", WP_TLS_AUTH_NONE, NULL);

    for (unsigned i = 0; i < COUNT(versions); i++) {
        struct peer_setup s = {.max_version = versions[i]};

        assert_true(resumes(ctx, ctx, s, 0));   /* S18 */
        assert_true(resumes(ctx, again, s, 0)); /* the next generation */
        assert_true(resumes(ctx, ctx, s, 1));   /* S19 */
        assert_true(resumes(ctx, ctx, s, 2));
        assert_false(resumes(ctx, ctx, s, 3)); /* the key is gone */
        assert_false(resumes(ctx, h2, s, 0));  /* another listener's policy */
    }
    wp_tls_ctx_unref(ctx);
    wp_tls_ctx_unref(again);
    wp_tls_ctx_unref(h2);
}

/* S42: a session never outlives what made its client acceptable. */
static void test_tickets_and_clients(void)
{
    struct wp_tls_ctx *ctx = server_ctx("dot", WP_TLS_AUTH_REQUIRE_AND_VERIFY, "ca.pem");
    struct wp_tls_ctx *other = server_ctx("dot", WP_TLS_AUTH_REQUIRE_AND_VERIFY, "other-ca.pem");
    struct wp_tls_ctx *loose = server_ctx("dot", WP_TLS_AUTH_REQUIRE, "ca.pem");
    struct peer_setup s = {.cert = &good}, bad = {.cert = &expired};
    struct outcome o, b;

    assert_true(resumes(ctx, ctx, s, 0));
    talk(ctx, &s, 0, &o);
    s.session = o.session;
    talk(other, &s, 0, &b);
    assert_false(b.answered); /* a full handshake, which refuses it */
    SSL_SESSION_free(b.session);
    SSL_SESSION_free(o.session);
    talk(loose, &bad, 0, &o); /* served unverified; its ticket brings it no verified identity */
    assert_true(o.answered);
    bad.session = o.session;
    talk(ctx, &bad, 0, &b);
    assert_false(b.answered);
    SSL_SESSION_free(b.session);
    talk(loose, &bad, 0, &b); /* and the expired certificate is looked at again each time */
    assert_true(b.answered && !b.resumed);
    SSL_SESSION_free(b.session);
    SSL_SESSION_free(o.session);
    wp_tls_ctx_unref(ctx);
    wp_tls_ctx_unref(other);
    wp_tls_ctx_unref(loose);
}

/* S20 */
static void test_no_early_data(void)
{
    struct wp_tls_ctx *ctx = server_ctx("dot", WP_TLS_AUTH_NONE, NULL);
    struct outcome o;

    talk(ctx, &(struct peer_setup){0}, 0, &o);
    assert_int_equal(SSL_SESSION_get_max_early_data(o.session), 0);
    SSL_SESSION_free(o.session);
    wp_tls_ctx_unref(ctx);
}

/* --- contexts --------------------------------------------------------------------------------- */

static const struct {
    const char *what, *cert, *key, *ca, *error;
} bad[] = {
    {"no cert", "none.pem", "key.pem", NULL,
     "could not load TLS cert: open @/none.pem: no such file or directory"},
    {"no key", "cert.pem", "none.pem", NULL,
     "could not load TLS cert: open @/none.pem: no such file or directory"},
    {"no CA", "cert.pem", "key.pem", "none.pem",
     "error reading @/none.pem: open @/none.pem: no such file or directory"},
    {"rubbish cert", "rubbish.pem", "key.pem", NULL,
     "could not load TLS cert: tls: failed to find any PEM data in certificate input"},
    {"rubbish key", "cert.pem", "rubbish.pem", NULL,
     "could not load TLS cert: tls: failed to find any PEM data in key input"},
    {"rubbish CA", "cert.pem", "key.pem", "rubbish.pem",
     "could not read root certs: no certificate in @/rubbish.pem"},
    {"switched", "key.pem", "cert.pem", NULL,
     "could not load TLS cert: tls: failed to find certificate PEM data in certificate input, but "
     "did find a private key; PEM inputs may have been switched"},
    {"two certificates", "cert.pem", "cert.pem", NULL,
     "could not load TLS cert: tls: found a certificate rather than a key in the PEM for the "
     "private key"},
    {"other key", "cert.pem", "key2.pem", NULL,
     "could not load TLS cert: tls: private key does not match public key"},
    {"a directory", ".", "key.pem", NULL, "could not load TLS cert: read @/.: is a directory"},
};

/* '@' stands for the directory. */
static void expand(const char *text, char *out, size_t cap)
{
    size_t len = 0;

    for (; *text != '\0' && len + sizeof(cert_dir) < cap; text++) {
        if (*text == '@')
            len += (size_t)snprintf(out + len, cap - len, "%s", cert_dir);
        else
            out[len++] = *text;
    }
    out[len] = '\0';
}

static void test_bad_files(void)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct wp_tls_server_config c = {
            .cert_file = cert_path(bad[i].cert),
            .key_file = cert_path(bad[i].key),
            .ca_file = bad[i].ca != NULL ? cert_path(bad[i].ca) : NULL,
        };
        char why[WP_TLS_ERR_MAX] = "", want[WP_TLS_ERR_MAX];
        struct wp_tls_ctx *ctx = NULL;

        expand(bad[i].error, want, sizeof(want));
        CHECK_AT(bad[i].what, wp_tls_server_new(&c, why, &ctx) == WP_ETLS);
        CHECK_AT(bad[i].what, ctx == NULL);
        if (strcmp(why, want) != 0)
            print_error("%s\n", why);
        CHECK_AT(bad[i].what, strcmp(why, want) == 0);
    }
}

/* the Corefile rules 4.2: the reasons in test order. */
static void test_differs(void)
{
    struct wp_tls_server_config c = {
        .cert_file = cert_path("cert.pem"), .key_file = cert_path("key.pem"), .ca_file = NULL};
    struct wp_tls_ctx *a = server_ctx("dot", WP_TLS_AUTH_NONE, "ca.pem");
    struct wp_tls_ctx *same = server_ctx("dot", WP_TLS_AUTH_NONE, "ca.pem");
    struct wp_tls_ctx *mode = server_ctx("dot", WP_TLS_AUTH_REQUIRE, "other-ca.pem");
    struct wp_tls_ctx *roots = server_ctx("dot", WP_TLS_AUTH_NONE, "other-ca.pem"), *cert;
    char why[WP_TLS_ERR_MAX];

    c.ca_file = cert_path("ca.pem");
    c.cert_file = cert_path("cert2.pem");
    c.key_file = cert_path("key2.pem");
    assert_int_equal(wp_tls_server_new(&c, why, &cert), 0);
    assert_null(wp_tls_ctx_differs(a, same));
    assert_null(wp_tls_ctx_differs(NULL, NULL));
    assert_string_equal(wp_tls_ctx_differs(a, NULL), "TLS is configured for only one server block");
    assert_string_equal(wp_tls_ctx_differs(a, mode), "client authentication policies differ");
    assert_string_equal(wp_tls_ctx_differs(a, roots), "client CA pools differ");
    assert_string_equal(wp_tls_ctx_differs(a, cert), "server certificates differ");
    wp_tls_ctx_unref(a);
    wp_tls_ctx_unref(same);
    wp_tls_ctx_unref(mode);
    wp_tls_ctx_unref(roots);
    wp_tls_ctx_unref(cert);
}

static void served_by(struct wp_tls_ctx *ctx, const char *cn)
{
    struct outcome o;

    talk(ctx, &(struct peer_setup){0}, 0, &o);
    assert_true(o.answered);
    assert_string_equal(o.server_cn, cn);
    SSL_SESSION_free(o.session);
}

/* S27, S28: new material for new handshakes, old connections go on; bad material changes
 * nothing, and is told once. */
static void test_refresh(void)
{
    struct wp_tls_server_config c = {0};
    char why[WP_TLS_ERR_MAX] = "";
    struct wp_tls_ctx *ctx;
    struct wp_tls_conn *old;
    struct peer p;
    char buf[8];

    cert_write("live.pem", &server);
    cert_write_key("live-key.pem", &server);
    c.cert_file = cert_path("live.pem");
    c.key_file = cert_path("live-key.pem");
    assert_int_equal(wp_tls_server_new(&c, why, &ctx), 0);
    assert_int_equal(wp_tls_conn_new(ctx, NULL, &old), 0);
    peer_new(&p, &(struct peer_setup){0});
    assert_int_equal(pump(&p, old, 0), 1);
    assert_int_equal(wp_tls_ctx_refresh(ctx, why), 0);

    cert_write_text("live.pem", "rubbish");
    assert_int_equal(wp_tls_ctx_refresh(ctx, why), WP_ETLS);
    assert_non_null(strstr(why, "failed to find any PEM data"));
    assert_int_equal(wp_tls_ctx_refresh(ctx, why), 0);
    served_by(ctx, "ns.example");
    unlink(cert_path("live.pem"));
    assert_int_equal(wp_tls_ctx_refresh(ctx, why), WP_ETLS);
    assert_int_equal(wp_tls_ctx_refresh(ctx, why), 0);
    served_by(ctx, "ns.example");

    cert_write("live.pem", &server2); /* the key follows a moment later */
    assert_int_equal(wp_tls_ctx_refresh(ctx, why), WP_ETLS);
    served_by(ctx, "ns.example");
    cert_write_key("live-key.pem", &server2);
    assert_int_equal(wp_tls_ctx_refresh(ctx, why), 1);
    assert_int_equal(wp_tls_ctx_refresh(ctx, why), 0);
    served_by(ctx, "ns2.example");

    SSL_write(p.ssl, "ping", 4);
    pump(&p, old, 0);
    assert_int_equal(wp_tls_read(old, buf, sizeof(buf)), 4);
    wp_tls_ctx_unref(ctx); /* a connection keeps what it needs */
    assert_int_equal(wp_tls_write(old, "pong", 4), 4);
    wp_tls_conn_free(old);
    peer_free(&p);
}

/* The way Kubernetes changes a secret: ..data is swapped for another directory. */
static void test_refresh_through_symlink(void)
{
    struct wp_tls_server_config c = {0};
    char why[WP_TLS_ERR_MAX];
    struct wp_tls_ctx *ctx;

    mkdir(cert_path("v1"), 0700);
    mkdir(cert_path("v2"), 0700);
    cert_write("v1/tls.crt", &server);
    cert_write_key("v1/tls.key", &server);
    cert_write("v2/tls.crt", &server2);
    cert_write_key("v2/tls.key", &server2);
    assert_int_equal(symlink("v1", cert_path("..data")), 0);
    assert_int_equal(symlink("..data/tls.crt", cert_path("tls.crt")), 0);
    assert_int_equal(symlink("..data/tls.key", cert_path("tls.key")), 0);
    c.cert_file = cert_path("tls.crt");
    c.key_file = cert_path("tls.key");
    assert_int_equal(wp_tls_server_new(&c, why, &ctx), 0);
    assert_int_equal(symlink("v2", cert_path("..data_tmp")), 0);
    assert_int_equal(rename(cert_path("..data_tmp"), cert_path("..data")), 0);
    assert_int_equal(wp_tls_ctx_refresh(ctx, why), 1);
    served_by(ctx, "ns2.example");
    wp_tls_ctx_unref(ctx);
}

/* --- our own client --------------------------------------------------------------------------- */

static int client_handshake(struct wp_tls_ctx *cctx, struct wp_tls_ctx *sctx, const char *name,
                            bool *ret_resumed)
{
    struct wp_tls_conn *c, *s;
    int rc = 0, rs = 0;
    char buf[8];

    assert_int_equal(wp_tls_conn_new(cctx, name, &c), 0);
    assert_int_equal(wp_tls_conn_new(sctx, NULL, &s), 0);
    for (unsigned i = 0; i < 20; i++) {
        const uint8_t *p;
        size_t n;

        if (rc == 0)
            rc = wp_tls_handshake(c);
        p = wp_tls_pending(c, &n);
        if (n > 0) {
            assert_int_equal(wp_tls_feed(s, p, n), 0);
            wp_tls_sent(c, n);
        }
        if (rs == 0)
            rs = wp_tls_handshake(s);
        p = wp_tls_pending(s, &n);
        if (n > 0) {
            assert_int_equal(wp_tls_feed(c, p, n), 0);
            wp_tls_sent(s, n);
        }
    }
    if (rc > 0)
        wp_tls_read(c, buf, sizeof(buf)); /* takes the ticket */
    if (rc > 0 && rs > 0)
        assert_string_equal(wp_tls_alpn(c), "dot");
    *ret_resumed = rc > 0 && wp_tls_is_resumed(c);
    if (rc < 0)
        assert_true(strlen(wp_tls_error(c)) > 0);
    wp_tls_conn_free(c);
    wp_tls_conn_free(s);
    return rc > 0 && rs > 0 ? 1 : rc < 0 ? rc : rs;
}

static const struct {
    const char *what, *ca, *name;
    bool insecure;
    int ret;
} clients[] = {
    {"right name", "ca.pem", "ns.example", false, 1},
    {"right IP", "ca.pem", "127.0.0.1", false, 1},
    {"no name: the chain only", "ca.pem", NULL, false, 1},
    {"wrong name", "ca.pem", "other.example", false, WP_ETLS},
    {"wrong IP", "ca.pem", "127.0.0.2", false, WP_ETLS},
    {"unknown CA", "other-ca.pem", "ns.example", false, WP_ETLS},
    {"system roots", NULL, "ns.example", false, WP_ETLS},
    {"insecure", NULL, "other.example", true, 1},
};

static void test_client(void)
{
    struct wp_tls_ctx *server_side = server_ctx("dot", WP_TLS_AUTH_NONE, NULL);

    for (size_t i = 0; i < COUNT(clients); i++) {
        struct wp_tls_client_config cc = {
            .ca_file = clients[i].ca != NULL ? cert_path(clients[i].ca) : NULL,
            .alpn = "dot",
            .insecure = clients[i].insecure,
        };
        char why[WP_TLS_ERR_MAX];
        struct wp_tls_ctx *ctx;
        bool resumed;

        assert_int_equal(wp_tls_client_new(&cc, why, &ctx), 0);
        CHECK_AT(clients[i].what,
                 client_handshake(ctx, server_side, clients[i].name, &resumed) == clients[i].ret);
        CHECK_AT(clients[i].what, !resumed);
        if (clients[i].ret > 0) {
            CHECK_AT(clients[i].what,
                     client_handshake(ctx, server_side, clients[i].name, &resumed) == 1);
            CHECK_AT(clients[i].what, resumed);
        }
        /* a session is no proof for another name */
        if (!clients[i].insecure)
            CHECK_AT(clients[i].what,
                     client_handshake(ctx, server_side, "third.example", &resumed) == WP_ETLS);
        wp_tls_ctx_unref(ctx);
    }
    wp_tls_ctx_unref(server_side);
}

/* S41: stapled while fresh and asked for. An old or broken response is left out, nothing fails. */
static void write_ocsp(const char *name, long until_s)
{
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, server.x, ca.x);
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    ASN1_TIME *from = X509_gmtime_adj(NULL, -86400), *until = X509_gmtime_adj(NULL, until_s);
    OCSP_RESPONSE *resp;
    uint8_t *der = NULL;
    FILE *f;
    int len;

    assert_non_null(
        OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, from, until));
    assert_int_equal(OCSP_basic_sign(basic, ca.x, ca.key, EVP_sha256(), NULL, 0), 1);
    resp = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    len = i2d_OCSP_RESPONSE(resp, &der);
    assert_true(len > 0);
    f = fopen(cert_path(name), "we");
    assert_non_null(f);
    assert_int_equal(fwrite(der, 1, (size_t)len, f), (size_t)len);
    fclose(f);
    OPENSSL_free(der);
    OCSP_RESPONSE_free(resp);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
}

static const struct {
    const char *what, *file;
    bool asks, stapled;
} staples[] = {
    {"fresh, asked for", "fresh.ocsp", true, true},
    {"fresh, not asked for", "fresh.ocsp", false, false},
    {"old", "old.ocsp", true, false},
    {"rubbish", "rubbish.pem", true, false},
    {"none", NULL, true, false},
};

static void test_ocsp(void)
{
    write_ocsp("fresh.ocsp", 3600);
    write_ocsp("old.ocsp", -3600);
    for (size_t i = 0; i < COUNT(staples); i++) {
        struct wp_tls_server_config c = {
            .cert_file = cert_path("cert.pem"),
            .key_file = cert_path("key.pem"),
            .ocsp_file = staples[i].file != NULL ? cert_path(staples[i].file) : NULL,
        };
        struct wp_tls_conn *conn;
        struct wp_tls_ctx *ctx;
        char why[WP_TLS_ERR_MAX];
        const uint8_t *got;
        struct peer p;

        assert_int_equal(wp_tls_server_new(&c, why, &ctx), 0);
        assert_int_equal(wp_tls_conn_new(ctx, NULL, &conn), 0);
        peer_new(&p, &(struct peer_setup){.status = staples[i].asks});
        CHECK_AT(staples[i].what, pump(&p, conn, 0) == 1 && p.ready);
        CHECK_AT(staples[i].what,
                 (SSL_get_tlsext_status_ocsp_resp(p.ssl, &got) > 0) == staples[i].stapled);
        wp_tls_conn_free(conn);
        peer_free(&p);
        wp_tls_ctx_unref(ctx);
    }
}

static void test_keylog(void)
{
    struct wp_tls_server_config c = {
        .cert_file = cert_path("cert.pem"),
        .key_file = cert_path("key.pem"),
        .keylog_file = cert_path("keys.log"),
    };
    char why[WP_TLS_ERR_MAX], text[8192];
    struct wp_tls_ctx *ctx;
    struct stat st;
    struct outcome o;
    FILE *f;
    size_t n;

    assert_int_equal(wp_tls_server_new(&c, why, &ctx), 0);
    talk(ctx, &(struct peer_setup){0}, 0, &o);
    SSL_SESSION_free(o.session);
    wp_tls_ctx_unref(ctx);
    assert_int_equal(stat(cert_path("keys.log"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    f = fopen(cert_path("keys.log"), "re");
    assert_non_null(f);
    n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    assert_non_null(strstr(text, "SERVER_HANDSHAKE_TRAFFIC_SECRET "));
    assert_int_equal(text[n - 1], '\n');
    c.keylog_file = "/nonexistent/keys.log";
    assert_int_equal(wp_tls_server_new(&c, why, &ctx), WP_ETLS);
}

static int setup(void **state)
{
    (void)state;
    make_certs();
    return 0;
}

static int teardown(void **state)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_hellos),        TEST(test_alpn_order),
        TEST(test_pieces),        TEST(test_not_tls),
        TEST(test_octets),        TEST(test_renegotiation),
        TEST(test_client_auth),   TEST(test_system_roots),
        TEST(test_tickets),       TEST(test_tickets_and_clients),
        TEST(test_no_early_data), TEST(test_bad_files),
        TEST(test_differs),       TEST(test_refresh),
        TEST(test_client),        TEST(test_refresh_through_symlink),
        TEST(test_keylog),        TEST(test_ocsp),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
