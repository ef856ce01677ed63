/* A source and agents that say what the test tells them to, on one thread and a clock of their own: the
 * engine of backends/common/http_client.h made of a list. Nothing happens outside the functions below. For
 * programs of one file. */
#pragma once
#include "check.h"

#include <stdarg.h>
#include <stdlib.h>

#include "backends/common/http_client.h"
#include "backends/common/late_engine.h"
#include "backends/nomad/source_priv.h"
#include "waypost/plugin/change.h"

enum { WORLD_CALLS = 64, WORLD_BEGIN_S = 1000 };

struct wp_httpc_call {
    bool used;
    char url[2000], token[200], index[24];
    struct wp_httpc_call_ops ops;
    void *arg;
    const char *leader; /* X-Nomad-KnownLeader, or NULL */
    unsigned connect_ms, idle_ms, total_ms;
    int status;
    size_t order;
};

static struct {
    uint64_t now;
    struct wp_engine_timer *timers;
    struct wp_httpc_call calls[WORLD_CALLS];
    size_t n_started, n_reads; /* calls, ever */
    unsigned users;
    unsigned most; /* calls at a time, ever */
    struct wp_nomad_source *s;
    const char *const *addresses;
    unsigned n_addresses;
    uint64_t reloads[WP_NOMAD_RELOADS]; /* before: series live as long as the process */
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

static struct wp_engine_timer **world_place(const struct wp_engine_timer *t, uint64_t due_ns)
{
    struct wp_engine_timer **p = &world.timers;

