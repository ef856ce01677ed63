/* From records in any order to a zone: records are gathered by owner, then each owner becomes
 * one entry of the catalog. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/common/owner_table.h"
#include "backends/common/zone_priv.h"
#include "waypost/base/rd.h"
#include "waypost/base/wr.h"

enum { BODY_MAX = WP_MSG_MAX, RR_HEAD = 12 };

struct record {
    struct record *next;
    uint32_t ttl;
    uint16_t type, covered, rdlen; /* covered: of an RRSIG */
    bool used;
    uint8_t rdata[];
};

struct node {
    struct wp_owner o;
    struct record *first, **last;
    uint16_t flags;
};

struct wp_zone_maker {
    struct wp_arena arena;
    struct wp_name origin;
    struct wp_owner_table owners;
    struct node *recent; /* records of one name tend to stand together */
    size_t n_records, n_foreign;
    uint8_t body[BODY_MAX];
};

int wp_zone_maker_new(const struct wp_name *origin, struct wp_zone_maker **ret)
{
    struct wp_zone_maker *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return -ENOMEM;
    if (wp_owner_table_init(&m->owners, &m->arena, sizeof(struct node)) < 0) {
        free(m);
        return -ENOMEM;
    }
    m->origin = *origin;
    wp_name_lower(m->origin.wire, m->origin.len);
    wp_arena_init(&m->arena, 0);
    *ret = m;
    return 0;
}

void wp_zone_maker_free(struct wp_zone_maker *m)
{
    if (m == NULL)
        return;
    wp_arena_done(&m->arena);
    wp_owner_table_done(&m->owners);
    free(m);
}

/* --- gathering ------------------------------------------------------------------------------ */

static struct node *node_of(struct wp_zone_maker *m, const uint8_t *owner, size_t len)
{
    struct node *n = m->recent;

    if (n != NULL && n->o.name_len == len && wp_name_equal(n->o.name, owner))
        return n;
    n = wp_owner_table_get(&m->owners, owner, len);
    if (n == NULL)
        return NULL;
    if (n->last == NULL)
        n->last = &n->first;
    m->recent = n;
    return n;
}

static struct node *first_node(const struct wp_zone_maker *m)
{
    return (struct node *)m->owners.first;
}

static struct node *next_node(const struct node *n)
{
    return (struct node *)n->o.next;
}

/* CoreDNS's habit: these targets are served in lower case, others as they stand in the file. */
static void lower_targets(uint16_t type, uint8_t *rdata, size_t rdlen)
{
    int at;

    switch (type) {
    case WP_TYPE_NS:
    case WP_TYPE_CNAME:
    case WP_TYPE_MX:
    case WP_TYPE_SOA:
        wp_rdata_lower(type, rdata, rdlen);
        break;
    case WP_TYPE_SVCB:
    case WP_TYPE_HTTPS:
        at = wp_rdata_name_at(type, rdata, rdlen);
        if (at >= 0)
            wp_name_lower(rdata + at, wp_name_size(rdata + at));
        break;
    default:
        break;
    }
}

int wp_zone_maker_add(struct wp_zone_maker *m, const uint8_t *owner, uint16_t type, uint32_t ttl,
                      const uint8_t *rdata, size_t rdlen)
{
    struct record *r;
    struct node *n;

    if (!wp_name_within(owner, m->origin.wire)) {
        m->n_foreign++;
        return 0;
    }
    n = node_of(m, owner, wp_name_size(owner));
    r = n == NULL ? NULL : wp_arena_alloc(&m->arena, sizeof(*r) + rdlen);
    if (r == NULL)
        return -ENOMEM;
    *r = (struct record){.ttl = ttl, .type = type, .rdlen = (uint16_t)rdlen};
    memcpy(r->rdata, rdata, rdlen);
    if (type == WP_TYPE_RRSIG && rdlen >= 2)
        r->covered = wp_be16(rdata);
    lower_targets(type, r->rdata, rdlen);
    *n->last = r;
    n->last = &r->next;
    m->n_records++;
    return 0;
}

/* --- entries --------------------------------------------------------------------------------- */

static const struct record *find_record(const struct node *n, uint16_t type)
{
    const struct record *found = NULL;

    for (const struct record *r = n->first; r != NULL; r = r->next) {
        if (r->type == type)
            found = r; /* the last one: of several SOA it is the one in force */
    }
    return found;
}

static struct node *find_node(const struct wp_zone_maker *m, const uint8_t *name)
{
    return wp_owner_table_find(&m->owners, name, wp_name_size(name));
}

