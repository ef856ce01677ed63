/* A question: which reading of its name, what the store says, what is written. */
#include "backends/nomad/answer.h"
#include "backends/nomad/store.h"
#include "waypost/base/wr.h"
#include "waypost/dns/edns.h"
#include "waypost/plugin/change.h"
#include "waypost/plugin/explain.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/metric.h"

static bool is_address(uint16_t type)
{
    return type == WP_TYPE_A || type == WP_TYPE_AAAA;
}

/* --- what is found ----------------------------------------------------------------------------- */

/* Has any instance the tag? */
static bool has_tag(const struct wp_nomad_service *s, const uint8_t *tag)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (wp_nomad_instance_has_tag(s, &s->instances[i], (const char *)tag + 1, *tag))
            return true;
    return false;
}

enum wp_nomad_known nomad_find(struct nomad_answer *a)
{
    const struct wp_nomad_source *s = a->p->source;
    enum wp_nomad_known known = WP_NOMAD_ABSENT;

    a->service = NULL;
    a->tag = NULL;
    if (a->name.has_plain) {
        a->key = &a->name.plain;
        known = wp_nomad_find(s, a->key, a->q, &a->service);
    }
    if (WP_LIKELY(known != WP_NOMAD_ABSENT || !a->name.has_tagged))
        return known;
    known = wp_nomad_find(s, &a->name.tagged, a->q, &a->service);
    if (!a->name.has_plain || known != WP_NOMAD_ABSENT)
        a->key = &a->name.tagged;
    if (known != WP_NOMAD_THERE)
        return known;
    a->tag = a->name.tag;
    return has_tag(a->service, a->tag) ? known : WP_NOMAD_ABSENT;
}

static void tell_lookup(const struct wp_nomad_key *k)
{
    wp_log(WP_DEBUG, "nomad", "Looking up record for svc: %.*s namespace: %.*s", k->name_len, k->name,
           k->namespace_len, k->namespace);
}

static int pass_on(const struct nomad *p, const struct wp_query *q)
{
    char text[WP_NAME_TEXT_MAX];

    if (WP_UNLIKELY(wp_log_is_debug()) && nomad_zone_holds(p, &q->msg.qname))
        wp_log(WP_DEBUG, "nomad", "%s says no service and namespace: the next directive is asked",
               wp_name_text(q->msg.qname.wire, text));
    return WP_STEP_NEXT;
}

/* --- answers ------------------------------------------------------------------------------------ */

/* Every instance counts, and needs no look: the common question. */
static bool is_plain(const struct nomad_answer *a)
{
    const struct wp_nomad_service *s = a->service;

    return a->tag == NULL && s->n_unhealthy == 0 && s->n_of[WP_NOMAD_HOST] == 0 &&
           !a->p->drop_duplicates;
}

static int answer_plain(struct nomad_answer *a)
{
    const struct wp_nomad_service *s = a->service;
    struct wp_query *q = a->q;
    bool is_v4 = q->msg.qtype == WP_TYPE_A;
    enum wp_nomad_family family = is_v4 ? WP_NOMAD_IPV4 : WP_NOMAD_IPV6;
    uint32_t n = s->n_of[family], k = 0;
    size_t len = is_v4 ? 4 : 16;
    uint8_t *to;

    if (n == 0)
        return nomad_no_data(a);
    if (wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA) < 0)
        return WP_ESPACE;
    to = nomad_room(q, NOMAD_RR_FIXED + len, &n);
    if (to == NULL)
        return WP_ESPACE;
    for (const struct wp_nomad_instance *i = s->instances; k < n; i++) {
        if (i->family != family)
            continue;
        memcpy(to, a->p->head[!is_v4], NOMAD_RR_FIXED);
        if (is_v4)
            memcpy(to + NOMAD_RR_FIXED, i->addr, 4);
        else
            memcpy(to + NOMAD_RR_FIXED, i->addr, 16);
        to += NOMAD_RR_FIXED + len;
        k++;
    }
    q->reply.len += (uint32_t)(n * (NOMAD_RR_FIXED + len));
    q->reply.count[WP_ANSWER] = (uint16_t)n;
    return WP_STEP_DONE;
}

static int answer_picked(struct nomad_answer *a)
{
    bool is_srv = a->q->msg.qtype == WP_TYPE_SRV;
    int r = nomad_pick(a);

    if (r < 0)
        return r;
    if (!is_srv && a->has_hosts)
        return nomad_resolve(a);
    if (a->n_picks == 0 && !a->broken)
        return nomad_no_data(a);
    r = wp_reply_begin(a->q, WP_RCODE_NOERROR, WP_FLAG_AA);
    if (r == 0)
        r = is_srv ? nomad_write_srv(a) : nomad_write_addresses(a);
    if (r == 0 && a->all_unwell)
        wp_reply_ede(a->q, WP_EDE_OTHER, "all instances are unhealthy");
    return r < 0 ? r : WP_STEP_DONE;
}

