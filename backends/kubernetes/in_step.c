/* Is a cluster synced, and in step with its API server? Who has an open watch on every collection
 * knows of each change as soon as it is told. */
#include "backends/kubernetes/cluster_priv.h"
#include "waypost/plugin/change.h"

enum { TELL_MS = WP_KUBE_STALE_S * 1000 + 1000 }; /* whole seconds are compared */

void wp_kube_listed(struct wp_kube_reflector *r)
{
    struct wp_kube_cluster_own *o = r->own;

    r->listed = true;
    if (wp_kube_cluster_is_synced(&o->c))
        return;
    for (unsigned i = 0; i < o->n_reflectors; i++)
        if (!o->reflectors[i].listed)
            return;
    atomic_store_explicit(&o->c.synced, true, memory_order_release);
    wp_changed(o->state_key);
    if (o->keep != NULL)
        wp_kube_keep_synced(o->keep);
    pthread_mutex_lock(&o->lock);
    pthread_cond_broadcast(&o->cond);
    pthread_mutex_unlock(&o->lock);
}

void wp_kube_restored(struct wp_kube_cluster_own *o, int64_t age_s)
{
    uint64_t now = o->h->now(), age = age_s < 0 ? 0 : (uint64_t)age_s * 1000000000u;

    if (age_s < 0)
        return;
    /* it is as old as it is, also if this clock is younger */
    for (unsigned i = 0; i < o->n_reflectors; i++)
        o->reflectors[i].lost_ns = now > age ? now - age : 1;
    atomic_store_explicit(&o->c.behind_since_ns, now > age ? now - age : 1, memory_order_relaxed);
    atomic_store_explicit(&o->c.saved, true, memory_order_release);
    wp_changed(o->state_key);
}

void wp_kube_store_changed(struct wp_kube_cluster_own *o)
{
    o->changed = true;
    o->changed_ns = o->h->now();
    if (o->keep != NULL)
        wp_kube_keep_changed(o->keep);
}

static void on_stale(struct wp_engine_timer *t)
{
    struct wp_kube_cluster_own *o =
        (struct wp_kube_cluster_own *)(void *)((char *)t -
                                               offsetof(struct wp_kube_cluster_own, stale_timer));

    o->stale = true;
    wp_changed(o->state_key);
    wp_log(WP_WARNING, "kubernetes", "%s: out of step for %d s: what is known is from before",
           o->name, WP_KUBE_STALE_S);
}

static void update(struct wp_kube_cluster_own *o)
{
    uint64_t since = 0;

    for (unsigned i = 0; i < o->n_reflectors; i++) {
        uint64_t lost = o->reflectors[i].lost_ns;
        if (lost != 0 && (since == 0 || lost < since))
            since = lost;
    }
    if (o->keep != NULL && (since == 0) != (o->c.behind_since_ns == 0))
        wp_kube_keep_in_step(o->keep, since == 0);
    atomic_store_explicit(&o->c.behind_since_ns, since, memory_order_relaxed);
    if (since != 0 && !o->stale) {
        o->stale_timer.fn = on_stale;
        o->h->timer_set(&o->stale_timer, since + wp_kube_ms(TELL_MS));
    }
    if (since != 0)
        return;
    o->h->timer_cancel(&o->stale_timer);
    if (!o->stale)
        return;
    o->stale = false;
    wp_changed(o->state_key);
    wp_log(WP_INFO, "kubernetes", "%s: in step again", o->name);
}

void wp_kube_watch_opened(struct wp_kube_reflector *r)
{
    r->lost_ns = r->silent_ns = 0;
    r->open = true;
    update(r->own);
}

void wp_kube_watch_ended(struct wp_kube_reflector *r, bool away, bool silent)
{
    r->open = false;
    if (r->lost_ns == 0) {
        r->lost_ns = r->own->h->now();
        r->silent_ns = silent ? r->heard_ns : 0;
    } else if (away && r->silent_ns != 0) {
        r->lost_ns = r->silent_ns;
    }
    update(r->own);
}

void wp_kube_in_step_stop(struct wp_kube_cluster_own *o)
{
    o->h->timer_cancel(&o->stale_timer);
}
