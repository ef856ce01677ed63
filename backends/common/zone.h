/* An authoritative zone in memory: made from records, then immutable and shared by reference.
 * It answers as RFC 1034 s4.3.2 with CNAME, DNAME (RFC 6672), wildcards (RFC 4592), zone cuts
 * and stored DNSSEC records (RFC 4035 s3.1). Used by file, and by whatever else holds zones. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/common/zone_text.h"
#include "waypost/base/arena.h"
#include "waypost/base/grace.h"
#include "waypost/dns/name.h"
#include "waypost/plugin/catalog.h"
#include "waypost/plugin/query.h"

/* Variants of a set in the zone's catalog. Bodies hold answer records only, their owner written
 * as 0xc00c and nothing else compressed. */
enum wp_zone_variant {
    WP_ZONE_DATA = 0,
    WP_ZONE_SIGS = 1, /* the RRSIGs that cover the type */
};
enum wp_zone_flag {
    WP_ZONE_LONG_SET = WP_ENTRY_OWN, /* some set was cut to what a message holds */
};

struct wp_zone {
    atomic_uint refs;
    struct wp_catalog *catalog;
    const struct wp_entry *apex;
    struct wp_name origin;        /* lower case */
    uint64_t source;              /* what replies depend on: the same for all versions of a zone */
    uint32_t serial, minimum;     /* of the SOA */
    bool has_cuts;                /* a name with NS or DNAME that ends or bends the zone */
    bool apex_bare;               /* nothing at the apex but SOA, NS and their signatures */
    struct wp_tail soa[2], ns[2]; /* plain, with signatures */
    const struct wp_entry **nsec; /* names with an NSEC in canonical order */
    size_t n_nsec;
    /* all names that have records, in canonical order; NULL: nobody has wanted to give them away */
    const struct wp_entry **_Atomic order;
    size_t n_order;
    size_t n_records, n_foreign; /* in use; ignored because outside the zone */
    size_t n_long;               /* sets that were cut (LONG_SET) */
    struct wp_arena arena;
    const struct wp_zone_file *files; /* what it was read from, or NULL */
    struct wp_zone *next_loaded;      /* zone_file.c's list */
};
struct wp_zone *wp_zone_ref(struct wp_zone *z);
void wp_zone_unref(struct wp_zone *z); /* NULL is fine; any thread */
/* Give up a reference that readers on the workers' loops share, after a grace period. The ticket
 * is taken when it is still easy to fail; it frees itself. */
struct wp_zone_ticket {
    struct wp_grace_item grace;
    struct wp_zone *zone;
};
struct wp_zone_ticket *wp_zone_ticket_new(void); /* NULL: no memory; free() when not used */
void wp_zone_retire(struct wp_zone *z, struct wp_zone_ticket *ticket);
size_t wp_zone_octets(const struct wp_zone *z); /* heap in use */

/* --- making one ---------------------------------------------------------------------------- */

struct wp_zone_maker;
int wp_zone_maker_new(const struct wp_name *origin, struct wp_zone_maker **ret) WP_MUSTCHECK;
void wp_zone_maker_free(struct wp_zone_maker *m);
/* Class IN, rdata uncompressed and well formed. Records outside the zone are counted and left
 * out. 0 or -ENOMEM. */
int wp_zone_maker_add(struct wp_zone_maker *m, const uint8_t *owner, uint16_t type, uint32_t ttl,
                      const uint8_t *rdata, size_t rdlen) WP_MUSTCHECK;
/* The zone, with one reference. WP_ENOTFOUND: no SOA; -ENOMEM; WP_ELIMIT: more than
 * WP_ENTRY_SETS_MAX sets at one name. */
int wp_zone_maker_finish(struct wp_zone_maker *m, uint64_t source,
                         struct wp_zone **ret) WP_MUSTCHECK;

/* --- giving it away (waypost/plugin/transfer.h) --------------------------------------------- */

/* Sort the names, once; what a transfer needs. Takes about half a second for a million: not on a
 * worker's thread. 0 or -ENOMEM. */
int wp_zone_make_order(struct wp_zone *z) WP_MUSTCHECK;
/* As wp_plugin.transfer; holds a reference on the zone until end(). WP_ESTATE without the order;
 * WP_ELIMIT: the zone has sets of which a part was left out when it was made. */
struct wp_transfer;
int wp_zone_transfer(struct wp_zone *z, struct wp_query *q, struct wp_transfer *ret) WP_MUSTCHECK;

/* --- answering (worker's loop) --------------------------------------------------------------- */

/* What became of the question. */
enum wp_zone_result {
    WP_ZONE_ANSWERED, /* the reply stands, or the query waits: return step */
    WP_ZONE_NO_NAME,  /* nothing is written: NXDOMAIN, or an empty name; the caller may pass the
                         question on, or call wp_zone_deny */
};
/* The question of q, whose name is within the zone. step: what serve() returns. */
enum wp_zone_result wp_zone_answer(struct wp_zone *z, struct wp_query *q, int *ret_step);
/* After NO_NAME. Returns as serve(). */
int wp_zone_deny(struct wp_zone *z, struct wp_query *q);
