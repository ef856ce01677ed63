/* What a name of the zone leads to: SVC.NS, with an endpoint, or with port and protocol. */
#include "backends/k8s_external/k8s_external.h"
#include "backends/kubernetes/target.h"

static struct wp_kube_text label_text(const struct wp_qname *n, unsigned i)
{
    const uint8_t *label = n->wire + n->at[i];

    return (struct wp_kube_text){(const char *)label + 1, *label};
}

static struct wp_kube_text without_underscore(struct wp_kube_text t)
{
    return t.len > 0 && t.at[0] == '_' ? (struct wp_kube_text){t.at + 1, t.len - 1} : t;
}

/* The service, if it is there and shows. */
static const struct wp_kube_place *find_place(const struct external_answer *a,
                                              struct wp_kube_text ns, struct wp_kube_text name)
{
    const struct wp_kube_store *s = a->p->k->cluster->store;
    uint64_t hash = wp_kube_place_hash(ns.at, ns.len, name.at, name.len);
    const struct wp_kube_place *place;

    wp_query_depends(a->q, wp_kube_place_key(s, hash));
    place = wp_kube_place_find(s, hash, ns.at, ns.len, name.at, name.len);
    return place != NULL && place->kind[WP_KUBE_LOCAL] != WP_KUBE_NONE ? place : NULL;
}

static bool has_any(struct wp_kube_cursor c)
{
    return c.at != c.end;
}

/* Endpoints stand in for addresses that a service does not have. */
static void choose_entries(struct external_answer *a, const struct wp_kube_place *place,
                           struct wp_kube_filter *f, struct wp_kube_text endpoint)
{
    struct wp_kube_cursor externals = wp_kube_place_externals(place);

    if (a->p->headless && !has_any(externals) &&
        (place->kind[WP_KUBE_LOCAL] == WP_KUBE_HEADLESS || endpoint.len > 0)) {
        if (endpoint.len > 0) {
            a->label = wp_kube_label_from(endpoint.at, endpoint.len);
            f->endpoint = &a->label;
        }
        wp_kube_entries_of_slices(&a->entries, wp_kube_place_slices(place, WP_KUBE_LOCAL),
                                  place->n_slices[WP_KUBE_LOCAL], f);
    } else /* an endpoint asked for does not matter, as in CoreDNS */
        wp_kube_entries_of_addrs(&a->entries, externals, wp_kube_place_ports(place, WP_KUBE_LOCAL),
                                 f);
    a->found = wp_kube_entries_any(&a->entries);
}

void external_find(struct external_answer *a)
{
    const struct wp_qname *name = &a->q->msg.qname;
    unsigned n = name->n_labels - a->zone->labels;
    struct wp_kube_text ns = label_text(name, n - 1), endpoint = {"", 0};
    struct wp_kube_filter f = {.port = {"", 0}, .protocol = {"", 0}, .zone = {"", 0}};
    const struct wp_kube_place *place;

    a->found = false;
    a->rcode = WP_RCODE_NXDOMAIN;
    if (!kubernetes_exposes(a->p->k, a->q, ns))
        return;
    if (n == 1) {
        a->rcode = WP_RCODE_NOERROR;
        return;
    }
    if (n > 4)
        return;
    if (n == 3)
        endpoint = without_underscore(label_text(name, 0));
    if (n == 4) {
        f.port = without_underscore(label_text(name, 0));
        f.protocol = without_underscore(label_text(name, 1));
    }
    place = find_place(a, ns, label_text(name, n - 2));
    if (place == NULL)
        return;
    a->base.len = 0;
    if (!wp_kube_target_add(&a->base, wp_kube_place_name(place)) ||
        !wp_kube_target_add(&a->base, ns) ||
        !wp_kube_target_close(&a->base, a->zone->name, a->zone->len))
        return;
    choose_entries(a, place, &f, endpoint);
    a->rcode = a->found ? WP_RCODE_NOERROR : WP_RCODE_NXDOMAIN;
}
