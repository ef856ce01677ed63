#include "backends/etcd/lease.h"
#include "backends/etcd/record.h"

enum { TTL_DEFAULT = 300 };

/* Seconds left, clamped; 0: the lease says nothing. An estimate that has run out stays at the
 * lower bound. */
static uint32_t lease_ttl(uint64_t ends, const struct wp_etcd_lease_bounds *b, uint64_t now_ns)
{
    uint64_t left;

    if (ends == WP_ETCD_LEASE_GONE || ends == WP_ETCD_LEASE_REFUSED)
        return 0;
    if (ends == WP_ETCD_LEASE_UNKNOWN)
        return b->min_s; /* it may be a short one: no more than the least of all */
    left = ends > now_ns ? (ends - now_ns + 999999999u) / 1000000000u : 0;
    if (left < b->min_s)
        return b->min_s;
    return left > b->max_s ? b->max_s : (uint32_t)left;
}

static uint32_t rec_ttl(const struct wp_etcd_rec *r, const struct wp_etcd_lease_bounds *b,
                        uint64_t now_ns)
{
    const struct wp_etcd_lease *lease = wp_etcd_rec_lease(r);
    uint64_t ends;
    uint32_t ttl, own = r->ttl != 0 ? r->ttl : TTL_DEFAULT;

    if (lease == NULL)
        return own;
    ends = atomic_load_explicit(&lease->ends, memory_order_relaxed);
    ttl = lease_ttl(ends, b, now_ns);
    if (ttl == 0) /* a lease that cannot be asked about may end soon: not above the default */
        return ends == WP_ETCD_LEASE_REFUSED && own > TTL_DEFAULT ? TTL_DEFAULT : own;
    return r->ttl != 0 && r->ttl < ttl ? r->ttl : ttl;
}

uint32_t wp_etcd_rec_ttl(const struct wp_etcd_rec *r, const struct wp_etcd_lease_bounds *b,
                         uint64_t now_ns)
{
    uint32_t ttl = rec_ttl(r, b, now_ns);

    return b->cap_s != 0 && ttl > b->cap_s ? b->cap_s : ttl;
}
