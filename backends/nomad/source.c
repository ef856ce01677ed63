/* The registry of sources: who shares what, and how it comes and goes. */
#include "backends/nomad/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/nomad/source_priv.h"
#include "waypost/base/hash.h"
#include "waypost/plugin/change.h"

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct wp_nomad_source_own *registry; /* by lock, newest first */
static uint64_t last_id;                     /* by lock */

/* --- keys -------------------------------------------------------------------------------------- */

/* What tells the data from other data, in lines. NULL: memory. */
static char *identity_of(const struct wp_nomad_access *a, const struct wp_nomad_wants *w)
{
    char *text = NULL;

    if (asprintf(&text, "%s\nfilter %s\ntags %d\nweights %d\n", wp_nomad_access_identity(a),
                 w->filter != NULL ? w->filter : "", w->tags, w->weights) < 0)
        return NULL;
    return text;
}

/* And how it is come by. */
static char *key_of(const char *identity, const struct wp_nomad_wants *w)
{
    char *text = NULL;

    if (asprintf(&text, "%s%d %u %u %d %lld %zu:%s", identity, w->stale, w->fresh_s, w->absent_s,
                 w->health, (long long)w->health_interval_ns,
                 w->state_dir != NULL ? strlen(w->state_dir) : 0,
                 w->state_dir != NULL ? w->state_dir : "") < 0)
        return NULL;
    return text;
}

/* --- saved data -------------------------------------------------------------------------------- */

static void take_item(struct wp_nomad_source_own *o, struct wp_nomad_item *i,
                      const struct wp_nomad_service *v)
{
    if (v->name_len == 0)
        return;
    i->known = true;
    if (v->on_demand)
        wp_nomad_demand(o, i);
    else
        i->listed = true;
}

static int on_record(void *arg, struct wp_nomad_service *v)
{
    struct wp_nomad_source_own *o = arg;
    struct wp_nomad_item *i = wp_nomad_item_get(
        &o->items, wp_nomad_service_name(v), v->name_len, wp_nomad_service_namespace(v),
        v->namespace_len);

    if (i == NULL) {
        wp_nomad_service_free(v);
        return -ENOMEM;
    }
    if (v->covered == WP_NOMAD_COVERED)
        v->covered = WP_NOMAD_COVERED_ONCE;
    if (v->name_len == 0)
        i->covered = v->covered;
    v->asked_s = wp_nomad_now_s(o);
    take_item(o, i, v);
    return wp_nomad_store_put(o->s.store, v);
}

static void on_forget(void *arg)
{
    struct wp_nomad_source_own *o = arg;
    struct wp_nomad_service *v;
    size_t at = 0;

    while ((v = wp_nomad_store_each(o->s.store, &at)) != NULL)
        wp_nomad_store_remove(o->s.store, v);
    wp_nomad_demand_stop(o);
    wp_nomad_items_done(&o->items);
    if (wp_nomad_items_init(&o->items) < 0)
        abort(); /* a few hundred octets, of some megabytes that were just given back */
}

static void on_restored(void *arg, int64_t age_s)
{
    struct wp_nomad_source_own *o = arg;

    wp_nomad_restored(o, age_s);
    wp_nomad_agent_start(o);
}

static void let_go(void *arg)
{
    struct wp_nomad_source_own *o = arg;

    pthread_mutex_lock(&o->lock);
    o->gone = true;
    pthread_cond_broadcast(&o->cond);
    pthread_mutex_unlock(&o->lock);
}

/* Without it the source is followed all the same. */
static void init_keep(struct wp_nomad_source_own *o, const char *identity)
{
    struct wp_nomad_keep_config c = {
        .http = o->h,
        .store = o->s.store,
        .dir = o->wants.state_dir,
        .name = o->name,
        .identity = identity,
        .record = on_record,
        .forget = on_forget,
        .restored = on_restored,
        .ended = let_go,
        .arg = o,
    };
    int e;

    if (c.dir == NULL)
        return;
    e = wp_nomad_keep_new(&c, &o->keep);
    if (e < 0)
        wp_log(WP_WARNING, "nomad", "%s: nothing is saved: %s", o->name, wp_strerror(e));
}

/* --- making one -------------------------------------------------------------------------------- */

static char *join(struct wp_arena *a, const char *one, const char *two)
{
    return wp_arena_printf(a, "%s%s", one, two);
}

