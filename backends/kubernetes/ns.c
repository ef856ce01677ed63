/* The name servers of a zone: this server, by its addresses or by the services that select it. */
#include "backends/kubernetes/answer.h"
#include "backends/kubernetes/seen.h"
#include "backends/kubernetes/target.h"

static const uint8_t ns_dns[] = {2, 'n', 's', 3, 'd', 'n', 's'};

/* One address after the other, each with its name. */
struct servers {
    const struct kubernetes_answer *a;
    struct wp_kube_self_hits hits;
    unsigned k;
    size_t i; /* in the slice of a headless service */
    struct wp_kube_cursor ips;
    bool inside;
};
struct server {
    struct wp_name name;
    struct wp_kube_addr addr;
};

static void begin(struct servers *s, const struct kubernetes_answer *a)
{
    s->a = a;
    s->k = 0;
    s->inside = false;
    wp_kube_self_find(&a->p->self, a->p->cluster->store, a->q, &s->hits);
}

/* The zone as the question spells it. */
static const uint8_t *zone_of(const struct kubernetes_answer *a)
{
    return a->q->question + (a->q->msg.qname.len - a->zone->len);
}

static bool next_local(struct servers *s, struct server *ret)
{
    const struct wp_kube_self *self = &s->a->p->self;
    const struct wp_addr *addr = &self->addr[s->k];

    if (s->k == self->n)
        return false;
    s->k++;
    memcpy(ret->name.wire, ns_dns, sizeof(ns_dns));
    ret->name.len = sizeof(ns_dns);
    ret->addr = wp_kube_addr_from_ip(addr->ip, addr->family == 4 ? 4 : 16);
    return wp_kube_target_close(&ret->name, zone_of(s->a), s->a->zone->len);
}

/* The k-th service: its addresses, or all endpoints of the slice. False at its end. */
static bool next_of_hit(struct servers *s, const struct wp_kube_self_hit *h, struct server *ret)
{
    struct wp_name base;

    if (!wp_kube_target_service(&base, wp_kube_place_namespace(h->place),
                                wp_kube_place_name(h->place), zone_of(s->a), s->a->zone->len))
        return false;
    if (h->place->kind[WP_KUBE_LOCAL] != WP_KUBE_HEADLESS) {
        ret->name = base;
        return wp_kube_addr_next(&s->ips, &ret->addr);
    }
    while (s->i < h->slice->n) {
        size_t i = s->i++;
        ret->addr = wp_kube_slice_addr(h->slice, i);
        if (wp_kube_target_endpoint(&ret->name, h->slice, i, base.wire, base.len))
            return true;
    }
    return false;
}

static bool next(struct servers *s, struct server *ret)
{
    if (!s->hits.selected)
        return next_local(s, ret);
    while (s->k < s->hits.n) {
        const struct wp_kube_self_hit *h = &s->hits.hit[s->k];
        if (!s->inside) {
            s->ips = wp_kube_place_ips(h->place, WP_KUBE_LOCAL);
            s->i = 0;
            s->inside = true;
        }
        if (next_of_hit(s, h, ret))
            return true;
        s->k++;
        s->inside = false;
    }
    return false;
}

int kubernetes_write_self(struct kubernetes_answer *a, const uint8_t *owner, uint16_t type)
{
    struct wp_kube_seen seen = {.arena = a->q->arena};
    struct servers s;
    struct server server;
    int r = 0;

    begin(&s, a);
    while (r == 0 && next(&s, &server)) {
        uint8_t ip[16];
        if (wp_kube_addr_family(&server.addr, ip) != (type == WP_TYPE_A ? 4 : 6))
            continue;
        r = wp_kube_seen_add(&seen, wp_kube_addr_hash(&server.addr));
        if (r == 1)
            r = wp_reply_rr(a->q, WP_ANSWER, owner, type, a->p->ttl_s, ip,
                            type == WP_TYPE_A ? 4 : 16);
    }
    return kubernetes_full(a->q, r);
}

static int write_names(struct kubernetes_answer *a, struct servers *s)
{
    struct wp_kube_seen seen = {.arena = a->q->arena};
    struct server server;
    int r = 0;

    while (r == 0 && next(s, &server)) {
        uint8_t ip[16];
        if (wp_kube_addr_family(&server.addr, ip) == 0)
            continue;
        r = wp_kube_seen_add(&seen, wp_hash_bytes(server.name.wire, server.name.len));
        if (r == 1)
            r = wp_reply_rr(a->q, WP_ANSWER, NULL, WP_TYPE_NS, a->p->ttl_s, server.name.wire,
                            server.name.len);
    }
    return r;
}

static int write_glue(struct kubernetes_answer *a, struct servers *s)
{
    struct server server;
    int r = 0;

    while (r == 0 && next(s, &server)) {
        uint8_t ip[16];
        int family = wp_kube_addr_family(&server.addr, ip);
        if (family != 0)
            r = wp_reply_rr(a->q, WP_ADDITIONAL, server.name.wire,
                            family == 4 ? WP_TYPE_A : WP_TYPE_AAAA, a->p->ttl_s, ip,
                            family == 4 ? 4 : 16);
    }
    return r;
}

int kubernetes_write_ns(struct kubernetes_answer *a)
{
    struct servers s;
    int r;

    begin(&s, a);
    r = write_names(a, &s);
    if (r == 0) {
        s.k = 0;
        s.inside = false;
        r = write_glue(a, &s);
    }
    return kubernetes_full(a->q, r);
}
