/* What a certificate is for: its names. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "tls/x509_priv.h"

static int add(struct wp_tls_names *n, const ASN1_STRING *s)
{
    return wp_tls_names_add(n, (const char *)ASN1_STRING_get0_data(s),
                            (size_t)ASN1_STRING_length(s));
}

/* DNS names; where there is none, the common name. */
int wp_x509_names(X509 *leaf, struct wp_tls_names *ret)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    X509_NAME *subject = X509_get_subject_name(leaf);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1), r = 0;

    for (int i = 0; r == 0 && i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);

        if (g->type == GEN_DNS)
            r = add(ret, g->d.dNSName);
    }
    if (r == 0 && ret->n == 0 && at >= 0)
        r = add(ret, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    GENERAL_NAMES_free(all);
    ERR_clear_error();
    return r;
}

bool wp_tls_file_wildcard(const char *path, char name[WP_TLS_NAME_MAX])
{
    static char none[] = ""; /* the password, so that nobody is asked for one */
    BIO *bio = BIO_new_file(path, "r");
    struct wp_tls_names names = {0};
    X509 *leaf = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, none) : NULL;
    bool found = false;

    BIO_free(bio);
    if (leaf != NULL && wp_x509_names(leaf, &names) == 0)
        for (unsigned i = 0; i < names.n && !found; i++) {
            found = strncmp(names.names[i], "*.", 2) == 0;
            if (found)
                snprintf(name, WP_TLS_NAME_MAX, "%s", names.names[i]);
        }
    wp_tls_names_done(&names);
    X509_free(leaf);
    ERR_clear_error();
    return found;
}

bool wp_tls_is_for_ip(const uint8_t *der, size_t len, const char *ip)
{
    X509 *x = d2i_X509(NULL, &der, (long)len);
    bool found = x != NULL && X509_check_ip_asc(x, ip, 0) == 1;

    X509_free(x);
    ERR_clear_error();
    return found;
}
