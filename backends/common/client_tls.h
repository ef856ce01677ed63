/* TLS towards upstreams: the words of an option `tls [CERT KEY] [CA]`, and the context made of
 * the files that they name. */
#pragma once
#include <stdbool.h>
#include "waypost/base/err.h"

struct wp_line;
struct wp_setup;
struct wp_tls_ctx;

/* Paths, joined to the block's root; NULL: none, and the system's roots. */
struct wp_client_tls {
    bool given;
    const char *cert, *key, *ca;
};

/* At most three words: the caller has looked. @return 0 or -ENOMEM */
int wp_client_tls_words(struct wp_client_tls *t, struct wp_setup *s, const struct wp_line *l)
    WP_MUSTCHECK;
bool wp_client_tls_has_files(const struct wp_client_tls *t);
/* A context, with one reference; an error has been told through `s`. alpn: NULL or "h2". */
int wp_client_tls_new(const struct wp_client_tls *t, struct wp_setup *s, const char *alpn,
                      struct wp_tls_ctx **ret) WP_MUSTCHECK;
/* The same for a command, which has no `s`: WP_ETLS with the reason in why. insecure: whoever answers
 * is believed. */
int wp_client_tls_open(const struct wp_client_tls *t, const char *alpn, bool insecure,
                       char why[256], struct wp_tls_ctx **ret) WP_MUSTCHECK;
/* Are the files good? 0, or an error that has been told. */
int wp_client_tls_check(const struct wp_client_tls *t, struct wp_setup *s) WP_MUSTCHECK;
/* Takes changed files over for new connections, and logs that as `plugin`. Admin thread; NULL is
 * nothing to look at. */
void wp_client_tls_refresh(struct wp_tls_ctx *ctx, const char *plugin);
/* Looks at the files again, as wp_tls_ctx_refresh: 1, 0, or negative with why. */
int wp_client_tls_look(struct wp_tls_ctx *ctx, char why[256]) WP_MUSTCHECK;
struct wp_tls_ctx *wp_client_tls_ref(struct wp_tls_ctx *ctx); /* NULL: NULL */
void wp_client_tls_free(struct wp_tls_ctx *ctx);
