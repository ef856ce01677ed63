/* Numbers of fields: generated.proto of k8s.io/apimachinery/pkg/apis/meta/v1. */
#include "backends/kubernetes/proto_decode.h"

#include "backends/common/utf8.h"
#include "backends/kubernetes/proto_decode_priv.h"

enum { OBJECT_METADATA = 1 };
enum {
    META_NAME = 1,
    META_NAMESPACE = 3,
    META_VERSION = 6,
    META_DELETION = 9,
    META_LABELS = 11,
    META_ANNOTATIONS = 12
};
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };

/* --- what the kinds share ------------------------------------------------------------------- */

static void fail(struct wp_kube_proto_decoder *d, int error, const char *field, const char *what)
{
    if (d->error != 0)
        return;
    d->error = error;
    d->field = field;
    d->what = what;
}

void wp_kube_proto_refuse(struct wp_kube_proto_decoder *d, const char *field, const char *what)
{
    fail(d, WP_EMALFORMED, field, what);
}

void wp_kube_proto_fault(struct wp_kube_proto_decoder *d, struct wp_kube_fault f)
{
    if (f.nomem)
        fail(d, -ENOMEM, "object", "out of memory");
    else if (f.what != NULL)
        fail(d, WP_EMALFORMED, f.field, f.what);
}

bool wp_kube_proto_next(struct wp_kube_proto_decoder *d, struct wp_proto *p,
                        struct wp_proto_field *f)
{
    if (d->error == 0 && wp_proto_next(p, f))
        return true;
    if (p->bad)
        fail(d, WP_EMALFORMED, "protobuf", "no message");
    return false;
}

struct wp_proto wp_kube_proto_message(struct wp_kube_proto_decoder *d,
                                      const struct wp_proto_field *f, const char *name)
{
    if (f->wire != WP_PROTO_COUNTED)
        wp_kube_proto_refuse(d, name, "not an object");
    return wp_proto_from(f->at, f->len);
}

void *wp_kube_proto_grow(struct wp_kube_proto_decoder *d, struct wp_kube_list *l)
{
    void *item = wp_kube_list_grow(l, d->arena);

    if (item == NULL)
        wp_kube_proto_fault(d, (struct wp_kube_fault){.nomem = true});
    return item;
}

/* Octets at the beginning that are plain ASCII. */
static size_t ascii(const uint8_t *at, size_t len)
{
    size_t i = 0;
    uint64_t v;

    for (; len - i >= sizeof(v); i += sizeof(v)) {
        memcpy(&v, at + i, sizeof(v));
        if ((v & 0x8080808080808080u) != 0)
            break;
    }
    while (i < len && at[i] < 0x80)
        i++;
    return i;
}

static struct wp_kube_text replaced(struct wp_kube_proto_decoder *d, const uint8_t *at, size_t len,
                                    size_t good)
{
    uint8_t *out = wp_arena_alloc(d->arena, 3 * len), *to;

    if (out == NULL) {
        wp_kube_proto_fault(d, (struct wp_kube_fault){.nomem = true});
        return (struct wp_kube_text){"", 0};
    }
    memcpy(out, at, good);
    to = out + good;
    for (size_t i = good; i < len;) {
        size_t n = wp_utf8_len(at + i, len - i);
        if (n == 0) {
            to += wp_utf8_put(0xfffd, to);
            i++;
            continue;
        }
        memcpy(to, at + i, n);
        to += n;
        i += n;
    }
    return (struct wp_kube_text){(char *)out, (size_t)(to - out)};
}

struct wp_kube_text wp_kube_proto_text(struct wp_kube_proto_decoder *d,
                                       const struct wp_proto_field *f, const char *name, size_t max)
{
    struct wp_kube_text t = {"", 0};
    size_t good;

    if (f->wire != WP_PROTO_COUNTED) {
        wp_kube_proto_refuse(d, name, "not a string");
        return t;
    }
    good = ascii(f->at, f->len);
    if (good < f->len)
        t = replaced(d, f->at, f->len, good);
    else if (f->len > 0)
        t = (struct wp_kube_text){(const char *)f->at, f->len};
    if (t.len > max)
        wp_kube_proto_refuse(d, name, "too long");
    return t;
}

