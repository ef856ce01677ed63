/* One key as the mirror holds it: the JSON value taken apart once, packed into one piece of
 * memory with the key. What a question needs is in it; immutable but for the stamps and the
 * link, which belong to the tree (tree.h). */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "waypost/base/err.h"
#include "waypost/dns/name.h"

struct wp_etcd_lease; /* lease.h */
struct wp_etcd_check; /* check.h */

/* What an entry can answer. */
enum wp_etcd_kind {
    WP_ETCD_BAD,  /* the value is malformed: the key exists, nothing can be said of it */
    WP_ETCD_BARE, /* neither host nor text */
    WP_ETCD_A,
    WP_ETCD_AAAA,
    WP_ETCD_ALIAS, /* host is a name */
    WP_ETCD_TEXT,  /* text; a host beside it, which must be a name, serves CNAME and PTR only */
};

/* A value taken apart; strings are not owned. Defaults as in a missing field. */
struct wp_etcd_value {
    enum wp_etcd_kind kind;
    uint8_t addr[16];     /* A: 4 octets, AAAA: 16 */
    const char *odd_host; /* spelling of an address that is not the usual one, or NULL */
    size_t odd_host_len;
    struct wp_name host; /* ALIAS, TEXT with a host; len 0: none */
    const char *text, *group;
    size_t text_len, group_len;
    int64_t port, priority, weight, targetstrip; /* 0: not set */
    uint32_t ttl;
    bool mail;
    struct wp_etcd_check *check; /* of its endpoint, or NULL; not read from the value here */
};

/* Why a value is malformed. */
struct wp_etcd_flaw {
    size_t offset; /* octet of the value */
    char text[160];
};
/* Read a value; `scratch` owns what the strings point at and is dropped with
 * wp_etcd_scratch_done. WP_EMALFORMED with *ret_flaw and kind BAD, -ENOMEM. */
struct wp_etcd_scratch {
    char *strings, *room; /* room: for the strings of `health` */
    const char *health;   /* the field of this name as it stands in the value, or NULL */
    size_t health_len, health_at;
};
int wp_etcd_value_read(const char *json, size_t len, struct wp_etcd_scratch *scratch,
                       struct wp_etcd_value *ret, struct wp_etcd_flaw *ret_flaw) WP_MUSTCHECK;
void wp_etcd_scratch_done(struct wp_etcd_scratch *scratch);

enum wp_etcd_rec_flag {
    WP_ETCD_REC_MAIL = 1,
    WP_ETCD_REC_WIDE = 2, /* has a struct wp_etcd_wide */
    WP_ETCD_REC_HOST = 4,
    WP_ETCD_REC_ODD = 8, /* address spelled unusually: the spelling is kept */
    WP_ETCD_REC_GROUP = 16,
    WP_ETCD_REC_LEASE = 32,
    WP_ETCD_REC_CHECK = 64,
    WP_ETCD_REC_NAMELESS = 128, /* an address whose key makes no name */
};
enum {
    WP_ETCD_KEY_MAX = 0xffff,    /* octets below the prefix */
    WP_ETCD_VALUE_MAX = 2 << 20, /* etcd itself takes 1.5 MB by default */
    WP_ETCD_LEVELS_MAX = 12,
};

/* Kept when something in it is set, or the port needs more than 16 bits; 0: not set. */
struct wp_etcd_wide {
    int64_t port, priority, weight, targetstrip;
};
static inline int64_t wp_etcd_priority(const struct wp_etcd_wide *w)
{
    return w->priority == 0 ? 10 : w->priority;
}

/* Why a record is kept but not shown. */
enum wp_etcd_out { WP_ETCD_OUT_LAPSED = 1, WP_ETCD_OUT_UNWELL = 2 };
/* Set in the birth of such a record, the second when it is unwell and no more: no epoch of a reader
 * comes so far, but for one who asks for the unwell as well. */
#define WP_ETCD_BIRTH_OUT (UINT64_C(1) << 63)
#define WP_ETCD_BIRTH_UNWELL (UINT64_C(1) << 62)

/* Records that share a lease or a check are tied together, so that all can be found from it. The
 * writer's. */
enum wp_etcd_tied_by { WP_ETCD_TIED_LEASE, WP_ETCD_TIED_CHECK };
struct wp_etcd_tied {
    struct wp_etcd_rec *first;
};
struct wp_etcd_tie {
    struct wp_etcd_rec *before, *after;
};

struct wp_etcd_rec {
    _Atomic(struct wp_etcd_rec *) next; /* the tree's list, in key order */
    uint64_t birth;                     /* first epoch in which it counts */
    _Atomic uint64_t death;             /* first in which it does not any more; 0: it lives */
    int64_t mod_revision;
    uint32_t ttl; /* of the JSON, 0: unset */
    uint32_t text_len;
    uint16_t port;
    uint16_t key_len, host_len, group_len; /* host: octets of wire name, or of odd spelling */
    uint8_t kind;                          /* enum wp_etcd_kind */
    uint8_t flags;                         /* enum wp_etcd_rec_flag */
    uint8_t level;                         /* of the writer's list, 1..WP_ETCD_LEVELS_MAX */
    uint8_t seen;                          /* the writer's, while a listing runs */
    uint8_t out;                           /* the writer's: enum wp_etcd_out, 0: it is shown */
    /* lease pointer, check pointer, wide numbers, address, host, group, text, key */
    uint8_t body[];
};

