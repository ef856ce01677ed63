/* Session tickets as RFC 5077 s4 recommends them: AES-256-CBC, then HMAC-SHA-256 over name, IV, the
 * id of the policy they are good under, and the ciphertext. */
#include "tls/wolfssl/wolfssl_priv.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/hmac.h>
#include "waypost/base/rd.h"

enum { BLOCK = 16, STAMP_LEN = 8 };

static bool sign(const struct wp_tls_ticket_key *key, const struct wp_tls_material *m,
                 const uint8_t *iv, const uint8_t *text, size_t len,
                 uint8_t mac[WC_SHA256_DIGEST_SIZE])
{
    Hmac h;
    bool ok;

    if (wc_HmacInit(&h, NULL, INVALID_DEVID) != 0)
        return false;
    ok = wc_HmacSetKey(&h, WC_SHA256, key->mac, sizeof(key->mac)) == 0 &&
         wc_HmacUpdate(&h, key->name, sizeof(key->name)) == 0 &&
         wc_HmacUpdate(&h, iv, BLOCK) == 0 &&
         wc_HmacUpdate(&h, m->policy_id, sizeof(m->policy_id)) == 0 &&
         wc_HmacUpdate(&h, text, (word32)len) == 0 && wc_HmacFinal(&h, mac) == 0;
    wc_HmacFree(&h);
    return ok;
}

static bool crypt_text(const struct wp_tls_ticket_key *key, const uint8_t *iv, uint8_t *text,
                       size_t len, bool encrypt)
{
    Aes aes;
    bool ok;

    if (wc_AesInit(&aes, NULL, INVALID_DEVID) != 0)
        return false;
    ok = wc_AesSetKey(&aes, key->aes, sizeof(key->aes), iv,
                      encrypt ? AES_ENCRYPTION : AES_DECRYPTION) == 0 &&
         (encrypt ? wc_AesCbcEncrypt(&aes, text, text, (word32)len)
                  : wc_AesCbcDecrypt(&aes, text, text, (word32)len)) == 0;
    wc_AesFree(&aes);
    return ok;
}

static bool is_same(const uint8_t *a, const uint8_t *b, size_t len)
{
    uint8_t differ = 0;

    for (size_t i = 0; i < len; i++)
        differ |= a[i] ^ b[i];
    return differ == 0;
}

/* wolfSSL takes a name of zeros for a forgotten one, and ends the handshake; a file may have one.
 */
static void mask_name(const uint8_t from[16], uint8_t to[16])
{
    static const char mask[16] = "waypost, wolfSSL";

    for (unsigned i = 0; i < sizeof(mask); i++)
        to[i] = from[i] ^ (uint8_t)mask[i];
}

/* The session's octets are followed by the time and, as in CMS, by as many octets as their value
 * says. */
static int seal(const struct wp_tls_material *m, uint8_t *name, uint8_t *iv, uint8_t *mac,
                uint8_t *text, int len, int *ret_len)
{
    uint64_t now = (uint64_t)time(NULL);
    int pad = BLOCK - (len + STAMP_LEN) % BLOCK, total = len + STAMP_LEN + pad;
    struct wp_tls_ticket_key key;
    bool ok;

    if (total > *ret_len || getrandom(iv, BLOCK, 0) != BLOCK)
        return WOLFSSL_TICKET_RET_FATAL;
    for (int i = 0; i < STAMP_LEN; i++)
        text[len + i] = (uint8_t)(now >> (8 * (STAMP_LEN - 1 - i)));
    memset(text + len + STAMP_LEN, pad, (size_t)pad);
    m->host->ticket_newest(m, &key);
    mask_name(key.name, name);
    ok = crypt_text(&key, iv, text, (size_t)total, true) &&
         sign(&key, m, iv, text, (size_t)total, mac);
    explicit_bzero(&key, sizeof(key));
    *ret_len = total;
    return ok ? WOLFSSL_TICKET_RET_OK : WOLFSSL_TICKET_RET_FATAL;
}

static bool is_young(const uint8_t stamp[STAMP_LEN])
{
    int64_t made = (int64_t)((uint64_t)wp_be32(stamp) << 32 | wp_be32(stamp + 4));
    int64_t now = (int64_t)time(NULL);

    return made <= now && now - made < WP_TLS_TICKET_LIFE_S;
}

