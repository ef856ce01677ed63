/* SvcParams of SVCB and HTTPS records (RFC 9460 s2.1, s2.2, s7; RFC 9461 s5; RFC 9540 s4). */
#include <string.h>
#include <strings.h>

#include "proto/dns/rdata_priv.h"
#include "proto/dns/svcb_priv.h"
#include "waypost/base/rd.h"

static const char *const key_names[] = {
    "mandatory", "alpn",     "no-default-alpn", "port",  "ipv4hint",
    "ech",       "ipv6hint", "dohpath",         "ohttp",
};

/* --- checking ------------------------------------------------------------------------- */

const uint8_t *wp_svcb_find(const uint8_t *params, size_t len, unsigned key)
{
    for (size_t pos = 0; pos < len; pos += 4 + (size_t)wp_be16(params + pos + 2)) {
        if (wp_be16(params + pos) == key)
            return params + pos + 4;
    }
    return NULL;
}

static bool alpn_is_valid(const uint8_t *v, size_t len)
{
    size_t pos = 0;

    while (pos < len) {
        if (v[pos] == 0 || v[pos] >= len - pos)
            return false;
        pos += 1 + (size_t)v[pos];
    }
    return len > 0;
}

static bool value_is_valid(unsigned key, const uint8_t *v, size_t len)
{
    switch (key) {
    case KEY_MANDATORY:
        return len > 0 && len % 2 == 0; /* its keys are judged when all are known */
    case KEY_ALPN:
        return alpn_is_valid(v, len);
    case KEY_NO_DEFAULT_ALPN:
    case KEY_OHTTP:
        return len == 0;
    case KEY_PORT:
        return len == 2;
    case KEY_IPV4HINT:
        return len > 0 && len % 4 == 0;
    case KEY_IPV6HINT:
        return len > 0 && len % 16 == 0;
    case KEY_ECH:
    case KEY_DOHPATH:
        return len > 0;
    default:
        return key != KEY_INVALID;
    }
}

/* Ascending, not naming itself, each of them present (RFC 9460 s8). */
static bool mandatory_is_valid(const uint8_t *params, size_t len)
{
    const uint8_t *v = wp_svcb_find(params, len, KEY_MANDATORY);
    int last = KEY_MANDATORY;

    for (size_t i = 0; v != NULL && i < wp_be16(v - 2); i += 2) {
        int key = wp_be16(v + i);
        if (key <= last || wp_svcb_find(params, len, (unsigned)key) == NULL)
            return false;
        last = key;
    }
    return true;
}

int wp_svcb_check(const uint8_t *params, size_t len)
{
    size_t pos = 0;
    int last = -1;

    while (pos < len) {
        size_t n;

        if (len - pos < 4)
            return WP_EMALFORMED;
        n = wp_be16(params + pos + 2);
        if (n > len - pos - 4 || wp_be16(params + pos) <= last ||
            !value_is_valid(wp_be16(params + pos), params + pos + 4, n))
            return WP_EMALFORMED;
        last = wp_be16(params + pos);
        pos += 4 + n;
    }
    return mandatory_is_valid(params, len) ? (int)len : WP_EMALFORMED;
}

/* --- keys -------------------------------------------------------------------------- */

int wp_svcb_key_parse(const char *s, size_t len, uint16_t *ret)
{
    struct wp_token number = {.p = s + 3, .len = len - 3};
    uint32_t v;

    for (unsigned i = 0; i < WP_COUNT(key_names); i++) {
        if (strlen(key_names[i]) == len && strncasecmp(key_names[i], s, len) == 0) {
            *ret = (uint16_t)i;
            return 0;
        }
    }
    if (len < 4 || strncasecmp(s, "key", 3) != 0 || (s[3] == '0' && len > 4) ||
        wp_token_uint(&number, KEY_INVALID - 1, &v) < 0)
        return WP_EMALFORMED;
    *ret = (uint16_t)v;
    return 0;
}

/* --- text ----------------------------------------------------------------------------- */

static void put_key(struct wp_wr *out, unsigned key)
{
    if (key < WP_COUNT(key_names)) {
        wp_put_text(out, key_names[key]);
        return;
    }
    wp_put_text(out, "key");
    wp_put_uint(out, key);
}

/* Commas and backslashes inside an item are escaped for the list, then for the string
 * (RFC 9460 A.1). */
static void put_alpn(struct wp_wr *out, const uint8_t *v, size_t len)
{
    for (size_t pos = 0; pos < len; pos += 1 + (size_t)v[pos]) {
        if (pos > 0)
            wp_put_char(out, ',');
        for (size_t i = 1; i <= v[pos]; i++) {
            if (v[pos + i] == ',' || v[pos + i] == '\\')
                wp_put_octet(out, '\\');
            wp_put_octet(out, v[pos + i]);
        }
    }
}

static void put_value(struct wp_wr *out, unsigned key, const uint8_t *v, size_t len)
{
    size_t step = key == KEY_IPV4HINT ? 4 : key == KEY_IPV6HINT ? 16 : 2;

    switch (key) {
    case KEY_MANDATORY:
    case KEY_PORT:
    case KEY_IPV4HINT:
    case KEY_IPV6HINT:
        for (size_t i = 0; i < len; i += step) {
            if (i > 0)
                wp_put_char(out, ',');
            if (key == KEY_MANDATORY)
                put_key(out, wp_be16(v + i));
            else if (key == KEY_PORT)
                wp_put_uint(out, wp_be16(v + i));
            else if (key == KEY_IPV4HINT)
                wp_put_ipv4(out, v + i);
            else
                wp_put_ipv6(out, v + i);
        }
        break;
    case KEY_ALPN:
        put_alpn(out, v, len);
        break;
    case KEY_ECH:
        wp_put_base64(out, v, len);
        break;
    default:
        for (size_t i = 0; i < len; i++)
            wp_put_octet(out, v[i]);
    }
}

void wp_svcb_text(struct wp_wr *out, const uint8_t *params, size_t len)
{
    size_t n;

    for (size_t pos = 0; pos < len; pos += 4 + n) {
        n = wp_be16(params + pos + 2);
        wp_put_char(out, ' ');
        put_key(out, wp_be16(params + pos));
        if (n == 0)
            continue;
        wp_put_text(out, "=\"");
        put_value(out, wp_be16(params + pos), params + pos + 4, n);
        wp_put_char(out, '"');
    }
}
