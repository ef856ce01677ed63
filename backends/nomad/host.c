/* Instances whose address is a host name. */
#include <string.h>

#include "backends/nomad/answer.h"
#include "waypost/base/hash.h"
#include "waypost/plugin/log.h"

bool nomad_host_name(const struct nomad_answer *a, const struct wp_nomad_instance *i,
                     struct wp_name *ret)
{
    char text[WP_NAME_TEXT_MAX];

    if (i->host_len >= sizeof(text))
        return false;
    memcpy(text, wp_nomad_instance_host(a->service, i), i->host_len);
    text[i->host_len] = '\0';
    return strlen(text) == i->host_len && wp_name_parse(text, ret) == 0;
}

/* The last ones that were told of, each in the place of its hash; no more than a few lines a minute whatever
 * they are. */
void nomad_tell_host(const struct nomad_answer *a, const struct wp_nomad_instance *i)
{
    static _Atomic uint64_t told[256];
    static struct wp_log_limit limit;
    const char *host = wp_nomad_instance_host(a->service, i);
    uint64_t hash = wp_hash_mix(a->service->hash, wp_hash_bytes(host, i->host_len) ^ i->port);
    _Atomic uint64_t *slot = &told[hash % WP_COUNT(told)];

    if (atomic_load_explicit(slot, memory_order_relaxed) == hash || !wp_log_allow(&limit, 10, 60))
        return;
    atomic_store_explicit(slot, hash, memory_order_relaxed);
    wp_log(WP_WARNING, "nomad",
           "service %.*s in namespace %.*s: the address of an instance, %.*s, is no IP address: its "
           "answers are cut short there (`hostnames` chooses)",
           a->key->name_len, a->key->name, a->key->namespace_len, a->key->namespace, (int)i->host_len,
           host);
}
