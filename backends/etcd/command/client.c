#include "backends/etcd/command/client_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "backends/common/client_tls.h"
#include "backends/etcd/hidden.h"
#include "etcd.pb-c.h"

static const struct {
    const char *path, *what;
    const ProtobufCMessageDescriptor *reply;
    bool is_stream;
} methods[] = {
    [WP_ETCD_AUTHENTICATE] = {"/etcdserverpb.Auth/Authenticate", "authenticate",
                              &etcd__authenticate_response__descriptor, false},
    [WP_ETCD_RANGE] = {"/etcdserverpb.KV/Range", "read", &etcd__range_response__descriptor, false},
    [WP_ETCD_TXN] = {"/etcdserverpb.KV/Txn", "write", &etcd__txn_response__descriptor, false},
    [WP_ETCD_LEASE_GRANT] = {"/etcdserverpb.Lease/LeaseGrant", "grant a lease",
                             &etcd__lease_grant_response__descriptor, false},
    [WP_ETCD_LEASE_REVOKE] = {"/etcdserverpb.Lease/LeaseRevoke", "revoke the lease",
                              &etcd__lease_revoke_response__descriptor, false},
    [WP_ETCD_LEASE_KEEP_ALIVE] = {"/etcdserverpb.Lease/LeaseKeepAlive", "keep the lease alive",
                                  &etcd__lease_keep_alive_response__descriptor, true},
    [WP_ETCD_LEASE_TIME_TO_LIVE] = {"/etcdserverpb.Lease/LeaseTimeToLive", "ask about a lease",
                                    &etcd__lease_time_to_live_response__descriptor, false},
};

/* --- on the engine's thread ----------------------------------------------------------------- */

static void end_job(struct wp_etcd_client *c, int status, const char *message, const uint8_t *data,
                    size_t len)
{
    struct wp_etcd_job *j = &c->job;

    j->over = true;
    if (status == WP_GRPC_OK) {
        j->data = malloc(len + 1);
        if (j->data != NULL && len > 0)
            memcpy(j->data, data, len);
        j->len = len;
        if (j->data == NULL)
            status = WP_GRPC_RESOURCE_EXHAUSTED;
    }
    j->status = status;
    snprintf(j->message, sizeof(j->message), "%s", message);
    pthread_mutex_lock(&c->lock);
    j->done = true;
    pthread_cond_signal(&c->cond);
    pthread_mutex_unlock(&c->lock);
}

static void unary_done(void *arg, int status, const char *message, const uint8_t *data, size_t len)
{
    end_job(arg, status, message, data, len);
}

static void stream_message(void *arg, const uint8_t *data, size_t len)
{
    struct wp_etcd_client *c = arg;

    c->g->drop(c->job.call);
    end_job(c, WP_GRPC_OK, "", data, len);
}

static void stream_end(void *arg, int status, const char *message)
{
    end_job(arg, status == WP_GRPC_OK ? WP_GRPC_UNAVAILABLE : status, message, NULL, 0);
}

static void start_call(struct wp_grpc_post *post)
{
    static const struct wp_grpc_stream_ops stream = {stream_message, stream_end};
    struct wp_etcd_client *c =
        (struct wp_etcd_client *)(void *)((char *)post -
                                          offsetof(struct wp_etcd_client, job.start));
    struct wp_etcd_job *j = &c->job;
    struct wp_grpc_header headers[2] = {{"hasleader", "true"}, {"token", c->token}};
    size_t n = c->token != NULL ? 2 : 1;

    if (c->channel == NULL)
        c->channel = wp_etcd_channel_new(c->g, &c->src, c->at, &j->pem);
    if (c->channel == NULL) {
        end_job(c, WP_GRPC_UNAVAILABLE, "a target or a certificate that gRPC refuses", NULL, 0);
        return;
    }
    j->call = j->is_stream ? c->g->stream(c->channel, j->path, headers, n, &stream, c)
                           : c->g->unary(c->channel, j->path, headers, n, j->packed, j->packed_len,
                                         c->timeout_ms, unary_done, c);
    if (j->call != NULL && j->is_stream && c->g->send(j->call, j->packed, j->packed_len) < 0) {
        c->g->drop(j->call);
        j->call = NULL;
    }
    if (j->call == NULL)
        end_job(c, WP_GRPC_RESOURCE_EXHAUSTED, "out of memory", NULL, 0);
}

static void abort_call(struct wp_grpc_post *post)
{
    struct wp_etcd_client *c =
        (struct wp_etcd_client *)(void *)((char *)post -
                                          offsetof(struct wp_etcd_client, job.abort));

    if (!c->job.over) {
        c->cut = true;
        c->g->drop(c->job.call);
        end_job(c, WP_GRPC_DEADLINE_EXCEEDED, "no answer", NULL, 0);
    }
    pthread_mutex_lock(&c->lock);
    c->job.aborted = true;
    pthread_cond_signal(&c->cond);
    pthread_mutex_unlock(&c->lock);
}

