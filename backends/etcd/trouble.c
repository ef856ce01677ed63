/* Failures in words: each reason of each endpoint is told once, and again only after a while. Where
 * gRPC's text hides the reason (TLS, or its absence), a connection of our own finds it, on a thread
 * that lives as long as that takes. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backends/common/client_tls.h"
#include "backends/common/tls_probe.h"
#include "backends/etcd/hidden.h"
#include "backends/etcd/mirror_priv.h"
#include "waypost/base/hash.h"

enum {
    AGAIN_MS = 60000,
    REFUSAL_AGAIN_MS = 3600000,
    LOOK_AGAIN_MS = 5000,
    LINES_MAX = 5, /* of one endpoint within a minute, however its reasons change */
    STACK = 256 << 10,
};

struct wp_etcd_look {
    struct wp_grpc_post post;
    struct wp_etcd_mirror *m;
    pthread_t thread;
    struct wp_tls_probe probe;
    unsigned at;
    int status;
    bool found;
    char what[40], text[160], name[WP_ETCD_HIDDEN_NAME], why[WP_TLS_PROBE_WHY];
};

/* --- telling ---------------------------------------------------------------------------------- */

static void tell(struct wp_etcd_mirror *m, unsigned at, int status, const char *text,
                 const char *what)
{
    struct wp_etcd_trouble *t = &m->trouble[at];
    bool refused = wp_etcd_is_final(status, what);
    uint64_t hash = wp_hash_mix(wp_hash_bytes(text, strlen(text)), (uint64_t)status);
    uint64_t now = m->g->now();

    wp_etcd_facts_failed(m, at, status, text, what);
    if (t->hash == hash && now - t->told_ns < wp_etcd_ms(refused ? REFUSAL_AGAIN_MS : AGAIN_MS))
        return;
    if (!wp_log_allow(&t->limit, LINES_MAX, AGAIN_MS / 1000))
        return;
    t->hash = hash;
    t->told_ns = now;
    wp_log(refused ? WP_ERROR : WP_WARNING, "etcd", "%s: %s: %s: %s", m->src.endpoints[at].text,
           what, wp_etcd_status_text(status), text);
}

void wp_etcd_trouble_over(struct wp_etcd_mirror *m)
{
    m->trouble[m->at].hash = 0;
}

/* --- looking ------------------------------------------------------------------------------------
 */

static void look_free(struct wp_etcd_look *k)
{
    if (k->probe.cancel >= 0)
        close(k->probe.cancel);
    wp_client_tls_free(k->probe.ctx);
    free(k);
}

static void looked(struct wp_grpc_post *post)
{
    struct wp_etcd_look *k = (struct wp_etcd_look *)(void *)post; /* its first member */
    struct wp_etcd_mirror *m = k->m;

    pthread_join(k->thread, NULL);
    if (!m->closed)
        tell(m, k->at, k->status, k->found ? k->why : k->text, k->what);
    m->look = NULL;
    look_free(k);
}

static void *run(void *arg)
{
    struct wp_etcd_look *k = arg;

    pthread_setname_np(pthread_self(), "wp-probe");
    k->found = wp_tls_probe(&k->probe, k->why) == 0;
    k->post.fn = looked;
    k->m->g->post(&k->post);
    return NULL;
}

static struct wp_etcd_look *look_new(struct wp_etcd_mirror *m, unsigned at, int status,
                                     const char *message, const char *what)
{
    const struct wp_etcd_endpoint *e = &m->src.endpoints[at];
    struct wp_etcd_look *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return NULL;
    *k = (struct wp_etcd_look){.m = m, .at = at, .status = status, .probe.cancel = -1};
    snprintf(k->what, sizeof(k->what), "%s", what);
    snprintf(k->text, sizeof(k->text), "%s", message);
    if (!wp_etcd_hidden_at(e->target, message, k->name, &k->probe)) {
        look_free(k);
        return NULL;
    }
    k->probe.ctx = wp_client_tls_ref(m->tls);
    k->probe.has_cert = m->src.cert_file != NULL;
    k->probe.cancel = eventfd(0, EFD_CLOEXEC);
    return k;
}

/* False: nothing to look at, or no means. */
static bool look(struct wp_etcd_mirror *m, unsigned at, int status, const char *message,
                 const char *what)
{
    struct wp_etcd_look *k = look_new(m, at, status, message, what);
    sigset_t all, before;
    pthread_attr_t attr;
    int e;

    if (k == NULL)
        return false;
    pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    e = pthread_create(&k->thread, &attr, run, k);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (e != 0) {
        look_free(k);
        return false;
    }
    m->look = k;
    return true;
}

void wp_etcd_trouble(struct wp_etcd_mirror *m, unsigned at, int status, const char *message,
                     const char *what)
{
    struct wp_etcd_trouble *t = &m->trouble[at];
    uint64_t now = m->g->now();
    bool was_heard = m->heard && at == m->at;
    bool hidden = status == WP_GRPC_UNAVAILABLE && !was_heard && wp_etcd_is_hidden(message);

    if (!hidden) {
        tell(m, at, status, message, what);
        return;
    }
    if (m->look != NULL || (t->looked_ns != 0 && now - t->looked_ns < wp_etcd_ms(LOOK_AGAIN_MS)))
        return; /* it comes again */
    t->looked_ns = now;
    if (!look(m, at, status, message, what))
        tell(m, at, status, message, what);
}

void wp_etcd_trouble_stop(struct wp_etcd_mirror *m)
{
    uint64_t one = 1;

    if (m->look != NULL && write(m->look->probe.cancel, &one, sizeof(one)) < 0)
        return; /* it ends by itself a little later */
}
