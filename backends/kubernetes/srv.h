/* SRV records of entries, with the addresses of their targets. */
#pragma once
#include "backends/kubernetes/entries.h"
#include "waypost/dns/name.h"

struct wp_query;

/* Names of hosts that some entries have instead of an IP, each once. */
enum { WP_KUBE_HOSTS_MAX = 32 };
struct wp_kube_hosts {
    unsigned n;
    const uint8_t *name[WP_KUBE_HOSTS_MAX]; /* wire, in q->arena */
};

struct wp_kube_srv {
    struct wp_query *q;
    struct wp_name base; /* target of addresses; endpoints stand before it: EP.BASE */
    uint32_t ttl_s, glue_ttl_s;
    /* Hosts are targets, too, and come back here to be looked up; NULL: such entries do not count.
     */
    struct wp_kube_hosts *hosts;
};
/* Write them to the begun reply: priority 0, weight 100 shared by all entries, at least 1; one for
 * each target and port number; then each target's addresses, both families. An entry without a port
 * counts for the weights only. 0 or a negative error; a full message gets TC. */
int wp_kube_srv_write(const struct wp_kube_srv *s, struct wp_kube_entries *e) WP_MUSTCHECK;