/* Packed, with room for `level - 1` pointers of the writer and ties to lease and check before it.
 * NULL: memory. The key is at most WP_ETCD_KEY_MAX octets. */
struct wp_etcd_rec *wp_etcd_rec_new(const char *key, size_t key_len, const struct wp_etcd_value *v,
                                    struct wp_etcd_lease *lease, int64_t mod_revision,
                                    unsigned level);
/* The same again, with pointers for another level; stamps, ties and references are not taken over.
 */
struct wp_etcd_rec *wp_etcd_rec_copy(const struct wp_etcd_rec *rec, unsigned level);
void wp_etcd_rec_free(struct wp_etcd_rec *rec);
size_t wp_etcd_rec_size(const struct wp_etcd_rec *rec); /* octets of heap asked for */

static inline size_t wp_etcd_rec_wide_at(const struct wp_etcd_rec *r)
{
    return (r->flags & WP_ETCD_REC_LEASE ? sizeof(void *) : 0) +
           (r->flags & WP_ETCD_REC_CHECK ? sizeof(void *) : 0);
}
static inline size_t wp_etcd_rec_addr_at(const struct wp_etcd_rec *r)
{
    return wp_etcd_rec_wide_at(r) +
           (r->flags & WP_ETCD_REC_WIDE ? sizeof(struct wp_etcd_wide) : 0);
}
/* Of A and AAAA. */
static inline const uint8_t *wp_etcd_rec_addr(const struct wp_etcd_rec *r)
{
    return r->body + wp_etcd_rec_addr_at(r);
}
static inline size_t wp_etcd_rec_addr_len(const struct wp_etcd_rec *r)
{
    return r->kind == WP_ETCD_A ? 4 : r->kind == WP_ETCD_AAAA ? 16 : 0;
}
/* HOST: wire name; ODD: the spelling; host_len octets. */
static inline const uint8_t *wp_etcd_rec_host(const struct wp_etcd_rec *r)
{
    return wp_etcd_rec_addr(r) + wp_etcd_rec_addr_len(r);
}
static inline const char *wp_etcd_rec_group(const struct wp_etcd_rec *r)
{
    return (const char *)wp_etcd_rec_host(r) + r->host_len;
}
static inline const char *wp_etcd_rec_text(const struct wp_etcd_rec *r)
{
    return wp_etcd_rec_group(r) + r->group_len;
}
/* Below the configured prefix, with its leading slash; key_len octets. */
static inline const char *wp_etcd_rec_key(const struct wp_etcd_rec *r)
{
    return wp_etcd_rec_text(r) + r->text_len;
}
static inline struct wp_etcd_lease *wp_etcd_rec_lease(const struct wp_etcd_rec *r)
{
    struct wp_etcd_lease *lease = NULL;

    if (r->flags & WP_ETCD_REC_LEASE)
        memcpy(&lease, r->body, sizeof(lease));
    return lease;
}
static inline struct wp_etcd_check *wp_etcd_rec_check(const struct wp_etcd_rec *r)
{
    struct wp_etcd_check *check = NULL;

    if (r->flags & WP_ETCD_REC_CHECK)
        memcpy(&check, r->body + wp_etcd_rec_wide_at(r) - sizeof(check), sizeof(check));
    return check;
}
/* Of a record with a lease, or with a check. */
static inline struct wp_etcd_tie *wp_etcd_rec_tie(struct wp_etcd_rec *r, enum wp_etcd_tied_by by)
{
    struct wp_etcd_tie *end =
        (struct wp_etcd_tie *)(void *)((uint8_t *)r - (r->level - 1) * sizeof(void *));

    return end - 1 - (by == WP_ETCD_TIED_CHECK && (r->flags & WP_ETCD_REC_LEASE) ? 1 : 0);
}
static inline struct wp_etcd_wide wp_etcd_rec_wide(const struct wp_etcd_rec *r)
{
    struct wp_etcd_wide w = {.port = r->port};

    if (r->flags & WP_ETCD_REC_WIDE)
        memcpy(&w, r->body + wp_etcd_rec_wide_at(r), sizeof(w));
    return w;
}
/* The same host text? Both are addresses of one kind, or both have a host. */
bool wp_etcd_rec_same_host(const struct wp_etcd_rec *a, const struct wp_etcd_rec *b);
/* The same content, whatever key, revision, lease and check? */
bool wp_etcd_rec_equal(const struct wp_etcd_rec *a, const struct wp_etcd_rec *b);
