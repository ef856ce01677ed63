/* The n-th allocation fails somewhere in a command's calls: each call ends with OK and what it is to
 * bring, or with an error in words; nothing is lost and nothing leaks. The engine is this thread. */
#include "check.h"

#include "failmalloc.h"

#include <stdlib.h>
#include <string.h>

#include "backends/etcd/command/client.h"
#include "etcd.pb-c.h"

/* --- a store that knows one token ---------------------------------------------------------------- */

struct wp_grpc_channel {
    int unused;
};
struct wp_grpc_call {
    struct wp_grpc_call *next;
    wp_grpc_done_fn *done;
    const struct wp_grpc_stream_ops *ops;
    void *arg;
    const char *path;
    bool has_token, dropped, sent;
};
static struct wp_grpc_call *pending; /* calls whose end has not been told */
static unsigned users, channels, calls, refusals;

static int acquire(void)
{
    users++;
    return 0;
}

static void release(void)
{
    users--;
}

static size_t pack(const ProtobufCMessage *m, uint8_t out[256])
{
    CHECK(protobuf_c_message_get_packed_size(m) <= 256);
    return protobuf_c_message_pack(m, out);
}

static size_t reply_to(const char *path, uint8_t out[256])
{
    Etcd__Header h = ETCD__HEADER__INIT;
    Etcd__KeyValue kv = ETCD__KEY_VALUE__INIT, *kvs[] = {&kv};
    Etcd__AuthenticateResponse auth = ETCD__AUTHENTICATE_RESPONSE__INIT;
    Etcd__RangeResponse range = ETCD__RANGE_RESPONSE__INIT;
    Etcd__LeaseKeepAliveResponse alive = ETCD__LEASE_KEEP_ALIVE_RESPONSE__INIT;
    Etcd__LeaseTimeToLiveResponse left = ETCD__LEASE_TIME_TO_LIVE_RESPONSE__INIT;

    h.revision = 7;
    auth.token = (char *)(uintptr_t)"token";
    kv.key = (ProtobufCBinaryData){2, (uint8_t *)(uintptr_t)"/k"};
    kv.value = (ProtobufCBinaryData){2, (uint8_t *)(uintptr_t)"{}"};
    range.header = &h;
    range.n_kvs = 1;
    range.kvs = kvs;
    alive.id = left.id = 5;
    alive.ttl = left.ttl = 30;
    return strstr(path, "Authenticate") != NULL ? pack(&auth.base, out)
           : strstr(path, "KeepAlive") != NULL  ? pack(&alive.base, out)
           : strstr(path, "TimeToLive") != NULL ? pack(&left.base, out)
                                                : pack(&range.base, out);
}

/* What comes back is C core's memory: it does not fail here. */
static void end_call(struct wp_grpc_call *c)
{
    uint8_t reply[256];
    size_t len = reply_to(c->path, reply);
    bool refused = !c->has_token && strstr(c->path, "Authenticate") == NULL;

    refusals += refused;
    if (c->dropped || (c->ops != NULL && !c->sent)) {
        /* nobody waits */
    } else if (c->ops != NULL && refused) {
        c->ops->end(c->arg, WP_GRPC_UNAUTHENTICATED, "etcdserver: invalid auth token");
    } else if (c->ops != NULL) {
        c->ops->message(c->arg, reply, len);
    } else if (refused) {
        c->done(c->arg, WP_GRPC_UNAUTHENTICATED, "etcdserver: invalid auth token", NULL, 0);
    } else {
        c->done(c->arg, WP_GRPC_OK, "", reply, len);
    }
    free(c);
    calls--;
}

static void post(struct wp_grpc_post *p)
{
    p->fn(p);
    while (pending != NULL) {
        struct wp_grpc_call *c = pending;
        pending = c->next;
        end_call(c);
    }
}

static uint64_t now(void)
{
    return 1;
}

static void timer_set(struct wp_grpc_timer *t, uint64_t due_ns)
{
    (void)t;
    (void)due_ns;
}

static void timer_cancel(struct wp_grpc_timer *t)
{
    (void)t;
}

static struct wp_grpc_channel *channel_new(const struct wp_grpc_channel_config *c)
{
    struct wp_grpc_channel *ch = malloc(sizeof(*ch));

    (void)c;
    channels += ch != NULL;
    return ch;
}

static void channel_free(struct wp_grpc_channel *c)
{
    channels -= c != NULL;
    free(c);
}

static struct wp_grpc_call *call_new(const char *path, const struct wp_grpc_header *headers,
                                     size_t n)
{
    struct wp_grpc_call *c = malloc(sizeof(*c));
    struct wp_grpc_call **at = &pending;

    if (c == NULL)
        return NULL;
    *c = (struct wp_grpc_call){.path = path};
    for (size_t i = 0; i < n; i++)
        c->has_token |=
            strcmp(headers[i].key, "token") == 0 && strcmp(headers[i].value, "token") == 0;
    while (*at != NULL)
        at = &(*at)->next;
    *at = c;
    calls++;
    return c;
}

static struct wp_grpc_call *unary(struct wp_grpc_channel *ch, const char *path,
                                  const struct wp_grpc_header *headers, size_t n,
                                  const void *request, size_t len, unsigned timeout_ms,
                                  wp_grpc_done_fn *fn, void *arg)
{
    struct wp_grpc_call *c = call_new(path, headers, n);

    (void)ch;
    (void)request;
    (void)len;
    (void)timeout_ms;
    if (c != NULL) {
        c->done = fn;
        c->arg = arg;
    }
    return c;
}

