#include "backends/kubernetes/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/common/secret_file.h"
#include "backends/kubernetes/access_priv.h"
#include "waypost/plugin/log.h"

static const uint64_t S = 1000000000u;

/* --- what stands in files ------------------------------------------------------------------ */

static bool is_due(const struct wp_kube_file *f, uint64_t now_ns, unsigned after_s)
{
    return f->path != NULL && (f->read_ns == 0 || now_ns - f->read_ns >= after_s * S);
}

static void complain(struct wp_kube_file *f, const char *what, const char *why)
{
    if (!f->told)
        wp_log(WP_ERROR, "kubernetes", "%s %s: %s, keeping what it held before", what, f->path,
               why);
    f->told = true;
}

/* *ret: what the file holds now, if it is good and something else than before, else NULL. */
static int look(struct wp_kube_file *f, uint64_t now_ns, size_t max, const char *what,
                const char *(*flaw)(const char *text), char **ret)
{
    char buf[80], *text;
    const char *why;
    int r = wp_secret_file_read(f->path, max, &text);

    *ret = NULL;
    if (r == -ENOMEM)
        return r;
    f->read_ns = now_ns;
    if (r < 0) {
        complain(f, what, wp_errno_words(r, buf));
        return 0;
    }
    why = flaw(text);
    if (why != NULL)
        complain(f, what, why);
    else
        f->told = false;
    if (why != NULL || (f->text != NULL && strcmp(text, f->text) == 0))
        free(text);
    else
        *ret = text;
    return 0;
}

static void replace(struct wp_kube_file *f, char *text)
{
    if (text == NULL)
        return;
    free(f->text);
    f->text = text;
}

static const char *token_flaw(const char *text)
{
    const char *end = text + strlen(text);

    while (end > text && strchr(" \t\r\n", end[-1]) != NULL)
        end--;
    text += strspn(text, " \t\r\n");
    if (text >= end)
        return "no token in it";
    for (; text < end; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return "a control character in the token";
    return NULL;
}

static const char *ca_flaw(const char *text)
{
    return wp_pem_has(text, "CERTIFICATE") ? NULL : "no certificate in it";
}

static const char *key_flaw(const char *text)
{
    return wp_pem_has(text, "KEY") ? NULL : "no key in it";
}

static int make_bearer(struct wp_kube_access *a, const char *token)
{
    size_t len;
    char *made;

    token += strspn(token, " \t\r\n");
    len = strlen(token);
    while (len > 0 && strchr(" \t\r\n", token[len - 1]) != NULL)
        len--;
    if (asprintf(&made, "Bearer %.*s", (int)len, token) < 0)
        return -ENOMEM;
    free(a->bearer);
    a->bearer = made;
    return 0;
}

static int refresh_token(struct wp_kube_access *a, uint64_t now_ns)
{
    char *text;
    int r;

    if (is_due(&a->token, now_ns, WP_KUBE_TOKEN_S)) {
        r = look(&a->token, now_ns, WP_KUBE_TOKEN_MAX, "token file", token_flaw, &text);
        if (r < 0)
            return r;
        replace(&a->token, text);
        if (text != NULL)
            return make_bearer(a, text);
    }
    if (a->bearer == NULL && a->k.token != NULL)
        return make_bearer(a, a->k.token);
    return 0;
}

static int refresh_ca(struct wp_kube_access *a, uint64_t now_ns)
{
    char *text;
    int r;

    if (!is_due(&a->ca, now_ns, WP_KUBE_TLS_S))
        return 0;
    r = look(&a->ca, now_ns, WP_KUBE_PEM_MAX, "CA file", ca_flaw, &text);
    if (r < 0 || text == NULL)
        return r;
    replace(&a->ca, text);
    a->generation++;
    return 0;
}

/* Certificate and key go together: neither is taken without the other being good. */
static int refresh_pair(struct wp_kube_access *a, uint64_t now_ns)
{
    char *cert = NULL, *key = NULL;
    int r = 0;

    if (!is_due(&a->cert, now_ns, WP_KUBE_TLS_S) && !is_due(&a->key, now_ns, WP_KUBE_TLS_S))
        return 0;
    if (a->cert.path != NULL)
        r = look(&a->cert, now_ns, WP_KUBE_PEM_MAX, "client certificate", ca_flaw, &cert);
    if (r == 0 && a->key.path != NULL)
        r = look(&a->key, now_ns, WP_KUBE_PEM_MAX, "client key", key_flaw, &key);
    if (r < 0 || a->cert.told || a->key.told || (cert == NULL && key == NULL)) {
        free(cert);
        free(key);
        return r;
    }
    replace(&a->cert, cert);
    replace(&a->key, key);
    a->generation++;
    return 0;
}

/* --- requests ------------------------------------------------------------------------------ */

static void make_tls(struct wp_kube_access *a)
{
    a->tls = (struct wp_httpc_tls){
        .ca_pem = a->ca.text != NULL ? a->ca.text : a->k.ca_pem,
        .cert_pem = a->cert.text != NULL ? a->cert.text : a->k.cert_pem,
        .key_pem = a->key.text != NULL ? a->key.text : a->k.key_pem,
        .server_name = a->k.server_name,
        .insecure = a->k.insecure,
    };
}

/* In one piece: those of the request, Authorization, the fixed ones. */
static void put_headers(struct wp_kube_access *a, const struct wp_httpc_header *more, size_t n_more,
                        struct wp_httpc_request *ret)
{
    const char *authorization = a->bearer != NULL ? a->bearer : a->basic;
    struct wp_httpc_header *at = a->headers + WP_KUBE_HEADERS_MAX + 1;

    ret->n_headers = a->n_fixed + n_more;
    if (authorization != NULL) {
        *--at = (struct wp_httpc_header){"Authorization", authorization};
        ret->n_headers++;
    }
    at -= n_more;
    if (n_more > 0)
        memcpy(at, more, n_more * sizeof(*more));
    ret->headers = at;
}

int wp_kube_access_next(struct wp_kube_access *a, uint64_t now_ns,
                        const struct wp_httpc_header *more, size_t n_more,
                        struct wp_httpc_request *ret)
{
    int r = refresh_token(a, now_ns);

    if (r == 0 && a->secure)
        r = refresh_ca(a, now_ns);
    if (r == 0 && a->secure)
        r = refresh_pair(a, now_ns);
    if (r < 0)
        return r;
    make_tls(a);
    put_headers(a, more, n_more < WP_KUBE_HEADERS_MAX ? n_more : WP_KUBE_HEADERS_MAX, ret);
    ret->tls = a->secure ? &a->tls : NULL;
    ret->proxy = a->proxy;
    ret->proxy_env = a->proxy == NULL;
    ret->gzip = !a->k.no_compression;
    return 0;
}

void wp_kube_access_unauthorized(struct wp_kube_access *a)
{
    a->token.read_ns = 0;
}

void wp_kube_access_tls_failed(struct wp_kube_access *a)
{
    a->ca.read_ns = a->cert.read_ns = a->key.read_ns = 0;
}

unsigned wp_kube_access_generation(const struct wp_kube_access *a)
{
    return a->generation;
}

const char *wp_kube_access_base(const struct wp_kube_access *a)
{
    return a->base;
}

const char *wp_kube_access_host(const struct wp_kube_access *a)
{
    return a->host;
}

void wp_kube_access_free(struct wp_kube_access *a)
{
    if (a == NULL)
        return;
    free(a->token.text);
    free(a->ca.text);
    free(a->cert.text);
    free(a->key.text);
    free(a->bearer);
    wp_arena_done(&a->arena);
    free(a);
}
