/* The registry of clusters: who shares what, and how it comes and goes. */
#include "backends/kubernetes/cluster.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/common/secret_file.h"
#include "backends/kubernetes/cluster_priv.h"
#include "waypost/base/hash.h"
#include "waypost/plugin/change.h"

enum { LOOK_MS = 100, TELL_EACH = 5 };

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct wp_kube_cluster_own *registry; /* by lock, newest first */
static uint64_t last_id;                     /* by lock */

/* --- keys ------------------------------------------------------------------------------------ */

static void put_word(FILE *f, const char *word)
{
    if (word == NULL)
        fputs("-,", f);
    else
        fprintf(f, "%zu:%s,", strlen(word), word);
}

/* A kubeconfig may name another server, or another user, than when it was last read. */
static void put_file(FILE *f, const char *path)
{
    char *text = NULL;

    if (path == NULL || wp_secret_file_read(path, WP_KUBE_PEM_MAX, &text) < 0)
        return;
    fprintf(f, "%zu.%016llx,", strlen(text),
            (unsigned long long)wp_hash_bytes(text, strlen(text)));
    free(text);
}

/* Everything that makes a difference; words with their length, so that no two read alike. */
static char *key_of(const struct wp_kube_wants *w)
{
    const struct wp_kube_source *s = &w->source;
    const char *const words[] = {s->kubeconfig,  s->context,          s->endpoint,
                                 s->cert,        s->key,              s->ca,
                                 s->account_dir, w->labels,           w->namespace_labels,
                                 w->state_dir};
    size_t len = 0;
    char *text = NULL;
    FILE *f = open_memstream(&text, &len);

    if (f == NULL)
        return NULL;
    for (size_t i = 0; i < WP_COUNT(words); i++)
        put_word(f, words[i]);
    put_file(f, s->kubeconfig);
    fprintf(f, "%d%d%d%d%d%d %.17g %u %u", w->slices, w->pods, w->imports, w->pod_names, w->zonal,
            w->pod_labels, w->qps, w->burst, w->max_inflight);
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* --- making one ------------------------------------------------------------------------------ */

static const char *copy_word(struct wp_kube_cluster_own *o, const char *word, bool *failed)
{
    const char *copy = word != NULL ? wp_arena_strdup(&o->words, word) : NULL;

    *failed |= word != NULL && copy == NULL;
    return copy;
}

static int copy_wants(struct wp_kube_cluster_own *o, const struct wp_kube_wants *w)
{
    bool failed = false;

    o->wants = *w;
    o->wants.source = (struct wp_kube_source){0}; /* the access has read it */
    o->wants.labels = copy_word(o, w->labels, &failed);
    o->wants.namespace_labels = copy_word(o, w->namespace_labels, &failed);
    o->wants.state_dir = copy_word(o, w->state_dir, &failed);
    o->decode = (struct wp_kube_decode_config){
        .zonal = w->zonal, .pod_names = w->pod_names, .labels = w->pod_labels};
    o->name = wp_arena_printf(&o->words, "%s%s%s%s%s", wp_kube_access_host(o->access),
                              w->labels != NULL ? " " : "", w->labels != NULL ? w->labels : "",
                              w->namespace_labels != NULL ? " namespaces " : "",
                              w->namespace_labels != NULL ? w->namespace_labels : "");
    wp_kube_limiter_init(&o->limiter, w->qps, w->burst, w->max_inflight);
    return failed || o->name == NULL ? -ENOMEM : 0;
}

static void add_reflectors(struct wp_kube_cluster_own *o)
{
    const bool wanted[WP_KUBE_COLLECTIONS] = {
        [WP_KUBE_SERVICES] = true,
        [WP_KUBE_SLICES] = o->wants.slices,
        [WP_KUBE_NAMESPACES] = true,
        [WP_KUBE_PODS] = o->wants.pods,
        [WP_KUBE_IMPORTS] = o->wants.imports,
        [WP_KUBE_IMPORT_SLICES] = o->wants.imports,
    };

    for (unsigned c = 0; c < WP_KUBE_COLLECTIONS; c++)
        if (wanted[c])
            wp_kube_reflector_init(&o->reflectors[o->n_reflectors++], o,
                                   (enum wp_kube_collection)c);
}

static void cluster_free(struct wp_kube_cluster_own *o)
{
    wp_kube_keep_free(o->keep);
    wp_kube_store_free(o->c.store);
    wp_kube_access_free(o->access);
    wp_arena_done(&o->scratch);
    wp_arena_done(&o->words);
    pthread_cond_destroy(&o->cond);
    pthread_mutex_destroy(&o->lock);
    free(o->key);
    free(o);
}

/* --- saved data ------------------------------------------------------------------------------ */

static void start_reflectors(struct wp_kube_cluster_own *o)
{
    for (unsigned i = 0; i < o->n_reflectors; i++)
        wp_kube_reflector_start(&o->reflectors[i]);
}

static void on_restored(void *arg, int64_t age_s)
{
    struct wp_kube_cluster_own *o = arg;

    wp_kube_restored(o, age_s);
    start_reflectors(o);
}

static void let_go(struct wp_kube_cluster_own *o)
{
    pthread_mutex_lock(&o->lock);
    o->gone = true;
    pthread_cond_broadcast(&o->cond);
    pthread_mutex_unlock(&o->lock);
}

static void on_saved(void *arg)
{
    let_go(arg);
}

/* What tells the data from other data: which server, and what is kept of what it has. Who asks does
 * not matter. NULL: memory. */
static char *identity_of(const struct wp_kube_cluster_own *o)
{
    const struct wp_kube_wants *w = &o->wants;
    size_t len = 0;
    char *text = NULL;
    FILE *f = open_memstream(&text, &len);

    if (f == NULL)
        return NULL;
    fprintf(f, "server %s\nlabels %s\nnamespaces %s\n", wp_kube_access_base(o->access),
            w->labels != NULL ? w->labels : "", w->namespace_labels != NULL ? w->namespace_labels : "");
    fprintf(f, "slices %d\npods %d\nimports %d\nnames %d\nzones %d\nlabels of pods %d\n", w->slices,
            w->pods, w->imports, w->pod_names, w->zonal, w->pod_labels);
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* Without it the cluster is followed all the same. */
static void init_keep(struct wp_kube_cluster_own *o)
{
    struct wp_kube_keep_config c = {
        .http = o->h,
        .store = o->c.store,
        .dir = o->wants.state_dir,
        .name = o->name,
        .restored = on_restored,
        .ended = on_saved,
        .arg = o,
    };
    char *identity;
    int e = -ENOMEM;

    if (c.dir == NULL)
        return;
    c.identity = identity = identity_of(o);
    if (identity != NULL)
        e = wp_kube_keep_new(&c, &o->keep);
    if (e < 0)
        wp_log(WP_WARNING, "kubernetes", "%s: nothing is saved: %s", o->name, wp_strerror(e));
    free(identity);
}

static void init_lock(struct wp_kube_cluster_own *o)
{
    pthread_condattr_t monotonic;

    pthread_mutex_init(&o->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&o->cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

/* By the registry's lock. Takes the key, also when it fails. */
static int cluster_new(const struct wp_kube_wants *w, char *key, const struct wp_httpc_ops *h,
                       char why[WP_KUBE_WHY], struct wp_kube_cluster_own **ret)
{
    struct wp_kube_cluster_own *o = calloc(1, sizeof(*o));
    uint64_t id = wp_hash_mix(++last_id, wp_hash_seed);
    struct wp_kube_store_config c = {.source = id, .labels = w->pod_labels};
    int r;

    if (o == NULL) {
        free(key);
        return -ENOMEM;
    }
    o->key = key;
    o->h = h;
    o->made_ns = h->now();
    o->state_key = wp_change_key(id, 1);
    o->refs = 1;
    o->c.own = o;
    atomic_init(&o->c.behind_since_ns, o->made_ns);
    init_lock(o);
    wp_arena_init(&o->words, 0);
    wp_arena_init(&o->scratch, 0);
    r = wp_kube_access_new(&w->source, o->made_ns, why, &o->access);
    if (r == 0)
        r = copy_wants(o, w);
    if (r == 0)
        r = wp_kube_store_new(&c, &o->c.store);
    if (r < 0) {
        cluster_free(o);
        return r;
    }
    add_reflectors(o);
    init_keep(o);
    *ret = o;
    return 0;
}

/* --- the engine's side ----------------------------------------------------------------------- */

static void on_reap(struct wp_engine_timer *t)
{
    struct wp_kube_cluster_own *o =
        (struct wp_kube_cluster_own *)(void *)((char *)t -
                                               offsetof(struct wp_kube_cluster_own, reap));

    o->changed = true;
    wp_kube_reap(o);
}

static void join(struct wp_engine_post *post)
{
    struct wp_kube_cluster_own *o =
        (struct wp_kube_cluster_own *)(void *)((char *)post -
                                               offsetof(struct wp_kube_cluster_own, join));

    o->reap.fn = on_reap;
    if (o->keep != NULL)
        wp_kube_keep_restore(o->keep);
    else
        start_reflectors(o);
}

static void leave(struct wp_engine_post *post)
{
    struct wp_kube_cluster_own *o =
        (struct wp_kube_cluster_own *)(void *)((char *)post -
                                               offsetof(struct wp_kube_cluster_own, leave));

    for (unsigned i = 0; i < o->n_reflectors; i++)
        wp_kube_reflector_stop(&o->reflectors[i]);
    wp_kube_in_step_stop(o);
    wp_kube_store_reap(o->c.store);
    o->h->timer_cancel(&o->reap);
    if (o->keep == NULL || !wp_kube_keep_last(o->keep))
        let_go(o);
}

/* --- the registry ---------------------------------------------------------------------------- */

static int make(const struct wp_kube_wants *w, char *key, const struct wp_httpc_ops *h,
                char why[WP_KUBE_WHY], struct wp_kube_cluster_own **ret)
{
    struct wp_kube_cluster_own *o;
    int r = h->acquire();

    if (r < 0) {
        free(key);
        return r;
    }
    r = cluster_new(w, key, h, why, &o);
    if (r < 0) {
        h->release();
        return r;
    }
    wp_kube_stats_init(o);
    o->next = registry;
    registry = o;
    o->join.fn = join;
    h->post(&o->join);
    *ret = o;
    return 0;
}

int wp_kube_cluster_get(const struct wp_kube_wants *wants, char why[WP_KUBE_WHY],
                        struct wp_kube_cluster **ret)
{
    char errbuf[256] = "", *key;
    const struct wp_httpc_ops *h = wp_httpc_open(errbuf);
    struct wp_kube_cluster_own *o;
    int r = 0;

    if (h == NULL) {
        snprintf(why, WP_KUBE_WHY, "%s", errbuf);
        return WP_EUNSUPPORTED;
    }
    key = key_of(wants);
    if (key == NULL)
        return -ENOMEM;
    pthread_mutex_lock(&registry_lock);
    for (o = registry; o != NULL && strcmp(o->key, key) != 0;)
        o = o->next;
    if (o != NULL) {
        o->refs++;
        free(key);
    } else {
        r = make(wants, key, h, why, &o);
    }
    if (r == 0)
        *ret = &o->c;
    pthread_mutex_unlock(&registry_lock);
    return r;
}

/* Another cluster of the same name may be there, and its figures are still wanted. */
static void drop_stats(struct wp_kube_cluster_own *o)
{
    struct wp_kube_cluster_own *other = registry;

    wp_kube_stats_drop(o);
    while (other != NULL && strcmp(other->name, o->name) != 0)
        other = other->next;
    if (other != NULL)
        wp_kube_stats_show(other);
}

void wp_kube_cluster_put(struct wp_kube_cluster *c)
{
    struct wp_kube_cluster_own *o, **at = &registry;

    if (c == NULL)
        return;
    o = c->own;
    pthread_mutex_lock(&registry_lock);
    if (--o->refs > 0) {
        pthread_mutex_unlock(&registry_lock);
        return;
    }
    while (*at != o)
        at = &(*at)->next;
    *at = o->next;
    drop_stats(o);
    o->leave.fn = leave;
    o->h->post(&o->leave);
    pthread_mutex_lock(&o->lock);
    while (!o->gone)
        pthread_cond_wait(&o->cond, &o->lock);
    pthread_mutex_unlock(&o->lock);
    o->h->release();
    cluster_free(o);
    pthread_mutex_unlock(&registry_lock);
}

/* --- waiting --------------------------------------------------------------------------------- */

/* Signals are blocked and read elsewhere on this very thread. */
static bool is_told_to_end(void)
{
    static const int ends[] = {SIGTERM, SIGINT, SIGQUIT};
    sigset_t waiting;

    sigemptyset(&waiting);
    sigpending(&waiting);
    for (size_t i = 0; i < WP_COUNT(ends); i++)
        if (sigismember(&waiting, ends[i]) == 1)
            return true;
    return false;
}

/* Nothing better is to be expected than what there is. */
static bool is_enough(struct wp_kube_cluster_own *o, uint64_t now_ns)
{
    return wp_kube_cluster_has_data(&o->c) &&
           now_ns >= o->made_ns + wp_kube_ms(WP_KUBE_SAVED_WAIT_MS);
}

/* Until it is synced, or so long. */
static bool wait_some(struct wp_kube_cluster_own *o, uint64_t ns)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    ns += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(ns / 1000000000u);
    until.tv_nsec = (long)(ns % 1000000000u);
    pthread_mutex_lock(&o->lock);
    while (!wp_kube_cluster_is_synced(&o->c))
        if (pthread_cond_timedwait(&o->cond, &o->lock, &until) != 0)
            break;
    pthread_mutex_unlock(&o->lock);
    return wp_kube_cluster_is_synced(&o->c);
}

bool wp_kube_cluster_wait(struct wp_kube_cluster *c, int64_t timeout_ns)
{
    struct wp_kube_cluster_own *o = c->own;
    uint64_t end = o->made_ns + (timeout_ns > 0 ? (uint64_t)timeout_ns : 0), now;

    for (unsigned n = 1; !wp_kube_cluster_is_synced(c); n++) {
        now = o->h->now();
        if (now >= end || is_enough(o, now) || is_told_to_end())
            return false;
        if (!wait_some(o, end - now < wp_kube_ms(LOOK_MS) ? end - now : wp_kube_ms(LOOK_MS)) &&
            n % TELL_EACH == 0)
            wp_log(WP_INFO, "kubernetes", "waiting for Kubernetes API before starting server");
    }
    return true;
}

uint64_t wp_kube_cluster_state_key(const struct wp_kube_cluster *c)
{
    return c->own->state_key;
}
