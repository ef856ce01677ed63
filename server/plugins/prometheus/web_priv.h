/* A web configuration as read: web_file.c fills it, web.c uses it. */
#pragma once
#include <stdint.h>
#include "server/plugins/prometheus/web.h"
#include "waypost/tls/tls.h"

enum { WEB_USERS_MAX = 64 };

struct web_user {
    char *name, *hash; /* bcrypt */
    uint64_t known;    /* keyed hash of the credentials that were right last, 0: none */
};

struct web {
    char *cert, *key, *ca; /* paths; NULL: not given */
    bool has_tls;
    enum wp_tls_auth client_auth;
    char *headers;
    struct web_user users[WEB_USERS_MAX];
    unsigned n_users;
    struct wp_tls_ctx *tls;
    uint64_t window_s; /* in which wrong passwords are counted */
    unsigned n_wrong;
};

int wp_web_read(const char *path, char why[WEB_WHY_MAX], struct web *w) WP_MUSTCHECK;
