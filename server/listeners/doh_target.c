#include "doh_target.h"

#include <stdbool.h>
#include <string.h>
#include "waypost/base/text.h"

static const char path[] = "/dns-query";

static int hex(uint8_t c)
{
    if ((uint8_t)(c - '0') < 10)
        return c - '0';
    c = wp_lower(c);
    return (uint8_t)(c - 'a') < 6 ? c - 'a' + 10 : -1;
}

/* One octet of a query component, escape undone; -1: a bad escape. */
static int octet_at(const uint8_t *s, size_t len, size_t *pos)
{
    int hi, lo;

    if (s[*pos] != '%')
        return s[(*pos)++];
    if (len - *pos < 3)
        return -1;
    hi = hex(s[*pos + 1]);
    lo = hex(s[*pos + 2]);
    if (hi < 0 || lo < 0)
        return -1;
    *pos += 3;
    return hi << 4 | lo;
}

static bool is_dns(const uint8_t *name, size_t len)
{
    static const char want[] = "dns";
    size_t pos = 0, n = 0;

    if (len == 3)
        return memcmp(name, want, 3) == 0;
    while (pos < len) {
        int c = octet_at(name, len, &pos);

        if (n == 3 || c != want[n++])
            return false;
    }
    return n == 3;
}

enum wp_doh_target wp_doh_target_read(const uint8_t *target, size_t len, const uint8_t **ret_param,
                                      size_t *ret_len)
{
    const uint8_t *end = target + len, *param = NULL;
    size_t param_len = 0;

    if (len < sizeof(path) - 1 || memcmp(target, path, sizeof(path) - 1) != 0)
        return WP_DOH_NO_PATH;
    target += sizeof(path) - 1;
    if (target == end)
        return WP_DOH_NO_PARAM;
    if (*target++ != '?')
        return WP_DOH_NO_PATH;
    while (target < end) {
        const uint8_t *stop = memchr(target, '&', (size_t)(end - target));
        const uint8_t *eq;

        if (stop == NULL)
            stop = end;
        eq = memchr(target, '=', (size_t)(stop - target));
        if (is_dns(target, (size_t)((eq != NULL ? eq : stop) - target))) {
            if (param != NULL)
                return WP_DOH_BAD;
            param = eq != NULL ? eq + 1 : stop;
            param_len = (size_t)(stop - param);
        }
        target = stop < end ? stop + 1 : end;
    }
    if (param == NULL)
        return WP_DOH_NO_PARAM;
    if (param_len == 0)
        return WP_DOH_BAD;
    if (param_len > WP_DOH_PARAM_MAX)
        return WP_DOH_LONG;
    *ret_param = param;
    *ret_len = param_len;
    return WP_DOH_PARAM;
}

int wp_doh_param_decode(const uint8_t *param, size_t len, uint8_t *out, size_t cap, size_t *ret_len)
{
    if (len > cap)
        return WP_ESPACE;
    if (memchr(param, '%', len) != NULL) {
        size_t pos = 0, n = 0;

        while (pos < len) {
            int c = octet_at(param, len, &pos);

            if (c < 0)
                return WP_EMALFORMED;
            out[n++] = (uint8_t)c;
        }
        param = out; /* the decoder writes behind what it has read */
        len = n;
    }
    return wp_base64url_decode((const char *)param, len, out, cap, ret_len);
}
