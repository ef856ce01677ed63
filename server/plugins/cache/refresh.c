/* Keeping replies, and asking again behind the client's back: prefetch and serve_stale. */
#include "server/plugins/cache/cache.h"

#include <stdlib.h>

#include "waypost/dns/edns.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/loop.h"

#define SECOND 1000000000ull

static bool is_disabled(const struct cache_limits *m, const struct wp_query *q)
{
    return m->disabled &&
           (m->disabled_zones.n == 0 || wp_zones_match(&m->disabled_zones, &q->msg.qname) != NULL);
}

static int64_t clamp(int64_t v, int64_t min, int64_t max)
{
    return v < min ? min : v > max ? max : v;
}

/* Seconds the reply may be kept: its smallest TTL, for answers and denials; referrals and whatever
 * else get the least (as the reference has it). */
static int64_t ttl_for(const struct cache *c, const struct cache_limits *m, struct wp_query *q)
{
    enum wp_reply_kind kind = wp_reply_kind(q);
    uint32_t min = UINT32_MAX;

    if (q->reply.rcode == WP_RCODE_SERVFAIL || q->reply.rcode == WP_RCODE_NOTIMP)
        return c->servfail_ns / (int64_t)SECOND;
    if (kind == WP_REPLY_NOERROR || kind == WP_REPLY_NXDOMAIN || kind == WP_REPLY_NODATA)
        min = wp_reply_ttl_min(q);
    return clamp(min == UINT32_MAX ? 5 : (int64_t)min, m->min_ttl_s, m->ttl_s);
}

/* Nothing was written, and there was an error: a bare SERVFAIL stands for it (1.15.0). */
static bool bare_failure(struct wp_query *q, bool miss)
{
    return miss && q->reply.unwritten && q->reply.rcode == WP_RCODE_SERVFAIL &&
           q->reply.error != NULL && !q->cancelled;
}

static void put(struct cache *c, struct wp_query *q, unsigned k, uint32_t ttl_s, bool answers)
{
    struct cache_item *i = cache_item_new(q, cache_key(q), ttl_s, wp_loop_now(q->loop));

    if (i == NULL)
        return;
    i->answers = answers;
    if (cache_store_put(&c->stores->store[k], i))
        wp_metric_add(cache_meters_for(c, q)->evictions[k], q->worker, 1);
}

/* The failure is kept as a reply; the client still gets the error's own way. */
static void keep_failure(struct cache *c, struct wp_query *q)
{
    struct wp_reply before = q->reply;

    if (c->servfail_ns < (int64_t)SECOND || is_disabled(&c->limits[CACHE_DENIAL_AT], q))
        return;
    if (wp_reply_begin(q, WP_RCODE_SERVFAIL, 0) == 0)
        put(c, q, CACHE_DENIAL_AT, (uint32_t)(c->servfail_ns / (int64_t)SECOND), false);
    before.buf = q->reply.buf;
    before.cap = q->reply.cap;
    q->reply = before;
}

/* What is not kept passes with the time it would have had: clients see no jump when the next
 * reply is kept. */
static void pass_on(const struct cache *c, struct wp_query *q)
{
    if (q->reply.count[WP_ANSWER] > 0 && q->msg.qtype != WP_TYPE_AXFR && q->msg.qtype != WP_TYPE_IXFR)
        cache_set_ttls(q, (uint32_t)ttl_for(c, &c->limits[CACHE_SUCCESS_AT], q));
}

/* Made for the asker's network (RFC 7871 s7.3): nobody else is to have it. */
static bool is_for_a_subnet(const struct wp_query *q)
{
    const struct wp_edns e = {.options = q->reply.options, .options_len = q->reply.options_len};
    uint16_t len = 0;
    const uint8_t *ecs = e.options_len > 0 ? wp_edns_option_find(&e, WP_EDNS_ECS, &len) : NULL;

    return ecs != NULL && len >= 4 && ecs[3] > 0; /* SCOPE PREFIX-LENGTH */
}

