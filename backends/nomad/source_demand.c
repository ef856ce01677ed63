/* Names that nobody lists: they are read when they are asked for, kept fresh while they are, and then
 * forgotten. There are so many of them at most, the one that was asked for longest ago goes first. */
#include "backends/nomad/source_priv.h"

enum { SWEEP_MS = 1000, CHANCES = 8 };

uint32_t wp_nomad_now_s(const struct wp_nomad_source_own *o)
{
    return (uint32_t)(o->h->now() / 1000000000u);
}

struct wp_nomad_service *wp_nomad_published(const struct wp_nomad_source_own *o,
                                            const struct wp_nomad_item *i)
{
    return wp_nomad_store_get(o->s.store, i->hash, wp_nomad_item_name(i), i->name_len,
                              wp_nomad_item_namespace(i), i->namespace_len);
}

void wp_nomad_freshen(struct wp_nomad_source_own *o, struct wp_nomad_service *v)
{
    uint32_t for_s = v->n > 0 ? o->wants.fresh_s : o->wants.absent_s;

    atomic_store_explicit(&v->until_s, wp_nomad_now_s(o) + for_s, memory_order_relaxed);
}

static uint32_t idle_s(const struct wp_nomad_source_own *o, const struct wp_nomad_service *v)
{
    uint32_t now = wp_nomad_now_s(o), asked = atomic_load_explicit(
                                          &((struct wp_nomad_service *)(uintptr_t)v)->asked_s,
                                          memory_order_relaxed);

    return now > asked ? now - asked : 0;
}

static bool is_busy(const struct wp_nomad_item *i)
{
    return i->waiters != NULL || i->reading || i->in_pass;
}

bool wp_nomad_demand_is_asked(const struct wp_nomad_source_own *o, const struct wp_nomad_item *i)
{
    const struct wp_nomad_service *v = wp_nomad_published(o, i);

    return v != NULL && !is_busy(i) && idle_s(o, v) < WP_NOMAD_IDLE_S;
}

/* --- room -------------------------------------------------------------------------------------- */

/* The oldest goes. One that is there and was asked for since has another chance. */
void wp_nomad_demand_room(struct wp_nomad_source_own *o)
{
    for (unsigned n = 0; n < CHANCES && o->items.n_on_demand >= WP_NOMAD_DEMAND_MAX; n++) {
        struct wp_nomad_item *i = o->items.oldest;
        struct wp_nomad_service *v = wp_nomad_published(o, i);
        if (is_busy(i) || (n + 1 < CHANCES && v != NULL && v->n > 0 && idle_s(o, v) < WP_NOMAD_IDLE_S))
            wp_nomad_item_asked(&o->items, i);
        else
            wp_nomad_forget(o, i);
    }
}

/* --- freshness --------------------------------------------------------------------------------- */

static void look(struct wp_nomad_source_own *o, struct wp_nomad_item *i)
{
    struct wp_nomad_service *v = wp_nomad_published(o, i);
    uint32_t idle;

    if (is_busy(i))
        return;
    if (v == NULL) { /* it could not be read, and nobody waits any more */
        if (i->due_ns <= o->h->now() && i->queue == WP_NOMAD_UNQUEUED)
            wp_nomad_forget(o, i);
        return;
    }
    idle = idle_s(o, v);
    if (idle < WP_NOMAD_IDLE_S && v->n > 0) /* others could be anybody's inventions */
        wp_nomad_bell_want(o, i->namespace);
    if (idle >= (v->n > 0 ? WP_NOMAD_FORGET_S : WP_NOMAD_IDLE_S) && !o->s.away)
        wp_nomad_forget(o, i);
    else if (idle < WP_NOMAD_IDLE_S && v->until_s <= wp_nomad_now_s(o) + 1 &&
             i->due_ns <= o->h->now())
        wp_nomad_read(o, i, WP_NOMAD_CALM);
}

static void on_sweep(struct wp_engine_timer *t)
{
    struct wp_nomad_source_own *o =
        (struct wp_nomad_source_own *)(void *)((char *)t -
                                               offsetof(struct wp_nomad_source_own, demand));

    for (struct wp_nomad_item *i = o->items.oldest, *next; i != NULL; i = next) {
        next = i->later;
        look(o, i);
    }
    wp_nomad_bells_sweep(o);
    wp_nomad_reads_run(o);
    if (o->items.oldest != NULL)
        o->h->timer_set(t, o->h->now() + wp_nomad_ms(SWEEP_MS));
}

void wp_nomad_demand(struct wp_nomad_source_own *o, struct wp_nomad_item *i)
{
    wp_nomad_item_asked(&o->items, i);
    o->demand.fn = on_sweep;
    if (!o->demand.is_set)
        o->h->timer_set(&o->demand, o->h->now() + wp_nomad_ms(SWEEP_MS));
}

void wp_nomad_demand_stop(struct wp_nomad_source_own *o)
{
    o->h->timer_cancel(&o->demand);
    o->h->timer_cancel(&o->retry);
    o->h->timer_cancel(&o->asks);
}
