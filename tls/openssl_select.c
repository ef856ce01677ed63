/* Several certificates on one listener: those for the name that a client asks for, and of these the
 * one that it can verify. The latter is OpenSSL's, which takes one certificate for each kind of
 * key. */
#include <string.h>

#include "tls/openssl_priv.h"

static uint32_t pairs_asked(const struct wp_tls_material *m, const SSL *ssl)
{
    const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    return sni != NULL ? wp_tls_pairs_asked(m, sni, strlen(sni)) : 0;
}

/* Full handshakes only: a resumed one shows no certificate. */
static int choose(SSL *ssl, void *arg)
{
    const struct wp_tls_material *m = arg;
    uint32_t asked = pairs_asked(m, ssl);

    if (asked == 0 || asked == m->usual)
        return 1;
    SSL_certs_clear(ssl);
    for (unsigned i = 0; i < m->n_pairs; i++) {
        const struct wp_x509_pair *p = &m->x509->pairs[i];

        if ((asked >> i & 1) != 0 && SSL_use_cert_and_key(ssl, p->leaf, p->key, p->chain, 1) != 1)
            return 0;
    }
    return 1;
}

static int refuse_others(SSL *ssl, int *alert, void *arg)
{
    const struct wp_tls_material *m = arg;

    if (SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    if (pairs_asked(m, ssl) != 0)
        return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int staple(SSL *ssl, void *arg)
{
    const struct wp_tls_material *m = arg;
    uint8_t *copy;

    if (!wp_tls_ocsp_is_fresh(m) || SSL_get_certificate(ssl) != m->x509->pairs[0].leaf)
        return SSL_TLSEXT_ERR_NOACK;
    copy = OPENSSL_memdup(m->ocsp, m->ocsp_len);
    if (copy == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)m->ocsp_len); /* takes it */
    return SSL_TLSEXT_ERR_OK;
}

int wp_openssl_select(SSL_CTX *ctx, struct wp_tls_material *m, bool strict_sni)
{
    for (unsigned i = 0; i < m->n_pairs; i++) {
        const struct wp_x509_pair *p = &m->x509->pairs[i];

        if (p->leaf != NULL && (m->usual >> i & 1) != 0 &&
            SSL_CTX_use_cert_and_key(ctx, p->leaf, p->key, p->chain, 1) != 1)
            return WP_ETLS;
    }
    if (m->n_pairs > 1)
        SSL_CTX_set_cert_cb(ctx, choose, m);
    if (strict_sni) {
        SSL_CTX_set_tlsext_servername_callback(ctx, refuse_others);
        SSL_CTX_set_tlsext_servername_arg(ctx, m);
    }
    if (m->ocsp != NULL) {
        SSL_CTX_set_tlsext_status_cb(ctx, staple);
        SSL_CTX_set_tlsext_status_arg(ctx, m);
    }
    return 0;
}
