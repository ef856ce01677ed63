/* What is to be done with an item, and what comes of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/etcd/command/fleet_priv.h"
#include "etcd.pb-c.h"
#include "waypost/base/random.h"

/* --- outcomes ------------------------------------------------------------------------------- */

static uint64_t third_of(const struct etcd_fleet_item *i)
{
    return (uint64_t)i->granted_s * 1000 * MS / 3;
}

static void lose(struct etcd_fleet_item *i)
{
    if (i->standing)
        etcd_tell(&i->there->teller, "lost", "the lease %llx is gone: registering again",
                  (unsigned long long)i->lease);
    fleet_set_lease(i, 0);
    i->alive_ns = UINT64_MAX;
    i->act_ns = 0;
}

void fleet_alive(struct etcd_fleet *f, int64_t lease, int64_t ttl_s)
{
    struct etcd_fleet_item *i =
        f->bucket[((uint64_t)lease * 0x9e3779b97f4a7c15u >> 32) % FLEET_BUCKETS];

    while (i != NULL && i->lease != lease)
        i = i->lease_next;
    if (i == NULL || ttl_s > 0 || i->op == FLEET_REVOKE)
        return;
    lose(i);
    fleet_settle(i);
    fleet_go(f);
}

void fleet_item_cut(struct etcd_fleet_item *i)
{
    i->doubtful = i->doubtful || i->op == FLEET_PUT;
    i->standing = i->standing && i->op != FLEET_REVOKE;
    i->op = FLEET_IDLE;
    i->call = NULL;
    i->act_ns = 0;
}

/* The item's own error: the connection is good. */
static void item_failed(struct etcd_fleet_item *i, int status, const char *message,
                        const char *what)
{
    struct etcd_fleet *f = i->fleet;
    uint64_t wait = wp_backoff_next(&i->backoff, wp_random());
    char why[sizeof(i->why)];

    if (status == WP_GRPC_NOT_FOUND) {
        lose(i);
        return;
    }
    if (wp_etcd_client_is_refusal(status))
        wait = FLEET_REFUSED_MS * MS;
    i->act_ns = f->g->now() + wait;
    snprintf(why, sizeof(why), "%s: %s: %s: %s", f->src.endpoints[f->at].text, what,
             wp_etcd_status_text(status), message);
    if (strcmp(why, i->why) != 0)
        etcd_tell(&i->wanted->teller, "failed", "%s; trying on", why);
    memcpy(i->why, why, sizeof(why));
}

/* The call of the item has come back. False: nothing more to do for it. */
static bool came_back(struct etcd_fleet_item *i, int status, const char *message, const char *what)
{
    struct etcd_fleet *f = i->fleet;

    i->call = NULL;
    f->n_calls--;
    if (status == WP_GRPC_OK) {
        f->proved = true;
        f->reauthed = false;
        f->last_why[0] = '\0';
        wp_backoff_reset(&f->backoff);
        return true;
    }
    i->doubtful = i->doubtful || (i->op == FLEET_PUT && wp_etcd_is_endpoint_bad(status, message));
    i->op = FLEET_IDLE;
    if (!fleet_failed(f, status, message, what))
        item_failed(i, status, message, what);
    return false;
}

static void succeeded(struct etcd_fleet_item *i)
{
    i->op = FLEET_IDLE;
    i->why[0] = '\0';
    i->act_ns = 0;
    wp_backoff_reset(&i->backoff);
}

static void on_timer(struct wp_grpc_timer *t);

static void look_again_by(struct etcd_fleet *f, uint64_t ns)
{
    if (f->timer.is_set && f->timer.due_ns <= ns)
        return;
    f->timer.fn = on_timer;
    f->g->timer_set(&f->timer, ns);
}

/* What comes next, of this item and of others. */
static void done(struct etcd_fleet_item *i)
{
    struct etcd_fleet *f = i->fleet;

    if (i->act_ns > f->g->now())
        look_again_by(f, i->act_ns);
    if (i->alive_ns != UINT64_MAX)
        look_again_by(f, i->alive_ns);
    fleet_settle(i);
    fleet_go(f);
}

