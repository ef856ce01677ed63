#include "backends/etcd/command/keeper.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/common/backoff.h"
#include "etcd.pb-c.h"
#include "waypost/base/random.h"

#define MS 1000000ull
enum {
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MOST_MS = 5000,
    REFUSED_MS = 30000, /* names, passwords and rights: each try costs the server a bcrypt */
    REPEAT_MS = 60000,  /* a failure that stays the same is told again */
};

struct etcd_keeper {
    struct etcd_keeper_config config;
    struct wp_etcd_client *client;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool up, closed, stop, give_up, ended; /* by lock */

    /* the thread's */
    int64_t lease; /* 0: none */
    int64_t granted_s;
    bool standing; /* the keys were put under this lease */
    bool was_standing;
    uint64_t next_ns; /* when to try again or keep alive */
    struct wp_backoff backoff;
    char last_why[512];
    uint64_t told_ns;
};

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* --- calls ---------------------------------------------------------------------------------- */

static int grant(struct etcd_keeper *k)
{
    Etcd__LeaseGrantRequest q = ETCD__LEASE_GRANT_REQUEST__INIT;
    const Etcd__LeaseGrantResponse *r;
    const void *reply = NULL;
    int status;

    q.ttl = k->config.ttl_s;
    status = wp_etcd_client_call(k->client, WP_ETCD_LEASE_GRANT, &q.base, &reply);
    if (status != WP_GRPC_OK)
        return status;
    r = reply;
    k->lease = r->id;
    k->granted_s = r->ttl > 0 ? r->ttl : k->config.ttl_s;
    k->standing = false;
    return WP_GRPC_OK;
}

/* All of them in one revision. */
static int put(struct etcd_keeper *k)
{
    unsigned n = k->config.n_pairs;
    Etcd__TxnRequest q = ETCD__TXN_REQUEST__INIT;
    Etcd__PutRequest *puts = calloc(n, sizeof(*puts));
    Etcd__RequestOp *ops = calloc(n, sizeof(*ops)), **at = calloc(n, sizeof(Etcd__RequestOp *));
    const void *reply = NULL;
    int status = WP_GRPC_RESOURCE_EXHAUSTED;

    for (unsigned i = 0; puts != NULL && ops != NULL && at != NULL && i < n; i++) {
        const struct etcd_pair *pair = &k->config.pairs[i];
        etcd__put_request__init(&puts[i]);
        etcd__request_op__init(&ops[i]);
        puts[i].key = (ProtobufCBinaryData){strlen(pair->key), (uint8_t *)pair->key};
        puts[i].value = (ProtobufCBinaryData){strlen(pair->value), (uint8_t *)pair->value};
        puts[i].lease = k->lease;
        ops[i].request_case = ETCD__REQUEST_OP__REQUEST_REQUEST_PUT;
        ops[i].request_put = &puts[i];
        at[i] = &ops[i];
        q.n_success = i + 1;
    }
    q.success = at;
    if (q.n_success == n)
        status = wp_etcd_client_call(k->client, WP_ETCD_TXN, &q.base, &reply);
    free(puts);
    free(ops);
    free(at);
    return status;
}

static int keep_alive(struct etcd_keeper *k)
{
    Etcd__LeaseKeepAliveRequest q = ETCD__LEASE_KEEP_ALIVE_REQUEST__INIT;
    const void *reply = NULL;
    int status;

    q.id = k->lease;
    status = wp_etcd_client_call(k->client, WP_ETCD_LEASE_KEEP_ALIVE, &q.base, &reply);
    if (status == WP_GRPC_OK && ((const Etcd__LeaseKeepAliveResponse *)reply)->ttl <= 0)
        return WP_GRPC_NOT_FOUND;
    return status;
}

static int revoke(struct etcd_keeper *k)
{
    Etcd__LeaseRevokeRequest q = ETCD__LEASE_REVOKE_REQUEST__INIT;
    const void *reply = NULL;
    int status;

    q.id = k->lease;
    k->standing = false; /* it may have been revoked whatever comes back */
    status = wp_etcd_client_call(k->client, WP_ETCD_LEASE_REVOKE, &q.base, &reply);
    if (status != WP_GRPC_OK && status != WP_GRPC_NOT_FOUND)
        return status;
    k->lease = 0;
    etcd_tell(k->config.teller, "withdrawn", "withdrawn at %s", wp_etcd_client_endpoint(k->client));
    return WP_GRPC_OK;
}

/* --- what to do next ------------------------------------------------------------------------ */

static void registered(struct etcd_keeper *k)
{
    const struct etcd_teller *t = k->config.teller;

    k->standing = true;
    etcd_tell(t, "registered", "registered%s as %s at %s, lease %llx of %lld s",
              k->was_standing ? " again" : "", k->config.pairs[0].key,
              wp_etcd_client_endpoint(k->client), (unsigned long long)k->lease,
              (long long)k->granted_s);
    if (!k->was_standing)
        etcd_notify(t, "READY=1");
    k->was_standing = true;
}

/* One step towards standing keys, or the next sign of life. */
static int stand(struct etcd_keeper *k)
{
    int status;

    if (k->lease == 0) {
        status = grant(k);
        if (status != WP_GRPC_OK)
            return status;
    }
    status = k->standing ? keep_alive(k) : put(k);
    if (status == WP_GRPC_OK && !k->standing)
        registered(k);
    if (status == WP_GRPC_NOT_FOUND) {
        if (k->standing)
            etcd_tell(k->config.teller, "lost", "the lease %llx is gone: registering again",
                      (unsigned long long)k->lease);
        k->lease = 0;
        k->standing = false;
    }
    return status;
}

