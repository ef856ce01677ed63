/* What there is: services and namespaces. */
#include <errno.h>
#include <string.h>

#include "backends/nomad/decode_priv.h"
#include "backends/nomad/service.h"

struct listing {
    struct wp_nomad_decoder d;
    wp_nomad_listed_fn *fn;
    void (*ns)(void *arg, struct wp_nomad_text namespace);
    void *arg;
};

static void read_service(struct listing *l, struct wp_nomad_text namespace)
{
    struct wp_nomad_decoder *d = &l->d;
    struct wp_nomad_text name = {"", 0};
    struct wp_json_slice key;

    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (wp_nomad_member_is(d, key, "ServiceName"))
            name = wp_nomad_read_text(d);
        else
            wp_json_pull_skip(&d->json);
    }
    /* Others than these cannot be asked for, neither by a question nor in the API. */
    if (d->json.error == 0 && name.len > 0 && name.len <= WP_NOMAD_NAME_MAX &&
        namespace.len <= WP_NOMAD_NAMESPACE_MAX)
        wp_nomad_told(d, l->fn(l->arg, namespace, name));
}

/* Nomad writes the namespace first, but members have no order in JSON: its services are passed over
 * until it is known. */
static void read_namespace(struct listing *l)
{
    struct wp_nomad_decoder *d = &l->d;
    struct wp_nomad_text namespace = {"", 0};
    struct wp_json_pull services = {0}, behind;
    struct wp_json_slice key;

    d->json.field = "namespace";
    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        if (wp_nomad_member_is(d, key, "Namespace")) {
            namespace = wp_nomad_read_text(d);
            continue;
        }
        if (wp_nomad_member_is(d, key, "Services"))
            services = d->json;
        wp_json_pull_skip(&d->json);
    }
    d->json.field = "Namespace";
    if (namespace.len == 0)
        wp_json_pull_refuse(&d->json, "empty");
    if (d->json.error != 0)
        return;
    if (l->ns != NULL)
        l->ns(l->arg, namespace);
    if (services.start == NULL)
        return;
    behind = d->json;
    d->json = services;
    for (wp_json_pull_enter(&d->json, '['); wp_json_pull_element(&d->json);)
        read_service(l, namespace);
    if (d->json.error == 0)
        d->json = behind;
}

int wp_nomad_decode_list(const char *text, size_t len, wp_nomad_listed_fn *fn,
                         void (*ns)(void *arg, struct wp_nomad_text namespace), void *arg,
                         char why[256])
{
    struct listing l = {.fn = fn, .ns = ns, .arg = arg};

    wp_nomad_decoder_init(&l.d, text, len);
    for (wp_json_pull_enter(&l.d.json, '['); wp_json_pull_element(&l.d.json);) {
        wp_arena_reset(&l.d.scratch);
        read_namespace(&l);
    }
    return wp_nomad_decoder_end(&l.d, why);
}

int wp_nomad_decode_namespaces(const char *text, size_t len,
                               int (*fn)(void *arg, struct wp_nomad_text name), void *arg,
                               char why[256])
{
    struct wp_nomad_decoder d;

    wp_nomad_decoder_init(&d, text, len);
    for (wp_json_pull_enter(&d.json, '['); wp_json_pull_element(&d.json);) {
        struct wp_nomad_text name = {"", 0};
        struct wp_json_slice key;
        wp_arena_reset(&d.scratch);
        d.json.field = "namespace";
        for (wp_json_pull_enter(&d.json, '{'); wp_json_pull_member(&d.json, &key);) {
            if (wp_nomad_member_is(&d, key, "Name"))
                name = wp_nomad_read_text(&d);
            else
                wp_json_pull_skip(&d.json);
        }
        if (d.json.error == 0 && name.len > 0 && name.len <= WP_NOMAD_NAMESPACE_MAX)
            wp_nomad_told(&d, fn(arg, name));
    }
    return wp_nomad_decoder_end(&d, why);
}
