/* Mnemonics as CoreDNS prints them: they are label values of its metrics and words of its log. */
#include "waypost/dns/types.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/dns/rdata_priv.h"
#include "waypost/base/text.h"

struct mnemonic {
    uint16_t value;
    const char *text;
};

/* By value: those below 110 are found directly, the few above by search. */
enum { LOW_TYPES = 110 };
static const char *const low_types[LOW_TYPES] = {
    [0] = "None",     [1] = "A",           [2] = "NS",          [3] = "MD",      [4] = "MF",
    [5] = "CNAME",    [6] = "SOA",         [7] = "MB",          [8] = "MG",      [9] = "MR",
    [10] = "NULL",    [12] = "PTR",        [13] = "HINFO",      [14] = "MINFO",  [15] = "MX",
    [16] = "TXT",     [17] = "RP",         [18] = "AFSDB",      [19] = "X25",    [20] = "ISDN",
    [21] = "RT",      [23] = "NSAP-PTR",   [24] = "SIG",        [25] = "KEY",    [26] = "PX",
    [27] = "GPOS",    [28] = "AAAA",       [29] = "LOC",        [30] = "NXT",    [31] = "EID",
    [32] = "NIMLOC",  [33] = "SRV",        [34] = "ATMA",       [35] = "NAPTR",  [36] = "KX",
    [37] = "CERT",    [39] = "DNAME",      [41] = "OPT",        [42] = "APL",    [43] = "DS",
    [44] = "SSHFP",   [45] = "IPSECKEY",   [46] = "RRSIG",      [47] = "NSEC",   [48] = "DNSKEY",
    [49] = "DHCID",   [50] = "NSEC3",      [51] = "NSEC3PARAM", [52] = "TLSA",   [53] = "SMIMEA",
    [55] = "HIP",     [56] = "NINFO",      [57] = "RKEY",       [58] = "TALINK", [59] = "CDS",
    [60] = "CDNSKEY", [61] = "OPENPGPKEY", [62] = "CSYNC",      [63] = "ZONEMD", [64] = "SVCB",
    [65] = "HTTPS",   [99] = "SPF",        [100] = "UINFO",     [101] = "UID",   [102] = "GID",
    [103] = "UNSPEC", [104] = "NID",       [105] = "L32",       [106] = "L64",   [107] = "LP",
    [108] = "EUI48",  [109] = "EUI64",
};
static const struct mnemonic high_types[] = {
    {128, "NXNAME"},  {249, "TKEY"},  {250, "TSIG"},  {251, "IXFR"},
    {252, "AXFR"},    {253, "MAILB"}, {254, "MAILA"}, {255, "ANY"},
    {256, "URI"},     {257, "CAA"},   {258, "AVC"},   {260, "AMTRELAY"},
    {261, "RESINFO"}, {32768, "TA"},  {32769, "DLV"}, {65535, "Reserved"},
};
/* Other spellings that are read but never printed: CoreDNS writes TYPE11. */
static const struct mnemonic type_aliases[] = {{11, "WKS"}, {22, "NSAP"}, {38, "A6"}};
static const struct mnemonic classes[] = {
    {1, "IN"}, {2, "CS"}, {3, "CH"}, {4, "HS"}, {254, "NONE"}, {255, "ANY"},
};
/* 16 is BADSIG of TSIG and BADVERS of EDNS; CoreDNS prints the first for both. */
static const struct mnemonic rcodes[] = {
    {0, "NOERROR"},  {1, "FORMERR"},    {2, "SERVFAIL"}, {3, "NXDOMAIN"},  {4, "NOTIMP"},
    {5, "REFUSED"},  {6, "YXDOMAIN"},   {7, "YXRRSET"},  {8, "NXRRSET"},   {9, "NOTAUTH"},
    {10, "NOTZONE"}, {11, "DSOTYPENI"}, {16, "BADSIG"},  {17, "BADKEY"},   {18, "BADTIME"},
    {19, "BADMODE"}, {20, "BADNAME"},   {21, "BADALG"},  {22, "BADTRUNC"}, {23, "BADCOOKIE"},
};
/* As type_aliases. */
static const struct mnemonic rcode_aliases[] = {{4, "NOTIMPL"}, {16, "BADVERS"}};

