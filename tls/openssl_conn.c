/* One connection: an SSL between the two byte queues, through a BIO of our own. */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tls/openssl_priv.h"

enum { RECORD_MAX = 16384 };

/* --- the BIO ------------------------------------------------------------------------------- */

static int queue_read(BIO *bio, char *buf, int len)
{
    struct wp_tls_conn *c = BIO_get_data(bio);
    size_t n = c->in.len < (size_t)len ? c->in.len : (size_t)len;

    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(buf, wp_octets_view(&c->in), n);
    wp_octets_drop(&c->in, n);
    return (int)n;
}

static int queue_write(BIO *bio, const char *buf, int len)
{
    struct wp_tls_conn *c = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (wp_octets_append(&c->out, buf, (size_t)len) < 0) {
        c->short_of_memory = true;
        return -1;
    }
    return len;
}

static long queue_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *queue_method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void free_method(void)
{
    BIO_meth_free(queue_method);
}

static void make_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "waypost queues");

    if (m == NULL)
        return;
    BIO_meth_set_read(m, queue_read);
    BIO_meth_set_write(m, queue_write);
    BIO_meth_set_ctrl(m, queue_ctrl);
    queue_method = m;
    atexit(free_method);
}

/* --- life ---------------------------------------------------------------------------------- */

static SSL *ssl_of(const struct wp_tls_conn *c)
{
    return c->impl;
}

int wp_openssl_conn_new(struct wp_tls_conn *c, const struct wp_tls_policy *p,
                        const char *server_name)
{
    const struct wp_openssl_material *o = c->material->impl;
    SSL *ssl;
    BIO *bio;

    pthread_once(&method_once, make_method);
    ssl = SSL_new(o->ctx);
    bio = queue_method != NULL ? BIO_new(queue_method) : NULL;
    if (ssl == NULL || bio == NULL) {
        SSL_free(ssl);
        BIO_free(bio);
        ERR_clear_error();
        return -ENOMEM;
    }
    BIO_set_data(bio, c);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    c->impl = ssl;
    if (p->server) {
        SSL_set_accept_state(ssl);
        return 0;
    }
    SSL_set_connect_state(ssl);
    if (wp_openssl_client_conn(c, p, server_name) < 0) {
        SSL_free(ssl);
        ERR_clear_error();
        return -ENOMEM;
    }
    return 0;
}

void wp_openssl_conn_free(struct wp_tls_conn *c)
{
    /* Without this a session that a peer cut off would be marked bad; it is not. */
    SSL_set_shutdown(ssl_of(c), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl_of(c));
}

/* --- octets -------------------------------------------------------------------------------- */

/* Why the peer's certificate is refused. */
static const char *verify_text(long e)
{
    switch (e) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return "certificate is signed by an unknown authority";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return "certificate is self-signed";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "certificate is for another name";
    default: /* "certificate has expired", "certificate is not yet valid"... */
        return X509_verify_cert_error_string(e);
    }
}

static const char *reason(const struct wp_tls_conn *c)
{
    if (c->short_of_memory)
        return "out of memory";
    if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return verify_text(SSL_get_verify_result(ssl_of(c)));
    return wp_x509_reason();
}

/* What a failed call means; the error queue is empty afterwards, and was before the call. */
static int meaning(struct wp_tls_conn *c, int ret)
{
    switch (SSL_get_error(ssl_of(c), ret)) {
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return WP_ECLOSED;
    default:
        c->error = reason(c);
        ERR_clear_error();
        return WP_ETLS;
    }
}

static void note_peer(struct wp_tls_conn *c)
{
    const struct wp_openssl_material *o = c->material->impl;

    if (o->client_auth == WP_TLS_AUTH_VERIFY_IF_GIVEN ||
        o->client_auth == WP_TLS_AUTH_REQUIRE_AND_VERIFY)
        c->peer_verified = SSL_get0_peer_certificate(ssl_of(c)) != NULL &&
                           SSL_get_verify_result(ssl_of(c)) == X509_V_OK;
}

int wp_openssl_handshake(struct wp_tls_conn *c)
{
    int r;

    ERR_clear_error();
    r = SSL_do_handshake(ssl_of(c));
    if (r != 1)
        return meaning(c, r);
    note_peer(c);
    return 1;
}

int wp_openssl_read(struct wp_tls_conn *c, void *buf, size_t len)
{
    size_t n;
    int r;

    ERR_clear_error();
    r = SSL_read_ex(ssl_of(c), buf, len, &n);
    return r == 1 ? (int)n : meaning(c, r);
}

int wp_openssl_write(struct wp_tls_conn *c, const void *buf, size_t len)
{
    const uint8_t *p = buf;
    size_t left = len;

    while (left > 0) {
        size_t n = left < RECORD_MAX ? left : RECORD_MAX, done;
        int r;

        ERR_clear_error();
        r = SSL_write_ex(ssl_of(c), p, n, &done);
        if (r != 1) {
            r = meaning(c, r);
            return r == 0 ? WP_ESTATE : r; /* the queue takes all: only a handshake waits */
        }
        p += done;
        left -= done;
    }
    return (int)len;
}

void wp_openssl_close(struct wp_tls_conn *c)
{
    if (!c->ready)
        return;
    ERR_clear_error();
    SSL_shutdown(ssl_of(c));
    ERR_clear_error();
}

/* --- what was agreed ----------------------------------------------------------------------- */

bool wp_openssl_is_resumed(const struct wp_tls_conn *c)
{
    return SSL_session_reused(ssl_of(c)) == 1;
}

const char *wp_openssl_alpn(struct wp_tls_conn *c)
{
    const unsigned char *name;
    unsigned len;

    SSL_get0_alpn_selected(ssl_of(c), &name, &len);
    return wp_tls_alpn_text(c->material, name, len);
}

const char *wp_openssl_server_name(const struct wp_tls_conn *c)
{
    return SSL_get_servername(ssl_of(c), TLSEXT_NAMETYPE_host_name);
}

struct wp_peer *wp_openssl_peer(const struct wp_tls_conn *c)
{
    X509 *x = SSL_get0_peer_certificate(ssl_of(c));

    return x != NULL ? wp_x509_peer(x, c->peer_verified) : NULL;
}
