/* A cluster and an API server that says what the test tells it to, on one thread and a clock of
 * their own: the engine of backends/common/http_client.h made of a list. Nothing happens outside the
 * functions below. For programs of one file. */
#pragma once
#include "check.h"

#include <stdlib.h>

#include "backends/common/http_client.h"
#include "backends/common/late_engine.h"
#include "backends/kubernetes/cluster_priv.h"
#include "waypost/plugin/change.h"

enum { WORLD_CALLS = 64, WORLD_BEGIN_S = 1000 };

struct wp_httpc_call {
    bool used;
    char url[2000], accept[200], authorization[200];
    struct wp_httpc_call_ops ops;
    void *arg;
    unsigned idle_ms, total_ms;
    int status;
    size_t order;
};

static struct {
    uint64_t now;
    struct wp_engine_timer *timers;
    struct wp_httpc_call calls[WORLD_CALLS];
    size_t n_started; /* calls, ever */
    unsigned users;
    struct wp_kube_cluster *c;
} world;

/* --- the engine ------------------------------------------------------------------------------ */

static int world_acquire(void)
{
    world.users++;
    return 0;
}
static void world_release(void)
{
    world.users--;
}
static void world_post(struct wp_engine_post *post)
{
    if (!late_post(post))
        post->fn(post);
}
static uint64_t world_now(void)
{
    return world.now;
}
static void world_timer_cancel(struct wp_engine_timer *t)
{
    struct wp_engine_timer **p = &world.timers;

    if (!t->is_set)
        return;
    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    t->is_set = false;
}
static void world_timer_set(struct wp_engine_timer *t, uint64_t due_ns)
{
    struct wp_engine_timer **p = &world.timers;

    world_timer_cancel(t);
    while (*p != NULL && (*p)->due_ns <= due_ns)
        p = &(*p)->next;
    t->next = *p;
    t->due_ns = due_ns;
    t->is_set = true;
    *p = t;
}

static int world_start(const struct wp_httpc_request *r, const struct wp_httpc_call_ops *ops,
                       void *arg, struct wp_httpc_call **ret)
{
    struct wp_httpc_call *c = world.calls;

    while (c->used)
        CHECK(++c < world.calls + WORLD_CALLS);
    *c = (struct wp_httpc_call){.used = true, .ops = *ops, .arg = arg, .order = ++world.n_started};
    c->idle_ms = r->idle_ms;
    c->total_ms = r->total_ms;
    CHECK(snprintf(c->url, sizeof(c->url), "%s", r->url) < (int)sizeof(c->url));
    for (size_t i = 0; i < r->n_headers; i++) {
        if (strcmp(r->headers[i].name, "Accept") == 0)
            snprintf(c->accept, sizeof(c->accept), "%s", r->headers[i].value);
        if (strcmp(r->headers[i].name, "Authorization") == 0)
            snprintf(c->authorization, sizeof(c->authorization), "%s", r->headers[i].value);
    }
    *ret = c;
    return 0;
}
static void world_resume(struct wp_httpc_call *c)
{
    (void)c;
}
static const char *world_header(struct wp_httpc_call *c, const char *name)
{
    (void)c;
    (void)name;
    return NULL;
}
static void world_drop(struct wp_httpc_call *c)
{
    if (c != NULL)
        c->used = false;
}

const struct wp_httpc_ops *wp_httpc_open(char errbuf[256])
{
    static const struct wp_httpc_ops ops = {
        .version = WP_HTTPC_VERSION,
        .acquire = world_acquire,
        .release = world_release,
        .post = world_post,
        .now = world_now,
        .timer_set = world_timer_set,
        .timer_cancel = world_timer_cancel,
        .start = world_start,
        .resume = world_resume,
        .header = world_header,
        .drop = world_drop,
    };

    errbuf[0] = '\0';
    return &ops;
}

static inline void world_pass(uint64_t ms)
{
    uint64_t end = world.now + ms * 1000000;

    while (world.timers != NULL && world.timers->due_ns <= end) {
        struct wp_engine_timer *t = world.timers;
        if (t->due_ns > world.now)
            world.now = t->due_ns;
        world.timers = t->next;
        t->is_set = false;
        t->fn(t);
    }
    world.now = end;
}

/* --- the server ------------------------------------------------------------------------------ */

/* The call that asks for a path, "services?"; NULL: there is none. */
static inline struct wp_httpc_call *world_find(const char *path)
{
    struct wp_httpc_call *found = NULL;

    for (struct wp_httpc_call *c = world.calls; c < world.calls + WORLD_CALLS; c++)
        if (c->used && strstr(c->url, path) != NULL && (found == NULL || c->order > found->order))
            found = c;
    return found;
}

static inline struct wp_httpc_call *world_call(const char *path)
{
    struct wp_httpc_call *c = world_find(path);

    CHECK_AT(path, c != NULL);
    return c;
}

static inline bool world_asks(const struct wp_httpc_call *c, const char *words)
{
    return c != NULL && strstr(c->url, words) != NULL;
}

static inline void world_end(struct wp_httpc_call *c, int err, const char *text)
{
    struct wp_httpc_end end = {.err = err, .status = c->status, .text = text};

    c->used = false;
    c->ops.end(c->arg, &end);
}

