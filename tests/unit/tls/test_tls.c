/* Conversations: protocol policy, client certificates, resumption. */
#include "talk.h"

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
    /* no_renegotiation, or the end of the connection (unexpected_message) */
    assert_int_equal(p.alert, over_wolfssl ? 10 : 100);
    if (over_wolfssl)
        assert_int_equal(wp_tls_read(c, buf, sizeof(buf)), WP_ETLS);
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
    CHECK_AT("resumed", b.answered);
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

static void write_keys(const char *name, const char *keys)
{
    FILE *f = fopen(cert_path(name), "we");

    assert_non_null(f);
    for (; *keys != '\0'; keys++)
        for (unsigned i = 0; i < 80; i++)
            assert_int_equal(fputc(*keys, f), *keys);
    fclose(f);
}

static struct wp_tls_ctx *ctx_with_keys(const char *file)
{
    struct wp_tls_server_config c = {
        .cert_file = cert_path("cert.pem"),
        .key_file = cert_path("key.pem"),
        .tickets_file = cert_path(file),
    };
    struct wp_tls_ctx *ctx;
    char why[WP_TLS_ERR_MAX];

    assert_int_equal(wp_tls_server_new(&c, why, &ctx), 0);
    return ctx;
}

/* Two servers with the same file know each other's tickets, whatever their own keys do; the file
 * changes at one of them first. */
static void test_tickets_of_a_file(void)
{
    struct peer_setup s = {0};
    struct wp_tls_ctx *one, *two, *own = server_ctx("dot", WP_TLS_AUTH_NONE, NULL);
    char why[WP_TLS_ERR_MAX];

    write_keys("one.keys", "a");
    write_keys("two.keys", "a");
    one = ctx_with_keys("one.keys");
    two = ctx_with_keys("two.keys");
    assert_null(wp_tls_ctx_differs(one, two));
    assert_string_equal(wp_tls_ctx_differs(one, own), "session ticket policies differ");
    assert_true(resumes(one, two, s, 3));
    write_keys("two.keys", "ba");
    assert_int_equal(wp_tls_ctx_refresh(two, why), 1);
    assert_true(resumes(one, two, s, 0));
    assert_false(resumes(two, one, s, 0)); /* does not have the new one yet */
    write_keys("one.keys", "ab");
    assert_int_equal(wp_tls_ctx_refresh(one, why), 1);
    assert_true(resumes(two, one, s, 0));
    write_keys("one.keys", "b");
    assert_int_equal(wp_tls_ctx_refresh(one, why), 1);
    assert_true(resumes(one, two, s, 0));
    write_keys("one.keys", "c");
    assert_int_equal(wp_tls_ctx_refresh(one, why), 1);
    assert_false(resumes(one, two, s, 0));
    write_keys("one.keys", "");
    assert_int_equal(wp_tls_ctx_refresh(one, why), WP_ETLS);
    assert_non_null(strstr(why, "one.keys: not one to 8 keys of 80 octets"));
    write_keys("one.keys", "123456789");
    assert_int_equal(wp_tls_ctx_refresh(one, why), WP_ETLS);
    assert_true(resumes(one, one, s, 0)); /* as before */
    wp_tls_ctx_unref(one);
    wp_tls_ctx_unref(two);
    wp_tls_ctx_unref(own);
}

/* S42: a session never outlives what made its client acceptable. */
static void test_tickets_and_clients(void)
{
    struct wp_tls_ctx *ctx = server_ctx("dot", WP_TLS_AUTH_REQUIRE_AND_VERIFY, "ca.pem");
    struct wp_tls_ctx *other = server_ctx("dot", WP_TLS_AUTH_REQUIRE_AND_VERIFY, "other-ca.pem");
    struct wp_tls_ctx *loose = server_ctx("dot", WP_TLS_AUTH_REQUIRE, "ca.pem");
    struct peer_setup s = {.cert = &good}, bad = {.cert = &expired};
    struct outcome o, b;

    if (over_wolfssl) { /* it would lose the certificate: who shows one gets no ticket */
        talk(ctx, &s, 0, &o);
        assert_true(o.answered && o.verified && o.session == NULL);
        talk(loose, &bad, 0, &o);
        assert_true(o.answered && o.session == NULL);
        s.max_version = TLS1_2_VERSION;
        talk(ctx, &s, 0, &o);
        assert_true(o.answered && o.verified && !o.resumed);
        SSL_SESSION_free(o.session);
        goto out;
    }
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
out:
    wp_tls_ctx_unref(ctx);
    wp_tls_ctx_unref(other);
    wp_tls_ctx_unref(loose);
}

/* Who may show a certificate and does not is resumed as the nobody he was. */
static void test_tickets_of_nobody(void)
{
    struct wp_tls_ctx *ctx = server_ctx("dot", WP_TLS_AUTH_VERIFY_IF_GIVEN, "ca.pem");

    assert_true(resumes(ctx, ctx, (struct peer_setup){0}, 0));
    wp_tls_ctx_unref(ctx);
}

/* S20: a ticket permits none; what a client sends all the same is thrown away, and the handshake
 * goes on. */
static void test_no_early_data(void)
{
    struct wp_tls_ctx *ctx = server_ctx("dot", WP_TLS_AUTH_NONE, NULL);
    struct wp_tls_conn *c;
    struct outcome o;
    struct peer p;
    size_t n;
    char buf[8];

    talk(ctx, &(struct peer_setup){0}, 0, &o);
    assert_int_equal(SSL_SESSION_get_max_early_data(o.session), 0);
    assert_int_equal(SSL_SESSION_set_max_early_data(o.session, 1000), 1);
    assert_int_equal(wp_tls_conn_new(ctx, NULL, &c), 0);
    peer_new(&p, &(struct peer_setup){.session = o.session});
    assert_int_equal(SSL_write_early_data(p.ssl, "early", 5, &n), 1);
    if (over_wolfssl) { /* it cannot skip what it cannot decrypt: the connection ends */
        assert_int_equal(pump(&p, c, 0), WP_ETLS);
        assert_int_equal(wp_tls_read(c, buf, sizeof(buf)), WP_ETLS);
        goto out;
    }
    assert_int_equal(pump(&p, c, 0), 1);
    assert_int_equal(SSL_get_early_data_status(p.ssl), SSL_EARLY_DATA_REJECTED);
    assert_int_equal(SSL_write(p.ssl, "ping", 4), 4);
    pump(&p, c, 0);
    assert_int_equal(wp_tls_read(c, buf, sizeof(buf)), 4);
    assert_memory_equal(buf, "ping", 4);
out:
    ERR_clear_error();
    SSL_SESSION_free(o.session);
    wp_tls_conn_free(c);
    peer_free(&p);
    wp_tls_ctx_unref(ctx);
}

RUN_TLS_TESTS(setup, teardown, TEST(test_hellos), TEST(test_alpn_order), TEST(test_pieces),
               TEST(test_not_tls), TEST(test_octets), TEST(test_renegotiation),
               TEST(test_client_auth), TEST(test_system_roots), TEST(test_tickets), TEST(test_tickets_of_a_file),
               TEST(test_tickets_and_clients), TEST(test_tickets_of_nobody), TEST(test_no_early_data))
