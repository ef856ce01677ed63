/* Certificates, keys and roots from PEM octets. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/x509_priv.h"
#include "waypost/base/hash.h"

const char *wp_x509_reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return text != NULL ? text : "unknown TLS error";
}

static int load_error(char errbuf[WP_TLS_ERR_MAX], const char *what)
{
    snprintf(errbuf, WP_TLS_ERR_MAX, "could not load TLS cert: %s", what);
    ERR_clear_error();
    return WP_ETLS;
}

/* An encrypted key must not make OpenSSL ask on the terminal. */
static int no_password(char *buf, int size, int rw, void *arg)
{
    (void)buf;
    (void)size;
    (void)rw;
    (void)arg;
    return -1;
}

static uint64_t der_hash(X509 *x)
{
    uint8_t *der = NULL;
    int len = i2d_X509(x, &der);
    uint64_t h = len > 0 ? wp_hash_bytes(der, (size_t)len) : 0;

    OPENSSL_free(der);
    return h;
}

static bool has_pem(const struct wp_tls_file *f, const char *kind)
{
    return strstr((const char *)f->data, kind) != NULL;
}

static const char *no_cert_text(const struct wp_tls_file *f)
{
    if (!has_pem(f, "-----BEGIN"))
        return "tls: failed to find any PEM data in certificate input";
    if (has_pem(f, "PRIVATE KEY-----"))
        return "tls: failed to find certificate PEM data in certificate input, but did find a "
               "private key; PEM inputs may have been switched";
    return "tls: failed to find \"CERTIFICATE\" PEM block in certificate input";
}

/* Leaf first, then the chain in order. */
static int take_certificate(struct wp_x509_pair *p, X509 *x)
{
    if (p->leaf == NULL) {
        p->leaf = x;
        return 0;
    }
    if (p->chain == NULL)
        p->chain = sk_X509_new_null();
    if (p->chain != NULL && sk_X509_push(p->chain, x) > 0)
        return 0;
    X509_free(x);
    return WP_ETLS;
}

static int load_chain(struct wp_x509_pair *p, const struct wp_tls_file *f,
                      struct wp_tls_material *m, char errbuf[WP_TLS_ERR_MAX])
{
    BIO *bio = BIO_new_mem_buf(f->data, (int)f->len);
    X509 *x;
    int r = 0;

    if (bio == NULL)
        return load_error(errbuf, "out of memory");
    while (r == 0 && (x = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
        m->chain_id = wp_hash_mix(m->chain_id, der_hash(x));
        r = take_certificate(p, x);
    }
    BIO_free(bio);
    if (r < 0)
        return load_error(errbuf, wp_x509_reason());
    /* the end of the file is an error to OpenSSL; a broken block in it is one to us */
    if (p->leaf != NULL && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return load_error(errbuf, wp_x509_reason());
    ERR_clear_error();
    return p->leaf != NULL ? 0 : load_error(errbuf, no_cert_text(f));
}

static const char *no_key_text(const struct wp_tls_file *f)
{
    if (!has_pem(f, "-----BEGIN"))
        return "tls: failed to find any PEM data in key input";
    if (has_pem(f, "-----BEGIN CERTIFICATE"))
        return "tls: found a certificate rather than a key in the PEM for the private key";
    return "tls: failed to parse private key";
}

static int load_key(struct wp_x509_pair *p, const struct wp_tls_file *f,
                    char errbuf[WP_TLS_ERR_MAX])
{
    BIO *bio = BIO_new_mem_buf(f->data, (int)f->len);

    p->key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    if (p->key == NULL)
        return load_error(errbuf, no_key_text(f));
    if (p->leaf != NULL && X509_check_private_key(p->leaf, p->key) != 1)
        return load_error(errbuf, "tls: private key does not match public key");
    return 0;
}

static unsigned signs(const EVP_PKEY *key)
{
    static const struct {
        const char *name;
        unsigned bit;
    } curves[] = {
        {"prime256v1", WP_TLS_SIGNS_P256},
        {"secp384r1", WP_TLS_SIGNS_P384},
        {"secp521r1", WP_TLS_SIGNS_P521},
    };
    char curve[32] = "";

    switch (EVP_PKEY_get_id(key)) {
    case EVP_PKEY_RSA:
        return WP_TLS_SIGNS_RSA;
    case EVP_PKEY_ED25519:
        return WP_TLS_SIGNS_ED25519;
    case EVP_PKEY_EC:
        EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL);
        for (size_t i = 0; i < WP_COUNT(curves); i++)
            if (strcmp(curve, curves[i].name) == 0)
                return curves[i].bit;
        return 0;
    default:
        return 0;
    }
}

/* The next pair of the material. */
static int load_pair(const struct wp_tls_file *cert, const struct wp_tls_file *key,
                     struct wp_tls_material *m, char errbuf[WP_TLS_ERR_MAX])
{
    struct wp_tls_names *names = &m->names[m->n_pairs];
    struct wp_x509_pair *p = &m->x509->pairs[m->n_pairs++];
    int r = 0;

