/* CNAME and DNAME: from name to name inside the zone, then through the server for names that
 * this zone's own records do not hold (RFC 1034 s3.6.2, RFC 6672 s3). */
#include <errno.h>
#include <string.h>
#include "backends/common/zone_priv.h"
#include "waypost/base/rd.h"

enum {
    CHAIN_MAX = 10,    /* CNAMEs of one answer that come from this zone */
    RCODE_YXDOMAIN = 6 /* RFC 6672 s2.2: the name would be too long */
};

/* A chain being followed; in the query's arena while the query waits. */
struct chain {
    struct wp_zone *zone; /* a reference while the query waits */
    struct wp_query *q;
    bool wild;    /* the first CNAME is a wildcard's: that no closer name exists must be proven */
    bool in_zone; /* the server is asked for a name of this zone */
    struct wp_zone_proof proof;
};

static int give_up(struct wp_query *q)
{
    return wp_query_fail(q, WP_RCODE_SERVFAIL, 0, NULL);
}

static void prove_wild(struct chain *c)
{
    if (c->wild)
        wp_zone_prove_gap(c->zone, c->q, &c->proof, c->q->msg.qname.wire);
}

/* The authority section and what comes after it; `denial`: of a name that was not there. */
static void put_rest(struct chain *c, bool denial)
{
    if (denial)
        wp_zone_put_soa(c->zone, c->q);
    else
        wp_zone_put_ns(c->zone, c->q);
    prove_wild(c);
    wp_zone_put_hosts(c->zone, c->q);
}

/* The chain's last part came back: its answers join ours, and its rcode is ours (RFC 6604 s3). */
static void finish_external(struct chain *c, const struct wp_query *child)
{
    const struct wp_reply *r = &child->reply;
    unsigned rcode = r->dropped ? WP_RCODE_NOERROR : r->rcode;
    bool no_data = rcode == WP_RCODE_NOERROR && !r->dropped && r->count[WP_ANSWER] == 0;
    struct wp_query *q = c->q;

    if (!r->dropped && wp_reply_append(q, child, WP_ANSWER, WP_ANSWER) < 0)
        q->reply.flags |= WP_FLAG_TC;
    if (rcode == WP_RCODE_NXDOMAIN || rcode == WP_RCODE_SERVFAIL)
        q->reply.rcode = (uint16_t)rcode;
    if (!c->in_zone || !q->msg.edns.dnssec_ok || r->count[WP_AUTHORITY] == 0) {
        put_rest(c, rcode == WP_RCODE_NXDOMAIN || no_data);
        return;
    }
    /* with what a validator needs: the denial's or the wildcard's proof */
    if (wp_reply_append(q, child, WP_AUTHORITY, WP_AUTHORITY) < 0)
        q->reply.flags |= WP_FLAG_TC;
    prove_wild(c);
    wp_zone_put_hosts(c->zone, q);
}

static void on_child(void *arg, struct wp_query *child)
{
    struct chain *c = arg;
    struct wp_query *q = c->q;
    struct wp_zone *z = c->zone;

    finish_external(c, child);
    wp_query_release(child);
    wp_zone_unref(z);
    wp_query_resume(q, WP_STEP_DONE);
}

static int ask_server(struct chain *c, const struct wp_qname *target, bool in_zone)
{
    struct wp_query *q = c->q, *child = NULL;
    struct chain *kept = wp_arena_dup(q->arena, c, sizeof(*c));
    int r = -ENOMEM;

    if (kept != NULL) {
        kept->in_zone = in_zone;
        r = wp_query_lookup(q, target->wire, q->msg.qtype, on_child, kept, &child);
    }
    if (r == WP_STEP_WAIT) {
        wp_zone_ref(c->zone);
        return WP_STEP_WAIT;
    }
    if (r < 0) { /* too deep, or no memory: the chain so far, and SERVFAIL */
        q->reply.rcode = WP_RCODE_SERVFAIL;
        put_rest(c, false);
        return WP_STEP_DONE;
    }
    finish_external(kept, child);
    wp_query_release(child);
    return WP_STEP_DONE;
}

/* The chain ends at a name of this zone. */
static int end_here(struct chain *c, const struct wp_entry *e, struct wp_zone_owner owner)
{
    struct wp_query *q = c->q;
    int r;

    if (q->msg.qtype == WP_TYPE_RRSIG)
        r = wp_zone_put_sigs(q, e, owner);
    else
        r = wp_zone_put_type(q, WP_ANSWER, e, q->msg.qtype, owner);
    if (r < 0)
        q->reply.flags |= WP_FLAG_TC;
    if (r != 0) {
        put_rest(c, false);
        return WP_STEP_DONE;
    }
    wp_zone_put_soa(c->zone, q);
    wp_zone_prove_entry(c->zone, q, &c->proof, e);
    prove_wild(c);
    return WP_STEP_DONE;
}

