#include "waypost/base/digest.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>

struct wp_digest {
    EVP_MD_CTX *ctx;
    bool bad;
};

struct wp_digest *wp_digest_new(void)
{
    struct wp_digest *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return NULL;
    d->ctx = EVP_MD_CTX_new();
    d->bad = d->ctx == NULL || EVP_DigestInit_ex(d->ctx, EVP_sha512(), NULL) != 1;
    return d;
}

void wp_digest_add(struct wp_digest *d, const void *octets, size_t len)
{
    d->bad = d->bad || EVP_DigestUpdate(d->ctx, octets, len) != 1;
}

int wp_digest_end(struct wp_digest *d, uint8_t ret[WP_DIGEST_LEN])
{
    bool good = d != NULL && !d->bad && EVP_DigestFinal_ex(d->ctx, ret, NULL) == 1;

    if (d != NULL)
        EVP_MD_CTX_free(d->ctx);
    free(d);
    return good ? 0 : -ENOMEM;
}
