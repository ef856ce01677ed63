/* The event stream. Only what tells which service to read again is looked at. */
#include <errno.h>
#include <string.h>

#include "backends/nomad/decode_priv.h"

struct reading {
    struct wp_nomad_event e;
    struct wp_nomad_text topic, type;
    struct wp_nomad_text key_name, payload_namespace; /* where the plain ones are missing */
};

/* [JobID, ServiceName] */
static struct wp_nomad_text read_filter_keys(struct wp_nomad_decoder *d)
{
    struct wp_nomad_text name = {"", 0};
    size_t n = 0;

    for (wp_json_pull_enter(&d->json, '['); wp_json_pull_element(&d->json); n++) {
        struct wp_nomad_text t = wp_nomad_read_text(d);
        if (n == 1)
            name = t;
    }
    return name;
}

static void read_payload_service(struct wp_nomad_decoder *d, struct reading *r)
{
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (wp_nomad_member_is(d, key, "ServiceName"))
            r->e.name = wp_nomad_read_text(d);
        else if (wp_nomad_member_is(d, key, "Namespace"))
            r->payload_namespace = wp_nomad_read_text(d);
        else
            wp_json_pull_skip(&d->json);
    }
}

static void read_payload(struct wp_nomad_decoder *d, struct reading *r)
{
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (wp_nomad_member_is(d, key, "Service"))
            read_payload_service(d, r);
        else
            wp_json_pull_skip(&d->json);
    }
}

static void read_event(struct wp_nomad_decoder *d, struct reading *r)
{
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (wp_nomad_member_is(d, key, "Topic"))
            r->topic = wp_nomad_read_text(d);
        else if (wp_nomad_member_is(d, key, "Type"))
            r->type = wp_nomad_read_text(d);
        else if (wp_nomad_member_is(d, key, "Namespace"))
            r->e.namespace = wp_nomad_read_text(d);
        else if (wp_nomad_member_is(d, key, "FilterKeys"))
            r->key_name = read_filter_keys(d);
        else if (wp_nomad_member_is(d, key, "Index"))
            r->e.index = (uint64_t)wp_json_pull_int(&d->json, 0, INT64_MAX);
        else if (wp_nomad_member_is(d, key, "Payload"))
            read_payload(d, r);
        else
            wp_json_pull_skip(&d->json);
    }
}

struct stream_line {
    struct wp_nomad_decoder d;
    int (*fn)(void *arg, const struct wp_nomad_event *e);
    void *arg;
};

static void read_events(struct stream_line *l)
{
    struct wp_nomad_decoder *d = &l->d;

    for (wp_json_pull_enter(&d->json, '['); wp_json_pull_element(&d->json);) {
        static const struct wp_nomad_text none = {"", 0};
        struct reading r = {{0, false, none, none}, none, none, none, none};
        wp_arena_reset(&d->scratch);
        d->json.field = "event";
        read_event(d, &r);
        if (r.e.name.len == 0)
            r.e.name = r.key_name;
        if (r.e.namespace.len == 0)
            r.e.namespace = r.payload_namespace;
        r.e.removed = !wp_nomad_text_is(r.type, "ServiceRegistration");
        if (d->json.error == 0 && wp_nomad_text_is(r.topic, "Service") && r.e.name.len > 0 &&
            r.e.namespace.len > 0)
            wp_nomad_told(d, l->fn(l->arg, &r.e));
    }
}

int wp_nomad_decode_event(const char *line, size_t len,
                          int (*fn)(void *arg, const struct wp_nomad_event *e), void *arg,
                          uint64_t *ret_index, char why[256])
{
    struct stream_line l = {.fn = fn, .arg = arg};
    struct wp_nomad_decoder *d = &l.d;
    struct wp_json_slice key;
    uint64_t index = 0;
    int r;

    wp_nomad_decoder_init(d, line, len);
    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (wp_nomad_member_is(d, key, "Index"))
            index = (uint64_t)wp_json_pull_int(&d->json, 0, INT64_MAX);
        else if (wp_nomad_member_is(d, key, "Events"))
            read_events(&l);
        else
            wp_json_pull_skip(&d->json);
    }
    r = wp_nomad_decoder_end(d, why);
    if (r == 0)
        *ret_index = index;
    return r;
}
