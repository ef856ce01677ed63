/* Session tickets (RFC 5077, RFC 8446 s4.6.1). The keys are one ring for the process, so that
 * every worker and every generation opens the others' tickets, or those of a file, which other
 * processes may have as well; what a ticket may be used for is decided by the session id context,
 * which is a hash of the listener's policy. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tls/openssl_priv.h"
#include "waypost/base/hash.h"

enum {
    KEYS = 3,                  /* one that encrypts, two that still decrypt */
    TICKET_LIFE_S = 24 * 3600, /* no longer than a key that is kept can open it */
};

static struct wp_openssl_ticket_key ring[KEYS]; /* newest first */
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
    struct wp_openssl_ticket_key k;

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

static int set_keys(const struct wp_openssl_ticket_key *k, EVP_CIPHER_CTX *enc, EVP_MAC_CTX *mac,
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

/* As ticket_key returns it. keys: the newest first. */
static int encrypt_with(const struct wp_openssl_ticket_key *key, unsigned char *name,
                        unsigned char *iv, EVP_CIPHER_CTX *enc, EVP_MAC_CTX *mac)
{
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(cipher)) != 1 || !set_keys(key, enc, mac, iv, 1))
        return -1;
    memcpy(name, key->name, sizeof(key->name));
    return 1;
}

static int decrypt_with(const struct wp_openssl_ticket_key *keys, unsigned n, bool single_use,
                        const unsigned char *name, const unsigned char *iv, EVP_CIPHER_CTX *enc,
                        EVP_MAC_CTX *mac)
{
    for (unsigned i = 0; i < n; i++)
        if (memcmp(name, keys[i].name, sizeof(keys[i].name)) == 0)
            return set_keys(&keys[i], enc, mac, iv, 0) ? (i > 0 || single_use ? 2 : 1) : -1;
    return 0;
}

/* 1 use it, 2 use it and give a new ticket, 0 unknown key (full handshake), -1 error. Clients of
 * TLS 1.3 use a ticket once (RFC 8446 appendix C.4): each time they get the next one. */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *enc,
                      EVP_MAC_CTX *mac, int encrypt)
{
    const struct wp_openssl_material *o = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    bool single_use = SSL_version(ssl) == TLS1_3_VERSION;
    int r;

    if (o->n_tickets > 0)
        return encrypt ? encrypt_with(&o->tickets[0], name, iv, enc, mac)
                       : decrypt_with(o->tickets, o->n_tickets, single_use, name, iv, enc, mac);
    pthread_rwlock_rdlock(&ring_lock);
    r = encrypt ? encrypt_with(&ring[0], name, iv, enc, mac)
                : decrypt_with(ring, n_keys, single_use, name, iv, enc, mac);
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

/* Another certificate, client policy, CA or protocol is another context: no ticket crosses. It is
 * the same in every process that is configured so. */
static bool policy_id(const struct wp_tls_policy *p, const struct wp_tls_files *f,
                      const struct wp_tls_material *m, uint8_t ret[EVP_MAX_MD_SIZE])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    const uint8_t mode = (uint8_t)p->client_auth;
    bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(md, p->cert_file, strlen(p->cert_file) + 1) == 1 &&
              EVP_DigestUpdate(md, m->alpn, sizeof(m->alpn)) == 1 &&
              EVP_DigestUpdate(md, &mode, sizeof(mode)) == 1 &&
              (f->ca.data == NULL || EVP_DigestUpdate(md, f->ca.data, f->ca.len) == 1) &&
              EVP_DigestFinal_ex(md, ret, NULL) == 1;

    EVP_MD_CTX_free(md);
    return ok;
}

static int take_file(const struct wp_tls_file *f, struct wp_tls_material *m,
                     char errbuf[WP_TLS_ERR_MAX])
{
    struct wp_openssl_material *o = m->impl;

    if (f->data == NULL)
        return 0;
    if (f->len == 0 || f->len % sizeof(o->tickets[0]) != 0 || f->len > sizeof(o->tickets)) {
        snprintf(errbuf, WP_TLS_ERR_MAX,
                 "could not load ticket keys: %s: not one to %d keys of %zu octets", f->path,
                 WP_OPENSSL_TICKET_KEYS, sizeof(o->tickets[0]));
        return WP_ETLS;
    }
    memcpy(o->tickets, f->data, f->len);
    o->n_tickets = (unsigned)(f->len / sizeof(o->tickets[0]));
    m->tickets_id = wp_hash_bytes(f->data, f->len) | 1;
    return 0;
}

int wp_openssl_tickets(const struct wp_tls_policy *p, const struct wp_tls_files *f,
                       struct wp_tls_material *m, char errbuf[WP_TLS_ERR_MAX])
{
    SSL_CTX *ctx = ((struct wp_openssl_material *)m->impl)->ctx;
    uint8_t id[EVP_MAX_MD_SIZE];
    int r = take_file(&f->tickets, m, errbuf);

    if (r < 0)
        return r;
    pthread_once(&cipher_once, fetch_cipher);
    pthread_rwlock_wrlock(&ring_lock);
    if (n_keys == 0)
        r = new_key();
    pthread_rwlock_unlock(&ring_lock);
    if (r < 0 || cipher == NULL || !policy_id(p, f, m, id) ||
        SSL_CTX_set_session_id_context(ctx, id, SSL_MAX_SID_CTX_LENGTH) != 1 ||
        SSL_CTX_set_num_tickets(ctx, 1) != 1 ||
        SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key) != 1 ||
        SSL_CTX_set_session_ticket_cb(ctx, NULL, opened, NULL) != 1) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "session tickets: %s", wp_openssl_reason());
        return WP_ETLS;
    }
    SSL_CTX_set_timeout(ctx, TICKET_LIFE_S);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets only: no shared state */
    return 0;
}
