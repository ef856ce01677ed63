#include "server/plugins/prometheus/point.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "server/plugins/prometheus/families.h"

/* Slot of a type; 0 is "other". */
static const uint8_t type_slot[256] = {
    [WP_TYPE_A] = 1,     [WP_TYPE_AAAA] = 2,  [WP_TYPE_CNAME] = 3,  [WP_TYPE_DNSKEY] = 4,
    [WP_TYPE_DS] = 5,    [WP_TYPE_MX] = 6,    [WP_TYPE_NSEC3] = 7,  [WP_TYPE_NSEC] = 8,
    [WP_TYPE_NS] = 9,    [WP_TYPE_PTR] = 10,  [WP_TYPE_RRSIG] = 11, [WP_TYPE_SOA] = 12,
    [WP_TYPE_SRV] = 13,  [WP_TYPE_TXT] = 14,  [WP_TYPE_HTTPS] = 15, [WP_TYPE_SVCB] = 16,
    [WP_TYPE_IXFR] = 17, [WP_TYPE_AXFR] = 18, [WP_TYPE_ANY] = 19,
};

struct point *wp_point_new(const char *server, const char *zone, const char *view,
                           const char *plugin)
{
    struct point *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return NULL;
    p->labels[0] = strdup(server);
    p->labels[1] = strdup(zone);
    p->labels[2] = strdup(view);
    p->plugin = plugin;
    if (p->labels[0] == NULL || p->labels[1] == NULL || p->labels[2] == NULL) {
        wp_point_free(p);
        return NULL;
    }
    return p;
}

void wp_point_free(struct point *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < WP_COUNT(p->labels); i++)
        free(p->labels[i]);
    free(p);
}

/* The series of a slot, made when it is new. `more`: label values after server, zone and view. Two
 * threads that come at once get the same series. */
static __attribute__((noinline)) struct wp_series *
make(struct point *p, point_slot *slot, const struct wp_family *f, const char *const more[3])
{
    const char *values[6] = {p->labels[0], p->labels[1], p->labels[2], more[0], more[1], more[2]};
    struct wp_series *s = wp_metric_series(f, values);

    if (slot != NULL)
        atomic_store_explicit(slot, s, memory_order_release);
    return s;
}

static inline struct wp_series *series_of(struct point *p, point_slot *slot,
                                          const struct wp_family *f, const char *more)
{
    struct wp_series *s = atomic_load_explicit(slot, memory_order_acquire);

    return WP_LIKELY(s != NULL) ? s : make(p, slot, f, (const char *const[3]){more});
}

static struct wp_series *requests_of(struct point *p, const struct point_sample *s,
                                     const char *proto)
{
    unsigned type = s->qtype < 256 ? type_slot[s->qtype] : 0;
    point_slot *slot = &p->requests[s->is_tcp][s->is_v6][type];
    struct wp_series *series = atomic_load_explicit(slot, memory_order_acquire);
    char buf[16];

    if (WP_LIKELY(series != NULL))
        return series;
    return make(p, slot, &prom_requests,
                (const char *const[3]){proto, s->is_v6 ? "2" : "1",
                                       type == 0 ? "other" : wp_type_text(s->qtype, buf)});
}

static struct wp_series *responses_of(struct point *p, const struct point_sample *s)
{
    point_slot *slot = s->rcode < POINT_RCODES ? &p->responses[s->is_written][s->rcode] : NULL;
    struct wp_series *series =
        slot != NULL ? atomic_load_explicit(slot, memory_order_acquire) : NULL;
    char buf[16], number[16];
    const char *name;

    if (WP_LIKELY(series != NULL))
        return series;
    name = wp_rcode_text(s->rcode, buf);
    if (name == buf) { /* it has no name */
        snprintf(number, sizeof(number), "RCODE%u", s->rcode);
        name = number;
    }
    return make(p, slot, &prom_responses,
                (const char *const[3]){name, s->is_written ? p->plugin : ""});
}

void wp_point_count(struct point *p, const struct point_sample *s)
{
    const char *proto = s->is_tcp ? "tcp" : "udp";

    wp_metric_add(requests_of(p, s, proto), s->worker, 1);
    wp_metric_observe(series_of(p, &p->duration, &prom_duration, NULL), s->worker,
                      (double)s->elapsed_ns / 1e9);
    wp_metric_observe(series_of(p, &p->request_size[s->is_tcp], &prom_request_size, proto),
                      s->worker, s->size);
    wp_metric_observe(series_of(p, &p->response_size[s->is_tcp], &prom_response_size, proto),
                      s->worker, s->reply_size);
    if (s->is_do)
        wp_metric_add(series_of(p, &p->do_requests, &prom_do_requests, NULL), s->worker, 1);
    wp_metric_add(responses_of(p, s), s->worker, 1);
}
