/* prometheus: counts questions; shows all metrics. */
#include "server/plugins/prometheus/dropped.h"
#include "server/plugins/prometheus/enabled.h"
#include "server/plugins/prometheus/families.h"
#include "server/plugins/prometheus/point.h"
#include "server/plugins/prometheus/web.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/http_admin.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/plugin.h"
#include "waypost/tls/tls.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define REFRESH_NS UINT64_C(10000000000)

struct prometheus {
    const char *address, *web_file;

    bool started;
    struct wp_loop *admin;
    const struct wp_block *block;
    const char *server; /* label of the block's first listener */
    struct wp_http_page *page;
    struct web *web;
    struct wp_timer refresh; /* of certificates; the admin loop's */

    struct point *_Atomic *points; /* open addressing by server and zone; a cell is filled once */
    unsigned mask;
    pthread_mutex_t making; /* held while a cell is filled */
    const char *behind;     /* the next plugin in the chain: the label `plugin` */
};

/* --- set-up ---------------------------------------------------------------------------------- */

static int prometheus_new(void *self, struct wp_setup *s)
{
    struct prometheus *p = self;

    (void)s;
    p->address = "localhost:9153";
    pthread_mutex_init(&p->making, NULL);
    return 0;
}

static int parse_line(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct prometheus *p = self;

    return wp_http_address_line(s, line, &p->address);
}

static int parse_runtime(void *self, struct wp_setup *s, const struct wp_line *line)
{
    (void)self;
    return line->n_words > 1 ? wp_setup_arg_error(s, line) : 0;
}

static int parse_tls(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct prometheus *p = self;

    if (line->n_words != 2)
        return wp_setup_arg_error(s, line);
    p->web_file = line->words[1];
    return 0;
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_line, .help = "[ADDRESS]"},
    {.name = "runtime_metrics", .kind = WP_OPT_CALL, .parse = parse_runtime, .help = "accepted"},
    {.name = "tls",
     .kind = WP_OPT_CALL,
     .parse = parse_tls,
     .help = "web configuration file: TLS, basic authentication"},
    {0},
};

/* --- each question --------------------------------------------------------------------------- */

static unsigned slot_of(const struct prometheus *p, const char *server, const uint8_t *zone)
{
    return (unsigned)wp_hash_mix((uint64_t)(uintptr_t)server, (uint64_t)(uintptr_t)zone) & p->mask;
}

/* The point of server and zone, made if need be; NULL when there is no room. */
static __attribute__((noinline)) struct point *make_point(struct prometheus *p, const char *server,
                                                          const uint8_t *zone)
{
    char text[WP_NAME_TEXT_MAX] = ".";
    const char *view = p->block->view != NULL ? p->block->view : "";
    struct point *point = NULL;
    unsigned at = slot_of(p, server, zone);

    if (zone != NULL)
        wp_name_text(zone, text);
    pthread_mutex_lock(&p->making);
    for (unsigned i = 0; i <= p->mask; i++, at = (at + 1) & p->mask) {
        point = atomic_load_explicit(&p->points[at], memory_order_acquire);
        if (point == NULL) {
            point = wp_point_new(server, text, view, p->behind);
            if (point != NULL) {
                point->server = server;
                point->zone = zone;
                atomic_store_explicit(&p->points[at], point, memory_order_release);
            }
            break;
        }
        if (point->server == server && point->zone == zone)
            break;
        point = NULL;
    }
    pthread_mutex_unlock(&p->making);
    return point;
}

static inline struct point *find_point(struct prometheus *p, const char *server,
                                       const uint8_t *zone)
{
    unsigned at = slot_of(p, server, zone);

    for (unsigned i = 0; i <= p->mask; i++, at = (at + 1) & p->mask) {
        struct point *point = atomic_load_explicit(&p->points[at], memory_order_acquire);
        if (WP_UNLIKELY(point == NULL))
            return make_point(p, server, zone);
        if (WP_LIKELY(point->server == server && point->zone == zone))
            return point;
    }
    return NULL;
}

static int prometheus_serve(void *self, struct wp_query *q)
{
    (void)self;
    wp_query_want_reply(q);
    return WP_STEP_NEXT;
}

static int prometheus_reply(void *self, struct wp_query *q)
{
    struct prometheus *p = self;
    const struct wp_reply *r = &q->reply;
    /* DS is answered by the parent zone's block, but counted under the longest zone that matches */
    const uint8_t *zone = WP_UNLIKELY(q->msg.qtype == WP_TYPE_DS)
                              ? wp_zones_match(&q->block->zones, &q->msg.qname)
                              : q->zone;
    struct point *point = find_point(p, wp_query_server(q), zone);
    bool written = r->begun && !r->dropped;
    struct point_sample s = {
        .worker = q->worker,
        .is_tcp = wp_query_proto(q)[0] == 't',
        .is_v6 = q->client.family == 6,
        .is_do = q->had_do,
        .is_written = written,
        .qtype = q->msg.qtype,
        .rcode = r->dropped ? WP_RCODE_NOERROR : r->rcode,
        .size = q->wire_len,
        .reply_size = written ? wp_reply_size(q) : 0,
        .elapsed_ns = wp_query_elapsed(q),
    };

    if (WP_LIKELY(point != NULL))
        wp_point_count(point, &s);
    return WP_STEP_NEXT;
}