/* --- grant ---------------------------------------------------------------------------------- */

static void granted(void *arg, int status, const char *message, const uint8_t *data, size_t len)
{
    struct etcd_fleet_item *i = arg;
    struct etcd_fleet *f = i->fleet;
    Etcd__LeaseGrantResponse *r =
        status == WP_GRPC_OK ? etcd__lease_grant_response__unpack(NULL, len, data) : NULL;

    pthread_mutex_lock(&f->lock);
    if (status == WP_GRPC_OK && r == NULL)
        status = WP_GRPC_DATA_LOSS;
    if (came_back(i, status, message, "grant a lease")) {
        succeeded(i);
        fleet_set_lease(i, r->id);
        i->granted_s = r->ttl > 0 ? r->ttl : i->wanted->ttl_s;
        i->alive_ns = f->g->now() + third_of(i);
    }
    done(i);
    pthread_mutex_unlock(&f->lock);
    if (r != NULL)
        etcd__lease_grant_response__free_unpacked(r, NULL);
}

static void grant(struct etcd_fleet_item *i)
{
    Etcd__LeaseGrantRequest q = ETCD__LEASE_GRANT_REQUEST__INIT;

    q.ttl = i->wanted->ttl_s;
    i->op = FLEET_GRANT;
    i->call = fleet_call(i->fleet, "/etcdserverpb.Lease/LeaseGrant", &q.base, granted, i);
}

/* --- put ------------------------------------------------------------------------------------ */

static void put_failed(struct etcd_fleet_item *i)
{
    if (i->lease == 0 || i->old == NULL || i->doubtful) /* gone, or nobody knows what is there */
        return;
    fleet_record_unref(i->there); /* nothing was done: the old keys stay */
    i->there = i->old;
    i->old = NULL;
}

static void have_put(void *arg, int status, const char *message, const uint8_t *data, size_t len)
{
    struct etcd_fleet_item *i = arg;
    struct etcd_fleet *f = i->fleet;

    (void)data;
    (void)len;
    pthread_mutex_lock(&f->lock);
    if (came_back(i, status, message, "write")) {
        succeeded(i);
        fleet_record_unref(i->old);
        i->old = NULL;
    }
    if (i->there != NULL && status == WP_GRPC_OK) { /* the lease may have gone meanwhile */
        etcd_tell(&i->there->teller, "registered", "registered%s as %s at %s, lease %llx of %lld s",
                  i->told ? " again" : "", i->there->pairs[0].key, f->src.endpoints[f->at].text,
                  (unsigned long long)i->lease, (long long)i->granted_s);
        i->standing = i->told = true;
        if (f->stream == NULL) /* its end tells at once that the member has gone */
            i->alive_ns = 0;
    } else if (status != WP_GRPC_OK) {
        put_failed(i);
    }
    done(i);
    pthread_mutex_unlock(&f->lock);
}

static struct wp_grpc_call *put_all(struct etcd_fleet_item *i, const struct fleet_record *gone)
{
    const struct fleet_record *r = i->there;
    unsigned n = r->n + (gone != NULL ? gone->n : 0);
    Etcd__TxnRequest q = ETCD__TXN_REQUEST__INIT;
    Etcd__RequestOp *ops = calloc(n, sizeof(*ops)), **at = calloc(n, sizeof(Etcd__RequestOp *));
    Etcd__PutRequest *puts = calloc(n, sizeof(*puts));
    Etcd__DeleteRangeRequest *dels = calloc(n, sizeof(*dels));
    struct wp_grpc_call *call = NULL;

