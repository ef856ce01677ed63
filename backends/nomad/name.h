/* What a question's name says: SERVICE.NAMESPACE.ZONE, and with `tags` TAG.SERVICE.NAMESPACE.ZONE. */
#pragma once
#include "backends/nomad/nomad.h"

struct nomad_name {
    const struct nomad_zone *zone;
    bool has_plain, has_tagged;         /* which readings there are; plain goes first */
    struct wp_nomad_key plain, tagged;  /* they point into the question */
    const uint8_t *tag;                 /* of the tagged one: a label with its length */
};

/* The zone that answers for the name, or NULL: it is outside of all, or too short. */
const struct nomad_zone *nomad_zone_match(const struct nomad *p, const struct wp_qname *name);
/* Is it in a zone, whether it says a service or not? */
bool nomad_zone_holds(const struct nomad *p, const struct wp_qname *name);
/* z: what nomad_zone_match said. */
void nomad_name_read(const struct nomad *p, const struct nomad_zone *z, const struct wp_qname *name,
                     struct nomad_name *ret);
/* The hash of the reading that goes first, if the name is one that is answered, as far as a hint may be wrong. */
bool nomad_name_hash(const struct nomad *p, const struct wp_qname *name, uint64_t *ret);