static void tell_failure(struct etcd_keeper *k, uint64_t now)
{
    const char *why = wp_etcd_client_why(k->client);

    if (strcmp(why, k->last_why) == 0 && now - k->told_ns < REPEAT_MS * MS)
        return;
    snprintf(k->last_why, sizeof(k->last_why), "%s", why);
    k->told_ns = now;
    etcd_tell(k->config.teller, "failed", "%s; trying on", why);
}

static void plan(struct etcd_keeper *k, int status, bool up)
{
    uint64_t now = now_ns(), third = (uint64_t)k->granted_s * 1000 * MS / 3;

    if (status == WP_GRPC_OK) {
        wp_backoff_reset(&k->backoff);
        k->last_why[0] = '\0';
        k->next_ns = up ? now + third : UINT64_MAX;
    } else if (status == WP_GRPC_NOT_FOUND) {
        k->next_ns = now + wp_random_below(BACKOFF_FIRST_MS) * MS;
    } else if (status != WP_GRPC_CANCELLED) {
        uint64_t wait = wp_backoff_next(&k->backoff, wp_random());
        if (wp_etcd_client_is_refusal(status))
            wait = REFUSED_MS * MS;
        else if (k->lease != 0 && wait > third)
            wait = third;
        tell_failure(k, now);
        k->next_ns = now + wait;
    }
}

/* Until there is something to do. False: the end. */
static bool wait_for_work(struct etcd_keeper *k, bool before, bool *ret_up)
{
    bool go_on;

    pthread_mutex_lock(&k->lock);
    while (!k->stop && k->up == before && now_ns() < k->next_ns) {
        struct timespec until = {.tv_sec = (time_t)(k->next_ns / 1000000000u),
                                 .tv_nsec = (long)(k->next_ns % 1000000000u)};
        if (k->next_ns == UINT64_MAX)
            pthread_cond_wait(&k->cond, &k->lock);
        else
            pthread_cond_timedwait(&k->cond, &k->lock, &until);
    }
    *ret_up = k->up;
    go_on = !k->stop;
    if (go_on || !k->give_up)
        wp_etcd_client_interrupt(k->client, false); /* what it was about has been seen */
    pthread_mutex_unlock(&k->lock);
    return go_on;
}

static void *run(void *arg)
{
    struct etcd_keeper *k = arg;
    bool up = false;

    while (wait_for_work(k, up, &up)) {
        int status = WP_GRPC_OK;
        if (up)
            status = stand(k);
        else if (k->lease != 0)
            status = revoke(k);
        plan(k, status, up);
    }
    if (k->lease != 0 && revoke(k) != WP_GRPC_OK)
        etcd_tell(k->config.teller, "left", "%s; the record ends with its lease, within %lld s",
                  wp_etcd_client_why(k->client), (long long)k->granted_s);
    pthread_mutex_lock(&k->lock);
    k->ended = true;
    pthread_cond_broadcast(&k->cond);
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

/* --- from outside --------------------------------------------------------------------------- */

static void keeper_free(struct etcd_keeper *k)
{
    wp_etcd_client_free(k->client);
    pthread_cond_destroy(&k->cond);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

int etcd_keeper_start(const struct etcd_keeper_config *config, char why[256],
                      struct etcd_keeper **ret)
{
    struct etcd_keeper *k = calloc(1, sizeof(*k));
    pthread_condattr_t attr;
    int r;

    if (k == NULL)
        return -ENOMEM;
    k->config = *config;
    k->next_ns = UINT64_MAX;
    k->granted_s = config->ttl_s;
    k->backoff =
        (struct wp_backoff){.first_ns = BACKOFF_FIRST_MS * MS, .most_ns = BACKOFF_MOST_MS * MS};
    pthread_mutex_init(&k->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&k->cond, &attr);
    pthread_condattr_destroy(&attr);
    r = wp_etcd_client_new(config->src, why, &k->client);
    if (r == 0 && config->ttl_s < 3 * WP_ETCD_CALL_MS / 1000) /* another one, while it lives */
        wp_etcd_client_patience(k->client, (unsigned)config->ttl_s * 1000 / 3);
    if (r == 0)
        r = -pthread_create(&k->thread, NULL, run, k);
    if (r < 0) {
        keeper_free(k);
        return r;
    }
    *ret = k;
    return 0;
}

static void want(struct etcd_keeper *k, bool up)
{
    if (k->up == up)
        return;
    k->up = up;
    wp_etcd_client_interrupt(k->client, true);
    pthread_cond_broadcast(&k->cond);
}

void etcd_keeper_want(struct etcd_keeper *k, bool up)
{
    pthread_mutex_lock(&k->lock);
    want(k, up && !k->closed);
    pthread_mutex_unlock(&k->lock);
}

void etcd_keeper_close(struct etcd_keeper *k)
{
    pthread_mutex_lock(&k->lock);
    k->closed = true;
    want(k, false);
    pthread_mutex_unlock(&k->lock);
}

bool etcd_keeper_stop(struct etcd_keeper *k, unsigned timeout_ms)
{
    uint64_t end = now_ns() + timeout_ms * MS;
    struct timespec until = {.tv_sec = (time_t)(end / 1000000000u),
                             .tv_nsec = (long)(end % 1000000000u)};

    if (k == NULL)
        return true;
    pthread_mutex_lock(&k->lock);
    k->stop = true;
    wp_etcd_client_interrupt(k->client, true);
    pthread_cond_broadcast(&k->cond);
    while (!k->ended && pthread_cond_timedwait(&k->cond, &k->lock, &until) == 0)
        ;
    k->give_up = true;
    wp_etcd_client_interrupt(k->client, true);
    pthread_mutex_unlock(&k->lock);
    pthread_join(k->thread, NULL);
    if (wp_etcd_client_is_slow_to_free(k->client))
        return false;
    keeper_free(k);
    return true;
}
