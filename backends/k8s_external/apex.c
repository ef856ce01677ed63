/* The zone's own records: SOA, NS, and the addresses of its name server. */
#include "backends/k8s_external/k8s_external.h"
#include "backends/kubernetes/answer.h"
#include "backends/kubernetes/seen.h"
#include "waypost/base/wr.h"

enum { REFRESH_S = 7200, RETRY_S = 1800, EXPIRE_S = 86400, SOA_NUMBERS = 20 };

size_t external_soa(const struct k8s_external *p, const struct external_zone *z,
                    uint8_t ret[2 * WP_NAME_MAX + SOA_NUMBERS])
{
    struct wp_wr wr = wp_wr_to(ret, 2 * WP_NAME_MAX + SOA_NUMBERS);

    wp_wr_bytes(&wr, z->server.wire, z->server.len);
    wp_wr_bytes(&wr, z->mailbox.wire, z->mailbox.len);
    wp_wr_u32(&wr, wp_kube_store_serial(p->k->cluster->store, WP_KUBE_SERIAL_EXTERNAL));
    wp_wr_u32(&wr, REFRESH_S);
    wp_wr_u32(&wr, RETRY_S);
    wp_wr_u32(&wr, EXPIRE_S);
    wp_wr_u32(&wr, p->ttl_s);
    return wr.len;
}

static int write_soa(const struct k8s_external *p, struct wp_query *q,
                     const struct external_zone *z, enum wp_section s)
{
    uint8_t rdata[2 * WP_NAME_MAX + SOA_NUMBERS];
    size_t len = external_soa(p, z, rdata);

    return wp_reply_rr(q, s, z->name, WP_TYPE_SOA, p->ttl_s, rdata, len);
}

int external_deny(const struct k8s_external *p, struct wp_query *q, const struct external_zone *z,
                  uint16_t rcode)
{
    int r = wp_reply_begin(q, rcode, WP_FLAG_AA);

    if (r == 0)
        r = write_soa(p, q, z, WP_AUTHORITY);
    return r < 0 ? r : WP_STEP_DONE;
}

/* --- our own addresses, as those outside reach them ------------------------------------------- */

struct servers {
    const struct k8s_external *p;
    struct wp_query *q;
    enum wp_section section;
    const uint8_t *owner; /* NULL: the question name */
    uint16_t type;        /* 0: both */
    struct wp_kube_seen seen;
};

static int put_addr(struct servers *s, const struct wp_kube_addr *addr)
{
    uint8_t ip[16];
    int family = wp_kube_addr_family(addr, ip), r;
    uint16_t type = family == 4 ? WP_TYPE_A : WP_TYPE_AAAA;

    if (family == 0 || (s->type != 0 && s->type != type))
        return 0;
    r = wp_kube_seen_add(&s->seen, wp_kube_addr_hash(addr));
    return r != 1 ? r
                  : wp_reply_rr(s->q, s->section, s->owner, type, s->p->ttl_s, ip,
                                family == 4 ? 4 : 16);
}

/* A service that selects us shows what it has outside. */
static int put_hit(struct servers *s, const struct wp_kube_self_hit *h)
{
    struct wp_kube_cursor c = wp_kube_place_externals(h->place);
    struct wp_kube_addr addr;
    int r = 0;

    if (s->p->headless && h->place->kind[WP_KUBE_LOCAL] == WP_KUBE_HEADLESS)
        for (size_t i = 0; r == 0 && i < h->slice->n; i++) {
            addr = wp_kube_slice_addr(h->slice, i);
            r = put_addr(s, &addr);
        }
    else
        while (r == 0 && wp_kube_addr_next(&c, &addr))
            r = put_addr(s, &addr);
    return r;
}

int external_write_servers(const struct k8s_external *p, struct wp_query *q, enum wp_section section,
                           const uint8_t *owner, uint16_t type)
{
    const struct wp_kube_self *self = &p->k->self;
    struct servers s = {p, q, section, owner, type, {.arena = q->arena}};
    struct wp_kube_self_hits hits;
    int r = 0;

    wp_kube_self_find(self, p->k->cluster->store, q, &hits);
    for (unsigned i = 0; r == 0 && i < hits.n; i++)
        r = put_hit(&s, &hits.hit[i]);
    for (unsigned i = 0; r == 0 && !hits.selected && i < self->n; i++) {
        struct wp_kube_addr a =
            wp_kube_addr_from_ip(self->addr[i].ip, self->addr[i].family == 4 ? 4 : 16);
        r = put_addr(&s, &a);
    }
    return kubernetes_full(q, r);
}

/* --- questions ---------------------------------------------------------------------------------- */

/* What has been written, or NODATA when that was nothing. */
static int written(const struct k8s_external *p, struct wp_query *q, const struct external_zone *z,
                   int r)
{
    if (r < 0)
        return r;
    return q->reply.count[WP_ANSWER] > 0 ? WP_STEP_DONE : external_deny(p, q, z, WP_RCODE_NOERROR);
}

int external_serve_apex(const struct k8s_external *p, struct wp_query *q,
                        const struct external_zone *z)
{
    int r = wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA);

    if (r == 0 && q->msg.qtype == WP_TYPE_SOA)
        r = write_soa(p, q, z, WP_ANSWER);
    else if (r == 0 && q->msg.qtype == WP_TYPE_NS) {
        r = wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_NS, p->ttl_s, z->server.wire, z->server.len);
        if (r == 0)
            r = external_write_servers(p, q, WP_ADDITIONAL, z->server.wire, 0);
    }
    return written(p, q, z, r);
}

int external_serve_below_apex(const struct k8s_external *p, struct wp_query *q,
                              const struct external_zone *z)
{
    const struct wp_qname *name = &q->msg.qname;
    uint16_t type = q->msg.qtype;
    int r;

    if (name->len == z->apex.len)
        return external_deny(p, q, z, WP_RCODE_NOERROR);
    if (!wp_qname_is(name, z->server.wire, z->server.len))
        return external_deny(p, q, z, WP_RCODE_NXDOMAIN);
    r = wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA);
    if (r == 0 && (type == WP_TYPE_A || type == WP_TYPE_AAAA))
        r = external_write_servers(p, q, WP_ANSWER, NULL, type);
    return written(p, q, z, r);
}
