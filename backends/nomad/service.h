/* One service of one namespace as it is published: immutable, read by workers without locks within one
 * turn of their loop, freed after a grace period. Instances stand in the order of the API. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/hash.h"

enum {
    WP_NOMAD_NAME_MAX = 63,       /* octets of a service's name: one label */
    WP_NOMAD_NAMESPACE_MAX = 128, /* Nomad's limit; above 63 it can be in no question */
    WP_NOMAD_PRIORITY = 10,       /* of SRV, unless a tag says otherwise */
    WP_NOMAD_WEIGHT = 10,
};

/* Is a name that is not there known not to exist in the namespace? */
enum wp_nomad_covered {
    WP_NOMAD_UNCOVERED,
    WP_NOMAD_COVERED,
    WP_NOMAD_COVERED_ONCE, /* by what was saved: while no agent can be asked */
};

enum wp_nomad_family { WP_NOMAD_HOST, WP_NOMAD_IPV4, WP_NOMAD_IPV6 };

struct wp_nomad_instance {
    uint8_t addr[16]; /* IPv4 in the first four; mapped IPv6 (::ffff:a.b.c.d) is IPv4 */
    uint8_t family;   /* enum wp_nomad_family; HOST: `Address` is no IP, its text is `host` */
    bool unhealthy;   /* a check of it fails; only with `health` */
    uint16_t port, priority, weight;
    uint32_t text;    /* where its octets begin in wp_nomad_service_octets */
    uint16_t host_len;
    uint16_t n_tags;
    uint32_t tags_len;
};

/* What follows the instances: the name, the namespace, then of each instance the host name and its tags,
 * each tag behind its length in one octet (longer ones are left out; so are those of sources that
 * keep no tags). */
struct wp_nomad_service {
    uint64_t hash;       /* wp_nomad_hash of both */
    uint64_t digest;     /* of all that answers show: equal means nothing has changed */
    /* Seconds on the loops' clock, only kept `on_demand`: when it was last asked for, and until when
     * it is known to be good. */
    _Atomic uint32_t asked_s, until_s;
    bool on_demand;      /* read because it was asked for, not because it was listed */
    uint8_t covered;     /* enum wp_nomad_covered; of a namespace, which is a service without a name */
    uint8_t name_len, namespace_len;
    uint32_t n;          /* instances; 0: it is known that there is none */
    uint32_t n_of[3];    /* by family, unhealthy ones included */
    uint32_t n_unhealthy;
    uint32_t octets_len;
    struct wp_nomad_instance instances[];
};

static inline const char *wp_nomad_service_octets(const struct wp_nomad_service *s)
{
    return (const char *)&s->instances[s->n];
}
static inline const char *wp_nomad_service_name(const struct wp_nomad_service *s)
{
    return wp_nomad_service_octets(s);
}
static inline const char *wp_nomad_service_namespace(const struct wp_nomad_service *s)
{
    return wp_nomad_service_octets(s) + s->name_len;
}
static inline const char *wp_nomad_instance_host(const struct wp_nomad_service *s,
                                                 const struct wp_nomad_instance *i)
{
    return wp_nomad_service_octets(s) + i->text;
}
/* Has the instance this tag, letters without case? */
bool wp_nomad_instance_has_tag(const struct wp_nomad_service *s, const struct wp_nomad_instance *i,
                               const char *tag, size_t len);

/* Of a service's name and a namespace, both in lower case as questions have them (the labels' text). */
uint64_t wp_nomad_hash(const char *name, size_t name_len, const char *namespace, size_t namespace_len);
/* The same of two labels as they stand in a question, each behind its length: one pass. */
static inline uint64_t wp_nomad_hash_labels(const uint8_t *service)
{
    size_t name_len = service[0], namespace_len = service[1 + name_len];

    return wp_hash_bytes(service + 1, name_len + 1 + namespace_len);
}
