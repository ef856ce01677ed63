/* An HTTP client whose clock, timers and answers are the test's, and what checks were asked for through it. */
#pragma once
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include "backends/nomad/health.h"

enum { CALLS_MAX = 8, ASKED_MAX = 200000 };

struct wp_httpc_call {
    struct wp_httpc_call_ops ops;
    void *arg;
    char alloc[64];
    bool used;
};

static struct {
    uint64_t now;
    struct wp_engine_timer *timer;
    struct wp_httpc_call calls[CALLS_MAX];
    unsigned flying, most_flying;
    int start_fails; /* what start() returns */
    struct {
        uint64_t at;
        char alloc[64];
    } asked[ASKED_MAX];
    size_t n_asked;
    int agent;
    /* what the source heard */
    char changed[1024];
    unsigned counted;
    int last_status, last_err;
} world;

static const uint64_t MS = 1000000u, S = 1000000000u;

static uint64_t world_now(void)
{
    return world.now;
}

static void world_timer_set(struct wp_engine_timer *t, uint64_t due_ns)
{
    CHECK(world.timer == NULL || world.timer == t);
    t->due_ns = due_ns;
    world.timer = t;
}

static void world_timer_cancel(struct wp_engine_timer *t)
{
    CHECK(world.timer == NULL || world.timer == t);
    world.timer = NULL;
}

static int world_start(const struct wp_httpc_request *r, const struct wp_httpc_call_ops *ops, void *arg,
                       struct wp_httpc_call **ret)
{
    static const char front[] = "http://127.0.0.1:4646/v1/client/allocation/";
    size_t i = 0, len;

    if (world.start_fails < 0)
        return world.start_fails;
    CHECK(strncmp(r->url, front, sizeof(front) - 1) == 0 && r->total_ms > 0 && r->body_max > 0);
    len = strcspn(r->url + sizeof(front) - 1, "/");
    CHECK(strcmp(r->url + sizeof(front) - 1 + len, "/checks?namespace=ops") == 0 && len < 64);
    while (i < CALLS_MAX && world.calls[i].used)
        i++;
    CHECK(i < CALLS_MAX && world.n_asked < ASKED_MAX);
    world.calls[i] = (struct wp_httpc_call){.ops = *ops, .arg = arg, .used = true};
    memcpy(world.calls[i].alloc, r->url + sizeof(front) - 1, len);
    world.asked[world.n_asked].at = world.now;
    strcpy(world.asked[world.n_asked++].alloc, world.calls[i].alloc);
    if (++world.flying > world.most_flying)
        world.most_flying = world.flying;
    *ret = &world.calls[i];
    return 0;
}

static void world_drop(struct wp_httpc_call *c)
{
    if (c == NULL)
        return;
    CHECK(c->used);
    c->used = false;
    world.flying--;
}

static const struct wp_httpc_ops world_ops = {
    .now = world_now,
    .timer_set = world_timer_set,
    .timer_cancel = world_timer_cancel,
    .start = world_start,
    .drop = world_drop,
};

static int world_agent(void *arg)
{
    (void)arg;
    return world.agent;
}

static void world_changed(void *arg, struct wp_nomad_text namespace, struct wp_nomad_text name)
{
    size_t n = strlen(world.changed);

    (void)arg;
    snprintf(world.changed + n, sizeof(world.changed) - n, "%.*s/%.*s ", (int)namespace.len, namespace.at,
             (int)name.len, name.at);
}

static void world_counted(void *arg, int status, int err)
{
    (void)arg;
    world.counted++;
    world.last_status = status;
    world.last_err = err;
}

/* Until then, timers ring in their order. */
static void world_until(uint64_t then)
{
    while (world.timer != NULL && world.timer->due_ns <= then) {
        struct wp_engine_timer *t = world.timer;
        world.timer = NULL;
        if (t->due_ns > world.now)
            world.now = t->due_ns;
        t->fn(t);
    }
    world.now = then;
}

/* The call for this allocation ends. */
static void world_answer(const char *alloc, int status, int err, const char *body)
{
    struct wp_httpc_end end = {.err = err,
                               .status = status,
                               .text = "text",
                               .body = (const uint8_t *)body,
                               .len = body != NULL ? strlen(body) : 0};
    size_t i = 0;

    while (i < CALLS_MAX && (!world.calls[i].used || strcmp(world.calls[i].alloc, alloc) != 0))
        i++;
    CHECK_AT(alloc, i < CALLS_MAX);
    world.calls[i].used = false;
    world.flying--;
    world.calls[i].ops.end(world.calls[i].arg, &end);
}

static struct wp_nomad_access *world_access;

static struct wp_nomad_health *world_new(uint64_t interval_ns)
{
    static const struct wp_nomad_agents agents;
    struct wp_nomad_health *h = NULL;
    struct wp_nomad_health_config c = {.h = &world_ops,
                                       .interval_ns = interval_ns,
                                       .agent = world_agent,
                                       .changed = world_changed,
                                       .counted = world_counted};
    char why[256];

    memset(&world, 0, sizeof(world));
    world.now = 1000 * S;
    unsetenv("NOMAD_ADDR");
    unsetenv("NOMAD_REGION");
    unsetenv("NOMAD_NAMESPACE");
    CHECK(wp_nomad_access_new(&agents, why, &world_access) == 0);
    c.access = world_access;
    CHECK(wp_nomad_health_new(&c, &h) == 0);
    return h;
}

static void world_end(struct wp_nomad_health *h)
{
    wp_nomad_health_free(h);
    wp_nomad_access_free(world_access);
    CHECK(world.flying == 0 && world.timer == NULL);
}

/* A registration is read. */
static bool world_read(struct wp_nomad_health *h, const char *alloc, const char *name)
{
    const struct wp_nomad_registration r = {.alloc_id = {alloc, strlen(alloc)},
                                            .name = {name, strlen(name)},
                                            .namespace = {"ops", 3}};

    return wp_nomad_health_is_unhealthy(h, &r);
}
