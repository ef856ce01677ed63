/* Where credentials come from, and whether they can be good: told in CoreDNS's words. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/common/secret_file.h"
#include "backends/kubernetes/access_priv.h"

struct opening {
    struct wp_kube_access *a;
    const struct wp_kube_source *source;
    uint64_t now_ns;
    char *why;
    char flaws[WP_KUBE_WHY - 40]; /* of a configuration, ", " between them */
    unsigned n_flaws;
};

static void flaw(struct opening *o, const char *fmt, ...) WP_PRINTF(2, 3);
static void flaw(struct opening *o, const char *fmt, ...)
{
    size_t len = strlen(o->flaws);
    va_list args;

    if (o->n_flaws++ > 0)
        len += (size_t)snprintf(o->flaws + len, sizeof(o->flaws) - len, ", ");
    if (len >= sizeof(o->flaws))
        return;
    va_start(args, fmt);
    vsnprintf(o->flaws + len, sizeof(o->flaws) - len, fmt, args);
    va_end(args);
}

/* --- what a configuration must fulfil ------------------------------------------------------- */

/* What the file holds; a flaw if it cannot be read. */
static int read_now(struct opening *o, struct wp_kube_file *f, const char *path, const char *what,
                    const char *whose)
{
    char buf[80];
    int r;

    if (path == NULL)
        return 0;
    f->path = path;
    f->read_ns = o->now_ns;
    r = wp_secret_file_read(path, WP_KUBE_PEM_MAX, &f->text);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        flaw(o, "unable to read %s %.160s for %.60s due to open %.160s: %s", what, path, whose,
             path, wp_errno_words(r, buf));
    return 0;
}

static void check_ways(struct opening *o, const struct wp_kubeconfig *k)
{
    bool basic = k->username != NULL || k->password != NULL;

    if (k->token != NULL && basic)
        flaw(o,
             "more than one authentication method found for %.60s; found [token basicAuth], only "
             "one "
             "is allowed",
             k->user_name);
    if (k->as == NULL && (k->as_uid != NULL || k->n_groups > 0 || k->n_extra > 0))
        flaw(o, "requesting uid, groups or user-extra for %.60s without impersonating a user",
             k->user_name);
}

static int check_user(struct opening *o, const struct wp_kubeconfig *k)
{
    int r = 0;

    if (k->cert_file != NULL || k->cert_pem != NULL) {
        if (k->cert_file != NULL && k->cert_pem != NULL)
            flaw(o,
                 "client-cert-data and client-cert are both specified for %.60s. client-cert-data "
                 "will override.",
                 k->user_name);
        if (k->key_file != NULL && k->key_pem != NULL)
            flaw(
                o,
                "client-key-data and client-key are both specified for %.60s; client-key-data will "
                "override",
                k->user_name);
        if (k->key_file == NULL && k->key_pem == NULL)
            flaw(o,
                 "client-key-data or client-key must be specified for %.60s to use the clientCert "
                 "authentication method.",
                 k->user_name);
        r = read_now(o, &o->a->cert, k->cert_file, "client-cert", k->user_name);
        if (r == 0)
            r = read_now(o, &o->a->key, k->key_file, "client-key", k->user_name);
    }
    check_ways(o, k);
    return r;
}

static bool is_proxy(const char *url)
{
    static const char *const kinds[] = {"http://", "https://", "socks5://"};

    for (size_t i = 0; i < WP_COUNT(kinds); i++)
        if (strncmp(url, kinds[i], strlen(kinds[i])) == 0)
            return true;
    return false;
}

static int check_cluster(struct opening *o, const struct wp_kubeconfig *k)
{
    if (k->server == NULL)
        flaw(o, "no server found for cluster \"%.60s\"", k->cluster_name);
    if (k->proxy_url != NULL && !is_proxy(k->proxy_url))
        flaw(o,
             "invalid 'proxy-url' for cluster \"%.60s\": unsupported scheme, must be http, https, "
             "or "
             "socks5",
             k->cluster_name);
    if (k->ca_file != NULL && k->ca_pem != NULL)
        flaw(o,
             "certificate-authority-data and certificate-authority are both specified for %.60s. "
             "certificate-authority-data will override.",
             k->cluster_name);
    return read_now(o, &o->a->ca, k->ca_file, "certificate-authority", k->cluster_name);
}

