/* From a question to its place in the zone, and the answer that this place gives. */
#include <string.h>
#include "backends/common/zone_priv.h"
#include "waypost/plugin/block.h"

/* CoreDNS gives up on chains through the server at this depth (LoopKey). */
enum { DEPTH_MAX = 8 };

const struct wp_entry *wp_zone_bend(const struct wp_zone *z, const struct wp_qname *name,
                                    const struct wp_seek *s, uint16_t qtype)
{
    const struct wp_entry *top = NULL;
    unsigned skip = (unsigned)name->n_labels - s->labels;

    if (!z->has_cuts)
        return NULL;
    /* the highest one rules: what lies below it is not this zone's to answer */
    for (; skip <= name->n_labels && name->len - name->at[skip] >= z->origin.len; skip++) {
        const struct wp_entry *e =
            wp_catalog_find(z->catalog, name->wire + name->at[skip],
                            (size_t)(name->len - name->at[skip]), name->suffix[skip]);
        unsigned flags = e == NULL ? 0 : wp_entry_flags(e);
        bool ds_here = skip == 0 && qtype == WP_TYPE_DS; /* the parent's side answers that */

        if (((flags & WP_ENTRY_CUT) && !ds_here) || ((flags & WP_ENTRY_DNAME) && skip > 0))
            top = e;
    }
    return top;
}

int wp_zone_put_referral(const struct wp_zone *z, struct wp_query *q, const struct wp_entry *cut,
                         struct wp_zone_owner owner)
{
    const struct wp_set *ns = wp_entry_set(cut, WP_TYPE_NS);
    int r = wp_zone_put(q, WP_AUTHORITY, cut, ns, owner);

    if (r < 0)
        return r;
    if (q->msg.edns.dnssec_ok) {
        r = wp_zone_put_type(q, WP_AUTHORITY, cut, WP_TYPE_DS, owner);
        if (r == 0) /* an insecure delegation must be proven (RFC 4035 s3.1.4.1) */
            r = wp_zone_put_type(q, WP_AUTHORITY, cut, WP_TYPE_NSEC, owner);
        if (r < 0)
            return r;
    }
    wp_zone_put_glue(z, q, cut, ns);
    return 0;
}

static int refer(const struct wp_zone *z, struct wp_query *q, const struct wp_entry *cut)
{
    size_t at = WP_HEADER_LEN + (size_t)q->msg.qname.len - cut->name_len;
    int r = wp_reply_begin(q, WP_RCODE_NOERROR, 0);

    if (r == 0)
        r = wp_zone_put_referral(z, q, cut, wp_zone_owner_at(at, wp_entry_name(cut)));
    return r < 0 ? r : WP_STEP_DONE;
}

/* The name is there, or a wildcard stands for it, but not with this type. */
static int no_data(const struct wp_zone *z, struct wp_query *q, const struct wp_entry *e, bool wild)
{
    struct wp_zone_proof proof = {0};
    int r = wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA);

    if (r < 0)
        return r;
    wp_zone_put_soa(z, q);
    if (wp_entry_set(e, WP_TYPE_NSEC) != NULL)
        wp_zone_prove_entry(z, q, &proof, e);
    else
        wp_zone_prove_gap(z, q, &proof, wp_entry_name(e));
    if (wild)
        wp_zone_prove_gap(z, q, &proof, q->msg.qname.wire);
    return WP_STEP_DONE;
}

/* The type is there: e is the name's entry, or the wildcard that stands for it. */
static int answer_with(const struct wp_zone *z, struct wp_query *q, const struct wp_entry *e,
                       bool wild)
{
    uint16_t type = q->msg.qtype;
    struct wp_zone_proof proof = {0};
    int r = wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA);

    if (r < 0)
        return r;
    if (type == WP_TYPE_RRSIG)
        r = wp_zone_put_sigs(q, e, wp_zone_owner_asked());
    else
        r = wp_zone_put_type(q, WP_ANSWER, e, type, wp_zone_owner_asked());
    if (r < 0)
        return r;
    if (r == 0)
        return no_data(z, q, e, wild);
    if (type == WP_TYPE_NS && e == z->apex) {
        wp_zone_put_glue(z, q, e, wp_entry_set(e, type));
        return WP_STEP_DONE;
    }
    wp_zone_put_ns(z, q);
    if (wild) /* that no closer name exists (RFC 4035 s3.1.3.3) */
        wp_zone_prove_gap(z, q, &proof, q->msg.qname.wire);
    wp_zone_put_hosts(z, q);
    return WP_STEP_DONE;
}