    for (unsigned k = 0; ops != NULL && at != NULL && puts != NULL && dels != NULL && k < n; k++) {
        const struct etcd_pair *pair = k < r->n ? &r->pairs[k] : &gone->pairs[k - r->n];
        ProtobufCBinaryData key = {strlen(pair->key), (uint8_t *)pair->key};
        etcd__request_op__init(&ops[k]);
        if (k < r->n) {
            etcd__put_request__init(&puts[k]);
            puts[k].key = key;
            puts[k].value = (ProtobufCBinaryData){strlen(pair->value), (uint8_t *)pair->value};
            puts[k].lease = i->lease;
            ops[k].request_case = ETCD__REQUEST_OP__REQUEST_REQUEST_PUT;
            ops[k].request_put = &puts[k];
        } else {
            etcd__delete_range_request__init(&dels[k]);
            dels[k].key = key;
            ops[k].request_case = ETCD__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
            ops[k].request_delete_range = &dels[k];
        }
        at[k] = &ops[k];
        q.n_success = k + 1;
    }
    q.success = at;
    if (q.n_success == n)
        call = fleet_call(i->fleet, "/etcdserverpb.KV/Txn", &q.base, have_put, i);
    free(ops);
    free(at);
    free(puts);
    free(dels);
    return call;
}

/* The wanted keys, and away with those of before: each has labels that no other one has. */
static void put(struct etcd_fleet_item *i)
{
    if (i->there != i->wanted) {
        i->old = i->there;
        i->there = fleet_record_ref(i->wanted);
    }
    i->op = FLEET_PUT;
    i->call = put_all(i, i->old);
}

/* --- revoke --------------------------------------------------------------------------------- */

static void revoked(void *arg, int status, const char *message, const uint8_t *data, size_t len)
{
    struct etcd_fleet_item *i = arg;
    struct etcd_fleet *f = i->fleet;

    (void)data;
    (void)len;
    pthread_mutex_lock(&f->lock);
    if (status == WP_GRPC_NOT_FOUND)
        status = WP_GRPC_OK;
    if (came_back(i, status, message, "revoke the lease")) {
        succeeded(i);
        if (i->there != NULL)
            etcd_tell(&i->there->teller, "withdrawn", "withdrawn at %s",
                      f->src.endpoints[f->at].text);
        fleet_set_lease(i, 0);
        i->alive_ns = UINT64_MAX;
    }
    done(i);
    pthread_mutex_unlock(&f->lock);
}

static void revoke(struct etcd_fleet_item *i)
{
    Etcd__LeaseRevokeRequest q = ETCD__LEASE_REVOKE_REQUEST__INIT;

    q.id = i->lease;
    i->standing = false; /* it may have been revoked whatever comes back */
    i->op = FLEET_REVOKE;
    i->call = fleet_call(i->fleet, "/etcdserverpb.Lease/LeaseRevoke", &q.base, revoked, i);
}

/* --- what is due ---------------------------------------------------------------------------- */

/* Keys other than those that are there: may they be put under the same lease? */
static bool needs_other_lease(const struct etcd_fleet_item *i)
{
    if (i->there == NULL || (i->there == i->wanted && i->old == NULL))
        return false;
    return i->doubtful || i->there->ttl_s != i->wanted->ttl_s;
}

static enum fleet_op next_op(const struct etcd_fleet_item *i)
{
    if (!i->up)
        return i->lease != 0 ? FLEET_REVOKE : FLEET_IDLE;
    if (i->lease == 0)
        return FLEET_GRANT;
    if (needs_other_lease(i))
        return FLEET_REVOKE;
    return i->standing && i->there == i->wanted ? FLEET_IDLE : FLEET_PUT;
}

/* False: the session has been left. */
static bool act(struct etcd_fleet_item *i)
{
    struct etcd_fleet *f = i->fleet;

    switch (next_op(i)) {
    case FLEET_IDLE:
        return true;
    case FLEET_GRANT:
        grant(i);
        break;
    case FLEET_PUT:
        put(i);
        break;
    case FLEET_REVOKE:
        revoke(i);
        break;
    }
    if (i->call != NULL) {
        f->n_calls++;
        return true;
    }
    fleet_item_cut(i);
    fleet_leave(f, WP_GRPC_RESOURCE_EXHAUSTED, "out of memory", "call");
    return false;
}

