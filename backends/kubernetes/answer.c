#include "backends/kubernetes/answer.h"

#include "backends/kubernetes/target.h"
#include "waypost/plugin/explain.h"

const struct kubernetes_zone *kubernetes_zone_match(const struct kubernetes *p,
                                                    const struct wp_qname *q)
{
    const struct kubernetes_zone *best = NULL;

    for (unsigned i = 0; i < p->zones.n; i++) {
        const struct kubernetes_zone *z = &p->zone[i];
        unsigned at;
        if (z->labels > q->n_labels || (best != NULL && z->labels <= best->labels))
            continue;
        at = q->n_labels - z->labels;
        if (q->suffix[at] == z->hash && wp_name_equal(q->wire + q->at[at], z->name))
            best = z;
    }
    return best;
}

bool kubernetes_lists(const struct kubernetes *p, struct wp_kube_text ns)
{
    for (unsigned i = 0; i < p->n_namespaces; i++)
        if (wp_kube_text_is(ns, p->namespaces[i]))
            return true;
    return p->n_namespaces == 0;
}

bool kubernetes_exposes(const struct kubernetes *p, struct wp_query *q, struct wp_kube_text ns)
{
    const struct wp_kube_store *s = p->cluster->store;

    if (!kubernetes_lists(p, ns))
        return false;
    if (q != NULL)
        wp_query_depends(q, wp_kube_namespace_key(s, ns.at, ns.len));
    return wp_kube_namespace_present(s, ns.at, ns.len);
}

bool kubernetes_exposes_place(const struct kubernetes *p, struct wp_query *q,
                              const struct wp_kube_place *place)
{
    if (p->n_namespaces > 0 && !kubernetes_lists(p, wp_kube_place_namespace(place)))
        return false;
    if (q != NULL)
        wp_query_depends(q, wp_kube_place_namespace_key(p->cluster->store, place));
    return wp_kube_place_namespace_present(place);
}

/* --- pods ---------------------------------------------------------------------------------------
 */

static unsigned count_pods(struct kubernetes_answer *a, const struct wp_kube_addr *addr)
{
    const struct wp_kube_store *s = a->p->cluster->store;
    const struct wp_kube_pod *pod;
    struct wp_kube_hits h;
    unsigned n = 0;

    wp_query_depends(a->q, wp_kube_pod_key(s, addr));
    h = wp_kube_pod_hits(s, addr);
    while (n < KUBERNETES_POD_HITS && (pod = wp_kube_hits_pod(&h)) != NULL)
        n += wp_kube_text_equal(wp_kube_pod_namespace(pod), a->name.ns);
    return n;
}

/* The label stands for an address; it has port 0. */
static enum kubernetes_found find_pod(struct kubernetes_answer *a)
{
    static const struct wp_kube_filter all = {.port = {"", 0}, .protocol = {"", 0}};
    static const struct wp_kube_port none = {0, {"", 0}, {"", 0}};
    struct wp_kube_port ports[KUBERNETES_POD_HITS];
    char text[WP_KUBE_LABEL_MAX];
    uint8_t ip[16], *end_addr, *end_ports;
    struct wp_kube_addr addr;
    unsigned n = 1;

    if (a->p->pods == KUBERNETES_PODS_DISABLED || !kubernetes_exposes(a->p, a->q, a->name.ns))
        return KUBERNETES_NO_NAME;
    wp_kube_pod_label_text(a->name.service, text);
    addr = wp_kube_addr_from_text(text, a->name.service.len, ip);
    if (a->p->pods == KUBERNETES_PODS_VERIFIED)
        n = count_pods(a, &addr);
    if (n == 0 || wp_kube_addr_family(&addr, (uint8_t[16]){0}) == 0)
        return KUBERNETES_NO_NAME;
    for (unsigned i = 0; i < n; i++)
        ports[i] = none;
    end_addr =
        wp_kube_addrs_write(&(struct wp_kube_text){text, a->name.service.len}, 1, a->pod_addr);
    end_ports = wp_kube_ports_write(ports, n, a->pod_ports);
    wp_kube_entries_of_addrs(&a->entries, (struct wp_kube_cursor){a->pod_addr, end_addr},
                             (struct wp_kube_cursor){a->pod_ports, end_ports}, &all);
    return KUBERNETES_ENTRIES;
}