static int unseal(const struct wp_tls_material *m, const uint8_t *name, const uint8_t *iv,
                  const uint8_t *mac, uint8_t *text, int len, int *ret_len)
{
    uint8_t sum[WC_SHA256_DIGEST_SIZE], plain[16];
    struct wp_tls_ticket_key key;
    int which, pad;
    bool ok;

    if (len < 2 * BLOCK || len % BLOCK != 0)
        return WOLFSSL_TICKET_RET_REJECT;
    mask_name(name, plain);
    which = m->host->ticket_find(m, plain, &key);
    if (which == 0)
        return WOLFSSL_TICKET_RET_REJECT;
    ok = sign(&key, m, iv, text, (size_t)len, sum) && is_same(sum, mac, sizeof(sum)) &&
         crypt_text(&key, iv, text, (size_t)len, false);
    explicit_bzero(&key, sizeof(key));
    if (!ok)
        return WOLFSSL_TICKET_RET_REJECT;
    pad = text[len - 1];
    if (pad < 1 || pad > BLOCK || !is_young(text + len - pad - STAMP_LEN))
        return WOLFSSL_TICKET_RET_REJECT;
    *ret_len = len - pad - STAMP_LEN;
    return which == 1 ? WOLFSSL_TICKET_RET_OK : WOLFSSL_TICKET_RET_CREATE;
}

/* How wolfSSL packs a ticket: name, IV, length of the ciphertext, that, MAC. One of another shape
 * ends a handshake of TLS 1.2 when it is long, and in TLS 1.3 is read past its end: it must not see
 * it. */
bool wp_wolfssl_ticket_known(const void *arg, const uint8_t *octets, size_t len)
{
    enum { HEAD = 16 + BLOCK + 2 };
    const struct wp_tls_material *m = arg;
    struct wp_tls_ticket_key key;
    uint8_t name[16];
    bool known;

    if (len < HEAD + 2 * BLOCK + WC_SHA256_DIGEST_SIZE ||
        wp_be16(octets + HEAD - 2) != len - HEAD - WC_SHA256_DIGEST_SIZE)
        return false;
    mask_name(octets, name);
    known = m->host->ticket_find(m, name, &key) != 0;
    explicit_bzero(&key, sizeof(key));
    return known;
}

static int ticket(WOLFSSL *ssl, unsigned char name[WOLFSSL_TICKET_NAME_SZ],
                  unsigned char iv[WOLFSSL_TICKET_IV_SZ], unsigned char mac[WOLFSSL_TICKET_MAC_SZ],
                  int encrypt, unsigned char *text, int len, int *ret_len, void *arg)
{
    const struct wp_tls_conn *c = wolfSSL_get_app_data(ssl);

    if (encrypt)
        return seal(arg, name, iv, mac, text, len, ret_len);
    if (((const struct wp_wolfssl_conn *)c->impl)->strange)
        return WOLFSSL_TICKET_RET_REJECT;
    return unseal(arg, name, iv, mac, text, len, ret_len);
}

int wp_wolfssl_tickets(WOLFSSL_CTX *ctx, struct wp_tls_material *m)
{
    _Static_assert(WOLFSSL_TICKET_NAME_SZ == 16 && WOLFSSL_TICKET_IV_SZ == BLOCK &&
                       WOLFSSL_TICKET_MAC_SZ == WC_SHA256_DIGEST_SIZE,
                   "its tickets have room for ours");
    if (wolfSSL_CTX_set_TicketEncCb(ctx, ticket) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_TicketEncCtx(ctx, m) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_TicketHint(ctx, WP_TLS_TICKET_LIFE_S) != WOLFSSL_SUCCESS)
        return WP_ETLS;
    wolfSSL_CTX_set_timeout(ctx, WP_TLS_TICKET_LIFE_S);
    return 0;
}

/* For who brings a ticket that wolfSSL must not see. */
int wp_wolfssl_no_tickets(WOLFSSL_CTX *ctx)
{
    return wolfSSL_CTX_set_TicketEncCb(ctx, NULL) == WOLFSSL_SUCCESS &&
                   wolfSSL_CTX_no_ticket_TLSv13(ctx) == 0
               ? 0
               : WP_ETLS;
}
