/* The server's URL, in which Go's client sees more than one form. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "backends/kubernetes/access_priv.h"
#include "waypost/base/text.h"

int wp_kube_say(char why[WP_KUBE_WHY], const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(why, WP_KUBE_WHY, fmt, args);
    va_end(args);
    return WP_ECONFIG;
}

static bool is_host(const char *s, size_t len)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]%";
    const char *port;
    int64_t n;

    for (size_t i = 0; i < len; i++)
        if (strchr(letters, s[i]) == NULL || s[i] == '\0')
            return false;
    if (len > 0 && s[0] == '[') {
        port = memchr(s, ']', len);
        if (port == NULL || (port + 1 < s + len && port[1] != ':'))
            return false;
        port++;
    } else {
        port = memchr(s, ':', len);
    }
    if (port == NULL || port == s + len)
        return len > 0;
    char digits[8] = "";
    if ((size_t)(s + len - port) > sizeof(digits))
        return false;
    memcpy(digits, port + 1, (size_t)(s + len - port) - 1);
    return port > s && wp_int_parse(digits, 1, 65535, &n) == 0 && digits[0] != '+';
}

static int hex(char c)
{
    c = (char)wp_lower((uint8_t)c);
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int wp_kube_basic(struct wp_kube_access *a, const char *user, const char *password)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *in = wp_arena_printf(&a->arena, "%s:%s", user, password);
    size_t len = in != NULL ? strlen(in) : 0;
    char *out = wp_arena_alloc(&a->arena, 6 + (len + 2) / 3 * 4 + 1), *at;

    if (in == NULL || out == NULL)
        return -ENOMEM;
    memcpy(out, "Basic ", 6);
    at = out + 6;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)(uint8_t)in[i] << 16 |
                        (n > 1 ? (uint32_t)(uint8_t)in[i + 1] << 8 : 0) |
                        (n > 2 ? (uint8_t)in[i + 2] : 0u);
        for (size_t j = 0; j < 4; j++)
            *at++ = j <= n ? digits[bits >> (18 - 6 * j) & 63] : '=';
    }
    *at = '\0';
    a->basic = out;
    return 0;
}

/* "user:password" of the URL, percent-encoded: it becomes a header, so that no text names it. */
static int take_user(struct wp_kube_access *a, const char *s, size_t len)
{
    char *text = wp_arena_strndup(&a->arena, s, len), *to = text, *colon;

    if (text == NULL)
        return -ENOMEM;
    colon = strchr(text, ':');
    if (colon != NULL)
        *colon = '\0';
    for (const char *p = text; p < text + len; p++) {
        int high = *p == '%' && p + 2 < text + len ? hex(p[1]) : -1;
        int low = high >= 0 ? hex(p[2]) : -1;
        *to++ = low >= 0 ? (char)(high << 4 | low) : *p;
        p += low >= 0 ? 2 : 0;
    }
    *to = '\0';
    return wp_kube_basic(a, text, colon != NULL ? text + strlen(text) + 1 : "");
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
        if (take_user(a, host, (size_t)(at - host)) < 0)
            return -ENOMEM;
        len -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    if (!is_host(host, len) || (sep == NULL && path_len > 0))
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
