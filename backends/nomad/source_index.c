/* How far what is known goes. One index counts all changes of the table of registrations. It moves with each
 * of them, also with those that no event tells of, such as removals by garbage collection. So the index of the
 * list is the proof: if an event came with that very index, the change that it stands for is known; else
 * everything listed is read again, a pass. Changes that follow fast may hide one without an event between
 * two with: then a pass follows soon. */
#include "backends/nomad/source_priv.h"

static void begin(struct wp_nomad_source_own *o);

static struct wp_nomad_source_own *own_of(struct wp_engine_timer *t, size_t offset)
{
    return (struct wp_nomad_source_own *)(void *)((char *)t - offset);
}

/* --- coverage ---------------------------------------------------------------------------------- */

static void count_none(void *arg, struct wp_nomad_item *i)
{
    (void)arg;
    i->n_unknown = 0;
}

static void count_unknown(void *arg, struct wp_nomad_item *i)
{
    (void)arg;
    if (i->name_len > 0 && i->listed && !i->known)
        i->namespace->n_unknown++;
}

static void cover(void *arg, struct wp_nomad_item *i)
{
    struct wp_nomad_source_own *o = arg;

    if (i->name_len == 0 && i->listed && i->n_unknown == 0 &&
        wp_nomad_cover(o, i, WP_NOMAD_COVERED) < 0)
        wp_nomad_pass(o, WP_NOMAD_RELOAD_VERIFY);
}

/* What is known not to be there, one by one, is known of the whole namespace now. */
static void drop_negatives(struct wp_nomad_source_own *o)
{
    for (struct wp_nomad_item *i = o->items.oldest, *next; i != NULL; i = next) {
        struct wp_nomad_service *v = wp_nomad_published(o, i);
        next = i->later;
        if (i->namespace->covered == WP_NOMAD_COVERED && (v == NULL || v->n == 0) &&
            i->waiters == NULL && !i->reading)
            wp_nomad_forget(o, i);
    }
}

/* Namespaces that are listed, with every name in them known, are known whole. */
static void cover_listed(struct wp_nomad_source_own *o)
{
    wp_nomad_item_each(&o->items, count_none, o);
    wp_nomad_item_each(&o->items, count_unknown, o);
    wp_nomad_item_each(&o->items, cover, o);
    drop_negatives(o);
}

/* --- passes ------------------------------------------------------------------------------------ */

static void on_verify(struct wp_engine_timer *t)
{
    wp_nomad_pass(own_of(t, offsetof(struct wp_nomad_source_own, verify)), WP_NOMAD_RELOAD_VERIFY);
}

static void verify_within(struct wp_nomad_source_own *o, uint64_t ms)
{
    uint64_t due = o->h->now() + wp_nomad_ms(ms);

    o->verify.fn = on_verify;
    if (!o->verify.is_set || o->verify.due_ns > due)
        o->h->timer_set(&o->verify, due);
}

static void end(struct wp_nomad_source_own *o)
{
    o->in_pass = false;
    o->n_passes++;
    if (o->reads_max < WP_NOMAD_READS) /* they were too many once */
        o->reads_max++;
    o->explained = o->pass_index;
    o->by_events = o->pass_by_events;
    o->n_since = 0;
    cover_listed(o);
    o->h->timer_cancel(&o->verify);
    verify_within(o, WP_NOMAD_VERIFY_MS);
    wp_nomad_in_step(o);
    if (o->pass_again)
        wp_nomad_pass(o, o->reason);
}

void wp_nomad_index_read(struct wp_nomad_source_own *o)
{
    if (--o->pass_left == 0)
        end(o);
}

static void join(void *arg, struct wp_nomad_item *i)
{
    struct wp_nomad_source_own *o = arg;

    if (i->name_len == 0 || !i->listed)
        return;
    i->in_pass = true;
    o->pass_left++;
    wp_nomad_read(o, i, WP_NOMAD_CALM);
}

static void on_pass(struct wp_engine_timer *t)
{
    begin(own_of(t, offsetof(struct wp_nomad_source_own, pass_timer)));
}

static void begin(struct wp_nomad_source_own *o)
{
    o->in_pass = true;
    o->pass_again = o->new_namespace = false;
    o->pass_ns = o->h->now();
    o->pass_index = o->list_index;
    o->pass_by_events = o->stream_open;
    o->awaited = 0;
    o->h->timer_cancel(&o->explain);
    wp_metric_add(o->reloads[o->reason], WP_METRIC_SHARED, 1);
    o->reason = WP_NOMAD_RELOAD_INDEX;
    o->pass_left = 1; /* it does not end while it begins */
    wp_nomad_item_each(&o->items, join, o);
    if (--o->pass_left == 0)
        end(o);
    else
        wp_nomad_reads_run(o);
}

