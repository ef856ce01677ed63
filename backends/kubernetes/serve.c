/* A question: which zone, what the store says, what is written. */
#include "backends/kubernetes/answer.h"
#include "waypost/base/wr.h"
#include "waypost/dns/edns.h"
#include "waypost/plugin/explain.h"

enum { VERSION_TTL_S = 28800 };

static bool is_address(uint16_t type)
{
    return type == WP_TYPE_A || type == WP_TYPE_AAAA;
}

/* --- the common question ------------------------------------------------------------------------
 * Addresses of a service with cluster addresses, of few ports and no filter: its records go
 * straight into the reply. */

enum { QUICK_MAX = 8, RR_FIXED = 12 };

static const uint8_t svc[] = {3, 's', 'v', 'c'};

static bool is_plain(const struct kubernetes_zone *z, const struct wp_qname *name)
{
    return !z->multicluster && name->n_labels == z->labels + 3u &&
           memcmp(name->wire + name->at[2], svc, sizeof(svc)) == 0;
}

static uint64_t plain_hash(const struct wp_qname *name)
{
    const uint8_t *ns = name->wire + name->at[1];

    return wp_kube_place_hash((const char *)ns + 1, *ns, (const char *)name->wire + 1, *name->wire);
}

/* Addresses of the family, no two the same; QUICK_MAX + 1: too many. */
static unsigned collect(const struct wp_kube_place *place, uint8_t len,
                        const uint8_t *at[QUICK_MAX])
{
    struct wp_kube_cursor c = wp_kube_place_ips(place, WP_KUBE_LOCAL);
    struct wp_kube_addr a;
    unsigned n = 0, k;

    while (wp_kube_addr_next(&c, &a)) {
        if (a.len == 0)
            return QUICK_MAX + 1; /* another spelling */
        if (a.len != len)
            continue;
        for (k = 0; k < n && memcmp(at[k], a.at, len) != 0; k++)
            ;
        if (k < n)
            continue;
        if (n == QUICK_MAX)
            return QUICK_MAX + 1;
        at[n++] = a.at;
    }
    return n;
}

static int write_quick(const struct kubernetes *p, struct wp_query *q, uint8_t len,
                       const uint8_t *const *at, unsigned n)
{
    uint8_t *to;

    if (wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA) < 0)
        return WP_ESPACE;
    to = wp_reply_room(q, n * (RR_FIXED + (size_t)len));
    if (to == NULL)
        return WP_ESPACE;
    for (unsigned i = 0; i < n; i++) {
        wp_put16(to, 0xc000 | WP_HEADER_LEN);
        wp_put16(to + 2, q->msg.qtype);
        wp_put16(to + 4, WP_CLASS_IN);
        wp_put32(to + 6, p->ttl_s);
        wp_put16(to + 10, len);
        memcpy(to + RR_FIXED, at[i], len);
        to += RR_FIXED + len;
    }
    q->reply.len += (uint32_t)(n * (RR_FIXED + (size_t)len));
    q->reply.count[WP_ANSWER] = (uint16_t)n;
    return WP_STEP_DONE;
}

/* NEXT: it is no common question, nothing is written. */
static int serve_quick(const struct kubernetes *p, struct wp_query *q,
                       const struct kubernetes_zone *z)
{
    const struct wp_qname *name = &q->msg.qname;
    const struct wp_kube_store *s = p->cluster->store;
    uint8_t len = q->msg.qtype == WP_TYPE_A ? 4 : 16;
    const struct wp_kube_place *place;
    const uint8_t *at[QUICK_MAX], *ns;
    uint64_t hash;
    unsigned n;

    if (!is_plain(z, name) || p->n_namespaces > 0 || p->ignore_empty || p->answer_endpoints)
        return WP_STEP_NEXT;
    ns = name->wire + name->at[1];
    hash = plain_hash(name);
    wp_kube_place_prefetch(s, hash); /* while the key's version is waited for */
    wp_query_depends(q, wp_kube_place_key(s, hash));
    place = wp_kube_place_find(s, hash, (const char *)ns + 1, *ns, (const char *)name->wire + 1,
                               *name->wire);
    if (place == NULL || place->kind[WP_KUBE_LOCAL] != WP_KUBE_CLUSTER_IP ||
        !kubernetes_exposes_place(p, q, place) || wp_kube_name_in_arpa(name))
        return WP_STEP_NEXT;
    n = collect(place, len, at);
    if (n > QUICK_MAX)
        return WP_STEP_NEXT;
    return n > 0 ? write_quick(p, q, len, at, n) : kubernetes_deny(p, q, z, WP_RCODE_NOERROR);
}

