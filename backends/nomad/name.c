#include "backends/nomad/name.h"

#include <string.h>

static bool seems_within(const struct nomad_zone *z, const struct wp_qname *name)
{
    return name->n_labels >= z->labels && name->suffix[name->n_labels - z->labels] == z->hash;
}

static bool is_within(const struct nomad_zone *z, const struct wp_qname *name)
{
    unsigned at = name->n_labels - (unsigned)z->labels;

    return seems_within(z, name) && name->len - name->at[at] == z->len &&
           memcmp(name->wire + name->at[at], z->name, z->len) == 0;
}

/* Labels before the zone: the service, the namespace, others that nobody looks at. The short form takes
 * no others: what is below service.nomad is that zone's. */
static bool says_service(const struct nomad *p, const struct nomad_zone *z, unsigned n)
{
    return n == 2 || (n > 2 && !z->is_short) || (n == 3 && p->wants.tags);
}

const struct nomad_zone *nomad_zone_match(const struct nomad *p, const struct wp_qname *name)
{
    for (unsigned i = 0; i < p->n_zones; i++) {
        const struct nomad_zone *z = &p->zone[i];
        if (is_within(z, name) && says_service(p, z, name->n_labels - (unsigned)z->labels))
            return z;
    }
    return NULL;
}

bool nomad_zone_holds(const struct nomad *p, const struct wp_qname *name)
{
    for (unsigned i = 0; i < p->n_zones; i++)
        if (is_within(&p->zone[i], name))
            return true;
    return false;
}

bool nomad_name_hash(const struct nomad *p, const struct wp_qname *name, uint64_t *ret)
{
    for (unsigned i = 0; i < p->n_zones; i++) {
        unsigned n = name->n_labels - (unsigned)p->zone[i].labels;
        if (!seems_within(&p->zone[i], name) || !says_service(p, &p->zone[i], n))
            continue;
        *ret = wp_nomad_hash_labels(name->wire + name->at[p->zone[i].is_short && n == 3]);
        return true;
    }
    return false;
}

static void read_key(const struct wp_qname *name, unsigned first, struct wp_nomad_key *ret)
{
    const uint8_t *service = name->wire + name->at[first];
    const uint8_t *namespace = name->wire + name->at[first + 1];

    *ret = (struct wp_nomad_key){
        .hash = wp_nomad_hash_labels(service),
        .name = (const char *)service + 1,
        .namespace = (const char *)namespace + 1,
        .name_len = *service,
        .namespace_len = *namespace,
    };
}

void nomad_name_read(const struct nomad *p, const struct nomad_zone *z, const struct wp_qname *name,
                     struct nomad_name *ret)
{
    unsigned n = name->n_labels - (unsigned)z->labels;

    ret->zone = z;
    ret->has_plain = n == 2 || !z->is_short;
    ret->has_tagged = n == 3 && p->wants.tags;
    ret->tag = NULL;
    if (ret->has_plain)
        read_key(name, 0, &ret->plain);
    if (ret->has_tagged) {
        read_key(name, 1, &ret->tagged);
        ret->tag = name->wire;
    }
}
