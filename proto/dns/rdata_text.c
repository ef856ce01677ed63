#include "waypost/dns/rr.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "proto/dns/rdata_priv.h"

static void put_name(struct wp_wr *out, const uint8_t *wire)
{
    char buf[WP_NAME_TEXT_MAX];

    wp_put_text(out, wp_name_text(wire, buf));
}

static void put_type(struct wp_wr *out, uint16_t type)
{
    char buf[16];

    wp_put_text(out, wp_type_text(type, buf));
}

static void put_time(struct wp_wr *out, uint32_t v)
{
    time_t t = v; /* until 2106; then serial arithmetic would need to know the year */
    char buf[16];
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(buf, sizeof(buf), "%Y%m%d%H%M%S", &tm);
    wp_put_text(out, buf);
}

static void put_strings(struct wp_wr *out, const uint8_t *p, size_t len)
{
    for (size_t pos = 0; pos < len; pos += 1 + (size_t)p[pos]) {
        if (pos > 0)
            wp_put_char(out, ' ');
        wp_put_quoted(out, p + pos + 1, p[pos]);
    }
}

/* Not quoted: whatever would end the word is written as \DDD. */
static void put_tag(struct wp_wr *out, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] == ' ' || p[i] == ';' || p[i] == '(' || p[i] == ')') {
            wp_put_char(out, '\\');
            wp_put_char(out, '0');
            wp_put_uint(out, p[i]);
        } else {
            wp_put_octet(out, p[i]);
        }
    }
}

static void put_types(struct wp_wr *out, const uint8_t *p, size_t len)
{
    for (size_t pos = 0; pos < len; pos += 2 + (size_t)p[pos + 1]) {
        for (unsigned i = 0; i < 8u * p[pos + 1]; i++) {
            if ((p[pos + 2 + i / 8] << i % 8 & 0x80) == 0)
                continue;
            wp_put_char(out, ' ');
            put_type(out, (uint16_t)(p[pos] << 8 | i));
        }
    }
}

static void put_salt(struct wp_wr *out, const uint8_t *p, size_t len)
{
    if (len == 0)
        wp_put_char(out, '-');
    wp_put_hex(out, p, len, true);
}

static void put_cert_type(struct wp_wr *out, uint16_t v)
{
    const char *text = wp_cert_type_text(v);

    if (text != NULL)
        wp_put_text(out, text);
    else
        wp_put_uint(out, v);
}

static void put_gateway(struct wp_wr *out, unsigned kind, const uint8_t *p)
{
    if (kind == 0)
        wp_put_char(out, '.');
    else if (kind == 1)
        wp_put_ipv4(out, p);
    else if (kind == 2)
        wp_put_ipv6(out, p);
    else
        put_name(out, p);
}

static void put_field(struct wp_wr *out, enum wp_field f, const uint8_t *p, size_t len)
{
    switch (f) {
    case WP_FIELD_U8:
    case WP_FIELD_ALGORITHM:
        wp_put_uint(out, p[0]);
        break;
    case WP_FIELD_U16:
        wp_put_uint(out, wp_be16(p));
        break;
    case WP_FIELD_U32:
    case WP_FIELD_DURATION:
        wp_put_uint(out, wp_be32(p));
        break;
    case WP_FIELD_TIME:
        put_time(out, wp_be32(p));
        break;
    case WP_FIELD_TYPE:
        put_type(out, wp_be16(p));
        break;
    case WP_FIELD_CERT:
        put_cert_type(out, wp_be16(p));
        break;
    case WP_FIELD_GATEWAY:
        put_gateway(out, p[-2], p);
        break;
    case WP_FIELD_IPV4:
        wp_put_ipv4(out, p);
        break;
    case WP_FIELD_IPV6:
        wp_put_ipv6(out, p);
        break;
    case WP_FIELD_NAME_1035:
    case WP_FIELD_NAME:
    case WP_FIELD_NAME_CASED:
        put_name(out, p);
        break;
    case WP_FIELD_STRING:
        wp_put_quoted(out, p + 1, p[0]);
        break;
    case WP_FIELD_STRINGS:
        put_strings(out, p, len);
        break;
    case WP_FIELD_TAG:
        put_tag(out, p + 1, p[0]);
        break;
    case WP_FIELD_QUOTED:
        wp_put_quoted(out, p, len);
        break;
    case WP_FIELD_BASE64:
    case WP_FIELD_BASE64_MAYBE:
        wp_put_base64(out, p, len);
        break;
    case WP_FIELD_HEX:
    case WP_FIELD_HEX_UPPER:
        wp_put_hex(out, p, len, f == WP_FIELD_HEX_UPPER);
        break;
    case WP_FIELD_SALT:
        put_salt(out, p + 1, p[0]);
        break;
    case WP_FIELD_HASH:
        wp_put_base32hex(out, p + 1, p[0]);
        break;
    case WP_FIELD_TYPES:
        put_types(out, p, len);
        break;
    case WP_FIELD_PARAMS:
        wp_svcb_text(out, p, len);
        break;
    }
}

