/* A fleet and a store that loses replies, carries calls out late, forgets leases and goes away:
 * whatever happens, in the end there is what is wanted, and nothing else; also when calls of long
 * ago are carried out after that. The engine of backends/common/grpc_client.h is made of two lists,
 * on this thread. */
#include "backends/etcd/command/fleet_priv.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "etcd.pb-c.h"

enum { ITEMS = 4, CALLS = 64, LATE = 64, KEYS = 64, LEASES = 4096, STEPS = 60, ROUNDS = 400 };
#define SECOND 1000000000ull

struct wp_grpc_call {
    bool used;
    char method[48];
    uint8_t request[1024];
    size_t len;
    wp_grpc_done_fn *done;
    void *arg;
    uint64_t due, deadline;
};
struct kept_key {
    char key[32];
    int64_t lease;
};

static struct {
    uint64_t now;
    uint64_t seed;
    struct wp_grpc_timer *timers;
    struct wp_grpc_post *post;
    struct wp_grpc_call calls[CALLS], stream;
    const struct wp_grpc_stream_ops *ops;
    void *stream_arg;
    int64_t asked[CALLS]; /* leases on the stream */
    unsigned n_asked;
    /* the store */
    struct kept_key keys[KEYS];
    bool alive[LEASES];
    uint64_t ends[LEASES];
    int64_t n_leases;
    struct wp_grpc_call late[LATE]; /* calls whose end nobody waits for, still to be carried out */
    unsigned n_late;
    bool rough; /* faults happen */
    bool full;  /* NOSPACE */
} world;

static unsigned dice(unsigned n)
{
    world.seed = world.seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(world.seed >> 33) % n;
}

/* --- the store ------------------------------------------------------------------------------ */

static void expire(void)
{
    for (int64_t l = 1; l <= world.n_leases; l++)
        world.alive[l] = world.alive[l] && world.ends[l] > world.now;
    for (unsigned i = 0; i < KEYS; i++) {
        if (world.keys[i].key[0] != '\0' && !world.alive[world.keys[i].lease])
            world.keys[i].key[0] = '\0';
    }
}

static void delete_key(const char *key, size_t len)
{
    for (unsigned i = 0; i < KEYS; i++) {
        if (strlen(world.keys[i].key) == len && memcmp(world.keys[i].key, key, len) == 0)
            world.keys[i].key[0] = '\0';
    }
}

static void put_key(const ProtobufCBinaryData *key, int64_t lease)
{
    unsigned i = 0;

    delete_key((const char *)key->data, key->len);
    while (world.keys[i].key[0] != '\0')
        CHECK(++i < KEYS);
    memcpy(world.keys[i].key, key->data, key->len);
    world.keys[i].key[key->len] = '\0';
    world.keys[i].lease = lease;
}

static int do_txn(const struct wp_grpc_call *c)
{
    Etcd__TxnRequest *q = etcd__txn_request__unpack(NULL, c->len, c->request);
    int status = world.full ? WP_GRPC_RESOURCE_EXHAUSTED : WP_GRPC_OK;

    CHECK(q != NULL);
    for (size_t i = 0; i < q->n_success && status == WP_GRPC_OK; i++) {
        if (q->success[i]->request_case == ETCD__REQUEST_OP__REQUEST_REQUEST_PUT &&
            !world.alive[q->success[i]->request_put->lease])
            status = WP_GRPC_NOT_FOUND; /* the whole of it */
    }
    for (size_t i = 0; i < q->n_success && status == WP_GRPC_OK; i++) {
        const Etcd__RequestOp *op = q->success[i];
        if (op->request_case == ETCD__REQUEST_OP__REQUEST_REQUEST_PUT)
            put_key(&op->request_put->key, op->request_put->lease);
        else
            delete_key((const char *)op->request_delete_range->key.data,
                       op->request_delete_range->key.len);
    }
    etcd__txn_request__free_unpacked(q, NULL);
    return status;
}

