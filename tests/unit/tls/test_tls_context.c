/* Contexts: files, differences, refresh; our own client; OCSP and key log. */
#include "talk.h"

#include <openssl/ocsp.h>
#include <openssl/rsa.h>

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

/* What a provider cannot use is refused when it is loaded, not in a handshake. */
static void test_keys(void)
{
    static const struct {
        const char *what;
        int rsa_bits; /* 0: secp256k1 */
        bool openssl, wolfssl;
    } keys[] = {
        {"RSA 1024", 1024, false, false},
        {"RSA 2048", 2048, true, true},
        {"RSA past what wolfSSL can", 4104, true, false},
        {"a curve of others", 0, true, false},
    };

    for (size_t i = 0; i < COUNT(keys); i++) {
        struct wp_tls_server_config c = {.cert_file = cert_path("odd.pem"),
                                         .key_file = cert_path("odd-key.pem")};
        struct cert odd = cert_new("odd.example", &ca, "serverAuth", 30);
        char why[WP_TLS_ERR_MAX] = "";
        struct wp_tls_ctx *ctx = NULL;

        EVP_PKEY_free(odd.key);
        odd.key = keys[i].rsa_bits != 0 ? EVP_RSA_gen((unsigned)keys[i].rsa_bits) : EVP_EC_gen("secp256k1");
        assert_non_null(odd.key);
        X509_set_pubkey(odd.x, odd.key);
        assert_true(X509_sign(odd.x, ca.key, EVP_sha256()) > 0);
        cert_write("odd.pem", &odd);
        cert_write_key("odd-key.pem", &odd);
        CHECK_AT(keys[i].what, (wp_tls_server_new(&c, why, &ctx) == 0) ==
                                   (over_wolfssl ? keys[i].wolfssl : keys[i].openssl));
        CHECK_AT(keys[i].what, ctx != NULL || strstr(why, "could not load TLS cert: ") == why);
        wp_tls_ctx_unref(ctx);
        cert_free(&odd);
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
    {"right IPv6", "ca.pem", "2001:db8::1", false, 1},
    {"right IPv6, another way to write it", "ca.pem", "2001:DB8:0::1", false, 1},
    {"wrong IPv6", "ca.pem", "2001:db8::2", false, WP_ETLS},
    {"right IP, unknown CA", "other-ca.pem", "127.0.0.1", false, WP_ETLS},
    {"unknown CA", "other-ca.pem", "ns.example", false, WP_ETLS},
    {"system roots", NULL, "ns.example", false, WP_ETLS},
    {"insecure", NULL, "other.example", true, 1},
    {"its own certificate as root", "cert.pem", "ns.example", false, 1},
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
static void write_ocsp(const char *name, const struct cert *of, long until_s)
{
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, of->x, ca.x);
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
    const char *warning;
} staples[] = {
    {"S41 fresh, asked for", "fresh.ocsp", true, true, NULL},
    {"S41 fresh, not asked for", "fresh.ocsp", false, false, NULL},
    {"S41 old", "old.ocsp", true, false, "the OCSP response is out of date"},
    {"S41 another's", "foreign.ocsp", true, false, "the OCSP response is for another certificate"},
    {"S41 rubbish", "rubbish.pem", true, false, "the OCSP response cannot be read"},
    {"S41 none", NULL, true, false, NULL},
};

static void test_ocsp(void)
{
    write_ocsp("fresh.ocsp", &server, 3600);
    write_ocsp("old.ocsp", &server, -3600);
    write_ocsp("foreign.ocsp", &server2, 3600);
    for (size_t i = 0; i < COUNT(staples); i++) {
        struct wp_tls_server_config c = {
            .cert_file = cert_path("cert.pem"),
            .key_file = cert_path("key.pem"),
            .ocsp_file = staples[i].file != NULL ? cert_path(staples[i].file) : NULL,
        };
        struct wp_tls_conn *conn;
        struct wp_tls_ctx *ctx;
        char why[WP_TLS_ERR_MAX];
        const char *warning;
        const uint8_t *got;
        struct peer p;

        if (over_wolfssl && c.ocsp_file != NULL) {
            CHECK_AT(staples[i].what, wp_tls_server_new(&c, why, &ctx) == WP_ETLS);
            CHECK_AT(staples[i].what, strstr(why, "OCSP response: this wolfSSL loses memory") != NULL);
            continue;
        }
        assert_int_equal(wp_tls_server_new(&c, why, &ctx), 0);
        warning = wp_tls_ctx_warning(ctx);
        CHECK_AT(staples[i].what, (warning == NULL) == (staples[i].warning == NULL));
        CHECK_AT(staples[i].what, warning == NULL || strcmp(warning, staples[i].warning) == 0);
        CHECK_AT(staples[i].what, wp_tls_ctx_warning(ctx) == NULL); /* told once */
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

    if (over_wolfssl) {
        assert_int_equal(wp_tls_server_new(&c, why, &ctx), WP_ETLS);
        assert_non_null(strstr(why, "TLS key log: wolfSSL is built without it"));
        assert_int_not_equal(access(cert_path("keys.log"), F_OK), 0);
        return;
    }
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

RUN_TLS_TESTS(setup, teardown, TEST(test_bad_files), TEST(test_keys), TEST(test_differs), TEST(test_refresh),
               TEST(test_refresh_through_symlink), TEST(test_client), TEST(test_ocsp),
               TEST(test_keylog))
