/* Resource records: walking them in a message, expanding, comparing, and text <-> wire.
 * Text forms are those of zone files (RFC 1035 s5, RFC 3597 for unknown types). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/arena.h"
#include "waypost/base/rd.h"
#include "waypost/dns/name.h"
#include "waypost/dns/types.h"

struct wp_wr;

enum wp_section { WP_ANSWER = 0, WP_AUTHORITY = 1, WP_ADDITIONAL = 2, WP_SECTIONS = 3 };

/* One record as it stands in a message; names may be compressed. */
struct wp_rr_at {
    size_t pos;        /* of the owner name */
    size_t ttl_pos;    /* of the TTL field */
    size_t rdata_pos;
    size_t end;        /* first octet after the record */
    uint16_t type, cls, rdlen;
    uint32_t ttl;
};
/* Read one record's frame at the reader's position (owner skipped, not followed).
 * @return 0 or WP_EMALFORMED; the reader moves past the record on success only */
int wp_rr_next(struct wp_rd *rd, struct wp_rr_at *ret) WP_MUSTCHECK;

/* One record taken out of its message: nothing in it is compressed. Octets belong to the
 * arena that it was read into. */
struct wp_rr {
    const uint8_t *owner; /* wire name, case as received */
    const uint8_t *rdata; /* uncompressed */
    uint32_t ttl;
    uint16_t type, cls, rdlen;
    uint8_t section; /* enum wp_section */
};
/* Read the record at the reader's position, names in owner and rdata expanded (also in types
 * that should not be compressed, as seen in the wild: SRV, RRSIG, NAPTR). ret->section is left
 * as it is. The rdata of known types is well formed afterwards, so readers need not look again;
 * of class ANY and NONE it may also be empty (UPDATE).
 * @return 0; WP_EMALFORMED; -ENOMEM. The reader moves past the record on success only */
int wp_rr_read(struct wp_rd *msg, struct wp_arena *a, struct wp_rr *ret) WP_MUSTCHECK;
/* Check rdata of a known type (uncompressed): 0 or WP_EMALFORMED. Unknown types pass. */
int wp_rdata_check(uint16_t type, const uint8_t *rdata, size_t rdlen) WP_MUSTCHECK;
/* The first name inside rdata: CNAME, NS, PTR, DNAME, MX exchange, SRV, SVCB/HTTPS target, SOA
 * mname, NAPTR replacement: its offset in rdata, or -1 for types that have none. */
int wp_rdata_name_at(uint16_t type, const uint8_t *rdata, size_t rdlen);
/* Lower-case the names in rdata in place (canonical form, RFC 4034 s6.2; the next name of NSEC
 * keeps its case, RFC 6840 s5.1, as does the target of SVCB and HTTPS). */
void wp_rdata_lower(uint16_t type, uint8_t *rdata, size_t rdlen);
/* "10 5 8080 svc.example." into out, NUL-terminated, as Go's miekg/dns prints it; "\# 2 ABCD" for
 * types without a text form. 0, WP_ESPACE, WP_EMALFORMED; out is spoilt after an error. */
int wp_rdata_text(uint16_t type, const uint8_t *rdata, size_t rdlen, char *out,
                  size_t cap) WP_MUSTCHECK;
/* Zone-file text of rdata (one line; parentheses and a comment at the end are fine) to wire,
 * through ldns for rare types. Relative names get the origin (NULL: root). "\# LEN HEX" is
 * read for every type. A TXT string above 255 octets becomes several, as in miekg/dns.
 * @return 0, WP_EMALFORMED, WP_EUNSUPPORTED (no text form is known), -ENOMEM */
int wp_rdata_parse(uint16_t type, const char *text, const struct wp_name *origin,
                   struct wp_arena *a, const uint8_t **ret_rdata, size_t *ret_len) WP_MUSTCHECK;

/* Names already written, for compression: a bounded table; a full one only means less
 * compression. The writer's buf must be the start of the message (offsets count from there).
 * Write the question name first, by wp_wr_name, so that later names can point at it. */
enum { WP_COMP_SLOTS = 128 };
struct wp_comp {
    uint16_t n, owner;            /* owner: offset of the last record's, or 0 */
    uint16_t pos[WP_COMP_SLOTS];  /* offset in the message, < 0x4000; 0: free */
    uint32_t hash[WP_COMP_SLOTS]; /* of the suffix there, as spelled */
};
void wp_comp_init(struct wp_comp *c);
/* Write a name, compressed onto the same spelling if it stands in the message already. */
void wp_wr_name(struct wp_wr *wr, struct wp_comp *c, const uint8_t *wire);
/* Write a whole record; rdata names are compressed for the RFC 1035 types only. */
void wp_wr_rr(struct wp_wr *wr, struct wp_comp *c, const struct wp_rr *rr);
