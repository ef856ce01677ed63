/* Numbers of fields: generated.proto of k8s.io/api, core/v1 and discovery/v1. */
#include "backends/kubernetes/proto_decode_priv.h"

/* --- ports ---------------------------------------------------------------------------------- */

/* The same in services and slices. */
enum { PORT_NAME = 1, PORT_PROTOCOL = 2, PORT_NUMBER = 3 };

static void read_port(struct wp_kube_proto_decoder *d, const struct wp_proto_field *f,
                      const char *name, int32_t absent)
{
    struct wp_proto p = wp_kube_proto_message(d, f, name);
    struct wp_kube_port *port = wp_kube_proto_grow(d, &d->ports);
    struct wp_proto_field part;

    if (port == NULL)
        return;
    *port = (struct wp_kube_port){absent, {"", 0}, {"", 0}};
    while (wp_kube_proto_next(d, &p, &part)) {
        if (part.number == PORT_NAME)
            port->name = wp_kube_proto_text(d, &part, "ports.name", WP_KUBE_TEXT_MAX);
        else if (part.number == PORT_PROTOCOL)
            port->protocol = wp_kube_proto_text(d, &part, "ports.protocol", WP_KUBE_TEXT_MAX);
        else if (part.number != PORT_NUMBER)
            continue;
        else if (part.wire != WP_PROTO_VARINT)
            wp_kube_proto_refuse(d, "ports.port", "not a number");
        else if (part.value > UINT16_MAX)
            wp_kube_proto_refuse(d, "ports.port", "out of range");
        else
            port->number = (int32_t)part.value;
    }
}

/* --- Service -------------------------------------------------------------------------------- */

enum { SERVICE_SPEC = 2, SERVICE_STATUS = 3 };
enum {
    SPEC_PORTS = 1,
    SPEC_CLUSTER_IP = 3,
    SPEC_TYPE = 4,
    SPEC_EXTERNAL_IPS = 5,
    SPEC_EXTERNAL_NAME = 10,
    SPEC_CLUSTER_IPS = 18
};
enum { STATUS_LOAD_BALANCER = 1, BALANCER_INGRESS = 1, INGRESS_IP = 1, INGRESS_HOSTNAME = 2 };

static void read_spec(struct wp_kube_proto_decoder *d, struct wp_proto p)
{
    struct wp_proto_field f;

    while (wp_kube_proto_next(d, &p, &f)) {
        switch (f.number) {
        case SPEC_PORTS:
            read_port(d, &f, "spec.ports", 0);
            break;
        case SPEC_CLUSTER_IP:
            d->cluster_ip = wp_kube_proto_text(d, &f, "spec.clusterIP", WP_KUBE_TEXT_MAX);
            break;
        case SPEC_TYPE:
            d->external_name =
                wp_kube_text_is(wp_kube_proto_text(d, &f, "spec.type", SIZE_MAX), "ExternalName");
            break;
        case SPEC_EXTERNAL_IPS:
            wp_kube_proto_add_text(d, &f, "spec.externalIPs", &d->externals);
            break;
        case SPEC_EXTERNAL_NAME:
            d->object->external_name =
                wp_kube_proto_text(d, &f, "spec.externalName", WP_KUBE_TEXT_MAX);
            break;
        case SPEC_CLUSTER_IPS:
            wp_kube_proto_add_text(d, &f, "spec.clusterIPs", &d->ips);
            break;
        default:
            break;
        }
    }
}

static void read_ingress(struct wp_kube_proto_decoder *d, struct wp_proto p)
{
    struct wp_kube_text ip = {"", 0}, host = {"", 0}, *item;
    struct wp_proto_field f;

    while (wp_kube_proto_next(d, &p, &f)) {
        if (f.number == INGRESS_IP)
            ip = wp_kube_proto_text(d, &f, "status.loadBalancer.ingress.ip", WP_KUBE_TEXT_MAX);
        else if (f.number == INGRESS_HOSTNAME)
            host =
                wp_kube_proto_text(d, &f, "status.loadBalancer.ingress.hostname", WP_KUBE_TEXT_MAX);
    }
    if (ip.len + host.len > 0 && (item = wp_kube_proto_grow(d, &d->ingresses)) != NULL)
        *item = ip.len > 0 ? ip : host;
}

static void read_status(struct wp_kube_proto_decoder *d, struct wp_proto p)
{
    struct wp_proto_field f, ingress;
    struct wp_proto balancer;

    while (wp_kube_proto_next(d, &p, &f)) {
        if (f.number != STATUS_LOAD_BALANCER)
            continue;
        balancer = wp_kube_proto_message(d, &f, "status.loadBalancer");
        while (wp_kube_proto_next(d, &balancer, &ingress))
            if (ingress.number == BALANCER_INGRESS)
                read_ingress(d, wp_kube_proto_message(d, &ingress, "status.loadBalancer.ingress"));
    }
}

void wp_kube_proto_service(struct wp_kube_proto_decoder *d, const struct wp_proto_field *f)
{
    if (f->number == SERVICE_SPEC)
        read_spec(d, wp_kube_proto_message(d, f, "spec"));
    else if (f->number == SERVICE_STATUS)
        read_status(d, wp_kube_proto_message(d, f, "status"));
}