static struct wp_grpc_call *stream(struct wp_grpc_channel *ch, const char *path,
                                   const struct wp_grpc_header *headers, size_t n,
                                   const struct wp_grpc_stream_ops *ops, void *arg)
{
    struct wp_grpc_call *c = call_new(path, headers, n);

    (void)ch;
    if (c != NULL) {
        c->ops = ops;
        c->arg = arg;
    }
    return c;
}

static int send_message(struct wp_grpc_call *c, const void *message, size_t len)
{
    void *copy = malloc(len + 1);

    (void)message;
    if (copy == NULL)
        return -ENOMEM;
    free(copy);
    c->sent = true;
    return 0;
}

static void drop(struct wp_grpc_call *c)
{
    if (c != NULL)
        c->dropped = true;
}

static const struct wp_grpc_ops store = {
    WP_GRPC_VERSION, acquire,      release, post,   now,          timer_set, timer_cancel,
    channel_new,     channel_free, unary,   stream, send_message, drop,
};

const struct wp_grpc_ops *wp_grpc_open(char errbuf[256])
{
    *errbuf = '\0';
    return &store;
}

/* --- the calls ------------------------------------------------------------------------------------- */

static int read_key(struct wp_etcd_client *c)
{
    Etcd__RangeRequest q = ETCD__RANGE_REQUEST__INIT;
    const void *reply = NULL;
    int status;

    q.key = (ProtobufCBinaryData){2, (uint8_t *)(uintptr_t)"/k"};
    status = wp_etcd_client_call(c, WP_ETCD_RANGE, &q.base, &reply);
    if (status == WP_GRPC_OK) {
        const Etcd__RangeResponse *r = reply;
        CHECK(r->n_kvs == 1 && r->header->revision == 7);
    }
    return status;
}

static int keep_alive(struct wp_etcd_client *c)
{
    Etcd__LeaseKeepAliveRequest q = ETCD__LEASE_KEEP_ALIVE_REQUEST__INIT;
    const void *reply = NULL;
    int status;

    q.id = 5;
    status = wp_etcd_client_call(c, WP_ETCD_LEASE_KEEP_ALIVE, &q.base, &reply);
    if (status == WP_GRPC_OK)
        CHECK(((const Etcd__LeaseKeepAliveResponse *)reply)->ttl == 30);
    return status;
}

static int times(struct wp_etcd_client *c)
{
    static const int64_t leases[] = {5, 5, 5};
    int64_t left[3] = {-2, -2, -2};

    wp_etcd_client_times_to_live(c, leases, left, 3);
    for (int i = 0; i < 3; i++)
        CHECK(left[i] == 30 || left[i] == WP_ETCD_LEFT_UNKNOWN);
    return left[0] == 30 && left[1] == 30 && left[2] == 30 ? WP_GRPC_OK : WP_GRPC_UNAVAILABLE;
}

static int read_then_times(struct wp_etcd_client *c);
static void test_with(const char *what, int (*fn)(struct wp_etcd_client *c), const char *user)
{
    const struct wp_etcd_endpoint endpoints[] = {{"http://a", "ipv4:127.0.0.1:1", WP_ETCD_PLAIN},
                                                 {"http://b", "ipv4:127.0.0.1:2", WP_ETCD_PLAIN}};
    struct wp_etcd_source src = {
        .prefix = "", .endpoints = endpoints, .n_endpoints = 2, .user = user, .password = user};
    bool met = true;
    long n;

    for (n = 0; met; n++) {
        struct wp_etcd_client *c = NULL;
        char why[256] = "";
        int r, status = WP_GRPC_OK, later = WP_GRPC_OK;
        failmalloc_after(n);
        r = wp_etcd_client_new(&src, why, &c);
        if (r == 0)
            status = fn(c);
        met = failmalloc_stop();
        CHECK_AT(what, r == 0 || (r == -ENOMEM && c == NULL && users == 0 && *why != '\0'));
        CHECK_AT(what, met || (r == 0 && (user == NULL || status == WP_GRPC_OK)));
        if (r == 0) {
            later = read_key(c); /* memory is there again */
            CHECK_AT(what, (later == WP_GRPC_OK) == (user != NULL));
            CHECK_AT(what, status == WP_GRPC_OK || fn == read_then_times || *wp_etcd_client_why(c) != '\0');
        }
        wp_etcd_client_free(c);
        CHECK_AT(what, users == 0 && channels == 0 && calls == 0);
    }
    CHECK_AT(what, n > 4);
}

static void test_read(void)
{
    test_with("read", read_key, "user");
}

static void test_stream(void)
{
    test_with("stream", keep_alive, "user");
}

static void test_refused(void)
{
    test_with("without a user", read_key, NULL);
    CHECK(refusals > 0);
}

static int read_then_times(struct wp_etcd_client *c)
{
    int status = read_key(c);

    return status == WP_GRPC_OK ? times(c) : status;
}

static void test_many(void)
{
    test_with("many at once", read_then_times, "user");
}

RUN_TESTS(TEST(test_read), TEST(test_stream), TEST(test_refused), TEST(test_many))