static void note_wildcard(struct wp_query *q, const struct wp_entry *wild)
{
    char text[WP_NAME_TEXT_MAX];

    if (q->block != NULL && q->block->has_metadata &&
        wp_query_meta_set(q, "zone/wildcard", wp_name_text(wp_entry_name(wild), text)) < 0)
        return; /* no memory: the label stays unset */
}

static int answer_entry(struct wp_zone *z, struct wp_query *q, const struct wp_entry *e, bool wild)
{
    if ((wp_entry_flags(e) & WP_ENTRY_CNAME) && q->msg.qtype != WP_TYPE_CNAME)
        return wp_zone_chase(z, q, e, wild);
    return answer_with(z, q, e, wild);
}

/* What cannot be served from the entry of the name alone. */
static enum wp_zone_result answer_special(struct wp_zone *z, struct wp_query *q,
                                          const struct wp_seek *s, int *ret_step)
{
    const struct wp_entry *bend = wp_zone_bend(z, &q->msg.qname, s, q->msg.qtype);

    if (q->depth > DEPTH_MAX) {
        *ret_step = wp_query_fail(q, WP_RCODE_SERVFAIL, 0, NULL);
        return WP_ZONE_ANSWERED;
    }
    if (bend != NULL) {
        bool dname = bend->name_len < q->msg.qname.len && (wp_entry_flags(bend) & WP_ENTRY_DNAME);
        *ret_step = dname ? wp_zone_follow_dname(z, q, bend) : refer(z, q, bend);
        return WP_ZONE_ANSWERED;
    }
    if (s->exact) {
        if (wp_entry_flags(s->entry) & WP_ENTRY_EMPTY)
            return WP_ZONE_NO_NAME;
        *ret_step = answer_entry(z, q, s->entry, false);
        return WP_ZONE_ANSWERED;
    }
    if (s->wild == NULL)
        return WP_ZONE_NO_NAME;
    if (wp_entry_flags(s->wild) & WP_ENTRY_EMPTY) {
        *ret_step = no_data(z, q, s->wild, true);
        return WP_ZONE_ANSWERED;
    }
    note_wildcard(q, s->wild);
    *ret_step = answer_entry(z, q, s->wild, true);
    return WP_ZONE_ANSWERED;
}

/* CoreDNS keeps SOA and NS apart from the other names: an apex with nothing else is a name
 * that only has others below, for which a question may fall through. */
static bool is_bare_apex(const struct wp_zone *z, const struct wp_query *q)
{
    uint16_t type = q->msg.qtype;

    if (type == WP_TYPE_NS)
        return wp_entry_set(z->apex, type) == NULL;
    return z->apex_bare && type != WP_TYPE_SOA && type != WP_TYPE_RRSIG;
}

enum wp_zone_result wp_zone_answer(struct wp_zone *z, struct wp_query *q, int *ret_step)
{
    const unsigned special = WP_ENTRY_CUT | WP_ENTRY_CNAME | WP_ENTRY_EMPTY | WP_ENTRY_BELOW_CUT;
    struct wp_seek s;

    wp_catalog_seek(z->catalog, &q->msg.qname, q, &s);
    if (WP_UNLIKELY(s.entry == NULL)) {
        *ret_step = wp_query_fail(q, WP_RCODE_SERVFAIL, WP_ESTATE, NULL);
        return WP_ZONE_ANSWERED;
    }
    if (WP_UNLIKELY(!s.exact || (wp_entry_flags(s.entry) & special) != 0 || q->depth > DEPTH_MAX))
        return answer_special(z, q, &s, ret_step);
    if (WP_UNLIKELY(s.entry == z->apex) && is_bare_apex(z, q))
        return WP_ZONE_NO_NAME;
    *ret_step = answer_with(z, q, s.entry, false);
    return WP_ZONE_ANSWERED;
}

int wp_zone_deny(struct wp_zone *z, struct wp_query *q)
{
    struct wp_zone_proof proof = {0};
    struct wp_name star = {.len = 2, .wire = {1, '*'}};
    struct wp_seek s;
    int r;

    wp_catalog_seek(z->catalog, &q->msg.qname, q, &s);
    r = wp_reply_begin(q, s.exact ? WP_RCODE_NOERROR : WP_RCODE_NXDOMAIN, WP_FLAG_AA);
    if (r < 0)
        return r;
    wp_zone_put_soa(z, q);
    wp_zone_prove_gap(z, q, &proof, q->msg.qname.wire);
    if (s.exact || s.entry->name_len + 2 > WP_NAME_MAX)
        return WP_STEP_DONE;
    /* and that no wildcard stands for it (RFC 4035 s3.1.3.2) */
    memcpy(star.wire + 2, wp_entry_name(s.entry), s.entry->name_len);
    wp_zone_prove_gap(z, q, &proof, star.wire);
    return WP_STEP_DONE;
}
