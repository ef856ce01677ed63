/* Reading the file: YAML, a few known keys; whatever is not known is refused by name. */
#include "server/plugins/prometheus/web_priv.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

struct reader {
    yaml_document_t doc;
    const char *path;
    char *why;
    struct web *web;
};

static int refuse(struct reader *r, const yaml_node_t *at, const char *what, const char *word)
{
    snprintf(r->why, WEB_WHY_MAX, "%s:%zu: %s%s%s", r->path, at->start_mark.line + 1, what,
             word[0] != '\0' ? ": " : "", word);
    return WP_ECONFIG;
}

static const char *text_of(const yaml_node_t *n)
{
    return n != NULL && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

typedef int pair_fn(struct reader *r, const char *key, const yaml_node_t *at,
                    const yaml_node_t *value);

static int each_pair(struct reader *r, const yaml_node_t *map, pair_fn *fn)
{
    int e = 0;

    if (map->type == YAML_SCALAR_NODE && map->data.scalar.length == 0)
        return 0; /* "section:" with nothing */
    if (map->type != YAML_MAPPING_NODE)
        return refuse(r, map, "not a mapping", "");
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start;
         e == 0 && p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_document_get_node(&r->doc, p->key);
        const yaml_node_t *value = yaml_document_get_node(&r->doc, p->value);
        if (text_of(key) == NULL)
            return refuse(r, map, "a key that is no text", "");
        e = fn(r, text_of(key), key, value);
    }
    return e;
}

/* A path, relative to the directory of the file. */
static int read_path(struct reader *r, const yaml_node_t *at, const yaml_node_t *value, char **ret)
{
    const char *text = text_of(value);
    char *copy, *joined = NULL;

    if (text == NULL || text[0] == '\0')
        return refuse(r, at, "not a path", "");
    copy = strdup(r->path);
    if (copy == NULL || asprintf(&joined, "%s%s%s", text[0] == '/' ? "" : dirname(copy),
                                 text[0] == '/' ? "" : "/", text) < 0)
        joined = NULL;
    free(copy);
    if (joined == NULL)
        return -ENOMEM;
    free(*ret);
    *ret = joined;
    return 0;
}

static int read_auth(struct reader *r, const yaml_node_t *at, const yaml_node_t *value)
{
    static const struct {
        const char *name;
        enum wp_tls_auth auth;
    } rows[] = {
        {"", WP_TLS_AUTH_NONE},
        {"NoClientCert", WP_TLS_AUTH_NONE},
        {"RequestClientCert", WP_TLS_AUTH_REQUEST},
        {"RequireClientCert", WP_TLS_AUTH_REQUIRE},
        {"RequireAnyClientCert", WP_TLS_AUTH_REQUIRE},
        {"VerifyClientCertIfGiven", WP_TLS_AUTH_VERIFY_IF_GIVEN},
        {"RequireAndVerifyClientCert", WP_TLS_AUTH_REQUIRE_AND_VERIFY},
    };
    const char *text = text_of(value);

    for (size_t i = 0; text != NULL && i < WP_COUNT(rows); i++)
        if (strcmp(rows[i].name, text) == 0) {
            r->web->client_auth = rows[i].auth;
            return 0;
        }
    return refuse(r, at, "Invalid ClientAuth", text != NULL ? text : "");
}

static int tls_pair(struct reader *r, const char *key, const yaml_node_t *at,
                    const yaml_node_t *value)
{
    const char *text = text_of(value);

    r->web->has_tls = true;
    if (strcmp(key, "cert_file") == 0)
        return read_path(r, at, value, &r->web->cert);
    if (strcmp(key, "key_file") == 0)
        return read_path(r, at, value, &r->web->key);
    if (strcmp(key, "client_ca_file") == 0)
        return read_path(r, at, value, &r->web->ca);
    if (strcmp(key, "client_auth_type") == 0)
        return read_auth(r, at, value);
    if (strcmp(key, "min_version") == 0 && text != NULL && strcmp(text, "TLS12") == 0)
        return 0; /* what the TLS layer asks for anyway */
    if (strcmp(key, "max_version") == 0 && text != NULL && strcmp(text, "TLS13") == 0)
        return 0;
    return refuse(r, at, "not supported in tls_server_config", key);
}