void wp_kube_proto_add_text(struct wp_kube_proto_decoder *d, const struct wp_proto_field *f,
                            const char *name, struct wp_kube_list *l)
{
    struct wp_kube_text t = wp_kube_proto_text(d, f, name, WP_KUBE_TEXT_MAX), *item;

    if (t.len > 0 && (item = wp_kube_proto_grow(d, l)) != NULL)
        *item = t;
}

/* --- metadata ------------------------------------------------------------------------------- */

struct entry {
    struct wp_proto_field key, value;
};

static struct entry read_entry(struct wp_kube_proto_decoder *d, const struct wp_proto_field *f,
                               const char *name)
{
    static const struct wp_proto_field empty = {.wire = WP_PROTO_COUNTED,
                                                .at = (const uint8_t *)""};
    struct wp_proto p = wp_kube_proto_message(d, f, name);
    struct entry e = {empty, empty};
    struct wp_proto_field part;

    while (wp_kube_proto_next(d, &p, &part)) {
        if (part.number == ENTRY_KEY)
            e.key = part;
        else if (part.number == ENTRY_VALUE)
            e.value = part;
    }
    if (e.key.wire != WP_PROTO_COUNTED || e.value.wire != WP_PROTO_COUNTED)
        wp_kube_proto_refuse(d, name, "not a string");
    return e;
}

static bool key_is(const struct entry *e, const char *name)
{
    return e->key.len == strlen(name) && memcmp(e->key.at, name, e->key.len) == 0;
}

static void read_label(struct wp_kube_proto_decoder *d, const struct wp_proto_field *f)
{
    static const char field[] = "metadata.labels";
    struct wp_kube_object *o = d->object;
    bool slice = o->collection == WP_KUBE_SLICES || o->collection == WP_KUBE_IMPORT_SLICES;
    struct entry e;
    struct wp_kube_text *owner = NULL;
    struct wp_kube_pair *pair;

    if (!slice && (o->collection != WP_KUBE_PODS || !d->config->labels))
        return;
    e = read_entry(d, f, field);
    if (d->error != 0)
        return;
    if (!slice) {
        struct wp_kube_text key =
            wp_kube_proto_text(d, &e.key, field, (size_t)2 * WP_KUBE_TEXT_MAX);
        if ((pair = wp_kube_proto_grow(d, &d->labels)) != NULL)
            *pair = (struct wp_kube_pair){key,
                                          wp_kube_proto_text(d, &e.value, field, WP_KUBE_TEXT_MAX)};
        return;
    }
    if (key_is(&e, "kubernetes.io/service-name"))
        owner = &o->service;
    else if (key_is(&e, "multicluster.kubernetes.io/service-name"))
        owner = &o->import;
    else if (key_is(&e, "multicluster.kubernetes.io/source-cluster"))
        owner = &o->cluster;
    if (owner != NULL)
        *owner = wp_kube_owner(wp_kube_proto_text(d, &e.value, field, WP_KUBE_TEXT_MAX));
}

static void read_annotation(struct wp_kube_proto_decoder *d, const struct wp_proto_field *f)
{
    static const char field[] = "metadata.annotations";
    struct entry e = read_entry(d, f, field);

    if (d->error != 0)
        return;
    if (key_is(&e, "endpoints.kubernetes.io/last-change-trigger-time"))
        d->object->trigger_time = wp_kube_proto_text(d, &e.value, field, SIZE_MAX);
    else if (key_is(&e, "k8s.io/initial-events-end"))
        d->object->initial_events_end =
            wp_kube_text_is(wp_kube_proto_text(d, &e.value, field, SIZE_MAX), "true");
}

static void read_metadata(struct wp_kube_proto_decoder *d, struct wp_proto p)
{
    struct wp_kube_object *o = d->object;
    struct wp_proto_field f;

    while (wp_kube_proto_next(d, &p, &f)) {
        switch (f.number) {
        case META_NAME:
            o->name = wp_kube_proto_text(d, &f, "metadata.name", WP_KUBE_TEXT_MAX);
            break;
        case META_NAMESPACE:
            o->ns = wp_kube_proto_text(d, &f, "metadata.namespace", WP_KUBE_TEXT_MAX);
            break;
        case META_VERSION:
            o->resource_version =
                wp_kube_proto_text(d, &f, "metadata.resourceVersion", WP_KUBE_TEXT_MAX);
            break;
        case META_DELETION: /* a time, which is left out when there is none */
            (void)wp_kube_proto_message(d, &f, "metadata.deletionTimestamp");
            o->deleting = true;
            break;
        case META_LABELS:
            read_label(d, &f);
            break;
        case META_ANNOTATIONS:
            read_annotation(d, &f);
            break;
        default:
            break;
        }
    }
}

