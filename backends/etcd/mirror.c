/* The registry of mirrors and ranges: who shares what, and how it comes and goes. */
#include "backends/etcd/mirror.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/etcd/mirror_priv.h"
#include "waypost/base/hash.h"
#include "waypost/plugin/change.h"

enum { END_LOOK_MS = 100 };

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct wp_etcd_mirror *registry; /* by lock */
static uint64_t last_id;                /* by lock */

/* --- keys ---------------------------------------------------------------------------------------
 */

/* Every word that makes a difference, with its length, so that no two sources read alike. */
static char *key_of(const struct wp_etcd_source *src)
{
    char health[64] = "";
    const char *words[] = {src->prefix,
                           src->ca_file,
                           src->cert_file,
                           src->key_file,
                           src->user,
                           src->password,
                           src->tls ? "tls" : "",
                           src->state_dir,
                           src->keep_lapsed ? "keep" : "",
                           health,
                           src->discovery,
                           src->discovery_name,
                           src->discovery_secure ? "secure" : ""};
    size_t cap = 64, n = 0;
    char *key;

    if (src->health)
        snprintf(health, sizeof(health), "%llu %llu %u", (unsigned long long)src->terms.interval_ns,
                 (unsigned long long)src->terms.timeout_ns, src->terms.fails);

    for (size_t i = 0; i < WP_COUNT(words); i++)
        cap += (words[i] != NULL ? strlen(words[i]) : 0) + 24;
    for (unsigned i = 0; i < src->n_endpoints; i++)
        cap += strlen(src->endpoints[i].text) + 24;
    key = malloc(cap);
    if (key == NULL)
        return NULL;
    for (size_t i = 0; i < WP_COUNT(words) + src->n_endpoints; i++) {
        const char *word =
            i < WP_COUNT(words) ? words[i] : src->endpoints[i - WP_COUNT(words)].text;
        n += (size_t)snprintf(key + n, cap - n, word != NULL ? "%zu:%s," : "-,",
                              word != NULL ? strlen(word) : 0, word != NULL ? word : "");
    }
    return key;
}

/* The end of the keys that begin so: the last octet that can be one more is. */
static size_t prefix_end(char *key, size_t len)
{
    while (len > 0 && (uint8_t)key[len - 1] == 0xff)
        len--;
    if (len == 0) {
        key[0] = '\0'; /* everything from the key on */
        return 1;
    }
    key[len - 1] = (char)(key[len - 1] + 1);
    return len;
}

static int make_parts(struct wp_etcd_range_own *r, const char *prefix)
{
    struct wp_etcd_part *below = &r->parts[0], *self = &r->parts[1];

    if (asprintf(&below->key, "%s%s/", prefix, r->base) < 0) {
        below->key = NULL;
        return -ENOMEM;
    }
    below->key_len = strlen(below->key);
    below->end = strdup(below->key);
    if (asprintf(&self->key, "%s%s", prefix, r->base) < 0)
        self->key = NULL;
    if (below->end == NULL || self->key == NULL)
        return -ENOMEM;
    below->end_len = prefix_end(below->end, below->key_len);
    self->key_len = strlen(self->key);
    self->denied = self->key_len == 0; /* no prefix, root zone: there is no such key */
    return 0;
}

/* --- ranges --------------------------------------------------------------------------------------
 */

static void drop_lease(void *arg, struct wp_etcd_lease *lease)
{
    wp_etcd_lease_put(arg, lease);
}

static void drop_check(void *arg, struct wp_etcd_check *check)
{
    wp_etcd_check_put(arg, check);
}

static void range_free(struct wp_etcd_range_own *r)
{
    if (r == NULL)
        return;
    wp_etcd_tree_free(r->r.tree);
    for (unsigned i = 0; i < 2; i++) {
        free(r->parts[i].key);
        free(r->parts[i].end);
    }
    wp_etcd_keep_done(r);
    wp_etcd_mark_drop(&r->mark);
    free(r->base);
    free(r);
}

static struct wp_etcd_range_own *range_new(struct wp_etcd_mirror *m, const char *base)
{
    struct wp_etcd_range_own *r = calloc(1, sizeof(*r));
    struct wp_etcd_tree_config c = {.source = m->id, .base = base, .drop = drop_lease, .drop_check = drop_check, .arg = m};

    if (r == NULL)
        return NULL;
    r->base = strdup(base);
    r->r.mirror = m;
    r->r.own = r;
    r->needs_load = true;
    r->refs = 1;
    if (r->base == NULL || make_parts(r, m->src.prefix) < 0 ||
        wp_etcd_tree_new(&c, &r->r.tree) < 0) {
        range_free(r);
        return NULL;
    }
    wp_etcd_keep_init(r);
    return r;
}

