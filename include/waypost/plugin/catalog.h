/* The catalog: what a backend publishes. Names, each with its record sets ready in wire form,
 * and what is needed to say NXDOMAIN, NODATA or a referral truthfully. One writer (the
 * backend's thread), any number of lock-free readers; an entry is immutable once published and
 * is freed after a grace period. A look-up is one probe, the answer one copy.
 *
 * Entries of a name: body holds whole records for answer, then authority, then additional.
 * Owners equal to the name are written as 0xc00c. Because the offset of the question is
 * fixed and its length is that of the name, other names in the body may point at suffixes of
 * the question too; in sets of wildcard entries they may not (the asked name is longer). */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "waypost/base/grace.h"
#include "waypost/plugin/query.h"

struct wp_catalog;
struct wp_entry;

/* One ready answer. */
struct wp_set {
    uint16_t type;
    uint16_t count[WP_SECTIONS];
    uint32_t len;       /* octets of body */
    uint32_t offset;    /* of body, from the entry's start */
};

enum wp_entry_flag {
    WP_ENTRY_COMPUTED = 1,    /* ask the backend's function; sets are not complete */
    WP_ENTRY_CUT = 2,         /* zone cut here: everything at and below is a referral */
    WP_ENTRY_DNAME = 4,
    WP_ENTRY_CNAME = 8,       /* has a CNAME: other types go through the backend's function */
    WP_ENTRY_WILDCARD = 16,   /* a child "*" exists */
    WP_ENTRY_EMPTY = 32,      /* no data of its own: exists because something is below (ENT) */
    WP_ENTRY_BELOW_CUT = 64,  /* glue or occluded: never an answer of its own */
};

/* Published, immutable. The name (lower-case wire) follows the sets. */
struct wp_entry {
    struct wp_grace_item grace;
    uint64_t hash;      /* wp_qname.suffix[0] of the name */
    uint32_t size;      /* octets of the whole entry */
    uint16_t flags;     /* enum wp_entry_flag */
    uint8_t name_len, n_sets;
    const void *data;   /* the backend's own, not owned; NULL if none */
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

struct wp_catalog_ops {
    /* Answer a name that is computed: COMPUTED entries, CNAME, DNAME, cuts, wildcards, and
     * misses when `miss` is set. `e` is the entry found, or the closest encloser with
     * `exact` false. Returns as serve(). */
    int (*answer)(void *backend, struct wp_query *q, const struct wp_entry *e, bool exact);
};

/* source: key of wp_changed / wp_query_depends for everything in it. */
int wp_catalog_new(const uint8_t *apex, uint64_t source, struct wp_catalog **ret) WP_MUSTCHECK;
void wp_catalog_free(struct wp_catalog *c); /* no reader left */

/* --- writer ------------------------------------------------------------------------------ */

/* Build an entry: sets in any order, finish once. The builder's memory is reused. */
struct wp_entry_maker {
    struct wp_arena arena;
    uint8_t name[WP_NAME_MAX];
    uint8_t name_len;
    uint16_t flags;
    const void *data;
    unsigned n_sets;
    struct {
        uint16_t type, count[WP_SECTIONS];
        uint32_t len;
        const uint8_t *body;
    } sets[64];
};
void wp_entry_maker_init(struct wp_entry_maker *m);
void wp_entry_maker_done(struct wp_entry_maker *m);
void wp_entry_maker_start(struct wp_entry_maker *m, const uint8_t *name, uint16_t flags);
/* body is copied when the entry is made. */
int wp_entry_maker_set(struct wp_entry_maker *m, uint16_t type, const uint16_t count[WP_SECTIONS],
                       const uint8_t *body, uint32_t len) WP_MUSTCHECK;

/* Publish (replacing what the name had) or remove. Missing ancestors up to the apex are made
 * as EMPTY entries and go when nothing is below them any more. Both mark the name, its
 * ancestors within the apex and, for "*" labels, the encloser as changed. */
int wp_catalog_put(struct wp_catalog *c, struct wp_entry_maker *m) WP_MUSTCHECK;
void wp_catalog_del(struct wp_catalog *c, const uint8_t *name);
size_t wp_catalog_names(const struct wp_catalog *c);
size_t wp_catalog_octets(const struct wp_catalog *c); /* heap in use, for metrics and bench */
/* Every published entry, in no order; writer's thread. Stops when fn returns non-zero. */
int wp_catalog_each(struct wp_catalog *c, int (*fn)(void *arg, const struct wp_entry *e), void *arg);

/* --- reader ------------------------------------------------------------------------------ */

const struct wp_entry *wp_catalog_find(const struct wp_catalog *c, const uint8_t *lower, size_t len,
                                       uint64_t hash);
/* The entry of the question name, or its closest encloser (never NULL at or below the apex
 * once the apex is published); *ret_exact says which, *ret_labels how many labels of q the
 * encloser has. */
const struct wp_entry *wp_catalog_closest(const struct wp_catalog *c, const struct wp_qname *q,
                                          bool *ret_exact, int *ret_labels);
const struct wp_set *wp_entry_set(const struct wp_entry *e, uint16_t type);
/* Copy a ready answer as the whole reply: header, question, body. Returns DONE or an error. */
int wp_catalog_answer(struct wp_query *q, const struct wp_entry *e, const struct wp_set *s,
                      uint16_t flags);
