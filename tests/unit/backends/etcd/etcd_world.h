/* A mirror and the etcd it follows, on one thread and a clock of their own: the engine of
 * backends/common/grpc_client.h made of two lists, and behind it a store that can be told to fail or to
 * lie. Nothing happens outside world_run. For programs of one file; uses no heap of its own, so that
 * programs that make allocations fail meet those of the mirror only. */
#pragma once
#include "check.h"

#include <stdlib.h>

#include "backends/common/grpc_client.h"
#include "backends/common/late_engine.h"
#include "backends/etcd/mirror_priv.h"

enum { WORLD_KEYS = 512, WORLD_LOG = 4096, WORLD_QUEUE = 4096, WORLD_CALLS = 32, WORLD_WATCHES = 8, WORLD_MESSAGE = 1 << 21 };

struct world_kv {
    char key[64], value[128];
    int64_t mod, lease;
    bool is_delete; /* in the log */
};
struct wp_grpc_call {
    bool used, is_stream, answered;
    uint64_t deadline;
    char method[64];
    uint8_t request[1024];
    size_t len;
    unsigned token; /* 0: it shows none */
    wp_grpc_done_fn *done;
    const struct wp_grpc_stream_ops *ops;
    void *arg;
};
struct world_watch {
    int64_t id;
    char key[64], end[64];
};

enum world_what { WORLD_CREATED, WORLD_CANCELED, WORLD_EVENT, WORLD_PROGRESS };
struct world_said { /* on its way to the stream */
    struct world_kv kv;
    int64_t watch_id;
    enum world_what what;
};

/* What a reply is changed to before it goes out. */
struct world;
typedef void world_range_fn(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status);
typedef void world_watch_fn(struct world *w, Etcd__WatchResponse *r);

static struct world {
    uint64_t now;
    struct wp_grpc_timer *timers;
    struct wp_grpc_call calls[WORLD_CALLS];
    unsigned users;

    struct world_kv keys[WORLD_KEYS]; /* in key order */
    size_t n_keys;
    struct world_kv log[WORLD_LOG];
    size_t n_log;
    int64_t revision, compacted;
    uint64_t cluster_id;
    struct world_watch watches[WORLD_WATCHES];
    size_t n_watches;
    struct world_said queue[WORLD_QUEUE];
    size_t n_queue;

    /* behaviour */
    bool down, mute_events, mute_stream;
    bool silent; /* stopped, or every packet lost: calls run into their time */
    int lease_status;
    int64_t lease_ttl, lease_granted;
    uint64_t lease_ends; /* instead of lease_ttl, when set */
    const char *version;
    world_range_fn *on_range;
    world_watch_fn *on_watch;
    unsigned token_s; /* a token lasts so long after its last use; 0: there are no users */
    unsigned token;   /* the last one given */
    uint64_t token_until;
    bool wrong_password;
    unsigned n_authenticate;
    unsigned n_range, n_watch_created, n_lease, n_calls, n_channels;
    uint64_t memory;
    const char *state_dir;
    bool keep_lapsed, health;
} world;

static struct wp_grpc_channel *const world_channel = (struct wp_grpc_channel *)(void *)&world.users;

/* --- the store -------------------------------------------------------------------------------- */

static void stream_say(int64_t watch_id, enum world_what what, const struct world_kv *kv)
{
    struct world_said *said = &world.queue[world.n_queue++];

    CHECK(world.n_queue < WORLD_QUEUE);
    *said = (struct world_said){.watch_id = watch_id, .what = what};
    if (kv != NULL)
        said->kv = *kv;
}

static bool is_watched(const struct world_watch *t, const char *key)
{
    return t->end[0] != '\0' ? strcmp(key, t->key) >= 0 && strcmp(key, t->end) < 0 : strcmp(key, t->key) == 0;
}

static void world_event(const struct world_kv *kv)
{
    CHECK(world.n_log < WORLD_LOG);
    world.log[world.n_log++] = *kv;
    for (size_t i = 0; i < world.n_watches && !world.mute_events; i++)
        if (is_watched(&world.watches[i], kv->key))
            stream_say(world.watches[i].id, WORLD_EVENT, kv);
}