static void join(struct wp_grpc_post *post)
{
    struct wp_etcd_range_own *r =
        (struct wp_etcd_range_own *)(void *)((char *)post -
                                             offsetof(struct wp_etcd_range_own, join));
    struct wp_etcd_mirror *m = r->r.mirror;

    if (m->ranges == NULL)
        wp_etcd_session_start(m);
    r->next = m->ranges;
    m->ranges = r;
    wp_etcd_restore(r);
    wp_etcd_step(m);
}

/* Out of the list first: nothing is done for it any more. Its tree goes when no reader can have
 * a pointer into what was taken out of it. */
static void finish_leaving(struct wp_grpc_timer *t)
{
    struct wp_etcd_range_own *r =
        (struct wp_etcd_range_own *)(void *)((char *)t - offsetof(struct wp_etcd_range_own, reap));
    struct wp_etcd_mirror *m = r->r.mirror;

    if (r->r.tree != NULL && wp_etcd_tree_reap(r->r.tree) == 0) {
        wp_etcd_tree_free(r->r.tree);
        r->r.tree = NULL;
    }
    if (r->r.tree != NULL || !wp_etcd_checks_stop(m) || (m->ranges == NULL && m->look != NULL)) {
        m->g->timer_set(t, m->g->now() + wp_etcd_ms(1));
        return;
    }
    pthread_mutex_lock(&m->lock);
    r->gone = true;
    pthread_cond_broadcast(&m->cond);
    pthread_mutex_unlock(&m->lock);
}

static void leave(struct wp_grpc_post *post)
{
    struct wp_etcd_range_own *r =
        (struct wp_etcd_range_own *)(void *)((char *)post -
                                             offsetof(struct wp_etcd_range_own, leave));
    struct wp_etcd_mirror *m = r->r.mirror;
    struct wp_etcd_range_own **at = &m->ranges;

    r->leaving = true;
    if (m->load.range == r) { /* the session goes on with something else */
        m->g->drop(m->call);
        m->call = NULL;
        wp_etcd_load_abort(m);
    }
    if (m->verify.range == r) {
        wp_etcd_verify_stop(m);
        wp_etcd_verify_later(m, true);
    }
    wp_etcd_watch_cancel(m, r);
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    m->g->timer_cancel(&r->hold);
    m->g->timer_cancel(&r->reap);
    if (m->ranges == NULL)
        wp_etcd_session_stop(m);
    else
        wp_etcd_step(m);
    wp_etcd_stats_update(m);
    r->reap.fn = finish_leaving;
    if (!wp_etcd_keep_last(r))
        finish_leaving(&r->reap);
}

/* --- mirrors -------------------------------------------------------------------------------------
 */

/* What a core dump, or memory that is used again, need not show. */
static void wipe(const char *secret)
{
    if (secret != NULL)
        explicit_bzero((char *)(uintptr_t)secret, strlen(secret));
}

static void mirror_free(struct wp_etcd_mirror *m)
{
    if (m == NULL)
        return;
    wp_etcd_stats_drop(m);
    wp_etcd_scout_done(m);
    wp_etcd_leases_done(m);
    wp_etcd_checks_done(m);
    wp_etcd_files_done(m);
    wipe(m->src.password);
    wipe(m->key);
    wp_arena_done(&m->scratch);
    wp_arena_done(&m->words);
    pthread_cond_destroy(&m->cond);
    pthread_mutex_destroy(&m->lock);
    free(m->key);
    free(m->name);
    free(m);
}

static const char *copy_word(struct wp_etcd_mirror *m, const char *word, bool *failed)
{
    const char *copy = word != NULL ? wp_arena_strdup(&m->words, word) : NULL;

    *failed |= word != NULL && copy == NULL;
    return copy;
}

static int copy_source(struct wp_etcd_mirror *m, const struct wp_etcd_source *src)
{
    struct wp_etcd_endpoint *e = wp_arena_array(&m->words, src->n_endpoints + 1, sizeof(*e));
    bool failed = e == NULL;

    m->trouble = wp_arena_array(&m->words, src->n_endpoints + 1, sizeof(*m->trouble));
    failed |= m->trouble == NULL;
    m->src = *src;
    m->src.discovery = copy_word(m, src->discovery, &failed);
    m->src.discovery_name = copy_word(m, src->discovery_name, &failed);
    m->src.password = NULL; /* ours, or none: it is wiped */
    m->src.prefix = copy_word(m, src->prefix, &failed);
    m->src.ca_file = copy_word(m, src->ca_file, &failed);
    m->src.cert_file = copy_word(m, src->cert_file, &failed);
    m->src.key_file = copy_word(m, src->key_file, &failed);
    m->src.user = copy_word(m, src->user, &failed);
    m->src.password = copy_word(m, src->password, &failed);
    m->src.state_dir = copy_word(m, src->state_dir, &failed);
    for (unsigned i = 0; !failed && i < src->n_endpoints; i++) {
        e[i] = src->endpoints[i];
        e[i].text = copy_word(m, src->endpoints[i].text, &failed);
        e[i].target = copy_word(m, src->endpoints[i].target, &failed);
    }
    m->src.endpoints = e;
    if (!failed && src->discovery != NULL)
        return wp_etcd_discover_init(m);
    return failed ? -ENOMEM : 0;
}

