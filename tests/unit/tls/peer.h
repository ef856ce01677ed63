/* The other side of a wp_tls_conn: a plain OpenSSL client over memory, set up as a test likes.
 * Included by one file of a program. */
#pragma once
#include <openssl/err.h>
#include <openssl/ssl.h>
#include "certs.h"
#include "waypost/tls/tls.h"

struct peer_setup {
    int max_version, min_version; /* 0: the library's */
    const char *ciphers;          /* TLS 1.2 */
    const char *sigalgs;
    const char *alpn; /* wire form */
    const char *sni;
    const struct cert *cert;
    SSL_SESSION *session;
    bool status; /* asks for OCSP */
};
struct peer {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
    SSL_SESSION *session; /* the newest ticket */
    int alert;            /* the alert received, 0: none */
    bool ready;
};

static inline int peer_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct peer *p = SSL_get_app_data(ssl);

    SSL_SESSION_free(p->session);
    p->session = session;
    return 1;
}

static inline void peer_info(const SSL *ssl, int where, int ret)
{
    struct peer *p = SSL_get_app_data(ssl);

    if (where == SSL_CB_READ_ALERT)
        p->alert = ret & 0xff;
}

static inline void peer_new(struct peer *p, const struct peer_setup *s)
{
    *p = (struct peer){.ctx = SSL_CTX_new(TLS_client_method())};
    SSL_CTX_set_security_level(p->ctx, 0);
    SSL_CTX_set_verify(p->ctx, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_min_proto_version(p->ctx, s->min_version);
    if (s->max_version != 0)
        SSL_CTX_set_max_proto_version(p->ctx, s->max_version);
    if (s->ciphers != NULL)
        assert_int_equal(SSL_CTX_set_cipher_list(p->ctx, s->ciphers), 1);
    if (s->sigalgs != NULL)
        assert_int_equal(SSL_CTX_set1_sigalgs_list(p->ctx, s->sigalgs), 1);
    if (s->alpn != NULL)
        SSL_CTX_set_alpn_protos(p->ctx, (const unsigned char *)s->alpn, (unsigned)strlen(s->alpn));
    if (s->cert != NULL) {
        assert_int_equal(SSL_CTX_use_certificate(p->ctx, s->cert->x), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(p->ctx, s->cert->key), 1);
    }
    SSL_CTX_set_session_cache_mode(p->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(p->ctx, peer_ticket);
    p->ssl = SSL_new(p->ctx);
    SSL_set_app_data(p->ssl, p);
    SSL_set_info_callback(p->ssl, peer_info);
    p->in = BIO_new(BIO_s_mem());
    p->out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(p->in, -1);
    SSL_set_bio(p->ssl, p->in, p->out);
    SSL_set_connect_state(p->ssl);
    if (s->sni != NULL)
        SSL_set_tlsext_host_name(p->ssl, s->sni);
    if (s->session != NULL)
        SSL_set_session(p->ssl, s->session);
    if (s->status)
        SSL_set_tlsext_status_type(p->ssl, TLSEXT_STATUSTYPE_ocsp);
}

static inline void peer_free(struct peer *p)
{
    /* or OpenSSL takes the session for a broken one */
    SSL_set_shutdown(p->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(p->ssl);
    SSL_SESSION_free(p->session);
    SSL_CTX_free(p->ctx);
}

static inline size_t peer_take(struct peer *p, uint8_t *buf, size_t cap)
{
    int n = BIO_read(p->out, buf, (int)cap);

    return n > 0 ? (size_t)n : 0;
}
