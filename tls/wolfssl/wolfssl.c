/* The wolfSSL provider: contexts with the policy of RFC 9325. */
#include "tls/wolfssl/wolfssl_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Forward secrecy and AEAD only (RFC 9325 s4.2). Debian builds without AES-NI: what is fastest
 * there comes first. */
static const char suites[] =
    "TLS13-CHACHA20-POLY1305-SHA256:TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
/* No SHA-1. */
static const char sigalgs[] =
    "ECDSA+SHA256:ED25519:RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA384:RSA+SHA384:"
    "ECDSA+SHA512:RSA-PSS+SHA512:RSA+SHA512";

const char *wp_wolfssl_reason(int error)
{
    const char *text = wolfSSL_ERR_reason_error_string((unsigned long)error);

    return text != NULL ? text : "unknown TLS error";
}

static int set_policy(WOLFSSL_CTX *ctx, bool server)
{
    int groups[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_SECP384R1};

    if (wolfSSL_CTX_SetMinVersion(ctx, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_cipher_list(ctx, suites) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set1_sigalgs_list(ctx, sigalgs) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetMinRsaKey_Sz(ctx, WP_WOLFSSL_RSA_BITS_MIN) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_groups(ctx, groups, WP_COUNT(groups)) != WOLFSSL_SUCCESS)
        return WP_ETLS;
    for (size_t i = 0; i < WP_COUNT(groups); i++)
        if (!server && wolfSSL_CTX_UseSupportedCurve(ctx, (word16)groups[i]) != WOLFSSL_SUCCESS)
            return WP_ETLS;
    wolfSSL_CTX_set_options(ctx, WOLFSSL_OP_CIPHER_SERVER_PREFERENCE | WOLFSSL_OP_NO_COMPRESSION);
    /* Its cache is one for the process, small, and behind a lock: tickets only. */
    wolfSSL_CTX_set_session_cache_mode(ctx,
                                       WOLFSSL_SESS_CACHE_OFF | WOLFSSL_SESS_CACHE_NO_INTERNAL);
    wolfSSL_CTX_SetIORecv(ctx, wp_wolfssl_recv);
    wolfSSL_CTX_SetIOSend(ctx, wp_wolfssl_send);
    return 0;
}

static void set_client_auth(WOLFSSL_CTX *ctx, enum wp_tls_auth mode)
{
    static const int verify[] = {
        [WP_TLS_AUTH_NONE] = WOLFSSL_VERIFY_NONE,
        [WP_TLS_AUTH_REQUEST] = WOLFSSL_VERIFY_PEER,
        [WP_TLS_AUTH_REQUIRE] = WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT,
        [WP_TLS_AUTH_VERIFY_IF_GIVEN] = WOLFSSL_VERIFY_PEER,
        [WP_TLS_AUTH_REQUIRE_AND_VERIFY] =
            WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };

    wolfSSL_CTX_set_verify(ctx, verify[mode],
                           mode != WP_TLS_AUTH_NONE ? wp_wolfssl_verified : NULL);
    /* A resumed session has lost the certificate it was made with: who shows one gets no ticket. In
     * TLS 1.2 that is promised before it is known whether one comes. */
    if (mode != WP_TLS_AUTH_NONE)
        wolfSSL_CTX_NoTicketTLSv12(ctx);
}

static int set_server(WOLFSSL_CTX *ctx, bool tickets, const struct wp_tls_policy *p,
                      struct wp_tls_material *m, char errbuf[WP_TLS_ERR_MAX])
{
    set_client_auth(ctx, p->client_auth);
    wp_wolfssl_alpn_policy(ctx, m);
    if (p->strict_sni)
        wp_wolfssl_strict_sni(ctx, m);
    if ((tickets ? wp_wolfssl_tickets(ctx, m) : wp_wolfssl_no_tickets(ctx)) < 0) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "session tickets: refused by wolfSSL");
        return WP_ETLS;
    }
    return 0;
}

