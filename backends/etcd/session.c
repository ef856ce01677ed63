/* What is done next, where, and when after a failure. A session is the time at one endpoint:
 *
 *   a member is found (scout.c) -> token -> the same data? -> load what is missing -> watch -> in step
 *
 * Any failure ends it; another member is looked for at once, after a whole round a little later.
 * Data stays as it is all the while. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/etcd/mirror_priv.h"
#include "waypost/plugin/change.h"

static void close_session(struct wp_etcd_mirror *m)
{
    m->g->drop(m->call);
    m->call = NULL;
    wp_etcd_life_rest(m);
    wp_etcd_watch_close(m);
    wp_etcd_load_abort(m);
    wp_etcd_lease_poll_stop(m);
    wp_etcd_verify_stop(m);
    m->g->channel_free(m->channel);
    m->g->channel_free(m->watch_channel);
    m->channel = m->watch_channel = NULL;
    m->g->timer_cancel(&m->files);
    m->g->drop(m->renewing);
    m->renewing = NULL;
    m->renewed_ns = 0;
    wp_etcd_token_drop(m);
    m->heard = m->connected = m->no_auth = m->reauthed = false;
    m->checked = m->rechecked = m->markless = false;
}

/* --- in step, out of step ----------------------------------------------------------------------
 */

static void changed_state(struct wp_etcd_mirror *m)
{
    for (struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next)
        wp_changed(wp_etcd_range_state_key(&r->r));
}

static void became_stale(struct wp_grpc_timer *t)
{
    struct wp_etcd_mirror *m =
        (struct wp_etcd_mirror *)(void *)((char *)t - offsetof(struct wp_etcd_mirror, stale));

    m->stale_told = true;
    wp_log(WP_WARNING, "etcd", "%s: out of step for %d s, answers are marked as stale", m->name,
           WP_ETCD_STALE_S);
    changed_state(m);
}

void wp_etcd_lose(struct wp_etcd_mirror *m)
{
    if (atomic_load(&m->lost_ns) != 0)
        return;
    atomic_store(&m->lost_ns, m->g->now());
    wp_etcd_keep_in_step(m, false);
    if (m->was_synced) {
        m->stale.fn = became_stale;
        m->g->timer_set(&m->stale, m->g->now() + wp_etcd_ms(1000 * WP_ETCD_STALE_S));
    }
    wp_etcd_stats_update(m);
}

void wp_etcd_in_step(struct wp_etcd_mirror *m)
{
    uint64_t lost = atomic_load(&m->lost_ns), now = m->g->now();

    if (m->steady_ns == 0)
        m->steady_ns = now;
    m->reauthed = false; /* its token is good: the next refusal is a new one */
    wp_etcd_life_heard(m);
    wp_etcd_life_watch(m);
    wp_etcd_lease_poll(m);
    if (lost == 0)
        return;
    wp_etcd_discover_later(m);
    wp_etcd_verify_later(m, m->was_synced);
    atomic_store(&m->lost_ns, 0);
    wp_etcd_keep_in_step(m, true);
    m->g->timer_cancel(&m->stale);
    pthread_mutex_lock(&m->lock);
    m->round_failed = false;
    pthread_mutex_unlock(&m->lock);
    m->first_failure_ns = 0;
    m->shunned = UINT_MAX;
    m->was_without_quorum = false;
    wp_etcd_trouble_over(m);
    if (!m->was_synced) {
        wp_log(WP_INFO, "etcd",
               "%s: connected, cluster %llx member %llx, watching from revision %lld",
               wp_etcd_endpoint_text(m), (unsigned long long)m->cluster_id,
               (unsigned long long)m->member_id, (long long)m->revision + 1);
    } else {
        wp_metric_add(m->stats.reconnects, WP_METRIC_SHARED, 1);
        wp_log(WP_INFO, "etcd", "%s: in step again after %.1f s, member %llx, revision %lld",
               wp_etcd_endpoint_text(m), (double)(now - lost) / 1e9,
               (unsigned long long)m->member_id, (long long)m->revision);
    }
    m->was_synced = true;
    if (m->stale_told)
        changed_state(m);
    m->stale_told = false;
    wp_etcd_stats_update(m);
}

void wp_etcd_suspect_all(struct wp_etcd_mirror *m, enum wp_etcd_reason reason)
{
    wp_log(WP_WARNING, "etcd", "%s: %s (revision %lld here): loading everything again",
           wp_etcd_endpoint_text(m),
           reason == WP_ETCD_LOAD_CLUSTER_CHANGED ? "another cluster answers"
                                                  : "the store went back in time",
           (long long)m->revision);
    for (struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next) {
        wp_etcd_watch_cancel(m, r);
        r->needs_load = r->suspect = true;
        r->reason = reason;
    }
}

