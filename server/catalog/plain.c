/* Answers for backends that only have records to give: RFC 1034 s4.3.2 over the sets of a catalog.
 */
#include <errno.h>
#include <string.h>
#include "server/catalog/catalog_priv.h"
#include "waypost/base/rd.h"
#include "waypost/base/wr.h"

enum { RECORD_HEAD = 12 /* pointer, type, class, TTL, rdlength */, SOA_TIMERS = 20 };

/* --- making ---------------------------------------------------------------------------------- */

static struct wp_made_set *made_set(struct wp_entry_maker *m, uint16_t type)
{
    for (unsigned i = 0; i < m->n_sets; i++) {
        if (m->sets[i].type == type && m->sets[i].variant == 0)
            return &m->sets[i];
    }
    return NULL;
}

int wp_entry_maker_record(struct wp_entry_maker *m, uint16_t type, uint32_t ttl,
                          const uint8_t *rdata, size_t len)
{
    static const uint16_t none[WP_SECTIONS];
    struct wp_made_set *s = made_set(m, type);
    size_t old = s != NULL ? s->len : 0;
    uint8_t *body;
    int r;

    if (len > UINT16_MAX ||
        old + RECORD_HEAD + len > (size_t)(WP_MSG_MAX - WP_HEADER_LEN - m->name_len - 4))
        return WP_ELIMIT;
    if (s == NULL) {
        r = wp_entry_maker_set(m, type, 0, none, (const uint8_t *)"", 0);
        if (r < 0)
            return r;
        s = &m->sets[m->n_sets - 1];
    }
    body = wp_arena_alloc(&m->arena, old + RECORD_HEAD + len);
    if (body == NULL)
        return -ENOMEM;
    memcpy(body, s->body, old);
    wp_put16(body + old, 0xc000 | WP_HEADER_LEN);
    wp_put16(body + old + 2, type);
    wp_put16(body + old + 4, WP_CLASS_IN);
    wp_put32(body + old + 6, ttl);
    wp_put16(body + old + 10, (unsigned)len);
    memcpy(body + old + RECORD_HEAD, rdata, len);
    s->body = body;
    s->len = (uint16_t)(old + RECORD_HEAD + len);
    s->count[WP_ANSWER]++;
    m->octets += RECORD_HEAD + len;
    return 0;
}

int wp_entry_maker_apex(struct wp_entry_maker *m, uint32_t serial, uint32_t ttl)
{
    static const uint8_t ns_labels[] = "\2ns\3dns", mail_label[] = "\12hostmaster";
    const uint32_t timers[] = {serial, 7200, 1800, 86400, ttl};
    uint8_t rdata[2 * WP_NAME_MAX + SOA_TIMERS];
    struct wp_name ns, mail;
    size_t len;
    int r = wp_name_join(ns_labels, sizeof(ns_labels) - 1, m->name, &ns);

    if (r == 0)
        r = wp_name_join(mail_label, sizeof(mail_label) - 1, m->name, &mail);
    if (r < 0)
        return r;
    memcpy(rdata, ns.wire, ns.len);
    memcpy(rdata + ns.len, mail.wire, mail.len);
    len = (size_t)ns.len + mail.len;
    for (size_t i = 0; i < WP_COUNT(timers); i++, len += 4)
        wp_put32(rdata + len, timers[i]);
    r = wp_entry_maker_record(m, WP_TYPE_SOA, ttl, rdata, len);
    return r == 0 ? wp_entry_maker_record(m, WP_TYPE_NS, ttl, ns.wire, ns.len) : r;
}

int wp_catalog_add(struct wp_catalog *c, struct wp_entry_maker *m, const uint8_t *name,
                   uint16_t type, uint32_t ttl, const uint8_t *rdata, size_t len)
{
    const struct wp_entry *e;
    int r = 0;

    wp_entry_maker_start(m, name, 0);
    e = wp_catalog_find(c, m->name, m->name_len, wp_name_hash(m->name));
    if (e != NULL) {
        m->data = e->data;
        m->flags = (uint16_t)(wp_entry_flags(e) & ~(unsigned)WP_ENTRY_KEPT);
    }
    for (unsigned i = 0; e != NULL && r == 0 && i < e->n_sets; i++)
        r = wp_entry_maker_set(m, e->sets[i].type, e->sets[i].variant, e->sets[i].count,
                               wp_entry_body(e, &e->sets[i]), e->sets[i].len);
    if (r == 0)
        r = wp_entry_maker_record(m, type, ttl, rdata, len);
    return r == 0 ? wp_catalog_put(c, m) : r;
}

