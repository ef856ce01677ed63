/* Inside the zone: what its answering files share. */
#pragma once
#include "backends/common/zone.h"
#include "waypost/dns/rr.h"
#include "waypost/dns/types.h"

/* Where the owner of records that are copied stands. */
struct wp_zone_owner {
    uint16_t pointer;    /* 0xc000 | offset in the message; 0: write the name */
    const uint8_t *name; /* uncompressed, with pointer 0 */
};
static inline struct wp_zone_owner wp_zone_owner_at(size_t offset, const uint8_t *name)
{
    return (struct wp_zone_owner){offset < 0x4000 ? (uint16_t)(0xc000 | offset) : 0, name};
}
/* The owner is the question name. */
static inline struct wp_zone_owner wp_zone_owner_asked(void)
{
    return (struct wp_zone_owner){0xc000 | WP_HEADER_LEN, NULL};
}

/* --- zone_put.c: copying sets into a reply --------------------------------------------------- */

/* Append the set's records to a section. 0 or WP_ESPACE (nothing is written then). */
int wp_zone_put(struct wp_query *q, enum wp_section s, const struct wp_entry *e,
                const struct wp_set *set, struct wp_zone_owner owner) WP_MUSTCHECK;
/* The type's records, with their signatures for DO. 1: they are there, 0: no such type,
 * negative: WP_ESPACE. */
int wp_zone_put_type(struct wp_query *q, enum wp_section s, const struct wp_entry *e, uint16_t type,
                     struct wp_zone_owner owner) WP_MUSTCHECK;
/* All signatures of a name: the answer to type RRSIG. As above. */
int wp_zone_put_sigs(struct wp_query *q, const struct wp_entry *e,
                     struct wp_zone_owner owner) WP_MUSTCHECK;
/* What makes an answer better but may be left out when there is no room. */
void wp_zone_put_ns(const struct wp_zone *z, struct wp_query *q);
void wp_zone_put_soa(const struct wp_zone *z, struct wp_query *q);

/* --- zone_extra.c: additional section --------------------------------------------------------- */

/* Addresses of the hosts that the answer's MX, SRV, SVCB and HTTPS records name. */
void wp_zone_put_hosts(const struct wp_zone *z, struct wp_query *q);
/* Addresses of the set's name servers at or below `owner`. */
void wp_zone_put_glue(const struct wp_zone *z, struct wp_query *q, const struct wp_entry *e,
                      const struct wp_set *ns);

/* --- zone_deny.c -------------------------------------------------------------------------------
 */

/* The NSEC records that a reply needs; without one twice. */
struct wp_zone_proof {
    const struct wp_entry *given[4];
    unsigned n;
};
/* NSEC of a name that exists; of the gap that a name (lower case) falls into. Nothing is put
 * unless the client wants DNSSEC and the zone has NSEC. */
void wp_zone_prove_entry(const struct wp_zone *z, struct wp_query *q, struct wp_zone_proof *p,
                         const struct wp_entry *e);
void wp_zone_prove_gap(const struct wp_zone *z, struct wp_query *q, struct wp_zone_proof *p,
                       const uint8_t *name);

/* --- zone_chase.c ------------------------------------------------------------------------------
 */

/* The topmost zone cut or DNAME at or above the name that s describes, or NULL. */
const struct wp_entry *wp_zone_bend(const struct wp_zone *z, const struct wp_qname *name,
                                    const struct wp_seek *s, uint16_t qtype);
/* Answer with the CNAME of e (the question's entry, or the wildcard) and what it leads to. */
int wp_zone_chase(struct wp_zone *z, struct wp_query *q, const struct wp_entry *e, bool wild);
/* Answer with the DNAME of e, an ancestor of the question, and what it leads to. */
int wp_zone_follow_dname(struct wp_zone *z, struct wp_query *q, const struct wp_entry *e);
/* Name servers, glue and DS of a cut, appended to a reply that may hold answers. The cut's name
 * is the tail of cut->name_len octets of the name at `offset` in the message. */
int wp_zone_put_referral(const struct wp_zone *z, struct wp_query *q, const struct wp_entry *cut,
                         struct wp_zone_owner owner) WP_MUSTCHECK;
