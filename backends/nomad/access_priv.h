/* access_open.c puts lines and environment together, access_file.c keeps files fresh, access.c makes requests. */
#pragma once
#include "backends/nomad/access.h"
#include "waypost/base/arena.h"

struct wp_nomad_agent {
    const char *base;      /* "http://127.0.0.1:4646" */
    const char *name;      /* "127.0.0.1:4646" */
    const char *unix_path; /* or NULL */
    const char *basic;     /* value of Authorization, or NULL */
    bool secure;
};

/* A file, or a folder of them, that is read again when it has changed. */
struct wp_nomad_file {
    const char *path; /* NULL: none */
    const char *what; /* in messages */
    const char *word; /* of the PEM block that must be in it; NULL: it is a token */
    bool is_dir;
    char *text;     /* what it held when it was last good, or NULL */
    uint64_t stamp; /* of what was read */
    bool told;      /* that it is not good any more */
};

struct wp_nomad_access {
    struct wp_arena arena;
    struct wp_nomad_agent agents[WP_NOMAD_ADDRESSES_MAX];
    unsigned n;
    const char *token;        /* that stands in no file, or NULL */
    const char *region_param; /* "region=eu", or "" */
    const char *ns_param;     /* "namespace=ops", or "" */
    const char *server_name;
    bool insecure;
    char *identity;
    struct wp_nomad_file token_file, ca, cert, key;
    unsigned generation;
    uint64_t looked_ns; /* at the files */
    struct wp_httpc_tls tls;
    struct wp_httpc_header headers[2];
    char *url; /* of the last request */
};

int wp_nomad_say(char why[256], const char *fmt, ...) WP_PRINTF(2, 3); /* WP_ECONFIG */
/* Leading and trailing white space taken away, in place; what is wrong with it as a header's value, or NULL. */
const char *wp_nomad_token_flaw(char *text);

/* --- access_url.c ---------------------------------------------------------------------------- */
int wp_nomad_url(struct wp_nomad_access *a, const char *address, char why[256],
                 struct wp_nomad_agent *ret) WP_MUSTCHECK;
/* "NAME=VALUE"; NULL: no memory. */
char *wp_nomad_param(struct wp_arena *arena, const char *name, const char *value);

/* --- access_file.c --------------------------------------------------------------------------- */
/* Look at it, whatever its stamp says when `now`. 1: it holds something else, 0; -ENOMEM; WP_ECONFIG with
 * why: it has never been good. */
int wp_nomad_file_look(struct wp_nomad_file *f, bool now, char why[256]) WP_MUSTCHECK;
/* Certificate and key: both or neither. */
int wp_nomad_pair_look(struct wp_nomad_file *cert, struct wp_nomad_file *key, bool now,
                       char why[256]) WP_MUSTCHECK;
