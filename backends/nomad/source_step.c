/* Whether what is known is in step with the agents, and who is to know. */
#include "backends/nomad/source_priv.h"
#include "waypost/plugin/change.h"

enum { TELL_MS = WP_NOMAD_STALE_S * 1000 + 1000 }; /* whole seconds are compared */

static struct wp_nomad_source_own *own_of(struct wp_engine_timer *t, size_t offset)
{
    return (struct wp_nomad_source_own *)(void *)((char *)t - offset);
}

void wp_nomad_reached(struct wp_nomad_source_own *o)
{
    if (o->s.reached)
        return;
    atomic_store_explicit(&o->s.reached, true, memory_order_release);
    wp_changed(o->state_key);
}

static uint64_t behind(const struct wp_nomad_source_own *o)
{
    return atomic_load_explicit(&((struct wp_nomad_source_own *)(uintptr_t)o)->s.behind_since_ns,
                                memory_order_relaxed);
}

static void on_stale(struct wp_engine_timer *t)
{
    struct wp_nomad_source_own *o = own_of(t, offsetof(struct wp_nomad_source_own, stale_timer));

    o->stale_told = true;
    wp_changed(o->state_key);
    wp_log(WP_WARNING, "nomad", "%s: STALE: out of step for %d s, what is known is from before",
           o->name, WP_NOMAD_STALE_S);
}

static void wait_stale(struct wp_nomad_source_own *o)
{
    uint64_t since = behind(o), now = o->h->now();

    if (since == 0 || o->stale_told || o->stale_timer.is_set)
        return;
    o->stale_timer.fn = on_stale;
    o->h->timer_set(&o->stale_timer, since + wp_nomad_ms(TELL_MS) > now ? since + wp_nomad_ms(TELL_MS)
                                                                       : now);
}

void wp_nomad_lost_step(struct wp_nomad_source_own *o, uint64_t since_ns)
{
    if (behind(o) == 0) {
        atomic_store_explicit(&o->s.behind_since_ns, since_ns, memory_order_relaxed);
        if (o->keep != NULL)
            wp_nomad_keep_in_step(o->keep, false);
    }
    wait_stale(o);
}

void wp_nomad_in_step(struct wp_nomad_source_own *o)
{
    if (o->held || (o->stale && o->leaderless_ns != 0) || o->resting) {
        wp_nomad_lost_step(o, o->h->now());
        return;
    }
    if (!o->synced && o->keep != NULL)
        wp_nomad_keep_synced(o->keep);
    if (!o->synced)
        wp_changed(o->state_key);
    o->synced = true;
    if (behind(o) != 0 && o->keep != NULL)
        wp_nomad_keep_in_step(o->keep, true);
    atomic_store_explicit(&o->s.behind_since_ns, 0, memory_order_relaxed);
    o->h->timer_cancel(&o->stale_timer);
    if (!o->stale_told)
        return;
    o->stale_told = false;
    wp_changed(o->state_key);
    wp_log(WP_INFO, "nomad", "%s: in step again", o->name);
}

void wp_nomad_restored(struct wp_nomad_source_own *o, int64_t age_s)
{
    uint64_t now = o->h->now(), age = age_s < 0 ? 0 : (uint64_t)age_s * 1000000000u;

    if (age_s >= 0) { /* it is as old as it is, also if this clock is younger */
        atomic_store_explicit(&o->s.behind_since_ns, now > age ? now - age : 1,
                              memory_order_relaxed);
        wp_nomad_reached(o);
    }
    wait_stale(o);
}

/* --- changes ----------------------------------------------------------------------------------- */

static void on_reap(struct wp_engine_timer *t)
{
    struct wp_nomad_source_own *o = own_of(t, offsetof(struct wp_nomad_source_own, reap));

    if (wp_nomad_store_reap() > 0)
        o->h->timer_set(t, o->h->now() + wp_nomad_ms(WP_NOMAD_REAP_MS));
}

void wp_nomad_changed(struct wp_nomad_source_own *o)
{
    if (o->keep != NULL)
        wp_nomad_keep_changed(o->keep);
    o->reap.fn = on_reap;
    if (!o->reap.is_set)
        o->h->timer_set(&o->reap, o->h->now() + wp_nomad_ms(WP_NOMAD_REAP_MS));
}

void wp_nomad_step_stop(struct wp_nomad_source_own *o)
{
    o->h->timer_cancel(&o->stale_timer);
    o->h->timer_cancel(&o->reap);
}
