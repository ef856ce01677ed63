/* Before data: a token, what kind of server it is, whether it still holds the same data. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "backends/etcd/mirror_priv.h"

/* --- token ------------------------------------------------------------------------------------ */

void wp_etcd_token_drop(struct wp_etcd_mirror *m)
{
    if (m->token != NULL)
        explicit_bzero(m->token, strlen(m->token));
    free(m->token);
    m->token = NULL;
}

static void authenticated(void *arg, int status, const char *message, const uint8_t *data,
                          size_t len)
{
    struct wp_etcd_mirror *m = arg;
    const Etcd__AuthenticateResponse *r;

    m->call = NULL;
    if (status == WP_GRPC_OK && m->life.doubt == WP_ETCD_SLOW)
        wp_etcd_life_heard(m);
    if (wp_etcd_is_auth_off(status, message)) {
        m->no_auth = true;
        wp_log(WP_INFO, "etcd", "%s: authentication is not enabled, going on without",
               wp_etcd_endpoint_text(m));
        wp_etcd_step(m);
        return;
    }
    if (status != WP_GRPC_OK) {
        wp_etcd_fail(m, status, message, "authenticate");
        return;
    }
    r = wp_etcd_unpack(m, &etcd__authenticate_response__descriptor, data, len);
    wp_etcd_token_drop(m);
    m->token = r != NULL && *r->token != '\0' ? strdup(r->token) : NULL;
    if (m->token == NULL) {
        wp_etcd_fail(m, WP_GRPC_UNAVAILABLE, "no token in the reply", "authenticate");
        return;
    }
    wp_etcd_step(m);
}

void wp_etcd_authenticate(struct wp_etcd_mirror *m)
{
    Etcd__AuthenticateRequest q = ETCD__AUTHENTICATE_REQUEST__INIT;

    q.name = (char *)(uintptr_t)m->src.user;
    q.password = (char *)(uintptr_t)m->src.password;
    if (m->steady_ns == 0)
        wp_etcd_life_hurry(m);
    wp_etcd_request(m, "/etcdserverpb.Auth/Authenticate", &q.base, WP_ETCD_CALL_MS, authenticated);
}

/* --- a new one, beside the session
 * ----------------------------------------------------------------
 */

static struct wp_grpc_call *ask_for_token(struct wp_etcd_mirror *m, wp_grpc_done_fn *fn)
{
    Etcd__AuthenticateRequest q = ETCD__AUTHENTICATE_REQUEST__INIT;

    q.name = (char *)(uintptr_t)m->src.user;
    q.password = (char *)(uintptr_t)m->src.password;
    return wp_etcd_request_beside(m, "/etcdserverpb.Auth/Authenticate", &q.base, WP_ETCD_CALL_MS,
                                  fn, m);
}

static void renewed(void *arg, int status, const char *message, const uint8_t *data, size_t len)
{
    struct wp_etcd_mirror *m = arg;
    const Etcd__AuthenticateResponse *r = NULL;
    char *token = NULL;

    m->renewing = NULL;
    m->renewed_ns = m->g->now();
    if (status == WP_GRPC_OK)
        r = wp_etcd_unpack(m, &etcd__authenticate_response__descriptor, data, len);
    if (r != NULL && *r->token != '\0')
        token = strdup(r->token);
    m->no_auth = wp_etcd_is_auth_off(status, message);
    if (token == NULL && !m->no_auth) {
        m->renewed_ns += wp_etcd_ms(WP_ETCD_REFUSED_MS); /* not before */
        wp_etcd_trouble(m, m->at, status, message, "authenticate");
        wp_etcd_stats_error(m, m->at, status);
        return;
    }
    wp_etcd_token_drop(m);
    m->token = token;
}

bool wp_etcd_token_renew(struct wp_etcd_mirror *m)
{
    uint64_t now = m->g->now();

    if (m->src.user == NULL || !m->connected || now < m->renewed_ns)
        return false;
    if (m->renewing != NULL ||
        (m->renewed_ns != 0 && now - m->renewed_ns < wp_etcd_ms(WP_ETCD_RENEW_MS)))
        return true;
    wp_etcd_token_drop(m); /* a server refuses to authenticate whoever shows a bad one */
    m->renewing = ask_for_token(m, renewed);
    return m->renewing != NULL;
}

/* --- kind of server --------------------------------------------------------------------------- */

/* A requested progress could run ahead of its events before 3.4.25 and 3.5.8. */
static bool is_progress_exact(const char *version)
{
    unsigned major, minor, patch;

    if (sscanf(version, "%u.%u.%u", &major, &minor, &patch) != 3 || major < 3)
        return false;
    if (major > 3 || minor > 5)
        return true;
    return (minor == 5 && patch >= 8) || (minor == 4 && patch >= 25);
}

