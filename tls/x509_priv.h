/* Certificates and keys as files and peers give them, read by OpenSSL's libcrypto for every provider:
 * what they are called, whether they belong together and how errors are worded does not depend on
 * who speaks TLS with them. */
#pragma once
#include <openssl/x509.h>
#include "tls/tls_priv.h"

/* One certificate with its chain and key. */
struct wp_x509_pair {
    X509 *leaf;
    STACK_OF(X509) *chain; /* without the leaf, or NULL */
    EVP_PKEY *key;         /* NULL: a client's certificate alone */
};
struct wp_x509 {
    struct wp_x509_pair pairs[1 + WP_TLS_MORE]; /* as many as the material has names of */
    STACK_OF(X509) *roots;                      /* of the CA's file, or NULL: the system's */
};

/* The newest error of this thread as static text; clears the queue. Never NULL. */
const char *wp_x509_reason(void);
/* x509_names.c: what the certificate is for. @return 0 or -ENOMEM */
int wp_x509_names(X509 *leaf, struct wp_tls_names *ret) WP_MUSTCHECK;
/* x509_ocsp.c: an unusable response is not stapled, which is never fatal; the material says why. */
void wp_x509_ocsp(const struct wp_x509_pair *first, struct wp_tls_material *m,
                  const struct wp_tls_file *f);
/* x509_peer.c: malloc'ed, or NULL. */
struct wp_peer *wp_x509_peer(X509 *x, bool verified);