static void flag_nodes(struct wp_zone_maker *m, struct wp_zone *z)
{
    for (struct node *n = first_node(m); n != NULL; n = next_node(n)) {
        bool is_apex = n->o.name_len == m->origin.len;

        for (const struct record *r = n->first; r != NULL; r = r->next) {
            if (r->type == WP_TYPE_CNAME)
                n->flags |= WP_ENTRY_CNAME;
            else if (r->type == WP_TYPE_DNAME)
                n->flags |= WP_ENTRY_DNAME;
            else if (r->type == WP_TYPE_NS && !is_apex)
                n->flags |= WP_ENTRY_CUT;
            else if (is_apex && r->type != WP_TYPE_SOA && r->type != WP_TYPE_NS &&
                     r->covered != WP_TYPE_SOA && r->covered != WP_TYPE_NS)
                z->apex_bare = false;
        }
        if (n->flags & (WP_ENTRY_CUT | WP_ENTRY_DNAME))
            z->has_cuts = true;
    }
    if (!z->has_cuts)
        return;
    for (struct node *n = first_node(m); n != NULL; n = next_node(n)) {
        const uint8_t *up = n->o.name;
        size_t len = n->o.name_len;

        while (len > m->origin.len && !(n->flags & WP_ENTRY_BELOW_CUT)) {
            const struct node *above;

            len -= (size_t)up[0] + 1;
            up += (size_t)up[0] + 1;
            above = find_node(m, up);
            if (above != NULL && (above->flags & (WP_ENTRY_CUT | WP_ENTRY_DNAME)))
                n->flags |= WP_ENTRY_BELOW_CUT;
        }
    }
}

/* Is r one of the set that `like` began? */
static bool is_alike(const struct record *r, const struct record *like)
{
    return r->type == like->type && r->covered == like->covered;
}

/* The set that `first` begins, as answer records. */
static int make_set(struct wp_zone_maker *m, struct wp_entry_maker *em, struct node *n,
                    struct record *first)
{
    const size_t room = (size_t)(WP_MSG_MAX - WP_HEADER_LEN - n->o.name_len - 4);
    bool is_sig = first->type == WP_TYPE_RRSIG;
    const struct record *soa = first->type == WP_TYPE_SOA ? find_record(n, WP_TYPE_SOA) : NULL;
    uint16_t count[WP_SECTIONS] = {0};
    size_t len = 0;

    for (struct record *r = first; r != NULL; r = r->next) {
        uint8_t *to = m->body + len;

        if (!is_alike(r, first))
            continue;
        r->used = true;
        if (soa != NULL && r != soa)
            continue;
        if ((size_t)RR_HEAD + r->rdlen > room - len) {
            em->flags |= WP_ZONE_LONG_SET;
            continue;
        }
        wp_put16(to, 0xc000 | WP_HEADER_LEN);
        wp_put16(to + 2, r->type);
        wp_put16(to + 4, WP_CLASS_IN);
        wp_put32(to + 6, r->ttl);
        wp_put16(to + 10, r->rdlen);
        memcpy(to + RR_HEAD, r->rdata, r->rdlen);
        len += RR_HEAD + (size_t)r->rdlen;
        count[WP_ANSWER]++;
    }
    if (count[WP_ANSWER] == 0) /* one record longer than a message: nothing can be served */
        return 0;
    return wp_entry_maker_set(em, is_sig ? first->covered : first->type,
                              is_sig ? WP_ZONE_SIGS : WP_ZONE_DATA, count, m->body, len);
}

static int make_entries(struct wp_zone_maker *m, struct wp_zone *z)
{
    struct wp_entry_maker em;
    int r = wp_catalog_reserve(z->catalog, m->owners.n + m->owners.n / 16 + 1);

    wp_entry_maker_init(&em);
    for (struct node *n = first_node(m); n != NULL && r == 0; n = next_node(n)) {
        wp_entry_maker_start(&em, n->o.name, n->flags);
        for (struct record *rec = n->first; rec != NULL && r == 0; rec = rec->next) {
            if (!rec->used)
                r = make_set(m, &em, n, rec);
        }
        if (r == 0)
            r = wp_catalog_put(z->catalog, &em);
        z->n_long += (em.flags & WP_ZONE_LONG_SET) != 0;
    }
    wp_entry_maker_done(&em);
    return r;
}

/* --- what answers share ------------------------------------------------------------------------
 */