/* Addresses of `spec` come before those of `status`. */
void wp_kube_proto_service_end(struct wp_kube_proto_decoder *d)
{
    const struct wp_kube_text *from = d->ingresses.items;
    struct wp_kube_text *item;

    wp_kube_proto_fault(
        d, wp_kube_service_settle(d->object, &d->ips, d->cluster_ip, d->external_name, d->arena));
    for (size_t i = 0; i < d->ingresses.n; i++)
        if ((item = wp_kube_proto_grow(d, &d->externals)) != NULL)
            *item = from[i];
    d->object->externals = d->externals.items;
    d->object->n_externals = d->externals.n;
}

/* --- EndpointSlice -------------------------------------------------------------------------- */

enum { SLICE_ENDPOINTS = 2, SLICE_PORTS = 3 };
enum {
    ENDPOINT_ADDRESSES = 1,
    ENDPOINT_CONDITIONS = 2,
    ENDPOINT_HOSTNAME = 3,
    ENDPOINT_TARGET = 4,
    ENDPOINT_ZONE = 7
};
enum { CONDITION_READY = 1, REFERENCE_NAME = 3 };

static void read_conditions(struct wp_kube_proto_decoder *d, struct wp_proto p,
                            struct wp_kube_endpoint_parts *e)
{
    struct wp_proto_field f;

    while (wp_kube_proto_next(d, &p, &f)) {
        if (f.number != CONDITION_READY)
            continue;
        if (f.wire != WP_PROTO_VARINT)
            wp_kube_proto_refuse(d, "endpoints.conditions.ready", "not true or false");
        e->ready = f.value != 0;
    }
}

static void read_target(struct wp_kube_proto_decoder *d, struct wp_proto p,
                        struct wp_kube_endpoint_parts *e)
{
    struct wp_proto_field f;

    while (wp_kube_proto_next(d, &p, &f))
        if (f.number == REFERENCE_NAME)
            e->pod = wp_kube_proto_text(d, &f, "endpoints.targetRef.name", SIZE_MAX);
}

static void read_endpoint(struct wp_kube_proto_decoder *d, struct wp_proto p,
                          struct wp_kube_endpoint_parts *e)
{
    struct wp_proto_field f;

    while (wp_kube_proto_next(d, &p, &f)) {
        switch (f.number) {
        case ENDPOINT_ADDRESSES:
            wp_kube_proto_add_text(d, &f, "endpoints.addresses", &e->addrs);
            break;
        case ENDPOINT_CONDITIONS:
            read_conditions(d, wp_kube_proto_message(d, &f, "endpoints.conditions"), e);
            break;
        case ENDPOINT_HOSTNAME:
            e->hostname = wp_kube_proto_text(d, &f, "endpoints.hostname", SIZE_MAX);
            break;
        case ENDPOINT_TARGET:
            if (d->config->pod_names)
                read_target(d, wp_kube_proto_message(d, &f, "endpoints.targetRef"), e);
            break;
        case ENDPOINT_ZONE:
            if (d->config->zonal)
                e->zone = wp_kube_proto_text(d, &f, "endpoints.zone", WP_KUBE_TEXT_MAX);
            break;
        default:
            break;
        }
    }
}

void wp_kube_proto_slice(struct wp_kube_proto_decoder *d, const struct wp_proto_field *f)
{
    struct wp_kube_text one[4]; /* an endpoint has one address; more go to the arena */
    struct wp_kube_endpoint_parts e = {
        {one, 0, 4, sizeof(struct wp_kube_text)}, {"", 0}, {"", 0}, {"", 0}, true};

    if (f->number == SLICE_PORTS) {
        read_port(d, f, "ports", WP_KUBE_NO_PORT);
        return;
    }
    if (f->number != SLICE_ENDPOINTS)
        return;
    read_endpoint(d, wp_kube_proto_message(d, f, "endpoints"), &e);
    if (d->error == 0)
        wp_kube_proto_fault(d, wp_kube_endpoint_settle(&d->endpoints, &e, d->config, d->arena));
}

/* --- Pod ------------------------------------------------------------------------------------ */

enum { POD_STATUS = 3, STATUS_POD_IPS = 12, POD_IP = 1 };

static void read_pod_ip(struct wp_kube_proto_decoder *d, struct wp_proto p)
{
    struct wp_kube_text ip = {"", 0}, *item;
    struct wp_proto_field f;

    while (wp_kube_proto_next(d, &p, &f))
        if (f.number == POD_IP)
            ip = wp_kube_proto_text(d, &f, "status.podIPs.ip", WP_KUBE_IP_TEXT_MAX);
    if (ip.len > 0 && (item = wp_kube_proto_grow(d, &d->ips)) != NULL)
        *item = ip;
    if (d->ips.n > WP_KUBE_POD_IPS_MAX)
        wp_kube_proto_refuse(d, "status.podIPs.ip", "too many addresses");
}

void wp_kube_proto_pod(struct wp_kube_proto_decoder *d, const struct wp_proto_field *f)
{
    struct wp_proto_field part;
    struct wp_proto p;

    if (f->number != POD_STATUS)
        return;
    p = wp_kube_proto_message(d, f, "status");
    while (wp_kube_proto_next(d, &p, &part))
        if (part.number == STATUS_POD_IPS)
            read_pod_ip(d, wp_kube_proto_message(d, &part, "status.podIPs"));
}