/* --- services -----------------------------------------------------------------------------------
 */

static void make_filter(struct kubernetes_answer *a, struct wp_kube_filter *f)
{
    const struct wp_kube_name *n = &a->name;

    *f = (struct wp_kube_filter){
        .port = n->port, .protocol = n->protocol, .cluster = n->cluster, .zone = {"", 0}};
    if (n->endpoint.len > 0) {
        a->label = wp_kube_label_from(n->endpoint.at, n->endpoint.len);
        f->endpoint = &a->label;
        f->of_cluster = a->view == WP_KUBE_CLUSTERSET;
    }
    if (n->choice != WP_KUBE_ZONE_ANY)
        f->zone = (struct wp_kube_text){a->zone_text, wp_kube_name_zone_text(n, a->zone_text)};
}

static enum kubernetes_found find_endpoints(struct kubernetes_answer *a)
{
    const struct wp_kube_place *p = a->place;
    struct wp_kube_filter f;

    make_filter(a, &f);
    wp_kube_entries_of_slices(&a->entries, wp_kube_place_slices(p, a->view), p->n_slices[a->view],
                              &f);
    if (wp_kube_entries_any(&a->entries))
        return KUBERNETES_ENTRIES;
    if (a->name.choice == WP_KUBE_ZONE_PREFER) {
        a->entries.filter.zone.len = 0;
        if (wp_kube_entries_any(&a->entries))
            return KUBERNETES_ENTRIES;
    }
    return a->name.choice != WP_KUBE_ZONE_ANY ? KUBERNETES_NO_DATA : KUBERNETES_NO_NAME;
}

static enum kubernetes_found find_cluster_ips(struct kubernetes_answer *a)
{
    struct wp_kube_cursor ports = wp_kube_place_ports(a->place, a->view);
    struct wp_kube_cursor ips = wp_kube_place_ips(a->place, a->view);
    struct wp_kube_filter f;

    make_filter(a, &f);
    wp_kube_entries_of_addrs(&a->entries, ips, ports, &f);
    if (wp_kube_entries_any(&a->entries))
        return KUBERNETES_ENTRIES;
    if (ips.at != ips.end)
        return KUBERNETES_NO_NAME; /* no such port */
    /* an import whose addresses are not there yet */
    return wp_kube_ports_match(ports, &f) > 0 ? KUBERNETES_NO_DATA : KUBERNETES_NO_NAME;
}

static enum kubernetes_found find_alias(const struct kubernetes_answer *a)
{
    struct wp_kube_text t = wp_kube_place_external_name(a->place);
    const struct wp_kube_name *n = &a->name;
    struct wp_kube_addr addr;
    uint8_t ip[16];

    if (n->endpoint.len > 0 || n->port.len > 0 || n->protocol.len > 0 || t.len == 0)
        return KUBERNETES_NO_NAME;
    addr = wp_kube_addr_from_text(t.at, t.len, ip);
    return wp_kube_addr_family(&addr, ip) == 0 ? KUBERNETES_ALIAS : KUBERNETES_NO_NAME;
}

static enum kubernetes_found find_service(struct kubernetes_answer *a)
{
    const struct wp_kube_store *s = a->p->cluster->store;
    const struct wp_kube_name *n = &a->name;
    uint64_t hash = wp_kube_place_hash(n->ns.at, n->ns.len, n->service.at, n->service.len);
    const struct wp_kube_place *place;
    uint8_t kind;

