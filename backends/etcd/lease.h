/* What is left of a lease. Watch events carry a lease's number, never its time, and a keepalive
 * makes no event: the mirror asks for the time now and then (lease_poll.c) and counts down in
 * between. Leases belong to a mirror; records hold references. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "backends/etcd/record.h"

/* Special values of `ends`: not yet answered; never answered, for etcd refuses; known to be gone.
 */
#define WP_ETCD_LEASE_UNKNOWN UINT64_C(0)
#define WP_ETCD_LEASE_REFUSED UINT64_C(1)
#define WP_ETCD_LEASE_GONE UINT64_MAX

/* What a lease waits for: to be asked about, to be over without anybody saying so. */
enum wp_etcd_queue { WP_ETCD_QUEUE_ASK, WP_ETCD_QUEUE_LAPSE, WP_ETCD_QUEUES };
struct wp_etcd_queued {
    uint64_t when_ns;
    uint32_t at; /* place in the queue */
};

struct wp_etcd_lease {
    _Atomic uint64_t ends; /* monotonic ns, an estimate; or a special value */
    int64_t id;
    /* the writer's: */
    struct wp_etcd_queued queued[WP_ETCD_QUEUES];
    uint32_t refs;
    int32_t granted_s;          /* 0: not known */
    bool lapsed;                /* over by our clock, etcd away: its records are not shown */
    struct wp_etcd_tied tied;   /* its records */
    struct wp_etcd_lease *next; /* of the same hash bucket */
};

/* Bounds from the configuration, in seconds; cap_s: of every TTL, 0: none. */
struct wp_etcd_lease_bounds {
    uint32_t min_s, max_s, cap_s;
};

/* The TTL of a record made from the entry. */
uint32_t wp_etcd_rec_ttl(const struct wp_etcd_rec *r, const struct wp_etcd_lease_bounds *b,
                         uint64_t now_ns);
