#include "backends/nomad/service.h"

#include <strings.h>

#include "waypost/base/hash.h"

uint64_t wp_nomad_hash(const char *name, size_t name_len, const char *namespace,
                       size_t namespace_len)
{
    return wp_hash_mix(wp_hash_bytes(name, name_len), wp_hash_bytes(namespace, namespace_len));
}

bool wp_nomad_instance_has_tag(const struct wp_nomad_service *s, const struct wp_nomad_instance *i,
                               const char *tag, size_t len)
{
    const char *at = wp_nomad_service_octets(s) + i->text + i->host_len;

    for (unsigned n = 0; n < i->n_tags; n++) {
        size_t have = (uint8_t)*at++;
        if (have == len && strncasecmp(at, tag, len) == 0)
            return true;
        at += have;
    }
    return false;
}
