#include "backends/nomad/service.h"

#include <string.h>
#include <strings.h>

#include "waypost/base/hash.h"

uint64_t wp_nomad_hash(const char *name, size_t name_len, const char *namespace,
                       size_t namespace_len)
{
    char label[WP_NOMAD_NAME_MAX + 1 + WP_NOMAD_NAMESPACE_MAX];

    if (name_len > WP_NOMAD_NAME_MAX || namespace_len > WP_NOMAD_NAMESPACE_MAX) /* in no question */
        return wp_hash_mix(wp_hash_bytes(name, name_len), wp_hash_bytes(namespace, namespace_len));
    memcpy(label, name, name_len);
    label[name_len] = (char)namespace_len;
    memcpy(label + name_len + 1, namespace, namespace_len);
    return wp_hash_bytes(label, name_len + 1 + namespace_len);
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
