/* The catalog: what a backend publishes. Names, each with its record sets ready in wire form,
 * and what is needed to say NXDOMAIN, NODATA or a referral truthfully. One writer (the
 * backend's thread), any number of lock-free readers on the workers' loops; an entry is
 * immutable once published and is freed after a grace period: a reader may keep a pointer until
 * the end of its loop turn, a query that WAITs looks again. A look-up is one probe (a slot
 * carries 16 bits of the hash, so that other names' entries are not touched), the answer one
 * copy.
 *
 * The body of a set holds whole records for answer, then authority, then additional. Owners
 * equal to the name are written as 0xc00c. Because the offset of the question is fixed and its
 * length is that of the name, other names in the body may point at suffixes of the question
 * too (wp_catalog_point); in sets of wildcard entries they may not: the asked name is longer.
 *
 * How a backend with names that change one by one (etcd, nomad) uses it:
 *   writer:  wp_entry_maker_start, _set..., wp_catalog_put; wp_catalog_del
 *   serve(): wp_catalog_serve(c, q, ops, backend), which answers hits itself and hands what is
 *            left (computed names, missing types, misses) to ops->answer
 * A backend that replaces everything at once (file) builds a new catalog with
 * WP_CATALOG_WHOLE, swaps its own pointer, calls wp_changed(wp_catalog_key(c, 0)) and frees
 * the old one through wp_grace. Its serve() calls wp_query_depends(q, wp_change_key(source, 0))
 * before it loads that pointer. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "waypost/base/arena.h"
#include "waypost/plugin/change.h"
#include "waypost/plugin/query.h"

struct wp_catalog;

/* One ready answer. */
struct wp_set {
    uint32_t offset; /* of the body, from the entry's start */
    uint16_t len;    /* octets of the body */
    uint16_t type;
    uint16_t count[WP_SECTIONS];
    uint16_t variant; /* the backend's own; 0 is what wp_entry_set and wp_catalog_serve take */
};

enum wp_entry_flag {
    WP_ENTRY_COMPUTED = 1,   /* always ask ops->answer; sets are not complete */
    WP_ENTRY_CUT = 2,        /* zone cut here: everything at and below is a referral */
    WP_ENTRY_DNAME = 4,
    WP_ENTRY_CNAME = 8,      /* has a CNAME */
    WP_ENTRY_WILDCARD = 16,  /* a child "*" exists; kept by the catalog */
    WP_ENTRY_EMPTY = 32,     /* no data: exists because something is below (ENT); kept by the catalog */
    WP_ENTRY_BELOW_CUT = 64, /* glue or occluded: never an answer of its own */
    WP_ENTRY_OWN = 256,      /* this bit and those above belong to the backend */
};

/* Published, immutable but for the WILDCARD flag. The name (lower-case wire) follows the sets,
 * the bodies follow the name. */
struct wp_entry {
    const void *data; /* the backend's own, not owned; freed through wp_grace if ever */
    uint32_t size;    /* octets of the whole entry */
    uint32_t below;   /* direct children; the writer's */
    _Atomic uint16_t flags; /* enum wp_entry_flag */
    uint8_t name_len, n_sets;
    struct wp_set sets[];
};
static inline const uint8_t *wp_entry_name(const struct wp_entry *e)
{
    return (const uint8_t *)&e->sets[e->n_sets];
}
static inline const uint8_t *wp_entry_body(const struct wp_entry *e, const struct wp_set *s)
{
    return (const uint8_t *)e + s->offset;
}
static inline unsigned wp_entry_flags(const struct wp_entry *e)
{
    return atomic_load_explicit(&((struct wp_entry *)(uintptr_t)e)->flags, memory_order_relaxed);
}

enum wp_catalog_mode {
    WP_CATALOG_LIVE,  /* names come and go; each is a dependency of its own */
    WP_CATALOG_WHOLE, /* replaced as a whole: one dependency, entries live as long as it does */
};
/* apex: lower-case wire, copied. source: what owns the data, for wp_changed (change.h). */
int wp_catalog_new(const uint8_t *apex, uint64_t source, enum wp_catalog_mode mode,
                   struct wp_catalog **ret) WP_MUSTCHECK;