static int do_grant(const struct wp_grpc_call *c, uint8_t *reply, size_t *len)
{
    Etcd__LeaseGrantRequest *q = etcd__lease_grant_request__unpack(NULL, c->len, c->request);
    Etcd__LeaseGrantResponse r = ETCD__LEASE_GRANT_RESPONSE__INIT;

    CHECK(q != NULL && world.n_leases + 1 < LEASES);
    r.id = ++world.n_leases;
    r.ttl = q->ttl;
    world.alive[r.id] = true;
    world.ends[r.id] = world.now + (uint64_t)q->ttl * SECOND;
    etcd__lease_grant_request__free_unpacked(q, NULL);
    *len = etcd__lease_grant_response__pack(&r, reply);
    return world.full ? WP_GRPC_RESOURCE_EXHAUSTED : WP_GRPC_OK;
}

static int do_revoke(const struct wp_grpc_call *c)
{
    Etcd__LeaseRevokeRequest *q = etcd__lease_revoke_request__unpack(NULL, c->len, c->request);
    bool was;

    CHECK(q != NULL && q->id > 0 && q->id <= world.n_leases);
    was = world.alive[q->id];
    world.alive[q->id] = false;
    expire();
    etcd__lease_revoke_request__free_unpacked(q, NULL);
    return was ? WP_GRPC_OK : WP_GRPC_NOT_FOUND;
}

static int carry_out(const struct wp_grpc_call *c, uint8_t *reply, size_t *len)
{
    *len = 0;
    if (strstr(c->method, "Txn") != NULL)
        return do_txn(c);
    if (strstr(c->method, "Grant") != NULL)
        return do_grant(c, reply, len);
    CHECK(strstr(c->method, "Revoke") != NULL);
    return do_revoke(c);
}

/* --- the engine ----------------------------------------------------------------------------- */

static int acquire(void)
{
    return 0;
}
static void release(void)
{
}
static void post(struct wp_grpc_post *p)
{
    CHECK(__atomic_exchange_n(&world.post, p, __ATOMIC_SEQ_CST) == NULL);
}
static uint64_t now(void)
{
    return world.now;
}
static void timer_cancel(struct wp_grpc_timer *t)
{
    struct wp_grpc_timer **at = &world.timers;

    if (!t->is_set)
        return;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    t->is_set = false;
}
static void timer_set(struct wp_grpc_timer *t, uint64_t due)
{
    timer_cancel(t);
    t->due_ns = due;
    t->next = world.timers;
    t->is_set = true;
    world.timers = t;
}
static struct wp_grpc_channel *channel_new(const struct wp_grpc_channel_config *c)
{
    (void)c;
    return (struct wp_grpc_channel *)(void *)&world;
}
static void channel_free(struct wp_grpc_channel *c)
{
    (void)c;
}
static struct wp_grpc_call *unary(struct wp_grpc_channel *ch, const char *method,
                                  const struct wp_grpc_header *h, size_t n, const void *request,
                                  size_t len, unsigned timeout_ms, wp_grpc_done_fn *done, void *arg)
{
    struct wp_grpc_call *c = world.calls;

    (void)ch;
    (void)h;
    (void)n;
    while (c->used)
        CHECK(++c < world.calls + CALLS);
    CHECK(len <= sizeof(c->request));
    *c = (struct wp_grpc_call){.used = true,
                               .len = len,
                               .done = done,
                               .arg = arg,
                               .due = world.now + SECOND / 1000,
                               .deadline = world.now + timeout_ms * MS};
    snprintf(c->method, sizeof(c->method), "%s", method);
    memcpy(c->request, request, len);
    return c;
}
static struct wp_grpc_call *stream(struct wp_grpc_channel *ch, const char *method,
                                   const struct wp_grpc_header *h, size_t n,
                                   const struct wp_grpc_stream_ops *ops, void *arg)
{
    (void)ch;
    (void)h;
    (void)n;
    CHECK(!world.stream.used && strstr(method, "KeepAlive") != NULL);
    world.stream.used = true;
    world.ops = ops;
    world.stream_arg = arg;
    world.n_asked = 0;
    return &world.stream;
}
static int send_message(struct wp_grpc_call *c, const void *message, size_t len)
{
    Etcd__LeaseKeepAliveRequest *q = etcd__lease_keep_alive_request__unpack(NULL, len, message);

    CHECK(c == &world.stream && q != NULL && world.n_asked < CALLS);
    world.asked[world.n_asked++] = q->id;
    etcd__lease_keep_alive_request__free_unpacked(q, NULL);
    return 0;
}
/* A call that is given up may be carried out, now or much later. */
static void drop(struct wp_grpc_call *c)
{
    uint8_t reply[64];
    size_t len;

    if (c == NULL)
        return;
    c->used = false;
    if (c == &world.stream)
        return;
    if (dice(3) == 0)
        (void)carry_out(c, reply, &len);
    else if (dice(2) == 0 && world.n_late < LATE)
        world.late[world.n_late++] = *c;
}

