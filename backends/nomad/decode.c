#include "backends/nomad/decode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "backends/nomad/decode_priv.h"

void wp_nomad_decoder_init(struct wp_nomad_decoder *d, const char *text, size_t len)
{
    *d = (struct wp_nomad_decoder){.name = {"", 0}};
    wp_arena_init(&d->scratch, 0); /* a string of the text takes three times its octets at most */
    wp_json_pull_init(&d->json, text, len, &d->scratch);
    d->json.field = "response";
}

/* Peers may write anything into a name: only what a log line can show. */
static void describe(const struct wp_nomad_decoder *d, char why[256])
{
    const struct wp_json_pull *p = &d->json;
    size_t n = 0;

    if (d->name.len > 0) {
        n = (size_t)snprintf(why, 256, "service ");
        for (size_t i = 0; i < d->name.len && i < 63; i++)
            why[n++] = d->name.at[i] > ' ' && d->name.at[i] < 0x7f ? d->name.at[i] : '?';
        n += (size_t)snprintf(why + n, 256 - n, ": ");
    }
    snprintf(why + n, 256 - n, "%s: %s at octet %zu", p->syntax ? "JSON" : p->field, p->what,
             (size_t)(p->at - p->start));
}

int wp_nomad_decoder_end(struct wp_nomad_decoder *d, char why[256])
{
    int r = d->json.error;

    wp_json_pull_end(&d->json);
    if (r == 0)
        r = d->json.error;
    if (d->stop != 0)
        r = d->stop;
    else if (r == WP_EMALFORMED)
        describe(d, why);
    else if (r != 0)
        snprintf(why, 256, "%s", d->json.what);
    wp_arena_done(&d->scratch);
    return r;
}

bool wp_nomad_member_is(struct wp_nomad_decoder *d, struct wp_json_slice key, const char *name)
{
    if (key.len != strlen(name) || memcmp(key.at, name, key.len) != 0)
        return false;
    if (d->json.error == 0)
        d->json.field = name;
    return true;
}

struct wp_nomad_text wp_nomad_read_text(struct wp_nomad_decoder *d)
{
    struct wp_json_slice s = wp_json_pull_string(&d->json);

    if (s.len > WP_NOMAD_TEXT_MAX)
        wp_json_pull_refuse(&d->json, "too long");
    return (struct wp_nomad_text){s.at, s.len};
}

void wp_nomad_told(struct wp_nomad_decoder *d, int r)
{
    if (r == 0)
        return;
    d->stop = r;
    wp_json_pull_refuse(&d->json, "stopped"); /* so that every loop ends */
}

/* --- /v1/service/NAME -------------------------------------------------------------------------- */

static size_t read_tags(struct wp_nomad_decoder *d, struct wp_nomad_text tags[WP_NOMAD_TAGS_MAX])
{
    size_t n = 0;

    for (wp_json_pull_enter(&d->json, '['); wp_json_pull_element(&d->json);) {
        struct wp_json_slice s = wp_json_pull_string(&d->json);
        if (n < WP_NOMAD_TAGS_MAX)
            tags[n++] = (struct wp_nomad_text){s.at, s.len};
    }
    return n;
}

static uint64_t read_index(struct wp_nomad_decoder *d)
{
    return (uint64_t)wp_json_pull_int(&d->json, 0, INT64_MAX);
}

/* One of the texts of a registration: where it goes, or NULL. */
static struct wp_nomad_text *text_member(struct wp_nomad_decoder *d, struct wp_json_slice key,
                                         struct wp_nomad_registration *r)
{
    return wp_nomad_member_is(d, key, "ID")            ? &r->id
           : wp_nomad_member_is(d, key, "ServiceName") ? &r->name
           : wp_nomad_member_is(d, key, "Namespace")   ? &r->namespace
           : wp_nomad_member_is(d, key, "Address")     ? &r->address
           : wp_nomad_member_is(d, key, "AllocID")     ? &r->alloc_id
           : wp_nomad_member_is(d, key, "Datacenter")  ? &r->datacenter
                                                       : NULL;
}

static void read_registration(struct wp_nomad_decoder *d, struct wp_nomad_registration *r,
                              struct wp_nomad_text tags[WP_NOMAD_TAGS_MAX])
{
    struct wp_json_slice key;

    d->json.field = "registration";
    for (wp_json_pull_enter(&d->json, '{'); wp_json_pull_member(&d->json, &key);) {
        struct wp_nomad_text *text = text_member(d, key, r);
        if (text != NULL)
            *text = wp_nomad_read_text(d);
        else if (wp_nomad_member_is(d, key, "Port"))
            r->port = (uint16_t)wp_json_pull_int(&d->json, 0, UINT16_MAX);
        else if (wp_nomad_member_is(d, key, "CreateIndex"))
            r->create_index = read_index(d);
        else if (wp_nomad_member_is(d, key, "ModifyIndex"))
            r->modify_index = read_index(d);
        else if (wp_nomad_member_is(d, key, "Tags"))
            r->n_tags = read_tags(d, tags);
        else
            wp_json_pull_skip(&d->json);
        d->name = r->name;
    }
}

int wp_nomad_decode_service(const char *text, size_t len, wp_nomad_registration_fn *fn, void *arg,
                            char why[256])
{
    struct wp_nomad_text tags[WP_NOMAD_TAGS_MAX];
    struct wp_nomad_decoder d;

    wp_nomad_decoder_init(&d, text, len);
    for (wp_json_pull_enter(&d.json, '['); wp_json_pull_element(&d.json);) {
        static const struct wp_nomad_text none = {"", 0};
        struct wp_nomad_registration r = {none, none, none, none, none, none, .tags = tags};
        d.name = none; /* the last one's goes with the scratch memory */
        wp_arena_reset(&d.scratch);
        read_registration(&d, &r, tags);
        if (d.json.error == 0)
            wp_nomad_told(&d, fn(arg, &r));
    }
    return wp_nomad_decoder_end(&d, why);
}
