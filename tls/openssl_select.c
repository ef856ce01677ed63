/* Several certificates on one listener: those for the name that a client asks for (RFC 6066 s3),
 * and of these the one that it can verify. The latter is OpenSSL's, which takes one certificate for
 * each kind of key. */
#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/openssl_priv.h"

enum { NAME_MAX_OCTETS = WP_TLS_NAME_MAX - 1 };

/* --- names of a certificate ---------------------------------------------------------------- */

/* Lower case, without final dot; false when it is no name. */
static bool plain(const char *from, size_t len, char to[NAME_MAX_OCTETS + 1])
{
    if (len > 0 && from[len - 1] == '.')
        len--;
    if (len == 0 || len > NAME_MAX_OCTETS || memchr(from, '\0', len) != NULL)
        return false;
    for (size_t i = 0; i < len; i++)
        to[i] = (char)tolower((unsigned char)from[i]);
    to[len] = '\0';
    return true;
}

static int add_name(struct wp_openssl_pair *p, const ASN1_STRING *s)
{
    char text[NAME_MAX_OCTETS + 1];
    char **names;

    if (!plain((const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s), text))
        return 0; /* nobody can ask for it */
    names = realloc(p->names, (p->n_names + 1) * sizeof(*names));
    if (names == NULL)
        return -ENOMEM;
    p->names = names;
    names[p->n_names] = strdup(text);
    return names[p->n_names++] != NULL ? 0 : -ENOMEM;
}

/* DNS names; where there is none, the common name. */
static int read_names(struct wp_openssl_pair *p)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(p->leaf, NID_subject_alt_name, NULL, NULL);
    X509_NAME *subject = X509_get_subject_name(p->leaf);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1), r = 0;

    for (int i = 0; r == 0 && i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);

        if (g->type == GEN_DNS)
            r = add_name(p, g->d.dNSName);
    }
    if (r == 0 && p->n_names == 0 && at >= 0)
        r = add_name(p, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    GENERAL_NAMES_free(all);
    ERR_clear_error();
    return r;
}

bool wp_tls_file_wildcard(const char *path, char name[WP_TLS_NAME_MAX])
{
    static char none[] = ""; /* the password, so that nobody is asked for one */
    BIO *bio = BIO_new_file(path, "r");
    struct wp_openssl_pair p = {0};
    bool found = false;

    if (bio != NULL)
        p.leaf = PEM_read_bio_X509(bio, NULL, NULL, none);
    BIO_free(bio);
    if (p.leaf != NULL && read_names(&p) == 0)
        for (unsigned i = 0; i < p.n_names && !found; i++) {
            found = strncmp(p.names[i], "*.", 2) == 0;
            if (found)
                snprintf(name, WP_TLS_NAME_MAX, "%s", p.names[i]);
        }
    wp_openssl_pair_done(&p);
    ERR_clear_error();
    return found;
}

/* A wildcard stands for one whole label (RFC 9525 s6.3). */
static bool is_for(const struct wp_openssl_pair *p, const char *name)
{
    const char *rest = strchr(name, '.');

    for (unsigned i = 0; i < p->n_names; i++) {
        const char *n = p->names[i];

        if (strcmp(n, name) == 0 || (n[0] == '*' && n[1] == '.' && rest != NULL && rest != name &&
                                     strcmp(n + 1, rest) == 0))
            return true;
    }
    return false;
}

/* --- choice -------------------------------------------------------------------------------- */

/* The pairs for a name, a bit each: of one kind of key only the first. 0: none. */
static uint32_t pairs_for(const struct wp_openssl_material *o, const char *name)
{
    uint32_t found = 0;

    for (unsigned i = 0; i < o->n_pairs; i++) {
        bool taken = false;

        for (unsigned k = 0; k < i && !taken; k++)
            taken = (found >> k & 1) != 0 &&
                    EVP_PKEY_get_id(o->pairs[k].key) == EVP_PKEY_get_id(o->pairs[i].key);
        if (!taken && is_for(&o->pairs[i], name))
            found |= UINT32_C(1) << i;
    }
    return found;
}

static uint32_t pairs_asked(const struct wp_openssl_material *o, const SSL *ssl)
{
    const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    char name[NAME_MAX_OCTETS + 1];

    return sni != NULL && plain(sni, strlen(sni), name) ? pairs_for(o, name) : 0;
}

/* Full handshakes only: a resumed one shows no certificate. */
static int choose(SSL *ssl, void *arg)
{
    const struct wp_openssl_material *o = arg;
    uint32_t asked = pairs_asked(o, ssl);

    if (asked == 0 || asked == o->usual)
        return 1;
    SSL_certs_clear(ssl);
    for (unsigned i = 0; i < o->n_pairs; i++) {
        const struct wp_openssl_pair *p = &o->pairs[i];

        if ((asked >> i & 1) != 0 && SSL_use_cert_and_key(ssl, p->leaf, p->key, p->chain, 1) != 1)
            return 0;
    }
    return 1;
}

static int refuse_others(SSL *ssl, int *alert, void *arg)
{
    const struct wp_openssl_material *o = arg;

    if (SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    if (pairs_asked(o, ssl) != 0)
        return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int wp_openssl_select(struct wp_openssl_material *o, bool strict_sni)
{
    o->usual = 1;
    for (unsigned i = 0; i < o->n_pairs; i++)
        if (read_names(&o->pairs[i]) < 0)
            return -ENOMEM;
    if (o->pairs[0].n_names > 0)
        o->usual |= pairs_for(o, o->pairs[0].names[0]);
    for (unsigned i = 1; i < o->n_pairs; i++) { /* the first one is there */
        const struct wp_openssl_pair *p = &o->pairs[i];

        if ((o->usual >> i & 1) != 0 &&
            SSL_CTX_use_cert_and_key(o->ctx, p->leaf, p->key, p->chain, 1) != 1)
            return WP_ETLS;
    }
    if (o->n_pairs > 1)
        SSL_CTX_set_cert_cb(o->ctx, choose, o);
    if (strict_sni) {
        SSL_CTX_set_tlsext_servername_callback(o->ctx, refuse_others);
        SSL_CTX_set_tlsext_servername_arg(o->ctx, o);
    }
    return 0;
}