static struct wp_etcd_mirror *mirror_new(const struct wp_etcd_source *src, char *key)
{
    struct wp_etcd_mirror *m = calloc(1, sizeof(*m));
    pthread_condattr_t monotonic;

    if (m == NULL) {
        free(key);
        return NULL;
    }
    m->key = key;
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&m->cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
    wp_arena_init(&m->words, 0);
    wp_arena_init(&m->scratch, 0);
    m->id = wp_hash_mix(++last_id, wp_hash_seed);
    m->random = m->id | 1;
    atomic_init(&m->lost_ns, 1); /* never in step yet */
    atomic_init(&m->max_octets, src->max_octets);
    if (copy_source(m, src) < 0 || wp_etcd_scout_init(m) < 0 ||
        asprintf(&m->name, "%s%s%s", src->discovery != NULL ? "srv:" : "",
                 src->discovery != NULL ? src->discovery : src->endpoints[0].text,
                 src->prefix) < 0) {
        m->name = NULL;
        mirror_free(m);
        return NULL;
    }
    wp_etcd_stats_init(m);
    wp_etcd_checks_init(m);
    return m;
}

/* The mirror of the source, made when new. By the registry's lock. */
static int find_mirror(const struct wp_etcd_source *src, char errbuf[256],
                       struct wp_etcd_mirror **ret)
{
    const struct wp_grpc_ops *g = wp_grpc_open(errbuf);
    char *key = key_of(src);
    struct wp_etcd_mirror *m = registry;
    int r;

    if (g == NULL || key == NULL) {
        free(key);
        return g == NULL ? WP_EUNSUPPORTED : -ENOMEM;
    }
    while (m != NULL && strcmp(m->key, key) != 0)
        m = m->next;
    if (m != NULL) {
        free(key);
        *ret = m;
        return 0;
    }
    r = g->acquire();
    if (r < 0) {
        free(key);
        return r;
    }
    m = mirror_new(src, key);
    if (m == NULL) {
        g->release();
        return -ENOMEM;
    }
    m->g = g;
    m->next = registry;
    registry = m;
    *ret = m;
    return 0;
}

/* By the registry's lock; nobody uses it. */
static void remove_mirror(struct wp_etcd_mirror *m)
{
    const struct wp_grpc_ops *g = m->g;
    struct wp_etcd_mirror **at = &registry;

    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    g->release(); /* the engine's thread has let go of it, or stops here */
    mirror_free(m);
}

static void add_server(struct wp_etcd_mirror *m, const char *server)
{
    for (unsigned i = 0; i < m->n_servers; i++)
        if (strcmp(m->servers[i], server) == 0)
            return;
    if (m->n_servers == WP_ETCD_SERVERS_MAX)
        return;
    m->servers[m->n_servers] = wp_arena_strdup(&m->words, server);
    if (m->servers[m->n_servers] != NULL)
        wp_etcd_stats_server(m, m->n_servers++);
}

/* Ranges that the main thread knows: joined, not leaving. By the registry's lock. */
static struct wp_etcd_range_own *find_range(const struct wp_etcd_mirror *m, const char *base)
{
    for (struct wp_etcd_range_own *r = m->known; r != NULL; r = r->next_known) {
        size_t n = strlen(r->base);
        if (strncmp(base, r->base, n) == 0 && (base[n] == '\0' || base[n] == '/'))
            return r; /* the very one, or one that holds it */
    }
    return NULL;
}

/* Does another mirror have data for the same keys and server? Then a reload changes endpoints. By
 * the registry's lock. */
static bool has_predecessor(const struct wp_etcd_mirror *m, const char *base, const char *server)
{
    for (const struct wp_etcd_mirror *i = registry; i != NULL; i = i->next) {
        const struct wp_etcd_range_own *r = i->known;
        bool serves = false;
        for (unsigned k = 0; k < i->n_servers; k++)
            serves |= strcmp(i->servers[k], server) == 0;
        if (i == m || !serves || strcmp(i->src.prefix, m->src.prefix) != 0)
            continue;
        while (r != NULL && strcmp(r->base, base) != 0)
            r = r->next_known;
        if (r != NULL && wp_etcd_range_is_loaded(&r->r))
            return true;
    }
    return false;
}

