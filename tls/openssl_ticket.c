/* Session tickets by OpenSSL's callbacks; keys and policy are in ticket.c. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

#include "tls/openssl_priv.h"

static EVP_CIPHER *cipher; /* fetched once: the fetch costs more than the encryption */
static pthread_once_t cipher_once = PTHREAD_ONCE_INIT;

static void fetch_cipher(void)
{
    cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
}

static int set_keys(const struct wp_tls_ticket_key *k, EVP_CIPHER_CTX *enc, EVP_MAC_CTX *mac,
                    const uint8_t *iv, int encrypt)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)k->mac, sizeof(k->mac)),
        OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 6),
        OSSL_PARAM_END,
    };

    return EVP_CipherInit_ex(enc, cipher, NULL, k->aes, iv, encrypt) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* 1 use it, 2 use it and give a new ticket, 0 unknown key (full handshake), -1 error. Clients of
 * TLS 1.3 use a ticket once (RFC 8446 appendix C.4): each time they get the next one. */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *enc,
                      EVP_MAC_CTX *mac, int encrypt)
{
    const struct wp_tls_material *m = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct wp_tls_ticket_key key;
    int r = 1;

    if (encrypt) {
        wp_tls_ticket_newest(m, &key);
        memcpy(name, key.name, sizeof(key.name));
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(cipher)) != 1)
            r = -1;
    } else {
        r = wp_tls_ticket_find(m, name, &key);
        if (r == 1 && SSL_version(ssl) == TLS1_3_VERSION)
            r = 2;
    }
    if (r > 0 && !set_keys(&key, enc, mac, iv, encrypt))
        r = -1;
    OPENSSL_cleanse(&key, sizeof(key));
    return r;
}

/* A session that was made with a client certificate ends with that certificate: the resumed
 * handshake would not look at it again. */
static SSL_TICKET_RETURN opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                size_t name_len, SSL_TICKET_STATUS status, void *arg)
{
    X509 *peer = session != NULL ? SSL_SESSION_get0_peer(session) : NULL;

    (void)ssl;
    (void)name;
    (void)name_len;
    (void)arg;
    switch (status) {
    case SSL_TICKET_SUCCESS:
    case SSL_TICKET_SUCCESS_RENEW:
        if (peer != NULL && X509_cmp_current_time(X509_get0_notAfter(peer)) <= 0)
            return SSL_TICKET_RETURN_IGNORE_RENEW;
        return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
    case SSL_TICKET_EMPTY:
    case SSL_TICKET_NO_DECRYPT:
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    default:
        return SSL_TICKET_RETURN_ABORT;
    }
}

int wp_openssl_tickets(SSL_CTX *ctx, const struct wp_tls_material *m)
{
    pthread_once(&cipher_once, fetch_cipher);
    if (cipher == NULL ||
        SSL_CTX_set_session_id_context(ctx, m->policy_id, sizeof(m->policy_id)) != 1 ||
        SSL_CTX_set_num_tickets(ctx, 1) != 1 ||
        SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key) != 1 ||
        SSL_CTX_set_session_ticket_cb(ctx, NULL, opened, NULL) != 1)
        return WP_ETLS;
    SSL_CTX_set_timeout(ctx, WP_TLS_TICKET_LIFE_S);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets only: no shared state */
    return 0;
}
