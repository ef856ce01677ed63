/* Inside the OpenSSL provider (OpenSSL 3). Nothing outside openssl_*.c includes OpenSSL's SSL. */
#pragma once
#include <openssl/ssl.h>
#include "tls/x509_priv.h"

enum { WP_OPENSSL_SESSIONS = 8 }; /* names a client context remembers sessions of */
struct wp_openssl_session {
    char *name;
    SSL_SESSION *session;
};
struct wp_openssl_material {
    SSL_CTX *ctx;
    enum wp_tls_auth client_auth;
    int keylog_fd; /* -1: none */
    pthread_mutex_t session_lock; /* clients: of what follows */
    struct wp_openssl_session sessions[WP_OPENSSL_SESSIONS];
    unsigned next_session;
};

/* openssl_select.c: pairs into the SSL_CTX, and which of them for whom. */
int wp_openssl_select(SSL_CTX *ctx, struct wp_tls_material *m, bool strict_sni) WP_MUSTCHECK;
/* openssl_ticket.c */
int wp_openssl_tickets(SSL_CTX *ctx, const struct wp_tls_material *m) WP_MUSTCHECK;
/* openssl_client.c */
void wp_openssl_client_sessions(SSL_CTX *ctx);
void wp_openssl_client_done(struct wp_openssl_material *o);
int wp_openssl_client_conn(struct wp_tls_conn *c, const struct wp_tls_policy *p,
                           const char *server_name);
/* openssl_conn.c */
int wp_openssl_conn_new(struct wp_tls_conn *c, const struct wp_tls_policy *p,
                        const char *server_name);
void wp_openssl_conn_free(struct wp_tls_conn *c);
int wp_openssl_handshake(struct wp_tls_conn *c);
int wp_openssl_read(struct wp_tls_conn *c, void *buf, size_t len);
int wp_openssl_write(struct wp_tls_conn *c, const void *buf, size_t len);
void wp_openssl_close(struct wp_tls_conn *c);
bool wp_openssl_is_resumed(const struct wp_tls_conn *c);
const char *wp_openssl_alpn(struct wp_tls_conn *c);
const char *wp_openssl_server_name(const struct wp_tls_conn *c);
struct wp_peer *wp_openssl_peer(const struct wp_tls_conn *c);
