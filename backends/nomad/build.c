#include "backends/nomad/build.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "waypost/base/hash.h"

enum { FIRST = 16, OCTETS_FIRST = 256, TAG_MAX = 255 };

void wp_nomad_build_done(struct wp_nomad_build *b)
{
    free(b->at);
    free(b->octets);
    wp_nomad_bad_tags_done(&b->bad_tags);
    b->at = NULL;
    b->octets = NULL;
    b->cap = b->octets_cap = 0;
}

void wp_nomad_build_begin(struct wp_nomad_build *b)
{
    b->n = b->len = 0;
}

static int room_for_instance(struct wp_nomad_build *b)
{
    size_t cap = b->cap > 0 ? 2 * b->cap : FIRST;
    struct wp_nomad_instance *grown;

    if (b->n < b->cap)
        return 0;
    if (b->n >= WP_NOMAD_INSTANCES_MAX)
        return WP_ELIMIT;
    grown = realloc(b->at, cap * sizeof(*grown));
    if (grown == NULL)
        return -ENOMEM;
    b->at = grown;
    b->cap = cap;
    return 0;
}

static int put_octets(struct wp_nomad_build *b, const void *from, size_t len)
{
    size_t cap = b->octets_cap > 0 ? b->octets_cap : OCTETS_FIRST;
    char *grown;

    if (len > UINT32_MAX / 2 - b->len)
        return WP_ELIMIT;
    while (cap < b->len + len)
        cap *= 2;
    if (cap > b->octets_cap) {
        grown = realloc(b->octets, cap);
        if (grown == NULL)
            return -ENOMEM;
        b->octets = grown;
        b->octets_cap = cap;
    }
    memcpy(b->octets + b->len, from, len);
    b->len += len;
    return 0;
}

/* An IP, or a host: of a text that is no IP. */
static int put_address(struct wp_nomad_build *b, struct wp_nomad_instance *i,
                       struct wp_nomad_text address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char text[INET6_ADDRSTRLEN];

    if (address.len < sizeof(text)) {
        memcpy(text, address.at, address.len);
        text[address.len] = '\0';
        if (strlen(text) != address.len)
            text[0] = '\0';
        if (inet_pton(AF_INET, text, i->addr) == 1) {
            i->family = WP_NOMAD_IPV4;
            return 0;
        }
        if (inet_pton(AF_INET6, text, i->addr) == 1) {
            i->family = WP_NOMAD_IPV6;
            if (memcmp(i->addr, mapped, sizeof(mapped)) == 0) {
                i->family = WP_NOMAD_IPV4;
                memmove(i->addr, i->addr + sizeof(mapped), 4);
                memset(i->addr + 4, 0, sizeof(i->addr) - 4);
            }
            return 0;
        }
    }
    memset(i->addr, 0, sizeof(i->addr));
    i->family = WP_NOMAD_HOST;
    i->host_len = (uint16_t)address.len;
    return put_octets(b, address.at, address.len);
}

static int put_tags(struct wp_nomad_build *b, struct wp_nomad_instance *i,
                    const struct wp_nomad_registration *r)
{
    size_t begin = b->len;

    for (size_t n = 0; n < r->n_tags; n++) {
        uint8_t len = (uint8_t)r->tags[n].len;
        int e;
        if (r->tags[n].len > TAG_MAX)
            continue;
        e = put_octets(b, &len, 1);
        if (e == 0)
            e = put_octets(b, r->tags[n].at, len);
        if (e < 0)
            return e;
        i->n_tags++;
    }
    i->tags_len = (uint32_t)(b->len - begin);
    return 0;
}

int wp_nomad_build_add(void *build, const struct wp_nomad_registration *r)
{
    struct wp_nomad_build *b = build;
    struct wp_nomad_instance i = {.port = r->port,
                                  .priority = WP_NOMAD_PRIORITY,
                                  .weight = WP_NOMAD_WEIGHT};
    int e = room_for_instance(b);

    if (e < 0)
        return e;
    i.text = (uint32_t)b->len;
    if (b->weights)
        wp_nomad_tags_weigh(&b->bad_tags, r, &i.priority, &i.weight);
    i.unhealthy = b->is_unhealthy != NULL && b->is_unhealthy(b->arg, r);
    e = put_address(b, &i, r->address);
    if (e == 0 && b->tags)
        e = put_tags(b, &i, r);
    if (e < 0)
        return e;
    b->at[b->n++] = i;
    return 0;
}

/* Names come first among the octets. */
static void fill(struct wp_nomad_service *v, const struct wp_nomad_build *b, uint32_t names)
{
    v->digest = wp_hash_mix(wp_hash_bytes(b->at, b->n * sizeof(b->at[0])),
                            wp_hash_bytes(b->octets, b->len));
    for (size_t n = 0; n < b->n; n++) {
        struct wp_nomad_instance *i = &v->instances[n];
        *i = b->at[n];
        i->text += names;
        v->n_of[i->family]++;
        v->n_unhealthy += i->unhealthy;
    }
}

struct wp_nomad_service *wp_nomad_build_end(struct wp_nomad_build *b, uint64_t hash, const char *name,
                                            size_t name_len, const char *namespace,
                                            size_t namespace_len)
{
    uint32_t names = (uint32_t)(name_len + namespace_len);
    struct wp_nomad_service *v =
        wp_nomad_service_alloc((uint32_t)b->n, names + (uint32_t)b->len);
    char *octets;

    if (v == NULL)
        return NULL;
    octets = (char *)(uintptr_t)wp_nomad_service_octets(v);
    v->hash = hash;
    v->name_len = (uint8_t)name_len;
    v->namespace_len = (uint8_t)namespace_len;
    memcpy(octets, name, name_len);
    memcpy(octets + name_len, namespace, namespace_len);
    if (b->len > 0)
        memcpy(octets + names, b->octets, b->len);
    fill(v, b, names);
    return v;
}