static const struct wp_grpc_ops ops = {
    WP_GRPC_VERSION, acquire,      release, post,   now,          timer_set, timer_cancel,
    channel_new,     channel_free, unary,   stream, send_message, drop,
};
const struct wp_grpc_ops *wp_grpc_open(char errbuf[256])
{
    (void)errbuf;
    return &ops;
}

static void finish(struct wp_grpc_call *c, bool carried, int fault)
{
    struct wp_grpc_call copy = *c;
    uint8_t reply[64];
    size_t len = 0;
    int status = fault;

    c->used = false;
    if (carried)
        status = carry_out(&copy, reply, &len);
    else if (dice(2) == 0 && world.n_late < LATE)
        world.late[world.n_late++] = copy;
    if (fault != WP_GRPC_OK)
        status = fault;
    copy.done(copy.arg, status, "as the test says", status == WP_GRPC_OK ? reply : NULL, len);
}

static void run_calls(void)
{
    for (unsigned i = 0; i < CALLS; i++) {
        struct wp_grpc_call *c = &world.calls[i];
        if (!c->used || c->due > world.now)
            continue;
        if (!world.rough || dice(4) > 0)
            finish(c, true, WP_GRPC_OK);
        else if (dice(3) == 0)
            c->due = c->deadline; /* silence */
        else
            finish(c, dice(2) == 0, dice(2) ? WP_GRPC_UNAVAILABLE : WP_GRPC_DEADLINE_EXCEEDED);
    }
}

static void run_stream(void)
{
    while (world.stream.used && world.n_asked > 0) {
        Etcd__LeaseKeepAliveResponse r = ETCD__LEASE_KEEP_ALIVE_RESPONSE__INIT;
        uint8_t packed[64];

        if (world.rough && dice(20) == 0) {
            world.stream.used = false;
            world.ops->end(world.stream_arg, WP_GRPC_UNAVAILABLE, "the stream ends");
            return;
        }
        r.id = world.asked[0];
        memmove(world.asked, world.asked + 1, --world.n_asked * sizeof(world.asked[0]));
        if (world.alive[r.id]) {
            r.ttl = 3;
            world.ends[r.id] = world.now + 3 * SECOND;
        }
        world.ops->message(world.stream_arg, packed,
                           etcd__lease_keep_alive_response__pack(&r, packed));
    }
}

/* Everything that is due, for so long. */
static void run(uint64_t ns)
{
    uint64_t end = world.now + ns;

    while (world.now < end) {
        struct wp_grpc_post *p = __atomic_exchange_n(&world.post, NULL, __ATOMIC_SEQ_CST);
        struct wp_grpc_timer *due;

        if (p != NULL)
            p->fn(p);
        run_calls();
        run_stream();
        do {
            for (due = world.timers; due != NULL && due->due_ns > world.now; due = due->next)
                ;
            if (due != NULL) {
                timer_cancel(due);
                due->fn(due);
            }
        } while (due != NULL);
        world.now += 5 * MS;
        expire();
    }
}

static void deliver_late(unsigned n)
{
    uint8_t reply[64];
    size_t len;

    while (n-- > 0 && world.n_late > 0) {
        unsigned i = dice(world.n_late);
        struct wp_grpc_call c = world.late[i];
        world.late[i] = world.late[--world.n_late];
        (void)carry_out(&c, reply, &len);
    }
}

/* --- what is wanted ------------------------------------------------------------------------- */

struct service {
    struct etcd_fleet_item *item;
    char keys[2][32];
    unsigned n;
    bool up;
};
static unsigned n_records;

static struct etcd_fleet_record next_record(struct service *s, struct etcd_pair pairs[2])
{
    static char value[] = "{}";

    n_records++;
    s->n = 1 + dice(2);
    for (unsigned i = 0; i < s->n; i++) {
        snprintf(s->keys[i], sizeof(s->keys[i]), "/k/%u/%u", n_records, i);
        pairs[i] = (struct etcd_pair){s->keys[i], value};
    }
    return (struct etcd_fleet_record){"x.", pairs, s->n, dice(4) == 0 ? 4 : 3};
}

