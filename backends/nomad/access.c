#include "backends/nomad/access.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/nomad/access_priv.h"

const char *wp_nomad_access_identity(const struct wp_nomad_access *a)
{
    return a->identity;
}

unsigned wp_nomad_access_n(const struct wp_nomad_access *a)
{
    return a->n;
}

const char *wp_nomad_access_name(const struct wp_nomad_access *a, unsigned agent)
{
    return a->agents[agent].name;
}

static bool is_secure(const struct wp_nomad_access *a)
{
    bool secure = false;

    for (unsigned i = 0; i < a->n; i++)
        secure |= a->agents[i].secure;
    return secure;
}

/* All files; those of TLS only where there is TLS. Each change counts. */
static int look_at_files(struct wp_nomad_access *a, bool now, char why[256])
{
    int token = wp_nomad_file_look(&a->token_file, now, why), ca = 0, pair = 0;

    if (token >= 0 && is_secure(a))
        ca = wp_nomad_file_look(&a->ca, now, why);
    if (token >= 0 && ca >= 0 && is_secure(a))
        pair = wp_nomad_pair_look(&a->cert, &a->key, now, why);
    if (token > 0 || ca > 0 || pair > 0)
        a->generation++;
    return token < 0 ? token : ca < 0 ? ca : pair < 0 ? pair : 0;
}

unsigned wp_nomad_access_generation(struct wp_nomad_access *a, uint64_t now_ns, bool now)
{
    char why[256];

    if (!now && now_ns - a->looked_ns < WP_NOMAD_FILES_MS * UINT64_C(1000000))
        return a->generation;
    a->looked_ns = now_ns;
    if (look_at_files(a, now, why) < 0)
        return a->generation; /* the next request tells why */
    return a->generation;
}

static bool is_missing(const struct wp_nomad_file *f)
{
    return f->path != NULL && f->text == NULL;
}

static bool has_param(const char *path, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = strpbrk(path, "?&"); p != NULL; p = strpbrk(p + 1, "?&"))
        if (strncmp(p + 1, name, len) == 0 && p[1 + len] == '=')
            return true;
    return false;
}

static char *make_url(const struct wp_nomad_access *a, const struct wp_nomad_agent *agent,
                      const char *path)
{
    const char *region = a->region_param,
               *ns = has_param(path, "namespace") ? "" : a->ns_param;
    const char *first = strchr(path, '?') != NULL ? "&" : "?";
    const char *second = region[0] != '\0' ? "&" : first;
    char *url;

    return asprintf(&url, "%s%s%s%s%s%s", agent->base, path, region[0] != '\0' ? first : "", region,
                    ns[0] != '\0' ? second : "", ns) >= 0
               ? url
               : NULL;
}

static void make_tls(struct wp_nomad_access *a)
{
    a->tls = (struct wp_httpc_tls){
        .ca_pem = a->ca.text,
        .cert_pem = a->cert.text,
        .key_pem = a->key.text,
        .server_name = a->server_name,
        .insecure = a->insecure,
    };
}

int wp_nomad_access_request(struct wp_nomad_access *a, unsigned agent, const char *path_and_query,
                            struct wp_httpc_request *r, char why[256])
{
    const struct wp_nomad_agent *g = &a->agents[agent];
    const char *token;
    char *url;

    if (is_missing(&a->token_file) ||
        (is_secure(a) && (is_missing(&a->ca) || is_missing(&a->cert) || is_missing(&a->key)))) {
        int err = look_at_files(a, false, why);
        if (err < 0)
            return err;
    }
    url = make_url(a, g, path_and_query);
    if (url == NULL)
        return -ENOMEM;
    free(a->url);
    r->url = a->url = url;
    token = a->token_file.path != NULL ? a->token_file.text : a->token;
    r->headers = a->headers;
    r->n_headers = 0;
    if (token != NULL)
        a->headers[r->n_headers++] = (struct wp_httpc_header){"X-Nomad-Token", token};
    if (g->basic != NULL)
        a->headers[r->n_headers++] = (struct wp_httpc_header){"Authorization", g->basic};
    make_tls(a);
    r->tls = g->secure ? &a->tls : NULL;
    r->unix_path = g->unix_path;
    r->proxy = NULL;
    r->proxy_env = g->unix_path == NULL;
    r->http1 = r->gzip = true;
    return 0;
}

static void file_done(struct wp_nomad_file *f)
{
    free(f->text);
}

void wp_nomad_access_free(struct wp_nomad_access *a)
{
    if (a == NULL)
        return;
    file_done(&a->token_file);
    file_done(&a->ca);
    file_done(&a->cert);
    file_done(&a->key);
    free(a->url);
    free(a->identity);
    wp_arena_done(&a->arena);
    free(a);
}
