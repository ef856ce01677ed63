/* Fields of rdata that are one word of text. */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "proto/dns/rdata_priv.h"
#include "waypost/dns/types.h"

/* The mnemonics that zone files use (IANA DNS Security Algorithm Numbers). */
static const struct {
    uint8_t value;
    const char *text;
} algorithms[] = {
    {1, "RSAMD5"},
    {2, "DH"},
    {3, "DSA"},
    {5, "RSASHA1"},
    {6, "DSA-NSEC3-SHA1"},
    {7, "RSASHA1-NSEC3-SHA1"},
    {8, "RSASHA256"},
    {10, "RSASHA512"},
    {12, "ECC-GOST"},
    {13, "ECDSAP256SHA256"},
    {14, "ECDSAP384SHA384"},
    {15, "ED25519"},
    {16, "ED448"},
    {252, "INDIRECT"},
    {253, "PRIVATEDNS"},
    {254, "PRIVATEOID"},
};

static int read_uint(const struct wp_token *t, uint32_t max, unsigned octets, struct wp_wr *wr)
{
    uint32_t v;

    if (t->quoted || wp_token_uint(t, max, &v) < 0)
        return WP_EMALFORMED;
    for (unsigned i = octets; i-- > 0;)
        wp_wr_u8(wr, v >> (8 * i) & 0xff);
    return 0;
}

static int read_algorithm(const struct wp_token *t, struct wp_wr *wr)
{
    for (unsigned i = 0; i < WP_COUNT(algorithms); i++) {
        if (strlen(algorithms[i].text) == t->len &&
            strncasecmp(algorithms[i].text, t->p, t->len) == 0) {
            wp_wr_u8(wr, algorithms[i].value);
            return 0;
        }
    }
    return read_uint(t, UINT8_MAX, 1, wr);
}

static uint32_t unit_seconds(char c)
{
    switch (c | 0x20) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    case 'w':
        return 604800;
    default:
        return 0;
    }
}

/* "3600", "1h", "1w2d": parts add up. */
static int read_duration(const struct wp_token *t, struct wp_wr *wr)
{
    uint64_t sum = 0, part = 0;
    bool digit = false;

    for (size_t i = 0; i < t->len; i++) {
        if (t->p[i] >= '0' && t->p[i] <= '9') {
            part = part * 10 + (uint64_t)(t->p[i] - '0');
            digit = true;
        } else if (digit && unit_seconds(t->p[i]) != 0) {
            sum += part * unit_seconds(t->p[i]);
            part = 0;
            digit = false;
        } else {
            return WP_EMALFORMED;
        }
        if (part > UINT32_MAX || sum > UINT32_MAX)
            return WP_EMALFORMED;
    }
    if (t->len == 0 || t->quoted || sum + part > UINT32_MAX)
        return WP_EMALFORMED;
    wp_wr_u32(wr, (uint32_t)(sum + part));
    return 0;
}

