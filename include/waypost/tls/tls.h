/* TLS behind one vtable of byte queues: the socket code is the same for every library, and
 * tests need no sockets. No function here does I/O, logs, or blocks. A connection belongs to
 * one thread; a context may be shared (its counters are atomic), and lives until its last
 * connection is gone. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"
#include "waypost/base/peer.h"

struct wp_tls_ctx;
struct wp_tls_conn;

enum wp_tls_auth { WP_TLS_AUTH_NONE, WP_TLS_AUTH_REQUEST, WP_TLS_AUTH_REQUIRE, WP_TLS_AUTH_VERIFY_IF_GIVEN, WP_TLS_AUTH_REQUIRE_AND_VERIFY };

enum { WP_TLS_MORE = 15 };
struct wp_tls_pair {
    const char *cert_file, *key_file;
};
/* Texts are copied. */
struct wp_tls_server_config {
    const char *cert_file, *key_file, *ca_file; /* PEM; ca NULL: system roots */
    enum wp_tls_auth client_auth;
    const char *alpn;    /* server's order, comma separated: "h2,http/1.1"; NULL: no ALPN.
                            A client that offers only others gets alert 120 */
    const char *keylog_file; /* NSS key log, appended, mode 0600 */
    const char *tickets_file; /* keys of session tickets, 80 octets each, instead of our own: name
                                 (16), AES-256 (32), HMAC-SHA256 (32); the first one encrypts */
    const char *ocsp_file;   /* DER response to staple to the first certificate while it is fresh */
    /* Further certificates: those for the name that the client asks for (SNI) are offered, of each
     * kind of key the first. Other names, and none, get those for the first one's name. */
    const struct wp_tls_pair *more;
    unsigned n_more;
    bool strict_sni; /* other names get alert 112 instead */
    const char *provider; /* the library; NULL: the default one */
};
struct wp_tls_client_config {
    const char *cert_file, *key_file, *ca_file; /* NULL: none, none, system roots */
    const char *alpn;
    bool insecure; /* whoever answers is believed: tests, and who asks for it by hand */
    const char *provider; /* the library; NULL: the default one */
};

enum { WP_TLS_ERR_MAX = 256 };
/* The libraries that do TLS: "openssl" is linked, "wolfssl" a module that is opened when it is first
 * asked for. 0, or WP_ETLS: unknown, or not here and why. Not for worker threads. */
int wp_tls_provider_check(const char *name, char errbuf[WP_TLS_ERR_MAX]) WP_MUSTCHECK;
/* From now on the default; "openssl" until then. As check. */
int wp_tls_provider_use(const char *name, char errbuf[WP_TLS_ERR_MAX]) WP_MUSTCHECK;
/* Those that are here, with versions: "openssl 3.0.16; wolfssl 5.5.4 (module ..., GPLv3)". */
void wp_tls_providers(char text[WP_TLS_ERR_MAX]);

/* Errors: WP_ETLS with the reason in errbuf, worded like CoreDNS's ("could not load TLS cert:
 * open FILE: no such file or directory"). Not for worker threads: files are read. */
int wp_tls_server_new(const struct wp_tls_server_config *c, char errbuf[WP_TLS_ERR_MAX],
                      struct wp_tls_ctx **ret) WP_MUSTCHECK;
int wp_tls_client_new(const struct wp_tls_client_config *c, char errbuf[WP_TLS_ERR_MAX],
                      struct wp_tls_ctx **ret) WP_MUSTCHECK;
struct wp_tls_ctx *wp_tls_ctx_ref(struct wp_tls_ctx *ctx);
void wp_tls_ctx_unref(struct wp_tls_ctx *ctx);
/* Look at the files again (content, also through a swapped symlink): 1 changed and taken over
 * for new handshakes, 0 unchanged (also: unchanged since it was found bad), negative: new
 * material is bad, the old one stays, the reason is in errbuf. Any one thread at a time, not a
 * worker; connections go on. */
int wp_tls_ctx_refresh(struct wp_tls_ctx *ctx, char errbuf[WP_TLS_ERR_MAX]);
/* What the material in use lacks (static text), told once; NULL: nothing, or nothing new. One
 * thread at a time, as refresh. */
const char *wp_tls_ctx_warning(struct wp_tls_ctx *ctx);
/* Same material and policy? why: static text of the first difference (the REASON texts of
 * the Corefile rules 4.2), or NULL when equal. */
const char *wp_tls_ctx_differs(const struct wp_tls_ctx *a, const struct wp_tls_ctx *b);
/* Whether the first certificate of a PEM file is for a name with a wildcard; the first such name. Any thread but a
 * worker: the file is read. */
enum { WP_TLS_NAME_MAX = 256 };
bool wp_tls_file_wildcard(const char *path, char name[WP_TLS_NAME_MAX]);
/* Ticket keys, but those from files, are one ring for the process: shared by workers, kept over reloads; a ticket is
 * good only where the listener's policy is the one it was made under. A new key encrypts from
 * now on, two older ones still decrypt: call it every WP_TLS_ROTATE_S. Any thread. */
enum { WP_TLS_ROTATE_S = 12 * 3600 };
void wp_tls_tickets_rotate(void);

/* server_name: SNI and name to verify, or an IP text; NULL for servers. */
int wp_tls_conn_new(struct wp_tls_ctx *ctx, const char *server_name, struct wp_tls_conn **ret) WP_MUSTCHECK;
void wp_tls_conn_free(struct wp_tls_conn *c);

/* Ciphertext that came from the socket. It is consumed at once into plaintext reads or kept
 * until read; `len` is taken whole. */
int wp_tls_feed(struct wp_tls_conn *c, const void *data, size_t len) WP_MUSTCHECK;
/* Ciphertext to send: a view of what waits; after sending call wp_tls_sent. */
const uint8_t *wp_tls_pending(struct wp_tls_conn *c, size_t *ret_len);
void wp_tls_sent(struct wp_tls_conn *c, size_t len);

/* Results: > 0 octets (or done), 0 needs more from the peer, WP_ECLOSED close_notify seen,
 * WP_ETLS broken (an alert may be pending: send it, then close). After every call look at
 * wp_tls_pending. */
int wp_tls_handshake(struct wp_tls_conn *c);
int wp_tls_read(struct wp_tls_conn *c, void *buf, size_t len);
int wp_tls_write(struct wp_tls_conn *c, const void *buf, size_t len); /* takes all or fails */
void wp_tls_close(struct wp_tls_conn *c); /* queues close_notify */

bool wp_tls_is_ready(const struct wp_tls_conn *c);
bool wp_tls_is_resumed(const struct wp_tls_conn *c);
const char *wp_tls_alpn(const struct wp_tls_conn *c);        /* "" when none */
const char *wp_tls_server_name(const struct wp_tls_conn *c); /* SNI or NULL */
const char *wp_tls_error(const struct wp_tls_conn *c);       /* text of the last failure */
/* The client's certificate, the caller's to free; NULL: it showed none, or memory is short. */
struct wp_peer *wp_tls_peer(const struct wp_tls_conn *c);
