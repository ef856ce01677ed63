/* Session tickets (RFC 5077, RFC 8446 s4.6.1). The keys are one ring for the process, so that
 * every worker and every generation opens the others' tickets; what a ticket may be used for is
 * decided by the session id context, which is a hash of the listener's policy. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

#include "tls/openssl_priv.h"
#include "waypost/base/hash.h"

enum {
    KEYS = 3,                  /* one that encrypts, two that still decrypt */
    TICKET_LIFE_S = 24 * 3600, /* no longer than a key that is kept can open it */
};

struct ticket_key {
    uint8_t name[16], aes[32], mac[32];
};

static struct ticket_key ring[KEYS]; /* newest first */
static unsigned n_keys;
static pthread_rwlock_t ring_lock = PTHREAD_RWLOCK_INITIALIZER;
static EVP_CIPHER *cipher; /* fetched once: the fetch costs more than the encryption */
static pthread_once_t cipher_once = PTHREAD_ONCE_INIT;

static void fetch_cipher(void)
{
    cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
}

/* The lock is held for writing. */
static int new_key(void)
{
    struct ticket_key k;

    if (RAND_bytes(k.name, sizeof(k.name)) != 1 || RAND_bytes(k.aes, sizeof(k.aes)) != 1 ||
        RAND_bytes(k.mac, sizeof(k.mac)) != 1)
        return WP_ETLS;
    memmove(ring + 1, ring, sizeof(ring) - sizeof(ring[0]));
    ring[0] = k;
    OPENSSL_cleanse(&k, sizeof(k));
    if (n_keys < KEYS)
        n_keys++;
    return 0;
}

void wp_openssl_rotate(void)
{
    pthread_rwlock_wrlock(&ring_lock);
    if (n_keys > 0)
        (void)new_key(); /* without randomness the old key goes on */
    pthread_rwlock_unlock(&ring_lock);
}

static int set_keys(const struct ticket_key *k, EVP_CIPHER_CTX *enc, EVP_MAC_CTX *mac,
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
    bool single_use = SSL_version(ssl) == TLS1_3_VERSION;
    int r = 0;

    pthread_rwlock_rdlock(&ring_lock);
    if (encrypt) {
        r = -1;
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(cipher)) == 1 &&
            set_keys(&ring[0], enc, mac, iv, 1)) {
            memcpy(name, ring[0].name, sizeof(ring[0].name));
            r = 1;
        }
    } else {
        for (unsigned i = 0; i < n_keys; i++)
            if (memcmp(name, ring[i].name, sizeof(ring[i].name)) == 0)
                r = set_keys(&ring[i], enc, mac, iv, 0) ? (i > 0 || single_use ? 2 : 1) : -1;
    }
    pthread_rwlock_unlock(&ring_lock);
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

/* Another certificate, client policy, CA or protocol is another context: no ticket crosses. */
static void policy_id(const struct wp_tls_policy *p, const struct wp_tls_material *m,
                      uint64_t ret[2])
{
    ret[0] = wp_hash_mix(wp_hash_bytes(p->cert_file, strlen(p->cert_file)),
                         wp_hash_bytes(m->alpn, m->alpn_len));
    ret[1] = wp_hash_mix(m->ca_id, (uint64_t)p->client_auth + 1);
}

int wp_openssl_tickets(SSL_CTX *ctx, const struct wp_tls_policy *p, const struct wp_tls_material *m)
{
    uint64_t id[2];
    int r = 0;

    pthread_once(&cipher_once, fetch_cipher);
    pthread_rwlock_wrlock(&ring_lock);
    if (n_keys == 0)
        r = new_key();
    pthread_rwlock_unlock(&ring_lock);
    policy_id(p, m, id);
    if (r < 0 || cipher == NULL ||
        SSL_CTX_set_session_id_context(ctx, (const unsigned char *)id, sizeof(id)) != 1 ||
        SSL_CTX_set_num_tickets(ctx, 1) != 1 ||
        SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key) != 1 ||
        SSL_CTX_set_session_ticket_cb(ctx, NULL, opened, NULL) != 1)
        return WP_ETLS;
    SSL_CTX_set_timeout(ctx, TICKET_LIFE_S);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets only: no shared state */
    return 0;
}
