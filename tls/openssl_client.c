/* Client connections: the name to verify, SNI, and resumption. */
#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "tls/openssl_priv.h"

static bool is_ip(const char *name)
{
    uint8_t buf[16];

    return inet_pton(AF_INET, name, buf) == 1 || inet_pton(AF_INET6, name, buf) == 1;
}

/* A resumed handshake shows no certificate, so a session is good only for the name it was
 * verified for. Locked: session_lock. */
static struct wp_openssl_session *slot_of(struct wp_openssl_material *o, const char *name)
{
    for (unsigned i = 0; i < WP_OPENSSL_SESSIONS; i++)
        if (o->sessions[i].name != NULL && strcmp(o->sessions[i].name, name) == 0)
            return &o->sessions[i];
    return NULL;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    const struct wp_tls_material *m = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct wp_openssl_material *o = m->impl;
    const struct wp_tls_conn *c = BIO_get_data(SSL_get_rbio(ssl)); /* app data costs memory */
    struct wp_openssl_session *slot;
    SSL_SESSION *old;

    pthread_mutex_lock(&o->session_lock);
    slot = slot_of(o, c->asked);
    if (slot == NULL) {
        char *name = strdup(c->asked);

        if (name == NULL) {
            pthread_mutex_unlock(&o->session_lock);
            return 0; /* not taken */
        }
        slot = &o->sessions[o->next_session++ % WP_OPENSSL_SESSIONS];
        free(slot->name);
        slot->name = name;
    }
    old = slot->session;
    slot->session = session;
    pthread_mutex_unlock(&o->session_lock);
    SSL_SESSION_free(old);
    return 1;
}

void wp_openssl_client_sessions(SSL_CTX *ctx)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
}

void wp_openssl_client_done(struct wp_openssl_material *o)
{
    for (unsigned i = 0; i < WP_OPENSSL_SESSIONS; i++) {
        free(o->sessions[i].name);
        SSL_SESSION_free(o->sessions[i].session);
    }
}

/* The name to verify and, when it is one, SNI. */
static bool set_name(SSL *ssl, const char *name, bool verify)
{
    if (is_ip(name))
        return !verify || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    return (!verify || SSL_set1_host(ssl, name) == 1) && SSL_set_tlsext_host_name(ssl, name) == 1;
}

int wp_openssl_client_conn(struct wp_tls_conn *c, const struct wp_tls_policy *p,
                           const char *server_name)
{
    struct wp_openssl_material *o = c->material->impl;
    struct wp_openssl_session *slot;

    c->asked = strdup(server_name != NULL ? server_name : "");
    if (c->asked == NULL || (server_name != NULL && !set_name(c->impl, server_name, !p->insecure)))
        return WP_ETLS;
    pthread_mutex_lock(&o->session_lock);
    slot = slot_of(o, c->asked);
    if (slot != NULL)
        SSL_set_session(c->impl, slot->session);
    pthread_mutex_unlock(&o->session_lock);
    return 0;
}
