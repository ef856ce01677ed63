/* Client connections: the name to verify, SNI, and resumption. */
#include "tls/wolfssl/wolfssl_priv.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static bool is_ip(const char *name)
{
    uint8_t buf[16];

    return inet_pton(AF_INET, name, buf) == 1 || inet_pton(AF_INET6, name, buf) == 1;
}

/* A resumed handshake shows no certificate, so a session is good only for the name it was
 * verified for. Locked: session_lock. */
static struct wp_wolfssl_session *slot_of(struct wp_wolfssl_material *w, const char *name)
{
    for (unsigned i = 0; i < WP_WOLFSSL_SESSIONS; i++)
        if (w->sessions[i].name != NULL && strcmp(w->sessions[i].name, name) == 0)
            return &w->sessions[i];
    return NULL;
}

/* NULL: no memory. Locked likewise. */
static struct wp_wolfssl_session *slot_for(struct wp_wolfssl_material *w, const char *name)
{
    struct wp_wolfssl_session *slot = slot_of(w, name);
    char *copy;

    if (slot != NULL)
        return slot;
    copy = strdup(name);
    if (copy == NULL)
        return NULL;
    slot = &w->sessions[w->next_session++ % WP_WOLFSSL_SESSIONS];
    free(slot->name);
    slot->name = copy;
    return slot;
}

static int keep_session(WOLFSSL *ssl, WOLFSSL_SESSION *session)
{
    const struct wp_tls_conn *c = wolfSSL_get_app_data(ssl);
    struct wp_wolfssl_material *w = c->material->impl;
    WOLFSSL_SESSION *copy = wolfSSL_SESSION_dup(session), *old = copy;
    struct wp_wolfssl_session *slot;

    if (copy == NULL)
        return 0;
    pthread_mutex_lock(&w->session_lock);
    slot = slot_for(w, c->asked);
    if (slot != NULL) {
        old = slot->session;
        slot->session = copy;
    }
    pthread_mutex_unlock(&w->session_lock);
    wolfSSL_SESSION_free(old);
    return 0; /* the session itself was not taken */
}

void wp_wolfssl_client_sessions(WOLFSSL_CTX *ctx)
{
    wolfSSL_CTX_UseSessionTicket(ctx);
    wolfSSL_CTX_sess_set_new_cb(ctx, keep_session);
}

void wp_wolfssl_client_done(struct wp_wolfssl_material *w)
{
    for (unsigned i = 0; i < WP_WOLFSSL_SESSIONS; i++) {
        free(w->sessions[i].name);
        wolfSSL_SESSION_free(w->sessions[i].session);
    }
}

/* wolfSSL compares addresses as texts of its own making, which fails for IPv6: the names of the
 * peer's certificate are looked at here, once for the leaf. */
static int verified_for_ip(int ok, WOLFSSL_X509_STORE_CTX *store)
{
    const struct wp_tls_conn *c = store->userCtx;
    struct wp_wolfssl_conn *wc = c->impl;

    if (!ok || store->error_depth != 0 || store->totalCerts == 0)
        return ok;
    wc->is_for_ip =
        c->material->host->is_for_ip(store->certs[0].buffer, store->certs[0].length, c->asked);
    wc->is_other = !wc->is_for_ip;
    return wc->is_for_ip;
}

/* The name to verify and, when it is one, SNI. */
static bool set_name(struct wp_wolfssl_conn *wc, const char *name, bool verify)
{
    WOLFSSL *ssl = wc->ssl;

    if (is_ip(name)) {
        wc->wants_ip = verify;
        if (verify)
            wolfSSL_set_verify(ssl, WOLFSSL_VERIFY_PEER, verified_for_ip);
        return true;
    }
    return (!verify || wolfSSL_check_domain_name(ssl, name) == WOLFSSL_SUCCESS) &&
           wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, name, (unsigned short)strlen(name)) ==
               WOLFSSL_SUCCESS;
}

int wp_wolfssl_client_conn(struct wp_tls_conn *c, const struct wp_tls_policy *p,
                           const char *server_name)
{
    struct wp_wolfssl_material *w = c->material->impl;
    struct wp_wolfssl_conn *wc = c->impl;
    WOLFSSL *ssl = wc->ssl;
    struct wp_wolfssl_session *slot;

    c->asked = strdup(server_name != NULL ? server_name : "");
    if (c->asked == NULL || (server_name != NULL && !set_name(wc, server_name, !p->insecure)) ||
        (w->alpn != NULL &&
         wolfSSL_UseALPN(ssl, w->alpn, (unsigned)strlen(w->alpn),
                         WOLFSSL_ALPN_CONTINUE_ON_MISMATCH) != WOLFSSL_SUCCESS))
        return WP_ETLS;
    pthread_mutex_lock(&w->session_lock);
    slot = slot_of(w, c->asked);
    if (slot != NULL)
        wolfSSL_set_session(ssl, slot->session);
    pthread_mutex_unlock(&w->session_lock);
    return 0;
}
