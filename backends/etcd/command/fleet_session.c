/* One connection for all: to the endpoint that answers, with a token where users are wanted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/etcd/command/fleet_priv.h"
#include "etcd.pb-c.h"
#include "waypost/base/random.h"

static const char *endpoint(const struct etcd_fleet *f)
{
    return f->src.endpoints[f->at].text;
}

/* --- its end -------------------------------------------------------------------------------- */

void fleet_close(struct etcd_fleet *f)
{
    f->cut = f->cut || f->login != NULL || f->n_calls > 0 || (f->channel != NULL && !f->proved);
    f->g->drop(f->login);
    f->g->drop(f->stream);
    f->login = f->stream = NULL;
    for (struct etcd_fleet_item *i = f->items; i != NULL; i = i->next) {
        f->g->drop(i->call);
        if (i->call != NULL)
            fleet_item_cut(i);
        if (i->lease != 0)
            i->alive_ns = 0; /* the last sign of life may not have been heard */
    }
    f->n_calls = f->n_asked = 0;
    f->g->channel_free(f->channel);
    f->channel = NULL;
    free(f->token);
    f->token = NULL;
    f->no_auth = f->proved = false;
}

static void tell(struct etcd_fleet *f, int status, const char *message, const char *what)
{
    const struct etcd_teller t = {.name = "etcd", .json = f->json};
    uint64_t now = f->g->now();
    char why[sizeof(f->last_why)];
    bool again;

    snprintf(why, sizeof(why), "%s: %s: %s: %s", endpoint(f), what, wp_etcd_status_text(status),
             message);
    again = strcmp(why, f->last_why) == 0;
    memcpy(f->last_why, why, sizeof(why));
    if (again && now - f->told_ns < FLEET_REPEAT_MS * MS)
        return;
    f->told_ns = now;
    etcd_tell(&t, "failed", "%s; trying on", why);
}

void fleet_leave(struct etcd_fleet *f, int status, const char *message, const char *what)
{
    uint64_t wait = wp_backoff_next(&f->backoff, wp_random());

    tell(f, status, message, what);
    fleet_close(f);
    if (f->src.n_endpoints > 1) {
        f->at = (f->at + 1) % f->src.n_endpoints;
        if (f->at != 0) /* the next one of a round at once */
            wait = 0;
    }
    if (wp_etcd_client_is_refusal(status))
        wait = FLEET_REFUSED_MS * MS;
    f->retry_ns = f->g->now() + wait;
    fleet_go(f);
}

bool fleet_failed(struct etcd_fleet *f, int status, const char *message, const char *what)
{
    if (wp_etcd_is_token_refused(status, message) && f->src.user != NULL && !f->reauthed) {
        f->reauthed = true; /* it aged, or the users changed: once more with a new one */
        fleet_close(f);
        f->retry_ns = 0;
        fleet_go(f);
        return true;
    }
    if (!wp_etcd_is_endpoint_bad(status, message) && !wp_etcd_is_token_refused(status, message))
        return false;
    fleet_leave(f, wp_etcd_is_token_refused(status, message) ? WP_GRPC_UNAUTHENTICATED : status,
                message, what);
    return true;
}

/* --- calls ---------------------------------------------------------------------------------- */

static size_t headers(const struct etcd_fleet *f, struct wp_grpc_header h[2])
{
    h[0] = (struct wp_grpc_header){"hasleader", "true"};
    h[1] = (struct wp_grpc_header){"token", f->token};
    return f->token != NULL ? 2 : 1;
}

struct wp_grpc_call *fleet_call(struct etcd_fleet *f, const char *path,
                                const ProtobufCMessage *request, wp_grpc_done_fn *done, void *arg)
{
    size_t len = protobuf_c_message_get_packed_size(request);
    uint8_t *packed = malloc(len + 1);
    struct wp_grpc_call *call = NULL;
    struct wp_grpc_header h[2];
    size_t n = headers(f, h);

    if (packed != NULL) {
        protobuf_c_message_pack(request, packed);
        call = f->g->unary(f->channel, path, h, n, packed, len, WP_ETCD_CALL_MS, done, arg);
        explicit_bzero(packed, len); /* it may hold a password */
    }
    free(packed);
    return call;
}

