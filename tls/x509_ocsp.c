/* An OCSP response from a file (RFC 6066 s8): whose it is, and until when. */
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdlib.h>
#include <string.h>

#include "tls/x509_priv.h"
#include "waypost/base/hash.h"

static const char unreadable[] = "the OCSP response cannot be read";
static const char foreign[] = "the OCSP response is for another certificate";

/* Is it about this certificate? Without its issuer in the chain the serial number must do. */
static bool is_for(const struct wp_x509_pair *p, OCSP_SINGLERESP *single)
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
static OCSP_SINGLERESP *find(const struct wp_x509_pair *p, OCSP_BASICRESP *basic,
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
static int64_t valid_until(const struct wp_x509_pair *pair, const struct wp_tls_file *f,
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

void wp_x509_ocsp(const struct wp_x509_pair *first, struct wp_tls_material *m,
                  const struct wp_tls_file *f)
{
    if (f->data == NULL)
        return;
    m->chain_id = wp_hash_mix(m->chain_id, wp_hash_bytes(f->data, f->len));
    m->ocsp_until = valid_until(first, f, &m->ocsp_lacks);
    if (m->ocsp_until == 0)
        return;
    m->ocsp = malloc(f->len);
    if (m->ocsp == NULL)
        return;
    memcpy(m->ocsp, f->data, f->len);
    m->ocsp_len = f->len;
}