void wp_catalog_free(struct wp_catalog *c); /* no reader left */

/* --- writer ------------------------------------------------------------------------------ */

/* Builds an entry. Memory is reused from start to start; one maker serves any number of
 * entries. */
struct wp_entry_maker {
    struct wp_arena arena; /* the sets and bodies; the caller may take from it too */
    uint8_t name[WP_NAME_MAX];
    uint8_t name_len;
    uint16_t flags;
    const void *data;
    unsigned n_sets, cap_sets;
    size_t octets; /* of all bodies */
    struct wp_made_set {
        uint16_t type, variant, count[WP_SECTIONS];
        uint16_t len;
        const uint8_t *body;
    } *sets;
};
enum { WP_ENTRY_SETS_MAX = 255 };
void wp_entry_maker_init(struct wp_entry_maker *m);
void wp_entry_maker_done(struct wp_entry_maker *m);
/* name: valid wire form, any case; stored in lower case. Forgets what was there. */
void wp_entry_maker_start(struct wp_entry_maker *m, const uint8_t *name, uint16_t flags);
/* body is copied. -ENOMEM; WP_ELIMIT: a body above 65535 octets less header and question, or
 * more than WP_ENTRY_SETS_MAX sets. */
int wp_entry_maker_set(struct wp_entry_maker *m, uint16_t type, uint16_t variant,
                       const uint16_t count[WP_SECTIONS], const uint8_t *body,
                       size_t len) WP_MUSTCHECK;

/* One more record of the name, into the set of its type (variant 0). As maker_set. */
int wp_entry_maker_record(struct wp_entry_maker *m, uint16_t type, uint32_t ttl, const uint8_t *rdata,
                          size_t len) WP_MUSTCHECK;
/* The records that an apex needs if nobody says others: SOA (ns.dns.APEX, hostmaster.APEX, `ttl` is
 * also that of negative answers) and NS. The name that was started is the apex. */
int wp_entry_maker_apex(struct wp_entry_maker *m, uint32_t serial, uint32_t ttl) WP_MUSTCHECK;

/* Publish (replacing what the name had). Missing ancestors up to the apex are made as EMPTY
 * entries and go when nothing is below them any more. Marks what changed, and nothing else: the
 * name, and each ancestor that came. -ENOMEM (nothing changed) or WP_EMALFORMED: not within the
 * apex. */
int wp_catalog_put(struct wp_catalog *c, const struct wp_entry_maker *m) WP_MUSTCHECK;
/* Put one more record to those that the name has: for feeds that bring them one by one. The maker is
 * started by it. As put; WP_ELIMIT as maker_set. */
int wp_catalog_add(struct wp_catalog *c, struct wp_entry_maker *m, const uint8_t *name, uint16_t type,
                   uint32_t ttl, const uint8_t *rdata, size_t len) WP_MUSTCHECK;
/* Remove a name; one that has others below becomes EMPTY. WP_ENOTFOUND, -ENOMEM: nothing
 * changed. */
int wp_catalog_del(struct wp_catalog *c, const uint8_t *name);
/* Room for n names without growing on the way. */
int wp_catalog_reserve(struct wp_catalog *c, size_t n) WP_MUSTCHECK;
/* Figures for metrics and bench; any thread. Names include EMPTY ones. */
size_t wp_catalog_names(const struct wp_catalog *c);
size_t wp_catalog_octets(const struct wp_catalog *c); /* heap in use */
/* Every published entry, in no order; writer's thread. Stops when fn returns non-zero and
 * returns that. fn may delete or replace the entry it is shown. */
int wp_catalog_each(struct wp_catalog *c, int (*fn)(void *arg, const struct wp_entry *e), void *arg);

/* --- reader ------------------------------------------------------------------------------ */

