/* An object of the Kubernetes API in protobuf; the first octet says of which collection. Properties: what is taken has
 * a name under which it can be filed, or none at all; fields that nobody knows change nothing; written as JSON, what
 * was kept is read the same by the other reader. */
#include "fuzz.h"

#include <jansson.h>
#include "backends/kubernetes/decode.h"
#include "backends/kubernetes/proto_decode.h"

static const struct wp_kube_decode_config config = {.zonal = true, .pod_names = true, .labels = true};

static int decode(struct wp_arena *a, enum wp_kube_collection c, const void *msg, size_t len,
                  struct wp_kube_object *o)
{
    struct wp_kube_decode_error e = {{0}};
    int r;

    wp_arena_init(a, 64 << 20);
    r = wp_kube_proto_decode(&config, c, msg, len, a, o, &e);
    CHECK(r == 0 || r == WP_EMALFORMED);
    CHECK((r == 0) == (e.text[0] == '\0'));
    return r;
}

static bool same_texts(const struct wp_kube_text *a, size_t n, const struct wp_kube_text *b, size_t m)
{
    bool same = n == m;

    for (size_t i = 0; same && i < n; i++)
        same = wp_kube_text_equal(a[i], b[i]);
    return same;
}

static void check_same(const struct wp_kube_object *a, const struct wp_kube_object *b)
{
    CHECK(wp_kube_text_equal(a->name, b->name) && wp_kube_text_equal(a->ns, b->ns) && a->kind == b->kind);
    CHECK(wp_kube_text_equal(a->resource_version, b->resource_version));
    CHECK(same_texts(a->ips, a->n_ips, b->ips, b->n_ips));
    CHECK(same_texts(a->externals, a->n_externals, b->externals, b->n_externals));
    CHECK(a->n_ports == b->n_ports && a->n_endpoints == b->n_endpoints && a->deleting == b->deleting);
    for (size_t i = 0; i < a->n_ports; i++)
        CHECK(a->ports[i].number == b->ports[i].number && wp_kube_text_equal(a->ports[i].name, b->ports[i].name));
    for (size_t i = 0; i < a->n_endpoints; i++)
        CHECK(wp_kube_text_equal(a->endpoints[i].addr, b->endpoints[i].addr) &&
              wp_kube_text_equal(a->endpoints[i].name, b->endpoints[i].name) &&
              wp_kube_text_equal(a->endpoints[i].zone, b->endpoints[i].zone));
}

/* --- as JSON ----------------------------------------------------------------------------------- */

static json_t *word(struct wp_kube_text t)
{
    json_t *s = json_stringn(t.at, t.len);

    CHECK(s != NULL); /* what is kept is UTF-8 */
    return s;
}

static json_t *words(const struct wp_kube_text *t, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, word(t[i]));
    return list;
}

static json_t *ports(const struct wp_kube_object *o)
{
    json_t *list = json_array();

    for (size_t i = 0; i < o->n_ports; i++) {
        const struct wp_kube_port *p = &o->ports[i];
        json_t *port = json_object();
        json_object_set_new(port, "name", word(p->name));
        json_object_set_new(port, "protocol", word(p->protocol));
        if (p->number != WP_KUBE_NO_PORT)
            json_object_set_new(port, "port", json_integer(p->number));
        json_array_append_new(list, port);
    }
    if (o->n_ports == 1 && o->ports[0].number == WP_KUBE_NO_PORT && o->ports[0].name.len + o->ports[0].protocol.len == 0)
        json_array_clear(list);
    return list;
}

static json_t *service(const struct wp_kube_object *o)
{
    json_t *spec = json_object();

    json_object_set_new(spec, "type", json_string(o->kind == WP_KUBE_EXTERNAL_NAME ? "ExternalName" : "x"));
    json_object_set_new(spec, "externalName", word(o->external_name));
    json_object_set_new(spec, "externalIPs", words(o->externals, o->n_externals));
    json_object_set_new(spec, "ports", ports(o));
    json_object_set_new(spec, "clusterIPs", words(o->ips, o->n_ips));
    if (o->kind == WP_KUBE_HEADLESS)
        json_array_insert_new(json_object_get(spec, "clusterIPs"), 0, json_string("None"));
    return spec;
}

static json_t *endpoints(const struct wp_kube_object *o)
{
    json_t *list = json_array();

    for (size_t i = 0; i < o->n_endpoints; i++) {
        const struct wp_kube_endpoint *e = &o->endpoints[i];
        json_t *one = json_object();
        json_object_set_new(one, "addresses", words(&e->addr, 1));
        json_object_set_new(one, "hostname", word(e->name));
        json_object_set_new(one, "zone", word(e->zone));
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *pod(const struct wp_kube_object *o)
{
    json_t *status = json_object(), *list = json_array();

    for (size_t i = 0; i < o->n_ips; i++) {
        json_t *ip = json_object();
        json_object_set_new(ip, "ip", word(o->ips[i]));
        json_array_append_new(list, ip);
    }
    json_object_set_new(status, "podIPs", list);
    return status;
}

static char *as_json(const struct wp_kube_object *o)
{
    json_t *root = json_object(), *meta = json_object();
    char *text;

    json_object_set_new(meta, "name", word(o->name));
    json_object_set_new(meta, "namespace", word(o->ns));
    json_object_set_new(meta, "resourceVersion", word(o->resource_version));
    if (o->deleting)
        json_object_set_new(meta, "deletionTimestamp", json_string("T"));
    json_object_set_new(root, "metadata", meta);
    if (o->collection == WP_KUBE_SERVICES) {
        json_object_set_new(root, "spec", service(o));
    } else if (o->collection == WP_KUBE_PODS) {
        json_object_set_new(root, "status", pod(o));
    } else if (o->collection != WP_KUBE_NAMESPACES) {
        json_object_set_new(root, "endpoints", endpoints(o));
        json_object_set_new(root, "ports", ports(o));
    }
    text = json_dumps(root, JSON_COMPACT);
    CHECK(text != NULL);
    json_decref(root);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char unknown[] = "\xf2\x3f\x03one\xf8\x3f\x07";
    enum wp_kube_collection c = size > 0 ? data[0] % WP_KUBE_COLLECTIONS : 0;
    const uint8_t *msg = data + (size > 0);
    size_t len = size - (size > 0);
    uint8_t *more = malloc(len + sizeof(unknown));
    struct wp_kube_object o, again;
    struct wp_kube_decode_error e;
    struct wp_arena a, a2;
    int r = decode(&a, c, msg, len, &o);

    CHECK(more != NULL);
    memcpy(more, unknown, sizeof(unknown) - 1);
    memcpy(more + sizeof(unknown) - 1, msg, len);
    CHECK(decode(&a2, c, more, len + sizeof(unknown) - 1, &again) == r);
    if (r == 0) {
        char *text = as_json(&o);
        CHECK(o.name.len > 0 || o.ns.len == 0);
        check_same(&o, &again);
        wp_arena_done(&a2);
        wp_arena_init(&a2, 64 << 20);
        CHECK(wp_kube_decode(&config, c, text, strlen(text), &a2, &again, &e) == 0);
        check_same(&o, &again);
        free(text);
    }
    wp_arena_done(&a);
    wp_arena_done(&a2);
    free(more);
    return 0;
}
