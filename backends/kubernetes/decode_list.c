#include "backends/kubernetes/decode_priv.h"

bool wp_kube_member_is(struct wp_kube_decoder *d, struct wp_json_slice key, const char *name,
                       const char *field)
{
    if (key.len != strlen(name) || memcmp(key.at, name, key.len) != 0)
        return false;
    if (d->json.error == 0)
        d->json.field = field;
    return true;
}

struct wp_kube_text wp_kube_read_text(struct wp_kube_decoder *d, size_t max)
{
    struct wp_json_slice s = wp_json_pull_string(&d->json);

    if (s.len > max)
        wp_json_pull_refuse(&d->json, "too long");
    return (struct wp_kube_text){s.at, s.len};
}

void *wp_kube_list_add(struct wp_kube_decoder *d, struct wp_kube_list *l)
{
    void *item = wp_kube_list_grow(l, d->json.arena);

    if (item == NULL)
        wp_json_pull_nomem(&d->json);
    return item;
}

void wp_kube_fault(struct wp_kube_decoder *d, struct wp_kube_fault f)
{
    if (f.nomem)
        wp_json_pull_nomem(&d->json);
    if (f.what == NULL)
        return;
    if (d->json.error == 0)
        d->json.field = f.field;
    wp_json_pull_refuse(&d->json, f.what);
}

void wp_kube_read_texts(struct wp_kube_decoder *d, struct wp_kube_list *l)
{
    for (wp_json_pull_enter(&d->json, '['); wp_json_pull_element(&d->json);) {
        struct wp_kube_text t = wp_kube_read_text(d, WP_KUBE_TEXT_MAX), *item;
        if (t.len > 0 && (item = wp_kube_list_add(d, l)) != NULL)
            *item = t;
    }
}

static void read_port(struct wp_kube_decoder *d, struct wp_kube_port *port)
{
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (wp_kube_member_is(d, key, "name", "ports.name"))
            port->name = wp_kube_read_text(d, WP_KUBE_TEXT_MAX);
        else if (wp_kube_member_is(d, key, "protocol", "ports.protocol"))
            port->protocol = wp_kube_read_text(d, WP_KUBE_TEXT_MAX);
        else if (!wp_kube_member_is(d, key, "port", "ports.port"))
            wp_json_pull_skip(&d->json);
        else if (!wp_json_pull_null(&d->json))
            port->number = (int32_t)wp_json_pull_int(&d->json, 0, UINT16_MAX);
    }
}

void wp_kube_read_ports(struct wp_kube_decoder *d, int32_t absent)
{
    struct wp_kube_list l = {.size = sizeof(struct wp_kube_port)};

    for (wp_json_pull_enter(&d->json, '['); wp_json_pull_element(&d->json);) {
        struct wp_kube_port *port = wp_kube_list_add(d, &l);
        if (port == NULL)
            return;
        *port = (struct wp_kube_port){absent, {"", 0}, {"", 0}};
        read_port(d, port);
    }
    d->object->ports = l.items;
    d->object->n_ports = l.n;
}