void kubernetes_prefetch(const void *self, const struct wp_query *q, unsigned step)
{
    const struct kubernetes *p = self;
    const struct kubernetes_zone *z = kubernetes_zone_match(p, &q->msg.qname);
    const struct wp_kube_store *s;
    uint64_t hash;

    if (z == NULL || !is_plain(z, &q->msg.qname))
        return;
    s = p->cluster->store;
    hash = plain_hash(&q->msg.qname);
    if (step > 0) {
        wp_kube_place_prefetch_content(s, hash);
        return;
    }
    wp_kube_place_prefetch(s, hash);
    __builtin_prefetch(&wp_change_version[wp_change_slot(wp_kube_place_key(s, hash))]);
}

/* --- every question -----------------------------------------------------------------------------
 */

/* The name is not there, as far as is known. */
static int name_error(const struct kubernetes_answer *a)
{
    const struct wp_kube_cluster *c = a->p->cluster;
    struct wp_query *q = a->q;
    int r;

    if (wp_fall_through(&a->p->fall, &q->msg.qname))
        return WP_STEP_NEXT;
    if (WP_LIKELY(wp_kube_cluster_has_data(c)))
        return kubernetes_deny(a->p, q, a->zone, WP_RCODE_NXDOMAIN);
    r = kubernetes_deny(a->p, q, a->zone, WP_RCODE_SERVFAIL);
    q->reply.error = "kubernetes: no data yet";
    q->reply.err = WP_ESTATE;
    wp_reply_ede(q, WP_EDE_NOT_READY, "the API server has not been reached yet");
    return r;
}

static int no_data(const struct kubernetes_answer *a)
{
    return kubernetes_deny(a->p, a->q, a->zone, WP_RCODE_NOERROR);
}

/* What has been written, or NODATA when that was nothing. */
static int written(const struct kubernetes_answer *a, int r)
{
    if (r < 0)
        return r;
    return a->q->reply.count[WP_ANSWER] > 0 ? WP_STEP_DONE : no_data(a);
}

static int answer_addrs(struct kubernetes_answer *a)
{
    struct wp_kube_addr host = {0};
    int r;

    if (a->found == KUBERNETES_ALIAS)
        return kubernetes_chase(a, wp_kube_place_external_name(a->place));
    r = wp_reply_begin(a->q, WP_RCODE_NOERROR, WP_FLAG_AA);
    if (r == 0)
        r = kubernetes_write_addrs(a, NULL, a->q->msg.qtype, &host);
    /* An endpoint that is a host is an alias: there is one at most, and nothing beside it. */
    if (r == 0 && a->q->reply.count[WP_ANSWER] == 0 && host.at != NULL && host.len == 0)
        return kubernetes_chase(a, (struct wp_kube_text){(const char *)host.at, host.text_len});
    return written(a, r);
}

static int write_cname(const struct kubernetes_answer *a, struct wp_kube_text target)
{
    char text[WP_KUBE_TEXT_MAX + 1];
    struct wp_name name;
    int r;

    memcpy(text, target.at, target.len);
    text[target.len] = '\0';
    if (wp_name_parse(text, &name) < 0)
        return no_data(a);
    r = wp_reply_begin(a->q, WP_RCODE_NOERROR, WP_FLAG_AA);
    if (r == 0)
        r = wp_reply_rr(a->q, WP_ANSWER, NULL, WP_TYPE_CNAME, a->p->ttl_s, name.wire, name.len);
    return r < 0 ? r : WP_STEP_DONE;
}

/* The first one only. */
static int answer_cname(struct kubernetes_answer *a)
{
    struct wp_kube_entry e;
    uint8_t ip[16];

    if (a->found == KUBERNETES_ALIAS)
        return write_cname(a, wp_kube_place_external_name(a->place));
    if (a->found == KUBERNETES_ENTRIES && wp_kube_entries_next(&a->entries, &e) &&
        wp_kube_addr_family(&e.addr, ip) == 0)
        return write_cname(a, (struct wp_kube_text){(const char *)e.addr.at, e.addr.text_len});
    return no_data(a);
}

static int answer_srv(struct kubernetes_answer *a)
{
    int r;

    if (a->found != KUBERNETES_ENTRIES)
        return no_data(a);
    r = wp_reply_begin(a->q, WP_RCODE_NOERROR, WP_FLAG_AA);
    return written(a, r < 0 ? r : kubernetes_write_srv(a));
}