static size_t world_find(const char *key)
{
    size_t i = 0;

    while (i < world.n_keys && strcmp(world.keys[i].key, key) < 0)
        i++;
    return i;
}

static void world_put(const char *key, const char *value, int64_t lease)
{
    size_t i = world_find(key);
    struct world_kv kv = {.mod = ++world.revision, .lease = lease};

    snprintf(kv.key, sizeof(kv.key), "%s", key);
    snprintf(kv.value, sizeof(kv.value), "%s", value);
    if (i == world.n_keys || strcmp(world.keys[i].key, key) != 0) {
        CHECK(world.n_keys < WORLD_KEYS);
        memmove(&world.keys[i + 1], &world.keys[i], (world.n_keys - i) * sizeof(world.keys[0]));
        world.n_keys++;
    }
    world.keys[i] = kv;
    world_event(&kv);
}

static void world_put_host(const char *key, unsigned last)
{
    char value[64];

    snprintf(value, sizeof(value), "{\"host\":\"192.0.2.%u\",\"ttl\":%u}", last, last);
    world_put(key, value, 0);
}

static inline void world_delete(const char *key)
{
    size_t i = world_find(key);
    struct world_kv kv = {.mod = ++world.revision, .is_delete = true};

    CHECK(i < world.n_keys && strcmp(world.keys[i].key, key) == 0);
    snprintf(kv.key, sizeof(kv.key), "%s", key);
    memmove(&world.keys[i], &world.keys[i + 1], (--world.n_keys - i) * sizeof(world.keys[0]));
    world_event(&kv);
}

/* Another store in its place, that has come so far. */
static inline void world_wipe(int64_t revision)
{
    world.n_keys = world.n_log = world.n_watches = 0;
    world.revision = revision;
    world.compacted = 0;
}

/* --- answers ------------------------------------------------------------------------------------ */

static uint8_t world_out[WORLD_MESSAGE];

static size_t world_pack(const ProtobufCMessage *m)
{
    CHECK(protobuf_c_message_get_packed_size(m) <= sizeof(world_out));
    return protobuf_c_message_pack(m, world_out);
}

static Etcd__Header world_header(void)
{
    Etcd__Header h = ETCD__HEADER__INIT;

    h.cluster_id = world.cluster_id;
    h.member_id = 1;
    h.revision = world.revision;
    return h;
}

static void fill_kv(Etcd__KeyValue *to, const struct world_kv *kv, bool with_value)
{
    etcd__key_value__init(to);
    to->key = (ProtobufCBinaryData){strlen(kv->key), (uint8_t *)(uintptr_t)kv->key};
    if (with_value)
        to->value = (ProtobufCBinaryData){strlen(kv->value), (uint8_t *)(uintptr_t)kv->value};
    to->mod_revision = kv->mod;
    to->lease = kv->lease;
}

/* One key as it was at the revision: false if it was not there. */
static bool world_key_at(const Etcd__RangeRequest *q, struct world_kv *ret)
{
    bool found = false;

    for (size_t i = 0; i < world.n_log && world.log[i].mod <= q->revision; i++)
        if (strlen(world.log[i].key) == q->key.len && memcmp(world.log[i].key, q->key.data, q->key.len) == 0) {
            *ret = world.log[i];
            found = !ret->is_delete;
        }
    return found;
}

/* The store at the revision: what is there now, without what is newer, with what was deleted since. Only
 * the newest of each key is known; tests do not page across changes of one key. */
