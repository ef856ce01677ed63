#include "waypost/base/text.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {
    {"ns", 1},           {"us", 1000},      {"\xc2\xb5s", 1000}, /* U+00B5 micro sign */
    {"\xce\xbcs", 1000},                                         /* U+03BC Greek mu */
    {"ms", 1000000},     {"s", 1000000000}, {"m", 60000000000},  {"h", 3600000000000},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Decimal digits at *s; false when they pass 2^63 (Go's bound before the sign). */
static bool read_digits(const char **s, uint64_t *ret)
{
    uint64_t v = 0;

    for (; is_digit(**s); (*s)++) {
        if (v > (UINT64_C(1) << 63) / 10)
            return false;
        v = v * 10 + (uint64_t)(**s - '0');
        if (v > UINT64_C(1) << 63)
            return false;
    }
    *ret = v;
    return true;
}

/* Digits after the point: *ret / *ret_scale. What no longer fits is ignored, as in Go. */
static void read_fraction(const char **s, uint64_t *ret, double *ret_scale)
{
    uint64_t v = 0;
    double scale = 1;
    bool full = false;

    for (; is_digit(**s); (*s)++) {
        uint64_t next = v * 10 + (uint64_t)(**s - '0');
        full = full || v > INT64_MAX / 10 || next > UINT64_C(1) << 63;
        if (full)
            continue;
        v = next;
        scale *= 10;
    }
    *ret = v;
    *ret_scale = scale;
}

static uint64_t read_unit(const char **s)
{
    size_t len = strcspn(*s, ".0123456789");

    for (size_t i = 0; i < WP_COUNT(units); i++)
        if (len == strlen(units[i].name) && memcmp(*s, units[i].name, len) == 0) {
            *s += len;
            return units[i].ns;
        }
    return 0;
}

/* One "1.5h" at *s, added to *sum. */
static int read_part(const char **s, uint64_t *sum)
{
    const char *start = *s;
    uint64_t whole, fraction = 0, unit;
    double scale = 1;
    bool any;

    if (!read_digits(s, &whole))
        return WP_EMALFORMED;
    any = *s != start;
    if (**s == '.') {
        start = ++*s;
        read_fraction(s, &fraction, &scale);
        any = any || *s != start;
    }
    if (!any)
        return WP_EMALFORMED;
    unit = read_unit(s);
    if (unit == 0 || whole > (UINT64_C(1) << 63) / unit)
        return WP_EMALFORMED;
    whole *= unit;
    whole += (uint64_t)((double)fraction * ((double)unit / scale));
    if (whole > UINT64_C(1) << 63 || *sum > (UINT64_C(1) << 63) - whole)
        return WP_EMALFORMED;
    *sum += whole;
    return 0;
}

int wp_duration_parse(const char *s, int64_t *ret_ns)
{
    bool negative = *s == '-';
    uint64_t sum = 0;

    if (*s == '-' || *s == '+')
        s++;
    if (strcmp(s, "0") == 0) {
        *ret_ns = 0;
        return 0;
    }
    if (*s == '\0')
        return WP_EMALFORMED;
    while (*s != '\0') {
        int r = read_part(&s, &sum);
        if (r < 0)
            return r;
    }
    if (!negative && sum > INT64_MAX)
        return WP_EMALFORMED;
    *ret_ns = (int64_t)(negative ? 0 - sum : sum);
    return 0;
}

/* v / 10^digits without trailing zeros. */
static int write_decimal(char *out, size_t cap, uint64_t v, int digits)
{
    uint64_t scale = 1;

    for (int i = 0; i < digits; i++)
        scale *= 10;
    while (digits > 0 && v % 10 == 0) {
        v /= 10;
        scale /= 10;
        digits--;
    }
    if (digits == 0)
        return snprintf(out, cap, "%llu", (unsigned long long)v);
    return snprintf(out, cap, "%llu.%0*llu", (unsigned long long)(v / scale), digits,
                    (unsigned long long)(v % scale));
}

void wp_duration_text(int64_t ns, char buf[32])
{
    uint64_t v = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    int at = 0;

    if (v == 0) {
        memcpy(buf, "0s", 3);
        return;
    }
    if (ns < 0)
        buf[at++] = '-';
    if (v < 1000000000) {
        int digits = v < 1000 ? 0 : v < 1000000 ? 3 : 6;
        at += write_decimal(buf + at, 32 - (size_t)at, v, digits);
        snprintf(buf + at, 32 - (size_t)at, "%s",
                 digits == 0   ? "ns"
                 : digits == 3 ? "\xc2\xb5s"
                               : "ms");
        return;
    }
    if (v >= 3600000000000)
        at += snprintf(buf + at, 32 - (size_t)at, "%lluh", (unsigned long long)(v / 3600000000000));
    if (v >= 60000000000)
        at += snprintf(buf + at, 32 - (size_t)at, "%llum",
                       (unsigned long long)(v / 60000000000 % 60));
    at += write_decimal(buf + at, 32 - (size_t)at, v % 60000000000, 9);
    snprintf(buf + at, 32 - (size_t)at, "s");
}

int wp_int_parse(const char *s, int64_t min, int64_t max, int64_t *ret)
{
    bool negative = *s == '-', over = false;
    uint64_t v = 0, bound = (uint64_t)INT64_MAX + negative;
    int64_t n;

    if (*s == '-' || *s == '+')
        s++;
    if (*s == '\0')
        return WP_EMALFORMED;
    for (; *s != '\0'; s++) {
        if (!is_digit(*s))
            return WP_EMALFORMED;
        over = over || v > bound / 10 || v * 10 > bound - (uint64_t)(*s - '0');
        v = v * 10 + (uint64_t)(*s - '0');
    }
    if (over)
        return WP_ELIMIT;
    n = (int64_t)(negative ? 0 - v : v);
    if (n < min || n > max)
        return WP_ELIMIT;
    *ret = n;
    return 0;
}

bool wp_text_ieq(const char *a, const char *b)
{
    while (*a != '\0' && wp_lower((uint8_t)*a) == wp_lower((uint8_t)*b)) {
        a++;
        b++;
    }
    return wp_lower((uint8_t)*a) == wp_lower((uint8_t)*b);
}

static int base64url_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (is_digit(c))
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int wp_base64url_decode(const char *s, size_t len, uint8_t *out, size_t cap, size_t *ret_len)
{
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t n = 0;

    if (len % 4 == 1)
        return WP_EMALFORMED;
    if (len / 4 * 3 + (len % 4 > 0 ? len % 4 - 1 : 0) > cap)
        return WP_ESPACE;
    for (size_t i = 0; i < len; i++) {
        int v = base64url_value(s[i]);
        if (v < 0)
            return WP_EMALFORMED;
        bits = bits << 6 | (uint32_t)v;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[n++] = (uint8_t)(bits >> n_bits);
        }
    }
    if ((bits & ((1u << n_bits) - 1)) != 0)
        return WP_EMALFORMED;
    *ret_len = n;
    return 0;
}
