/* From the tree and a question to what the reply holds: a list of records, some of which wait for
 * names outside the zone to be looked up. Pure: no query, no clock, no log. Memory is from the
 * arena; rdata and owners may point into the tree (valid until the end of the loop's turn)
 * until wp_etcd_answer_pin. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "backends/etcd/lease.h"
#include "backends/etcd/path.h"
#include "backends/etcd/tree.h"
#include "waypost/base/arena.h"
#include "waypost/dns/rr.h"

/* A pass over the records of a name looks at no more than this, and all passes of one question at
 * no more than three times as many: about 2 ms of a worker. Beyond it the reply is what was
 * found, with TC. Only names with that many keys below them meet it. */
enum { WP_ETCD_PASS_MAX = 1 << 17, WP_ETCD_BUDGET = 3 * WP_ETCD_PASS_MAX };
enum {
    WP_ETCD_LOOKUPS_MAX = 32,  /* names outside the zone that one reply follows */
    WP_ETCD_CHAIN_MAX = 10,    /* CNAMEs already followed when another is met: 11 links work */
    WP_ETCD_OCTETS_MAX = 65535 /* of records: more fits no message */
};

/* A path that every question of a zone may need. */
struct wp_etcd_place {
    const char *text;
    size_t len;
    uint64_t hash;
};

/* A zone as the configuration gives it. */
struct wp_etcd_zone {
    const uint8_t *name; /* lower-case wire */
    size_t name_len;
    struct wp_etcd_place apex, ns; /* of apex.dns.ZONE and ns.dns.ZONE; len 0: no such name */
    const uint8_t *soa_names;      /* mname and rname, wire */
    size_t soa_names_len;
};
int wp_etcd_zone_init(struct wp_etcd_zone *z, const uint8_t *name, struct wp_arena *a) WP_MUSTCHECK;
enum { WP_ETCD_SOA_TTL = 30, WP_ETCD_SOA_NUMBERS = 20 };
/* The SOA's rdata into out, which holds soa_names_len + WP_ETCD_SOA_NUMBERS octets. */
void wp_etcd_zone_soa(const struct wp_etcd_zone *z, uint32_t serial, uint8_t *out);

/* What a question is answered from. */
struct wp_etcd_view {
    struct wp_etcd_snap snap;
    const struct wp_etcd_zone *zone;
    struct wp_etcd_lease_bounds bounds;
    bool no_apex_fallback;
    bool svcb; /* SVCB and HTTPS are answered */
    bool with_unwell; /* the records are not well, and told all the same */
    uint64_t now_ns;
    uint32_t serial; /* Unix time */
};

enum wp_etcd_outcome {
    WP_ETCD_FOUND,   /* records; none: NODATA */
    WP_ETCD_NO_NAME, /* name error */
    WP_ETCD_FAILED,  /* SERVFAIL, `error` says why */
};

enum wp_etcd_item_kind {
    WP_ETCD_RECORD,
    WP_ETCD_CHAIN,    /* a CNAME that counts only if one of the `span` items behind it does */
    WP_ETCD_EXTERNAL, /* the answer of look-up `rdlen`, without CNAMEs if `ttl` is 1 */
};
struct wp_etcd_item {
    const uint8_t *owner; /* wire; NULL: the question name */
    const uint8_t *rdata;
    uint32_t ttl, span;
    uint16_t type, rdlen;
    uint8_t section, kind;
    bool live; /* set by wp_etcd_answer_settle */
};
struct wp_etcd_lookup {
    const uint8_t *name;
    uint16_t type;
    bool answered;  /* a reply of any rcode came back; set by the caller */
    bool truncated; /* and it was */
    bool optional;  /* additional data: its TC does not count */
};

struct wp_etcd_answer {
    struct wp_arena *arena;
    const struct wp_etcd_view *view;
    void (*depends)(void *arg, uint64_t key); /* before the data of a name is read */
    void (*used)(void *arg, const struct wp_etcd_rec *r); /* records are made of it; or NULL */
    void *arg;
    enum wp_etcd_outcome outcome;
    const char *error;
    struct wp_etcd_item *items;
    uint32_t n, cap;
    struct wp_etcd_lookup lookups[WP_ETCD_LOOKUPS_MAX];
    unsigned n_lookups;
    bool truncated;
    size_t budget, octets;
};

/* A name that is looked up: its labels and its path. */
struct wp_etcd_target {
    const struct wp_qname *name;
    struct wp_etcd_path path;
};

/* Answer the question, a name within the view's zone. -ENOMEM, or 0 with `outcome`. Set before:
 * arena, view, depends, used, arg, items NULL and cap 0. */
int wp_etcd_answer(struct wp_etcd_answer *a, const struct wp_etcd_target *t,
                   uint16_t qtype) WP_MUSTCHECK;
/* Copy what points into the tree: before waiting for look-ups. */
int wp_etcd_answer_pin(struct wp_etcd_answer *a) WP_MUSTCHECK;
/* All look-ups are answered: decide which items count. Returns how many in the answer section. */
size_t wp_etcd_answer_settle(struct wp_etcd_answer *a);