int wp_etcd_range_get(const struct wp_etcd_source *src, const char *base, const char *server,
                      char errbuf[256], struct wp_etcd_range **ret)
{
    struct wp_etcd_mirror *m = NULL;
    struct wp_etcd_range_own *range = NULL;
    int r;

    pthread_mutex_lock(&registry_lock);
    r = find_mirror(src, errbuf, &m);
    if (r < 0)
        goto out;
    range = find_range(m, base);
    if (range != NULL) {
        range->refs++;
    } else {
        range = range_new(m, base);
        r = range == NULL ? -ENOMEM : 0;
        if (range == NULL && m->refs == 0)
            remove_mirror(m);
        if (range == NULL)
            goto out;
        range->r.replaces = has_predecessor(m, base, server);
        if (range->r.replaces)
            range->reason = WP_ETCD_LOAD_CONFIG;
        range->next_known = m->known;
        m->known = range;
        m->refs++;
        range->join.fn = join;
        m->g->post(&range->join);
    }
    add_server(m, server);
    atomic_store(&m->max_octets, src->max_octets);
    *ret = &range->r;
out:
    pthread_mutex_unlock(&registry_lock);
    return r;
}

void wp_etcd_range_put(struct wp_etcd_range *range)
{
    struct wp_etcd_range_own *r, **at;
    struct wp_etcd_mirror *m;

    if (range == NULL)
        return;
    r = range->own;
    m = range->mirror;
    pthread_mutex_lock(&registry_lock);
    if (--r->refs == 0) {
        for (at = &m->known; *at != r; at = &(*at)->next_known)
            ;
        *at = r->next_known;
        r->leave.fn = leave;
        m->g->post(&r->leave);
        pthread_mutex_lock(&m->lock);
        while (!r->gone)
            pthread_cond_wait(&m->cond, &m->lock);
        pthread_mutex_unlock(&m->lock);
        range_free(r);
        if (--m->refs == 0)
            remove_mirror(m);
    }
    pthread_mutex_unlock(&registry_lock);
}

/* Signals are blocked and read elsewhere on this very thread. */
static bool is_told_to_end(void)
{
    sigset_t waiting;

    sigemptyset(&waiting);
    sigpending(&waiting);
    return sigismember(&waiting, SIGTERM) == 1 || sigismember(&waiting, SIGINT) == 1 ||
           sigismember(&waiting, SIGQUIT) == 1;
}

/* By the mirror's lock. */
static bool is_settled(const struct wp_etcd_range *range, unsigned waited_ms)
{
    const struct wp_etcd_mirror *m = range->mirror;

    if (wp_etcd_range_is_loaded(range))
        return true;
    if (range->replaces || atomic_load(&range->own->restoring))
        return false;
    return m->round_failed || (wp_etcd_range_has_data(range) && waited_ms >= WP_ETCD_SAVED_WAIT_MS);
}

void wp_etcd_range_wait(struct wp_etcd_range *range, unsigned timeout_ms)
{
    struct wp_etcd_mirror *m = range->mirror;
    struct timespec until;
    unsigned waited_ms = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    pthread_mutex_lock(&m->lock);
    while (!is_settled(range, waited_ms) && waited_ms < timeout_ms && !is_told_to_end()) {
        unsigned left_ms = timeout_ms - waited_ms;
        unsigned step_ms = left_ms < END_LOOK_MS ? left_ms : END_LOOK_MS;
        waited_ms += step_ms;
        until.tv_nsec += (long)step_ms * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        while (!is_settled(range, waited_ms))
            if (pthread_cond_timedwait(&m->cond, &m->lock, &until) != 0)
                break;
    }
    pthread_mutex_unlock(&m->lock);
}

uint64_t wp_etcd_range_state_key(const struct wp_etcd_range *r)
{
    return wp_change_key(wp_etcd_tree_source(r->tree), 1);
}

uint64_t wp_etcd_range_behind_s(const struct wp_etcd_range *r, uint64_t now_ns)
{
    uint64_t lost = atomic_load_explicit(&r->mirror->lost_ns, memory_order_relaxed);

    if (!wp_etcd_range_is_loaded(r) && wp_etcd_range_has_data(r)) {
        int64_t known = atomic_load_explicit(
            &((struct wp_etcd_range *)(uintptr_t)r)->saved_known_ns, memory_order_relaxed);
        return (int64_t)now_ns > known ? (uint64_t)((int64_t)now_ns - known) / 1000000000u + 1 : 1;
    }
    if (lost == 0)
        return 0;
    return now_ns > lost ? (now_ns - lost) / 1000000000u + 1 : 1;
}
