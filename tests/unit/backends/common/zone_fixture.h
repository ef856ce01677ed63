/* A zone from text, and a plugin that serves it as `file` does. */
#pragma once
#include "check.h"
#include "backends/common/zone.h"
#include "waypost/plugin/plugin.h"

struct zone_plugin {
    struct wp_zone *zone;
    struct wp_fall fall;
};

static int zone_plugin_serve(void *self, struct wp_query *q)
{
    struct zone_plugin *p = self;
    int step;

    if (!wp_name_within(q->msg.qname.wire, p->zone->origin.wire))
        return WP_STEP_NEXT;
    if (wp_zone_answer(p->zone, q, &step) == WP_ZONE_ANSWERED)
        return step;
    return p->fall.on ? WP_STEP_NEXT : wp_zone_deny(p->zone, q);
}

static const struct wp_plugin zone_plugin = {.name = "zone", .serve = zone_plugin_serve};

static int zone_take(void *arg, const struct wp_zone_rr *rr)
{
    return wp_zone_maker_add(arg, rr->owner->wire, rr->type, rr->ttl, rr->rdata, rr->rdlen);
}

/* NULL when memory failed. */
static inline struct wp_zone *zone_from(const char *origin_text, const char *text)
{
    struct wp_zone_maker *m = NULL;
    struct wp_zone *z = NULL;
    struct wp_name origin;
    struct wp_arena a;
    struct wp_zone_text t = {.arena = &a, .fn = zone_take, .no_files = true};
    int r;

    CHECK(wp_name_parse(origin_text, &origin) == 0);
    if (wp_zone_maker_new(&origin, &m) < 0)
        return NULL;
    t.arg = m;
    wp_arena_init(&a, 0);
    r = wp_zone_text_read_memory(&t, text, strlen(text), "zone", &origin);
    if (r == WP_EMALFORMED)
        print_error("%s\n", t.error);
    CHECK(r != WP_EMALFORMED);
    if (r == 0)
        r = wp_zone_maker_finish(m, 7, &z);
    CHECK(r == 0 || r == -ENOMEM);
    wp_arena_done(&a);
    wp_zone_maker_free(m);
    return r == 0 ? z : NULL;
}
