/* Stapling an OCSP response from a file (RFC 6066 s8) while it is fresh. */
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls/openssl_priv.h"

/* End of validity of the first answer in it; 0: not usable. */
static int64_t valid_until(const struct wp_tls_file *f)
{
    const uint8_t *p = f->data;
    OCSP_RESPONSE *resp = d2i_OCSP_RESPONSE(NULL, &p, (long)f->len);
    OCSP_BASICRESP *basic = resp != NULL ? OCSP_response_get1_basic(resp) : NULL;
    OCSP_SINGLERESP *single = basic != NULL ? OCSP_resp_get0(basic, 0) : NULL;
    ASN1_GENERALIZEDTIME *this_update, *next = NULL;
    struct tm tm;
    int64_t until = 0;

    if (single != NULL && OCSP_response_status(resp) == OCSP_RESPONSE_STATUS_SUCCESSFUL &&
        OCSP_single_get0_status(single, NULL, NULL, &this_update, &next) >= 0 && next != NULL &&
        ASN1_TIME_to_tm(next, &tm) == 1)
        until = (int64_t)timegm(&tm);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(resp);
    ERR_clear_error();
    return until;
}

static int staple(SSL *ssl, void *arg)
{
    const struct wp_openssl_material *o = arg;
    uint8_t *copy;

    if (o->ocsp_until <= (int64_t)time(NULL))
        return SSL_TLSEXT_ERR_NOACK;
    copy = OPENSSL_memdup(o->ocsp, o->ocsp_len);
    if (copy == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)o->ocsp_len); /* takes it */
    return SSL_TLSEXT_ERR_OK;
}

void wp_openssl_ocsp(struct wp_openssl_material *o, const struct wp_tls_file *f)
{
    if (f->data == NULL)
        return;
    o->ocsp_until = valid_until(f);
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
