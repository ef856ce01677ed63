#include "backends/nomad/once.h"

#include <string.h>

#include "waypost/base/hash.h"

bool nomad_once_init(struct nomad_once *o, struct wp_arena *arena, const struct wp_nomad_service *s,
                     enum nomad_record record, uint32_t n)
{
    uint32_t slots = 4;

    while (slots < 2 * (uint64_t)n)
        slots *= 2;
    o->service = s;
    o->record = record;
    o->mask = slots - 1;
    o->slot = wp_arena_zalloc(arena, slots * sizeof(*o->slot));
    return o->slot != NULL;
}

struct octets {
    const void *at;
    size_t len;
};

/* The address, or the name of the target where it is the instance's own. */
static struct octets name_of(const struct nomad_once *o, const struct wp_nomad_instance *i)
{
    if (i->family == WP_NOMAD_HOST)
        return (struct octets){wp_nomad_instance_host(o->service, i), i->host_len};
    if (o->record == NOMAD_RECORD_SRV)
        return (struct octets){"", 0};
    return (struct octets){i->addr, i->family == WP_NOMAD_IPV4 ? 4 : 16};
}

static uint64_t terms_of(const struct nomad_once *o, const struct wp_nomad_instance *i)
{
    return o->record == NOMAD_RECORD_SRV
               ? (uint64_t)i->port << 32 | (uint32_t)i->priority << 16 | i->weight
               : 0;
}

static bool is_same(const struct nomad_once *o, const struct wp_nomad_instance *a,
                    const struct wp_nomad_instance *b)
{
    struct octets x = name_of(o, a), y = name_of(o, b);

    return terms_of(o, a) == terms_of(o, b) && x.len == y.len && memcmp(x.at, y.at, x.len) == 0;
}

bool nomad_once_add(struct nomad_once *o, const struct wp_nomad_instance *i)
{
    struct octets name = name_of(o, i);
    uint64_t hash = wp_hash_mix(wp_hash_bytes(name.at, name.len), terms_of(o, i));
    uint32_t k;

    for (k = (uint32_t)hash & o->mask; o->slot[k] != NULL; k = (k + 1) & o->mask)
        if (is_same(o, o->slot[k], i))
            return false;
    o->slot[k] = i;
    return true;
}