/* What to depend on for a name's hash; 0 stands for the whole catalog. */
uint64_t wp_catalog_key(const struct wp_catalog *c, uint64_t hash);
const uint8_t *wp_catalog_apex(const struct wp_catalog *c);

/* The plain probe: `lower` is the name in lower case, `hash` its wp_name_hash. NULL: no such
 * entry. Records no dependency. */
const struct wp_entry *wp_catalog_find(const struct wp_catalog *c, const uint8_t *lower, size_t len,
                                       uint64_t hash);
/* For batches: touch the slot; later touch the entry that the slot leads to. */
void wp_catalog_prefetch(const struct wp_catalog *c, uint64_t hash);
void wp_catalog_prefetch_entry(const struct wp_catalog *c, uint64_t hash);

/* Where a name stands. */
struct wp_seek {
    const struct wp_entry *entry; /* of the name, or of its closest encloser; NULL: not within
                                     the apex, or nothing published */
    const struct wp_entry *wild;  /* not exact: the encloser's child "*", or NULL */
    uint8_t labels;               /* how many labels of the name the entry has */
    bool exact;
};
/* Look the name up. With q (may be NULL) everything that the answer hangs on is recorded with
 * wp_query_depends, in the order that lets no change slip between. */
void wp_catalog_seek(const struct wp_catalog *c, const struct wp_qname *name, struct wp_query *q,
                     struct wp_seek *ret);
/* First set of the type with variant 0, or NULL. */
const struct wp_set *wp_entry_set(const struct wp_entry *e, uint16_t type);
const struct wp_set *wp_entry_set_variant(const struct wp_entry *e, uint16_t type, uint16_t variant);
/* Start the reply (header and question) and copy the set behind it; flags: WP_FLAG_AA or 0.
 * DONE or a negative error. */
int wp_catalog_answer(struct wp_query *q, const struct wp_entry *e, const struct wp_set *s,
                      uint16_t flags);

struct wp_catalog_ops {
    /* Whatever is not an exact hit of a set: COMPUTED, CNAME, DNAME, CUT, EMPTY and BELOW_CUT
     * entries, types that are not there, misses. Returns as serve(). */
    int (*answer)(void *backend, struct wp_query *q, const struct wp_seek *s);
};
/* The question of q: a hit (exact entry without flags but WILDCARD, set of the type) is answered
 * with AA at once, everything else goes to ops->answer. */
int wp_catalog_serve(const struct wp_catalog *c, struct wp_query *q,
                     const struct wp_catalog_ops *ops, void *backend);

/* A whole answer from a catalog whose sets are plain records and whose apex has a SOA (wp_entry_maker_apex):
 * records, wildcards (RFC 4592), CNAMEs with what the server says of their target, and else NODATA or
 * NXDOMAIN with that SOA (RFC 2308). Returns as serve(); NEXT: the name is not within the apex. */
int wp_catalog_serve_plain(const struct wp_catalog *c, struct wp_query *q);

/* The pointer to `suffix` (a tail of the entry's name of that length in octets, root included) in a
 * reply to that name. */
static inline uint16_t wp_catalog_point(size_t name_len, size_t suffix_len)
{
    return (uint16_t)(0xc000 | (WP_HEADER_LEN + name_len - suffix_len));
}

/* Records shared by the answers of many names (SOA of negative answers, NS of the authority
 * section). Names in them that are tails of every question are pointers, set while copying. */
struct wp_tail {
    uint16_t count[WP_SECTIONS];
    uint16_t len, n_points;
    const uint8_t *records; /* not owned, as is points */
    const struct wp_tail_point {
        uint16_t at;     /* offset in records of a two-octet pointer */
        uint8_t name_len; /* octets of the name it stands for */
    } *points;
};
/* Append to a begun reply to a question of qname_len octets that ends in the names the tail
 * points at. 0 or WP_ESPACE. */
int wp_tail_append(struct wp_query *q, const struct wp_tail *t, size_t qname_len) WP_MUSTCHECK;
