#include "backends/nomad/tags.h"

#include <stdlib.h>
#include <string.h>
#include "backends/nomad/service.h"
#include "waypost/base/hash.h"
#include "waypost/plugin/log.h"

enum { SLOTS = 2 * WP_NOMAD_BAD_TAGS_MAX, SHOWN = 80 /* octets of a text in a log line */ };

void wp_nomad_bad_tags_done(struct wp_nomad_bad_tags *b)
{
    free(b->told);
    *b = (struct wp_nomad_bad_tags){NULL, 0};
}

/* Was nobody told of it before? From now on it was. Without memory nobody is told. */
static bool is_news(struct wp_nomad_bad_tags *b, const struct wp_nomad_registration *r)
{
    uint64_t hash =
        wp_hash_mix(wp_hash_bytes(r->id.at, r->id.len), r->modify_index) | 1;
    size_t at = (hash >> 1) % SLOTS;

    if (b->told == NULL)
        b->told = calloc(SLOTS, sizeof(*b->told));
    if (b->told == NULL || b->n == WP_NOMAD_BAD_TAGS_MAX)
        return false;
    for (; b->told[at] != 0; at = (at + 1) % SLOTS)
        if (b->told[at] == hash)
            return false;
    b->told[at] = hash;
    b->n++;
    return true;
}

static int shown(struct wp_nomad_text t)
{
    return t.len < SHOWN ? (int)t.len : SHOWN;
}

static void tell(struct wp_nomad_bad_tags *b, const struct wp_nomad_registration *r,
                 struct wp_nomad_text tag)
{
    if (!is_news(b, r))
        return;
    wp_log(WP_WARNING, "nomad",
           "service %.*s of %.*s, registration %.*s: tag %.*s is passed over: a number of 0 to 65535 is wanted",
           shown(r->name), r->name.at, shown(r->namespace), r->namespace.at, shown(r->id), r->id.at,
           shown(tag), tag.at);
    if (b->n == WP_NOMAD_BAD_TAGS_MAX)
        wp_log(WP_WARNING, "nomad", "%d registrations had such tags: no more of them are logged",
               WP_NOMAD_BAD_TAGS_MAX);
}

/* True: this tag says it, be it well or not. */
static bool starts_with(struct wp_nomad_text tag, const char *name, struct wp_nomad_text *ret_value)
{
    size_t len = strlen(name);

    if (tag.len < len || memcmp(tag.at, name, len) != 0)
        return false;
    *ret_value = (struct wp_nomad_text){tag.at + len, tag.len - len};
    return true;
}

static bool read_value(struct wp_nomad_text t, uint16_t *ret)
{
    unsigned v = 0;

    for (size_t i = 0; i < t.len; i++) {
        if (t.at[i] < '0' || t.at[i] > '9')
            return false;
        v = v * 10 + (unsigned)(t.at[i] - '0');
        if (v > UINT16_MAX)
            return false;
    }
    if (t.len > 0)
        *ret = (uint16_t)v;
    return t.len > 0;
}

void wp_nomad_tags_weigh(struct wp_nomad_bad_tags *b, const struct wp_nomad_registration *r,
                         uint16_t *priority, uint16_t *weight)
{
    for (size_t i = 0; i < r->n_tags; i++) {
        struct wp_nomad_text value;
        uint16_t *to = starts_with(r->tags[i], "dns-priority=", &value) ? priority
                       : starts_with(r->tags[i], "dns-weight=", &value) ? weight
                                                                        : NULL;
        if (to != NULL && !read_value(value, to))
            tell(b, r, r->tags[i]);
    }
}
