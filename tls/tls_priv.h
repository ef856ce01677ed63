/* Between the part of tls/ that knows no library (context.c, conn.c, files.c) and a provider
 * (openssl_*.c): contexts, files and byte queues above, cryptography below. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include "waypost/base/octets.h"
#include "waypost/tls/tls.h"

/* The octets of one file; data NULL: no such file asked for. NUL-terminated behind len. */
struct wp_tls_file {
    const char *path;
    uint8_t *data;
    size_t len;
};
struct wp_tls_pair_files {
    struct wp_tls_file cert, key;
};
struct wp_tls_files {
    struct wp_tls_file cert, key, ca, ocsp, tickets;
    struct wp_tls_pair_files more[WP_TLS_MORE];
    unsigned n_more;
    uint64_t hash; /* of all contents: tells whether anything changed */
};
/* errbuf: "open PATH: no such file or directory", with the wording of the failing role before. */
int wp_tls_files_read(struct wp_tls_files *f, char errbuf[WP_TLS_ERR_MAX]);
void wp_tls_files_done(struct wp_tls_files *f);

/* What a context is made with: policy and paths, one of the two kinds. */
struct wp_tls_policy {
    const struct wp_tls_provider *provider;
    bool server, insecure, strict_sni;
    enum wp_tls_auth client_auth;
    char *cert_file, *key_file, *ca_file, *alpn, *keylog_file, *ocsp_file, *tickets_file;
    char *more[WP_TLS_MORE][2]; /* certificate, key */
    unsigned n_more;
};

/* Keys and certificates ready for use. Shared by connections and the context. */
struct wp_tls_material {
    _Atomic unsigned refs;
    const struct wp_tls_provider *provider;
    void *impl;
    uint64_t file_hash;
    uint64_t chain_id, ca_id; /* of the certificates' DER: for wp_tls_ctx_differs */
    uint64_t tickets_id;      /* of the keys from a file, likewise */
    uint8_t alpn[64]; /* wire form: length, name, ...; server's order */
    size_t alpn_len;
    char alpn_names[64]; /* entry i of the wire form as text, at the same offset */
};
void wp_tls_material_unref(struct wp_tls_material *m);

struct wp_tls_ctx {
    _Atomic unsigned refs;
    struct wp_tls_policy policy;
    pthread_mutex_t lock; /* of material, held for the length of a refcount step */
    struct wp_tls_material *material;
    uint64_t bad_hash;   /* contents last found bad: told once */
    const char *warned; /* likewise */
};

struct wp_tls_conn {
    struct wp_tls_material *material;
    void *impl;
    struct wp_octets in, out; /* ciphertext */
    const char *error;        /* static text */
    char *asked;              /* client: the name to verify, "" for none */
    bool ready, peer_verified, short_of_memory;
};

/* A TLS library. Results as in tls.h; nothing here reads files or sockets. The version changes with
 * every change in this header: a module of another one is refused. */
enum { WP_TLS_PROVIDER_VERSION = 1 };
struct wp_tls_provider {
    unsigned version;
    const char *name;
    const char *licence; /* of what is loaded with it, where stricter than the program's; or NULL */
    const char *(*library)(void); /* its version: "3.0.16" */
    /* Sets impl, chain_id, ca_id. */
    int (*material_new)(const struct wp_tls_policy *p, const struct wp_tls_files *f,
                        struct wp_tls_material *m, char errbuf[WP_TLS_ERR_MAX]);
    void (*material_free)(struct wp_tls_material *m);
    const char *(*warning)(const struct wp_tls_material *m); /* static text, or NULL */
    int (*conn_new)(struct wp_tls_conn *c, const struct wp_tls_policy *p, const char *server_name);
    void (*conn_free)(struct wp_tls_conn *c);
    int (*handshake)(struct wp_tls_conn *c);
    int (*read)(struct wp_tls_conn *c, void *buf, size_t len);
    int (*write)(struct wp_tls_conn *c, const void *buf, size_t len);
    void (*close)(struct wp_tls_conn *c);
    bool (*is_resumed)(const struct wp_tls_conn *c);
    const char *(*alpn)(struct wp_tls_conn *c);
    const char *(*server_name)(const struct wp_tls_conn *c);
    struct wp_peer *(*peer)(const struct wp_tls_conn *c); /* malloc'ed, or NULL */
    void (*rotate)(void);
};
extern const struct wp_tls_provider wp_tls_openssl;
#define WP_TLS_WOLFSSL_MODULE "waypost-tls-wolfssl.so"
#define WP_TLS_WOLFSSL_SYMBOL "wp_tls_wolfssl"
