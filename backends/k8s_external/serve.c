/* A question: which zone, the apex or a service, what is written. */
#include "backends/k8s_external/k8s_external.h"
#include "backends/kubernetes/answer.h"
#include "backends/kubernetes/target.h"
#include "waypost/dns/edns.h"

const struct external_zone *external_zone_of(const struct k8s_external *p,
                                             const struct wp_qname *name)
{
    const uint8_t *zone = wp_zones_match(&p->zones, name);
    unsigned i = 0;

    if (zone == NULL)
        return NULL;
    while (p->zones.zone[i] != zone)
        i++;
    return &p->zone[i];
}

/* --- reverse ------------------------------------------------------------------------------------ */

static int write_ptr(const struct k8s_external *p, struct wp_query *q,
                     const struct wp_kube_place *place)
{
    const struct external_zone *first = &p->zone[0];
    struct wp_name target = {.len = 0};

    if (!wp_kube_target_add(&target, wp_kube_place_name(place)) ||
        !wp_kube_target_add(&target, wp_kube_place_namespace(place)) ||
        !wp_kube_target_close(&target, first->name, first->len))
        return 0;
    return wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_PTR, p->ttl_s, target.wire, target.len);
}

/* Services that have the address outside: each once, since an index has each service once. */
static int serve_reverse(const struct k8s_external *p, struct wp_query *q, const uint8_t *ip,
                         unsigned len)
{
    const struct wp_kube_store *s = p->k->cluster->store;
    struct wp_kube_addr addr = wp_kube_addr_from_ip(ip, (uint8_t)len);
    const struct wp_kube_place *place;
    struct wp_kube_hits hits;
    int r = wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA);

    wp_query_depends(q, wp_kube_addr_key(s, &addr));
    hits = wp_kube_external_ip_hits(s, &addr);
    while (r == 0 && (place = wp_kube_hits_place(&hits)) != NULL)
        if (kubernetes_lists(p->k, wp_kube_place_namespace(place)))
            r = write_ptr(p, q, place);
    return kubernetes_full(q, r);
}

/* --- every question ----------------------------------------------------------------------------- */

/* Nothing is there, as far as is known. */
static int deny(const struct external_answer *a, uint16_t rcode)
{
    struct wp_query *q = a->q;
    int r;

    if (rcode == WP_RCODE_NXDOMAIN && wp_fall_through(&a->p->fall, &q->msg.qname))
        return WP_STEP_NEXT;
    if (rcode != WP_RCODE_NXDOMAIN || WP_LIKELY(wp_kube_cluster_has_data(a->p->k->cluster)))
        return external_deny(a->p, q, a->zone, rcode);
    r = external_deny(a->p, q, a->zone, WP_RCODE_SERVFAIL);
    q->reply.error = "k8s_external: no data yet";
    q->reply.err = WP_ESTATE;
    wp_reply_ede(q, WP_EDE_NOT_READY, "the API server has not been reached yet");
    return r;
}

static int serve_ptr(const struct external_answer *a, const uint8_t *ip, unsigned len)
{
    int r = serve_reverse(a->p, a->q, ip, len);

    if (r < 0)
        return r;
    return a->q->reply.count[WP_ANSWER] > 0 ? WP_STEP_DONE : deny(a, WP_RCODE_NXDOMAIN);
}

static int serve_name(struct external_answer *a)
{
    struct wp_kube_hosts hosts;
    uint8_t ip[16];
    unsigned len;

    if (a->q->msg.qtype == WP_TYPE_PTR &&
        (len = wp_kube_name_reverse(&a->q->msg.qname, ip)) > 0)
        return serve_ptr(a, ip, len);
    external_find(a);
    if (!a->found)
        return deny(a, a->rcode);
    return external_hosts(a, &hosts) ? external_resolve(a, &hosts) : external_write(a, NULL);
}

/* The longest zone of the block decides; what is below APEX of any of them is that one's. */
static int serve(struct external_answer *a)
{
    const struct k8s_external *p = a->p;
    const struct wp_qname *name = &a->q->msg.qname;

    if (name->len == a->zone->len)
        return external_serve_apex(p, a->q, a->zone);
    for (unsigned i = 0; i < p->zones.n; i++)
        if (wp_name_within(name->wire, p->zone[i].apex.wire))
            return external_serve_below_apex(p, a->q, &p->zone[i]);
    return serve_name(a);
}

int k8s_external_serve(void *self, struct wp_query *q)
{
    const struct k8s_external *p = self;
    struct external_answer a = {.p = p, .q = q, .zone = external_zone_of(p, &q->msg.qname)};

    if (a.zone == NULL)
        return WP_STEP_NEXT;
    if (q->msg.qtype == WP_TYPE_AXFR || q->msg.qtype == WP_TYPE_IXFR)
        return wp_query_fail(q, WP_RCODE_REFUSED, 0, NULL);
    if (WP_UNLIKELY(!wp_kube_cluster_is_synced(p->k->cluster)))
        wp_query_depends(q, wp_kube_cluster_state_key(p->k->cluster));
    return kubernetes_finish(p->k, q, serve(&a));
}
