/* A question: which zone, what the tree says, what is written. */
#include <errno.h>
#include <string.h>

#include "backends/etcd/etcd.h"
#include "waypost/dns/edns.h"
#include "waypost/plugin/change.h"
#include "waypost/plugin/explain.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/metric.h"

enum {
    OWN_DEPS_MAX = 5, /* names of one answer that are remembered one by one */
};

/* The first names one by one; an answer made from very many hangs on every change. */
struct deps {
    struct wp_query *q;
    uint64_t source;
    unsigned n;
    /* of a question that is explained */
    const struct wp_etcd_range *range;
    struct etcd_told *told;
    uint64_t now_ns;
};

static void used(void *arg, const struct wp_etcd_rec *rec)
{
    const struct deps *d = arg;

    etcd_explain_record(d->q, d->told, d->range, rec, d->now_ns);
}

static void depends(void *arg, uint64_t key)
{
    struct deps *d = arg;

    if (++d->n <= OWN_DEPS_MAX)
        wp_query_depends(d->q, key);
    else if (d->n == OWN_DEPS_MAX + 1)
        wp_query_depends(d->q, wp_change_key(d->source, 0));
}

static unsigned zone_index(const struct etcd *p, const uint8_t *zone)
{
    unsigned i = 0;

    while (p->zones.zone[i] != zone)
        i++;
    return i;
}

static int write_soa(struct wp_query *q, const struct wp_etcd_zone *z, uint32_t serial)
{
    uint8_t rdata[2 * WP_NAME_MAX + WP_ETCD_SOA_NUMBERS];

    wp_etcd_zone_soa(z, serial, rdata);
    return wp_reply_rr(q, WP_AUTHORITY, z->name, WP_TYPE_SOA, WP_ETCD_SOA_TTL, rdata,
                       z->soa_names_len + WP_ETCD_SOA_NUMBERS);
}

/* No records: the zone's SOA says how long that may be believed. */
static int write_negative(struct wp_query *q, const struct wp_etcd_view *v, uint16_t rcode,
                          const char *error)
{
    int r = wp_reply_begin(q, rcode, WP_FLAG_AA);

    if (r == 0)
        r = write_soa(q, v->zone, v->serial);
    if (error != NULL) {
        q->reply.error = error;
        q->reply.err = WP_EMALFORMED;
    }
    return r < 0 ? r : WP_STEP_DONE;
}

static void mark_stale(struct etcd *p, struct wp_query *q, const struct wp_etcd_range *range,
                       uint64_t now_ns)
{
    bool is_saved = !wp_etcd_range_is_loaded(range) && wp_etcd_range_has_data(range);

    if (WP_LIKELY(!is_saved && wp_etcd_range_behind_s(range, now_ns) <= WP_ETCD_STALE_S))
        return;
    /* a copy in the cache would not be marked, and making it anew costs no more */
    q->cacheable = false;
    wp_reply_ede(q, q->reply.rcode == WP_RCODE_NXDOMAIN ? WP_EDE_STALE_NXDOMAIN : WP_EDE_STALE,
                 is_saved ? "saved data, etcd has not been reached since the start"
                          : "etcd cannot be reached");
    wp_metric_add(p->stale_answers, q->worker, 1);
}

static int write_not_ready(struct wp_query *q, const struct wp_etcd_view *v,
                           const struct wp_etcd_range *range)
{
    int r;

    wp_query_depends(q, wp_etcd_range_state_key(range));
    r = write_negative(q, v, WP_RCODE_SERVFAIL,
                       wp_etcd_range_has_data(range) ? "etcd: data is too old"
                                                     : "etcd: no data yet");
    q->reply.err = WP_ESTATE;
    wp_reply_ede(q, WP_EDE_NOT_READY,
                 wp_etcd_range_has_data(range) ? "etcd has not been reached for too long"
                                               : "etcd has not been reached yet");
    return r;
}