/* RFC 4398 s2.1 */
static const struct mnemonic cert_types[] = {
    {1, "PKIX"}, {2, "SPKI"},   {3, "PGP"},     {4, "IPKIX"}, {5, "ISPKI"},
    {6, "IPGP"}, {7, "ACPKIX"}, {8, "IACPKIX"}, {253, "URI"}, {254, "OID"},
};

static const char *text_of(const struct mnemonic *table, size_t n, uint16_t value)
{
    for (size_t i = 0; i < n; i++) {
        if (table[i].value == value)
            return table[i].text;
    }
    return NULL;
}

static int value_of(const struct mnemonic *table, size_t n, const char *s, uint16_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        if (wp_text_ieq(table[i].text, s)) {
            *ret = table[i].value;
            return 0;
        }
    }
    return WP_ENOTFOUND;
}

/* PREFIX123, RFC 3597 s5. */
static int generic_value(const char *s, const char *prefix, uint16_t *ret)
{
    size_t n = strlen(prefix);
    int64_t v;

    if (strncasecmp(s, prefix, n) != 0 || s[n] < '0' || s[n] > '9' ||
        wp_int_parse(s + n, 0, UINT16_MAX, &v) < 0)
        return WP_ENOTFOUND;
    *ret = (uint16_t)v;
    return 0;
}

const char *wp_type_text(uint16_t type, char buf[16])
{
    const char *s =
        type < LOW_TYPES ? low_types[type] : text_of(high_types, WP_COUNT(high_types), type);

    if (s != NULL)
        return s;
    snprintf(buf, 16, "TYPE%u", type);
    return buf;
}

const char *wp_class_text(uint16_t cls, char buf[16])
{
    const char *s = text_of(classes, WP_COUNT(classes), cls);

    if (s != NULL)
        return s;
    snprintf(buf, 16, "CLASS%u", cls);
    return buf;
}

const char *wp_rcode_text(uint16_t rcode, char buf[16])
{
    const char *s = text_of(rcodes, WP_COUNT(rcodes), rcode);

    if (s != NULL)
        return s;
    snprintf(buf, 16, "%u", rcode);
    return buf;
}

int wp_type_parse(const char *s, uint16_t *ret)
{
    if (s == NULL)
        return WP_ENOTFOUND;
    for (unsigned i = 0; i < LOW_TYPES; i++) {
        if (low_types[i] != NULL && wp_text_ieq(low_types[i], s)) {
            *ret = (uint16_t)i;
            return 0;
        }
    }
    if (value_of(high_types, WP_COUNT(high_types), s, ret) == 0 ||
        value_of(type_aliases, WP_COUNT(type_aliases), s, ret) == 0)
        return 0;
    return generic_value(s, "TYPE", ret);
}

int wp_class_parse(const char *s, uint16_t *ret)
{
    if (s == NULL)
        return WP_ENOTFOUND;
    if (value_of(classes, WP_COUNT(classes), s, ret) == 0)
        return 0;
    return generic_value(s, "CLASS", ret);
}

int wp_rcode_parse(const char *s, uint16_t *ret)
{
    if (s == NULL)
        return WP_ENOTFOUND;
    if (value_of(rcodes, WP_COUNT(rcodes), s, ret) == 0)
        return 0;
    return value_of(rcode_aliases, WP_COUNT(rcode_aliases), s, ret);
}

const char *wp_cert_type_text(uint16_t v)
{
    return text_of(cert_types, WP_COUNT(cert_types), v);
}

int wp_cert_type_parse(const char *s, uint16_t *ret)
{
    return value_of(cert_types, WP_COUNT(cert_types), s, ret);
}
