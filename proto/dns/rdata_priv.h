/* The shape of rdata: for each known type its fields in order, one letter each. Checking,
 * expanding, lower-casing, printing and reading all walk the same shape, so a type is one row. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "proto/dns/text_priv.h"
#include "waypost/base/arena.h"
#include "waypost/dns/name.h"

enum wp_field {
    WP_FIELD_U8 = '1',
    WP_FIELD_U16 = '2',
    WP_FIELD_U32 = '4',
    WP_FIELD_ALGORITHM = 'l', /* DNSSEC algorithm, one octet */
    WP_FIELD_DURATION = 'd',  /* seconds; "1h30m" is read as well */
    WP_FIELD_TIME = 't',      /* YYYYMMDDHHMMSS (RFC 4034 s3.2) */
    WP_FIELD_TYPE = 'T',
    WP_FIELD_CERT = 'c',    /* certificate type (RFC 4398 s2.1) */
    WP_FIELD_GATEWAY = 'k', /* of IPSECKEY: its kind stands two octets before it */
    WP_FIELD_IPV4 = 'a',
    WP_FIELD_IPV6 = 'q',
    WP_FIELD_NAME_1035 = 'N',    /* may be compressed (RFC 3597 s4); lower case in canonical form */
    WP_FIELD_NAME = 'n',         /* never compressed by us; lower case in canonical form */
    WP_FIELD_NAME_CASED = 'm',   /* never compressed, case kept (RFC 6840 s5.1, RFC 9460) */
    WP_FIELD_STRING = 's',       /* one character-string */
    WP_FIELD_STRINGS = 'S',      /* one or more, to the end */
    WP_FIELD_TAG = 'g',          /* of CAA: not quoted */
    WP_FIELD_QUOTED = 'Q',       /* the rest as one quoted text */
    WP_FIELD_BASE64 = 'B',       /* the rest; at least one octet, as in the next two */
    WP_FIELD_BASE64_MAYBE = 'o', /* the rest, may be empty */
    WP_FIELD_HEX = 'x',
    WP_FIELD_HEX_UPPER = 'X',
    WP_FIELD_SALT = 'h',   /* of NSEC3: length and hex, "-" when empty */
    WP_FIELD_HASH = 'b',   /* of NSEC3: length and base32hex */
    WP_FIELD_TYPES = 'W',  /* type bit maps, to the end */
    WP_FIELD_PARAMS = 'P', /* SvcParams, to the end */
};

enum { WP_RDATA_MAX = 65535 };

/* The type's shape, or NULL: not known here. */
const char *wp_rdata_shape(uint16_t type);
/* Octets of the field at p in uncompressed rdata, the fields before it in place; or
 * WP_EMALFORMED. */
int wp_field_len(enum wp_field f, const uint8_t *p, size_t left) WP_MUSTCHECK;

/* A field that is one word; relative names get the origin. Lists and rests are not read here. */
int wp_field_read(enum wp_field f, const struct wp_token *t, const struct wp_name *origin,
                  struct wp_wr *wr) WP_MUSTCHECK;
int wp_token_type(const struct wp_token *t, uint16_t *ret) WP_MUSTCHECK; /* "A", "TYPE1" */
/* "PKIX", or NULL; WP_ENOTFOUND. */
const char *wp_cert_type_text(uint16_t v);
int wp_cert_type_parse(const char *s, uint16_t *ret) WP_MUSTCHECK;

/* --- SvcParams (RFC 9460) ------------------------------------------------------------- */

int wp_svcb_check(const uint8_t *params, size_t len) WP_MUSTCHECK;
void wp_svcb_text(struct wp_wr *out, const uint8_t *params, size_t len); /* checked before */
/* Appended to wr in key order. The arena is for scratch. */
int wp_svcb_parse(struct wp_tokens *t, struct wp_arena *a, struct wp_wr *wr) WP_MUSTCHECK;

/* --- types that only ldns knows ------------------------------------------------------- */

bool wp_ldns_knows(uint16_t type);
int wp_ldns_text(uint16_t type, const uint8_t *rdata, size_t rdlen, struct wp_wr *out) WP_MUSTCHECK;
int wp_ldns_parse(uint16_t type, const char *text, const struct wp_name *origin,
                  struct wp_wr *wr) WP_MUSTCHECK;
