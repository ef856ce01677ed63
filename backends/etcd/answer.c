#include "backends/etcd/answer.h"

#include <errno.h>

#include "backends/etcd/answer_priv.h"
#include "waypost/base/wr.h"

/* CNAME takes the first entry of the very key; so does PTR, each host once: a key has one. */
static int answer_exact(struct wp_etcd_answer *a, const struct wp_etcd_target *t, uint16_t qtype)
{
    struct wp_etcd_entries e;
    int r = wp_etcd_gather(a, &t->path, WP_ETCD_EXACT, qtype, &e);
    const struct wp_etcd_rec *rec;

    if (r < 0 || a->outcome != WP_ETCD_FOUND)
        return r;
    rec = wp_etcd_next(a, &e);
    if (rec == NULL || !(rec->flags & WP_ETCD_REC_HOST))
        return 0;
    return wp_etcd_add(a, &(struct wp_etcd_item){.type = qtype,
                                                 .section = WP_ANSWER,
                                                 .ttl = wp_etcd_ttl(a, rec),
                                                 .rdata = wp_etcd_rec_host(rec),
                                                 .rdlen = rec->host_len});
}

static int answer_soa(struct wp_etcd_answer *a)
{
    const struct wp_etcd_zone *z = a->view->zone;
    struct wp_etcd_item item = {.owner = z->name,
                                .type = WP_TYPE_SOA,
                                .section = WP_ANSWER,
                                .ttl = WP_ETCD_SOA_TTL,
                                .rdlen = (uint16_t)(z->soa_names_len + WP_ETCD_SOA_NUMBERS)};
    uint8_t *rdata = wp_arena_alloc(a->arena, item.rdlen);

    if (rdata == NULL)
        return -ENOMEM;
    wp_etcd_zone_soa(z, a->view->serial, rdata);
    item.rdata = rdata;
    return wp_etcd_add(a, &item);
}

static int answer_srv(struct wp_etcd_answer *a, const struct wp_etcd_target *t)
{
    int r = wp_etcd_answer_srv(a, t);

    return r == 0 && a->outcome == WP_ETCD_NO_NAME ? wp_etcd_answer_service(a, t) : r;
}

int wp_etcd_answer(struct wp_etcd_answer *a, const struct wp_etcd_target *t, uint16_t qtype)
{
    struct wp_etcd_entries e;

    a->outcome = WP_ETCD_FOUND;
    a->error = NULL;
    a->n = a->n_lookups = 0;
    a->truncated = false;
    a->octets = 0;
    a->budget = WP_ETCD_BUDGET;
    if (qtype == WP_TYPE_SOA)
        return answer_soa(a);
    switch (qtype) {
    case WP_TYPE_A:
    case WP_TYPE_AAAA:
    case WP_TYPE_TXT:
        return wp_etcd_follow(a, t, NULL, qtype, WP_ANSWER, NULL);
    case WP_TYPE_CNAME:
    case WP_TYPE_PTR:
        return answer_exact(a, t, qtype);
    case WP_TYPE_MX:
        return wp_etcd_answer_mx(a, t);
    case WP_TYPE_SRV:
        return answer_srv(a, t);
    case WP_TYPE_NS:
        if (wp_name_equal(t->name->wire, a->view->zone->name))
            return wp_etcd_answer_ns(a);
        break;
    case WP_TYPE_SVCB:
    case WP_TYPE_HTTPS:
        if (a->view->svcb)
            return wp_etcd_answer_svcb(a, t, qtype);
        break;
    default:
        break;
    }
    /* only whether the name exists, as an address would */
    return wp_etcd_gather_address(a, t, 0, &e);
}

/* The path of PREFIX.ZONE; empty when that is longer than a name may be. */
static int place_init(struct wp_etcd_place *p, const void *labels, size_t len, const uint8_t *zone,
                      struct wp_arena *a)
{
    struct wp_etcd_path path;
    struct wp_qname q;
    struct wp_name name;

    *p = (struct wp_etcd_place){.text = ""};
    if (wp_name_join(labels, len, zone, &name) < 0 || wp_qname_set(&q, name.wire, name.len) < 0)
        return 0;
    wp_etcd_path_set(&path, &q);
    p->text = wp_arena_strndup(a, path.text, path.len);
    p->len = path.len;
    p->hash = path.hash;
    return p->text == NULL ? -ENOMEM : 0;
}

static const struct {
    const char *labels;
    size_t len;
} ns_dns = {"\2ns\3dns", 7}, apex_dns = {"\4apex\3dns", 9}, hostmaster = {"\12hostmaster", 11};

int wp_etcd_zone_init(struct wp_etcd_zone *z, const uint8_t *name, struct wp_arena *a)
{
    static const uint8_t root[1] = {0};
    struct wp_name mname, rname;
    uint8_t *names;
    int r;

    z->name = name;
    z->name_len = wp_name_size(name);
    r = place_init(&z->apex, apex_dns.labels, apex_dns.len, name, a);
    if (r == 0)
        r = place_init(&z->ns, ns_dns.labels, ns_dns.len, name, a);
    if (r < 0)
        return r;
    /* a zone too long for them still needs a SOA: the labels alone */
    if (wp_name_join((const void *)ns_dns.labels, ns_dns.len, name, &mname) < 0 &&
        wp_name_join((const void *)ns_dns.labels, ns_dns.len, root, &mname) < 0)
        return WP_EMALFORMED;
    if (wp_name_join((const void *)hostmaster.labels, hostmaster.len, name, &rname) < 0 &&
        wp_name_join((const void *)hostmaster.labels, hostmaster.len, root, &rname) < 0)
        return WP_EMALFORMED;
    names = wp_arena_alloc(a, (size_t)mname.len + rname.len);
    if (names == NULL)
        return -ENOMEM;
    memcpy(names, mname.wire, mname.len);
    memcpy(names + mname.len, rname.wire, rname.len);
    z->soa_names = names;
    z->soa_names_len = (size_t)mname.len + rname.len;
    return 0;
}

void wp_etcd_zone_soa(const struct wp_etcd_zone *z, uint32_t serial, uint8_t *out)
{
    memcpy(out, z->soa_names, z->soa_names_len);
    out += z->soa_names_len;
    wp_put32(out, serial);
    wp_put32(out + 4, 7200);   /* refresh */
    wp_put32(out + 8, 1800);   /* retry */
    wp_put32(out + 12, 86400); /* expire */
    wp_put32(out + 16, WP_ETCD_SOA_TTL);
}
