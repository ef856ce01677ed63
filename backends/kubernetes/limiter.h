/* How often lists may be asked for: a bucket of requests, as the client of CoreDNS has it, and how
 * many at a time. Watches are not asked about. One owner. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct wp_kube_limiter {
    uint64_t each_ns;   /* between two requests, in the long run */
    uint64_t burst_ns;  /* how far the times of requests may run ahead */
    uint64_t next_ns;   /* when the next one is due in the long run */
    unsigned most, now; /* at a time; most 0: no limit */
};

/* 0: 5 a second, 10 at once, no limit. */
static inline void wp_kube_limiter_init(struct wp_kube_limiter *l, double qps, unsigned burst,
                                        unsigned max_inflight)
{
    const double least = 1e-6; /* a request in eleven days */

    qps = qps > 0 ? qps : 5;
    *l = (struct wp_kube_limiter){.most = max_inflight};
    l->each_ns = (uint64_t)(1e9 / (qps > least ? qps : least));
    l->burst_ns = (burst > 0 ? burst - 1 : 9) * l->each_ns;
}
/* When the next request may be made: now_ns, or later; it counts from here on. */
static inline uint64_t wp_kube_limiter_take(struct wp_kube_limiter *l, uint64_t now_ns)
{
    uint64_t due = l->next_ns > now_ns ? l->next_ns : now_ns;

    l->next_ns = due + l->each_ns;
    return due > now_ns + l->burst_ns ? due - l->burst_ns : now_ns;
}
static inline bool wp_kube_limiter_is_full(const struct wp_kube_limiter *l)
{
    return l->most > 0 && l->now >= l->most;
}