/* An empty file of CAs trusts nobody; one with something else in it is a mistake. */
static int check_pem(struct opening *o)
{
    const struct wp_kube_access *a = o->a;
    const char *ca = a->ca.text != NULL ? a->ca.text : a->k.ca_pem;
    const char *cert = a->cert.text != NULL ? a->cert.text : a->k.cert_pem;
    const char *key = a->key.text != NULL ? a->key.text : a->k.key_pem, *what = NULL;

    if (!a->secure)
        return 0;
    if (a->k.insecure && ca != NULL)
        what = "specifying a root certificates file with the insecure flag is not allowed";
    else if (ca != NULL && ca[0] != '\0' && !wp_pem_has(ca, "CERTIFICATE"))
        what = "unable to load root certificates: unable to parse bytes as PEM block";
    else if (cert != NULL && !wp_pem_has(cert, "CERTIFICATE"))
        what = "tls: failed to find any PEM data in certificate input";
    else if (cert != NULL && !wp_pem_has(key, "KEY"))
        what = "tls: failed to find any PEM data in key input";
    return what == NULL
               ? 0
               : wp_kube_say(o->why, "failed to create kubernetes notification controller: \"%s\"",
                             what);
}

static int check_config(struct opening *o)
{
    const struct wp_kubeconfig *k = &o->a->k;
    int r = check_user(o, k);

    if (r == 0)
        r = check_cluster(o, k);
    if (r == 0 && o->n_flaws > 0)
        r = wp_kube_say(
            o->why, o->n_flaws > 1 ? "invalid configuration: [%s]" : "invalid configuration: %s",
            o->flaws);
    if (r == 0)
        r = wp_kube_url(o->a, k->server, o->why);
    return r == 0 ? check_pem(o) : r;
}

/* --- headers and proxy ---------------------------------------------------------------------- */

