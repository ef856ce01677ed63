/* The server's URL, in which Go's client sees more than one form. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "backends/common/url.h"
#include "backends/kubernetes/access_priv.h"

int wp_kube_say(char why[WP_KUBE_WHY], const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(why, WP_KUBE_WHY, fmt, args);
    va_end(args);
    return WP_ECONFIG;
}

int wp_kube_basic(struct wp_kube_access *a, const char *user, const char *password)
{
    a->basic = wp_basic_auth(&a->arena, user, password);
    return a->basic != NULL ? 0 : -ENOMEM;
}

/* As Go's client reads it: without a scheme it is https when there is anything of TLS, and then
 * there may be no path. */
int wp_kube_url(struct wp_kube_access *a, const char *server, char why[WP_KUBE_WHY])
{
    const struct wp_kubeconfig *k = &a->k;
    bool has_tls = k->ca_file || k->ca_pem || k->cert_file || k->cert_pem || k->insecure;
    const char *sep = strstr(server, "://"), *host = sep != NULL ? sep + 3 : server, *at;
    size_t len = strcspn(host, "/?#"), path_len;

    if (sep != NULL && (sep - server != 5 || strncasecmp(server, "https", 5) != 0) &&
        (sep - server != 4 || strncasecmp(server, "http", 4) != 0))
        return wp_kube_say(why, "unsupported protocol scheme \"%.*s\"",
                           (int)(sep - server > 60 ? 60 : sep - server), server);
    a->secure = sep != NULL ? sep - server == 5 : has_tls;
    path_len = strcspn(host + len, "?#");
    while (path_len > 0 && host[len + path_len - 1] == '/')
        path_len--;
    at = memrchr(host, '@', len);
    if (at != NULL && sep != NULL) {
        a->basic = wp_url_auth(&a->arena, host, (size_t)(at - host));
        if (a->basic == NULL)
            return -ENOMEM;
        len -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    if (!wp_url_is_host(host, len) || (sep == NULL && path_len > 0))
        return wp_kube_say(
            why,
            "failed to create kubernetes notification controller: \"host must be a URL or a "
            "host:port pair: \\\"%.200s\\\"\"",
            sep != NULL && at != NULL ? host : server);
    for (const char *p = host + len; p < host + len + path_len; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f)
            return wp_kube_say(
                why, "failed to create kubernetes notification controller: \"invalid character in "
                     "host name\"");
    a->host = wp_arena_strndup(&a->arena, host, len);
    a->base = wp_arena_printf(&a->arena, "http%s://%.*s", a->secure ? "s" : "",
                              (int)(len + path_len), host);
    return a->host != NULL && a->base != NULL ? 0 : -ENOMEM;
}
