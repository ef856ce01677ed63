#include "backends/kubernetes/decode.h"

#include "backends/kubernetes/decode_priv.h"

/* The value of a label of a slice: the name that it belongs to, or none. */
static struct wp_kube_text read_owner(struct wp_kube_decoder *d)
{
    return wp_kube_owner(wp_kube_read_text(d, WP_KUBE_TEXT_MAX));
}

static void read_labels(struct wp_kube_decoder *d)
{
    struct wp_kube_object *o = d->object;
    struct wp_kube_list l = {.size = sizeof(struct wp_kube_pair)};
    bool slice = o->collection == WP_KUBE_SLICES || o->collection == WP_KUBE_IMPORT_SLICES;
    bool keep = o->collection == WP_KUBE_PODS && d->config->labels;
    struct wp_json_slice key;
    struct wp_kube_pair *pair;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        static const char field[] = "metadata.labels";
        if (slice && wp_kube_member_is(d, key, "kubernetes.io/service-name", field))
            o->service = read_owner(d);
        else if (slice &&
                 wp_kube_member_is(d, key, "multicluster.kubernetes.io/service-name", field))
            o->import = read_owner(d);
        else if (slice &&
                 wp_kube_member_is(d, key, "multicluster.kubernetes.io/source-cluster", field))
            o->cluster = read_owner(d);
        else if (keep && (pair = wp_kube_list_add(d, &l)) != NULL)
            *pair =
                (struct wp_kube_pair){{key.at, key.len}, wp_kube_read_text(d, WP_KUBE_TEXT_MAX)};
        else
            wp_json_pull_skip(&d->json);
        if (keep && key.len > 2 * WP_KUBE_TEXT_MAX)
            wp_json_pull_refuse(&d->json, "too long");
    }
    o->labels = l.items;
    o->n_labels = l.n;
}

static void read_annotations(struct wp_kube_decoder *d)
{
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (wp_kube_member_is(d, key, "endpoints.kubernetes.io/last-change-trigger-time",
                              "metadata.annotations"))
            d->object->trigger_time = wp_kube_read_text(d, SIZE_MAX);
        else if (wp_kube_member_is(d, key, "k8s.io/initial-events-end", "metadata.annotations"))
            d->object->initial_events_end = wp_kube_text_is(wp_kube_read_text(d, SIZE_MAX), "true");
        else
            wp_json_pull_skip(&d->json);
    }
}

static void read_metadata(struct wp_kube_decoder *d)
{
    struct wp_kube_object *o = d->object;
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (wp_kube_member_is(d, key, "name", "metadata.name"))
            o->name = wp_kube_read_text(d, WP_KUBE_TEXT_MAX);
        else if (wp_kube_member_is(d, key, "namespace", "metadata.namespace"))
            o->ns = wp_kube_read_text(d, WP_KUBE_TEXT_MAX);
        else if (wp_kube_member_is(d, key, "resourceVersion", "metadata.resourceVersion"))
            o->resource_version = wp_kube_read_text(d, WP_KUBE_TEXT_MAX);
        else if (wp_kube_member_is(d, key, "deletionTimestamp", "metadata.deletionTimestamp"))
            o->deleting = wp_kube_read_text(d, SIZE_MAX).len > 0;
        else if (wp_kube_member_is(d, key, "labels", "metadata.labels"))
            read_labels(d);
        else if (wp_kube_member_is(d, key, "annotations", "metadata.annotations"))
            read_annotations(d);
        else
            wp_json_pull_skip(&d->json);
    }
}

static bool read_rest(struct wp_kube_decoder *d, struct wp_json_slice key)
{
    switch (d->object->collection) {
    case WP_KUBE_SERVICES:
        return wp_kube_read_service(d, key);
    case WP_KUBE_SLICES:
    case WP_KUBE_IMPORT_SLICES:
        return wp_kube_read_slice(d, key);
    case WP_KUBE_PODS:
        return wp_kube_read_pod(d, key);
    case WP_KUBE_IMPORTS:
        return wp_kube_read_import(d, key);
    default:
        return false;
    }
}

/* Two passes over the members are never needed: what depends on several of them (the kind of a
 * service, an empty list of ports) is settled at the end. */
static void read_object(struct wp_kube_decoder *d, bool whole)
{
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        d->json.field = "object";
        if (wp_kube_member_is(d, key, "metadata", "metadata"))
            read_metadata(d);
        else if (!whole || !read_rest(d, key))
            wp_json_pull_skip(&d->json);
    }
    wp_json_pull_end(&d->json);
}

/* Which object it was, if the text lets us know that much. */
static void describe(struct wp_kube_decoder *d, const char *text, size_t len,
                     struct wp_kube_decode_error *ret)
{
    struct wp_json_pull failed = d->json;
    struct wp_kube_object *o = d->object;
    enum wp_kube_collection c = o->collection;

    if (o->name.len == 0 && !failed.syntax) {
        wp_kube_object_init(o, c);
        wp_json_pull_init(&d->json, text, len, failed.arena);
        read_object(d, false);
    }
    wp_kube_describe(o, failed.syntax ? "JSON" : failed.field, failed.what, ret);
}

int wp_kube_decode(const struct wp_kube_decode_config *c, enum wp_kube_collection collection,
                   const char *text, size_t len, struct wp_arena *arena, struct wp_kube_object *ret,
                   struct wp_kube_decode_error *ret_error)
{
    struct wp_kube_object o;
    struct wp_kube_decoder d = {.config = c, .object = &o};

    wp_kube_object_init(&o, collection);
    wp_json_pull_init(&d.json, text, len, arena);
    d.json.field = "object";
    read_object(&d, true);
    wp_kube_fault(&d, wp_kube_object_settle(&o));
    if (d.json.error != 0) {
        int r = d.json.error;
        if (r != WP_EMALFORMED)
            return r;
        describe(&d, text, len, ret_error);
        wp_kube_object_strip(&o);
        *ret = o;
        return r;
    }
    *ret = o;
    return 0;
}
