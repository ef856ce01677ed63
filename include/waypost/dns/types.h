/* Numbers of the protocol and their mnemonics (IANA DNS Parameters). */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "waypost/base/err.h"

enum wp_type {
    WP_TYPE_A = 1,
    WP_TYPE_NS = 2,
    WP_TYPE_CNAME = 5,
    WP_TYPE_SOA = 6,
    WP_TYPE_PTR = 12,
    WP_TYPE_HINFO = 13,
    WP_TYPE_MX = 15,
    WP_TYPE_TXT = 16,
    WP_TYPE_AAAA = 28,
    WP_TYPE_SRV = 33,
    WP_TYPE_NAPTR = 35,
    WP_TYPE_DNAME = 39,
    WP_TYPE_OPT = 41,
    WP_TYPE_DS = 43,
    WP_TYPE_RRSIG = 46,
    WP_TYPE_NSEC = 47,
    WP_TYPE_DNSKEY = 48,
    WP_TYPE_NSEC3 = 50,
    WP_TYPE_NSEC3PARAM = 51,
    WP_TYPE_SVCB = 64,
    WP_TYPE_HTTPS = 65,
    WP_TYPE_TKEY = 249,
    WP_TYPE_TSIG = 250,
    WP_TYPE_IXFR = 251,
    WP_TYPE_AXFR = 252,
    WP_TYPE_ANY = 255,
};

enum wp_class { WP_CLASS_IN = 1, WP_CLASS_CH = 3, WP_CLASS_HS = 4, WP_CLASS_NONE = 254, WP_CLASS_ANY = 255 };

enum wp_rcode {
    WP_RCODE_NOERROR = 0,
    WP_RCODE_FORMERR = 1,
    WP_RCODE_SERVFAIL = 2,
    WP_RCODE_NXDOMAIN = 3,
    WP_RCODE_NOTIMP = 4,
    WP_RCODE_REFUSED = 5,
    WP_RCODE_NOTAUTH = 9,
    WP_RCODE_BADVERS = 16,
    WP_RCODE_BADCOOKIE = 23,
};

enum wp_opcode { WP_OPCODE_QUERY = 0, WP_OPCODE_STATUS = 2, WP_OPCODE_NOTIFY = 4, WP_OPCODE_UPDATE = 5 };

/* Header flags as bits of the second 16-bit word (RFC 1035 s4.1.1, RFC 4035 s3.1.6). */
enum wp_flag {
    WP_FLAG_QR = 0x8000,
    WP_FLAG_OPCODE = 0x7800,
    WP_FLAG_AA = 0x0400,
    WP_FLAG_TC = 0x0200,
    WP_FLAG_RD = 0x0100,
    WP_FLAG_RA = 0x0080,
    WP_FLAG_Z = 0x0040,
    WP_FLAG_AD = 0x0020,
    WP_FLAG_CD = 0x0010,
    WP_FLAG_RCODE = 0x000f,
};

/* "A", "TYPE65280"; buf is used for the numeric form only. */
const char *wp_type_text(uint16_t type, char buf[16]);
const char *wp_class_text(uint16_t cls, char buf[16]);      /* "IN", "CLASS7" */
const char *wp_rcode_text(uint16_t rcode, char buf[16]);    /* "NOERROR", or decimal */
/* NULL-safe lookups, mnemonic in any case, "TYPE123"/"CLASS7" forms too; WP_ENOTFOUND. */
int wp_type_parse(const char *s, uint16_t *ret) WP_MUSTCHECK;
int wp_class_parse(const char *s, uint16_t *ret) WP_MUSTCHECK;
int wp_rcode_parse(const char *s, uint16_t *ret) WP_MUSTCHECK;
