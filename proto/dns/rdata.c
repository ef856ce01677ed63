#include "waypost/dns/rr.h"

#include "proto/dns/rdata_priv.h"

static const char *const shapes[] = {
    [WP_TYPE_A] = "a",
    [WP_TYPE_NS] = "N",
    [3 /* MD */] = "N",
    [4 /* MF */] = "N",
    [WP_TYPE_CNAME] = "N",
    [WP_TYPE_SOA] = "NN4dddd",
    [7 /* MB */] = "N",
    [8 /* MG */] = "N",
    [9 /* MR */] = "N",
    [WP_TYPE_PTR] = "N",
    [WP_TYPE_HINFO] = "ss",
    [14 /* MINFO */] = "NN",
    [WP_TYPE_MX] = "2N",
    [WP_TYPE_TXT] = "S",
    [17 /* RP */] = "nn",
    [18 /* AFSDB */] = "2n",
    [19 /* X25 */] = "s",
    [20 /* ISDN */] = "S",
    [21 /* RT */] = "2n",
    [23 /* NSAP-PTR */] = "n",
    [24 /* SIG */] = "Tl14tt2nB",
    [25 /* KEY */] = "21lo",
    [26 /* PX */] = "2nn",
    [27 /* GPOS */] = "sss",
    [WP_TYPE_AAAA] = "q",
    [WP_TYPE_SRV] = "222n",
    [WP_TYPE_NAPTR] = "22sssn",
    [36 /* KX */] = "2n",
    [37 /* CERT */] = "c2lB",
    [WP_TYPE_DNAME] = "n",
    [WP_TYPE_DS] = "2l1X",
    [44 /* SSHFP */] = "11X",
    [45 /* IPSECKEY */] = "111ko",
    [WP_TYPE_RRSIG] = "Tl14tt2nB",
    [WP_TYPE_NSEC] = "mW",
    [WP_TYPE_DNSKEY] = "21lB",
    [49 /* DHCID */] = "B",
    [WP_TYPE_NSEC3] = "112hbW",
    [WP_TYPE_NSEC3PARAM] = "112h",
    [52 /* TLSA */] = "111x",
    [53 /* SMIMEA */] = "111x",
    [56 /* NINFO */] = "S",
    [58 /* TALINK */] = "mm",
    [59 /* CDS */] = "2l1X",
    [60 /* CDNSKEY */] = "21lB",
    [61 /* OPENPGPKEY */] = "B",
    [62 /* CSYNC */] = "42W",
    [63 /* ZONEMD */] = "411x",
    [WP_TYPE_SVCB] = "2mP",
    [WP_TYPE_HTTPS] = "2mP",
    [99 /* SPF */] = "S",
    [105 /* L32 */] = "2a",
    [107 /* LP */] = "2m",
};

const char *wp_rdata_shape(uint16_t type)
{
    if (type < WP_COUNT(shapes))
        return shapes[type];
    switch (type) {
    case 256: /* URI */
        return "22Q";
    case 257: /* CAA */
        return "1gQ";
    case 258: /* AVC */
    case 261: /* RESINFO */
        return "S";
    case 32768: /* TA */
    case 32769: /* DLV */
        return "2l1X";
    default:
        return NULL;
    }
}

static int strings_len(const uint8_t *p, size_t left)
{
    size_t pos = 0;

    do {
        if (pos >= left || p[pos] >= left - pos)
            return WP_EMALFORMED;
        pos += 1 + (size_t)p[pos];
    } while (pos < left);
    return (int)left;
}

/* Windows ascending, 1..32 octets each (RFC 4034 s4.1.2). */
static int types_len(const uint8_t *p, size_t left)
{
    size_t pos = 0;
    int last = -1;

    while (pos < left) {
        if (left - pos < 2 || p[pos] <= last || p[pos + 1] - 1u >= 32 ||
            p[pos + 1] > left - pos - 2)
            return WP_EMALFORMED;
        last = p[pos];
        pos += 2 + (size_t)p[pos + 1];
    }
    return (int)left;
}

static int fixed_len(size_t n, size_t left)
{
    return n <= left ? (int)n : WP_EMALFORMED;
}