static int answer_there(struct nomad_answer *a)
{
    uint16_t type = a->q->msg.qtype;

    if (WP_LIKELY(is_address(type) && is_plain(a)))
        return answer_plain(a);
    if (is_address(type) || type == WP_TYPE_SRV)
        return answer_picked(a);
    if (a->p->negative == NOMAD_RFC2308)
        return nomad_no_data(a);
    a->q->reply.error = "query type not implemented";
    return nomad_deny(a, WP_RCODE_NXDOMAIN);
}

int nomad_answer(struct nomad_answer *a, enum wp_nomad_known known)
{
    int r;

    if (WP_UNLIKELY(wp_query_is_explained(a->q)))
        nomad_explain(a, known);
    if (known == WP_NOMAD_UNKNOWN)
        return nomad_wait(a);
    r = WP_LIKELY(known == WP_NOMAD_THERE) ? answer_there(a) : nomad_deny(a, WP_RCODE_NXDOMAIN);
    return nomad_finish(a, r);
}

int nomad_cannot_tell(struct nomad_answer *a)
{
    struct wp_query *q = a->q;
    bool reached = atomic_load_explicit(&a->p->source->reached, memory_order_relaxed);
    int r = wp_reply_begin(q, WP_RCODE_SERVFAIL, 0);

    if (r < 0)
        return r;
    q->reply.error = reached ? "nomad: the service is not known and cannot be asked for"
                             : "nomad: no data yet";
    q->reply.err = WP_EUNREACHABLE;
    wp_reply_ede(q, reached ? WP_EDE_NO_REACHABLE_AUTHORITY : WP_EDE_NOT_READY,
                 reached ? "Nomad cannot be asked" : "Nomad has not been reached yet");
    q->cacheable = false; /* asking again costs nothing, and may help at once */
    return nomad_finish(a, WP_STEP_DONE);
}

/* The bytes as they stand are what CoreDNS logs and counts: it compresses these replies. */
static void note_size(struct wp_query *q)
{
    q->reply.full_size = q->reply.full_size_of = q->reply.len;
}

static void mark_stale(struct nomad_answer *a)
{
    struct wp_query *q = a->q;

    /* a copy in the cache would not be marked, and making it anew costs no more */
    q->cacheable = false;
    wp_reply_ede(q, q->reply.rcode == WP_RCODE_NXDOMAIN ? WP_EDE_STALE_NXDOMAIN : WP_EDE_STALE,
                 "Nomad cannot be reached");
    wp_metric_add(a->p->stale_answers, q->worker, 1);
}

int nomad_finish(struct nomad_answer *a, int r)
{
    struct wp_query *q = a->q;
    bool good = r == WP_STEP_DONE && q->reply.begun;

    if (r == WP_STEP_WAIT)
        return r;
    nomad_meter_add(&a->p->meter, q, a->p->source, a->key->namespace, a->key->namespace_len,
                    good && q->reply.rcode == WP_RCODE_NOERROR);
    if (!good)
        return r;
    note_size(q);
    if (WP_UNLIKELY(q->reply.rcode != WP_RCODE_SERVFAIL &&
                    wp_nomad_behind_s(a->p->source, wp_loop_now(q->loop)) > WP_NOMAD_STALE_S))
        mark_stale(a);
    return r;
}

int nomad_serve(void *self, struct wp_query *q)
{
    struct nomad *p = self;
    const struct nomad_zone *z = nomad_zone_match(p, &q->msg.qname);
    struct nomad_answer a;

    if (z == NULL)
        return pass_on(p, q);
    a.p = p;
    a.q = q;
    a.asked = a.lower_at = 0;
    a.broken = a.has_hosts = a.all_unwell = false;
    nomad_name_read(p, z, &q->msg.qname, &a.name);
    a.key = a.name.has_plain ? &a.name.plain : &a.name.tagged;
    if (WP_UNLIKELY(wp_log_is_debug()))
        tell_lookup(a.key);
    return nomad_answer(&a, nomad_find(&a));
}

void nomad_prefetch(const void *self, const struct wp_query *q, unsigned step)
{
    const struct nomad *p = self;
    uint64_t hash;

    if (!nomad_name_hash(p, &q->msg.qname, &hash))
        return;
    wp_nomad_prefetch(p->source, hash, step);
    if (step == 0)
        __builtin_prefetch(
            &wp_change_version[wp_change_slot(wp_nomad_store_key(p->source->store, hash))]);
}