static void drop_channel(struct wp_grpc_post *post)
{
    struct wp_etcd_client *c =
        (struct wp_etcd_client *)(void *)((char *)post -
                                          offsetof(struct wp_etcd_client, job.start));

    c->g->channel_free(c->channel);
    c->channel = NULL;
    end_job(c, WP_GRPC_CANCELLED, "", NULL, 0);
}

/* --- on the caller's ------------------------------------------------------------------------ */

/* Until the job is done, however it ends. */
static void run_job(struct wp_etcd_client *c, void (*fn)(struct wp_grpc_post *post))
{
    struct wp_etcd_job *j = &c->job;
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += c->timeout_ms / 1000;
    until.tv_nsec += c->timeout_ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    j->start.fn = fn;
    c->g->post(&j->start);
    pthread_mutex_lock(&c->lock);
    while (!j->done && !(c->interrupted && fn == start_call) &&
           pthread_cond_timedwait(&c->cond, &c->lock, &until) == 0)
        ;
    if (!j->done) {
        bool interrupted = c->interrupted;
        pthread_mutex_unlock(&c->lock);
        j->abort.fn = abort_call;
        c->g->post(&j->abort);
        pthread_mutex_lock(&c->lock);
        while (!j->aborted)
            pthread_cond_wait(&c->cond, &c->lock);
        if (interrupted && j->status == WP_GRPC_DEADLINE_EXCEEDED)
            j->status = WP_GRPC_CANCELLED;
    }
    pthread_mutex_unlock(&c->lock);
}

static void drop_token(struct wp_etcd_client *c)
{
    if (c->token != NULL)
        explicit_bzero(c->token, strlen(c->token));
    free(c->token);
    c->token = NULL;
    c->no_auth = false;
}

static void leave_endpoint(struct wp_etcd_client *c)
{
    c->job = (struct wp_etcd_job){0};
    run_job(c, drop_channel);
    drop_token(c);
}

/* The reason behind gRPC's text, where that hides it. */
static bool look_behind(const struct wp_etcd_client *c, const char *message,
                        char why[WP_TLS_PROBE_WHY])
{
    const struct wp_client_tls t = {
        .cert = c->src.cert_file, .key = c->src.key_file, .ca = c->src.ca_file};
    struct wp_tls_probe probe = {.cancel = c->stop_fd, .has_cert = c->src.cert_file != NULL};
    char name[WP_ETCD_HIDDEN_NAME], errbuf[256];
    bool found = false;

    if (!wp_etcd_is_hidden(message) ||
        !wp_etcd_hidden_at(c->src.endpoints[c->at].target, message, name, &probe) ||
        (c->src.tls && wp_client_tls_open(&t, "h2", false, errbuf, &probe.ctx) < 0))
        return false;
    found = wp_tls_probe(&probe, why) == 0;
    wp_client_tls_free(probe.ctx);
    return found;
}

static void explain(struct wp_etcd_client *c, const char *what, int status, const char *message)
{
    char why[WP_TLS_PROBE_WHY];

    if (status == WP_GRPC_UNAVAILABLE && look_behind(c, message, why))
        message = why;
    snprintf(c->why, sizeof(c->why), "%s: %s: %s: %s", wp_etcd_client_endpoint(c), what,
             wp_etcd_status_text(status), message);
}

/* One call at the endpoint at hand. */
static int call_once(struct wp_etcd_client *c, enum wp_etcd_method method,
                     const ProtobufCMessage *request, const void **ret_reply)
{
    struct wp_etcd_job *j = &c->job;
    char why[256] = "out of memory";
    int status = WP_GRPC_RESOURCE_EXHAUSTED;

    *j = (struct wp_etcd_job){.path = methods[method].path, .is_stream = methods[method].is_stream};
    j->packed_len = protobuf_c_message_get_packed_size(request);
    j->packed = malloc(j->packed_len + 1);
    if (j->packed != NULL && c->src.tls &&
        wp_etcd_pem_read(c->src.ca_file, c->src.cert_file, c->src.key_file, &j->pem, why) < 0) {
        explain(c, "tls", WP_GRPC_UNAVAILABLE, why);
        free(j->packed);
        return WP_GRPC_UNAVAILABLE;
    }
    if (j->packed != NULL) {
        protobuf_c_message_pack(request, j->packed);
        run_job(c, start_call);
        status = j->status;
        snprintf(why, sizeof(why), "%s", j->message);
    }
    wp_etcd_pem_done(&j->pem);
    if (j->packed != NULL)
        explicit_bzero(j->packed, j->packed_len); /* it may hold a password */
    free(j->packed);
    if (status == WP_GRPC_OK) {
        protobuf_c_message_free_unpacked((ProtobufCMessage *)(uintptr_t)c->reply, NULL);
        c->reply = protobuf_c_message_unpack(methods[method].reply, NULL, j->len, j->data);
        *ret_reply = c->reply;
        if (c->reply == NULL) {
            status = WP_GRPC_DATA_LOSS;
            snprintf(why, sizeof(why), "malformed reply");
        }
    }
    free(j->data);
    if (status != WP_GRPC_OK)
        explain(c, methods[method].what, status, why);
    return status;
}

