/* One connection: a WOLFSSL between the two byte queues. */
#include "tls/wolfssl/wolfssl_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

enum { RECORD_MAX = 16384 };

static struct wp_wolfssl_conn *conn_of(const struct wp_tls_conn *c)
{
    return c->impl;
}

/* --- octets for wolfSSL -------------------------------------------------------------------- */

int wp_wolfssl_recv(WOLFSSL *ssl, char *buf, int len, void *arg)
{
    struct wp_tls_conn *c = arg;
    size_t n = c->in.len < (size_t)len ? c->in.len : (size_t)len;

    (void)ssl;
    if (n == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    memcpy(buf, wp_octets_view(&c->in), n);
    wp_octets_drop(&c->in, n);
    return (int)n;
}

int wp_wolfssl_send(WOLFSSL *ssl, char *buf, int len, void *arg)
{
    struct wp_tls_conn *c = arg;

    (void)ssl;
    if (wp_octets_append(&c->out, buf, (size_t)len) < 0) {
        c->short_of_memory = true;
        return WOLFSSL_CBIO_ERR_GENERAL;
    }
    return len;
}

/* For each certificate of the peer's chain, and once when there is none. `request` and `require`
 * look at nothing in it. */
int wp_wolfssl_verified(int ok, WOLFSSL_X509_STORE_CTX *store)
{
    const struct wp_tls_conn *c = store->userCtx;
    const struct wp_wolfssl_material *w = c->material->impl;
    struct wp_wolfssl_conn *wc = conn_of(c);

    if (store->totalCerts == 0)
        return ok;
    if (!wc->showed)
        wolfSSL_no_ticket_TLSv13(wc->ssl); /* wolfssl.c: set_client_auth */
    wc->showed = true;
    return w->any ? 1 : ok;
}

/* --- life ---------------------------------------------------------------------------------- */

static int begin(struct wp_tls_conn *c, WOLFSSL_CTX *ctx)
{
    WOLFSSL *ssl = wolfSSL_new(ctx);

    if (ssl == NULL)
        return -ENOMEM;
    wolfSSL_SetIOReadCtx(ssl, c);
    wolfSSL_SetIOWriteCtx(ssl, c);
    wolfSSL_SetCertCbCtx(ssl, c);
    wolfSSL_set_app_data(ssl, c);
    conn_of(c)->ssl = ssl;
    return 0;
}

/* --- threads ------------------------------------------------------------------------------- */

/* wolfSSL keeps multiples of the points that a thread often meets, some 800 kB, and lets go of them only
 * when the thread says so. */
static pthread_key_t thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool has_key;

static void forget_points(void *arg)
{
    (void)arg;
    wc_ecc_fp_free();
}

static void make_key(void)
{
    has_key = pthread_key_create(&thread_end, forget_points) == 0;
}

static void tidy_at_thread_end(void)
{
    pthread_once(&once, make_key);
    if (has_key && pthread_getspecific(thread_end) == NULL)
        (void)pthread_setspecific(thread_end, &thread_end);
}

int wp_wolfssl_conn_new(struct wp_tls_conn *c, const struct wp_tls_policy *p,
                        const char *server_name)
{
    const struct wp_wolfssl_material *w = c->material->impl;
    int r = 0;

    tidy_at_thread_end();
    c->impl = calloc(1, sizeof(struct wp_wolfssl_conn));
    if (c->impl == NULL)
        return -ENOMEM;
    if (!p->server)
        r = begin(c, w->ctx[0]);
    if (r == 0 && !p->server && wp_wolfssl_client_conn(c, p, server_name) < 0)
        r = -ENOMEM;
    if (r < 0)
        wp_wolfssl_conn_free(c);
    return r;
}

void wp_wolfssl_conn_free(struct wp_tls_conn *c)
{
    wolfSSL_free(conn_of(c)->ssl);
    free(c->impl);
}

/* --- octets for us ------------------------------------------------------------------------- */

static const char other_name[] = "certificate is for another name";

/* Where OpenSSL's words are clearer, those. */
static const char *reason(const struct wp_tls_conn *c, int error)
{
    if (c->short_of_memory)
        return "out of memory";
    switch (error) {
    case ASN_NO_SIGNER_E:
        return "certificate is signed by an unknown authority";
    case ASN_SELF_SIGNED_E:
        return "certificate is self-signed";
    case DOMAIN_NAME_MISMATCH:
    case IPADDR_MISMATCH:
        return other_name;
    case ASN_AFTER_DATE_E:
        return "certificate has expired";
    case ASN_BEFORE_DATE_E:
        return "certificate is not yet valid";
    default:
        return wp_wolfssl_reason(error);
    }
}

/* In TLS 1.2 a client that shows no certificate where it must is left without a word, before
 * anything is encrypted towards it: handshake_failure (RFC 5246 s7.4.6). */
static void tell_no_certificate(struct wp_tls_conn *c)
{
    static const uint8_t alert[] = {21, 3, 3, 0, 2, 2, 40};

    if (wolfSSL_version(conn_of(c)->ssl) == TLS1_2_VERSION)
        (void)!wp_octets_append(&c->out, alert, sizeof(alert));
}

/* What a failed call means. */
static int meaning(struct wp_tls_conn *c, int ret)
{
    struct wp_wolfssl_conn *wc = conn_of(c);
    int error = wolfSSL_get_error(wc->ssl, ret);

    wolfSSL_ERR_clear_error();
    switch (error) {
    case WOLFSSL_ERROR_WANT_READ:
        return 0;
    case WOLFSSL_ERROR_ZERO_RETURN:
        return WP_ECLOSED;
    default:
        c->error = wc->is_other ? other_name : reason(c, error);
        if (error == NO_PEER_CERT)
            tell_no_certificate(c);
        wc->failed = true;
        return WP_ETLS;
    }
}

int wp_wolfssl_handshake(struct wp_tls_conn *c)
{
    const struct wp_wolfssl_material *w = c->material->impl;
    struct wp_wolfssl_conn *wc = conn_of(c);
    WOLFSSL_CTX *ctx;
    int r;

    if (wc->failed)
        return WP_ETLS;
    if (wc->ssl == NULL) {
        ctx = wp_wolfssl_select(c);
        if (ctx == NULL)
            return 0;
        r = begin(c, ctx);
        if (r < 0) {
            c->error = "out of memory";
            wc->failed = true;
            return WP_ETLS;
        }
    }
    r = w->server ? wolfSSL_accept(wc->ssl) : wolfSSL_connect(wc->ssl);
    if (r != WOLFSSL_SUCCESS)
        return meaning(c, r);
    if (wc->wants_ip && !wc->is_for_ip && !wp_wolfssl_is_resumed(c)) {
        c->error = other_name; /* nobody has looked */
        wc->failed = true;
        return WP_ETLS;
    }
    c->peer_verified = w->verifies && wc->showed;
    return 1;
}

int wp_wolfssl_read(struct wp_tls_conn *c, void *buf, size_t len)
{
    struct wp_wolfssl_conn *wc = conn_of(c);
    int r;

    if (wc->failed || wc->ssl == NULL)
        return wc->failed ? WP_ETLS : 0;
    r = wolfSSL_read(wc->ssl, buf, (int)(len < INT32_MAX ? len : INT32_MAX));
    return r > 0 ? r : meaning(c, r);
}

int wp_wolfssl_write(struct wp_tls_conn *c, const void *buf, size_t len)
{
    struct wp_wolfssl_conn *wc = conn_of(c);
    const uint8_t *p = buf;
    size_t left = len;

    if (wc->failed || wc->ssl == NULL)
        return wc->failed ? WP_ETLS : WP_ESTATE;
    while (left > 0) {
        int r = wolfSSL_write(wc->ssl, p, (int)(left < RECORD_MAX ? left : RECORD_MAX));

        if (r <= 0) {
            r = meaning(c, r);
            return r == 0 ? WP_ESTATE : r; /* the queue takes all: only a handshake waits */
        }
        p += r;
        left -= (size_t)r;
    }
    return (int)len;
}

void wp_wolfssl_close(struct wp_tls_conn *c)
{
    if (!c->ready || conn_of(c)->failed)
        return;
    wolfSSL_shutdown(conn_of(c)->ssl);
    wolfSSL_ERR_clear_error();
}

/* --- what was agreed ----------------------------------------------------------------------- */

bool wp_wolfssl_is_resumed(const struct wp_tls_conn *c)
{
    return conn_of(c)->ssl != NULL && wolfSSL_session_reused(conn_of(c)->ssl) == 1;
}

const char *wp_wolfssl_alpn(struct wp_tls_conn *c)
{
    char *name = NULL;
    unsigned short len = 0;

    if (conn_of(c)->ssl == NULL ||
        wolfSSL_ALPN_GetProtocol(conn_of(c)->ssl, &name, &len) != WOLFSSL_SUCCESS)
        return "";
    return wp_tls_alpn_text(c->material, (const uint8_t *)name, len);
}

const char *wp_wolfssl_server_name(const struct wp_tls_conn *c)
{
    void *name = NULL;

    return conn_of(c)->ssl != NULL &&
                   wolfSSL_SNI_GetRequest(conn_of(c)->ssl, WOLFSSL_SNI_HOST_NAME, &name) > 0
               ? name
               : NULL;
}

struct wp_peer *wp_wolfssl_peer(const struct wp_tls_conn *c)
{
    WOLFSSL_X509 *x;
    struct wp_peer *peer;
    const uint8_t *der;
    int len = 0;

    if (conn_of(c)->ssl == NULL)
        return NULL;
    x = wolfSSL_get_peer_certificate(conn_of(c)->ssl);
    if (x == NULL)
        return NULL;
    der = wolfSSL_X509_get_der(x, &len);
    peer = der != NULL ? c->material->host->peer_of(der, (size_t)len, c->peer_verified) : NULL;
    wolfSSL_X509_free(x);
    return peer;
}
