/* Inside the OpenSSL provider (OpenSSL 3). Nothing outside openssl_*.c includes OpenSSL's SSL. */
#pragma once
#include <openssl/ssl.h>
#include "tls/tls_priv.h"

enum { WP_OPENSSL_SESSIONS = 8 }; /* names a client context remembers sessions of */
struct wp_openssl_session {
    char *name;
    SSL_SESSION *session;
};
struct wp_openssl_ticket_key {
    uint8_t name[16], aes[32], mac[32];
};
enum { WP_OPENSSL_TICKET_KEYS = 8 }; /* of a file */

/* One certificate with its chain and key. */
struct wp_openssl_pair {
    X509 *leaf;
    STACK_OF(X509) *chain; /* without the leaf, or NULL */
    EVP_PKEY *key;         /* NULL: a client's certificate alone */
    char **names;          /* what it is for: lower case, maybe a wildcard in front */
    unsigned n_names;
};
struct wp_openssl_material {
    SSL_CTX *ctx;
    struct wp_openssl_pair pairs[1 + WP_TLS_MORE]; /* servers: read by openssl_select.c */
    unsigned n_pairs;
    uint32_t usual; /* pairs for other names and for none, a bit each */
    const char *ocsp_lacks; /* why the response is not stapled, or NULL */
    enum wp_tls_auth client_auth;
    int keylog_fd; /* -1: none */
    struct wp_openssl_ticket_key tickets[WP_OPENSSL_TICKET_KEYS]; /* from a file */
    unsigned n_tickets;
    uint8_t *ocsp; /* DER to staple, or NULL */
    size_t ocsp_len;
    int64_t ocsp_until;           /* Unix time */
    pthread_mutex_t session_lock; /* clients: of what follows */
    struct wp_openssl_session sessions[WP_OPENSSL_SESSIONS];
    unsigned next_session;
};

/* The newest error of this thread as static text; clears the queue. Never NULL. */
const char *wp_openssl_reason(void);
/* openssl_cert.c: certificates and keys into the pairs, the first one and the roots into the
 * SSL_CTX; chain_id and ca_id. */
int wp_openssl_load(SSL_CTX *ctx, const struct wp_tls_policy *p, const struct wp_tls_files *f,
                    struct wp_tls_material *m, char errbuf[WP_TLS_ERR_MAX]);
void wp_openssl_pair_done(struct wp_openssl_pair *p);
/* openssl_select.c: which pair for whom. After wp_openssl_load. */
int wp_openssl_select(struct wp_openssl_material *o, bool strict_sni) WP_MUSTCHECK;
/* openssl_ticket.c */
int wp_openssl_tickets(const struct wp_tls_policy *p, const struct wp_tls_files *f,
                       struct wp_tls_material *m, char errbuf[WP_TLS_ERR_MAX]);
void wp_openssl_rotate(void);
/* openssl_ocsp.c: an unusable response is not stapled, which is never fatal; `lacks` says why. */
const char *wp_openssl_warning(const struct wp_tls_material *m);
void wp_openssl_ocsp(struct wp_tls_material *m, const struct wp_tls_file *f);
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
/* openssl_peer.c */
struct wp_peer *wp_openssl_peer(const struct wp_tls_conn *c);