/* --- serving --------------------------------------------------------------------------------- */

/* A reply without answer: the apex's SOA in the authority section. Its owner is the apex, of which
 * every question is a tail: the pointer leads there. The TTL is the smaller of its own and the
 * last number in it (RFC 2308 s3). */
static int deny(const struct wp_catalog *c, struct wp_query *q, uint16_t rcode)
{
    const struct wp_entry *apex = wp_catalog_find(c, c->apex, c->apex_len, c->apex_hash);
    const struct wp_set *soa = apex != NULL ? wp_entry_set(apex, WP_TYPE_SOA) : NULL;
    int r = wp_reply_begin(q, rcode, WP_FLAG_AA);
    uint32_t minimum;
    uint8_t *to;

    if (r < 0)
        return r;
    if (soa == NULL)
        return wp_query_fail(q, WP_RCODE_SERVFAIL, 0, "no SOA at the apex");
    to = wp_reply_room(q, soa->len);
    if (to == NULL)
        return WP_ESPACE;
    memcpy(to, wp_entry_body(apex, soa), soa->len);
    wp_put16(to, wp_catalog_point(q->msg.qname.len, c->apex_len));
    minimum = wp_be32(to + soa->len - 4);
    if (minimum < wp_be32(to + 6))
        wp_put32(to + 6, minimum);
    q->reply.len += soa->len;
    q->reply.count[WP_AUTHORITY] = 1;
    return WP_STEP_DONE;
}

/* What the server says of a CNAME's target joins ours, and its rcode is ours (RFC 6604 s3). */
static void join_target(struct wp_query *q, const struct wp_query *child)
{
    const struct wp_reply *r = &child->reply;

    if (r->dropped)
        return;
    if (wp_reply_append(q, child, WP_ANSWER, WP_ANSWER) < 0)
        q->reply.flags |= WP_FLAG_TC;
    if (r->rcode == WP_RCODE_NXDOMAIN || r->rcode == WP_RCODE_SERVFAIL)
        q->reply.rcode = r->rcode;
    if (r->count[WP_ANSWER] == 0 && wp_reply_append(q, child, WP_AUTHORITY, WP_AUTHORITY) < 0)
        q->reply.flags |= WP_FLAG_TC;
}

static void on_target(void *arg, struct wp_query *child)
{
    struct wp_query *q = arg;

    join_target(q, child);
    wp_query_release(child);
    wp_query_resume(q, WP_STEP_DONE);
}

static int follow(struct wp_query *q, const struct wp_entry *e, const struct wp_set *cname)
{
    struct wp_query *child = NULL;
    int r = wp_catalog_answer(q, e, cname, WP_FLAG_AA);

    if (r != WP_STEP_DONE)
        return r;
    r = wp_query_lookup(q, wp_entry_body(e, cname) + RECORD_HEAD, q->msg.qtype, on_target, q,
                        &child);
    if (r == WP_STEP_WAIT)
        return r;
    if (r < 0) { /* a chain that is too long, or no memory */
        q->reply.rcode = WP_RCODE_SERVFAIL;
        return WP_STEP_DONE;
    }
    join_target(q, child);
    wp_query_release(child);
    return WP_STEP_DONE;
}

static int answer(void *catalog, struct wp_query *q, const struct wp_seek *s)
{
    const struct wp_catalog *c = catalog;
    const struct wp_entry *e = s->exact ? s->entry : s->wild;
    const struct wp_set *set;

    if (s->entry == NULL)
        return WP_STEP_NEXT;
    if (e == NULL)
        return deny(c, q, WP_RCODE_NXDOMAIN);
    set = wp_entry_set(e, q->msg.qtype);
    if (set != NULL)
        return wp_catalog_answer(q, e, set, WP_FLAG_AA);
    set = wp_entry_set(e, WP_TYPE_CNAME);
    return set != NULL ? follow(q, e, set) : deny(c, q, WP_RCODE_NOERROR);
}

int wp_catalog_serve_plain(const struct wp_catalog *c, struct wp_query *q)
{
    static const struct wp_catalog_ops ops = {.answer = answer};

    if (c->mode == WP_CATALOG_WHOLE)
        wp_query_depends(q, wp_catalog_key(c, 0));
    return wp_catalog_serve(c, q, &ops, (void *)(uintptr_t)c);
}
