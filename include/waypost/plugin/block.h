/* A server block as its plugins see it: keys and the settings that configuration-only plugins
 * leave there. Written during set-up by the plugin that owns the setting, read-only after. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "waypost/plugin/plugin.h"

enum wp_scheme { WP_SCHEME_DNS, WP_SCHEME_TLS, WP_SCHEME_QUIC, WP_SCHEME_HTTPS, WP_SCHEME_HTTPS3, WP_SCHEME_GRPC, WP_SCHEME_UNIX };

/* One key after CIDR expansion: SCHEME://ZONE:PORT. */
struct wp_key {
    enum wp_scheme scheme;
    uint16_t port;
    const uint8_t *zone; /* wire, lower case */
    const char *text;    /* zone in presentation form, final dot */
    const char *file;
    unsigned line;
};

enum { WP_UNSET = -1 };

/* Client certificate modes: the transports table 6.1. */
enum wp_client_auth { WP_AUTH_NONE, WP_AUTH_REQUEST, WP_AUTH_REQUIRE, WP_AUTH_VERIFY_IF_GIVEN, WP_AUTH_REQUIRE_AND_VERIFY };

enum { WP_TLS_CERTIFICATES = 15 }; /* besides the first */
struct wp_tls_settings {
    bool set, strict_sni;
    const char *cert, *key, *ca; /* paths; ca may be NULL */
    enum wp_client_auth client_auth;
    const char *keylog, *ocsp, *tickets; /* paths or NULL */
    const char *provider;                /* the TLS library; NULL: the default one */
    unsigned n_more;
    const char *more[WP_TLS_CERTIFICATES][2]; /* paths of certificate and key */
};

enum wp_proxy_default { WP_PROXY_USE, WP_PROXY_IGNORE, WP_PROXY_REJECT, WP_PROXY_SKIP };
struct wp_proxy_settings {
    bool set, tlv_metadata;
    const struct wp_cidr *allow; /* none: everybody */
    unsigned n_allow;
    enum wp_proxy_default deflt;
    int64_t udp_session_ns;      /* 0: no session tracking */
    int64_t udp_sessions_max;
};

/* DNS cookies (RFC 7873). Several secrets: the first one makes cookies, all of them are known.
 * None: the process has one of its own, which changes. */
enum { WP_COOKIE_SECRETS = 4 };
struct wp_cookie_settings {
    bool set, enforce, encrypted; /* also on listeners other than dns:// */
    unsigned n_secrets;
    uint8_t secret[WP_COOKIE_SECRETS][16];
};

/* WP_UNSET where nothing was said. */
struct wp_settings {
    const char *root;        /* directory that relative paths start from, or NULL */
    const char *const *bind; /* IP texts (with %zone for link-local); n_bind 0: wildcard */
    unsigned n_bind;
    bool bind_set;           /* `bind` was there, maybe with everything excluded */
    bool debug, stacktrace;
    int64_t sockets;         /* multisocket */
    int64_t read_ns, write_ns, idle_ns;
    int64_t max_tcp_queries;
    int64_t https_max_connections, https_max_streams;
    int64_t grpc_max_connections, grpc_max_streams;
    int64_t quic_max_streams, quic_worker_pool, quic_max_connections;
    int64_t tcp_max_connections, tcp_max_per_client, tcp_accept_rate, tcp_pipeline; /* waypost's own */
    struct wp_tls_settings tls;
    struct wp_proxy_settings proxy;
    struct wp_cookie_settings cookie;
    const char *state;       /* directory of saved state, "": off, NULL: not said */
    const char *admin;       /* socket of the process, "": none, NULL: not said */
    int64_t udp_cap;         /* server cap of UDP replies (bufsize), octets */
};

/* One running instance in the chain. */
struct wp_node {
    const struct wp_plugin *plugin;
    void *self;
};

struct wp_block {
    const struct wp_key *keys;
    unsigned n_keys;
    struct wp_zones zones;    /* of all keys, without duplicates */
    struct wp_settings set;
    const struct wp_line *lines; /* all directives, in file order */
    unsigned n_lines;
    struct wp_node *chain;    /* handlers in plugin order */
    unsigned n_chain;
    struct wp_node *all;      /* the same with configuration-only ones */
    unsigned n_all;
    const char *file;
    unsigned line;            /* of the first key */
    unsigned index;           /* among the file's blocks */
    const char *view;         /* name of its view (plugin `view`), or NULL */
    bool has_filter, has_metadata; /* some plugin filters; `metadata` is there */
    unsigned opcodes;         /* admitted besides QUERY and NOTIFY, a bit each */
    void *gen;                /* the generation it belongs to */
};
/* Do the blocks say the same, word for word (keys, directives, options)? */
bool wp_block_same(const struct wp_block *a, const struct wp_block *b);
/* The instance of a directive in a block, or NULL. */
void *wp_block_plugin(const struct wp_block *b, const char *name);