int64_t cache_keep(struct cache *c, struct wp_query *q, bool miss)
{
    struct cache_limits *m;
    enum cache_kind kind;
    bool answers;
    int64_t ttl;
    unsigned k;

    if (bare_failure(q, miss)) {
        keep_failure(c, q);
        return -1;
    }
    if (!q->reply.begun || q->reply.dropped || !q->cacheable || is_for_a_subnet(q))
        return -1;
    kind = cache_judge(q, wp_loop_unix_time(q->loop), &answers);
    if (kind == CACHE_NONE) {
        pass_on(c, q);
        return -1;
    }
    k = kind == CACHE_SUCCESS ? CACHE_SUCCESS_AT : CACHE_DENIAL_AT;
    m = &c->limits[k];
    ttl = ttl_for(c, m, q);
    if (ttl <= 0)
        return -1;
    cache_set_ttls(q, (uint32_t)ttl); /* as pass_on has it, also where nothing is kept */
    if (is_disabled(m, q))
        return -1;
    put(c, q, k, (uint32_t)ttl, answers);
    return ttl;
}

/* --- in the background ------------------------------------------------------------------------ */

/* A waiting query and the background look-up that may end after it (verify with a time limit);
 * lives until the look-up has ended. */
struct verify {
    struct cache *c;
    struct wp_query *waiter; /* NULL: served already */
    struct wp_timer timer;
    const struct cache_item *stale; /* the waiter's own copy, in its arena */
};

static bool is_good(const struct wp_query *q)
{
    return q->reply.begun && !q->reply.dropped && !(q->reply.flags & WP_FLAG_TC) &&
           (q->reply.rcode == WP_RCODE_NOERROR || q->reply.rcode == WP_RCODE_NXDOMAIN);
}

/* Let the next one try, after RECHECK if this one failed. */
static void settle_item(struct cache *c, const struct wp_query *child, bool good)
{
    uint64_t key = cache_key(child);

    for (unsigned k = 0; k < 2; k++) {
        struct cache_item *i = cache_store_find(&c->stores->store[k], child, key);

        if (i == NULL)
            continue;
        if (!good)
            atomic_store(&i->retry_ns, wp_loop_now(child->loop) + (uint64_t)c->recheck_ns);
        atomic_store(&i->refreshing, false);
    }
}

static void keep_refreshed(struct cache *c, struct wp_query *child)
{
    uint64_t key = cache_key(child);
    struct cache_item *old = cache_store_find(&c->stores->store[CACHE_SUCCESS_AT], child, key);
    uint32_t hits = old != NULL ? atomic_load(&old->hits) : 0;
    uint64_t last = old != NULL ? atomic_load(&old->last_hit_ns) : 0;

    if (!is_good(child))
        return; /* a failure does not push out what can still be served */
    cache_keep(c, child, false);
    old = cache_store_find(&c->stores->store[CACHE_SUCCESS_AT], child, key);
    if (old != NULL) { /* the run of hits goes on (prefetch) */
        atomic_store(&old->hits, hits);
        atomic_store(&old->last_hit_ns, last);
    }
}

static void on_refreshed(void *arg, struct wp_query *child)
{
    struct cache *c = arg;

    keep_refreshed(c, child);
    settle_item(c, child, is_good(child));
    wp_query_release(child);
}

void cache_refresh(struct cache *c, struct wp_query *q, struct cache_item *i)
{
    bool idle = false;

    if (wp_loop_now(q->loop) < atomic_load(&i->retry_ns) ||
        !atomic_compare_exchange_strong(&i->refreshing, &idle, true))
        return;
    if (wp_query_spawn(q, on_refreshed, c) < 0)
        atomic_store(&i->refreshing, false);
}

/* --- serve_stale -------------------------------------------------------------------------------- */

/* A copy that outlives the turn: the query may wait now. */
static struct cache_item *own_copy(struct wp_query *q, const struct cache_item *i)
{
    struct cache_item *mine = wp_arena_dup(q->arena, i, cache_item_octets(i));

    if (mine != NULL && i->wildcard != NULL)
        mine->wildcard = (char *)mine + ((const char *)i->wildcard - (const char *)i);
    return mine;
}

static int answer_stale(struct cache *c, struct wp_query *q, const struct cache_item *i)
{
    int r = cache_item_reply(i, q, (uint32_t)c->stale_ttl_s);

    return r < 0 ? r : WP_STEP_DONE;
}