/* "Impersonate-Extra-" and the key, in which what no header's name may hold stands as %XX. */
static char *extra_name(struct wp_arena *arena, const char *key)
{
    static const char legal[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&'*+-.^_`|~";
    static const char prefix[] = "Impersonate-Extra-";
    char *name = wp_arena_alloc(arena, sizeof(prefix) + 3 * strlen(key)), *to = name;

    if (name == NULL)
        return NULL;
    to += sprintf(to, "%s", prefix);
    for (; *key != '\0'; key++)
        to += strchr(legal, *key) != NULL ? sprintf(to, "%c", *key)
                                          : sprintf(to, "%%%02X", (uint8_t)*key);
    return name;
}

static bool is_value(const char *s)
{
    for (; *s != '\0'; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

static int add_fixed(struct opening *o, const char *name, const char *value)
{
    struct wp_kube_access *a = o->a;

    if (value == NULL)
        return 0;
    if (name == NULL)
        return -ENOMEM;
    if (!is_value(value))
        return wp_kube_say(o->why, "invalid configuration: control character in the value of %.60s",
                           name);
    a->headers[WP_KUBE_HEADERS_MAX + 1 + a->n_fixed++] = (struct wp_httpc_header){name, value};
    return 0;
}

static int make_headers(struct opening *o)
{
    struct wp_kube_access *a = o->a;
    const struct wp_kubeconfig *k = &a->k;
    int r;

    a->headers = wp_arena_array(&a->arena, WP_KUBE_HEADERS_MAX + 1 + 2 + k->n_groups + k->n_extra,
                                sizeof(*a->headers));
    if (a->headers == NULL)
        return -ENOMEM;
    r = add_fixed(o, "Impersonate-User", k->as);
    if (r == 0)
        r = add_fixed(o, "Impersonate-Uid", k->as_uid);
    for (size_t i = 0; r == 0 && i < k->n_groups; i++)
        r = add_fixed(o, "Impersonate-Group", k->groups[i]);
    for (size_t i = 0; r == 0 && i < k->n_extra; i++)
        r = add_fixed(o, extra_name(&a->arena, k->extra[i].name), k->extra[i].value);
    if (r == 0 && k->token != NULL && !is_value(k->token))
        r = wp_kube_say(o->why, "invalid configuration: control character in the token of %.60s",
                        k->user_name);
    if (r == 0 && (k->username != NULL || k->password != NULL))
        r = wp_kube_basic(a, k->username != NULL ? k->username : "",
                          k->password != NULL ? k->password : "");
    return r;
}

/* Names are looked up by a SOCKS proxy, as Go's client has it. */
static int make_proxy(struct wp_kube_access *a)
{
    static const char socks[] = "socks5://";
    const char *url = a->k.proxy_url;

    a->proxy = url;
    if (url != NULL && strncmp(url, socks, sizeof(socks) - 1) == 0)
        a->proxy = wp_arena_printf(&a->arena, "socks5h://%s", url + sizeof(socks) - 1);
    return url != NULL && a->proxy == NULL ? -ENOMEM : 0;
}

/* --- the three sources ---------------------------------------------------------------------- */

static int open_account(struct opening *o)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    const char *dir = o->source->account_dir != NULL ? o->source->account_dir : WP_KUBE_ACCOUNT_DIR;
    struct wp_kube_access *a = o->a;
    char *text, buf[80];
    int r;

    if (host == NULL || host[0] == '\0' || port == NULL || port[0] == '\0')
        return wp_kube_say(o->why,
                           "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and "
                           "KUBERNETES_SERVICE_PORT must be defined");
    a->k.token_file = wp_arena_printf(&a->arena, "%s/token", dir);
    a->ca.path = wp_arena_printf(&a->arena, "%s/ca.crt", dir);
    a->k.server = wp_arena_printf(
        &a->arena, strchr(host, ':') != NULL ? "https://[%s]:%s" : "https://%s:%s", host, port);
    if (a->k.token_file == NULL || a->ca.path == NULL || a->k.server == NULL)
        return -ENOMEM;
    r = wp_secret_file_read(a->k.token_file, WP_KUBE_TOKEN_MAX, &text);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return wp_kube_say(o->why, "open %.300s: %s", a->k.token_file, wp_errno_words(r, buf));
    free(text); /* each request looks at its age */
    return wp_kube_url(a, a->k.server,
                       o->why); /* the CA file is read with the first request, like a changed one */
}

static bool has_account(const struct wp_kube_source *s)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    char path[4096];
    struct stat st;

    snprintf(path, sizeof(path), "%.4000s/token",
             s->account_dir != NULL ? s->account_dir : WP_KUBE_ACCOUNT_DIR);
    return host != NULL && host[0] != '\0' && port != NULL && port[0] != '\0' &&
           stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

static int open_kubeconfig(struct opening *o)
{
    const char *path = o->source->kubeconfig;
    char *text, buf[80];
    int r = wp_secret_file_read(path, WP_KUBECONFIG_MAX, &text);

    if (r == -ENOENT)
        return wp_kube_say(o->why, "stat %.300s: no such file or directory", path);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return wp_kube_say(o->why, "error loading config file \"%.300s\": %s %.120s: %s", path,
                           r == -EISDIR ? "read" : "open", path, wp_errno_words(r, buf));
    r = wp_kubeconfig_parse(text, strlen(text), path, o->source->context, &o->a->arena, o->why,
                            &o->a->k);
    free(text);
    if (r == WP_ENOTFOUND)
        return has_account(o->source) ? open_account(o) : WP_ECONFIG;
    return r < 0 ? r : check_config(o);
}

/* The Corefile's words go with its generation; this may live longer. */
static const char *copy(struct opening *o, const char *s, bool *failed)
{
    const char *mine = s != NULL ? wp_arena_strdup(&o->a->arena, s) : NULL;

    *failed |= s != NULL && mine == NULL;
    return mine;
}

static int open_endpoint(struct opening *o)
{
    const struct wp_kube_source *s = o->source;
    bool failed = false;

    o->a->k = (struct wp_kubeconfig){.cluster_name = "",
                                     .user_name = "",
                                     .server = copy(o, s->endpoint, &failed),
                                     .ca_file = copy(o, s->ca, &failed),
                                     .cert_file = copy(o, s->cert, &failed),
                                     .key_file = copy(o, s->key, &failed)};
    return failed ? -ENOMEM : check_config(o);
}

int wp_kube_access_new(const struct wp_kube_source *source, uint64_t now_ns, char why[WP_KUBE_WHY],
                       struct wp_kube_access **ret)
{
    struct wp_kube_access *a = calloc(1, sizeof(*a));
    struct opening o = {.a = a, .source = source, .now_ns = now_ns, .why = why};
    int r;

    snprintf(why, WP_KUBE_WHY, "out of memory");
    if (a == NULL)
        return -ENOMEM;
    wp_arena_init(&a->arena, 0);
    r = source->kubeconfig != NULL ? open_kubeconfig(&o)
        : source->endpoint != NULL ? open_endpoint(&o)
                                   : open_account(&o);
    if (r == 0)
        r = make_proxy(a);
    if (r == 0)
        r = make_headers(&o);
    if (r < 0) {
        wp_kube_access_free(a);
        return r;
    }
    a->token.path = a->k.token_file;
    *ret = a;
    return 0;
}
