#include "server/plugins/cache/item.h"

#include <stdlib.h>

#include "waypost/base/wr.h"
#include "waypost/plugin/change.h"

enum { BODY_MAX = 65535, TTLS_MAX = 4096, CHAIN_MAX = 32 };
enum { PLAIN_MAX = 512 }; /* fits every client */

struct scan {
    uint16_t qtype;
    int64_t unix_s;
    bool soa, ns, answer_type, alias, expired;
};

static int scan_rr(void *arg, uint8_t *buf, const struct wp_rr_at *rr, enum wp_section s)
{
    struct scan *k = arg;

    if (rr->type == WP_TYPE_RRSIG && rr->rdlen >= 18) {
        /* serial arithmetic over 32 bits (RFC 4034 s3.1.5) */
        uint32_t expires = wp_be32(buf + rr->rdata_pos + 8);

        if ((int32_t)(expires - (uint32_t)k->unix_s) < 0)
            k->expired = true;
    }
    if (s == WP_ANSWER) {
        if (rr->type == k->qtype)
            k->answer_type = true;
        if (rr->type == WP_TYPE_CNAME)
            k->alias = true;
    } else if (s == WP_AUTHORITY) {
        k->soa |= rr->type == WP_TYPE_SOA;
        k->ns |= rr->type == WP_TYPE_NS;
    }
    return 0;
}

static const struct wp_rr *alias_of(const struct wp_view *v, const uint8_t *name, bool *ret_two)
{
    const struct wp_rr *found = NULL;

    for (size_t i = 0; i < v->n && v->rr[i].section == WP_ANSWER; i++) {
        const struct wp_rr *r = &v->rr[i];

        if (r->type != WP_TYPE_CNAME || !wp_name_equal(r->owner, name))
            continue;
        if (found != NULL && !wp_name_equal(found->rdata, r->rdata))
            *ret_two = true;
        found = r;
    }
    return found;
}

/* Does the chain of aliases from the question end in records of the asked type? Conflicting and
 * looping aliases do not. */
static bool chain_answers(struct wp_query *q)
{
    const uint8_t *name = q->question;
    struct wp_view v;
    bool two = false;

    if (wp_reply_view(q, &v) < 0)
        return false;
    for (unsigned n = 0; n < CHAIN_MAX; n++) {
        const struct wp_rr *alias;

        for (size_t i = 0; i < v.n && v.rr[i].section == WP_ANSWER; i++) {
            if (v.rr[i].type == q->msg.qtype && wp_name_equal(v.rr[i].owner, name))
                return true;
        }
        alias = alias_of(&v, name, &two);
        if (alias == NULL || two)
            return false;
        name = alias->rdata;
    }
    return false;
}

enum cache_kind cache_judge(struct wp_query *q, int64_t unix_s, bool *ret_answers)
{
    const struct wp_reply *r = &q->reply;
    struct scan k = {.qtype = q->msg.qtype, .unix_s = unix_s};
    bool any = q->msg.qtype == WP_TYPE_ANY;

    *ret_answers = false;
    if ((r->flags & WP_FLAG_TC) || q->msg.qtype == WP_TYPE_AXFR || q->msg.qtype == WP_TYPE_IXFR)
        return CACHE_NONE;
    if (r->rcode == WP_RCODE_SERVFAIL || r->rcode == WP_RCODE_NOTIMP)
        return CACHE_DENIAL;
    if (r->rcode != WP_RCODE_NOERROR && r->rcode != WP_RCODE_NXDOMAIN)
        return CACHE_NONE;
    if (wp_reply_each(q, scan_rr, &k) < 0 || (k.expired && q->msg.edns.dnssec_ok))
        return CACHE_NONE;
    if (r->rcode == WP_RCODE_NXDOMAIN)
        return k.soa && r->count[WP_ANSWER] == 0 ? CACHE_DENIAL : CACHE_NONE;
    if (r->count[WP_ANSWER] > 0) {
        bool answers =
            any || (k.alias && q->msg.qtype != WP_TYPE_CNAME ? chain_answers(q) : k.answer_type);

        *ret_answers = answers;
        return answers ? CACHE_SUCCESS : k.soa ? CACHE_DENIAL : CACHE_NONE;
    }
    return k.soa ? CACHE_DENIAL : CACHE_SUCCESS;
}

struct ttls {
    uint16_t n, at[TTLS_MAX];
    size_t base;
    uint32_t set;
};

