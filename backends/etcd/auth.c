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
    wp_etcd_request(m, "/etcdserverpb.Auth/Authenticate", &q.base, WP_ETCD_CALL_MS, authenticated);
}

/* --- a new one, beside the session ----------------------------------------------------------------
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
        wp_etcd_trouble(m, status, message, "authenticate");
        wp_etcd_stats_error(m, status);
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

static void status_known(void *arg, int status, const char *message, const uint8_t *data,
                         size_t len)
{
    struct wp_etcd_mirror *m = arg;
    const Etcd__StatusResponse *r = NULL;

    m->call = NULL;
    m->version_known = true;
    m->progress_exact = false;
    if (status == WP_GRPC_UNAVAILABLE || status == WP_GRPC_DEADLINE_EXCEEDED) {
        wp_etcd_fail(m, status, message, "connect");
        return;
    }
    if (status == WP_GRPC_OK)
        r = wp_etcd_unpack(m, &etcd__status_response__descriptor, data, len);
    if (r != NULL && r->is_learner) {
        wp_etcd_fail(m, WP_GRPC_FAILED_PRECONDITION, "the member is a learner", "status");
        return;
    }
    if (r != NULL)
        m->progress_exact = is_progress_exact(r->version);
    wp_etcd_step(m); /* one that may not be asked is taken for an old one */
}

void wp_etcd_ask_status(struct wp_etcd_mirror *m)
{
    Etcd__StatusRequest q = ETCD__STATUS_REQUEST__INIT;

    wp_etcd_request(m, "/etcdserverpb.Maintenance/Status", &q.base, WP_ETCD_CALL_MS, status_known);
}

/* --- the same data? --------------------------------------------------------------------------- */

/* How far the store had come: the last event, or what a progress said since. */
static int64_t revision_seen(const struct wp_etcd_mirror *m)
{
    int64_t revision = m->revision;

    for (const struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next)
        for (unsigned i = 0; i < 2; i++)
            if (r->parts[i].next_revision - 1 > revision)
                revision = r->parts[i].next_revision - 1;
    return revision;
}

static void revision_known(void *arg, int status, const char *message, const uint8_t *data,
                           size_t len)
{
    struct wp_etcd_mirror *m = arg;
    const Etcd__RangeResponse *r;

    m->call = NULL;
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
    /* A cluster that was wiped and set up the same way again has the same id: the revision is
     * what tells. This reply is linearizable, so a lower one is no lagging member. */
    if (r->header->cluster_id != m->cluster_id)
        wp_etcd_suspect_all(m, WP_ETCD_LOAD_CLUSTER_CHANGED);
    else if (r->header->revision < revision_seen(m))
        wp_etcd_suspect_all(m, WP_ETCD_LOAD_REVISION_BACK);
    wp_etcd_step(m);
}

void wp_etcd_check_revision(struct wp_etcd_mirror *m)
{
    const struct wp_etcd_part *p = &m->ranges->parts[0];
    Etcd__RangeRequest q = ETCD__RANGE_REQUEST__INIT;

    q.key = (ProtobufCBinaryData){p->key_len, (uint8_t *)p->key};
    q.range_end = (ProtobufCBinaryData){p->end_len, (uint8_t *)p->end};
    q.limit = 1;
    q.keys_only = true;
    wp_metric_add(m->stats.ranges, WP_METRIC_SHARED, 1);
    wp_etcd_request(m, "/etcdserverpb.KV/Range", &q.base, WP_ETCD_CALL_MS, revision_known);
}