/* One section; false when the message is full. */
static bool write_section(struct wp_query *q, const struct wp_etcd_answer *a, enum wp_section s,
                          struct wp_query *const children[WP_ETCD_LOOKUPS_MAX], int *ret_error);

static int write_child(struct wp_query *q, struct wp_query *child, enum wp_section s, bool no_cname)
{
    struct wp_view view;
    int r;

    if (!no_cname)
        return wp_reply_append(q, child, WP_ANSWER, s);
    r = wp_reply_view(child, &view);
    for (size_t i = 0; r == 0 && i < view.n; i++) {
        struct wp_rr rr = view.rr[i];
        if (rr.section != WP_ANSWER || rr.type == WP_TYPE_CNAME)
            continue;
        rr.section = (uint8_t)s;
        r = wp_reply_put(q, &rr);
    }
    return r;
}

static bool write_section(struct wp_query *q, const struct wp_etcd_answer *a, enum wp_section s,
                          struct wp_query *const children[WP_ETCD_LOOKUPS_MAX], int *ret_error)
{
    for (uint32_t i = 0; i < a->n; i++) {
        const struct wp_etcd_item *item = &a->items[i];
        int r;
        if (item->section != s || !item->live)
            continue;
        if (item->kind == WP_ETCD_EXTERNAL)
            r = write_child(q, children[item->rdlen], s, item->ttl == 1);
        else
            r = wp_reply_rr(q, s, item->owner, item->type, item->ttl, item->rdata, item->rdlen);
        if (r == WP_ESPACE)
            return false;
        if (r < 0) {
            *ret_error = r;
            return true;
        }
    }
    return true;
}

int etcd_write(struct etcd *p, struct wp_query *q, struct wp_etcd_answer *a,
               struct wp_query *const children[WP_ETCD_LOOKUPS_MAX])
{
    const struct wp_etcd_view *v = a->view;
    const struct wp_etcd_range *range = p->range[v->zone - p->zone];
    bool whole;
    int r = 0;

    if (a->outcome == WP_ETCD_FOUND && wp_etcd_answer_settle(a) > 0) {
        r = wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA);
        if (r < 0)
            return r;
        if (v->with_unwell)
            wp_reply_ede(q, WP_EDE_OTHER, "all endpoints are unhealthy");
        whole = write_section(q, a, WP_ANSWER, children, &r);
        if (whole && r == 0)
            (void)write_section(q, a, WP_ADDITIONAL, children, &r);
        if (!whole || a->truncated)
            q->reply.flags |= WP_FLAG_TC;
        r = r < 0 ? r : WP_STEP_DONE;
    } else {
        r = write_negative(q, v,
                           a->outcome == WP_ETCD_NO_NAME  ? WP_RCODE_NXDOMAIN
                           : a->outcome == WP_ETCD_FAILED ? WP_RCODE_SERVFAIL
                                                          : WP_RCODE_NOERROR,
                           a->error);
        if (a->truncated)
            q->reply.flags |= WP_FLAG_TC;
    }
    if (r == WP_STEP_DONE)
        mark_stale(p, q, range, v->now_ns);
    return r;
}

static bool is_address(uint16_t qtype)
{
    return qtype == WP_TYPE_A || qtype == WP_TYPE_AAAA;
}

/* Is there nothing, where there are endpoints that are not well? */
static bool is_out(const struct etcd *p, const struct wp_etcd_answer *a)
{
    return p->health && !p->none_when_all_unwell && a->outcome != WP_ETCD_FAILED && a->n == 0 &&
           wp_etcd_tree_outs(a->view->snap.tree, WP_ETCD_OUT_UNWELL) > 0;
}

/* All of them may be well, and the checks wrong: better all than none. The name exists, whatever type
 * is asked for. */
