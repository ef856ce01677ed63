/* Certificates made for a test, in a directory of its own. Keys are P-256 unless said; making
 * one takes well under a millisecond. Included by one file of a program. */
#pragma once
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

struct cert {
    X509 *x;
    EVP_PKEY *key;
};

static char cert_dir[64];

/* "NAME" in the test's directory; one of eight buffers in turn. */
static inline const char *cert_path(const char *name)
{
    static char path[8][160];
    static unsigned n;
    char *p = path[n++ % 8];

    if (cert_dir[0] == '\0') {
        strcpy(cert_dir, "/tmp/waypost-test-XXXXXX");
        assert_non_null(mkdtemp(cert_dir));
    }
    snprintf(p, sizeof(path[0]), "%s/%s", cert_dir, name);
    return p;
}

static inline void cert_ext(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

/* issuer NULL: a self-signed CA. eku: "serverAuth", "clientAuth" or NULL. The validity goes from
 * a day ago to `days` from now. */
static inline struct cert cert_new(const char *cn, const struct cert *issuer, const char *eku,
                                   int days)
{
    static long serial = 1;
    struct cert c = {X509_new(), EVP_EC_gen("P-256")};
    char san[200];
    X509_NAME *name = X509_NAME_new();

    assert_true(c.x != NULL && c.key != NULL);
    X509_set_version(c.x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c.x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(c.x), -86400 * 2);
    X509_gmtime_adj(X509_getm_notAfter(c.x), 86400L * days);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
    X509_set_subject_name(c.x, name);
    X509_set_issuer_name(c.x, issuer != NULL ? X509_get_subject_name(issuer->x) : name);
    X509_set_pubkey(c.x, c.key);
    cert_ext(c.x, NID_basic_constraints, issuer == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (eku != NULL)
        cert_ext(c.x, NID_ext_key_usage, eku);
    snprintf(san, sizeof(san), "DNS:%s,IP:127.0.0.1,IP:2001:db8::1", cn);
    if (issuer != NULL)
        cert_ext(c.x, NID_subject_alt_name, san);
    assert_true(X509_sign(c.x, issuer != NULL ? issuer->key : c.key, EVP_sha256()) > 0);
    X509_NAME_free(name);
    return c;
}

static inline void cert_free(struct cert *c)
{
    X509_free(c->x);
    EVP_PKEY_free(c->key);
}

static inline void cert_write(const char *name, const struct cert *c)
{
    FILE *f = fopen(cert_path(name), "we");

    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, c->x), 1);
    fclose(f);
}

static inline void cert_write_key(const char *name, const struct cert *c)
{
    FILE *f = fopen(cert_path(name), "we");

    assert_non_null(f);
    assert_int_equal(PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
}

static inline void cert_write_text(const char *name, const char *text)
{
    FILE *f = fopen(cert_path(name), "we");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}
