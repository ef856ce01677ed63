/* Between what all connections share (contexts, files, byte queues, choices; certificates are read by
 * x509_*.c) and a provider (openssl_*.c, wolfssl/): who speaks TLS. */
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

/* What a certificate is for. */
enum {
    WP_TLS_SIGNS_RSA = 1,
    WP_TLS_SIGNS_P256 = 2,
    WP_TLS_SIGNS_P384 = 4,
    WP_TLS_SIGNS_P521 = 8,
    WP_TLS_SIGNS_ECDSA = WP_TLS_SIGNS_P256 | WP_TLS_SIGNS_P384 | WP_TLS_SIGNS_P521,
    WP_TLS_SIGNS_ED25519 = 16,
};
struct wp_tls_names {
    char **names; /* lower case, maybe a wildcard in front */
    unsigned n;
    int kind; /* of its key: two certificates of one kind are rivals */
    unsigned signs; /* WP_TLS_SIGNS_*: what the key can make; 0: something else */
    int key_bits;
};

/* A key of session tickets, as a file has it. */
struct wp_tls_ticket_key {
    uint8_t name[16], aes[32], mac[32];
};
enum { WP_TLS_TICKET_KEYS = 8 }; /* of a file */
/* No longer than a key that is kept can open it. */
enum { WP_TLS_TICKET_LIFE_S = 24 * 3600, WP_TLS_POLICY_ID_LEN = 32 };

struct wp_tls_material;
/* What there is once in the process: a module calls the program's, whatever it exports. The rest of
 * what is shared is compiled into the module (CMakeLists.txt). */
struct wp_tls_host {
    void (*ticket_newest)(const struct wp_tls_material *m, struct wp_tls_ticket_key *ret);
    int (*ticket_find)(const struct wp_tls_material *m, const uint8_t name[16],
                       struct wp_tls_ticket_key *ret);
    struct wp_peer *(*peer_of)(const uint8_t *der, size_t len, bool verified);
    bool (*is_for_ip)(const uint8_t *der, size_t len, const char *ip);
};

/* Keys and certificates ready for use. Shared by connections and the context. Read-only but for the
 * provider's own part. */
struct wp_tls_material {
    _Atomic unsigned refs;
    const struct wp_tls_provider *provider;
    const struct wp_tls_host *host;
    void *impl;
    struct wp_x509 *x509; /* x509_priv.h */
    struct wp_tls_names names[1 + WP_TLS_MORE];
    unsigned n_pairs;
    uint32_t usual;         /* pairs for other names and for none, a bit each */
    const char *ocsp_lacks; /* why the response is not stapled, or NULL */
    uint8_t *ocsp;          /* DER to staple to the first certificate, or NULL */
    size_t ocsp_len;
    int64_t ocsp_until; /* Unix time */
    struct wp_tls_ticket_key tickets[WP_TLS_TICKET_KEYS]; /* from a file */
    unsigned n_tickets;
    uint8_t policy_id[WP_TLS_POLICY_ID_LEN]; /* servers: under which a ticket was made */
    uint64_t file_hash;
    uint64_t chain_id, ca_id; /* of the certificates' DER: for wp_tls_ctx_differs */
    uint64_t tickets_id;      /* of the keys from a file, likewise */
    uint8_t alpn[64]; /* wire form: length, name, ...; server's order */
    size_t alpn_len;
    char alpn_names[64]; /* entry i of the wire form as text, at the same offset */
};
void wp_tls_material_unref(struct wp_tls_material *m);
bool wp_tls_ocsp_is_fresh(const struct wp_tls_material *m);

/* choice.c: host names in lower case without final dot; false when it is no name. */
bool wp_tls_name_plain(const char *from, size_t len, char to[WP_TLS_NAME_MAX]);
int wp_tls_names_add(struct wp_tls_names *n, const char *name, size_t len) WP_MUSTCHECK;
void wp_tls_names_done(struct wp_tls_names *n);
/* Pairs of a material for the name asked for (any octets; NULL: none), a bit each, at most one of a
 * kind of key. 0: none. */
uint32_t wp_tls_pairs_asked(const struct wp_tls_material *m, const char *sni, size_t len);
uint32_t wp_tls_pairs_usual(const struct wp_tls_material *m);

/* alpn.c: "h2,http/1.1" into the material, as the wire has it and as separate texts. */
int wp_tls_alpn_read(const char *text, struct wp_tls_material *m) WP_MUSTCHECK;
/* The first protocol of ours that a client's list (wire form) has: its length octet, the name behind
 * it; NULL: none. */
const uint8_t *wp_tls_alpn_choose(const struct wp_tls_material *m, const uint8_t *in, size_t len);
const char *wp_tls_alpn_text(const struct wp_tls_material *m, const uint8_t *name, size_t len);

/* ticket.c: servers. */
int wp_tls_tickets_load(const struct wp_tls_policy *p, const struct wp_tls_files *f,
                        struct wp_tls_material *m, char errbuf[WP_TLS_ERR_MAX]);
/* The key that makes tickets; wipe it after use. */
void wp_tls_ticket_newest(const struct wp_tls_material *m, struct wp_tls_ticket_key *ret);
/* The key of this name: 0 gone or never ours, 1 the one that makes tickets, 2 an older one. */
int wp_tls_ticket_find(const struct wp_tls_material *m, const uint8_t name[16],
                       struct wp_tls_ticket_key *ret);

/* x509_load.c: certificates, keys, roots and the OCSP response into the material. */
int wp_x509_load(const struct wp_tls_policy *p, const struct wp_tls_files *f,
                 struct wp_tls_material *m, char errbuf[WP_TLS_ERR_MAX]);
void wp_x509_free(struct wp_x509 *x);
/* Are roots needed, and not given by a file? */
static inline bool wp_tls_needs_system_roots(const struct wp_tls_policy *p,
                                             const struct wp_tls_files *f)
{
    if (f->ca.data != NULL)
        return false;
    if (!p->server)
        return !p->insecure;
    return p->client_auth == WP_TLS_AUTH_VERIFY_IF_GIVEN ||
           p->client_auth == WP_TLS_AUTH_REQUIRE_AND_VERIFY;
}
/* x509_peer.c: of a certificate in DER, for providers with certificates of their own kind. malloc'ed,
 * or NULL. */
struct wp_peer *wp_tls_peer_of(const uint8_t *der, size_t len, bool verified);
/* x509_names.c: has a certificate in DER this address among its names? ip: text. */
bool wp_tls_is_for_ip(const uint8_t *der, size_t len, const char *ip);

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
enum { WP_TLS_PROVIDER_VERSION = 4 };
struct wp_tls_provider {
    unsigned version;
    const char *name;
    const char *licence; /* of what is loaded with it, where stricter than the program's; or NULL */
    const char *(*library)(void); /* its version: "3.0.16" */
    /* Sets impl: the rest of the material is there, files have been found good. */
    int (*material_new)(const struct wp_tls_policy *p, const struct wp_tls_files *f,
                        struct wp_tls_material *m, char errbuf[WP_TLS_ERR_MAX]);
    void (*material_free)(struct wp_tls_material *m);
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
};
extern const struct wp_tls_provider wp_tls_openssl;
#define WP_TLS_WOLFSSL_MODULE "waypost-tls-wolfssl.so"
#define WP_TLS_WOLFSSL_SYMBOL "wp_tls_wolfssl"
