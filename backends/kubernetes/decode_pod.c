#include "backends/kubernetes/decode_priv.h"

static void read_ip(struct wp_kube_decoder *d, struct wp_kube_list *l)
{
    struct wp_kube_text ip = {"", 0}, *item;
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (wp_kube_member_is(d, key, "ip", "status.podIPs.ip"))
            ip = wp_kube_read_text(d, WP_KUBE_IP_TEXT_MAX);
        else
            wp_json_pull_skip(&d->json);
    }
    if (ip.len > 0 && (item = wp_kube_list_add(d, l)) != NULL)
        *item = ip;
    if (l->n > WP_KUBE_POD_IPS_MAX)
        wp_json_pull_refuse(&d->json, "too many addresses");
}

bool wp_kube_read_pod(struct wp_kube_decoder *d, struct wp_json_slice key)
{
    struct wp_kube_list l = {.size = sizeof(struct wp_kube_text)};
    struct wp_json_slice member;

    if (!wp_kube_member_is(d, key, "status", "status"))
        return false;
    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &member);) {
        if (!wp_kube_member_is(d, member, "podIPs", "status.podIPs")) {
            wp_json_pull_skip(&d->json);
            continue;
        }
        for (wp_json_pull_enter(&d->json, '['); wp_json_pull_element(&d->json);)
            read_ip(d, &l);
    }
    d->object->ips = l.items;
    d->object->n_ips = l.n;
    return true;
}
