/* The OpenSSL provider: contexts with the policy of RFC 9325. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tls/openssl_priv.h"

/* Forward secrecy and AEAD only (RFC 9325 s4.2). */
static const char suites_12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char suites_13[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char groups[] = "X25519:P-256:P-384";
/* No SHA-1. */
static const char sigalgs[] =
    "ECDSA+SHA256:ed25519:RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA384:RSA+SHA384:"
    "ECDSA+SHA512:RSA-PSS+SHA512:RSA+SHA512";

static int set_policy(SSL_CTX *ctx)
{
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, suites_12) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, suites_13) != 1 ||
        SSL_CTX_set1_groups_list(ctx, groups) != 1 || SSL_CTX_set1_sigalgs_list(ctx, sigalgs) != 1)
        return WP_ETLS;
    /* A TCP close without close_notify is the end of input: DNS has its own lengths. */
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return 0;
}

/* --- server policy ------------------------------------------------------------------------- */

/* Our first protocol that the client offers. Only others: alert 120 on every listener, so that
 * no client talks another protocol to us across listeners (ALPACA, RFC 7301 s3.2). */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *arg)
{
    const struct wp_tls_material *m = arg;
    const uint8_t *ours = wp_tls_alpn_choose(m, in, in_len);

    (void)ssl;
    if (ours == NULL)
        return m->alpn_len == 0 ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = ours + 1;
    *out_len = *ours;
    return SSL_TLSEXT_ERR_OK;
}

/* `request` and `require` ask for a certificate and look at nothing in it. */
static int accept_any(X509_STORE_CTX *store, void *arg)
{
    (void)store;
    (void)arg;
    return 1;
}

static void set_client_auth(SSL_CTX *ctx, enum wp_tls_auth mode)
{
    static const int verify[] = {
        [WP_TLS_AUTH_NONE] = SSL_VERIFY_NONE,
        [WP_TLS_AUTH_REQUEST] = SSL_VERIFY_PEER,
        [WP_TLS_AUTH_REQUIRE] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
        [WP_TLS_AUTH_VERIFY_IF_GIVEN] = SSL_VERIFY_PEER,
        [WP_TLS_AUTH_REQUIRE_AND_VERIFY] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };

    SSL_CTX_set_verify(ctx, verify[mode], NULL);
    if (mode == WP_TLS_AUTH_REQUEST || mode == WP_TLS_AUTH_REQUIRE)
        SSL_CTX_set_cert_verify_callback(ctx, accept_any, NULL);
}

static void write_keylog(const SSL *ssl, const char *line)
{
    const struct wp_tls_material *m = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const struct wp_openssl_material *o = m->impl;
    struct iovec v[2] = {{(void *)(uintptr_t)line, strlen(line)}, {(void *)(uintptr_t) "\n", 1}};

    /* one write: lines of several workers do not mix; a full disk is not the client's fault */
    if (writev(o->keylog_fd, v, 2) < 0)
        return;
}

static int open_keylog(SSL_CTX *ctx, struct wp_openssl_material *o, const char *path,
                       char errbuf[WP_TLS_ERR_MAX])
{
    if (path == NULL)
        return 0;
    o->keylog_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (o->keylog_fd < 0) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "could not open TLS key log: open %s: %s", path,
                 wp_strerror(-errno));
        return WP_ETLS;
    }
    SSL_CTX_set_keylog_callback(ctx, write_keylog);
    return 0;
}

/* Roots of a file stand for themselves, also one that is not self-signed (as in Go). */
static int set_roots(SSL_CTX *ctx, const struct wp_tls_policy *p, const struct wp_tls_files *f,
                     const struct wp_tls_material *m)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);

    if (wp_tls_needs_system_roots(p, f))
        return SSL_CTX_set_default_verify_paths(ctx) == 1 ? 0 : WP_ETLS;
    for (int i = 0; i < sk_X509_num(m->x509->roots); i++) {
        X509 *x = sk_X509_value(m->x509->roots, i);

        if (X509_STORE_add_cert(store, x) != 1)
            return WP_ETLS;
        if (p->server)
            SSL_CTX_add_client_CA(ctx, x);
    }
    if (m->x509->roots != NULL)
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    return 0;
}

