/* Strings and numbers of a text that is known to be JSON. */
#include <string.h>

#include "backends/common/json_text.h"
#include "backends/common/utf8.h"

enum { REPLACEMENT = 0xfffd, LONG_S = 0x17f, KELVIN = 0x212a };

static size_t put_rune(uint32_t c, char *out)
{
    return wp_utf8_put(c, (uint8_t *)out);
}

static size_t read_unit(const char *p, size_t left, char *out, size_t *ret_n)
{
    int unit = wp_utf8_escaped_unit(p, left), next;

    if (unit < 0xd800 || unit > 0xdfff) {
        *ret_n = put_rune((uint32_t)unit, out);
        return 6;
    }
    next = unit < 0xdc00 ? wp_utf8_escaped_unit(p + 6, left - 6) : -1;
    if (next >= 0xdc00 && next <= 0xdfff) {
        *ret_n = put_rune(0x10000u + ((uint32_t)(unit & 0x3ff) << 10 | (next & 0x3ff)), out);
        return 12;
    }
    *ret_n = put_rune(REPLACEMENT, out); /* half a pair */
    return 6;
}

/* One character of a string, into out (4 octets of room); how much of the text it is. */
static size_t read_char(const char *p, size_t left, char *out, size_t *ret_n)
{
    static const char escapes[] = "b\bf\fn\nr\rt\t";
    const char *e;
    size_t n;

    if (*p == '\\' && p[1] == 'u')
        return read_unit(p, left, out, ret_n);
    if (*p == '\\') {
        e = strchr(escapes, p[1]);
        *out = e != NULL ? e[1] : p[1];
        *ret_n = 1;
        return 2;
    }
    n = wp_utf8_len((const uint8_t *)p, left);
    if (n == 0) {
        *ret_n = put_rune(REPLACEMENT, out);
        return 1;
    }
    memcpy(out, p, n);
    *ret_n = n;
    return n;
}

size_t wp_json_string(const struct wp_json *string, char *out)
{
    const char *p = string->text + 1, *end = string->text + string->len - 1;
    size_t n = 0;

    while (p < end) {
        char c[4];
        size_t len;
        p += read_char(p, (size_t)(end - p), c, &len);
        memcpy(out + n, c, len);
        n += len;
    }
    return n;
}

/* The small letter that the character is a form of; 0 for what no ASCII letter has as a form. */
static char fold(const char *c, size_t len)
{
    char form[4];

    if (len == 1)
        return *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
    if (len == put_rune(LONG_S, form) && memcmp(c, form, len) == 0)
        return 's';
    return len == put_rune(KELVIN, form) && memcmp(c, form, len) == 0 ? 'k' : '\0';
}

bool wp_json_is(const struct wp_json *string, const char *name)
{
    const char *p = string->text + 1, *end = string->text + string->len - 1;

    while (p < end) {
        char c[4];
        size_t len;
        p += read_char(p, (size_t)(end - p), c, &len);
        if (*name == '\0' || fold(c, len) != *name++)
            return false;
    }
    return *name == '\0';
}

bool wp_json_int(const struct wp_json *number, int64_t *ret)
{
    bool is_negative = number->text[0] == '-';
    int64_t v = 0;

    for (size_t i = is_negative; i < number->len; i++) {
        int digit = number->text[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_sub_overflow(v, digit, &v)) /* the least has no positive counterpart */
            return false;
    }
    if (!is_negative && v == INT64_MIN)
        return false;
    *ret = is_negative ? v : -v;
    return true;
}
