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

const char *wp_openssl_reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return text != NULL ? text : "unknown TLS error";
}

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

    (void)ssl;
    for (size_t i = 0; i < m->alpn_len; i += 1u + m->alpn[i])
        for (unsigned k = 0; k < in_len; k += 1u + in[k])
            if (in[k] == m->alpn[i] && memcmp(in + k + 1, m->alpn + i + 1, in[k]) == 0) {
                *out = m->alpn + i + 1;
                *out_len = m->alpn[i];
                return SSL_TLSEXT_ERR_OK;
            }
    return m->alpn_len == 0 ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_ALERT_FATAL;
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
    const struct wp_openssl_material *o = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
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

static int set_server(SSL_CTX *ctx, const struct wp_tls_policy *p, const struct wp_tls_files *f,
                      struct wp_tls_material *m, char errbuf[WP_TLS_ERR_MAX])
{
    struct wp_openssl_material *o = m->impl;

    set_client_auth(ctx, p->client_auth);
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, m);
    if (wp_openssl_tickets(p, f, m, errbuf) < 0)
        return WP_ETLS;
    if (wp_openssl_select(o, p->strict_sni) < 0) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "could not load TLS cert: %s", wp_openssl_reason());
        return WP_ETLS;
    }
    wp_openssl_ocsp(m, &f->ocsp);
    return open_keylog(ctx, o, p->keylog_file, errbuf);
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
    free(o->ocsp);
    OPENSSL_cleanse(o->tickets, sizeof(o->tickets));
    for (unsigned i = 0; i < o->n_pairs; i++)
        wp_openssl_pair_done(&o->pairs[i]);
    free(o);
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
        snprintf(errbuf, WP_TLS_ERR_MAX, "%s", wp_openssl_reason());
        material_free(m);
        return WP_ETLS;
    }
    SSL_CTX_set_app_data(o->ctx, o);
    r = wp_openssl_load(o->ctx, p, f, m, errbuf);
    if (r == 0 && p->server) {
        r = set_server(o->ctx, p, f, m, errbuf);
    } else if (r == 0) {
        r = set_client(o->ctx, p, m);
        if (r < 0)
            snprintf(errbuf, WP_TLS_ERR_MAX, "%s", wp_openssl_reason());
    }
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
    .warning = wp_openssl_warning,
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
    .rotate = wp_openssl_rotate,
};
