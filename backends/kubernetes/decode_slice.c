#include "backends/kubernetes/decode_priv.h"

#include "waypost/base/text.h"

/* One endpoint, of which each address becomes an entry. */
struct endpoint {
    struct wp_kube_list addrs;
    struct wp_kube_text hostname, pod, zone;
    bool ready;
};

/* A name goes into answers label by label; one that cannot is as good as none. */
static bool is_name(struct wp_kube_text t)
{
    size_t label = 0;

    if (t.len == 0 || t.len > WP_KUBE_LABEL_MAX)
        return false;
    for (size_t i = 0; i < t.len; i++) {
        if (t.at[i] == '.' && label == 0)
            return false;
        label = t.at[i] == '.' ? 0 : label + 1;
    }
    return label > 0;
}

static struct wp_kube_text lowered(struct wp_kube_decoder *d, struct wp_kube_text t)
{
    uint8_t *out = wp_arena_dup(d->json.arena, t.at, t.len);

    if (out == NULL) {
        wp_json_pull_nomem(&d->json);
        return t;
    }
    for (size_t i = 0; i < t.len; i++)
        out[i] = wp_lower(out[i]);
    return (struct wp_kube_text){(char *)out, t.len};
}

static void read_conditions(struct wp_kube_decoder *d, struct endpoint *e)
{
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (!wp_kube_member_is(d, key, "ready", "endpoints.conditions.ready"))
            wp_json_pull_skip(&d->json);
        else if (!wp_json_pull_null(&d->json))
            e->ready = wp_json_pull_bool(&d->json);
    }
}

static void read_target(struct wp_kube_decoder *d, struct endpoint *e)
{
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (wp_kube_member_is(d, key, "name", "endpoints.targetRef.name"))
            e->pod = wp_kube_read_text(d, SIZE_MAX);
        else
            wp_json_pull_skip(&d->json);
    }
}

static void read_endpoint(struct wp_kube_decoder *d, struct endpoint *e)
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
            e->zone = lowered(d, wp_kube_read_text(d, WP_KUBE_TEXT_MAX));
        else
            wp_json_pull_skip(&d->json);
    }
}

static void add_endpoint(struct wp_kube_decoder *d, struct wp_kube_list *l,
                         const struct endpoint *e)
{
    const struct wp_kube_text *addr = e->addrs.items;
    struct wp_kube_text name = {"", 0};
    struct wp_kube_endpoint *item;

    if (is_name(e->hostname))
        name = e->hostname;
    else if (e->hostname.len == 0 && d->config->pod_names && is_name(e->pod))
        name = e->pod;
    for (size_t i = 0; i < e->addrs.n; i++)
        if ((item = wp_kube_list_add(d, l)) != NULL)
            *item = (struct wp_kube_endpoint){addr[i], name, e->zone};
    if (l->n > WP_KUBE_ADDRS_MAX)
        wp_json_pull_refuse(&d->json, "too many addresses");
}

static void read_endpoints(struct wp_kube_decoder *d)
{
    struct wp_kube_list l = {.size = sizeof(struct wp_kube_endpoint)};
    struct wp_kube_list addrs = {.size = sizeof(struct wp_kube_text)};

    for (wp_json_pull_enter(&d->json, '['); wp_json_pull_element(&d->json);) {
        struct endpoint e = {addrs, {"", 0}, {"", 0}, {"", 0}, true};
        e.addrs.n = 0; /* one array serves all */
        read_endpoint(d, &e);
        addrs = e.addrs;
        if (e.ready)
            add_endpoint(d, &l, &e);
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