void wp_etcd_settled(struct wp_etcd_mirror *m)
{
    pthread_mutex_lock(&m->lock);
    pthread_cond_broadcast(&m->cond);
    pthread_mutex_unlock(&m->lock);
}

/* --- endpoints ----------------------------------------------------------------------------------
 */

static void retry(struct wp_grpc_timer *t);

static void come_back(struct wp_etcd_mirror *m, uint64_t wait_ns)
{
    m->retry.fn = retry;
    m->g->timer_set(&m->retry, m->g->now() + wait_ns);
}

void wp_etcd_round_failed(struct wp_etcd_mirror *m)
{
    pthread_mutex_lock(&m->lock);
    m->round_failed = true;
    pthread_cond_broadcast(&m->cond);
    pthread_mutex_unlock(&m->lock);
}

/* Sessions have failed at each endpoint, though it could be reached. */
static uint64_t end_round(struct wp_etcd_mirror *m, int status)
{
    uint64_t wait = wp_backoff_next(&m->backoff, wp_etcd_random(m));
    uint64_t most = wp_etcd_ms(WP_ETCD_AWAY_MOST_MS);

    m->tried = 0;
    wp_etcd_round_failed(m);
    if (status != WP_GRPC_UNAVAILABLE && status != WP_GRPC_DEADLINE_EXCEEDED)
        return wait;
    return wait < most ? wait : most - wp_etcd_random(m) % (most / 4);
}

bool wp_etcd_is_final(int status, const char *what)
{
    return status == WP_GRPC_PERMISSION_DENIED || status == WP_GRPC_UNAUTHENTICATED ||
           (status == WP_GRPC_INVALID_ARGUMENT && strcmp(what, "authenticate") == 0) ||
           strcmp(what, "memory") == 0;
}

void wp_etcd_fail(struct wp_etcd_mirror *m, int status, const char *message, const char *what)
{
    bool was_steady =
        m->steady_ns != 0 && m->g->now() - m->steady_ns > wp_etcd_ms(WP_ETCD_STEADY_MS);
    bool was_doubted = m->life.doubt != WP_ETCD_SURE;
    uint64_t wait = 0;

    if (m->closed)
        return;
    wp_etcd_trouble(m, m->at, status, message, what);
    wp_etcd_stats_error(m, m->at, status);
    m->was_without_quorum |= strcmp(what, "range") == 0 &&
                             (status == WP_GRPC_UNAVAILABLE || status == WP_GRPC_DEADLINE_EXCEEDED);
    close_session(m);
    m->steady_ns = 0;
    if (m->first_failure_ns == 0)
        m->first_failure_ns = m->g->now();
    wp_etcd_lose(m);
    if (was_steady) {
        wp_backoff_reset(&m->backoff);
        m->tried = m->in_a_row = 0;
    } else {
        m->tried++;
        m->in_a_row++;
    }
    m->shunned = m->at;
    m->next_at = m->src.discovery != NULL ? 0 : (m->at + 1) % m->src.n_endpoints;
    if (wp_etcd_is_final(status, what)) {
        (void)end_round(m, status); /* no other endpoint will say otherwise */
        wait = wp_etcd_ms(WP_ETCD_REFUSED_MS);
    } else if (m->tried >= m->src.n_endpoints) {
        wait = end_round(m, status);
    }
    if (wait > 0 || !was_doubted)
        wp_etcd_scout_stop(m); /* else it looks for another one already */
    come_back(m, wait);
    wp_etcd_discover_soon(m);
    wp_etcd_facts_update(m);
}

void wp_etcd_renew(struct wp_etcd_mirror *m)
{
    close_session(m);
    m->steady_ns = 0;
    wp_etcd_lose(m);
    come_back(m, 0);
}

void wp_etcd_refused(struct wp_etcd_mirror *m, int status, const char *message, const char *what)
{
    bool is_token = wp_etcd_is_token_refused(status, message);

    if (is_token && m->src.user == NULL) {
        /* users changed between two steps of the server: only one with a certificate sees that */
        if (wp_etcd_is_auth_old(message))
            wp_etcd_fail(m, WP_GRPC_UNAVAILABLE, message, what);
        else
            wp_etcd_fail(m, WP_GRPC_UNAUTHENTICATED,
                         "authentication is enabled: the configuration needs `credentials USER "
                         "PASSWORD`, or a client certificate that names a user",
                         what);
        return;
    }
    if (!is_token || m->reauthed) {
        wp_etcd_fail(m, is_token ? WP_GRPC_UNAUTHENTICATED : status, message, what);
        return;
    }
    /* the token aged or the users changed: once more with a new one */
    m->reauthed = true;
    m->no_auth = false;
    wp_etcd_token_drop(m);
    wp_etcd_watch_close(m);
    wp_etcd_load_abort(m);
    wp_etcd_step(m);
}

