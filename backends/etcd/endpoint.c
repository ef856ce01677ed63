#include "backends/etcd/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "waypost/base/text.h"

enum { PORT = 2379 };

static const struct {
    const char *prefix;
    enum wp_etcd_scheme scheme;
    bool is_path;
} schemes[] = {
    {"http://", WP_ETCD_PLAIN, false}, {"https://", WP_ETCD_SECURE, false},
    {"unix://", WP_ETCD_EITHER, true}, {"unixs://", WP_ETCD_SECURE, true},
    {"unix:", WP_ETCD_EITHER, true},   {"unixs:", WP_ETCD_SECURE, true},
};

/* "host", "host:port", "[v6]:port", "v6": where the host ends and the port begins. */
static int split_port(const char *s, const char **ret_host, size_t *ret_len, const char **ret_port)
{
    const char *colon = strchr(s, ':');

    *ret_port = NULL;
    *ret_host = s;
    if (*s == '[') {
        const char *end = strchr(s, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':'))
            return WP_EMALFORMED;
        *ret_host = s + 1;
        *ret_len = (size_t)(end - s) - 1;
        *ret_port = end[1] == ':' ? end + 2 : NULL;
        return 0;
    }
    if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        *ret_len = (size_t)(colon - s);
        *ret_port = colon + 1;
    } else {
        *ret_len = strlen(s);
    }
    return 0;
}

static int parse_host(const char *s, struct wp_arena *a, const char **ret_target,
                      const char **ret_why)
{
    struct in6_addr addr;
    const char *host, *port;
    char *name;
    size_t len;
    int64_t number = PORT;

    *ret_why = "not of the form HOST:PORT";
    if (split_port(s, &host, &len, &port) < 0 || len == 0)
        return WP_EMALFORMED;
    *ret_why = "the port must be within 1..65535";
    if (port != NULL && wp_int_parse(port, 1, 65535, &number) < 0)
        return WP_EMALFORMED;
    name = wp_arena_strndup(a, host, len);
    if (name == NULL)
        return -ENOMEM;
    *ret_target = inet_pton(AF_INET, name, &addr) == 1
                      ? wp_arena_printf(a, "ipv4:%s:%d", name, (int)number)
                  : inet_pton(AF_INET6, name, &addr) == 1
                      ? wp_arena_printf(a, "ipv6:%%5B%s%%5D:%d", name, (int)number)
                      : wp_arena_printf(a, "dns:///%s:%d", name, (int)number);
    return *ret_target == NULL ? -ENOMEM : 0;
}

const char *wp_etcd_endpoint_bare(const char *text, struct wp_arena *a)
{
    const char *scheme = strstr(text, "://");
    size_t begin = scheme != NULL ? (size_t)(scheme - text) + 3 : 0;
    const char *at = strrchr(text + begin, '@'), *comma = strchr(text, ',');

    if (strncmp(text, "unix", 4) == 0)
        return wp_arena_strdup(a, text);
    if (comma != NULL && at != NULL) /* a list, which is none */
        return wp_arena_printf(a, "%.*s,", (int)begin, text);
    if (at == NULL)
        return wp_arena_strdup(a, text);
    return wp_arena_printf(a, "%.*s%s", (int)begin, text, at + 1);
}

int wp_etcd_endpoint_parse(const char *text, struct wp_arena *a, struct wp_etcd_endpoint *ret,
                           const char **ret_why)
{
    struct wp_etcd_endpoint e = {.scheme = WP_ETCD_EITHER};
    const char *rest;
    bool is_path = false;
    char *host;
    int r;

    text = wp_etcd_endpoint_bare(text, a);
    if (text == NULL)
        return -ENOMEM;
    e.text = rest = text;
    *ret_why = "several endpoints are separated by blanks, not by commas";
    if (strchr(text, ',') != NULL)
        return WP_EMALFORMED;
    for (size_t i = 0; i < WP_COUNT(schemes) && rest == text; i++) {
        size_t n = strlen(schemes[i].prefix);
        if (strncmp(text, schemes[i].prefix, n) != 0)
            continue;
        rest = text + n;
        e.scheme = schemes[i].scheme;
        is_path = schemes[i].is_path;
    }
    *ret_why = "not an http, https or unix endpoint";
    if (rest == text && strstr(text, "://") != NULL)
        return WP_EMALFORMED;
    if (is_path) {
        *ret_why = "no path";
        if (*rest == '\0')
            return WP_EMALFORMED;
        e.target = wp_arena_printf(a, "unix:%s", rest);
        r = e.target == NULL ? -ENOMEM : 0;
    } else {
        host = wp_arena_strndup(a, rest, strcspn(rest, "/"));
        if (host == NULL)
            return -ENOMEM;
        r = parse_host(host, a, &e.target, ret_why);
    }
    if (r == 0)
        *ret = e;
    return r;
}
