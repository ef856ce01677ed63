/* What the ConfigMap of kube-dns, CoreDNS's predecessor, says, and the Corefile that does the same.
 */
#pragma once
#include <stddef.h>
#include <stdio.h>
#include "waypost/base/err.h"

struct wp_arena;

enum {
    WP_KUBE_DNS_WHY = 512,
    WP_KUBE_DNS_MAX = 2 << 20,     /* octets; a ConfigMap has 1 MiB of data at most */
    WP_KUBE_DNS_STUBS_MAX = 1000,  /* each becomes a server block */
    WP_KUBE_DNS_SERVERS_MAX = 15,  /* what one `forward` takes */
    WP_KUBE_DNS_OTHERS_MAX = 1000, /* federations; keys that are not known */
};

/* Names are checked, in lower case and without a last dot; servers as `forward` reads them. */
struct wp_kube_dns_servers {
    const char *at[WP_KUBE_DNS_SERVERS_MAX];
    unsigned n;
};
struct wp_kube_dns_stub {
    const char *domain;
    struct wp_kube_dns_servers servers; /* one at least */
};
struct wp_kube_dns_federation {
    const char *name, *domain;
};
struct wp_kube_dns {
    const char *cluster; /* its domain */
    struct wp_kube_dns_stub *stubs;
    unsigned n_stubs;
    struct wp_kube_dns_servers upstreams; /* none: those of the node */
    struct wp_kube_dns_federation *federations;
    unsigned n_federations;
    const char **unknown; /* keys that kube-dns does not have */
    unsigned n_unknown;
};

/* Read a ConfigMap, YAML or JSON. cluster: the cluster's domain. Texts live in the arena. 0;
 * WP_ECONFIG: `why` tells line and word; -ENOMEM. */
int wp_kube_dns_parse(const char *text, size_t len, const char *cluster, struct wp_arena *a,
                      char why[WP_KUBE_DNS_WHY], struct wp_kube_dns *ret) WP_MUSTCHECK;
void wp_kube_dns_corefile(const struct wp_kube_dns *k, FILE *out);
