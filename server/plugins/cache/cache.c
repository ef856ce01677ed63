/* cache: keeps replies in wire form and gives them back with their time counted down. A change
 * in a backend makes exactly the replies that were made from it worthless (change.h). */
#include "server/plugins/cache/cache.h"

#include <stdio.h>
#include <stdlib.h>

#include "waypost/plugin/block.h"
#include "waypost/plugin/explain.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/report.h"

#define SECOND 1000000000ull

/* --- metrics ------------------------------------------------------------------------------- */

#define FAMILY(what, text, ...)                                                                    \
    static const struct wp_family what##_family = {                                                \
        .name = "coredns_cache_" #what, .help = text, .kind = WP_COUNTER, .labels = {__VA_ARGS__}}
FAMILY(requests_total, "The count of cache requests.", "server", "zones", "view");
FAMILY(misses_total, "The count of cache misses. Deprecated, derive misses from cache hits/requests counters.", "server", "zones", "view");
FAMILY(hits_total, "The count of cache hits.", "server", "type", "zones", "view");
FAMILY(evictions_total, "The count of cache evictions.", "server", "type", "zones", "view");
FAMILY(prefetch_total, "The number of times the cache has prefetched a cached item.", "server", "zones", "view");
FAMILY(drops_total, "The number responses that are not cached, because the reply is malformed.", "server", "zones", "view");
FAMILY(served_stale_total, "The number of requests served from stale cache entries.", "server", "zones", "view");
static const struct wp_family entries_family = {
    .name = "coredns_cache_entries",
    .help = "The number of elements in the cache.",
    .kind = WP_GAUGE,
    .labels = {"server", "type", "zones", "view"},
};
static const char *const type_label[2] = {"success", "denial"};

static double count_items(void *arg)
{
    return (double)atomic_load(&((struct cache_store *)arg)->n_items);
}

static void make_meters(struct cache *c, struct cache_meters *m, const char *server)
{
    const char *v[] = {server, c->zones_label, ""};

    m->requests = wp_metric_series(&requests_total_family, v);
    m->misses = wp_metric_series(&misses_total_family, v);
    m->prefetch = wp_metric_series(&prefetch_total_family, v);
    m->drops = wp_metric_series(&drops_total_family, v);
    m->stale = wp_metric_series(&served_stale_total_family, v);
    for (int k = 0; k < 2; k++) {
        const char *t[] = {server, type_label[k], c->zones_label, ""};

        m->hits[k] = wp_metric_series(&hits_total_family, t);
        m->evictions[k] = wp_metric_series(&evictions_total_family, t);
        wp_metric_read(wp_metric_series(&entries_family, t), count_items, &c->stores->store[k]);
    }
}

/* The few listeners of a block: found by pointer; made when first met. */
struct cache_meters *cache_meters_for(struct cache *c, const struct wp_query *q)
{
    const char *server = wp_query_server(q);
    struct cache_meters *m = NULL;

    for (unsigned i = 0; i < CACHE_METERS; i++) {
        const char *have = atomic_load_explicit(&c->meters[i].server, memory_order_acquire);

        if (have == server)
            return &c->meters[i];
        if (have == NULL)
            break;
    }
    pthread_mutex_lock(&c->meters_lock);
    for (unsigned i = 0; i < CACHE_METERS && m == NULL; i++) {
        const char *have = atomic_load(&c->meters[i].server);

        if (have != NULL && have != server && i < CACHE_METERS - 1)
            continue;
        m = &c->meters[i];
        if (have == NULL) {
            make_meters(c, m, server);
            atomic_store_explicit(&m->server, server, memory_order_release);
        }
    }
    pthread_mutex_unlock(&c->meters_lock);
    return m;
}

/* --- asking -------------------------------------------------------------------------------- */

static int64_t left_s(const struct cache_item *i, uint64_t now_ns)
{
    return (int64_t)i->ttl_s - (int64_t)((now_ns - i->stored_ns) / SECOND);
}

static bool usable(const struct cache *c, const struct cache_item *i, uint64_t now_ns)
{
    int64_t left = left_s(i, now_ns);

    if (left > 0)
        return true;
    return c->stale != CACHE_STALE_OFF && -left < (int64_t)((uint64_t)c->stale_ns / SECOND);
}

static struct cache_item *find(struct cache *c, unsigned k, const struct wp_query *q, uint64_t key)
{
    struct cache_item *i = cache_store_find(&c->stores->store[k], q, key);

    return i != NULL && cache_item_is_current(i) ? i : NULL;
}

/* Denial before success, unless a positive answer is preferred; a kept SERVFAIL does not hide a
 * usable answer. */
