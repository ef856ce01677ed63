/* A, AAAA and TXT: the records of a name's entries, and where its aliases lead. */
#include <errno.h>

#include "backends/etcd/answer_priv.h"
#include "backends/etcd/set.h"

static enum wp_etcd_kind kind_of(uint16_t qtype)
{
    return qtype == WP_TYPE_A ? WP_ETCD_A : qtype == WP_TYPE_AAAA ? WP_ETCD_AAAA : WP_ETCD_TEXT;
}

/* The record of an entry of the asked kind, unless the name has said the same already. */
static int add_own(struct wp_etcd_answer *a, const struct wp_etcd_rec *r, const uint8_t *owner,
                   uint16_t qtype, enum wp_section section, struct wp_etcd_set *said)
{
    struct wp_etcd_item item = {.owner = owner, .type = qtype, .section = section};
    int64_t at;
    bool is_new;
    int ret;

    if (qtype == WP_TYPE_TXT)
        at = wp_etcd_set_add(said, a->arena, 0, wp_etcd_rec_text(r), r->text_len, &is_new);
    else if (r->flags & WP_ETCD_REC_ODD)
        at = wp_etcd_set_add(said, a->arena, 1, wp_etcd_rec_host(r), r->host_len, &is_new);
    else
        at = wp_etcd_set_add(said, a->arena, 0, wp_etcd_rec_addr(r), wp_etcd_rec_addr_len(r),
                             &is_new);
    if (at < 0)
        return (int)at;
    if (!is_new)
        return 0;
    if (qtype != WP_TYPE_TXT)
        return wp_etcd_add_address(a, r, owner, section);
    ret = wp_etcd_txt_rdata(a->arena, wp_etcd_rec_text(r), r->text_len, &item.rdata, &item.rdlen);
    if (ret == WP_ELIMIT) { /* a text that fits no record */
        a->truncated = true;
        return 0;
    }
    item.ttl = wp_etcd_ttl(a, r);
    return ret < 0 ? ret : wp_etcd_add(a, &item);
}

/* Spelled alike: a target in other letters is followed once more, as in CoreDNS. */
static bool was_followed(const struct wp_etcd_chain *chain, const uint8_t *target, uint16_t len)
{
    for (; chain != NULL; chain = chain->before)
        if (chain->len == len && memcmp(chain->target, target, len) == 0)
            return true;
    return false;
}

/* An alias inside the zone: its CNAME counts only with what it leads to. */
static int follow_inside(struct wp_etcd_answer *a, const struct wp_etcd_item *cname, uint16_t qtype,
                         const struct wp_etcd_chain *chain)
{
    struct wp_etcd_target t;
    struct wp_qname name;
    size_t octets = a->octets;
    uint32_t at = a->n;
    int r;

    if (wp_qname_set(&name, cname->rdata, cname->rdlen) < 0)
        return 0;
    r = wp_etcd_add(a, cname);
    if (r < 0)
        return r;
    t.name = &name;
    wp_etcd_path_set(&t.path, &name);
    r = wp_etcd_follow(a, &t, cname->rdata, qtype, cname->section, chain);
    a->outcome = WP_ETCD_FOUND; /* a dead end is no failure of the asked name */
    a->error = NULL;
    a->items[at].span = a->n - at - 1;
    if (a->items[at].span == 0) {
        a->n = at;
        a->octets = octets;
    }
    return r;
}

static int follow_alias(struct wp_etcd_answer *a, const struct wp_etcd_target *t,
                        const struct wp_etcd_rec *r, const uint8_t *owner, uint16_t qtype,
                        enum wp_section section, const struct wp_etcd_chain *chain)
{
    struct wp_etcd_item cname = {.owner = owner,
                                 .rdata = wp_etcd_rec_host(r),
                                 .rdlen = r->host_len,
                                 .ttl = wp_etcd_ttl(a, r),
                                 .type = WP_TYPE_CNAME,
                                 .section = section,
                                 .kind = WP_ETCD_CHAIN};
    struct wp_etcd_chain link = {chain, cname.rdata, cname.rdlen,
                                 1 + (chain != NULL ? chain->n : 0)};
    size_t octets = a->octets;
    uint32_t at = a->n;
    int ret;

    if (wp_name_within(cname.rdata, t->name->wire)) /* itself, or found again below itself */
        return 0;
    if (link.n > WP_ETCD_CHAIN_MAX + 1 || was_followed(chain, cname.rdata, cname.rdlen))
        return 0;
    if (wp_name_within(cname.rdata, a->view->zone->name))
        return follow_inside(a, &cname, qtype, &link);
    ret = wp_etcd_add(a, &cname);
    if (ret < 0)
        return ret;
    ret = wp_etcd_add_external(a, cname.rdata, qtype, section, false);
    if (ret < 0) {
        a->n = at;
        a->octets = octets;
        return ret == WP_ELIMIT ? 0 : ret;
    }
    a->items[at].span = 1;
    return 0;
}

int wp_etcd_follow(struct wp_etcd_answer *a, const struct wp_etcd_target *t, const uint8_t *owner,
                   uint16_t qtype, enum wp_section section, const struct wp_etcd_chain *chain)
{
    struct wp_etcd_entries e;
    struct wp_etcd_set said = {0};
    const struct wp_etcd_rec *rec;
    int r = qtype == WP_TYPE_TXT ? wp_etcd_gather(a, &t->path, WP_ETCD_BELOW, qtype, &e)
                                 : wp_etcd_gather_address(a, t, qtype, &e);

    while (r == 0 && a->outcome == WP_ETCD_FOUND && (rec = wp_etcd_next(a, &e)) != NULL) {
        if (a->octets > WP_ETCD_OCTETS_MAX) {
            a->truncated |= section == WP_ANSWER;
            break;
        }
        if (rec->kind == WP_ETCD_ALIAS)
            r = follow_alias(a, t, rec, owner, qtype, section, chain);
        else if (rec->kind == kind_of(qtype))
            r = add_own(a, rec, owner, qtype, section, &said);
    }
    return r;
}

int wp_etcd_glue(struct wp_etcd_answer *a, const uint8_t *target)
{
    struct wp_etcd_target t;
    struct wp_qname name;
    bool truncated = a->truncated; /* additional data that is left out needs no TC */
    int r;

    if (!wp_name_within(target, a->view->zone->name)) {
        r = wp_etcd_add_external(a, target, WP_TYPE_A, WP_ADDITIONAL, false);
        if (r == 0)
            r = wp_etcd_add_external(a, target, WP_TYPE_AAAA, WP_ADDITIONAL, true);
        return r == WP_ELIMIT ? 0 : r;
    }
    if (wp_qname_set(&name, target, wp_name_size(target)) < 0)
        return 0;
    t.name = &name;
    wp_etcd_path_set(&t.path, &name);
    r = wp_etcd_follow(a, &t, target, WP_TYPE_A, WP_ADDITIONAL, NULL);
    a->truncated = truncated;
    a->outcome = WP_ETCD_FOUND;
    a->error = NULL;
    return r;
}