/* RFC 4025 s2.5: nothing, an address, or a name. */
static int gateway_len(unsigned kind, const uint8_t *p, size_t left)
{
    switch (kind) {
    case 0:
        return 0;
    case 1:
        return fixed_len(4, left);
    case 2:
        return fixed_len(16, left);
    case 3:
        return wp_name_len(p, left);
    default:
        return WP_EMALFORMED;
    }
}

/* A length octet and at least `least` octets. */
static int counted_len(const uint8_t *p, size_t left, size_t least)
{
    if (left == 0 || p[0] < least)
        return WP_EMALFORMED;
    return fixed_len(1 + (size_t)p[0], left);
}

int wp_field_len(enum wp_field f, const uint8_t *p, size_t left)
{
    switch (f) {
    case WP_FIELD_U8:
    case WP_FIELD_ALGORITHM:
        return fixed_len(1, left);
    case WP_FIELD_U16:
    case WP_FIELD_TYPE:
    case WP_FIELD_CERT:
        return fixed_len(2, left);
    case WP_FIELD_U32:
    case WP_FIELD_DURATION:
    case WP_FIELD_TIME:
    case WP_FIELD_IPV4:
        return fixed_len(4, left);
    case WP_FIELD_IPV6:
        return fixed_len(16, left);
    case WP_FIELD_NAME_1035:
    case WP_FIELD_NAME:
    case WP_FIELD_NAME_CASED:
        return wp_name_len(p, left);
    case WP_FIELD_STRING:
    case WP_FIELD_SALT:
        return counted_len(p, left, 0);
    case WP_FIELD_TAG:
    case WP_FIELD_HASH:
        return counted_len(p, left, 1);
    case WP_FIELD_STRINGS:
        return strings_len(p, left);
    case WP_FIELD_QUOTED:
    case WP_FIELD_BASE64_MAYBE:
        return (int)left;
    case WP_FIELD_GATEWAY:
        return gateway_len(p[-2], p, left);
    case WP_FIELD_BASE64:
    case WP_FIELD_HEX:
    case WP_FIELD_HEX_UPPER:
        return left > 0 ? (int)left : WP_EMALFORMED;
    case WP_FIELD_TYPES:
        return types_len(p, left);
    case WP_FIELD_PARAMS:
        return wp_svcb_check(p, left);
    }
    return WP_EMALFORMED;
}

static bool is_name(char f)
{
    return f == WP_FIELD_NAME_1035 || f == WP_FIELD_NAME || f == WP_FIELD_NAME_CASED;
}

int wp_rdata_check(uint16_t type, const uint8_t *rdata, size_t rdlen)
{
    const char *s = wp_rdata_shape(type);
    size_t pos = 0;

    if (rdlen > WP_RDATA_MAX)
        return WP_EMALFORMED;
    if (s == NULL)
        return 0;
    for (; *s != '\0'; s++) {
        int n = wp_field_len((enum wp_field)s[0], rdata + pos, rdlen - pos);
        if (n < 0)
            return n;
        pos += (size_t)n;
    }
    return pos == rdlen ? 0 : WP_EMALFORMED;
}

int wp_rdata_name_at(uint16_t type, const uint8_t *rdata, size_t rdlen)
{
    const char *s = wp_rdata_shape(type);
    size_t pos = 0;

    for (; s != NULL && *s != '\0'; s++) {
        int n = wp_field_len((enum wp_field)s[0], rdata + pos, rdlen - pos);
        if (n < 0)
            return -1;
        if (is_name(*s))
            return (int)pos;
        pos += (size_t)n;
    }
    return -1;
}

void wp_rdata_lower(uint16_t type, uint8_t *rdata, size_t rdlen)
{
    const char *s = wp_rdata_shape(type);
    size_t pos = 0;

    for (; s != NULL && *s != '\0'; s++) {
        int n = wp_field_len((enum wp_field)s[0], rdata + pos, rdlen - pos);
        if (n < 0)
            return;
        if (*s == WP_FIELD_NAME_1035 || *s == WP_FIELD_NAME)
            wp_name_lower(rdata + pos, (size_t)n);
        pos += (size_t)n;
    }
}