static bool points_at_itself(const struct wp_entry *e)
{
    const struct wp_set *s = wp_entry_set(e, WP_TYPE_CNAME);

    return wp_name_equal(wp_entry_body(e, s) + 12, wp_entry_name(e));
}

/* The chain leads below a zone cut: the rest is for others to tell. `at` is where the name stands.
 */
static int end_at_cut(struct chain *c, const struct wp_qname *name, size_t at,
                      const struct wp_entry *cut)
{
    struct wp_zone_owner owner =
        wp_zone_owner_at(at + name->len - cut->name_len, wp_entry_name(cut));

    prove_wild(c);
    if (wp_zone_put_referral(c->zone, c->q, cut, owner) < 0)
        c->q->reply.flags |= WP_FLAG_TC;
    return WP_STEP_DONE;
}

/* Follow the name that stands at `at` in the reply, the target of the first CNAME. */
static int follow(struct chain *c, size_t at)
{
    struct wp_zone *z = c->zone;
    struct wp_query *q = c->q;

    for (unsigned links = 1;; links++) {
        struct wp_qname target;
        struct wp_zone_owner owner;
        const struct wp_entry *bend;
        struct wp_seek s;

        if (wp_qname_set(&target, q->reply.buf + at, q->reply.len - at) < 0)
            return give_up(q);
        owner = wp_zone_owner_at(at, target.wire);
        if (!wp_name_within(target.wire, z->origin.wire))
            return ask_server(c, &target, false);
        wp_catalog_seek(z->catalog, &target, NULL, &s);
        bend = wp_zone_bend(z, &target, &s, q->msg.qtype);
        if (bend != NULL && bend->name_len < target.len && (wp_entry_flags(bend) & WP_ENTRY_DNAME))
            return ask_server(c, &target, true);
        if (bend != NULL)
            return end_at_cut(c, &target, at, bend);
        if (!s.exact || (wp_entry_flags(s.entry) & WP_ENTRY_EMPTY))
            return ask_server(c, &target, true);
        if (links == CHAIN_MAX) {
            put_rest(c, false);
            return WP_STEP_DONE;
        }
        if (!(wp_entry_flags(s.entry) & WP_ENTRY_CNAME))
            return end_here(c, s.entry, owner);
        if (points_at_itself(s.entry))
            return give_up(q);
        at = q->reply.len + (owner.pointer != 0 ? 2 : (size_t)target.len) + 10;
        if (wp_zone_put_type(q, WP_ANSWER, s.entry, WP_TYPE_CNAME, owner) < 0) {
            q->reply.flags |= WP_FLAG_TC;
            return WP_STEP_DONE;
        }
    }
}

int wp_zone_chase(struct wp_zone *z, struct wp_query *q, const struct wp_entry *e, bool wild)
{
    struct chain c = {.zone = z, .q = q, .wild = wild};
    int r = wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA);
    size_t at = q->reply.len + 12;

    if (r == 0)
        r = wp_zone_put_type(q, WP_ANSWER, e, WP_TYPE_CNAME, wp_zone_owner_asked());
    return r < 0 ? r : follow(&c, at);
}

int wp_zone_follow_dname(struct wp_zone *z, struct wp_query *q, const struct wp_entry *e)
{
    struct chain c = {.zone = z, .q = q};
    const struct wp_qname *asked = &q->msg.qname;
    const uint8_t *record = wp_entry_body(e, wp_entry_set(e, WP_TYPE_DNAME));
    size_t prefix = (size_t)asked->len - e->name_len, at;
    struct wp_name target;
    bool fits = wp_name_join(asked->wire, prefix, record + 12, &target) == 0;
    int r;

    if (fits && wp_name_equal(target.wire, asked->wire))
        return give_up(q); /* can only loop */
    r = wp_reply_begin(q, fits ? WP_RCODE_NOERROR : RCODE_YXDOMAIN, WP_FLAG_AA);
    if (r == 0)
        r = wp_zone_put_type(q, WP_ANSWER, e, WP_TYPE_DNAME,
                             wp_zone_owner_at(WP_HEADER_LEN + prefix, wp_entry_name(e)));
    if (r < 0 || !fits)
        return r < 0 ? r : WP_STEP_DONE;
    at = q->reply.len + 12;
    r = wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_CNAME, wp_be32(record + 6), target.wire,
                    target.len);
    if (r < 0)
        return r;
    if (q->msg.qtype != WP_TYPE_CNAME)
        return follow(&c, at);
    wp_zone_put_ns(z, q);
    return WP_STEP_DONE;
}
