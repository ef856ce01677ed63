/* Endpoints from DNS: the SRV records that `etcdctl --discovery-srv` reads. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

enum { WP_ETCD_FOUND_MAX = 32, WP_ETCD_HOST_MAX = 254 };

struct wp_etcd_found_one {
    uint16_t priority, weight, port;
    char host[WP_ETCD_HOST_MAX]; /* without the final dot: letters, digits, '-', '_' and '.' */
};
struct wp_etcd_found {
    struct wp_etcd_found_one one[WP_ETCD_FOUND_MAX];
    unsigned n, n_left_out; /* no host names, or too many */
    uint32_t ttl_s;         /* the least */
    bool secure;            /* of _etcd-client-ssl */
};

/* The SRV records of a reply's answer are added. 0, or WP_EMALFORMED: nothing was. */
int wp_etcd_found_read(const uint8_t *msg, size_t len, struct wp_etcd_found *to) WP_MUSTCHECK;
/* In the order in which they are to be tried: by priority, by chance and weight where it is the
 * same (RFC 2782). */
void wp_etcd_found_order(struct wp_etcd_found *f, uint64_t (*random)(void *arg), void *arg);
/* Ask the host's resolver for _etcd-client-ssl and _etcd-client of the domain (-NAME behind, if
 * there is a name). Where there are secure ones the others do not count. Waits: on a thread of
 * its own only, or in a command. WP_EUNSUPPORTED with why: a question failed, or there are none. */
int wp_etcd_discover(const char *domain, const char *name, bool only_secure,
                     struct wp_etcd_found *ret, char why[256]) WP_MUSTCHECK;