static struct cache_item *look_up(struct cache *c, const struct wp_query *q, uint64_t key,
                                  uint64_t now_ns, unsigned *ret_k)
{
    struct cache_item *yes = NULL, *no;

    if (c->prefer_positive) {
        yes = find(c, CACHE_SUCCESS_AT, q, key);
        if (yes != NULL && yes->answers && usable(c, yes, now_ns)) {
            *ret_k = CACHE_SUCCESS_AT;
            return yes;
        }
    }
    no = find(c, CACHE_DENIAL_AT, q, key);
    if (no != NULL && usable(c, no, now_ns)) {
        if (no->rcode == WP_RCODE_SERVFAIL) {
            yes = find(c, CACHE_SUCCESS_AT, q, key);
            if (yes != NULL && usable(c, yes, now_ns)) {
                *ret_k = CACHE_SUCCESS_AT;
                return yes;
            }
        }
        *ret_k = CACHE_DENIAL_AT;
        return no;
    }
    yes = find(c, CACHE_SUCCESS_AT, q, key);
    *ret_k = CACHE_SUCCESS_AT;
    return yes != NULL && usable(c, yes, now_ns) ? yes : NULL;
}

static void prefetch(struct cache *c, struct wp_query *q, struct cache_item *i, uint64_t now_ns)
{
    uint64_t last = atomic_exchange_explicit(&i->last_hit_ns, now_ns, memory_order_relaxed);
    int64_t threshold = (i->ttl_s * c->prefetch_percent + 99) / 100;
    uint32_t hits;

    if (last != 0 && now_ns - last < (uint64_t)c->prefetch_ns) {
        hits = atomic_fetch_add_explicit(&i->hits, 1, memory_order_relaxed) + 1;
    } else {
        atomic_store_explicit(&i->hits, 1, memory_order_relaxed);
        hits = 1;
    }
    if (hits >= c->prefetch_amount && left_s(i, now_ns) <= threshold) {
        wp_metric_add(cache_meters_for(c, q)->prefetch, q->worker, 1);
        cache_refresh(c, q, i);
    }
}

static void explain_hit(struct wp_query *q, const struct cache_item *i, unsigned k, int64_t left,
                        uint64_t now_ns)
{
    struct wp_report *d = wp_explain_details(q), *s = wp_explain_sources(q);

    wp_report_text(d, "cache", left > 0 ? "hit" : "stale");
    wp_report_int(d, "ttl_left", left);
    wp_report_open(s, NULL);
    wp_report_text(s, "source", "cache");
    wp_report_text(s, "kept_as", type_label[k]);
    wp_report_s(s, "age_s", now_ns - i->stored_ns);
    wp_report_int(s, "ttl_left", left);
    wp_report_close(s);
}

static int cache_serve(void *self, struct wp_query *q)
{
    struct cache *c = self;
    uint64_t now_ns = wp_loop_now(q->loop), key;
    struct cache_meters *m;
    struct cache_item *i;
    unsigned k;
    int64_t left;
    int r;

    if (wp_msg_opcode(&q->msg) != WP_OPCODE_QUERY ||
        (!c->all_zones && wp_zones_match(&c->zones, &q->msg.qname) == NULL))
        return WP_STEP_NEXT;
    m = cache_meters_for(c, q);
    wp_metric_add(m->requests, q->worker, 1);
    key = cache_key(q);
    i = look_up(c, q, key, now_ns, &k);
    if (i == NULL) {
        wp_metric_add(m->misses, q->worker, 1);
        if (WP_UNLIKELY(wp_query_is_explained(q)))
            wp_report_text(wp_explain_details(q), "cache", "miss");
        wp_query_state_set(q, NULL);
        wp_query_want_reply(q);
        return WP_STEP_NEXT;
    }
    left = left_s(i, now_ns);
    if (WP_UNLIKELY(wp_query_is_explained(q)))
        explain_hit(q, i, k, left, now_ns);
    if (WP_UNLIKELY(left <= 0)) {
        wp_metric_add(m->hits[k], q->worker, 1);
        wp_metric_add(m->stale, q->worker, 1);
        return cache_serve_stale(c, q, i);
    }
    wp_metric_add(m->hits[k], q->worker, 1);
    r = cache_item_reply(i, q, c->keep_ttl ? i->ttl_s : (uint32_t)left);
    if (r < 0)
        return r;
    if (c->prefetch_amount > 0)
        prefetch(c, q, i, now_ns);
    return WP_STEP_DONE;
}

static void cache_come_near(const void *self, const struct wp_query *q, unsigned step)
{
    const struct cache *c = self;
    uint64_t key = cache_key(q);

    for (unsigned k = 0; k < 2; k++)
        cache_store_prefetch(&c->stores->store[k], key, step);
}

static int cache_reply(void *self, struct wp_query *q)
{
    struct cache *c = self;

    int64_t ttl;

    if (cache_verified(c, q))
        return WP_STEP_NEXT;
    ttl = cache_keep(c, q, true);
    if (WP_UNLIKELY(wp_query_is_explained(q)) && ttl >= 0)
        wp_report_int(wp_explain_details(q), "kept_for", ttl);
    return WP_STEP_NEXT;
}

static void cache_cancel(void *self, struct wp_query *q)
{
    cache_stale_cancel(self, q);
}