/* One of ctx or bare. */
static int ctx_new(WOLFSSL_CTX **to, unsigned pair, const struct wp_tls_policy *p,
                   const struct wp_tls_files *f, struct wp_tls_material *m,
                   char errbuf[WP_TLS_ERR_MAX])
{
    const struct wp_wolfssl_material *w = m->impl;
    WOLFSSL_CTX *ctx =
        wolfSSL_CTX_new(p->server ? wolfTLS_server_method() : wolfTLS_client_method());
    int r;

    to[pair] = ctx;
    if (ctx == NULL || set_policy(ctx, p->server) < 0) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "this wolfSSL lacks what TLS 1.2 and 1.3 need here");
        return WP_ETLS;
    }
    r = wp_wolfssl_load(ctx, pair, p, f, m, errbuf);
    if (r == 0 && p->server)
        return set_server(ctx, to == w->ctx, p, m, errbuf);
    if (r == 0) {
        wolfSSL_CTX_set_verify(ctx, p->insecure ? WOLFSSL_VERIFY_NONE : WOLFSSL_VERIFY_PEER, NULL);
        wp_wolfssl_client_sessions(ctx);
    }
    return r;
}

/* --- material ------------------------------------------------------------------------------ */

static void material_free(struct wp_tls_material *m)
{
    struct wp_wolfssl_material *w = m->impl;

    for (size_t i = 0; i < WP_COUNT(w->ctx); i++) {
        wolfSSL_CTX_free(w->ctx[i]);
        wolfSSL_CTX_free(w->bare[i]);
    }
    wp_wolfssl_client_done(w);
    pthread_mutex_destroy(&w->session_lock);
    free(w->alpn);
    free(w);
}

/* What Debian's build cannot do, or not for long, is refused, never left out. */
static int refuse_missing(const struct wp_tls_policy *p, char errbuf[WP_TLS_ERR_MAX])
{
    if (p->keylog_file != NULL)
        snprintf(errbuf, WP_TLS_ERR_MAX,
                 "TLS key log: wolfSSL is built without it here (HAVE_SECRET_CALLBACK): use "
                 "provider openssl, or no keylog");
    /* Over TLS 1.3 the parsed certificate is not freed: some 5 kB for each client that asks. */
    else if (p->ocsp_file != NULL)
        snprintf(errbuf, WP_TLS_ERR_MAX,
                 "OCSP response: this wolfSSL loses memory with each one that it staples: use "
                 "provider openssl, or no ocsp");
    else
        return 0;
    return WP_ETLS;
}

static void start_library(void)
{
    wolfSSL_Init();
}

static int material_new(const struct wp_tls_policy *p, const struct wp_tls_files *f,
                        struct wp_tls_material *m, char errbuf[WP_TLS_ERR_MAX])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct wp_wolfssl_material *w;
    int r = refuse_missing(p, errbuf);

    if (r < 0)
        return r;
    pthread_once(&once, start_library);
    w = calloc(1, sizeof(*w));
    if (w == NULL) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "out of memory");
        return WP_ETLS;
    }
    m->impl = w;
    w->server = p->server;
    w->any = p->client_auth == WP_TLS_AUTH_REQUEST || p->client_auth == WP_TLS_AUTH_REQUIRE;
    w->verifies = p->client_auth == WP_TLS_AUTH_VERIFY_IF_GIVEN ||
                  p->client_auth == WP_TLS_AUTH_REQUIRE_AND_VERIFY;
    pthread_mutex_init(&w->session_lock, NULL);
    if (p->alpn != NULL)
        w->alpn = strdup(p->alpn);
    if (p->alpn != NULL && w->alpn == NULL) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "out of memory");
        r = WP_ETLS;
    }
    for (unsigned i = 0; r == 0 && i < m->n_pairs; i++) {
        r = ctx_new(w->ctx, i, p, f, m, errbuf);
        if (r == 0 && p->server)
            r = ctx_new(w->bare, i, p, f, m, errbuf);
    }
    if (r < 0)
        material_free(m);
    return r;
}

static const char *library(void)
{
    return wolfSSL_lib_version();
}

__attribute__((visibility("default"))) extern const struct wp_tls_provider wp_tls_wolfssl;
const struct wp_tls_provider wp_tls_wolfssl = {
    .version = WP_TLS_PROVIDER_VERSION,
    .name = "wolfssl",
    .licence = "GPLv3",
    .library = library,
    .material_new = material_new,
    .material_free = material_free,
    .conn_new = wp_wolfssl_conn_new,
    .conn_free = wp_wolfssl_conn_free,
    .handshake = wp_wolfssl_handshake,
    .read = wp_wolfssl_read,
    .write = wp_wolfssl_write,
    .close = wp_wolfssl_close,
    .is_resumed = wp_wolfssl_is_resumed,
    .alpn = wp_wolfssl_alpn,
    .server_name = wp_wolfssl_server_name,
    .peer = wp_wolfssl_peer,
};