static void logged_in(void *arg, int status, const char *message, const uint8_t *data, size_t len)
{
    struct etcd_fleet *f = arg;
    Etcd__AuthenticateResponse *r =
        status == WP_GRPC_OK ? etcd__authenticate_response__unpack(NULL, len, data) : NULL;

    pthread_mutex_lock(&f->lock);
    f->login = NULL;
    if (r != NULL)
        f->token = strdup(r->token);
    f->no_auth = wp_etcd_is_auth_off(status, message);
    if (f->token == NULL && !f->no_auth)
        fleet_leave(f,
                    status == WP_GRPC_INVALID_ARGUMENT ? WP_GRPC_UNAUTHENTICATED
                    : status == WP_GRPC_OK             ? WP_GRPC_DATA_LOSS
                                                       : status,
                    message, "authenticate");
    else
        f->proved = true;
    fleet_go(f);
    pthread_mutex_unlock(&f->lock);
    if (r != NULL)
        etcd__authenticate_response__free_unpacked(r, NULL);
}

static void log_in(struct etcd_fleet *f)
{
    Etcd__AuthenticateRequest q = ETCD__AUTHENTICATE_REQUEST__INIT;

    q.name = (char *)(uintptr_t)f->src.user;
    q.password = (char *)(uintptr_t)f->src.password;
    f->login = fleet_call(f, "/etcdserverpb.Auth/Authenticate", &q.base, logged_in, f);
    if (f->login == NULL)
        fleet_leave(f, WP_GRPC_RESOURCE_EXHAUSTED, "out of memory", "authenticate");
}

static void open_channel(struct etcd_fleet *f)
{
    struct wp_etcd_pem pem = {0};
    char why[256] = "a target or a certificate that gRPC refuses";

    if (!f->src.tls ||
        wp_etcd_pem_read(f->src.ca_file, f->src.cert_file, f->src.key_file, &pem, why) == 0)
        f->channel = wp_etcd_channel_new(f->g, &f->src, f->at, &pem);
    wp_etcd_pem_done(&pem);
    if (f->channel == NULL)
        fleet_leave(f, WP_GRPC_UNAVAILABLE, why, "connect");
}

bool fleet_connected(struct etcd_fleet *f, uint64_t now)
{
    if (f->channel == NULL && now < f->retry_ns)
        return false;
    if (f->channel == NULL)
        open_channel(f);
    if (f->channel == NULL || f->login != NULL)
        return false;
    if (f->src.user == NULL || f->token != NULL || f->no_auth)
        return true;
    log_in(f);
    return false;
}

/* --- the stream ----------------------------------------------------------------------------- */

static void on_alive(void *arg, const uint8_t *data, size_t len)
{
    struct etcd_fleet *f = arg;
    Etcd__LeaseKeepAliveResponse *r = etcd__lease_keep_alive_response__unpack(NULL, len, data);

    pthread_mutex_lock(&f->lock);
    f->heard_ns = f->g->now();
    if (f->n_asked > 0)
        f->n_asked--;
    if (r != NULL)
        fleet_alive(f, r->id, r->ttl);
    pthread_mutex_unlock(&f->lock);
    if (r != NULL)
        etcd__lease_keep_alive_response__free_unpacked(r, NULL);
}

static void on_stream_end(void *arg, int status, const char *message)
{
    struct etcd_fleet *f = arg;

    pthread_mutex_lock(&f->lock);
    f->stream = NULL;
    if (status == WP_GRPC_OK)
        status = WP_GRPC_UNAVAILABLE;
    if (!fleet_failed(f, status, message, "keep leases alive"))
        fleet_leave(f, status, message, "keep leases alive");
    pthread_mutex_unlock(&f->lock);
}

bool fleet_keep_alive(struct etcd_fleet *f, int64_t lease)
{
    static const struct wp_grpc_stream_ops ops = {on_alive, on_stream_end};
    Etcd__LeaseKeepAliveRequest q = ETCD__LEASE_KEEP_ALIVE_REQUEST__INIT;
    struct wp_grpc_header h[2];
    uint8_t packed[32];

    if (f->stream == NULL)
        f->stream = f->g->stream(f->channel, "/etcdserverpb.Lease/LeaseKeepAlive", h, headers(f, h),
                                 &ops, f);
    q.id = lease;
    if (f->stream == NULL ||
        f->g->send(f->stream, packed, etcd__lease_keep_alive_request__pack(&q, packed)) < 0) {
        fleet_leave(f, WP_GRPC_RESOURCE_EXHAUSTED, "out of memory", "keep leases alive");
        return false;
    }
    if (f->n_asked++ == 0)
        f->heard_ns = f->g->now();
    return true;
}