/* Records of the apex for the authority section: `type`, then with `sigs` its signatures. */
static int make_tail(struct wp_zone *z, uint16_t type, bool sigs, struct wp_tail *t)
{
    size_t len = 0, n = 0, at = 0;
    struct wp_tail_point *points;
    uint8_t *records;

    for (unsigned v = WP_ZONE_DATA; v <= (sigs ? WP_ZONE_SIGS : WP_ZONE_DATA); v++) {
        const struct wp_set *s = wp_entry_set_variant(z->apex, type, (uint16_t)v);
        len += s == NULL ? 0 : s->len;
        n += s == NULL ? 0 : s->count[WP_ANSWER];
    }
    if (len > UINT16_MAX)
        return 0; /* authority may be left out, and none of this would fit anyway */
    records = wp_arena_alloc(&z->arena, len);
    points = wp_arena_array(&z->arena, n, sizeof(*points));
    if (records == NULL || points == NULL)
        return -ENOMEM;
    *t = (struct wp_tail){.records = records, .points = points};
    for (unsigned v = WP_ZONE_DATA; v <= (sigs ? WP_ZONE_SIGS : WP_ZONE_DATA); v++) {
        const struct wp_set *s = wp_entry_set_variant(z->apex, type, (uint16_t)v);
        if (s != NULL)
            memcpy(records + t->len, wp_entry_body(z->apex, s), s->len);
        t->len = (uint16_t)(t->len + (s == NULL ? 0 : s->len));
    }
    for (; at < t->len; at += RR_HEAD + (size_t)wp_be16(records + at + 10)) {
        points[t->n_points++] = (struct wp_tail_point){(uint16_t)at, z->origin.len};
        if (type == WP_TYPE_SOA && wp_be32(records + at + 6) > z->minimum)
            wp_put32(records + at + 6, z->minimum); /* how long a denial holds: RFC 2308 s3 */
    }
    t->count[WP_AUTHORITY] = t->n_points;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return wp_name_compare(wp_entry_name(*(const struct wp_entry *const *)a),
                           wp_entry_name(*(const struct wp_entry *const *)b));
}

static int note_nsec(void *arg, const struct wp_entry *e)
{
    struct wp_zone *z = arg;

    if ((wp_entry_flags(e) & WP_ENTRY_BELOW_CUT) || wp_entry_set(e, WP_TYPE_NSEC) == NULL)
        return 0;
    if (z->nsec != NULL)
        z->nsec[z->n_nsec] = e;
    z->n_nsec++;
    return 0;
}

static int make_nsec_order(struct wp_zone *z)
{
    wp_catalog_each(z->catalog, note_nsec, z);
    if (z->n_nsec == 0)
        return 0;
    z->nsec = wp_arena_array(&z->arena, z->n_nsec, sizeof(*z->nsec));
    if (z->nsec == NULL)
        return -ENOMEM;
    z->n_nsec = 0;
    wp_catalog_each(z->catalog, note_nsec, z);
    qsort(z->nsec, z->n_nsec, sizeof(*z->nsec), by_name);
    return 0;
}

static void take_soa(struct wp_zone *z, const struct record *soa)
{
    int mname = wp_name_len(soa->rdata, soa->rdlen);
    int rname = wp_name_len(soa->rdata + mname, (size_t)(soa->rdlen - mname));
    const uint8_t *numbers = soa->rdata + mname + rname;

    z->serial = wp_be32(numbers);
    z->minimum = wp_be32(numbers + 16);
}

int wp_zone_maker_finish(struct wp_zone_maker *m, uint64_t source, struct wp_zone **ret)
{
    const struct node *apex = find_node(m, m->origin.wire);
    const struct record *soa = apex == NULL ? NULL : find_record(apex, WP_TYPE_SOA);
    struct wp_zone *z;
    int r;

    if (soa == NULL)
        return WP_ENOTFOUND;
    z = calloc(1, sizeof(*z));
    if (z == NULL)
        return -ENOMEM;
    atomic_init(&z->refs, 1);
    wp_arena_init(&z->arena, 0);
    z->origin = m->origin;
    z->source = source;
    take_soa(z, soa);
    z->apex_bare = true;
    z->n_records = m->n_records;
    z->n_foreign = m->n_foreign;
    r = wp_catalog_new(m->origin.wire, source, WP_CATALOG_WHOLE, &z->catalog);
    if (r < 0)
        goto out;
    flag_nodes(m, z);
    r = make_entries(m, z);
    if (r < 0)
        goto out;
    z->apex = wp_catalog_find(z->catalog, z->origin.wire, z->origin.len, apex->o.hash);
    for (int sigs = 0; sigs < 2 && r == 0; sigs++) {
        r = make_tail(z, WP_TYPE_SOA, sigs == 1, &z->soa[sigs]);
        if (r == 0)
            r = make_tail(z, WP_TYPE_NS, sigs == 1, &z->ns[sigs]);
    }
    if (r == 0)
        r = make_nsec_order(z);
    if (r < 0)
        goto out;
    *ret = z;
    z = NULL;
out:
    wp_zone_unref(z);
    return r;
}