static int answer_range(const struct wp_grpc_call *c, size_t *len)
{
    static Etcd__KeyValue kvs[WORLD_KEYS], *list[WORLD_KEYS];
    static struct world_kv copies[WORLD_KEYS]; /* on_range may change the store */
    Etcd__RangeRequest *q = (Etcd__RangeRequest *)(void *)protobuf_c_message_unpack(&etcd__range_request__descriptor, NULL, c->len, c->request);
    Etcd__RangeResponse r = ETCD__RANGE_RESPONSE__INIT;
    Etcd__Header h = world_header();
    int status = q->revision != 0 && q->revision < world.compacted ? WP_GRPC_OUT_OF_RANGE : WP_GRPC_OK;

    bool is_past = q->range_end.len == 0 && q->revision != 0;

    world.n_range++;
    r.header = &h;
    r.kvs = list;
    if (q->revision > world.revision)
        status = WP_GRPC_OUT_OF_RANGE;
    if (is_past && world_key_at(q, &copies[0])) {
        fill_kv(&kvs[0], &copies[0], !q->keys_only);
        list[r.n_kvs++] = &kvs[0];
    }
    for (size_t i = 0; i < world.n_keys && !is_past; i++) {
        const char *key = world.keys[i].key;
        size_t len_key = strlen(key), n = q->key.len < len_key ? q->key.len : len_key;
        int order = memcmp(key, q->key.data, n);
        bool in;
        if (order == 0)
            order = (len_key > q->key.len) - (len_key < q->key.len);
        in = q->range_end.len == 0 ? order == 0 : order >= 0 && memcmp(key, q->range_end.data, q->range_end.len) < 0;
        if (!in || (q->revision != 0 && world.keys[i].mod > q->revision))
            continue;
        if (q->limit != 0 && r.n_kvs == (size_t)q->limit) {
            r.more = true;
            break;
        }
        copies[r.n_kvs] = world.keys[i];
        fill_kv(&kvs[r.n_kvs], &copies[r.n_kvs], !q->keys_only);
        list[r.n_kvs] = &kvs[r.n_kvs];
        r.n_kvs++;
    }
    if (world.on_range != NULL)
        world.on_range(&world, q, &r, &status);
    *len = status == WP_GRPC_OK ? world_pack(&r.base) : 0;
    etcd__range_request__free_unpacked(q, NULL);
    return status;
}

static int answer_authenticate(size_t *len)
{
    Etcd__AuthenticateResponse r = ETCD__AUTHENTICATE_RESPONSE__INIT;
    Etcd__Header h = world_header();
    char token[16];

    world.n_authenticate++;
    if (world.wrong_password)
        return WP_GRPC_INVALID_ARGUMENT;
    snprintf(token, sizeof(token), "%u", ++world.token);
    world.token_until = world.now + wp_etcd_ms(1000 * (uint64_t)world.token_s);
    r.header = &h;
    r.token = token;
    *len = world_pack(&r.base);
    return WP_GRPC_OK;
}

/* As simple tokens are: good for a while after each use. */
static bool is_token_good(const struct wp_grpc_call *c)
{
    if (world.token_s == 0 || strstr(c->method, "Maintenance/Status") != NULL)
        return true;
    if (c->token != world.token || world.now > world.token_until)
        return false;
    world.token_until = world.now + wp_etcd_ms(1000 * (uint64_t)world.token_s);
    return true;
}

static int answer_unary(struct wp_grpc_call *c, size_t *len)
{
    Etcd__Header h = world_header();

    *len = 0;
    if (world.down)
        return WP_GRPC_UNAVAILABLE;
    if (strstr(c->method, "Auth/Authenticate") != NULL)
        return answer_authenticate(len);
    if (!is_token_good(c))
        return WP_GRPC_UNAUTHENTICATED;
    if (strstr(c->method, "KV/Range") != NULL)
        return answer_range(c, len);
    if (strstr(c->method, "Maintenance/Status") != NULL) {
        Etcd__StatusResponse r = ETCD__STATUS_RESPONSE__INIT;
        r.header = &h;
        r.leader = 1;
        r.version = (char *)(uintptr_t)(world.version != NULL ? world.version : "3.7.3");
        *len = world_pack(&r.base);
        return WP_GRPC_OK;
    }
    if (strstr(c->method, "Lease/LeaseTimeToLive") != NULL) {
        Etcd__LeaseTimeToLiveResponse r = ETCD__LEASE_TIME_TO_LIVE_RESPONSE__INIT;
        world.n_lease++;
        r.ttl = world.lease_ttl;
        if (world.lease_ends != 0)
            r.ttl = world.lease_ends >= world.now ? (int64_t)((world.lease_ends - world.now) / 1000000000u) : -1;
        r.granted_ttl = world.lease_granted;
        *len = world_pack(&r.base);
        return world.lease_status;
    }
    return WP_GRPC_UNIMPLEMENTED;
}

