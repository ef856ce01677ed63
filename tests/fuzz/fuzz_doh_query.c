/* The target of a DoH request against a slow twin that splits, unescapes and decodes one octet at
 * a time: same verdict, same message. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/listeners/doh_target.h"

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

static int hex_value(char c)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF",
               *at = c != 0 ? strchr(digits, c) : NULL;

    return at == NULL ? -1 : (int)(at - digits) % 16;
}

/* NUL-terminated copy without escapes, false for a bad one. */
static bool unescape(const char *s, size_t len, char *to, size_t *ret_len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (s[i] != '%') {
            to[n++] = s[i];
            continue;
        }
        if (i + 2 >= len || hex_value(s[i + 1]) < 0 || hex_value(s[i + 2]) < 0)
            return false;
        to[n++] = (char)(hex_value(s[i + 1]) * 16 + hex_value(s[i + 2]));
        i += 2;
    }
    *ret_len = n;
    return true;
}

static bool decode(const char *s, size_t len, uint8_t *to, size_t *ret_len)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t n_bits = 0;

    memset(to, 0, len);
    for (size_t i = 0; i < len; i++) {
        const char *at = s[i] != 0 ? strchr(set, s[i]) : NULL;

        if (at == NULL)
            return false;
        for (int b = 5; b >= 0; b--, n_bits++)
            to[n_bits / 8] |= (uint8_t)(((at - set) >> b & 1) << (7 - n_bits % 8));
    }
    *ret_len = n_bits / 8;
    return len % 4 != 1 && (n_bits % 8 == 0 || to[n_bits / 8] == 0);
}

static enum wp_doh_target twin(const char *s, size_t len, const char **ret_param, size_t *ret_len)
{
    char *name = malloc(len + 1);
    unsigned found = 0;

    *ret_len = 0;
    if (len < 10 || strncmp(s, "/dns-query", 10) != 0 || (len > 10 && s[10] != '?')) {
        free(name);
        return WP_DOH_NO_PATH;
    }
    for (size_t i = 11, end; i < len; i = end + 1) {
        size_t eq, n;

        for (end = i; end < len && s[end] != '&'; end++)
            ;
        for (eq = i; eq < end && s[eq] != '='; eq++)
            ;
        if (!unescape(s + i, eq - i, name, &n) || n != 3 || memcmp(name, "dns", 3) != 0)
            continue;
        found++;
        *ret_param = s + (eq < end ? eq + 1 : end);
        *ret_len = (size_t)(s + end - *ret_param);
    }
    free(name);
    return found == 0                    ? WP_DOH_NO_PARAM
           : found > 1 || *ret_len == 0  ? WP_DOH_BAD
           : *ret_len > WP_DOH_PARAM_MAX ? WP_DOH_LONG
                                         : WP_DOH_PARAM;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *param = NULL;
    const char *same = NULL;
    size_t len = 0, same_len = 0, n = 0, same_n = 0, flat_len;
    enum wp_doh_target verdict = wp_doh_target_read(data, size, &param, &len);
    uint8_t *out, *want;
    char *flat;
    bool good;

    CHECK(verdict == twin((const char *)data, size, &same, &same_len));
    if (verdict != WP_DOH_PARAM)
        return 0;
    CHECK(len == same_len && (const char *)param == same);
    out = malloc(len);
    want = malloc(len);
    flat = malloc(len);
    good = unescape(same, len, flat, &flat_len) && decode(flat, flat_len, want, &same_n);
    CHECK((wp_doh_param_decode(param, len, out, len, &n) == 0) == good);
    if (good)
        CHECK(n == same_n && memcmp(out, want, n) == 0);
    free(out);
    free(want);
    free(flat);
    return 0;
}