/* --- the page -------------------------------------------------------------------------------- */

static void on_request(void *arg, const struct wp_http_request *rq, struct wp_http_answer *a)
{
    struct prometheus *p = arg;

    if (p->web != NULL && !wp_web_allows(p->web, rq->authorization)) {
        a->status = 401;
        a->headers = "WWW-Authenticate: Basic\r\n";
        a->body = "Unauthorized\n";
        a->len = strlen(a->body);
        return;
    }
    a->body = a->to_free = wp_metric_text(&a->len);
    if (a->body == NULL) {
        a->status = 500;
        a->len = 0;
        return;
    }
    a->type = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    a->headers = p->web != NULL ? wp_web_headers(p->web) : NULL;
    a->compressible = true;
}

static void set_refresh(struct prometheus *p)
{
    wp_timer_set(p->admin, &p->refresh, wp_loop_now(p->admin) + REFRESH_NS);
}

static void on_refresh(struct wp_timer *t)
{
    struct prometheus *p = (struct prometheus *)((char *)t - offsetof(struct prometheus, refresh));
    char why[256];

    if (wp_tls_ctx_refresh(wp_web_tls(p->web), why) < 0)
        wp_log(WP_ERROR, "prometheus", "new certificate not used: %s", why);
    set_refresh(p);
}

static void start_refresh(void *arg, struct wp_loop *loop)
{
    struct prometheus *p = arg;

    (void)loop;
    p->refresh.fn = on_refresh;
    set_refresh(p);
}

static void stop_refresh(void *arg, struct wp_loop *loop)
{
    struct prometheus *p = arg;

    (void)loop;
    wp_timer_cancel(&p->refresh);
}

/* A listener that cannot be had is told and does not stop the start, as in CoreDNS. */
static void open_page(struct prometheus *p, struct wp_env *env)
{
    struct wp_http_site site = {
        .address = p->address, .path = "/metrics", .fn = on_request, .arg = p, .gen = env->gen};
    char why[WEB_WHY_MAX];

    if (p->web_file != NULL && wp_web_new(p->web_file, why, &p->web) < 0) {
        wp_log(WP_ERROR, NULL, "Invalid TLS config: %s", why);
        return;
    }
    if (p->web != NULL)
        site.tls = wp_web_tls(p->web);
    if (wp_http_open(p->admin, &site, why, &p->page) < 0) {
        wp_log(WP_ERROR, NULL, "Failed to start metrics handler: %s", why);
        p->page = NULL;
    } else if (site.tls != NULL) {
        wp_loop_call(p->admin, start_refresh, p);
    }
}

/* --- life ------------------------------------------------------------------------------------ */

static void show_process(void)
{
    static const char *const build[] = {WP_VERSION, "", __VERSION__};

    wp_metric_process();
    wp_metric_set(wp_metric_series(&prom_build_info, build), 1);
    (void)wp_metric_series(&prom_panics, NULL);
}

/* Cells for every server and zone that the block can have, at most a quarter of them in use. */
static int make_table(struct prometheus *p)
{
    unsigned binds = p->block->set.n_bind > 0 ? p->block->set.n_bind : 1, n = 16;

    while (n < 4 * p->block->n_keys * binds)
        n *= 2;
    p->points = calloc(n, sizeof(*p->points));
    p->mask = n - 1;
    return p->points == NULL ? -ENOMEM : 0;
}

static int prometheus_start(void *self, struct wp_env *env)
{
    struct prometheus *p = self;

    p->admin = env->admin;
    p->block = env->block;
    p->server = env->server;
    p->behind = "";
    for (unsigned i = 0; i + 1 < p->block->n_chain; i++)
        if (p->block->chain[i].self == self)
            p->behind = p->block->chain[i + 1].plugin->name;
    if (make_table(p) < 0)
        return wp_env_fail(env, "%s", wp_strerror(-ENOMEM));
    p->started = true;
    show_process();
    wp_prom_enabled(p->block, p->server, 1);
    wp_prom_dropped_want(1);
    open_page(p, env);
    return 0;
}

static void prometheus_stop(void *self)
{
    struct prometheus *p = self;

    if (p->started) {
        wp_loop_call(p->admin, stop_refresh, p);
        wp_http_close(p->page);
        wp_prom_dropped_want(-1);
        wp_prom_enabled(p->block, p->server, -1);
    }
    wp_web_free(p->web);
    for (unsigned i = 0; p->points != NULL && i <= p->mask; i++)
        wp_point_free(atomic_load(&p->points[i]));
    free(p->points);
    pthread_mutex_destroy(&p->making);
}

const struct wp_plugin wp_plugin_prometheus = {
    .name = "prometheus",
    .size = sizeof(struct prometheus),
    .options = options,
    .unknown = "unknown option: %s",
    .repeat = WP_REPEAT_ERROR,
    .new = prometheus_new,
    .start = prometheus_start,
    .serve = prometheus_serve,
    .reply = prometheus_reply,
    .stop = prometheus_stop,
};
