/* Whom a client's certificate names. In the modes that verify nothing all of it is the client's own
 * invention: lengths are bounded, and what could be taken for something else is left out. */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "tls/x509_priv.h"

enum { NAME_MAX_OCTETS = 256, SAN_MAX = 1024, ISSUER_MAX = 512, KEY_DIGITS = 64 };

struct texts {
    char name[NAME_MAX_OCTETS], san[SAN_MAX], issuer[ISSUER_MAX], key[KEY_DIGITS + 1];
};

/* "" if there is none, or one that a NUL makes equal to a shorter one. */
static void read_name(X509 *x, char to[NAME_MAX_OCTETS])
{
    X509_NAME *subject = X509_get_subject_name(x);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1), len;
    unsigned char *utf8 = NULL;

    if (at < 0)
        return;
    len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (len > 0 && len < NAME_MAX_OCTETS && memchr(utf8, '\0', (size_t)len) == NULL)
        memcpy(to, utf8, (size_t)len);
    OPENSSL_free(utf8);
}

/* Visible ASCII without the comma that separates them. */
static bool is_plain(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] <= ' ' || p[i] >= 0x7f || p[i] == ',')
            return false;
    return len > 0;
}

static void add_san(char to[SAN_MAX], const char *kind, const ASN1_STRING *s)
{
    size_t at = strlen(to), len = (size_t)ASN1_STRING_length(s);
    const uint8_t *p = ASN1_STRING_get0_data(s);

    if (is_plain(p, len) && len < SAN_MAX && at + 1 + strlen(kind) + len < SAN_MAX)
        snprintf(to + at, SAN_MAX - at, "%s%s%.*s", at > 0 ? "," : "", kind, (int)len,
                 (const char *)p);
}

static void read_san(X509 *x, char to[SAN_MAX])
{
    GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);

        if (g->type == GEN_DNS)
            add_san(to, "DNS:", g->d.dNSName);
        else if (g->type == GEN_URI)
            add_san(to, "URI:", g->d.uniformResourceIdentifier);
        else if (g->type == GEN_EMAIL)
            add_san(to, "email:", g->d.rfc822Name);
    }
    GENERAL_NAMES_free(all);
}

/* Control and non-ASCII characters come escaped. */
static void read_issuer(X509 *x, char to[ISSUER_MAX])
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio != NULL && X509_NAME_print_ex(bio, X509_get_issuer_name(x), 0, XN_FLAG_RFC2253) > 0)
        BIO_read(bio, to, ISSUER_MAX - 1);
    BIO_free(bio);
}

static bool read_key(X509 *x, char to[KEY_DIGITS + 1])
{
    uint8_t *der = NULL, sum[KEY_DIGITS / 2];
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
    bool ok = len > 0 && EVP_Digest(der, (size_t)len, sum, NULL, EVP_sha256(), NULL) == 1;

    for (size_t i = 0; ok && i < sizeof(sum); i++)
        snprintf(to + 2 * i, 3, "%02x", sum[i]);
    OPENSSL_free(der);
    return ok;
}

static char *put(char **at, const char *text)
{
    char *to = *at;
    size_t len = strlen(text) + 1;

    memcpy(to, text, len);
    *at += len;
    return to;
}

struct wp_peer *wp_x509_peer(X509 *x, bool verified)
{
    struct texts t = {0};
    struct wp_peer *peer;
    char *at;

    if (!read_key(x, t.key))
        return NULL;
    read_name(x, t.name);
    read_san(x, t.san);
    read_issuer(x, t.issuer);
    ERR_clear_error();
    peer = malloc(sizeof(*peer) + strlen(t.name) + strlen(t.san) + strlen(t.issuer) +
                  strlen(t.key) + 4);
    if (peer == NULL)
        return NULL;
    at = (char *)(peer + 1);
    *peer = (struct wp_peer){.verified = verified};
    peer->key = put(&at, t.key);
    peer->issuer = put(&at, t.issuer);
    if (t.name[0] != '\0')
        peer->name = put(&at, t.name);
    if (t.san[0] != '\0')
        peer->san = put(&at, t.san);
    return peer;
}

struct wp_peer *wp_tls_peer_of(const uint8_t *der, size_t len, bool verified)
{
    X509 *x = d2i_X509(NULL, &der, (long)len);
    struct wp_peer *peer = x != NULL ? wp_x509_peer(x, verified) : NULL;

    X509_free(x);
    ERR_clear_error();
    return peer;
}