/* RFC 3597 s5. */
static void put_generic(struct wp_wr *out, const uint8_t *rdata, size_t rdlen)
{
    wp_put_text(out, "\\# ");
    wp_put_uint(out, (uint32_t)rdlen);
    if (rdlen > 0)
        wp_put_char(out, ' ');
    wp_put_hex(out, rdata, rdlen, true);
}

/* ldns leaves out octets that a type's text has no place for (EUI48, SINK, WKS of an odd length):
 * text that does not lead back to the same octets is not used. */
static int put_rare(struct wp_wr *out, uint16_t type, const uint8_t *rdata, size_t rdlen)
{
    static const struct wp_name root = {.len = 1};
    uint8_t again[WP_RDATA_MAX];
    struct wp_wr back = wp_wr_to(again, sizeof(again));
    size_t start = out->len;
    int r = wp_ldns_text(type, rdata, rdlen, out);

    if (r < 0)
        return r;
    wp_put_char(out, '\0');
    if (out->bad)
        return WP_ESPACE;
    r = wp_ldns_parse(type, (const char *)out->buf + start, &root, &back);
    if (r == -ENOMEM)
        return r;
    out->len--;
    if (r < 0 || back.bad || back.len != rdlen || memcmp(again, rdata, rdlen) != 0) {
        out->len = start;
        put_generic(out, rdata, rdlen);
    }
    return 0;
}

static int put_known(struct wp_wr *out, const char *shape, const uint8_t *rdata, size_t rdlen)
{
    size_t pos = 0;

    for (const char *s = shape; *s != '\0'; s++) {
        int n = wp_field_len((enum wp_field)s[0], rdata + pos, rdlen - pos);

        if (n < 0)
            return n;
        /* the lists of types and params write a blank before each item themselves */
        if (s != shape && *s != WP_FIELD_TYPES && *s != WP_FIELD_PARAMS &&
            (n > 0 || *s != WP_FIELD_BASE64_MAYBE))
            wp_put_char(out, ' ');
        put_field(out, (enum wp_field)s[0], rdata + pos, (size_t)n);
        pos += (size_t)n;
    }
    return pos == rdlen ? 0 : WP_EMALFORMED;
}

int wp_rdata_text(uint16_t type, const uint8_t *rdata, size_t rdlen, char *out, size_t cap)
{
    const char *shape = wp_rdata_shape(type);
    struct wp_wr wr = wp_wr_to(out, cap);
    int r = 0;

    if (rdlen > WP_RDATA_MAX)
        return WP_EMALFORMED;
    if (shape != NULL)
        r = put_known(&wr, shape, rdata, rdlen);
    else if (wp_ldns_knows(type))
        r = put_rare(&wr, type, rdata, rdlen);
    else
        put_generic(&wr, rdata, rdlen);
    if (r < 0)
        return r;
    wp_put_char(&wr, '\0');
    return wr.bad ? WP_ESPACE : 0;
}