static void answer_stream(struct wp_grpc_call *c)
{
    struct world_said said = world.queue[0];
    Etcd__WatchResponse r = ETCD__WATCH_RESPONSE__INIT;
    Etcd__Header h = world_header();
    Etcd__Event e = ETCD__EVENT__INIT, *events[1] = {&e};
    Etcd__KeyValue kv;

    memmove(&world.queue[0], &world.queue[1], --world.n_queue * sizeof(world.queue[0]));
    r.header = &h;
    r.watch_id = said.watch_id;
    if (said.what == WORLD_CREATED) {
        r.created = true;
        world.n_watch_created++;
    } else if (said.what == WORLD_CANCELED) {
        r.canceled = true;
        r.compact_revision = world.compacted;
    } else if (said.what == WORLD_EVENT) {
        fill_kv(&kv, &said.kv, !said.kv.is_delete);
        e.type = said.kv.is_delete ? ETCD__EVENT__KIND__DELETE : ETCD__EVENT__KIND__PUT;
        e.kv = &kv;
        r.events = events;
        r.n_events = 1;
    }
    if (world.on_watch != NULL)
        world.on_watch(&world, &r);
    c->ops->message(c->arg, world_out, world_pack(&r.base));
}

static void stream_create(const Etcd__WatchCreateRequest *q)
{
    struct world_watch *t = &world.watches[world.n_watches];

    CHECK(world.n_watches < WORLD_WATCHES);
    *t = (struct world_watch){.id = q->watch_id};
    memcpy(t->key, q->key.data, q->key.len);
    if (q->range_end.len > 0)
        memcpy(t->end, q->range_end.data, q->range_end.len);
    stream_say(t->id, WORLD_CREATED, NULL);
    if (q->start_revision <= world.compacted) {
        stream_say(t->id, WORLD_CANCELED, NULL);
        return;
    }
    world.n_watches++;
    for (size_t i = 0; i < world.n_log; i++) {
        const struct world_kv *kv = &world.log[i];
        if (is_watched(t, kv->key) && kv->mod >= q->start_revision && !world.mute_events)
            stream_say(t->id, WORLD_EVENT, kv);
    }
}

/* --- the engine --------------------------------------------------------------------------------- */

static int world_acquire(void)
{
    world.users++;
    return 0;
}

static void world_release(void)
{
    world.users--;
    CHECK(world.timers == NULL && world.n_channels == 0);
}

static uint64_t world_now(void)
{
    return world.now;
}

static void world_timer_cancel(struct wp_grpc_timer *t)
{
    for (struct wp_grpc_timer **p = &world.timers; *p != NULL; p = &(*p)->next) {
        if (*p != t)
            continue;
        *p = t->next;
        break;
    }
    t->is_set = false;
}

static void world_timer_set(struct wp_grpc_timer *t, uint64_t due_ns)
{
    struct wp_grpc_timer **p = &world.timers;

    if (t->is_set)
        world_timer_cancel(t);
    while (*p != NULL && (*p)->due_ns <= due_ns)
        p = &(*p)->next;
    t->due_ns = due_ns;
    t->is_set = true;
    t->next = *p;
    *p = t;
}

static struct wp_grpc_channel *world_channel_new(const struct wp_grpc_channel_config *c)
{
    (void)c;
    world.n_channels++;
    return world_channel;
}

static void world_channel_free(struct wp_grpc_channel *c)
{
    world.n_channels -= c != NULL;
}

