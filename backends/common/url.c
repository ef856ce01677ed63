#include "backends/common/url.h"

#include <stdint.h>
#include <string.h>
#include "waypost/base/arena.h"
#include "waypost/base/text.h"

bool wp_url_is_host(const char *s, size_t len)
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

char *wp_basic_auth(struct wp_arena *arena, const char *user, const char *password)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *in = wp_arena_printf(arena, "%s:%s", user, password);
    size_t len = in != NULL ? strlen(in) : 0;
    char *out = wp_arena_alloc(arena, 6 + (len + 2) / 3 * 4 + 1), *at;

    if (in == NULL || out == NULL)
        return NULL;
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
    return out;
}

char *wp_url_auth(struct wp_arena *arena, const char *user, size_t len)
{
    char *text = wp_arena_strndup(arena, user, len), *to = text, *colon;

    if (text == NULL)
        return NULL;
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
    return wp_basic_auth(arena, text, colon != NULL ? text + strlen(text) + 1 : "");
}