static int digits(const char *p, int n)
{
    int v = 0;

    for (int i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

/* Fourteen digits are a date; anything shorter is seconds since 1970 (RFC 4034 s3.2). */
static int read_time(const struct wp_token *t, struct wp_wr *wr)
{
    struct tm tm = {0}, was;
    time_t v;

    if (t->len != 14)
        return read_uint(t, UINT32_MAX, 4, wr);
    tm.tm_year = digits(t->p, 4) - 1900;
    tm.tm_mon = digits(t->p + 4, 2) - 1;
    tm.tm_mday = digits(t->p + 6, 2);
    tm.tm_hour = digits(t->p + 8, 2);
    tm.tm_min = digits(t->p + 10, 2);
    tm.tm_sec = digits(t->p + 12, 2);
    was = tm;
    v = timegm(&tm);
    if (tm.tm_mon != was.tm_mon || tm.tm_mday != was.tm_mday || tm.tm_hour != was.tm_hour ||
        tm.tm_min != was.tm_min || tm.tm_sec != was.tm_sec || v < 0 || v > UINT32_MAX)
        return WP_EMALFORMED;
    wp_wr_u32(wr, (uint32_t)v);
    return 0;
}

int wp_token_type(const struct wp_token *t, uint16_t *ret)
{
    char text[32];

    if (wp_token_copy(t, text, sizeof(text)) < 0 || wp_type_parse(text, ret) < 0)
        return WP_EMALFORMED;
    return 0;
}

static int read_type(const struct wp_token *t, struct wp_wr *wr)
{
    uint16_t type;
    int r = wp_token_type(t, &type);

    if (r == 0)
        wp_wr_u16(wr, type);
    return r;
}

static int read_cert_type(const struct wp_token *t, struct wp_wr *wr)
{
    char text[16];
    uint16_t v;

    if (wp_token_copy(t, text, sizeof(text)) < 0 || wp_cert_type_parse(text, &v) < 0)
        return read_uint(t, UINT16_MAX, 2, wr);
    wp_wr_u16(wr, v);
    return 0;
}

static int read_ip(int family, const struct wp_token *t, struct wp_wr *wr)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t ip[16];

    if (wp_token_copy(t, text, sizeof(text)) < 0 || inet_pton(family, text, ip) != 1)
        return WP_EMALFORMED;
    wp_wr_bytes(wr, ip, family == AF_INET ? 4 : 16);
    return 0;
}

static int read_name(const struct wp_name *origin, const struct wp_token *t, struct wp_wr *wr)
{
    char text[WP_NAME_TEXT_MAX];
    struct wp_name name;

    if (wp_token_copy(t, text, sizeof(text)) < 0 || wp_name_parse_origin(text, origin, &name) < 0)
        return WP_EMALFORMED;
    wp_wr_bytes(wr, name.wire, name.len);
    return 0;
}

static int read_gateway(const struct wp_name *origin, const struct wp_token *t, struct wp_wr *wr)
{
    switch (wr->bad ? 0 : wr->buf[wr->len - 2]) {
    case 0:
        return t->len == 1 && t->p[0] == '.' ? 0 : WP_EMALFORMED;
    case 1:
        return read_ip(AF_INET, t, wr);
    case 2:
        return read_ip(AF_INET6, t, wr);
    default: /* 3, or refused by the check of the whole */
        return read_name(origin, t, wr);
    }
}

static int read_string(const struct wp_token *t, struct wp_wr *wr)
{
    uint8_t s[255];
    int n = wp_token_octets(t, s, sizeof(s));

    if (n < 0)
        return n;
    wp_wr_u8(wr, (unsigned)n);
    wp_wr_bytes(wr, s, (size_t)n);
    return 0;
}

static int read_quoted(const struct wp_token *t, struct wp_wr *wr)
{
    uint8_t s[WP_RDATA_MAX];
    int n = wp_token_octets(t, s, sizeof(s));

    if (n < 0)
        return n;
    wp_wr_bytes(wr, s, (size_t)n);
    return 0;
}

/* A length octet, then what `decode` makes of the token. */
static int read_counted(const struct wp_token *t,
                        int (*decode)(struct wp_bits *, const struct wp_token *, struct wp_wr *),
                        struct wp_wr *wr)
{
    uint8_t data[255];
    struct wp_wr sub = wp_wr_to(data, sizeof(data));
    struct wp_bits bits = {0};

    if (decode(&bits, t, &sub) < 0 || sub.bad)
        return WP_EMALFORMED;
    if (decode == wp_read_hex && wp_read_hex_done(&bits) < 0)
        return WP_EMALFORMED;
    wp_wr_u8(wr, (unsigned)sub.len);
    wp_wr_bytes(wr, data, sub.len);
    return 0;
}

static int read_salt(const struct wp_token *t, struct wp_wr *wr)
{
    struct wp_token none = {0};

    return read_counted(t->len == 1 && t->p[0] == '-' ? &none : t, wp_read_hex, wr);
}

int wp_field_read(enum wp_field f, const struct wp_token *t, const struct wp_name *origin,
                  struct wp_wr *wr)
{
    switch (f) {
    case WP_FIELD_U8:
        return read_uint(t, UINT8_MAX, 1, wr);
    case WP_FIELD_U16:
        return read_uint(t, UINT16_MAX, 2, wr);
    case WP_FIELD_U32:
        return read_uint(t, UINT32_MAX, 4, wr);
    case WP_FIELD_ALGORITHM:
        return read_algorithm(t, wr);
    case WP_FIELD_DURATION:
        return read_duration(t, wr);
    case WP_FIELD_TIME:
        return read_time(t, wr);
    case WP_FIELD_TYPE:
        return read_type(t, wr);
    case WP_FIELD_CERT:
        return read_cert_type(t, wr);
    case WP_FIELD_GATEWAY:
        return read_gateway(origin, t, wr);
    case WP_FIELD_IPV4:
        return read_ip(AF_INET, t, wr);
    case WP_FIELD_IPV6:
        return read_ip(AF_INET6, t, wr);
    case WP_FIELD_NAME_1035:
    case WP_FIELD_NAME:
    case WP_FIELD_NAME_CASED:
        return read_name(origin, t, wr);
    case WP_FIELD_STRING:
    case WP_FIELD_TAG:
        return read_string(t, wr);
    case WP_FIELD_QUOTED:
        return read_quoted(t, wr);
    case WP_FIELD_SALT:
        return read_salt(t, wr);
    case WP_FIELD_HASH:
        return read_counted(t, wp_read_base32hex, wr);
    default:
        return WP_EMALFORMED; /* lists and rests: rdata_parse.c */
    }
}
