#include <string.h>

#include "backends/etcd/command/health.h"
#include "waypost/base/text.h"

static bool is_port(const char *text)
{
    int64_t n;

    return text != NULL && wp_int_parse(text, 1, UINT16_MAX, &n) == 0;
}

/* "HOST:PORT", "[v6]:PORT", "HOST", "PORT" when `bare_port`. */
static int split(char *text, bool bare_port, struct etcd_health_config *c)
{
    char *colon = strrchr(text, ':');

    if (text[0] == '[') {
        char *end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':'))
            return WP_EMALFORMED;
        *end = '\0';
        c->host = text + 1;
        if (end[1] == ':')
            c->port = end + 2;
    } else if (colon != NULL && colon == strchr(text, ':')) {
        *colon = '\0';
        c->host = text;
        c->port = colon + 1;
    } else if (bare_port && is_port(text)) {
        c->port = text;
    } else {
        c->host = text;
    }
    return *c->host != '\0' && is_port(c->port) ? 0 : WP_EMALFORMED;
}

static int parse_http(const char *text, struct wp_arena *a, struct etcd_health_config *c)
{
    const char *slash;
    char *authority;

    if (strncmp(text, c->https ? "https://" : "http://", c->https ? 8 : 7) == 0)
        text = strchr(text, ':') + 1; /* the whole URL behind the word */
    if (strncmp(text, "//", 2) == 0) {
        text += 2;
        c->port = c->https ? "443" : "80";
    }
    slash = strchr(text, '/');
    c->path = slash != NULL ? slash : "/";
    authority = wp_arena_strndup(a, text, slash != NULL ? (size_t)(slash - text) : strlen(text));
    if (authority == NULL)
        return -ENOMEM;
    for (const char *s = text; *s != '\0'; s++) {
        if (*s <= ' ' || *s == 0x7f)
            return WP_EMALFORMED;
    }
    if (*authority == '\0') { /* the registered port, here */
        c->named = "localhost";
        return is_port(c->port) ? 0 : WP_EMALFORMED;
    }
    c->named = wp_arena_strdup(a, is_port(authority) ? "localhost" : authority);
    return c->named == NULL ? -ENOMEM : split(authority, true, c);
}

int etcd_health_parse(const char *text, const char *address, uint16_t port, struct wp_arena *a,
                      struct etcd_health_config *ret, const char **ret_why)
{
    struct etcd_health_config c = *ret;
    char *copy;
    int r = 0;

    *ret_why = "tcp:[HOST:]PORT, http:URL, https:URL or exec:COMMAND is wanted";
    c.host = "localhost";
    c.port = wp_arena_printf(a, "%u", port);
    copy = wp_arena_strdup(a, text);
    if (c.port == NULL || copy == NULL)
        return -ENOMEM;
    if (strcmp(text, "tcp") == 0) {
        c.kind = ETCD_HEALTH_TCP;
        c.host = address;
        r = port > 0 ? 0 : WP_EMALFORMED;
    } else if (strncmp(text, "tcp:", 4) == 0) {
        c.kind = ETCD_HEALTH_TCP;
        r = split(copy + 4, true, &c);
    } else if (strncmp(text, "http:", 5) == 0 || strncmp(text, "https:", 6) == 0) {
        c.kind = ETCD_HEALTH_HTTP;
        c.https = text[4] == 's';
        r = parse_http(strchr(copy, ':') + 1, a, &c);
    } else if (strncmp(text, "exec:", 5) == 0 && text[5] != '\0') {
        c.kind = ETCD_HEALTH_EXEC;
        c.command = copy + 5;
    } else {
        r = WP_EMALFORMED;
    }
    if (r == 0)
        *ret = c;
    return r;
}