static inline void world_head_of(struct wp_httpc_call *c, int status, const char *content_type,
                                 int64_t retry_after_s)
{
    struct wp_httpc_head head = {status, content_type, retry_after_s};

    c->status = status;
    c->ops.head(c->arg, &head);
}

/* False: the head was enough. */
static inline bool world_goes_on(struct wp_httpc_call *c, int status, const char *content_type)
{
    size_t order = c->order;

    world_head_of(c, status, content_type, -1);
    return c->used && c->order == order;
}

static inline void world_head(struct wp_httpc_call *c, int status)
{
    world_head_of(c, status, "application/json", -1);
}

/* JSON with ' for ", in pieces of `step` octets. A piece that is not taken ends the call. */
static inline bool world_say_by(struct wp_httpc_call *c, size_t step, const char *text)
{
    static char copy[2 << 20]; /* not from the heap: it may be failing */
    size_t len = strlen(text);
    bool taken = true;

    CHECK(len < sizeof(copy));
    for (size_t i = 0; i < len; i++)
        copy[i] = text[i] == '\'' ? '"' : text[i];
    for (size_t at = 0; at < len && taken; at += step) {
        size_t n = len - at < step ? len - at : step;
        int e = c->ops.body(c->arg, (const uint8_t *)copy + at, n);
        taken = e == 0;
        if (e < 0)
            world_end(c, e, "192.0.2.1: the piece was not taken");
    }
    return taken;
}

static inline bool world_say(struct wp_httpc_call *c, const char *text)
{
    return world_say_by(c, SIZE_MAX / 2, text);
}

static inline void world_answer(struct wp_httpc_call *c, int status, const char *text)
{
    if (world_goes_on(c, status, "application/json") && world_say(c, text))
        world_end(c, 0, "");
}

#define WORLD_END(rv)                                                                              \
    "{'type':'BOOKMARK','object':{'metadata':{'resourceVersion':'" rv                              \
    "','annotations':{'k8s.io/initial-events-end':'true'}}}}\n"
#define WORLD_BOOKMARK(rv) "{'type':'BOOKMARK','object':{'metadata':{'resourceVersion':'" rv "'}}}\n"
#define WORLD_SERVICE(name, rv, ip)                                                                \
    "{'metadata':{'name':'" name "','namespace':'shop','resourceVersion':'" rv                     \
    "'},'spec':{'clusterIP':'" ip "','ports':[{'port':80}]}}"
#define WORLD_EVENT(type, object) "{'type':'" type "','object':" object "}\n"
#define WORLD_LIST(rv, next, items)                                                                \
    "{'kind':'ServiceList','metadata':{'resourceVersion':'" rv "','continue':'" next               \
    "'},'items':[" items "]}"
#define WORLD_STATUS(code, reason, message)                                                        \
    "{'kind':'Status','status':'Failure','code':" code ",'reason':'" reason "','message':'" message \
    "'}"

/* A streaming list that is empty. */
static inline struct wp_httpc_call *world_stream_empty(const char *path)
{
    struct wp_httpc_call *c = world_call(path);

    CHECK_AT(c->url, world_asks(c, "sendInitialEvents=true"));
    world_head(c, 200);
    CHECK(world_say(c, WORLD_END("5")));
    return c;
}

/* --- the cluster ----------------------------------------------------------------------------- */

static inline struct wp_kube_wants world_wants(void)
{
    return (struct wp_kube_wants){.source = {.endpoint = "http://api.test:8080"}};
}

static inline void world_begin(void)
{
    memset(&world, 0, sizeof(world));
    world.now = (uint64_t)WORLD_BEGIN_S * 1000000000u;
}

static inline void world_open(const struct wp_kube_wants *more)
{
    struct wp_kube_wants w = more != NULL ? *more : world_wants();
    char why[WP_KUBE_WHY] = "";

    w.source = world_wants().source;
    world_begin();
    CHECK_AT(why, wp_kube_cluster_get(&w, why, &world.c) == 0);
}

static inline void world_close(void)
{
    wp_kube_cluster_put(world.c);
    CHECK(world.users == 0 && world.timers == NULL && world_find("/") == NULL);
}

static inline bool world_has(const char *name)
{
    return wp_kube_place_find(world.c->store, wp_kube_place_hash("shop", 4, name, strlen(name)),
                              "shop", 4, name, strlen(name)) != NULL;
}

static inline size_t world_count(enum wp_kube_collection c)
{
    return wp_kube_store_figures(world.c->store, c).objects;
}

static inline uint32_t world_state(void)
{
    return atomic_load(&wp_change_version[wp_change_slot(wp_kube_cluster_state_key(world.c))]);
}

static inline uint64_t world_behind(void)
{
    return wp_kube_cluster_behind_s(world.c, world.now);
}

/* Services stream in one object, namespaces none; returns the watch of services. */
static inline struct wp_httpc_call *world_sync(void)
{
    struct wp_httpc_call *c = world_call("/services?");

    world_stream_empty("/namespaces?");
    world_head(c, 200);
    CHECK(world_say(c, WORLD_EVENT("ADDED", WORLD_SERVICE("one", "3", "10.0.0.1")) WORLD_END("7")));
    CHECK(wp_kube_cluster_is_synced(world.c));
    return c;
}