static void change(struct etcd_fleet *f, struct service *s)
{
    struct etcd_pair pairs[2];
    struct etcd_fleet_record r;

    if (s->item == NULL) {
        r = next_record(s, pairs);
        s->up = dice(4) > 0;
        CHECK(etcd_fleet_add(f, &r, s->up, &s->item) == 0);
        return;
    }
    switch (dice(4)) {
    case 0:
        etcd_fleet_remove(s->item);
        s->item = NULL;
        s->up = false;
        break;
    case 1:
        r = next_record(s, pairs);
        CHECK(etcd_fleet_replace(s->item, &r) == 0);
        break;
    default:
        s->up = !s->up;
        etcd_fleet_want(s->item, s->up);
        break;
    }
}

static bool is_there(const char *key)
{
    for (unsigned i = 0; i < KEYS; i++) {
        if (strcmp(world.keys[i].key, key) == 0)
            return true;
    }
    return false;
}

static void check_all(const struct service s[ITEMS])
{
    unsigned wanted = 0, there = 0;

    for (unsigned i = 0; i < ITEMS; i++) {
        struct etcd_fleet_look look;
        for (unsigned k = 0; k < s[i].n && s[i].up; k++, wanted++)
            CHECK(is_there(s[i].keys[k]));
        if (s[i].item == NULL)
            continue;
        etcd_fleet_look(s[i].item, &look);
        CHECK(look.standing == s[i].up && (look.lease != 0) == s[i].up);
    }
    for (unsigned i = 0; i < KEYS; i++)
        there += world.keys[i].key[0] != '\0';
    CHECK(there == wanted);
}

static void trouble(void)
{
    switch (dice(6)) {
    case 0: /* somebody revokes a lease */
        if (world.n_leases > 0)
            world.alive[1 + dice((unsigned)world.n_leases)] = false;
        break;
    case 1: /* wiped */
        if (dice(4) == 0)
            memset(world.alive, 0, sizeof(world.alive));
        break;
    case 2:
        world.full = !world.full;
        break;
    default:
        deliver_late(1 + dice(3));
        break;
    }
    expire();
}

/* --- tests ---------------------------------------------------------------------------------- */

static void *stop(void *arg)
{
    unsigned left;
    bool *clean = malloc(sizeof(*clean));

    *clean = etcd_fleet_stop(arg, 600000, &left);
    CHECK(left == 0);
    return clean;
}

static void end(struct etcd_fleet *f)
{
    void *clean = NULL;
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, stop, f) == 0);
    while (pthread_tryjoin_np(thread, &clean) != 0)
        run(10 * MS);
    for (unsigned i = 0; i < KEYS; i++)
        CHECK(world.keys[i].key[0] == '\0');
    if (!*(bool *)clean) /* as a process that ends: its memory is left */
        free(f);
    free(clean);
}

static void one_round(uint64_t seed, bool rough)
{
    static const struct wp_etcd_endpoint endpoint = {.text = "http://store",
                                                     .target = "ipv4:1.2.3.4:1"};
    const struct wp_etcd_source src = {.endpoints = &endpoint, .n_endpoints = 1, .prefix = "/k"};
    struct service services[ITEMS] = {0};
    struct etcd_fleet *f = NULL;
    char why[256];

    memset(&world, 0, sizeof(world));
    world.now = SECOND;
    world.seed = seed * 2 + 1;
    world.rough = rough;
    CHECK(etcd_fleet_new(&src, false, why, &f) == 0);
    for (unsigned i = 0; i < STEPS; i++) {
        change(f, &services[dice(ITEMS)]);
        if (rough && dice(3) == 0)
            trouble();
        run(dice(4) == 0 ? dice(2000) * MS : dice(50) * MS);
    }
    world.rough = world.full = false;
    run(40 * SECOND); /* calls run into their time, leases end, waits are over */
    check_all(services);
    deliver_late(LATE);
    run(10 * SECOND); /* what was revoked late is noticed */
    check_all(services);
    end(f);
}

static void test_in_peace(void)
{
    for (unsigned i = 0; i < 20; i++)
        one_round(i, false);
}

static void test_in_trouble(void)
{
    for (unsigned i = 0; i < ROUNDS; i++)
        one_round(1000 + i, true);
}

RUN_TESTS(TEST(test_in_peace), TEST(test_in_trouble))