void wp_etcd_status_read(struct wp_etcd_mirror *m, int status, const uint8_t *data, size_t len,
                         struct wp_etcd_said *ret)
{
    const Etcd__StatusResponse *r = NULL;

    *ret = (struct wp_etcd_said){0}; /* one that may not be asked is taken for an old one */
    if (status == WP_GRPC_OK)
        r = wp_etcd_unpack(m, &etcd__status_response__descriptor, data, len);
    if (r == NULL || r->header == NULL)
        return;
    ret->known = true;
    ret->has_leader = r->leader != 0;
    ret->is_learner = r->is_learner;
    ret->progress_exact = is_progress_exact(r->version);
    ret->cluster_id = r->header->cluster_id;
    ret->revision = r->header->revision;
}

struct wp_grpc_call *wp_etcd_ask_status(struct wp_etcd_mirror *m, struct wp_grpc_channel *channel,
                                        unsigned timeout_ms, wp_grpc_done_fn *fn, void *arg)
{
    Etcd__StatusRequest q = ETCD__STATUS_REQUEST__INIT;

    return wp_etcd_request_on(m, channel, "/etcdserverpb.Maintenance/Status", &q.base, timeout_ms, fn, arg);
}

/* --- the same data? --------------------------------------------------------------------------- */

int64_t wp_etcd_revision_seen(const struct wp_etcd_mirror *m)
{
    int64_t revision = m->revision;

    for (const struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next)
        for (unsigned i = 0; i < 2; i++)
            if (r->parts[i].next_revision - 1 > revision)
                revision = r->parts[i].next_revision - 1;
    return revision;
}

static void tell_other(struct wp_etcd_mirror *m, const Etcd__RangeResponse *r)
{
    /* A cluster that was wiped and set up the same way again has the same id: the revision is
     * what tells, or, when that is larger again, the term of the leader, which never goes back,
     * either, or what was done last. This reply is linearizable, so a lower revision is no lagging
     * member. */
    if (r->header->cluster_id != m->cluster_id)
        wp_etcd_suspect_all(m, WP_ETCD_LOAD_CLUSTER_CHANGED);
    else if (r->header->revision < wp_etcd_revision_seen(m) ||
             r->header->raft_term < m->raft_term ||
             (m->mark_revision != 0 &&
              !wp_etcd_mark_is_there(m->mark_revision, m->mark_is_delete, r)))
        wp_etcd_suspect_all(m, WP_ETCD_LOAD_REVISION_BACK);
    m->raft_term = r->header->raft_term;
}

static void revision_known(void *arg, int status, const char *message, const uint8_t *data,
                           size_t len)
{
    struct wp_etcd_mirror *m = arg;
    const Etcd__RangeResponse *r;

    m->call = NULL;
    if (status == WP_GRPC_OK && m->life.doubt == WP_ETCD_SLOW)
        wp_etcd_life_heard(m);
    if (status == WP_GRPC_OUT_OF_RANGE && m->mark_revision != 0) { /* compacted, or not that far */
        m->markless = true;
        wp_etcd_step(m);
        return;
    }
    if (status != WP_GRPC_OK) {
        wp_etcd_part_refused(m, &m->ranges->parts[0], status, message, "range");
        return;
    }
    r = wp_etcd_unpack(m, &etcd__range_response__descriptor, data, len);
    if (r == NULL || r->header == NULL) {
        wp_etcd_fail(m, WP_GRPC_DATA_LOSS, "malformed reply", "range");
        return;
    }
    wp_etcd_seen(m, r->header);
    m->checked = true;
    tell_other(m, r);
    wp_etcd_step(m);
}

void wp_etcd_check_revision(struct wp_etcd_mirror *m)
{
    const struct wp_etcd_mark *mark = m->markless ? NULL : wp_etcd_mark_newest(m);
    const struct wp_etcd_part *p = &m->ranges->parts[0];
    Etcd__RangeRequest q = ETCD__RANGE_REQUEST__INIT;

    if (mark != NULL) {
        q.key = (ProtobufCBinaryData){mark->len, (uint8_t *)mark->key};
        q.revision = mark->revision;
    } else {
        q.key = (ProtobufCBinaryData){p->key_len, (uint8_t *)p->key};
        q.range_end = (ProtobufCBinaryData){p->end_len, (uint8_t *)p->end};
    }
    q.limit = 1;
    q.keys_only = true;
    m->mark_revision = mark != NULL ? mark->revision : 0;
    m->mark_is_delete = mark != NULL && mark->is_delete;
    wp_metric_add(m->stats.ranges, WP_METRIC_SHARED, 1);
    if (m->steady_ns == 0)
        wp_etcd_life_hurry(m);
    wp_etcd_request(m, "/etcdserverpb.KV/Range", &q.base, WP_ETCD_CALL_MS, revision_known);
}
