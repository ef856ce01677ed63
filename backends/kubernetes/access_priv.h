/* access.c keeps credentials fresh and makes requests of them; access_open.c finds and checks them.
 */
#pragma once
#include "backends/kubernetes/access.h"
#include "waypost/base/arena.h"

/* A file that is read again. */
struct wp_kube_file {
    const char *path; /* NULL: none */
    char *text;       /* what it held when it was last good, or NULL */
    uint64_t read_ns; /* when it was last looked at */
    bool told;        /* that it is not good any more */
};

struct wp_kube_access {
    struct wp_arena arena;
    struct wp_kubeconfig k; /* also of the other sources */
    const char *base, *host;
    const char *proxy;
    bool secure;       /* https: */
    const char *basic; /* value of Authorization made of user and password */
    struct wp_kube_file token, ca, cert, key;
    char *bearer; /* the same made of the token */
    unsigned generation;
    struct wp_httpc_tls tls;
    struct wp_httpc_header *headers; /* the fixed ones stand from WP_KUBE_HEADERS_MAX + 1 */
    size_t n_fixed;
};

/* --- access_url.c --------------------------------------------------------------------------- */
/* Fills in base, host, secure and, of a user in the URL, basic. */
int wp_kube_url(struct wp_kube_access *a, const char *server, char why[WP_KUBE_WHY]) WP_MUSTCHECK;
int wp_kube_basic(struct wp_kube_access *a, const char *user, const char *password) WP_MUSTCHECK;
int wp_kube_say(char why[WP_KUBE_WHY], const char *fmt, ...) WP_PRINTF(2, 3); /* WP_ECONFIG */