static void make_ready(struct etcd_fleet_item *i)
{
    struct etcd_fleet *f = i->fleet;

    if (i->is_ready)
        return;
    i->is_ready = true;
    i->ready_next = NULL;
    *f->ready_end = i;
    f->ready_end = &i->ready_next;
}

void fleet_settle(struct etcd_fleet_item *i)
{
    struct etcd_fleet *f = i->fleet;

    if (i->call != NULL || i->is_ready)
        return;
    if (i->removed && i->lease == 0) {
        fleet_item_free(i);
        if (f->items == NULL)
            pthread_cond_broadcast(&f->cond);
    } else if (next_op(i) != FLEET_IDLE && (i->act_ns == 0 || i->act_ns <= f->g->now())) {
        make_ready(i);
    }
}

/* False: the session has been left. */
static bool keep_alive_all(struct etcd_fleet *f, uint64_t now)
{
    for (struct etcd_fleet_item *i = f->items; i != NULL; i = i->next) {
        if (i->alive_ns > now || i->op == FLEET_REVOKE)
            continue;
        i->alive_ns = now + third_of(i);
        if (!fleet_keep_alive(f, i->lease))
            return false;
    }
    return true;
}

static void start_ready(struct etcd_fleet *f)
{
    while (f->ready != NULL && f->n_calls < FLEET_AT_ONCE) {
        struct etcd_fleet_item *i = f->ready;

        f->ready = i->ready_next;
        if (f->ready == NULL)
            f->ready_end = &f->ready;
        i->is_ready = false;
        if (i->call == NULL && !act(i))
            return;
        fleet_settle(i);
    }
}

/* Answers of the stream that do not come, while leases run out. */
static bool is_silent(const struct etcd_fleet *f, uint64_t now, uint64_t patience)
{
    return f->n_asked > 0 && now - f->heard_ns > patience;
}

/* Who has become due is queued; the time of the next, and the least patience of a lease. */
static uint64_t look_at_all(struct etcd_fleet *f, uint64_t now, uint64_t *ret_patience)
{
    uint64_t next = UINT64_MAX, patience = WP_ETCD_CALL_MS * MS;
    struct etcd_fleet_item *after;

    for (struct etcd_fleet_item *i = f->items; i != NULL; i = after) {
        after = i->next;
        if (i->lease != 0 && third_of(i) < patience)
            patience = third_of(i);
        if (i->alive_ns < next)
            next = i->alive_ns;
        if (i->act_ns > now && i->act_ns < next)
            next = i->act_ns;
        fleet_settle(i);
    }
    *ret_patience = patience;
    return next;
}

/* All items are looked at only here: as often as one of them is due, with a pause. */
static void on_timer(struct wp_grpc_timer *t)
{
    struct etcd_fleet *f =
        (struct etcd_fleet *)(void *)((char *)t - offsetof(struct etcd_fleet, timer));
    uint64_t now = f->g->now(), patience, next;

    pthread_mutex_lock(&f->lock);
    next = look_at_all(f, now, &patience);
    if (is_silent(f, now, patience))
        fleet_leave(f, WP_GRPC_DEADLINE_EXCEEDED, "no answer", "keep leases alive");
    if (next <= now && fleet_connected(f, now) && keep_alive_all(f, now))
        next = look_at_all(f, now, &patience);
    if (f->n_asked > 0 && next > now + patience)
        next = now + patience + FLEET_TURN_MS * MS;
    if (next != UINT64_MAX)
        look_again_by(f, next > now + FLEET_TURN_MS * MS ? next : now + FLEET_TURN_MS * MS);
    fleet_go(f);
    pthread_mutex_unlock(&f->lock);
}

void fleet_go(struct etcd_fleet *f)
{
    uint64_t now = f->g->now();

    if (f->ended || f->items == NULL)
        return;
    if (f->ready != NULL && fleet_connected(f, now))
        start_ready(f);
    if (f->channel == NULL)
        look_again_by(f, f->retry_ns > now ? f->retry_ns : now + FLEET_TURN_MS * MS);
}