static struct wp_grpc_call *new_call(const char *method, const void *request, size_t len)
{
    for (size_t i = 0; i < WORLD_CALLS; i++) {
        struct wp_grpc_call *c = &world.calls[i];
        if (c->used)
            continue;
        CHECK(len <= sizeof(c->request));
        *c = (struct wp_grpc_call){.used = true, .len = len};
        snprintf(c->method, sizeof(c->method), "%s", method);
        if (len > 0)
            memcpy(c->request, request, len);
        world.n_calls++;
        return c;
    }
    fail_msg("too many calls");
    return NULL;
}

static struct wp_grpc_call *world_unary(struct wp_grpc_channel *ch, const char *method, const struct wp_grpc_header *headers, size_t n_headers,
                                        const void *request, size_t len, unsigned timeout_ms, wp_grpc_done_fn *fn, void *arg)
{
    struct wp_grpc_call *c = new_call(method, request, len);

    (void)ch;
    for (size_t i = 0; i < n_headers; i++)
        if (strcmp(headers[i].key, "token") == 0)
            c->token = (unsigned)strtoul(headers[i].value, NULL, 10);
    c->deadline = world.now + wp_etcd_ms(timeout_ms);
    c->done = fn;
    c->arg = arg;
    return c;
}

static struct wp_grpc_call *world_stream(struct wp_grpc_channel *ch, const char *method, const struct wp_grpc_header *headers,
                                         size_t n_headers, const struct wp_grpc_stream_ops *ops, void *arg)
{
    struct wp_grpc_call *c = new_call(method, NULL, 0);

    (void)ch, (void)headers, (void)n_headers;
    c->is_stream = true;
    c->ops = ops;
    c->arg = arg;
    world.n_watches = world.n_queue = 0;
    return c;
}

static int world_send(struct wp_grpc_call *c, const void *message, size_t len)
{
    Etcd__WatchRequest *q = (Etcd__WatchRequest *)(void *)protobuf_c_message_unpack(&etcd__watch_request__descriptor, NULL, len, message);

    CHECK(c->used && c->is_stream && q != NULL);
    if (q->request_case == ETCD__WATCH_REQUEST__REQUEST_CREATE_REQUEST)
        stream_create(q->create_request);
    else if (q->request_case == ETCD__WATCH_REQUEST__REQUEST_PROGRESS_REQUEST)
        stream_say(-1, WORLD_PROGRESS, NULL);
    else
        for (size_t i = 0; i < world.n_watches; i++)
            if (world.watches[i].id == q->cancel_request->watch_id)
                world.watches[i] = world.watches[--world.n_watches];
    etcd__watch_request__free_unpacked(q, NULL);
    return 0;
}

static void world_drop(struct wp_grpc_call *c)
{
    if (c == NULL)
        return;
    CHECK(c->used);
    c->used = false;
    if (c->is_stream)
        world.n_watches = world.n_queue = 0;
}

/* A call whose time is over before anything else happens. */
static bool world_time_out(uint64_t until)
{
    struct wp_grpc_call *first = NULL;

    for (size_t i = 0; i < WORLD_CALLS; i++) {
        struct wp_grpc_call *c = &world.calls[i];
        if (c->used && !c->is_stream && c->deadline <= until && (first == NULL || c->deadline < first->deadline))
            first = c;
    }
    if (first == NULL || (world.timers != NULL && world.timers->due_ns < first->deadline))
        return false;
    world.now = first->deadline > world.now ? first->deadline : world.now;
    first->used = false;
    first->done(first->arg, WP_GRPC_DEADLINE_EXCEEDED, "too late", NULL, 0);
    return true;
}