static int copy_wants(struct wp_nomad_source_own *o, const struct wp_nomad_wants *w)
{
    bool filtered = w->filter != NULL && w->filter[0] != '\0';
    const char *region = w->agents.region != NULL ? w->agents.region : "", *escaped = "";

    o->wants = *w;
    o->wants.agents = (struct wp_nomad_agents){0}; /* the access has read them */
    o->wants.filter = NULL;
    o->wants.fresh_s += o->wants.fresh_s == 0;
    o->wants.absent_s += o->wants.absent_s == 0;
    if (filtered)
        escaped = wp_nomad_escape(&o->words, w->filter, strlen(w->filter));
    o->filter = escaped != NULL ? join(&o->words, filtered ? "&filter=" : "", escaped) : NULL;
    o->name = wp_arena_printf(&o->words, "%s%s%s%s%s", wp_nomad_access_name(o->access, 0),
                              region[0] != '\0' ? " region " : "", region,
                              filtered ? " filter " : "", filtered ? w->filter : "");
    if (w->state_dir != NULL)
        o->wants.state_dir = wp_arena_strdup(&o->words, w->state_dir);
    o->build.tags = w->tags;
    o->build.weights = w->weights;
    return o->filter == NULL || o->name == NULL || (w->state_dir != NULL && o->wants.state_dir == NULL)
               ? -ENOMEM
               : 0;
}

static void source_free(struct wp_nomad_source_own *o)
{
    wp_nomad_keep_free(o->keep);
    wp_nomad_tickets_unref(o->tickets);
    wp_nomad_items_done(&o->items);
    wp_nomad_build_done(&o->build);
    wp_nomad_store_free(o->s.store);
    wp_nomad_access_free(o->access);
    wp_arena_done(&o->scratch);
    wp_arena_done(&o->words);
    pthread_cond_destroy(&o->cond);
    pthread_mutex_destroy(&o->lock);
    free(o->key);
    free(o);
}

static struct wp_nomad_source_own *blank(const struct wp_httpc_ops *h, uint64_t id)
{
    struct wp_nomad_source_own *o = calloc(1, sizeof(*o));

    if (o == NULL)
        return NULL;
    o->h = h;
    o->refs = 1;
    o->made_ns = h->now();
    o->state_key = wp_change_key(id, 1);
    o->s.own = o;
    o->list.own = o->events.own = o->probe.own = o;
    for (size_t i = 0; i < WP_NOMAD_READS; i++)
        o->reads[i].own = o;
    for (size_t i = 0; i < WP_NOMAD_BELLS; i++)
        o->bells[i].call.own = o;
    atomic_init(&o->s.behind_since_ns, o->made_ns);
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->cond, NULL);
    wp_arena_init(&o->words, 0);
    wp_arena_init(&o->scratch, 0);
    return o;
}

/* Takes access and key, also when it fails. */
static int source_new(const struct wp_nomad_wants *w, struct wp_nomad_access *access, char *key,
                      const char *identity, const struct wp_httpc_ops *h,
                      struct wp_nomad_source_own **ret)
{
    uint64_t id = wp_hash_mix(++last_id, wp_hash_seed);
    struct wp_nomad_source_own *o = blank(h, id);
    int r;

    if (o == NULL) {
        wp_nomad_access_free(access);
        free(key);
        return -ENOMEM;
    }
    o->access = access;
    o->key = key;
    r = copy_wants(o, w);
    if (r == 0)
        r = wp_nomad_store_new(id, &o->s.store);
    if (r == 0)
        r = wp_nomad_items_init(&o->items);
    if (r == 0)
        r = wp_nomad_tickets_new(o);
    if (r == 0)
        r = wp_nomad_source_health(o);
    if (r < 0) {
        source_free(o);
        return r;
    }
    init_keep(o, identity);
    *ret = o;
    return 0;
}

/* --- the engine's side ------------------------------------------------------------------------- */

static void begin(struct wp_engine_post *post)
{
    struct wp_nomad_source_own *o =
        (struct wp_nomad_source_own *)(void *)((char *)post -
                                               offsetof(struct wp_nomad_source_own, begin));

    if (o->keep != NULL)
        wp_nomad_keep_restore(o->keep);
    else
        on_restored(o, -1);
}