static int header_pair(struct reader *r, const char *key, const yaml_node_t *at,
                       const yaml_node_t *value)
{
    static const char *const names[] = {"Content-Security-Policy", "Strict-Transport-Security",
                                        "X-Content-Type-Options", "X-Frame-Options",
                                        "X-XSS-Protection"};
    const char *text = text_of(value), *before = r->web->headers;
    char *all;
    size_t i = 0;

    while (i < WP_COUNT(names) && strcasecmp(names[i], key) != 0)
        i++;
    if (i == WP_COUNT(names))
        return refuse(r, at, "HTTP header can not be configured", key);
    if (text == NULL || strpbrk(text, "\r\n") != NULL)
        return refuse(r, at, "not a header value", key);
    if (asprintf(&all, "%s%s: %s\r\n", before != NULL ? before : "", names[i], text) < 0)
        return -ENOMEM;
    free(r->web->headers);
    r->web->headers = all;
    return 0;
}

static int http_pair(struct reader *r, const char *key, const yaml_node_t *at,
                     const yaml_node_t *value)
{
    const char *text = text_of(value);

    if (strcmp(key, "headers") == 0)
        return each_pair(r, value, header_pair);
    /* A permission, never a duty: this server speaks HTTP/1.1. */
    if (strcmp(key, "http2") == 0 && text != NULL &&
        (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
        return 0;
    return refuse(r, at, "not supported in http_server_config", key);
}

static int user_pair(struct reader *r, const char *key, const yaml_node_t *at,
                     const yaml_node_t *value)
{
    const char *hash = text_of(value);
    struct web_user *u = &r->web->users[r->web->n_users];

    if (r->web->n_users == WEB_USERS_MAX)
        return refuse(r, at, "too many users", key);
    if (hash == NULL || strlen(hash) != 60 || hash[0] != '$' || hash[1] != '2' || hash[3] != '$')
        return refuse(r, at, "not a bcrypt hash for user", key);
    r->web->n_users++;
    u->name = strdup(key);
    u->hash = strdup(hash);
    return u->name == NULL || u->hash == NULL ? -ENOMEM : 0;
}

static int top_pair(struct reader *r, const char *key, const yaml_node_t *at,
                    const yaml_node_t *value)
{
    if (strcmp(key, "tls_server_config") == 0)
        return each_pair(r, value, tls_pair);
    if (strcmp(key, "http_server_config") == 0)
        return each_pair(r, value, http_pair);
    if (strcmp(key, "basic_auth_users") == 0)
        return each_pair(r, value, user_pair);
    return refuse(r, at, "not supported", key);
}

static int read_document(struct reader *r, FILE *in)
{
    const yaml_node_t *root;
    yaml_parser_t parser;
    int e = WP_ECONFIG;

    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_input_file(&parser, in);
    if (!yaml_parser_load(&parser, &r->doc)) {
        snprintf(r->why, WEB_WHY_MAX, "%s:%zu: %s", r->path, parser.problem_mark.line + 1,
                 parser.problem != NULL ? parser.problem : "not YAML");
    } else {
        root = yaml_document_get_root_node(&r->doc);
        e = root != NULL ? each_pair(r, root, top_pair) : 0; /* an empty file asks for nothing */
        yaml_document_delete(&r->doc);
    }
    yaml_parser_delete(&parser);
    return e;
}

int wp_web_read(const char *path, char why[WEB_WHY_MAX], struct web *w)
{
    struct reader r = {.path = path, .why = why, .web = w};
    FILE *in = fopen(path, "re");
    int e;

    if (in == NULL) {
        e = -errno;
        snprintf(why, WEB_WHY_MAX, "open %s: %s", path,
                 e == -ENOENT ? "no such file or directory" : wp_strerror(e));
        return e;
    }
    snprintf(why, WEB_WHY_MAX, "%s: out of memory", path); /* unless something better is said */
    e = read_document(&r, in);
    fclose(in);
    if (e == 0 && w->has_tls && (w->cert == NULL || w->key == NULL)) {
        snprintf(why, WEB_WHY_MAX, "%s: missing %s", path,
                 w->cert == NULL ? "cert_file" : "key_file");
        e = WP_ECONFIG;
    }
    return e;
}