    wp_query_depends(a->q, wp_kube_place_key(s, hash));
    place = wp_kube_place_find(s, hash, n->ns.at, n->ns.len, n->service.at, n->service.len);
    if (place == NULL || place->kind[a->view] == WP_KUBE_NONE ||
        !kubernetes_exposes_place(a->p, a->q, place))
        return KUBERNETES_NO_NAME;
    a->place = place;
    kind = place->kind[a->view];
    if (n->choice != WP_KUBE_ZONE_ANY && kind != WP_KUBE_HEADLESS)
        return KUBERNETES_NO_NAME;
    if (kind == WP_KUBE_EXTERNAL_NAME)
        return find_alias(a);
    if (kind != WP_KUBE_HEADLESS && a->p->ignore_empty && place->n_ready[a->view] == 0)
        return KUBERNETES_NO_NAME;
    if (kind == WP_KUBE_HEADLESS || n->endpoint.len > 0 || a->p->answer_endpoints)
        return find_endpoints(a);
    return find_cluster_ips(a);
}

/* --- names --------------------------------------------------------------------------------------
 */

static bool is_ns(const struct wp_qname *name, unsigned n)
{
    static const uint8_t labels[] = {2, 'n', 's', 3, 'd', 'n', 's'};

    return n == 2 && memcmp(name->wire, labels, sizeof(labels)) == 0;
}

static enum kubernetes_found find_name(struct kubernetes_answer *a, const struct wp_qname *name)
{
    unsigned n = name->n_labels - (unsigned)a->zone->labels;
    struct wp_kube_name_rules rules = {a->zone->multicluster, a->p->wants.zonal};

    if (is_ns(name, n))
        return KUBERNETES_SELF;
    wp_kube_name_parse(name, n, rules, &a->name);
    if (a->name.kind == WP_KUBE_NAME_BAD)
        return KUBERNETES_NO_NAME;
    if (a->name.kind == WP_KUBE_NAME_EMPTY)
        return KUBERNETES_NO_DATA;
    if (wp_kube_name_in_arpa(name))
        return KUBERNETES_NO_NAME;
    if (a->name.kind == WP_KUBE_NAME_POD)
        return find_pod(a);
    if (a->name.kind == WP_KUBE_NAME_SERVICE)
        return find_service(a);
    if (a->name.in_pod && a->p->pods == KUBERNETES_PODS_DISABLED)
        return KUBERNETES_NO_NAME;
    return kubernetes_exposes(a->p, a->q, a->name.ns) ? KUBERNETES_NO_DATA : KUBERNETES_NO_NAME;
}

void kubernetes_resolve(struct kubernetes_answer *a, const struct wp_qname *name)
{
    a->place = NULL;
    a->view = a->zone->multicluster ? WP_KUBE_CLUSTERSET : WP_KUBE_LOCAL;
    a->found = find_name(a, name);
    if (WP_UNLIKELY(wp_query_is_explained(a->q)))
        kubernetes_explain(a);
}

int kubernetes_write_srv(struct kubernetes_answer *a)
{
    const struct wp_query *q = a->q;
    const struct wp_qname *name = &q->msg.qname;
    const uint8_t *zone = q->question + (name->len - a->zone->len);
    struct wp_kube_srv s = {.q = a->q, .ttl_s = a->p->ttl_s, .glue_ttl_s = a->p->ttl_s};

    if (a->place == NULL) { /* a pod: its own name, without what stands before it */
        unsigned at = name->at[name->n_labels - a->zone->labels - 3u];
        if (!wp_kube_target_close(&s.base, name->wire + at,
                                  name->len - at - (size_t)a->zone->len) ||
            !wp_kube_target_close(&s.base, zone, a->zone->len))
            return 0;
    } else if (!wp_kube_target_service(&s.base, wp_kube_place_namespace(a->place),
                                       wp_kube_place_name(a->place), zone, a->zone->len)) {
        return 0;
    }
    return wp_kube_srv_write(&s, &a->entries);
}