static int note_ttl(void *arg, uint8_t *buf, const struct wp_rr_at *rr, enum wp_section s)
{
    struct ttls *t = arg;

    (void)buf;
    (void)s;
    if (t->n == TTLS_MAX)
        return WP_ELIMIT;
    t->at[t->n++] = (uint16_t)(rr->ttl_pos - t->base);
    return 0;
}

static int set_ttl(void *arg, uint8_t *buf, const struct wp_rr_at *rr, enum wp_section s)
{
    (void)s;
    wp_put32(buf + rr->ttl_pos, *(const uint32_t *)arg);
    return 0;
}

void cache_set_ttls(struct wp_query *q, uint32_t ttl_s)
{
    if (wp_reply_each(q, set_ttl, &ttl_s) < 0)
        return; /* not readable: then it is not stored either */
}

struct cache_item *cache_item_new(struct wp_query *q, uint64_t key, uint32_t ttl_s, uint64_t now_ns)
{
    const struct wp_reply *r = &q->reply;
    size_t start = WP_HEADER_LEN + (size_t)q->question_len, body, size, wild_len;
    const char *wild = wp_query_meta(q, "zone/wildcard");
    struct cache_item *i;
    struct ttls t = {.base = start};

    if (r->len > PLAIN_MAX)
        wp_reply_compress(q); /* once, not at every hit that does not fit */
    body = r->len - start;
    if (body > BODY_MAX || wp_reply_each(q, note_ttl, &t) < 0)
        return NULL;
    wild_len = wild != NULL ? strlen(wild) + 1 : 0;
    size = sizeof(*i) + 2u * t.n + q->msg.qname.len + body + wild_len;
    i = malloc(size);
    if (i == NULL)
        return NULL;
    *i = (struct cache_item){
        .hash = key,
        .stored_ns = now_ns,
        .ttl_s = ttl_s,
        .qtype = q->msg.qtype,
        .qclass = q->msg.qclass,
        .flags = r->flags & (WP_FLAG_AA | WP_FLAG_RA | WP_FLAG_AD),
        .rcode = r->rcode,
        .n_ttls = t.n,
        .body_len = (uint32_t)body,
        .name_len = q->msg.qname.len,
        .n_deps = q->n_deps,
        .compressed = r->compressed,
        .dnssec_ok = q->msg.edns.present && q->msg.edns.dnssec_ok,
        .checking_disabled = (q->msg.flags & WP_FLAG_CD) != 0,
    };
    memcpy(i->count, r->count, sizeof(i->count));
    memcpy(i->deps, q->deps, sizeof(*q->deps) * q->n_deps);
    memcpy(i->data, t.at, 2u * t.n);
    memcpy(i->data + 2u * t.n, q->msg.qname.wire, i->name_len);
    memcpy(i->data + 2u * t.n + i->name_len, r->buf + start, body);
    if (wild != NULL) {
        i->wildcard = (char *)i->data + 2u * t.n + i->name_len + body;
        memcpy(i->data + 2u * t.n + i->name_len + body, wild, wild_len);
    }
    return i;
}

int cache_item_reply(const struct cache_item *i, struct wp_query *q, uint32_t ttl_s)
{
    uint16_t flags = i->flags;
    uint8_t *to;
    int r;

    if (!(q->had_do || (q->msg.flags & WP_FLAG_AD)))
        flags &= (uint16_t)~WP_FLAG_AD; /* RFC 6840 s5.7: only for those who understand it */
    r = wp_reply_begin(q, i->rcode, flags);
    if (r < 0)
        return r;
    to = wp_reply_room(q, i->body_len);
    if (to == NULL)
        return WP_ESPACE;
    memcpy(to, cache_item_body(i), i->body_len);
    for (unsigned n = 0; n < i->n_ttls; n++) {
        uint16_t at;

        memcpy(&at, i->data + 2 * n, 2);
        wp_put32(to + at, ttl_s);
    }
    q->reply.len += i->body_len;
    memcpy(q->reply.count, i->count, sizeof(i->count));
    q->reply.compressed = i->compressed;
    if (i->wildcard != NULL)
        return wp_query_meta_set(q, "zone/wildcard", i->wildcard);
    return 0;
}

bool cache_item_is_current(const struct cache_item *i)
{
    for (unsigned n = 0; n < i->n_deps; n++) {
        if (atomic_load_explicit(&wp_change_version[i->deps[n].slot], memory_order_acquire) !=
            i->deps[n].version)
            return false;
    }
    return true;
}