/* --- the object ----------------------------------------------------------------------------- */

static void read_object(struct wp_kube_proto_decoder *d, struct wp_proto p)
{
    struct wp_proto_field f;

    while (wp_kube_proto_next(d, &p, &f)) {
        if (f.number == OBJECT_METADATA)
            read_metadata(d, wp_kube_proto_message(d, &f, "metadata"));
        else if (d->object->collection == WP_KUBE_SERVICES)
            wp_kube_proto_service(d, &f);
        else if (d->object->collection == WP_KUBE_PODS)
            wp_kube_proto_pod(d, &f);
        else if (d->object->collection != WP_KUBE_NAMESPACES)
            wp_kube_proto_slice(d, &f);
    }
}

static void settle(struct wp_kube_proto_decoder *d)
{
    struct wp_kube_object *o = d->object;

    o->labels = d->labels.items;
    o->n_labels = d->labels.n;
    o->ips = d->ips.items;
    o->n_ips = d->ips.n;
    o->ports = d->ports.items;
    o->n_ports = d->ports.n;
    o->endpoints = d->endpoints.items;
    o->n_endpoints = d->endpoints.n;
    if (o->collection == WP_KUBE_SERVICES)
        wp_kube_proto_service_end(d);
    wp_kube_proto_fault(d, wp_kube_object_settle(o));
}

/* What the object is called, as far as the message goes. */
static void read_names(struct wp_kube_proto_decoder *d, const char *msg, size_t len)
{
    struct wp_proto p = wp_proto_from(msg, len), meta;
    struct wp_proto_field f;

    wp_kube_object_init(d->object, d->object->collection);
    p.clipped = true;
    while (wp_proto_next(&p, &f)) {
        if (f.number != OBJECT_METADATA || f.wire != WP_PROTO_COUNTED)
            continue;
        meta = wp_proto_from(f.at, f.len);
        meta.clipped = true;
        while (wp_proto_next(&meta, &f)) {
            struct wp_kube_text *to = f.number == META_NAME        ? &d->object->name
                                      : f.number == META_NAMESPACE ? &d->object->ns
                                      : f.number == META_VERSION   ? &d->object->resource_version
                                                                   : NULL;
            if (to != NULL && f.wire == WP_PROTO_COUNTED && f.len > 0)
                *to = (struct wp_kube_text){(const char *)f.at, f.len};
        }
    }
}

int wp_kube_proto_decode(const struct wp_kube_decode_config *c, enum wp_kube_collection collection,
                         const char *msg, size_t len, struct wp_arena *arena,
                         struct wp_kube_object *ret, struct wp_kube_decode_error *ret_error)
{
    struct wp_kube_object o;
    struct wp_kube_proto_decoder d = {
        .config = c,
        .object = &o,
        .arena = arena,
        .labels = {.size = sizeof(struct wp_kube_pair)},
        .ips = {.size = sizeof(struct wp_kube_text)},
        .ports = {.size = sizeof(struct wp_kube_port)},
        .endpoints = {.size = sizeof(struct wp_kube_endpoint)},
        .externals = {.size = sizeof(struct wp_kube_text)},
        .ingresses = {.size = sizeof(struct wp_kube_text)},
        .cluster_ip = {"", 0},
    };

    wp_kube_object_init(&o, collection);
    if (collection == WP_KUBE_IMPORTS)
        wp_kube_proto_refuse(&d, "object", "of a kind that has no protobuf");
    read_object(&d, wp_proto_from(msg, len));
    if (d.error == 0)
        settle(&d);
    if (d.error == WP_EMALFORMED) {
        if (o.name.len == 0)
            read_names(&d, msg, len);
        wp_kube_describe(&o, d.field, d.what, ret_error);
        wp_kube_object_strip(&o);
    }
    if (d.error == 0 || d.error == WP_EMALFORMED)
        *ret = o;
    return d.error;
}