/* One thing that is due: a reply, a message, a timer. */
static bool world_step(uint64_t until)
{
    if (world.silent && world_time_out(until))
        return true;
    for (size_t i = 0; i < WORLD_CALLS && !world.silent; i++) {
        struct wp_grpc_call *c = &world.calls[i];
        size_t len = 0;
        int status;
        if (!c->used || (!c->is_stream && c->answered))
            continue;
        if (c->is_stream && world.down) {
            c->used = false;
            c->ops->end(c->arg, WP_GRPC_UNAVAILABLE, "gone");
            return true;
        }
        if (c->is_stream && (world.n_queue == 0 || world.mute_stream))
            continue;
        if (c->is_stream) {
            answer_stream(c);
            return true;
        }
        status = answer_unary(c, &len);
        c->used = false;
        c->done(c->arg, status, status == WP_GRPC_OK ? "" : "as told", status == WP_GRPC_OK ? world_out : NULL, len);
        return true;
    }
    if (world.timers != NULL && world.timers->due_ns <= until) {
        struct wp_grpc_timer *t = world.timers;
        world.timers = t->next;
        t->is_set = false;
        world.now = t->due_ns > world.now ? t->due_ns : world.now;
        t->fn(t);
        return true;
    }
    return false;
}

/* Let so much time pass. A mirror that is busy without time passing is one that spins. */
static void world_run(unsigned ms)
{
    uint64_t until = world.now + wp_etcd_ms(ms);
    unsigned steps = 0;

    while (world_step(until))
        CHECK(++steps < 20000 + ms / 50);
    world.now = until;
}

static void world_post(struct wp_grpc_post *post)
{
    if (late_post(post))
        return;
    post->fn(post);
    if (world.users > 0)
        while (world.timers != NULL && world.timers->due_ns <= world.now + wp_etcd_ms(5) && world_step(world.now + wp_etcd_ms(5)))
            ;
}

/* In place of the module's. */
const struct wp_grpc_ops *wp_grpc_open(char errbuf[256])
{
    static const struct wp_grpc_ops ops = {
        WP_GRPC_VERSION, world_acquire, world_release, world_post, world_now, world_timer_set, world_timer_cancel,
        world_channel_new, world_channel_free, world_unary, world_stream, world_send, world_drop,
    };

    (void)errbuf;
    return &ops;
}

/* --- what tests do ------------------------------------------------------------------------------- */

static void world_begin(void)
{
    world = (struct world){.now = wp_etcd_ms(1000000), .revision = 1, .cluster_id = 7, .lease_ttl = 100, .lease_granted = 100};
}

static int world_follow(struct wp_etcd_range **ret)
{
    static const struct wp_etcd_endpoint here[2] = {
        {.text = "http://one:1", .target = "ipv4:192.0.2.1:1"}, {.text = "http://two:1", .target = "ipv4:192.0.2.2:1"}};
    struct wp_etcd_source src = {.prefix = "/p", .endpoints = here, .n_endpoints = 2, .max_octets = world.memory, .state_dir = world.state_dir, .keep_lapsed = world.keep_lapsed, .health = world.health, .user = world.token_s > 0 ? "u" : NULL, .password = world.token_s > 0 ? "p" : NULL};
    char err[256] = "";

    return wp_etcd_range_get(&src, "/z", "dns://:53", err, ret);
}

static const struct wp_etcd_rec *world_rec(const struct wp_etcd_range *r, const char *key)
{
    struct wp_etcd_snap s = wp_etcd_tree_snap(r->tree);
    const char *path = key + 2; /* "/p" */

    return wp_etcd_snap_key(&s, path, strlen(path), wp_etcd_path_hash(path, strlen(path), 0, wp_name_hash_root()));
}

/* What readers see is what the store holds. */
static bool world_is_same(const struct wp_etcd_range *r)
{
    size_t budget = 100000, n = 0;
    struct wp_etcd_snap s = wp_etcd_tree_snap(r->tree);
    struct wp_etcd_walk walk;

    for (size_t i = 0; i < world.n_keys; i++) {
        const struct wp_etcd_rec *rec = world_rec(r, world.keys[i].key);
        if (strncmp(world.keys[i].key, "/p/z/", 5) != 0)
            continue;
        n++;
        if (rec == NULL || rec->mod_revision != world.keys[i].mod)
            return false;
    }
    wp_etcd_snap_walk(&s, "/z", 2, wp_etcd_path_hash("/z", 2, 0, wp_name_hash_root()), &walk);
    while (wp_etcd_walk_next(&walk, &budget) != NULL)
        n--;
    return n == 0;
}
