#include "server/plugins/prometheus/dropped.h"

#include <pthread.h>
#include <string.h>
#include "server/plugins/prometheus/point.h"

/* By text: labels of a freed generation may come back at the same place. Never freed: there are as
 * many as there were listeners. */
enum { SLOTS = 256, OPT_LEN = 11 };
static struct point *_Atomic points[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int n_wanted; /* main thread */

static struct point *find(const char *server, bool may_make)
{
    unsigned at = (unsigned)wp_hash_bytes(server, strlen(server)) % SLOTS;

    for (unsigned i = 0; i < SLOTS; i++, at = (at + 1) % SLOTS) {
        struct point *p = atomic_load_explicit(&points[at], memory_order_acquire);
        if (p == NULL && may_make) {
            p = wp_point_new(server, "dropped", "", "");
            atomic_store_explicit(&points[at], p, memory_order_release);
            return p;
        }
        if (p == NULL || strcmp(p->labels[0], server) == 0)
            return p;
    }
    return NULL;
}

static void on_dropped(struct wp_query *q)
{
    const char *server = wp_query_server(q);
    bool has_question = q->msg.question_len > 0;
    struct point *p = find(server, false);
    struct point_sample s = {
        .worker = q->worker,
        .is_tcp = wp_query_proto(q)[0] == 't',
        .is_v6 = q->client.family == 6,
        .is_do = q->had_do,
        .qtype = has_question ? q->msg.qtype : 0,
        .rcode = has_question ? q->reply.rcode : WP_RCODE_SERVFAIL,
        .size = q->wire_len,
        .reply_size = WP_HEADER_LEN + q->msg.question_len + (q->had_opt ? OPT_LEN : 0u),
        .elapsed_ns = wp_query_elapsed(q),
    };

    if (p == NULL) {
        pthread_mutex_lock(&lock);
        p = find(server, true);
        pthread_mutex_unlock(&lock);
    }
    if (p != NULL)
        wp_point_count(p, &s);
}

void wp_prom_dropped_want(int n)
{
    n_wanted += n;
    atomic_store(&wp_router_on_dropped, n_wanted > 0 ? on_dropped : NULL);
}