/* --- status ---------------------------------------------------------------------------------- */

static void cache_status(void *self, struct wp_report *r)
{
    const struct cache *c = self;
    uint64_t hits = 0, misses = 0, evictions = 0;

    for (unsigned i = 0; i < CACHE_METERS && atomic_load(&c->meters[i].server) != NULL; i++) {
        const struct cache_meters *m = &c->meters[i];

        hits += wp_metric_value(m->hits[0]) + wp_metric_value(m->hits[1]);
        misses += wp_metric_value(m->misses);
        evictions += wp_metric_value(m->evictions[0]) + wp_metric_value(m->evictions[1]);
    }
    for (int k = 0; k < 2; k++) {
        const struct cache_store *s = &c->stores->store[k];

        wp_report_int(r, k == CACHE_SUCCESS_AT ? "answers" : "denials",
                      (int64_t)atomic_load(&s->n_items));
        wp_report_int(r, k == CACHE_SUCCESS_AT ? "max_answers" : "max_denials",
                      (int64_t)s->cap * CACHE_SHARDS);
    }
    wp_report_octets(r, "octets", atomic_load(&c->stores->store[0].n_octets) +
                                      atomic_load(&c->stores->store[1].n_octets));
    wp_report_int(r, "hits", (int64_t)hits);
    wp_report_int(r, "misses", (int64_t)misses);
    wp_report_int(r, "evictions", (int64_t)evictions);
}

/* --- configuration --------------------------------------------------------------------------- */

static int cache_new(void *self, struct wp_setup *s)
{
    struct cache *c = self;

    (void)s;
    c->limits[CACHE_SUCCESS_AT] = (struct cache_limits){.capacity = 9984, .ttl_s = 3600, .min_ttl_s = 5};
    c->limits[CACHE_DENIAL_AT] = (struct cache_limits){.capacity = 9984, .ttl_s = 1800, .min_ttl_s = 5};
    c->prefetch_ns = 60ll * (int64_t)SECOND;
    c->prefetch_percent = 10;
    c->stale_ns = 3600ll * (int64_t)SECOND;
    c->servfail_ns = 5ll * (int64_t)SECOND;
    pthread_mutex_init(&c->meters_lock, NULL);
    return 0;
}

static int cache_check(void *self, struct wp_setup *s)
{
    struct cache *c = self;

    if (c->prefer_positive && c->stale == CACHE_STALE_OFF)
        return wp_setup_fail(s, "serve_stale_policy requires serve_stale");
    if (c->zones.n == 0) {
        c->zones = *s->zones;
        c->all_zones = true;
    }
    c->zones_label = "";
    for (unsigned i = 0; i < c->zones.n; i++) {
        char text[WP_NAME_TEXT_MAX];

        c->zones_label = wp_arena_printf(s->arena, "%s%s%s", c->zones_label, i > 0 ? "," : "",
                                         wp_name_text(c->zones.zone[i], text));
        if (c->zones_label == NULL)
            return -ENOMEM;
    }
    return 0;
}

static void stores_unref(struct cache_stores *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    cache_store_done(&s->store[0]);
    cache_store_done(&s->store[1]);
    free(s);
}

static int cache_start(void *self, struct wp_env *env)
{
    struct cache *c = self;
    const struct cache *before = env->previous;

    c->env = env;
    if (before != NULL && before->stores != NULL && wp_block_same(env->block, before->env->block)) {
        /* every line of the block is as it was: its answers are still right */
        c->stores = before->stores;
        atomic_fetch_add(&c->stores->refs, 1);
        return 0;
    }
    c->stores = calloc(1, sizeof(*c->stores));
    if (c->stores == NULL)
        return -ENOMEM;
    atomic_init(&c->stores->refs, 1);
    for (unsigned k = 0; k < 2; k++) {
        int r = cache_store_init(&c->stores->store[k], c->limits[k].capacity);

        if (r < 0)
            return r;
    }
    return 0;
}

static void cache_stop(void *self)
{
    struct cache *c = self;

    for (unsigned i = 0; i < CACHE_METERS; i++) {
        const char *server = atomic_load(&c->meters[i].server);

        for (int k = 0; server != NULL && k < 2; k++) {
            const char *t[] = {server, type_label[k], c->zones_label, ""};
            wp_metric_drop(&entries_family, t);
        }
    }
    stores_unref(c->stores);
    pthread_mutex_destroy(&c->meters_lock);
}

extern const struct wp_option cache_options[];
const struct wp_plugin wp_plugin_cache = {
    .name = "cache",
    .size = sizeof(struct cache),
    .options = cache_options,
    .repeat = WP_REPEAT_ERROR,
    .new = cache_new,
    .check = cache_check,
    .start = cache_start,
    .serve = cache_serve,
    .prefetch = cache_come_near,
    .reply = cache_reply,
    .cancel = cache_cancel,
    .stop = cache_stop,
    .status = cache_status,
    .status_place = WP_STATUS_CACHES,
};