static int answer_unwell(struct wp_etcd_answer *a, struct wp_etcd_view *v,
                         const struct wp_etcd_target *t, uint16_t qtype)
{
    int r;

    v->snap = wp_etcd_snap_with_unwell(&v->snap);
    r = wp_etcd_answer(a, t, qtype);
    v->with_unwell = r == 0 && a->n > 0;
    return r;
}

static int serve_slow(struct etcd *p, struct wp_query *q, const struct wp_etcd_view *view,
                      const struct wp_etcd_target *t)
{
    struct wp_etcd_view *v = wp_arena_dup(q->arena, view, sizeof(*view));
    struct wp_etcd_answer *a = wp_arena_alloc(q->arena, sizeof(*a));
    struct deps deps = {.q = q, .source = wp_etcd_tree_source(view->snap.tree)};
    int r;

    if (v == NULL || a == NULL)
        return -ENOMEM;
    a->arena = q->arena;
    a->view = v;
    a->depends = depends;
    a->arg = &deps;
    a->used = NULL;
    if (WP_UNLIKELY(wp_query_is_explained(q))) {
        a->used = used;
        deps.range = p->range[view->zone - p->zone];
        deps.now_ns = view->now_ns;
        deps.told = etcd_explain_begin(q, deps.range, &t->path, view->now_ns);
    }
    a->items = NULL;
    a->cap = 0;
    r = wp_etcd_answer(a, t, q->msg.qtype);
    if (r == 0 && is_out(p, a))
        r = answer_unwell(a, v, t, q->msg.qtype);
    if (r < 0)
        return r;
    if (a->outcome == WP_ETCD_NO_NAME && wp_fall_through(&p->fall, &q->msg.qname))
        return WP_STEP_NEXT;
    return a->n_lookups > 0 ? etcd_resolve(p, q, a) : etcd_write(p, q, a, NULL);
}

/* There is data, and it is not older than may be. */
static bool is_servable(const struct etcd *p, const struct wp_etcd_range *range, uint64_t now_ns)
{
    return wp_etcd_range_has_data(range) &&
           (p->max_stale_ns == 0 ||
            wp_etcd_range_behind_s(range, now_ns) <= (uint64_t)p->max_stale_ns / 1000000000u);
}

int etcd_serve(void *self, struct wp_query *q)
{
    struct etcd *p = self;
    const uint8_t *zone = wp_zones_match(&p->zones, &q->msg.qname);
    struct wp_etcd_target t;
    struct wp_etcd_range *range;
    struct wp_etcd_view v;
    unsigned i;
    int r;

    if (zone == NULL)
        return WP_STEP_NEXT;
    i = zone_index(p, zone);
    range = p->range[i];
    v = (struct wp_etcd_view){
        .zone = &p->zone[i],
        .bounds = p->bounds,
        .no_apex_fallback = p->no_apex_fallback,
        .svcb = p->svcb,
        .now_ns = wp_loop_now(q->loop),
        .serial = (uint32_t)wp_loop_unix_time(q->loop),
    };
    if (WP_UNLIKELY(!is_servable(p, range, v.now_ns)) && q->msg.qtype != WP_TYPE_SOA)
        return write_not_ready(q, &v, range);
    if (WP_UNLIKELY(!wp_etcd_range_is_loaded(range))) {
        wp_query_depends(q, wp_etcd_range_state_key(range)); /* before it is marked, or not */
        v.bounds.cap_s = WP_ETCD_SAVED_TTL_S;
    }
    t.name = &q->msg.qname;
    wp_etcd_path_set(&t.path, t.name);
    v.snap = wp_etcd_tree_snap(range->tree);
    if (is_address(q->msg.qtype) && !t.path.star && q->msg.qname.len > v.zone->name_len) {
        r = etcd_quick(q, &v, &t.path, range);
        if (r == WP_STEP_DONE)
            mark_stale(p, q, range, v.now_ns);
        if (r != WP_STEP_NEXT)
            return r;
    }
    return serve_slow(p, q, &v, &t);
}