static int authenticate(struct wp_etcd_client *c)
{
    Etcd__AuthenticateRequest q = ETCD__AUTHENTICATE_REQUEST__INIT;
    const void *reply = NULL;
    int status;

    q.name = (char *)(uintptr_t)c->src.user;
    q.password = (char *)(uintptr_t)c->src.password;
    status = call_once(c, WP_ETCD_AUTHENTICATE, &q.base, &reply);
    if (wp_etcd_is_auth_off(status, c->why)) {
        c->no_auth = true;
        return WP_GRPC_OK;
    }
    if (status != WP_GRPC_OK)
        return status == WP_GRPC_INVALID_ARGUMENT ? WP_GRPC_UNAUTHENTICATED : status;
    c->token = strdup(((const Etcd__AuthenticateResponse *)reply)->token);
    return c->token == NULL ? WP_GRPC_RESOURCE_EXHAUSTED : WP_GRPC_OK;
}

/* With a token when there is a user, and with a new one when it is refused. */
static int call_with_token(struct wp_etcd_client *c, enum wp_etcd_method method,
                           const ProtobufCMessage *request, const void **ret_reply)
{
    int status = WP_GRPC_OK;

    for (int i = 0; i < 2; i++) {
        if (c->src.user != NULL && c->token == NULL && !c->no_auth)
            status = authenticate(c);
        if (status != WP_GRPC_OK)
            return status;
        status = call_once(c, method, request, ret_reply);
        if (status == WP_GRPC_OK || !wp_etcd_is_token_refused(status, c->why))
            return status;
        drop_token(c);
        if (c->src.user == NULL)
            break;
        status = i == 0 ? WP_GRPC_OK : status;
    }
    return WP_GRPC_UNAUTHENTICATED;
}

int wp_etcd_client_call(struct wp_etcd_client *c, enum wp_etcd_method method,
                        const ProtobufCMessage *request, const void **ret_reply)
{
    int status = WP_GRPC_UNAVAILABLE;

    for (unsigned tried = 0; tried < c->src.n_endpoints; tried++) {
        status = call_with_token(c, method, request, ret_reply);
        if (status == WP_GRPC_OK || !wp_etcd_is_endpoint_bad(status, c->why))
            return status;
        leave_endpoint(c);
        c->at = (c->at + 1) % c->src.n_endpoints;
    }
    return status;
}

int wp_etcd_client_new(const struct wp_etcd_source *src, char why[256], struct wp_etcd_client **ret)
{
    struct wp_etcd_client *c = calloc(1, sizeof(*c));
    pthread_condattr_t attr;
    int r = 0;

    snprintf(why, 256, "out of memory");
    if (c == NULL)
        return -ENOMEM;
    c->src = *src;
    c->timeout_ms = WP_ETCD_CALL_MS;
    c->g = wp_grpc_open(why);
    r = c->g == NULL ? WP_EUNSUPPORTED : c->g->acquire();
    if (r < 0) {
        free(c);
        return r;
    }
    c->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->stop_fd < 0) {
        r = -errno;
        c->g->release();
        free(c);
        return r;
    }
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->cond, &attr);
    pthread_condattr_destroy(&attr);
    *ret = c;
    return 0;
}

void wp_etcd_client_free(struct wp_etcd_client *c)
{
    if (c == NULL)
        return;
    leave_endpoint(c);
    c->g->release();
    protobuf_c_message_free_unpacked((ProtobufCMessage *)(uintptr_t)c->reply, NULL);
    pthread_cond_destroy(&c->cond);
    pthread_mutex_destroy(&c->lock);
    close(c->stop_fd);
    free(c);
}

bool wp_etcd_client_is_slow_to_free(const struct wp_etcd_client *c)
{
    return c->cut;
}

void wp_etcd_client_patience(struct wp_etcd_client *c, unsigned timeout_ms)
{
    c->timeout_ms = timeout_ms;
}

const char *wp_etcd_client_why(const struct wp_etcd_client *c)
{
    return c->why;
}

const char *wp_etcd_client_endpoint(const struct wp_etcd_client *c)
{
    return c->src.endpoints[c->at].text;
}

void wp_etcd_client_interrupt(struct wp_etcd_client *c, bool on)
{
    eventfd_t seen;

    pthread_mutex_lock(&c->lock);
    if (on && !c->interrupted)
        eventfd_write(c->stop_fd, 1);
    else if (!on && c->interrupted)
        eventfd_read(c->stop_fd, &seen);
    c->interrupted = on;
    pthread_cond_signal(&c->cond);
    pthread_mutex_unlock(&c->lock);
}

bool wp_etcd_client_is_refusal(int status)
{
    return status == WP_GRPC_PERMISSION_DENIED || status == WP_GRPC_UNAUTHENTICATED ||
           status == WP_GRPC_INVALID_ARGUMENT;
}
