/* What the record types share. */
#pragma once
#include "backends/etcd/answer.h"

/* Entries of one name, in key order, after every filter: walked, not collected, unless groups
 * decide who counts. The path it was made for must outlive it. */
struct wp_etcd_entries {
    const struct wp_etcd_path *star; /* wildcards to match, or NULL */
    struct wp_etcd_walk begin, walk;
    const struct wp_etcd_rec *only;    /* the name's own key, when nothing is below it */
    const struct wp_etcd_rec **chosen; /* of a group; NULL: no groups */
    size_t n_chosen, at;
    size_t left; /* of this pass */
    uint16_t qtype;
};
enum wp_etcd_mode { WP_ETCD_BELOW, WP_ETCD_EXACT };

/* Look at the entries of a path for the type. 0 with entries (maybe none) and a->outcome FOUND,
 * or with NO_NAME or FAILED; -ENOMEM. qtype 0: only whether the name exists. */
int wp_etcd_gather(struct wp_etcd_answer *a, const struct wp_etcd_path *p, enum wp_etcd_mode mode,
                   uint16_t qtype, struct wp_etcd_entries *ret) WP_MUSTCHECK;
/* The same for a plain path without wildcards. */
int wp_etcd_gather_place(struct wp_etcd_answer *a, const struct wp_etcd_place *p, uint16_t qtype,
                         struct wp_etcd_entries *ret) WP_MUSTCHECK;
/* With the apex rule of addresses. */
int wp_etcd_gather_address(struct wp_etcd_answer *a, const struct wp_etcd_target *t, uint16_t qtype,
                           struct wp_etcd_entries *ret) WP_MUSTCHECK;
/* The next entry, or NULL; a pass that was cut short sets a->truncated. */
const struct wp_etcd_rec *wp_etcd_next(struct wp_etcd_answer *a, struct wp_etcd_entries *e);
void wp_etcd_rewind(struct wp_etcd_entries *e);
/* What groups leave of n entries in key order, in place; returns how many. */
size_t wp_etcd_group_filter(const struct wp_etcd_rec **at, size_t n);

/* CNAMEs followed so far on this path, newest first. */
struct wp_etcd_chain {
    const struct wp_etcd_chain *before;
    const uint8_t *target;
    uint16_t len;
    unsigned n; /* with this one */
};
/* A, AAAA and TXT: records of the entries, aliases followed. owner NULL: the question name. */
int wp_etcd_follow(struct wp_etcd_answer *a, const struct wp_etcd_target *t, const uint8_t *owner,
                   uint16_t qtype, enum wp_section section,
                   const struct wp_etcd_chain *chain) WP_MUSTCHECK;
/* Address records of a target for the additional section: inside the zone A only, outside both
 * families through the server. */
int wp_etcd_glue(struct wp_etcd_answer *a, const uint8_t *target) WP_MUSTCHECK;

/* The name that an entry with an address goes by, or the host of one with a name, `strip` labels
 * taken off when it has more; in the arena. NULL without memory; an entry whose key is no
 * name gives *ret_none. */
const uint8_t *wp_etcd_target_name(struct wp_etcd_answer *a, const struct wp_etcd_rec *r,
                                   bool strip, bool *ret_none);

int wp_etcd_add(struct wp_etcd_answer *a, const struct wp_etcd_item *item) WP_MUSTCHECK;
int wp_etcd_add_address(struct wp_etcd_answer *a, const struct wp_etcd_rec *r, const uint8_t *owner,
                        enum wp_section section) WP_MUSTCHECK;
/* The same for the additional section, unless this owner has this host text already. The set may
 * serve other purposes too, with tags that are none of these. */
struct wp_etcd_set;
enum { WP_ETCD_TAG_ADDR = 1 << 30, WP_ETCD_TAG_ODD = 1 << 29 };
int wp_etcd_add_address_once(struct wp_etcd_answer *a, const struct wp_etcd_rec *r,
                             const uint8_t *owner, struct wp_etcd_set *said) WP_MUSTCHECK;
/* An EXTERNAL item and its look-up. WP_ELIMIT: too many. */
int wp_etcd_add_external(struct wp_etcd_answer *a, const uint8_t *name, uint16_t type,
                         enum wp_section section, bool no_cname) WP_MUSTCHECK;

int wp_etcd_answer_srv(struct wp_etcd_answer *a, const struct wp_etcd_target *t) WP_MUSTCHECK;
/* SVCB or HTTPS, `qtype` says which. */
int wp_etcd_answer_svcb(struct wp_etcd_answer *a, const struct wp_etcd_target *t,
                        uint16_t qtype) WP_MUSTCHECK;
int wp_etcd_answer_mx(struct wp_etcd_answer *a, const struct wp_etcd_target *t) WP_MUSTCHECK;
int wp_etcd_answer_ns(struct wp_etcd_answer *a) WP_MUSTCHECK;
/* _LABEL._tcp.REST and _LABEL._udp.REST, after the literal look-up was a name error; leaves that
 * outcome when the name is of no such form or names nothing. */
int wp_etcd_answer_service(struct wp_etcd_answer *a, const struct wp_etcd_target *t) WP_MUSTCHECK;

/* SRV rdata into the arena. NULL without memory. */
const uint8_t *wp_etcd_srv_rdata(struct wp_etcd_answer *a, uint16_t priority, uint16_t weight,
                                 uint16_t port, const uint8_t *target, uint16_t *ret_len);
/* TXT rdata of a text into the arena, or NULL. WP_ELIMIT when it fits no record. */
int wp_etcd_txt_rdata(struct wp_arena *arena, const char *text, size_t len, const uint8_t **ret,
                      uint16_t *ret_len) WP_MUSTCHECK;

static inline uint32_t wp_etcd_ttl(const struct wp_etcd_answer *a, const struct wp_etcd_rec *r)
{
    if (WP_UNLIKELY(a->used != NULL))
        a->used(a->arg, r);
    return wp_etcd_rec_ttl(r, &a->view->bounds, a->view->now_ns);
}