static int set_server(SSL_CTX *ctx, const struct wp_tls_policy *p, struct wp_tls_material *m,
                      char errbuf[WP_TLS_ERR_MAX])
{
    set_client_auth(ctx, p->client_auth);
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, m);
    if (wp_openssl_tickets(ctx, m) < 0) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "session tickets: %s", wp_x509_reason());
        return WP_ETLS;
    }
    return open_keylog(ctx, m->impl, p->keylog_file, errbuf);
}

/* --- client policy ------------------------------------------------------------------------- */

static int set_client(SSL_CTX *ctx, const struct wp_tls_policy *p, const struct wp_tls_material *m)
{
    SSL_CTX_set_verify(ctx, p->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    wp_openssl_client_sessions(ctx);
    /* returns 0 on success, unlike its siblings */
    return m->alpn_len > 0 && SSL_CTX_set_alpn_protos(ctx, m->alpn, (unsigned)m->alpn_len) != 0
               ? WP_ETLS
               : 0;
}

/* --- material ------------------------------------------------------------------------------ */

static void material_free(struct wp_tls_material *m)
{
    struct wp_openssl_material *o = m->impl;

    SSL_CTX_free(o->ctx);
    wp_openssl_client_done(o);
    pthread_mutex_destroy(&o->session_lock);
    if (o->keylog_fd >= 0)
        close(o->keylog_fd);
    free(o);
}

static int set_material(SSL_CTX *ctx, const struct wp_tls_policy *p, const struct wp_tls_files *f,
                        struct wp_tls_material *m, char errbuf[WP_TLS_ERR_MAX])
{
    if (wp_openssl_select(ctx, m, p->strict_sni) < 0) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "could not load TLS cert: %s", wp_x509_reason());
        return WP_ETLS;
    }
    if (set_roots(ctx, p, f, m) < 0) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "could not read %s roots: %s",
                 f->ca.data != NULL ? "these" : "system", wp_x509_reason());
        return WP_ETLS;
    }
    if (p->server)
        return set_server(ctx, p, m, errbuf);
    if (set_client(ctx, p, m) < 0) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "%s", wp_x509_reason());
        return WP_ETLS;
    }
    return 0;
}

static int material_new(const struct wp_tls_policy *p, const struct wp_tls_files *f,
                        struct wp_tls_material *m, char errbuf[WP_TLS_ERR_MAX])
{
    struct wp_openssl_material *o = calloc(1, sizeof(*o));
    int r;

    if (o == NULL) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "out of memory");
        return WP_ETLS;
    }
    m->impl = o;
    o->keylog_fd = -1;
    pthread_mutex_init(&o->session_lock, NULL);
    o->client_auth = p->client_auth;
    o->ctx = SSL_CTX_new(p->server ? TLS_server_method() : TLS_client_method());
    if (o->ctx == NULL || set_policy(o->ctx) < 0) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "%s", wp_x509_reason());
        material_free(m);
        return WP_ETLS;
    }
    SSL_CTX_set_app_data(o->ctx, m);
    r = set_material(o->ctx, p, f, m, errbuf);
    if (r < 0)
        material_free(m);
    return r;
}

static const char *library(void)
{
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}

const struct wp_tls_provider wp_tls_openssl = {
    .version = WP_TLS_PROVIDER_VERSION,
    .name = "openssl",
    .library = library,
    .material_new = material_new,
    .material_free = material_free,
    .conn_new = wp_openssl_conn_new,
    .conn_free = wp_openssl_conn_free,
    .handshake = wp_openssl_handshake,
    .read = wp_openssl_read,
    .write = wp_openssl_write,
    .close = wp_openssl_close,
    .is_resumed = wp_openssl_is_resumed,
    .alpn = wp_openssl_alpn,
    .server_name = wp_openssl_server_name,
    .peer = wp_openssl_peer,
};