/* May the fresh reply take the stale one's place? */
static bool replaces(const struct cache *c, struct wp_query *fresh, const struct cache_item *stale)
{
    bool answers;

    if (!is_good(fresh))
        return false;
    if (!c->prefer_positive || !stale->answers)
        return true;
    return cache_judge(fresh, wp_loop_unix_time(fresh->loop), &answers) == CACHE_SUCCESS && answers;
}

/* The waiter goes on: with the reply that stands in it, or with the stale one. */
static void release_waiter(struct verify *v, int step)
{
    struct wp_query *q = v->waiter;

    v->waiter = NULL;
    wp_timer_cancel(&v->timer);
    wp_query_resume(q, step);
}

static void on_verify_timeout(struct wp_timer *t)
{
    struct verify *v = (struct verify *)((char *)t - offsetof(struct verify, timer));

    release_waiter(v, answer_stale(v->c, v->waiter, v->stale));
}

static int copy_reply(struct wp_query *q, const struct wp_query *from)
{
    int r = wp_reply_begin(q, from->reply.rcode, from->reply.flags);

    for (unsigned s = 0; s < WP_SECTIONS && r >= 0; s++)
        r = wp_reply_append(q, from, (enum wp_section)s, (enum wp_section)s);
    return r < 0 ? r : WP_STEP_DONE;
}

static void on_verify_done(void *arg, struct wp_query *child)
{
    struct verify *v = arg;
    struct cache *c = v->c;

    keep_refreshed(c, child);
    settle_item(c, child, is_good(child));
    if (v->waiter != NULL)
        release_waiter(v, replaces(c, child, v->stale) ? copy_reply(v->waiter, child)
                                                       : answer_stale(c, v->waiter, v->stale));
    free(v);
    wp_query_release(child);
}

static int verify_with_limit(struct cache *c, struct wp_query *q, struct cache_item *i)
{
    struct verify *v = calloc(1, sizeof(*v));

    if (v == NULL)
        return answer_stale(c, q, i);
    *v = (struct verify){.c = c, .waiter = q, .stale = own_copy(q, i)};
    v->timer.fn = on_verify_timeout;
    if (v->stale == NULL || wp_query_spawn(q, on_verify_done, v) < 0) {
        free(v);
        atomic_store(&i->refreshing, false);
        return answer_stale(c, q, i);
    }
    wp_query_state_set(q, v);
    wp_timer_set(q->loop, &v->timer, wp_loop_now(q->loop) + (uint64_t)c->verify_ns);
    return WP_STEP_WAIT;
}

/* May this query look after the item? One at a time where the options say so. */
static bool claim(const struct cache *c, const struct wp_query *q, struct cache_item *i)
{
    bool idle = false;

    if (c->verify_ns == 0 && c->recheck_ns == 0)
        return true; /* every query verifies for itself */
    return wp_loop_now(q->loop) >= atomic_load(&i->retry_ns) &&
           atomic_compare_exchange_strong(&i->refreshing, &idle, true);
}

int cache_serve_stale(struct cache *c, struct wp_query *q, struct cache_item *i)
{
    struct cache_item *mine;

    if (c->stale == CACHE_STALE_IMMEDIATE) {
        cache_refresh(c, q, i);
        return answer_stale(c, q, i);
    }
    if (!claim(c, q, i))
        return answer_stale(c, q, i);
    if (c->verify_ns > 0)
        return verify_with_limit(c, q, i);
    mine = own_copy(q, i);
    if (mine == NULL)
        return answer_stale(c, q, i);
    wp_query_state_set(q, mine);
    wp_query_want_reply(q);
    return WP_STEP_NEXT;
}

bool cache_verified(struct cache *c, struct wp_query *q)
{
    const struct cache_item *stale = wp_query_state(q);

    if (stale == NULL)
        return false;
    if (c->recheck_ns > 0)
        settle_item(c, q, is_good(q));
    if (replaces(c, q, stale)) {
        cache_keep(c, q, false);
        return true;
    }
    if (is_good(q))
        cache_keep(c, q, false); /* a denial is kept; the positive one still wins */
    if (answer_stale(c, q, stale) < 0)
        wp_query_fail(q, WP_RCODE_SERVFAIL, WP_ESPACE, NULL);
    return true;
}

void cache_stale_cancel(struct cache *c, struct wp_query *q)
{
    struct verify *v = wp_query_state(q);

    (void)c;
    release_waiter(v, WP_STEP_DONE);
}
