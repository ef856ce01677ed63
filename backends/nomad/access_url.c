/* Addresses of agents. */
#include <stdarg.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "backends/common/url.h"
#include "backends/nomad/access_priv.h"

int wp_nomad_say(char why[256], const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(why, 256, fmt, args);
    va_end(args);
    return WP_ECONFIG;
}

/* The address without user and password, which may stand in it however wrong the rest is. */
static int refuse(char why[256], const char *address, const char *flaw)
{
    const char *sep = strstr(address, "://"), *from = sep != NULL ? sep + 3 : address;
    const char *at = strrchr(from, '@');

    if (at == NULL)
        return wp_nomad_say(why, "invalid address '%.120s': %s", address, flaw);
    return wp_nomad_say(why, "invalid address '%.*s***%.90s': %s",
                        (int)(from - address < 20 ? from - address : 20), address, at, flaw);
}

/* "unix:///secrets/api.sock": what stands between the second and the third slash would be a host. */
static int unix_url(struct wp_nomad_access *a, const char *address, char why[256],
                    struct wp_nomad_agent *ret)
{
    const char *path = address + strlen("unix:");

    if (strncmp(path, "//", 2) == 0)
        path += 2;
    if (path[0] != '/' || path[1] == '\0')
        return refuse(why, address, "no path of a socket: unix:///PATH");
    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return refuse(why, address, "the path is too long for a socket");
    ret->unix_path = wp_arena_strdup(&a->arena, path);
    ret->name = wp_arena_printf(&a->arena, "unix://%s", path);
    ret->base = "http://127.0.0.1";
    return ret->unix_path != NULL && ret->name != NULL ? 0 : -ENOMEM;
}

int wp_nomad_url(struct wp_nomad_access *a, const char *address, char why[256],
                 struct wp_nomad_agent *ret)
{
    const char *sep = strstr(address, "://"), *host, *at;
    size_t len;

    *ret = (struct wp_nomad_agent){0};
    if (strncasecmp(address, "unix:", 5) == 0)
        return unix_url(a, address, why, ret);
    ret->secure = strncasecmp(address, "https://", 8) == 0;
    if (sep == NULL || (!ret->secure && strncasecmp(address, "http://", 7) != 0))
        return refuse(why, address, "it begins with none of http://, https://, unix://");
    host = sep + 3;
    len = strcspn(host, "/?#");
    at = memrchr(host, '@', len);
    if (at != NULL) {
        ret->basic = wp_url_auth(&a->arena, host, (size_t)(at - host));
        if (ret->basic == NULL)
            return -ENOMEM;
        len -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    if (!wp_url_is_host(host, len))
        return refuse(why, address, "no host, or a port beyond 1 to 65535");
    ret->name = wp_arena_strndup(&a->arena, host, len);
    ret->base = wp_arena_printf(&a->arena, "http%s://%.*s", ret->secure ? "s" : "", (int)len, host);
    return ret->name != NULL && ret->base != NULL ? 0 : -ENOMEM;
}

char *wp_nomad_escape(struct wp_arena *a, const char *text, size_t len)
{
    static const char hex[] = "0123456789ABCDEF", also[] = "-._~";
    char *out = wp_arena_alloc(a, 3 * len + 1), *to = out;

    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (letter || (c >= '0' && c <= '9') || (c != '\0' && strchr(also, c) != NULL)) {
            *to++ = (char)c;
        } else {
            *to++ = '%';
            *to++ = hex[c >> 4];
            *to++ = hex[c & 15];
        }
    }
    *to = '\0';
    return out;
}

char *wp_nomad_param(struct wp_arena *arena, const char *name, const char *value)
{
    const char *escaped = wp_nomad_escape(arena, value, strlen(value));

    return escaped != NULL ? wp_arena_printf(arena, "%s=%s", name, escaped) : NULL;
}