/* What the name has been found to stand for, by the type that is asked. */
static int answer_found(struct kubernetes_answer *a)
{
    uint16_t type = a->q->msg.qtype;

    if (is_address(type))
        return a->found == KUBERNETES_NO_DATA ? no_data(a) : answer_addrs(a);
    if (type == WP_TYPE_SRV)
        return answer_srv(a);
    if (type == WP_TYPE_CNAME)
        return answer_cname(a);
    /* a name without any data has no TXT either, says CoreDNS; one that chooses a zone has none yet
     */
    if (type == WP_TYPE_TXT &&
        (a->found == KUBERNETES_SELF || (a->found == KUBERNETES_NO_DATA &&
                                         (a->place == NULL || a->name.choice == WP_KUBE_ZONE_ANY))))
        return name_error(a);
    if (type == WP_TYPE_PTR && a->found == KUBERNETES_SELF) /* the one type that does not see it */
        return name_error(a);
    return no_data(a);
}

static int answer_version(const struct kubernetes_answer *a)
{
    static const char text[] = "\0051.1.0";
    int r = wp_reply_begin(a->q, WP_RCODE_NOERROR, WP_FLAG_AA);

    if (r == 0)
        r = wp_reply_rr(a->q, WP_ANSWER, NULL, WP_TYPE_TXT, VERSION_TTL_S, text, sizeof(text) - 1);
    return r < 0 ? r : WP_STEP_DONE;
}

static bool is_version(const struct kubernetes_answer *a)
{
    static const uint8_t label[] = "\013dns-version";
    const struct wp_qname *name = &a->q->msg.qname;

    return name->n_labels == a->zone->labels + 1u && memcmp(name->wire, label, 12) == 0;
}

/* SOA and NS of the zone. */
static int answer_apex(struct kubernetes_answer *a)
{
    int r = wp_reply_begin(a->q, WP_RCODE_NOERROR, WP_FLAG_AA);

    if (r < 0)
        return r;
    return written(a, a->q->msg.qtype == WP_TYPE_NS
                          ? kubernetes_write_ns(a)
                          : kubernetes_write_soa(a->p, a->q, a->zone, WP_ANSWER));
}

static int answer_ptr(struct kubernetes_answer *a, const uint8_t *ip, unsigned len)
{
    int r = wp_reply_begin(a->q, WP_RCODE_NOERROR, WP_FLAG_AA);

    if (r == 0)
        r = kubernetes_write_ptr(a, ip, len);
    if (r < 0 || a->q->reply.count[WP_ANSWER] > 0)
        return r < 0 ? r : WP_STEP_DONE;
    return name_error(a);
}

static int answer(struct kubernetes_answer *a)
{
    const struct wp_qname *name = &a->q->msg.qname;
    uint16_t type = a->q->msg.qtype;
    bool is_apex = name->n_labels == a->zone->labels;
    uint8_t ip[16];
    unsigned len;

    if (type == WP_TYPE_AXFR || type == WP_TYPE_IXFR)
        return wp_query_fail(a->q, WP_RCODE_REFUSED, 0, NULL);
    if (type == WP_TYPE_SOA && !is_apex)
        return no_data(a);
    if (is_apex && (type == WP_TYPE_SOA || type == WP_TYPE_NS))
        return answer_apex(a);
    if (type == WP_TYPE_TXT && is_version(a))
        return answer_version(a);
    if (type == WP_TYPE_PTR && (len = wp_kube_name_reverse(name, ip)) != 0)
        return answer_ptr(a, ip, len);
    kubernetes_resolve(a, name);
    return a->found == KUBERNETES_NO_NAME ? name_error(a) : answer_found(a);
}

int kubernetes_serve(void *self, struct wp_query *q)
{
    const struct kubernetes *p = self;
    struct kubernetes_answer a;
    int r = WP_STEP_NEXT;

    a.zone = kubernetes_zone_match(p, &q->msg.qname);
    if (a.zone == NULL)
        return WP_STEP_NEXT;
    if (WP_UNLIKELY(!wp_kube_cluster_is_synced(p->cluster)))
        wp_query_depends(q, wp_kube_cluster_state_key(p->cluster)); /* before anything is read */
    if (is_address(q->msg.qtype) && WP_LIKELY(!wp_query_is_explained(q)))
        r = serve_quick(p, q, a.zone);
    if (r == WP_STEP_NEXT) {
        a.p = p;
        a.q = q;
        r = answer(&a);
    }
    return kubernetes_finish(p, q, r);
}
