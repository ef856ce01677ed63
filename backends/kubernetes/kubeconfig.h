/* A kubeconfig: which API server, whom to believe and who to be, of one context. YAML (JSON is a
 * part of it). What the file names is not read here, nor is anything connected. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "waypost/base/err.h"

struct wp_arena;

enum {
    WP_KUBE_WHY = 512,            /* of an error's text */
    WP_KUBECONFIG_MAX = 1 << 20,  /* octets of the file */
    WP_KUBECONFIG_LIST_MAX = 256, /* groups; keys and values of `as-user-extra` */
};

struct wp_kubeconfig_pair {
    const char *name, *value;
};

/* Texts live in the arena; NULL: not given. Paths are joined to the file's folder. */
struct wp_kubeconfig {
    const char *cluster_name, *user_name; /* for messages; "" without one */
    /* --- the cluster --- */
    const char *server;
    const char *ca_file, *ca_pem;
    const char *server_name, *proxy_url;
    bool insecure, no_compression;
    /* --- the user --- */
    const char *cert_file, *cert_pem, *key_file, *key_pem;
    const char *token, *token_file, *username, *password;
    const char *as, *as_uid;
    const char **groups;
    struct wp_kubeconfig_pair *extra; /* a pair for each value */
    size_t n_groups, n_extra;
};

/* Read the text of a kubeconfig. path: where it stands, for messages and relative paths. context:
 * NULL or "": the file's current one. 0; WP_ENOTFOUND: it chooses no context, as an empty file
 * does; WP_ECONFIG; -ENOMEM. `why` then tells file, line and word. */
int wp_kubeconfig_parse(const char *text, size_t len, const char *path, const char *context,
                        struct wp_arena *a, char why[WP_KUBE_WHY],
                        struct wp_kubeconfig *ret) WP_MUSTCHECK;
