/* Records into the reply: addresses, the SOA, and what goes with old data. */
#include "backends/kubernetes/answer.h"
#include "backends/kubernetes/seen.h"
#include "waypost/base/wr.h"
#include "waypost/dns/edns.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/metric.h"

static const uint8_t ns_dns[] = {2, 'n', 's', 3, 'd', 'n', 's'};
static const uint8_t hostmaster[] = {10, 'h', 'o', 's', 't', 'm', 'a', 's', 't', 'e', 'r'};

enum {
    SOA_TTL_MAX_S = 300,
    SOA_REFRESH_S = 7200,
    SOA_RETRY_S = 1800,
    SOA_EXPIRE_S = 86400,
    POINTER = 2,
    SOA_NUMBERS = 20,
    RR_FIXED = 12, /* pointer to the owner, type, class, TTL, length */
};

/* What fits no message is cut. */
int kubernetes_full(struct wp_query *q, int r)
{
    if (r != WP_ESPACE)
        return r;
    q->reply.flags |= WP_FLAG_TC;
    return 0;
}

int kubernetes_write_addrs(struct kubernetes_answer *a, const uint8_t *owner, uint16_t type,
                           struct wp_kube_addr *ret_host)
{
    struct wp_kube_seen seen = {.arena = a->q->arena};
    int family = type == WP_TYPE_A ? 4 : 6, r = 0;
    size_t len = type == WP_TYPE_A ? 4 : 16;
    struct wp_kube_entry e;

    ret_host->at = NULL;
    if (a->found == KUBERNETES_SELF)
        return kubernetes_write_self(a, owner, type);
    a->entries.once = true;
    while (r == 0 && wp_kube_entries_next(&a->entries, &e)) {
        uint8_t ip[16];
        int have = wp_kube_addr_family(&e.addr, ip);
        if (have == 0 && ret_host->at == NULL)
            *ret_host = e.addr;
        if (have != family)
            continue;
        r = wp_kube_seen_add(&seen, wp_kube_addr_hash(&e.addr));
        if (r == 1)
            r = wp_reply_rr(a->q, WP_ANSWER, owner, type, a->p->ttl_s, ip, len);
    }
    if (a->entries.cut)
        a->q->reply.flags |= WP_FLAG_TC;
    return kubernetes_full(a->q, r);
}

/* --- SOA ----------------------------------------------------------------------------------------
 * The zone is a tail of the question: pointers into it spell it as it was asked. */

static uint32_t serial(const struct kubernetes *p, const struct kubernetes_zone *z)
{
    return wp_kube_store_serial(p->cluster->store, z->multicluster ? WP_KUBE_SERIAL_MULTICLUSTER
                                                                   : WP_KUBE_SERIAL_INTERNAL);
}

static uint8_t *put_name(uint8_t *to, const struct kubernetes_zone *z, const uint8_t *labels,
                         size_t len, unsigned pointer)
{
    if (!z->too_long) {
        memcpy(to, labels, len);
        to += len;
    }
    wp_put16(to, pointer);
    return to + POINTER;
}

int kubernetes_write_soa(const struct kubernetes *p, struct wp_query *q,
                         const struct kubernetes_zone *z, enum wp_section s)
{
    unsigned pointer = 0xc000u | (WP_HEADER_LEN + q->msg.qname.len - z->len);
    uint8_t *from = wp_reply_room(q, RR_FIXED + sizeof(ns_dns) + sizeof(hostmaster) + 2 * POINTER +
                                         SOA_NUMBERS);
    uint8_t *to = from;

    if (from == NULL)
        return WP_ESPACE;
    wp_put16(to, pointer);
    wp_put16(to + 2, WP_TYPE_SOA);
    wp_put16(to + 4, WP_CLASS_IN);
    wp_put32(to + 6, p->ttl_s < SOA_TTL_MAX_S ? p->ttl_s : SOA_TTL_MAX_S);
    to = put_name(to + RR_FIXED, z, ns_dns, sizeof(ns_dns), pointer);
    to = put_name(to, z, hostmaster, sizeof(hostmaster), pointer);
    wp_put32(to, serial(p, z));
    wp_put32(to + 4, SOA_REFRESH_S);
    wp_put32(to + 8, SOA_RETRY_S);
    wp_put32(to + 12, SOA_EXPIRE_S);
    wp_put32(to + 16, p->ttl_s);
    to += SOA_NUMBERS;
    wp_put16(from + 10, (unsigned)(to - from) - RR_FIXED);
    q->reply.len += (uint32_t)(to - from);
    q->reply.count[s]++;
    return 0;
}

int kubernetes_deny(const struct kubernetes *p, struct wp_query *q, const struct kubernetes_zone *z,
                    uint16_t rcode)
{
    int r = wp_reply_begin(q, rcode, WP_FLAG_AA);

    if (r == 0)
        r = kubernetes_write_soa(p, q, z, WP_AUTHORITY);
    return r < 0 ? r : WP_STEP_DONE;
}

/* --- old data -----------------------------------------------------------------------------------
 */

int kubernetes_finish(const struct kubernetes *p, struct wp_query *q, int r)
{
    const struct wp_kube_cluster *c = p->cluster;
    bool is_saved = !wp_kube_cluster_is_synced(c) && wp_kube_cluster_has_data(c);

    if (r != WP_STEP_DONE || !q->reply.begun || q->reply.rcode == WP_RCODE_SERVFAIL)
        return r;
    if (WP_LIKELY(!is_saved &&
                  wp_kube_cluster_behind_s(c, wp_loop_now(q->loop)) <= WP_KUBE_STALE_S))
        return r;
    /* a copy in the cache would not be marked, and making it anew costs no more */
    q->cacheable = false;
    wp_reply_ede(q, q->reply.rcode == WP_RCODE_NXDOMAIN ? WP_EDE_STALE_NXDOMAIN : WP_EDE_STALE,
                 is_saved ? "saved data, the API server has not been reached since the start"
                          : "the API server cannot be reached");
    wp_metric_add(p->stale_answers, q->worker, 1);
    return r;
}