    while (*p != NULL && *p != t && (t != NULL || (*p)->due_ns <= due_ns))
        p = &(*p)->next;
    return p;
}

static void world_timer_cancel(struct wp_engine_timer *t)
{
    if (t->is_set)
        *world_place(t, 0) = t->next;
    t->is_set = false;
}

static void world_timer_set(struct wp_engine_timer *t, uint64_t due_ns)
{
    struct wp_engine_timer **p;

    CHECK(t->fn != NULL);
    world_timer_cancel(t);
    p = world_place(NULL, due_ns);
    t->next = *p;
    t->due_ns = due_ns;
    t->is_set = true;
    *p = t;
}

static int world_start(const struct wp_httpc_request *r, const struct wp_httpc_call_ops *ops,
                       void *arg, struct wp_httpc_call **ret)
{
    struct wp_httpc_call *c = world.calls;
    unsigned n = 1;

    while (c->used)
        CHECK(++c < world.calls + WORLD_CALLS);
    for (size_t i = 0; i < WORLD_CALLS; i++)
        n += world.calls[i].used;
    world.most = n > world.most ? n : world.most;
    *c = (struct wp_httpc_call){.used = true, .ops = *ops, .arg = arg, .order = ++world.n_started};
    c->connect_ms = r->connect_ms;
    c->idle_ms = r->idle_ms;
    c->total_ms = r->total_ms;
    CHECK(snprintf(c->url, sizeof(c->url), "%s", r->url) < (int)sizeof(c->url));
    world.n_reads += strstr(c->url, "/v1/service/") != NULL;
    for (size_t i = 0; i < r->n_headers; i++)
        if (strcmp(r->headers[i].name, "X-Nomad-Token") == 0)
            snprintf(c->token, sizeof(c->token), "%s", r->headers[i].value);
    *ret = c;
    return 0;
}
static void world_resume(struct wp_httpc_call *c)
{
    (void)c;
}
static const char *world_header(struct wp_httpc_call *c, const char *name)
{
    if (strcmp(name, "X-Nomad-Index") == 0)
        return c->index[0] != '\0' ? c->index : NULL;
    return strcmp(name, "X-Nomad-KnownLeader") == 0 ? c->leader : NULL;
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

    (void)errbuf;
    return &ops;
}

static inline void world_ring(struct wp_engine_timer *t)
{
    if (t->due_ns > world.now)
        world.now = t->due_ns;
    world_timer_cancel(t);
    t->fn(t);
}

static inline void world_pass(uint64_t ms)
{
    uint64_t end = world.now + ms * 1000000;

    while (world.timers != NULL && world.timers->due_ns <= end)
        world_ring(world.timers);
    world.now = end;
}

/* --- agents ------------------------------------------------------------------------------------ */

/* The oldest call that asks for a path; NULL: there is none. */
static inline struct wp_httpc_call *world_find(const char *path)
{
    struct wp_httpc_call *found = NULL;

    for (struct wp_httpc_call *c = world.calls; c < world.calls + WORLD_CALLS; c++)
        if (c->used && strstr(c->url, path) != NULL && (found == NULL || c->order < found->order))
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

static inline char *world_quoted(const char *text, size_t *ret_len)
{
    static char copy[4 << 20]; /* not from the heap: it may be failing */

    *ret_len = strlen(text);
    CHECK(*ret_len < sizeof(copy));
    for (size_t i = 0; i <= *ret_len; i++)
        copy[i] = text[i] == '\'' ? '"' : text[i];
    return copy;
}

static inline void world_head(struct wp_httpc_call *c, int status)
{
    struct wp_httpc_head head = {status, "application/json", -1};

    c->status = status;
    if (c->ops.head != NULL)
        c->ops.head(c->arg, &head);
}

static inline void world_end(struct wp_httpc_call *c, int err, const char *text)
{
    struct wp_httpc_end end = {.err = err, .status = c->status, .text = text};

    c->used = false;
    c->ops.end(c->arg, &end);
}

/* JSON with ' for ". index 0: no such header. */
static inline void world_answer(struct wp_httpc_call *c, int status, uint64_t index, const char *text)
{
    struct wp_httpc_end end = {.status = status, .text = ""};

    if (index != 0)
        snprintf(c->index, sizeof(c->index), "%llu", (unsigned long long)index);
    world_head(c, status);
    if (!c->used)
        return;
    end.body = (const uint8_t *)world_quoted(text, &end.len);
    c->used = false;
    c->ops.end(c->arg, &end);
}

/* Of a call that streams. False: it was ended. */
static inline bool world_say(struct wp_httpc_call *c, const char *text)
{
    size_t len, order = c->order;
    const char *quoted = world_quoted(text, &len);
    int e = c->ops.body(c->arg, (const uint8_t *)quoted, len);

    if (e < 0 && c->used && c->order == order)
        world_end(c, e, "the piece was not taken");
    return e == 0 && c->used && c->order == order;
}

#define WORLD_REG(name, id, address, port)                                                         \
    "{'ID':'" id "','ServiceName':'" name "','Namespace':'default','Address':'" address            \
    "','Port':" port ",'Tags':[],'ModifyIndex':5}"
#define WORLD_LIST(names) "[{'Namespace':'default','Services':[" names "]}]"
#define WORLD_NAME(name) "{'ServiceName':'" name "','Tags':[]}"
#define WORLD_EVENT(index, type, name)                                                             \
    "{'Index':" index ",'Events':[{'Topic':'Service','Type':'" type                                \
    "','Key':'x','Namespace':'default','FilterKeys':['job','" name "'],'Index':" index             \
    ",'Payload':{'Service':{'ID':'x','ServiceName':'" name "','Namespace':'default','Address':"    \
    "'10.9.9.9','Port':1}}}]}\n"

/* A service with one address. */
static inline void world_serve(const char *name, uint64_t index, const char *address)
{
    char path[200], body[400];

    snprintf(path, sizeof(path), "/v1/service/%s?", name);
    snprintf(body, sizeof(body),
             "[{'ID':'i','ServiceName':'%s','Namespace':'default','Address':'%s','Port':80}]", name,
             address);
    world_answer(world_call(path), 200, index, address[0] != '\0' ? body : "[]");
}

/* --- the source -------------------------------------------------------------------------------- */

static inline void world_begin(void)
{
    static const char *const one[] = {"http://192.0.2.1:4646"};

    memset(&world, 0, sizeof(world));
    world.now = (uint64_t)WORLD_BEGIN_S * 1000000000u;
    world.addresses = one;
    world.n_addresses = 1;
}

static inline int world_try(const struct wp_nomad_wants *more)
{
    struct wp_nomad_wants w = {.fresh_s = 10, .absent_s = 5};
    char why[WP_NOMAD_WHY] = "";

    if (more != NULL)
        w = *more;
    w.agents.addresses = world.addresses;
    w.agents.n_addresses = world.n_addresses;
    return wp_nomad_source_get(&w, why, &world.s);
}

static inline void world_open(const struct wp_nomad_wants *more)
{
    world_begin();
    CHECK(world_try(more) == 0);
    for (unsigned i = 0; i < WP_NOMAD_RELOADS; i++)
        world.reloads[i] = wp_metric_value(world.s->own->reloads[i]);
}

static inline void world_close(void)
{
    wp_nomad_source_put(world.s);
    CHECK(world.users == 0 && world.timers == NULL && world_find("/") == NULL);
}

static inline struct wp_nomad_key world_key(const char *name, const char *ns)
{
    return (struct wp_nomad_key){
        .hash = wp_nomad_hash(name, strlen(name), ns, strlen(ns)),
        .name = name,
        .namespace = ns,
        .name_len = (uint8_t)strlen(name),
        .namespace_len = (uint8_t)strlen(ns),
    };
}

static inline enum wp_nomad_known world_known(const char *name, const char *ns)
{
    const struct wp_nomad_service *v;
    struct wp_nomad_key k = world_key(name, ns);

    return wp_nomad_find(world.s, &k, NULL, &v);
}

/* The last octet of its first address; 0: it is not there. */
static inline unsigned world_addr(const char *name)
{
    const struct wp_nomad_service *v;
    struct wp_nomad_key k = world_key(name, "default");

    return wp_nomad_find(world.s, &k, NULL, &v) == WP_NOMAD_THERE ? v->instances[0].addr[3] : 0;
}

static inline uint32_t world_version(const char *name)
{
    struct wp_nomad_key k = world_key(name, "default");

    return atomic_load(
        &wp_change_version[wp_change_slot(wp_nomad_store_key(world.s->store, k.hash))]);
}

static inline uint64_t world_behind(void)
{
    return wp_nomad_behind_s(world.s, world.now);
}

/* Passes of this kind since the world began. */
static inline uint64_t world_count(enum wp_nomad_reload r)
{
    return wp_metric_value(world.s->own->reloads[r]) - world.reloads[r];
}

/* The list has `web` and `solo`, at index 10; without events unless `events`. */
static inline void world_load(bool events)
{
    struct wp_httpc_call *c = world_call("/v1/event/stream");

    if (events) {
        world_head(c, 200);
        CHECK(world_say(c, "{}\n"));
    } else {
        world_answer(c, 404, 0, "");
    }
    world_answer(world_call("/v1/services?"), 200, 10,
                 WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    world_serve("web", 10, "10.0.0.1");
    world_serve("solo", 10, "10.0.0.2");
    CHECK(world_addr("web") == 1 && world_addr("solo") == 2);
}
