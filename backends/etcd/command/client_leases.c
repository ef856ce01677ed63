/* What is left of many leases: etcd tells it of one at a time, so many questions are under way
 * at once. */
#include <stdlib.h>

#include "backends/etcd/command/client_priv.h"
#include "etcd.pb-c.h"

enum { AT_ONCE = 64 };

struct question {
    struct many *many;
    size_t i;
};

/* The engine thread's, but for what is by the client's lock. */
struct many {
    struct wp_grpc_post start;
    struct wp_etcd_client *client;
    const int64_t *leases;
    int64_t *left_s;
    size_t n, next;
    unsigned running;
    struct question questions[AT_ONCE];
    bool failed; /* ask no more: who asks singly will hear why */
    bool done;   /* by lock */
};

static bool ask(struct question *q);

static void end_if_over(struct many *m)
{
    if (m->running > 0)
        return;
    pthread_mutex_lock(&m->client->lock);
    m->done = true;
    pthread_cond_signal(&m->client->cond);
    pthread_mutex_unlock(&m->client->lock);
}

static void answered(void *arg, int status, const char *message, const uint8_t *data, size_t len)
{
    struct question *q = arg;
    struct many *m = q->many;
    Etcd__LeaseTimeToLiveResponse *r =
        status == WP_GRPC_OK ? etcd__lease_time_to_live_response__unpack(NULL, len, data) : NULL;

    (void)message;
    if (r != NULL)
        m->left_s[q->i] = r->ttl;
    else
        m->failed = true;
    if (r != NULL)
        etcd__lease_time_to_live_response__free_unpacked(r, NULL);
    m->running--;
    (void)ask(q);
    end_if_over(m);
}

/* The next one in the place of this; false: there is none. */
static bool ask(struct question *q)
{
    struct many *m = q->many;
    struct wp_etcd_client *c = m->client;
    const struct wp_grpc_header headers[] = {{"hasleader", "true"}, {"token", c->token}};
    Etcd__LeaseTimeToLiveRequest request = ETCD__LEASE_TIME_TO_LIVE_REQUEST__INIT;
    uint8_t packed[32];

    if (m->next == m->n || m->failed)
        return false;
    q->i = m->next++;
    request.id = m->leases[q->i];
    if (c->g->unary(c->channel, "/etcdserverpb.Lease/LeaseTimeToLive", headers,
                    c->token != NULL ? 2 : 1, packed,
                    etcd__lease_time_to_live_request__pack(&request, packed), c->timeout_ms,
                    answered, q) == NULL)
        m->failed = true;
    else
        m->running++;
    return !m->failed;
}

static void start(struct wp_grpc_post *post)
{
    struct many *m = (struct many *)(void *)((char *)post - offsetof(struct many, start));

    m->failed = m->client->channel == NULL;
    for (unsigned i = 0; i < AT_ONCE; i++) {
        m->questions[i].many = m;
        if (!ask(&m->questions[i]))
            break;
    }
    end_if_over(m);
}

void wp_etcd_client_times_to_live(struct wp_etcd_client *c, const int64_t *leases, int64_t *left_s,
                                  size_t n)
{
    struct many m = {.start.fn = start, .client = c, .leases = leases, .left_s = left_s, .n = n};

    for (size_t i = 0; i < n; i++)
        left_s[i] = WP_ETCD_LEFT_UNKNOWN;
    c->g->post(&m.start);
    pthread_mutex_lock(&c->lock);
    while (!m.done)
        pthread_cond_wait(&c->cond, &c->lock);
    pthread_mutex_unlock(&c->lock);
}