    if (cert->data != NULL)
        r = load_chain(p, cert, m, errbuf);
    if (r == 0 && key->data != NULL)
        r = load_key(p, key, errbuf);
    if (r < 0)
        return r;
    if (p->key != NULL) {
        names->kind = EVP_PKEY_get_id(p->key);
        names->signs = signs(p->key);
        names->key_bits = EVP_PKEY_get_bits(p->key);
    }
    return p->leaf == NULL || wp_x509_names(p->leaf, names) == 0
               ? 0
               : load_error(errbuf, "out of memory");
}

static void pair_free(struct wp_x509_pair *p)
{
    X509_free(p->leaf);
    sk_X509_pop_free(p->chain, X509_free);
    EVP_PKEY_free(p->key);
}

static int load_roots(const struct wp_tls_file *f, struct wp_tls_material *m,
                      char errbuf[WP_TLS_ERR_MAX])
{
    BIO *bio = BIO_new_mem_buf(f->data, (int)f->len);
    STACK_OF(X509) *roots = sk_X509_new_null();
    X509 *x;

    m->x509->roots = roots;
    while (bio != NULL && roots != NULL &&
           (x = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
        m->ca_id += der_hash(x) | 1; /* a set: order does not matter */
        if (sk_X509_push(roots, x) > 0)
            continue;
        X509_free(x);
        roots = NULL;
    }
    if (bio == NULL || roots == NULL) {
        BIO_free(bio);
        return load_error(errbuf, "out of memory");
    }
    BIO_free(bio);
    ERR_clear_error();
    if (sk_X509_num(roots) > 0)
        return 0;
    snprintf(errbuf, WP_TLS_ERR_MAX, "could not read root certs: no certificate in %s", f->path);
    return WP_ETLS;
}

int wp_x509_load(const struct wp_tls_policy *p, const struct wp_tls_files *f,
                 struct wp_tls_material *m, char errbuf[WP_TLS_ERR_MAX])
{
    int r;

    m->x509 = calloc(1, sizeof(*m->x509));
    if (m->x509 == NULL)
        return load_error(errbuf, "out of memory");
    if (p->server && (f->cert.data == NULL || f->key.data == NULL))
        return load_error(errbuf, "no certificate or key given");
    r = load_pair(&f->cert, &f->key, m, errbuf);
    for (unsigned i = 0; r == 0 && i < f->n_more; i++)
        r = load_pair(&f->more[i].cert, &f->more[i].key, m, errbuf);
    if (r == 0 && f->ca.data != NULL)
        r = load_roots(&f->ca, m, errbuf);
    if (r == 0 && p->server)
        wp_x509_ocsp(m->x509->pairs, m, &f->ocsp);
    return r;
}

void wp_x509_free(struct wp_x509 *x)
{
    if (x == NULL)
        return;
    for (unsigned i = 0; i < WP_COUNT(x->pairs); i++)
        pair_free(&x->pairs[i]);
    sk_X509_pop_free(x->roots, X509_free);
    free(x);
}
