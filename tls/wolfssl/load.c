/* Certificates, keys and roots into a context. The files have been read and found to belong together
 * (x509_load.c): what fails here is what wolfSSL cannot do. */
#include "tls/wolfssl/wolfssl_priv.h"

#include <stdio.h>

static int load_error(char errbuf[WP_TLS_ERR_MAX], const char *what, const char *path, int error)
{
    snprintf(errbuf, WP_TLS_ERR_MAX, "%s %.120s: wolfSSL: %s", what, path,
             wp_wolfssl_reason(error));
    return WP_ETLS;
}

static int load_pair(WOLFSSL_CTX *ctx, const struct wp_tls_file *cert,
                     const struct wp_tls_file *key, char errbuf[WP_TLS_ERR_MAX])
{
    static const char words[] = "could not load TLS cert:";
    int r;

    if (cert->data != NULL) {
        r = wolfSSL_CTX_use_certificate_chain_buffer(ctx, cert->data, (long)cert->len);
        if (r != WOLFSSL_SUCCESS)
            return load_error(errbuf, words, cert->path, r);
    }
    if (key->data != NULL) {
        r = wolfSSL_CTX_use_PrivateKey_buffer(ctx, key->data, (long)key->len,
                                              WOLFSSL_FILETYPE_PEM);
        if (r != WOLFSSL_SUCCESS)
            return load_error(errbuf, words, key->path, r);
    }
    return 0;
}

/* It loads others too, and then cannot use them, or crashes: its numbers end at 4096 bits. */
static bool takes_key(const struct wp_tls_names *n)
{
    if (n->key_bits == 0)
        return true; /* a client without a key */
    if (n->signs == WP_TLS_SIGNS_RSA)
        return n->key_bits >= WP_WOLFSSL_RSA_BITS_MIN && n->key_bits <= WP_WOLFSSL_RSA_BITS_MAX;
    return n->signs != 0;
}

static int refuse_key(unsigned pair, const struct wp_tls_files *f, char errbuf[WP_TLS_ERR_MAX])
{
    const struct wp_tls_file *key = pair == 0 ? &f->key : &f->more[pair - 1].key;

    snprintf(errbuf, WP_TLS_ERR_MAX,
             "could not load TLS cert: %.100s: wolfSSL takes keys of RSA with %d to %d bits, P-256, "
             "P-384, P-521 and Ed25519",
             key->path, WP_WOLFSSL_RSA_BITS_MIN, WP_WOLFSSL_RSA_BITS_MAX);
    return WP_ETLS;
}

/* Whom clients are told that we would believe. */
static int name_roots(WOLFSSL_CTX *ctx, const struct wp_tls_file *f)
{
    WOLFSSL_BIO *bio = wolfSSL_BIO_new_mem_buf(f->data, (int)f->len);
    WOLFSSL_X509 *x;

    if (bio == NULL)
        return WP_ETLS;
    while ((x = wolfSSL_PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        (void)wolfSSL_CTX_add_client_CA(ctx, x);
        wolfSSL_X509_free(x);
    }
    wolfSSL_BIO_free(bio);
    wolfSSL_ERR_clear_error(); /* the end of the file is one */
    return 0;
}

static int load_roots(WOLFSSL_CTX *ctx, bool server, const struct wp_tls_file *f,
                      char errbuf[WP_TLS_ERR_MAX])
{
    int r = wolfSSL_CTX_load_verify_buffer_ex(ctx, f->data, (long)f->len, WOLFSSL_FILETYPE_PEM, 0,
                                              WOLFSSL_LOAD_FLAG_DATE_ERR_OKAY);

    if (r != WOLFSSL_SUCCESS)
        return load_error(errbuf, "could not read root certs:", f->path, r);
    if (server && name_roots(ctx, f) < 0)
        return load_error(errbuf, "could not read root certs:", f->path, MEMORY_E);
    return 0;
}

int wp_wolfssl_load(WOLFSSL_CTX *ctx, unsigned pair, const struct wp_tls_policy *p,
                    const struct wp_tls_files *f, const struct wp_tls_material *m,
                    char errbuf[WP_TLS_ERR_MAX])
{
    int r = !takes_key(&m->names[pair]) ? refuse_key(pair, f, errbuf)
            : pair == 0 ? load_pair(ctx, &f->cert, &f->key, errbuf)
                      : load_pair(ctx, &f->more[pair - 1].cert, &f->more[pair - 1].key, errbuf);

    if (r == 0 && f->ca.data != NULL)
        return load_roots(ctx, p->server, &f->ca, errbuf);
    if (r == 0 && wp_tls_needs_system_roots(p, f) &&
        wolfSSL_CTX_set_default_verify_paths(ctx) != WOLFSSL_SUCCESS) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "could not read system roots: wolfSSL found none");
        return WP_ETLS;
    }
    return r;
}
