/* Several certificates on one listener. */
#include "talk.h"

#include <openssl/rsa.h>

static struct cert wild, rsa;

/* As cert_new, with an RSA key. */
static struct cert rsa_cert(const char *cn)
{
    struct cert c = cert_new(cn, &ca, "serverAuth", 30);

    EVP_PKEY_free(c.key);
    c.key = EVP_RSA_gen(2048);
    assert_non_null(c.key);
    X509_set_pubkey(c.x, c.key);
    assert_true(X509_sign(c.x, ca.key, EVP_sha256()) > 0);
    return c;
}

static int names_setup(void **state)
{
    setup(state);
    wild = cert_new("*.wild.example", &ca, "serverAuth", 30);
    rsa = rsa_cert("ns.example");
    cert_write("wild.pem", &wild);
    cert_write_key("wild-key.pem", &wild);
    cert_write("rsa.pem", &rsa);
    cert_write_key("rsa-key.pem", &rsa);
    return 0;
}

static int names_teardown(void **state)
{
    cert_free(&wild);
    cert_free(&rsa);
    return teardown(state);
}

static struct wp_tls_ctx *several(bool strict)
{
    struct wp_tls_pair more[] = {
        {cert_path("cert2.pem"), cert_path("key2.pem")},
        {cert_path("wild.pem"), cert_path("wild-key.pem")},
        {cert_path("rsa.pem"), cert_path("rsa-key.pem")},
    };
    struct wp_tls_server_config c = {
        .cert_file = cert_path("cert.pem"),
        .key_file = cert_path("key.pem"),
        .alpn = "dot",
        .more = more,
        .n_more = COUNT(more),
        .strict_sni = strict,
    };
    char why[WP_TLS_ERR_MAX];
    struct wp_tls_ctx *ctx;

    if (wp_tls_server_new(&c, why, &ctx) < 0)
        fail_msg("%s", why);
    return ctx;
}

#define RSA_ONLY "RSA-PSS+SHA256:RSA+SHA256"
#define ECDSA_ONLY "ECDSA+SHA256"
static const struct {
    const char *what, *sni, *sigalgs;
    const char *ciphers; /* of TLS 1.2, which is spoken then */
    bool strict;
    const char *cn; /* NULL: alert 112 */
    int key;
} cases[] = {
    {"S08 the second one", "ns2.example", NULL, NULL, false, "ns2.example", EVP_PKEY_EC},
    {"S08 in capitals, with a dot", "NS2.Example.", NULL, NULL, false, "ns2.example", EVP_PKEY_EC},
    {"S08 wildcard", "a.wild.example", NULL, NULL, false, "*.wild.example", EVP_PKEY_EC},
    {"S09 two labels for a wildcard", "a.b.wild.example", NULL, NULL, false, "ns.example", EVP_PKEY_EC},
    {"S09 unknown", "nobody.example", NULL, NULL, false, "ns.example", EVP_PKEY_EC},
    {"S09 unknown, strict", "nobody.example", NULL, NULL, true, NULL, 0},
    {"S09 known, strict", "ns2.example", NULL, NULL, true, "ns2.example", EVP_PKEY_EC},
    {"S10 none", NULL, NULL, NULL, false, "ns.example", EVP_PKEY_EC},
    {"S10 none, strict", NULL, NULL, NULL, true, "ns.example", EVP_PKEY_EC},
    {"S11 RSA only", "ns.example", RSA_ONLY, NULL, false, "ns.example", EVP_PKEY_RSA},
    {"S11 RSA only, no name", NULL, RSA_ONLY, NULL, false, "ns.example", EVP_PKEY_RSA},
    {"S11 ECDSA only", "ns.example", ECDSA_ONLY, NULL, false, "ns.example", EVP_PKEY_EC},
    {"S11 RSA suites", NULL, NULL, "ECDHE-RSA-AES128-GCM-SHA256", false, "ns.example", EVP_PKEY_RSA},
    {"S11 ECDSA suites", NULL, NULL, "ECDHE-ECDSA-CHACHA20-POLY1305", false, "ns.example", EVP_PKEY_EC},
};

static void check_case(size_t i, int version, size_t piece)
{
    struct peer_setup s = {.sni = cases[i].sni,
                           .sigalgs = cases[i].sigalgs,
                           .ciphers = cases[i].ciphers,
                           .max_version = cases[i].ciphers != NULL ? TLS1_2_VERSION : version};
    struct wp_tls_ctx *ctx = several(cases[i].strict);
    struct wp_tls_conn *c;
    struct peer p;
    X509 *x;

    assert_int_equal(wp_tls_conn_new(ctx, NULL, &c), 0);
    peer_new(&p, &s);
    CHECK_AT(cases[i].what, (pump(&p, c, piece) == 1) == (cases[i].cn != NULL));
    CHECK_AT(cases[i].what, p.alert == (cases[i].cn != NULL ? 0 : 112));
    x = SSL_get0_peer_certificate(p.ssl);
    if (cases[i].cn != NULL) {
        char cn[64] = "";

        X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, sizeof(cn));
        CHECK_AT(cases[i].what, strcmp(cn, cases[i].cn) == 0);
        CHECK_AT(cases[i].what, EVP_PKEY_get_id(X509_get0_pubkey(x)) == cases[i].key);
    }
    ERR_clear_error();
    wp_tls_conn_free(c);
    peer_free(&p);
    wp_tls_ctx_unref(ctx);
}

static void test_choice(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        check_case(i, TLS1_2_VERSION, 0);
        check_case(i, TLS1_3_VERSION, i % 3 == 0 ? 1 : 0);
    }
}

RUN_TLS_TESTS(names_setup, names_teardown, TEST(test_choice))