void wp_nomad_pass(struct wp_nomad_source_own *o, enum wp_nomad_reload reason)
{
    uint64_t due = o->n_passes > 0 ? o->pass_ns + wp_nomad_ms(WP_NOMAD_EACH_MS) : 0;

    if (o->reason == WP_NOMAD_RELOAD_INDEX)
        o->reason = reason;
    if (o->in_pass) {
        o->pass_again = true;
        return;
    }
    o->pass_timer.fn = on_pass;
    if (due > o->h->now())
        o->h->timer_set(&o->pass_timer, due);
    else if (!o->pass_timer.is_set)
        begin(o);
}

/* --- the index --------------------------------------------------------------------------------- */

static bool has_event(const struct wp_nomad_source_own *o, uint64_t index)
{
    for (unsigned n = 0; n < WP_NOMAD_EVENTS_KEPT; n++)
        if (o->event_kept[n] == index)
            return true;
    return false;
}

static void explain(struct wp_nomad_source_own *o, uint64_t index)
{
    *(o->in_pass ? &o->pass_index : &o->explained) = index;
    o->awaited = 0;
    o->h->timer_cancel(&o->explain);
    if (o->n_since > 1)
        verify_within(o, WP_NOMAD_BUSY_MS);
    o->n_since = 0;
    if (!o->in_pass)
        wp_nomad_in_step(o);
}

static void give_up(struct wp_nomad_source_own *o)
{
    o->awaited = 0;
    o->h->timer_cancel(&o->explain);
    wp_nomad_pass(o, WP_NOMAD_RELOAD_INDEX);
}

static void on_explain(struct wp_engine_timer *t)
{
    give_up(own_of(t, offsetof(struct wp_nomad_source_own, explain)));
}

/* Nothing more than events can tell may have happened. */
static bool may_explain(const struct wp_nomad_source_own *o)
{
    return o->stream_open && (o->in_pass ? o->pass_by_events : o->by_events);
}

void wp_nomad_index_seen(struct wp_nomad_source_own *o, uint64_t index)
{
    uint64_t known = o->in_pass ? o->pass_index : o->explained;

    if (o->n_passes == 0 && !o->in_pass) {
        wp_nomad_pass(o, WP_NOMAD_RELOAD_START);
    } else if (o->new_namespace) { /* it is known whole once all that is listed was read */
        wp_nomad_pass(o, WP_NOMAD_RELOAD_INDEX);
    } else if (index != 0 && index == known) {
        o->reason = WP_NOMAD_RELOAD_INDEX;
        if (!o->in_pass)
            wp_nomad_in_step(o);
    } else if (!may_explain(o) || index == 0) {
        wp_nomad_pass(o, WP_NOMAD_RELOAD_INDEX);
    } else if (has_event(o, index)) {
        explain(o, index);
    } else if (o->event_index > index) {
        give_up(o);
    } else {
        o->awaited = index;
        o->explain.fn = on_explain;
        o->h->timer_set(&o->explain, o->h->now() + wp_nomad_ms(WP_NOMAD_EVENT_MS));
    }
}

void wp_nomad_index_event(struct wp_nomad_source_own *o, uint64_t index)
{
    if (index != 0 && !has_event(o, index)) {
        o->event_kept[o->n_events++ % WP_NOMAD_EVENTS_KEPT] = index;
        o->n_since++;
    }
    if (index > o->event_index)
        o->event_index = index;
    if (o->awaited == 0 || o->event_index < o->awaited)
        return;
    if (has_event(o, o->awaited))
        explain(o, o->awaited);
    else
        give_up(o);
}

/* A list that waits for what comes after all that is known has not come back since the stream was opened: there
 * was nothing between the two that neither could tell. */
static void on_steady(struct wp_engine_timer *t)
{
    struct wp_nomad_source_own *o = own_of(t, offsetof(struct wp_nomad_source_own, steady));
    uint64_t now = o->h->now();

    if (!o->stream_open || o->by_events)
        return;
    if (!o->in_pass && o->list.http != NULL && o->list.waits && o->list_index == o->explained &&
        now - o->steady_ns >= wp_nomad_ms(WP_NOMAD_STEADY_MS))
        o->by_events = true;
    else
        o->h->timer_set(t, now + wp_nomad_ms(WP_NOMAD_STEADY_MS));
}

void wp_nomad_index_stream(struct wp_nomad_source_own *o, bool open)
{
    o->stream_open = open;
    o->steady_ns = o->h->now();
    o->steady.fn = on_steady;
    if (open)
        o->h->timer_set(&o->steady, o->steady_ns + wp_nomad_ms(WP_NOMAD_STEADY_MS));
    else
        o->h->timer_cancel(&o->steady);
    o->event_index = 0;
    o->n_events = o->n_since = 0;
    memset(o->event_kept, 0, sizeof(o->event_kept));
    if (open)
        return;
    o->by_events = o->pass_by_events = false;
    if (o->awaited != 0)
        give_up(o);
}

void wp_nomad_index_stop(struct wp_nomad_source_own *o)
{
    o->h->timer_cancel(&o->explain);
    o->h->timer_cancel(&o->pass_timer);
    o->h->timer_cancel(&o->steady);
    o->h->timer_cancel(&o->verify);
    o->h->timer_cancel(&o->hold);
}
