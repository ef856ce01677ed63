#include "backends/kubernetes/decode_priv.h"

static void read_conditions(struct wp_kube_decoder *d, struct wp_kube_endpoint_parts *e)
{
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (!wp_kube_member_is(d, key, "ready", "endpoints.conditions.ready"))
            wp_json_pull_skip(&d->json);
        else if (!wp_json_pull_null(&d->json))
            e->ready = wp_json_pull_bool(&d->json);
    }
}

static void read_target(struct wp_kube_decoder *d, struct wp_kube_endpoint_parts *e)
{
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (wp_kube_member_is(d, key, "name", "endpoints.targetRef.name"))
            e->pod = wp_kube_read_text(d, SIZE_MAX);
        else
            wp_json_pull_skip(&d->json);
    }
}

static void read_endpoint(struct wp_kube_decoder *d, struct wp_kube_endpoint_parts *e)
{
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (wp_kube_member_is(d, key, "addresses", "endpoints.addresses"))
            wp_kube_read_texts(d, &e->addrs);
        else if (wp_kube_member_is(d, key, "conditions", "endpoints.conditions"))
            read_conditions(d, e);
        else if (wp_kube_member_is(d, key, "hostname", "endpoints.hostname"))
            e->hostname = wp_kube_read_text(d, SIZE_MAX);
        else if (wp_kube_member_is(d, key, "targetRef", "endpoints.targetRef"))
            read_target(d, e);
        else if (d->config->zonal && wp_kube_member_is(d, key, "zone", "endpoints.zone"))
            e->zone = wp_kube_read_text(d, WP_KUBE_TEXT_MAX);
        else
            wp_json_pull_skip(&d->json);
    }
}

static void read_endpoints(struct wp_kube_decoder *d)
{
    struct wp_kube_list l = {.size = sizeof(struct wp_kube_endpoint)};
    struct wp_kube_list addrs = {.size = sizeof(struct wp_kube_text)};

    for (wp_json_pull_enter(&d->json, '['); wp_json_pull_element(&d->json);) {
        struct wp_kube_endpoint_parts e = {addrs, {"", 0}, {"", 0}, {"", 0}, true};
        e.addrs.n = 0; /* one array serves all */
        read_endpoint(d, &e);
        addrs = e.addrs;
        wp_kube_fault(d, wp_kube_endpoint_settle(&l, &e, d->config, d->json.arena));
    }
    d->object->endpoints = l.items;
    d->object->n_endpoints = l.n;
}

bool wp_kube_read_slice(struct wp_kube_decoder *d, struct wp_json_slice key)
{
    if (wp_kube_member_is(d, key, "endpoints", "endpoints"))
        read_endpoints(d);
    else if (wp_kube_member_is(d, key, "ports", "ports"))
        wp_kube_read_ports(d, WP_KUBE_NO_PORT);
    else
        return false;
    return true;
}
