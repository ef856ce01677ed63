/* Addresses to names: of the one service that has it, or else of every endpoint. */
#include "backends/kubernetes/answer.h"
#include "backends/kubernetes/seen.h"
#include "backends/kubernetes/target.h"

static int put(struct kubernetes_answer *a, const struct wp_name *target)
{
    return wp_reply_rr(a->q, WP_ANSWER, NULL, WP_TYPE_PTR, a->p->ttl_s, target->wire, target->len);
}

/* The first service that shows. */
static int write_service(struct kubernetes_answer *a, const struct wp_kube_addr *addr)
{
    const struct kubernetes_zone *zone = a->p->primary;
    struct wp_kube_hits h = wp_kube_cluster_ip_hits(a->p->cluster->store, addr);
    const struct wp_kube_place *place;
    struct wp_name target;

    while ((place = wp_kube_hits_place(&h)) != NULL)
        if (kubernetes_exposes_place(a->p, a->q, place) &&
            wp_kube_target_service(&target, wp_kube_place_namespace(place),
                                   wp_kube_place_name(place), zone->name, zone->len))
            return put(a, &target);
    return 0;
}

static int write_slice(struct kubernetes_answer *a, const struct wp_kube_addr *addr,
                       const struct wp_kube_slice *slice, size_t i, struct wp_kube_seen *seen)
{
    const struct kubernetes_zone *zone = a->p->primary;
    struct wp_kube_text ns = wp_kube_slice_namespace(slice);
    struct wp_name base, target;
    int r = 0;

    if (wp_kube_slice_service(slice).len == 0 || !kubernetes_exposes(a->p, a->q, ns) ||
        !wp_kube_target_service(&base, ns, wp_kube_slice_service(slice), zone->name, zone->len))
        return 0;
    for (; r == 0 && i < slice->n; i = wp_kube_slice_find_addr(slice, i + 1, addr)) {
        if (!wp_kube_target_endpoint(&target, slice, i, base.wire, base.len))
            continue;
        r = wp_kube_seen_add(seen, wp_hash_bytes(target.wire, target.len));
        if (r == 1)
            r = put(a, &target);
    }
    return r;
}

int kubernetes_write_ptr(struct kubernetes_answer *a, const uint8_t *ip, unsigned len)
{
    const struct wp_kube_store *s = a->p->cluster->store;
    struct wp_kube_addr addr = wp_kube_addr_from_ip(ip, (uint8_t)len);
    struct wp_kube_seen seen = {.arena = a->q->arena};
    const struct wp_kube_slice *slice;
    struct wp_kube_hits h;
    size_t i;
    int r;

    wp_query_depends(a->q, wp_kube_addr_key(s, &addr));
    r = write_service(a, &addr);
    if (r < 0 || a->q->reply.count[WP_ANSWER] > 0)
        return r;
    h = wp_kube_endpoint_hits(s, &addr);
    while (r == 0 && (slice = wp_kube_hits_slice(&h, &i)) != NULL)
        r = write_slice(a, &addr, slice, i, &seen);
    return kubernetes_full(a->q, r);
}
