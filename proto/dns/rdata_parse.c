#include "waypost/dns/rr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "proto/dns/rdata_priv.h"

struct parser {
    struct wp_tokens tokens;
    const struct wp_name *origin; /* never NULL */
    struct wp_arena *arena;
    struct wp_wr wr;
};

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

static int token_type(const struct wp_token *t, uint16_t *ret)
{
    char text[32];

    if (wp_token_copy(t, text, sizeof(text)) < 0 || wp_type_parse(text, ret) < 0)
        return WP_EMALFORMED;
    return 0;
}

static int read_type(const struct wp_token *t, struct wp_wr *wr)
{
    uint16_t type;
    int r = token_type(t, &type);

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

static int read_name(const struct parser *p, const struct wp_token *t, struct wp_wr *wr)
{
    char text[WP_NAME_TEXT_MAX];
    struct wp_name name;

    if (wp_token_copy(t, text, sizeof(text)) < 0 ||
        wp_name_parse_origin(text, p->origin, &name) < 0)
        return WP_EMALFORMED;
    wp_wr_bytes(wr, name.wire, name.len);
    return 0;
}

static int read_gateway(const struct parser *p, const struct wp_token *t, struct wp_wr *wr)
{
    switch (wr->bad ? 0 : wr->buf[wr->len - 2]) {
    case 0:
        return t->len == 1 && t->p[0] == '.' ? 0 : WP_EMALFORMED;
    case 1:
        return read_ip(AF_INET, t, wr);
    case 2:
        return read_ip(AF_INET6, t, wr);
    default: /* 3, or refused by the check of the whole */
        return read_name(p, t, wr);
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

/* A text longer than a character-string becomes several (as miekg/dns does it for TXT). */
static int read_long_string(const struct wp_token *t, struct wp_wr *wr)
{
    uint8_t s[WP_RDATA_MAX];
    int n = wp_token_octets(t, s, sizeof(s));
    size_t left, part;

    if (n < 0)
        return n;
    left = (size_t)n;
    do {
        part = left < 255 ? left : 255;
        wp_wr_u8(wr, (unsigned)part);
        wp_wr_bytes(wr, s + ((size_t)n - left), part);
        left -= part;
    } while (left > 0);
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

/* Everything to the end of the line as one run of octets; at least one, or MAYBE none. */
static int read_rest(struct parser *p, enum wp_field f)
{
    bool base64 = f == WP_FIELD_BASE64 || f == WP_FIELD_BASE64_MAYBE;
    struct wp_bits bits = {0};
    size_t start = p->wr.len;
    struct wp_token t;

    while (wp_token_next(&p->tokens, &t)) {
        int r = base64 ? wp_read_base64(&bits, &t, &p->wr) : wp_read_hex(&bits, &t, &p->wr);
        if (r < 0)
            return r;
    }
    if (p->wr.len == start && f != WP_FIELD_BASE64_MAYBE)
        return WP_EMALFORMED;
    return base64 ? wp_read_base64_done(&bits) : wp_read_hex_done(&bits);
}

static int read_strings(struct parser *p)
{
    size_t start = p->wr.len;
    struct wp_token t;

    while (wp_token_next(&p->tokens, &t)) {
        int r = read_long_string(&t, &p->wr);
        if (r < 0)
            return r;
    }
    return p->wr.len > start ? 0 : WP_EMALFORMED;
}

static int read_types(struct parser *p)
{
    uint8_t map[256][32] = {{0}};
    struct wp_token t;

    while (wp_token_next(&p->tokens, &t)) {
        uint16_t type;
        if (token_type(&t, &type) < 0)
            return WP_EMALFORMED;
        map[type >> 8][(type & 0xff) / 8] |= (uint8_t)(0x80 >> type % 8);
    }
    for (unsigned w = 0; w < 256; w++) {
        unsigned n = 32;

        while (n > 0 && map[w][n - 1] == 0)
            n--;
        if (n == 0)
            continue;
        wp_wr_u8(&p->wr, w);
        wp_wr_u8(&p->wr, n);
        wp_wr_bytes(&p->wr, map[w], n);
    }
    return 0;
}

/* A field that is one token. */
static int read_field(struct parser *p, enum wp_field f, const struct wp_token *t)
{
    switch (f) {
    case WP_FIELD_U8:
        return read_uint(t, UINT8_MAX, 1, &p->wr);
    case WP_FIELD_U16:
        return read_uint(t, UINT16_MAX, 2, &p->wr);
    case WP_FIELD_U32:
        return read_uint(t, UINT32_MAX, 4, &p->wr);
    case WP_FIELD_ALGORITHM:
        return read_algorithm(t, &p->wr);
    case WP_FIELD_DURATION:
        return read_duration(t, &p->wr);
    case WP_FIELD_TIME:
        return read_time(t, &p->wr);
    case WP_FIELD_TYPE:
        return read_type(t, &p->wr);
    case WP_FIELD_CERT:
        return read_cert_type(t, &p->wr);
    case WP_FIELD_GATEWAY:
        return read_gateway(p, t, &p->wr);
    case WP_FIELD_IPV4:
        return read_ip(AF_INET, t, &p->wr);
    case WP_FIELD_IPV6:
        return read_ip(AF_INET6, t, &p->wr);
    case WP_FIELD_NAME_1035:
    case WP_FIELD_NAME:
    case WP_FIELD_NAME_CASED:
        return read_name(p, t, &p->wr);
    case WP_FIELD_STRING:
    case WP_FIELD_TAG:
        return read_string(t, &p->wr);
    case WP_FIELD_QUOTED:
        return read_quoted(t, &p->wr);
    case WP_FIELD_SALT:
        return read_salt(t, &p->wr);
    case WP_FIELD_HASH:
        return read_counted(t, wp_read_base32hex, &p->wr);
    default:
        return WP_EMALFORMED; /* the lists: see read_known */
    }
}

static int read_known(struct parser *p, const char *shape)
{
    for (; *shape != '\0'; shape++) {
        struct wp_token t;
        int r;

        switch (*shape) {
        case WP_FIELD_STRINGS:
            r = read_strings(p);
            break;
        case WP_FIELD_BASE64:
        case WP_FIELD_BASE64_MAYBE:
        case WP_FIELD_HEX:
        case WP_FIELD_HEX_UPPER:
            r = read_rest(p, (enum wp_field) * shape);
            break;
        case WP_FIELD_TYPES:
            r = read_types(p);
            break;
        case WP_FIELD_PARAMS:
            r = wp_svcb_parse(&p->tokens, p->arena, &p->wr);
            break;
        default:
            r = wp_token_next(&p->tokens, &t) ? read_field(p, (enum wp_field) * shape, &t)
                                              : WP_EMALFORMED;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* "\# LEN HEX" (RFC 3597 s5): false when the text does not begin so. */
static bool is_generic(struct parser *p)
{
    struct wp_tokens ahead = p->tokens;
    struct wp_token t;

    if (!wp_token_next(&ahead, &t) || t.quoted || t.len != 2 || memcmp(t.p, "\\#", 2) != 0)
        return false;
    p->tokens = ahead;
    return true;
}

static int read_generic(struct parser *p)
{
    struct wp_token t;
    uint32_t len;

    if (!wp_token_next(&p->tokens, &t) || wp_token_uint(&t, WP_RDATA_MAX, &len) < 0)
        return WP_EMALFORMED;
    if (len > 0 && read_rest(p, WP_FIELD_HEX) < 0)
        return WP_EMALFORMED;
    return p->wr.len == len ? 0 : WP_EMALFORMED;
}

static int parse_rare(struct parser *p, uint16_t type)
{
    const char *text = p->tokens.p;

    p->tokens.p = ""; /* ldns sees to the end of the line itself */
    return wp_ldns_knows(type) ? wp_ldns_parse(type, text, p->origin, &p->wr) : WP_EUNSUPPORTED;
}

int wp_rdata_parse(uint16_t type, const char *text, const struct wp_name *origin,
                   struct wp_arena *a, const uint8_t **ret_rdata, size_t *ret_len)
{
    static const struct wp_name root = {.len = 1};
    const char *shape = wp_rdata_shape(type);
    uint8_t buf[WP_RDATA_MAX];
    struct parser p = {
        .tokens.p = text,
        .origin = origin != NULL ? origin : &root,
        .arena = a,
        .wr = wp_wr_to(buf, sizeof(buf)),
    };
    struct wp_token rest;
    const uint8_t *rdata;
    int r;

    if (is_generic(&p))
        r = read_generic(&p);
    else if (shape != NULL)
        r = read_known(&p, shape);
    else
        r = parse_rare(&p, type);
    if (r < 0)
        return r;
    /* a second look at the whole: limits that only the wire form has, and \# of known types */
    if (wp_token_next(&p.tokens, &rest) || p.tokens.bad || p.wr.bad ||
        wp_rdata_check(type, buf, p.wr.len) < 0)
        return WP_EMALFORMED;
    rdata = wp_arena_dup(a, buf, p.wr.len);
    if (rdata == NULL)
        return -ENOMEM;
    *ret_rdata = rdata;
    *ret_len = p.wr.len;
    return 0;
}
