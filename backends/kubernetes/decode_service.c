#include "backends/kubernetes/decode_priv.h"

/* externals: addresses of `spec` come before those of `status`, whatever the order of members. */
static void add_externals(struct wp_kube_decoder *d, struct wp_kube_list *spec,
                          struct wp_kube_list *status)
{
    struct wp_kube_text *from = status->items, *item;

    for (size_t i = 0; i < status->n; i++)
        if ((item = wp_kube_list_add(d, spec)) != NULL)
            *item = from[i];
    d->object->externals = spec->items;
    d->object->n_externals = spec->n;
}

static void read_spec(struct wp_kube_decoder *d)
{
    struct wp_kube_list ips = {.size = sizeof(struct wp_kube_text)};
    struct wp_kube_text one = {"", 0};
    bool external_name = false;
    struct wp_kube_list externals = {.size = sizeof(struct wp_kube_text)};
    struct wp_kube_list status = {.items = d->object->externals, .n = d->object->n_externals};
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (wp_kube_member_is(d, key, "clusterIPs", "spec.clusterIPs"))
            wp_kube_read_texts(d, &ips);
        else if (wp_kube_member_is(d, key, "clusterIP", "spec.clusterIP"))
            one = wp_kube_read_text(d, WP_KUBE_TEXT_MAX);
        else if (wp_kube_member_is(d, key, "type", "spec.type"))
            external_name = wp_kube_text_is(wp_kube_read_text(d, SIZE_MAX), "ExternalName");
        else if (wp_kube_member_is(d, key, "externalName", "spec.externalName"))
            d->object->external_name = wp_kube_read_text(d, WP_KUBE_TEXT_MAX);
        else if (wp_kube_member_is(d, key, "externalIPs", "spec.externalIPs"))
            wp_kube_read_texts(d, &externals);
        else if (wp_kube_member_is(d, key, "ports", "spec.ports"))
            wp_kube_read_ports(d, 0);
        else
            wp_json_pull_skip(&d->json);
    }
    wp_kube_fault(d, wp_kube_service_settle(d->object, &ips, one, external_name, d->json.arena));
    add_externals(d, &externals, &status);
}

static void read_ingress(struct wp_kube_decoder *d, struct wp_kube_list *l)
{
    struct wp_kube_text ip = {"", 0}, host = {"", 0}, *item;
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (wp_kube_member_is(d, key, "ip", "status.loadBalancer.ingress.ip"))
            ip = wp_kube_read_text(d, WP_KUBE_TEXT_MAX);
        else if (wp_kube_member_is(d, key, "hostname", "status.loadBalancer.ingress.hostname"))
            host = wp_kube_read_text(d, WP_KUBE_TEXT_MAX);
        else
            wp_json_pull_skip(&d->json);
    }
    if (ip.len + host.len > 0 && (item = wp_kube_list_add(d, l)) != NULL)
        *item = ip.len > 0 ? ip : host;
}

static void read_load_balancer(struct wp_kube_decoder *d, struct wp_kube_list *l)
{
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (!wp_kube_member_is(d, key, "ingress", "status.loadBalancer.ingress")) {
            wp_json_pull_skip(&d->json);
            continue;
        }
        for (wp_json_pull_enter(&d->json, '['); wp_json_pull_element(&d->json);)
            read_ingress(d, l);
    }
}

static void read_status(struct wp_kube_decoder *d)
{
    struct wp_kube_list spec = {.items = d->object->externals,
                                .n = d->object->n_externals,
                                .cap = d->object->n_externals,
                                .size = sizeof(struct wp_kube_text)};
    struct wp_kube_list l = {.size = sizeof(struct wp_kube_text)};
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (wp_kube_member_is(d, key, "loadBalancer", "status.loadBalancer"))
            read_load_balancer(d, &l);
        else
            wp_json_pull_skip(&d->json);
    }
    add_externals(d, &spec, &l);
}

bool wp_kube_read_service(struct wp_kube_decoder *d, struct wp_json_slice key)
{
    if (wp_kube_member_is(d, key, "spec", "spec"))
        read_spec(d);
    else if (wp_kube_member_is(d, key, "status", "status"))
        read_status(d);
    else
        return false;
    return true;
}

bool wp_kube_read_import(struct wp_kube_decoder *d, struct wp_json_slice key)
{
    struct wp_kube_list ips = {.size = sizeof(struct wp_kube_text)};
    struct wp_json_slice member;

    if (!wp_kube_member_is(d, key, "spec", "spec"))
        return false;
    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &member);) {
        if (wp_kube_member_is(d, member, "type", "spec.type"))
            d->object->kind = wp_kube_text_is(wp_kube_read_text(d, SIZE_MAX), "Headless")
                                  ? WP_KUBE_HEADLESS
                                  : WP_KUBE_CLUSTER_IP;
        else if (wp_kube_member_is(d, member, "ips", "spec.ips"))
            wp_kube_read_texts(d, &ips);
        else if (wp_kube_member_is(d, member, "ports", "spec.ports"))
            wp_kube_read_ports(d, 0);
        else
            wp_json_pull_skip(&d->json);
    }
    d->object->ips = ips.items;
    d->object->n_ips = ips.n;
    return true;
}