static void leave(struct wp_engine_post *post)
{
    struct wp_nomad_source_own *o =
        (struct wp_nomad_source_own *)(void *)((char *)post -
                                               offsetof(struct wp_nomad_source_own, leave));

    wp_nomad_agent_stop(o);
    wp_nomad_source_health_stop(o);
    wp_nomad_answer_all(o);
    wp_nomad_index_stop(o);
    wp_nomad_demand_stop(o);
    wp_nomad_step_stop(o);
    wp_nomad_store_reap();
    if (o->keep == NULL || !wp_nomad_keep_last(o->keep))
        let_go(o);
}

/* --- the registry ------------------------------------------------------------------------------ */

static int make(const struct wp_nomad_wants *w, struct wp_nomad_access *access, char *key,
                const char *identity, const struct wp_httpc_ops *h,
                struct wp_nomad_source_own **ret)
{
    struct wp_nomad_source_own *o;
    int r = h->acquire();

    if (r < 0) {
        wp_nomad_access_free(access);
        free(key);
        return r;
    }
    r = source_new(w, access, key, identity, h, &o);
    if (r < 0) {
        h->release();
        return r;
    }
    wp_nomad_stats_init(o);
    o->next = registry;
    registry = o;
    o->begin.fn = begin;
    h->post(&o->begin);
    *ret = o;
    return 0;
}

/* By the registry's lock. Takes access, identity. */
static int find_or_make(const struct wp_nomad_wants *w, struct wp_nomad_access *access,
                        char *identity, const struct wp_httpc_ops *h,
                        struct wp_nomad_source_own **ret)
{
    char *key = identity != NULL ? key_of(identity, w) : NULL;
    struct wp_nomad_source_own *o = registry;
    int r = 0;

    while (key != NULL && o != NULL && strcmp(o->key, key) != 0)
        o = o->next;
    if (key == NULL) {
        r = -ENOMEM;
        wp_nomad_access_free(access);
    } else if (o != NULL) {
        o->refs++;
        if (o->s.reached) { /* not at the start, by two blocks */
            wp_metric_add(o->reloads[WP_NOMAD_RELOAD_CONFIG], WP_METRIC_SHARED, 1);
            wp_log(WP_INFO, "nomad", "%s: followed on", o->name);
        }
        *ret = o;
        wp_nomad_access_free(access);
        free(key);
    } else {
        r = make(w, access, key, identity, h, ret);
    }
    free(identity);
    return r;
}

int wp_nomad_source_get(const struct wp_nomad_wants *wants, char why[WP_NOMAD_WHY],
                        struct wp_nomad_source **ret)
{
    const struct wp_httpc_ops *h = wp_httpc_open(why);
    struct wp_nomad_source_own *o;
    struct wp_nomad_access *access;
    int r;

    if (h == NULL)
        return WP_EUNSUPPORTED;
    r = wp_nomad_access_new(&wants->agents, why, &access);
    if (r < 0)
        return r;
    pthread_mutex_lock(&registry_lock);
    r = find_or_make(wants, access, identity_of(access, wants), h, &o);
    if (r == 0)
        *ret = &o->s;
    pthread_mutex_unlock(&registry_lock);
    return r;
}

static void show_another(const struct wp_nomad_source_own *gone)
{
    struct wp_nomad_source_own *o = registry;

    while (o != NULL && strcmp(o->name, gone->name) != 0)
        o = o->next;
    if (o != NULL)
        wp_nomad_stats_show(o);
}

static void take_out(struct wp_nomad_source_own *o)
{
    struct wp_nomad_source_own **at = &registry;

    while (*at != o)
        at = &(*at)->next;
    *at = o->next;
    wp_nomad_stats_drop(o);
    show_another(o); /* it may have the same name */
}

void wp_nomad_source_put(struct wp_nomad_source *s)
{
    struct wp_nomad_source_own *o = s != NULL ? s->own : NULL;

    if (o == NULL)
        return;
    pthread_mutex_lock(&registry_lock);
    if (--o->refs == 0) {
        take_out(o);
        o->leave.fn = leave;
        o->h->post(&o->leave);
        pthread_mutex_lock(&o->lock);
        while (!o->gone)
            pthread_cond_wait(&o->cond, &o->lock);
        pthread_mutex_unlock(&o->lock);
        o->h->release();
        source_free(o);
    }
    pthread_mutex_unlock(&registry_lock);
}