void wp_etcd_part_refused(struct wp_etcd_mirror *m, const struct wp_etcd_part *p, int status,
                          const char *message, const char *what)
{
    char text[512];

    if (status == WP_GRPC_PERMISSION_DENIED && p != NULL) {
        snprintf(text, sizeof(text),
                 "keys with the prefix \"%.400s\" may not be read: the role needs read permission "
                 "for them",
                 p->key);
        message = text;
    }
    wp_etcd_refused(m, status, message, what);
}

/* --- the session --------------------------------------------------------------------------------
 */

/* Two connections: a large listing must not hold up events. */
void wp_etcd_adopt(struct wp_etcd_mirror *m, unsigned at, struct wp_grpc_channel *channel,
                   const struct wp_etcd_said *said)
{
    char why[256] = "out of memory, or a target or certificate that gRPC refuses";

    close_session(m); /* one that is in doubt */
    m->g->timer_cancel(&m->retry);
    m->steady_ns = 0;
    m->at = at;
    m->channel = channel;
    m->progress_exact = said->progress_exact;
    m->heard = true;
    if (m->src.tls && wp_etcd_files_read(m, why) < 0) {
        wp_etcd_fail(m, WP_GRPC_UNAVAILABLE, why, "tls");
        return;
    }
    m->watch_channel = wp_etcd_channel_new(m->g, &m->src, m->at, &m->pem);
    if (m->watch_channel == NULL) {
        wp_etcd_fail(m, WP_GRPC_UNAVAILABLE, why, "connect");
        return;
    }
    m->connected = true;
    wp_etcd_files_watch(m);
    wp_etcd_step(m);
}

static struct wp_etcd_range_own *find_range(struct wp_etcd_mirror *m, bool loaded)
{
    for (struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next)
        if (loaded ? wp_etcd_range_is_loaded(&r->r) : r->needs_load && !r->leaving)
            return r;
    return NULL;
}

/* What is saved comes first: a listing is compared with it. */
static bool is_restoring(const struct wp_etcd_mirror *m)
{
    for (struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next)
        if (atomic_load(&r->restoring))
            return true;
    return false;
}

void wp_etcd_step(struct wp_etcd_mirror *m)
{
    struct wp_etcd_range_own *r;

    if (m->closed || m->call != NULL || m->retry.is_set || m->ranges == NULL)
        return;
    if (!m->connected) {
        wp_etcd_scout_begin(m);
    } else if (m->src.user != NULL && m->token == NULL && !m->no_auth) {
        wp_etcd_authenticate(m);
    } else if (!m->checked && find_range(m, true) != NULL) {
        wp_etcd_check_revision(m);
    } else if (is_restoring(m)) {
        return;
    } else if ((r = find_range(m, false)) != NULL) {
        if (m->steady_ns == 0)
            wp_etcd_life_rest(m); /* a listing may take long */
        wp_etcd_load_begin(m, r);
    } else {
        wp_etcd_watch(m);
    }
}

static void retry(struct wp_grpc_timer *t)
{
    wp_etcd_step(
        (struct wp_etcd_mirror *)(void *)((char *)t - offsetof(struct wp_etcd_mirror, retry)));
}

void wp_etcd_session_start(struct wp_etcd_mirror *m)
{
    m->backoff = (struct wp_backoff){.first_ns = wp_etcd_ms(WP_ETCD_BACKOFF_FIRST_MS),
                                     .most_ns = wp_etcd_ms(WP_ETCD_BACKOFF_MOST_MS)};
    if (m->src.n_endpoints > 0)
        m->next_at = (unsigned)(wp_etcd_random(m) % m->src.n_endpoints);
    m->shunned = UINT_MAX;
    atomic_store(&m->lost_ns, m->g->now());
    wp_etcd_discover_begin(m);
}

void wp_etcd_session_stop(struct wp_etcd_mirror *m)
{
    m->closed = true;
    m->g->timer_cancel(&m->retry);
    m->g->timer_cancel(&m->stale);
    wp_etcd_trouble_stop(m);
    wp_etcd_scout_stop(m);
    wp_etcd_discover_stop(m);
    close_session(m);
    wp_etcd_lapse_stop(m);
}
