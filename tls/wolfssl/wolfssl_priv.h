/* Inside the wolfSSL provider (5.5). Nothing outside this folder includes wolfSSL: some of its
 * names are OpenSSL's. */
#pragma once
#include <wolfssl/options.h> /* what it was built with: before all else of it */
#include <wolfssl/ssl.h>
#include "tls/tls_priv.h"

enum { WP_WOLFSSL_RSA_BITS_MIN = 2048, WP_WOLFSSL_RSA_BITS_MAX = 4096 }; /* of keys */
enum { WP_WOLFSSL_SESSIONS = 8 }; /* names a client context remembers sessions of */
struct wp_wolfssl_session {
    char *name;
    WOLFSSL_SESSION *session; /* a copy: wolfSSL goes on writing in the one of a connection */
};
struct wp_wolfssl_material {
    WOLFSSL_CTX *ctx[1 + WP_TLS_MORE];  /* one for each certificate: it takes no more than one */
    WOLFSSL_CTX *bare[1 + WP_TLS_MORE]; /* servers: the same without tickets */
    char *alpn;                         /* as in the policy, or NULL */
    bool server, verifies, any;         /* verifies: refuses; any: asks, and takes what it gets */
    pthread_mutex_t session_lock;       /* clients: of what follows */
    struct wp_wolfssl_session sessions[WP_WOLFSSL_SESSIONS];
    unsigned next_session;
};
/* One connection. */
struct wp_wolfssl_conn {
    WOLFSSL *ssl; /* servers: NULL until the client's first message is there */
    bool failed;  /* after a failure wolfSSL must not be asked again */
    bool showed;  /* the peer showed a certificate */
    /* Clients whose name is an address: the certificate has it, or has been seen not to. */
    bool wants_ip, is_for_ip, is_other;
    bool strange; /* not all of its tickets (TLS 1.3) are ours: wolfSSL must open none */
};

/* Static text of an error code. Never NULL. */
const char *wp_wolfssl_reason(int error);
/* load.c: certificate and key of a pair, roots. */
int wp_wolfssl_load(WOLFSSL_CTX *ctx, unsigned pair, const struct wp_tls_policy *p,
                    const struct wp_tls_files *f, const struct wp_tls_material *m,
                    char errbuf[WP_TLS_ERR_MAX]);
/* ticket.c */
int wp_wolfssl_tickets(WOLFSSL_CTX *ctx, struct wp_tls_material *m) WP_MUSTCHECK;
int wp_wolfssl_no_tickets(WOLFSSL_CTX *ctx) WP_MUSTCHECK;
bool wp_wolfssl_ticket_known(const void *m, const uint8_t *ticket, size_t len);
/* select.c: the context for this client; NULL: more of its first message is needed. */
WOLFSSL_CTX *wp_wolfssl_select(struct wp_tls_conn *c);
void wp_wolfssl_strict_sni(WOLFSSL_CTX *ctx, struct wp_tls_material *m);
void wp_wolfssl_alpn_policy(WOLFSSL_CTX *ctx, struct wp_tls_material *m);
/* client.c */
void wp_wolfssl_client_sessions(WOLFSSL_CTX *ctx);
void wp_wolfssl_client_done(struct wp_wolfssl_material *w);
int wp_wolfssl_client_conn(struct wp_tls_conn *c, const struct wp_tls_policy *p,
                           const char *server_name);
/* conn.c */
int wp_wolfssl_recv(WOLFSSL *ssl, char *buf, int len, void *arg);
int wp_wolfssl_send(WOLFSSL *ssl, char *buf, int len, void *arg);
int wp_wolfssl_verified(int ok, WOLFSSL_X509_STORE_CTX *store);
int wp_wolfssl_conn_new(struct wp_tls_conn *c, const struct wp_tls_policy *p,
                        const char *server_name);
void wp_wolfssl_conn_free(struct wp_tls_conn *c);
int wp_wolfssl_handshake(struct wp_tls_conn *c);
int wp_wolfssl_read(struct wp_tls_conn *c, void *buf, size_t len);
int wp_wolfssl_write(struct wp_tls_conn *c, const void *buf, size_t len);
void wp_wolfssl_close(struct wp_tls_conn *c);
bool wp_wolfssl_is_resumed(const struct wp_tls_conn *c);
const char *wp_wolfssl_alpn(struct wp_tls_conn *c);
const char *wp_wolfssl_server_name(const struct wp_tls_conn *c);
struct wp_peer *wp_wolfssl_peer(const struct wp_tls_conn *c);
