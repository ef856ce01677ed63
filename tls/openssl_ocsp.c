/* Stapling an OCSP response from a file (RFC 6066 s8) while it is fresh. */
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls/openssl_priv.h"
#include "waypost/base/hash.h"

static const char unreadable[] = "the OCSP response cannot be read";
static const char foreign[] = "the OCSP response is for another certificate";
static const char old[] = "the OCSP response is out of date";

/* Is it about this certificate? Without its issuer in the chain the serial number must do. */
static bool is_for(const struct wp_openssl_pair *p, OCSP_SINGLERESP *single)
{
    OCSP_CERTID *id = (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(single), *ours;
    ASN1_OBJECT *algorithm;
    ASN1_INTEGER *serial;
    bool same;

    if (OCSP_id_get0_info(NULL, &algorithm, NULL, &serial, id) != 1 ||
        ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(p->leaf)) != 0)
        return false;
    if (p->chain == NULL)
        return true;
    ours = OCSP_cert_to_id(EVP_get_digestbyobj(algorithm), p->leaf, sk_X509_value(p->chain, 0));
    same = ours != NULL && OCSP_id_cmp(ours, id) == 0;
    OCSP_CERTID_free(ours);
    return same;
}

/* What it says of the certificate, or NULL and why. */
static OCSP_SINGLERESP *find(const struct wp_openssl_pair *p, OCSP_BASICRESP *basic,
                             const char **ret_lacks)
{
    *ret_lacks = unreadable;
    for (int i = 0; basic != NULL && i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);

        if (is_for(p, single)) {
            *ret_lacks = NULL;
            return single;
        }
        *ret_lacks = foreign;
    }
    return NULL;
}

/* End of validity; 0: not usable, *ret_lacks says why. */
static int64_t valid_until(const struct wp_openssl_pair *pair, const struct wp_tls_file *f,
                           const char **ret_lacks)
{
    const uint8_t *p = f->data;
    OCSP_RESPONSE *resp = d2i_OCSP_RESPONSE(NULL, &p, (long)f->len);
    bool good = resp != NULL && OCSP_response_status(resp) == OCSP_RESPONSE_STATUS_SUCCESSFUL;
    OCSP_BASICRESP *basic = good ? OCSP_response_get1_basic(resp) : NULL;
    OCSP_SINGLERESP *single = find(pair, basic, ret_lacks);
    ASN1_GENERALIZEDTIME *this_update, *next = NULL;
    struct tm tm;
    int64_t until = 0;

    if (single != NULL && OCSP_single_get0_status(single, NULL, NULL, &this_update, &next) >= 0 &&
        next != NULL && ASN1_TIME_to_tm(next, &tm) == 1)
        until = (int64_t)timegm(&tm);
    else if (single != NULL)
        *ret_lacks = unreadable;
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(resp);
    ERR_clear_error();
    return until;
}

static bool is_fresh(const struct wp_openssl_material *o)
{
    return o->ocsp_until > (int64_t)time(NULL);
}

static int staple(SSL *ssl, void *arg)
{
    const struct wp_openssl_material *o = arg;
    uint8_t *copy;

    if (!is_fresh(o) || SSL_get_certificate(ssl) != o->pairs[0].leaf)
        return SSL_TLSEXT_ERR_NOACK;
    copy = OPENSSL_memdup(o->ocsp, o->ocsp_len);
    if (copy == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)o->ocsp_len); /* takes it */
    return SSL_TLSEXT_ERR_OK;
}

void wp_openssl_ocsp(struct wp_tls_material *m, const struct wp_tls_file *f)
{
    struct wp_openssl_material *o = m->impl;

    if (f->data == NULL)
        return;
    m->chain_id = wp_hash_mix(m->chain_id, wp_hash_bytes(f->data, f->len));
    o->ocsp_until = valid_until(&o->pairs[0], f, &o->ocsp_lacks);
    if (o->ocsp_until == 0)
        return;
    o->ocsp = malloc(f->len);
    if (o->ocsp == NULL)
        return;
    memcpy(o->ocsp, f->data, f->len);
    o->ocsp_len = f->len;
    SSL_CTX_set_tlsext_status_cb(o->ctx, staple);
    SSL_CTX_set_tlsext_status_arg(o->ctx, o);
}

const char *wp_openssl_warning(const struct wp_tls_material *m)
{
    const struct wp_openssl_material *o = m->impl;

    if (o->ocsp_lacks != NULL || o->ocsp == NULL)
        return o->ocsp_lacks;
    return is_fresh(o) ? NULL : old;
}
