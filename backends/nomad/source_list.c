/* The list of services: which namespaces and names there are. It has no addresses, and a token that may not
 * see all of it gets a shorter one, without a word. So it only tells what to read: a name that stands in it no
 * longer is read once more before it goes. */
#include "backends/nomad/source_priv.h"

#include <stdio.h>

#include "waypost/plugin/change.h"

static void list_next(struct wp_nomad_source_own *o);

/* --- namespaces -------------------------------------------------------------------------------- */

/* Publish the namespace, with what is thought of it. */
int wp_nomad_cover(struct wp_nomad_source_own *o, struct wp_nomad_item *ns,
                   enum wp_nomad_covered covered)
{
    struct wp_nomad_service *v = wp_nomad_published(o, ns);
    int e;

    if (v != NULL && v->covered == covered) {
        ns->covered = (uint8_t)covered;
        return 0;
    }
    wp_nomad_build_begin(&o->build);
    v = wp_nomad_build_end(&o->build, ns->hash, "", 0, wp_nomad_item_namespace(ns),
                           ns->namespace_len);
    if (v == NULL)
        return -ENOMEM;
    v->covered = (uint8_t)covered;
    e = wp_nomad_store_put(o->s.store, v);
    if (e < 0)
        return e;
    if (ns->covered != covered)
        wp_changed(o->state_key);
    ns->covered = (uint8_t)covered;
    wp_nomad_changed(o);
    return 0;
}

void wp_nomad_uncover(struct wp_nomad_source_own *o, struct wp_nomad_item *ns)
{
    struct wp_nomad_service *v;

    ns->listed = false;
    if (ns->covered == WP_NOMAD_UNCOVERED || wp_nomad_cover(o, ns, WP_NOMAD_UNCOVERED) == 0)
        return;
    v = wp_nomad_published(o, ns); /* no memory: then it is not known at all */
    ns->covered = WP_NOMAD_UNCOVERED;
    if (v != NULL)
        wp_nomad_store_remove(o->s.store, v);
    wp_changed(o->state_key);
}

/* --- what stands in it ------------------------------------------------------------------------- */

static int on_name(void *arg, struct wp_nomad_text namespace, struct wp_nomad_text name)
{
    struct wp_nomad_source_own *o = arg;
    struct wp_nomad_item *i;

    if (name.len == 0 || name.len > WP_NOMAD_NAME_MAX || namespace.len > WP_NOMAD_NAME_MAX)
        return 0; /* it can be in no question */
    i = wp_nomad_item_get(&o->items, name.at, name.len, namespace.at, namespace.len);
    if (i == NULL)
        return -ENOMEM;
    i->namespace->mark = i->mark = o->mark;
    o->new_namespace |= !i->namespace->listed;
    i->namespace->listed = true;
    o->n_listed++;
    if (i->listed)
        return 0;
    wp_nomad_item_unasked(&o->items, i);
    i->listed = true;
    wp_nomad_read(o, i, WP_NOMAD_URGENT);
    return 0;
}

/* What is not listed any more is read: gone, or may not be seen any more? */
static void on_left(void *arg, struct wp_nomad_item *i)
{
    struct wp_nomad_source_own *o = arg;

    if (i->name_len > 0 && i->listed && i->mark != o->mark)
        wp_nomad_read(o, i, WP_NOMAD_URGENT);
}

/* Of the agent that has no list: each name is on its own. */
static void on_listless(void *arg, struct wp_nomad_item *i)
{
    struct wp_nomad_source_own *o = arg;

    if (i->name_len == 0) {
        wp_nomad_uncover(o, i);
        return;
    }
    if (!i->listed)
        return;
    i->listed = false;
    wp_nomad_demand(o, i);
}

/* With another token namespaces must be seen anew. */
static void on_token(void *arg, struct wp_nomad_item *i)
{
    struct wp_nomad_source_own *o = arg;

    if (i->name_len == 0 && i->mark != o->mark)
        wp_nomad_uncover(o, i);
    i->due_ns = 0;
}

static void on_index_back(void *arg, struct wp_nomad_item *i)
{
    (void)arg;
    i->index = i->want = 0;
}

/* --- a restored server ------------------------------------------------------------------------- */

static void end_hold(struct wp_nomad_source_own *o)
{
    o->h->timer_cancel(&o->hold);
    o->held = false;
}

static void on_hold(struct wp_engine_timer *t)
{
    struct wp_nomad_source_own *o =
        (struct wp_nomad_source_own *)(void *)((char *)t -
                                               offsetof(struct wp_nomad_source_own, hold));

    wp_log(WP_WARNING, "nomad", "%s: still empty: what was known is given up", o->name);
    o->held = false;
    wp_nomad_item_each(&o->items, on_left, o);
    wp_nomad_reads_run(o);
}

/* The index went back and everything is gone: it is kept for a while, in case somebody puts it right. */
static bool is_held(struct wp_nomad_source_own *o, bool back)
{
    if (o->n_listed > 0) {
        end_hold(o);
        return false;
    }
    if (o->held || !back || wp_nomad_store_figures(o->s.store).services == 0)
        return o->held;
    o->held = true;
    o->hold.fn = on_hold;
    o->h->timer_set(&o->hold, o->h->now() + wp_nomad_ms(WP_NOMAD_HOLD_MS));
    wp_log(WP_ERROR, "nomad",
           "%s: the index went back and there is no service any more: what was known is kept for %d s",
           o->name, WP_NOMAD_HOLD_MS / 1000);
    return true;
}

/* --- a list came ------------------------------------------------------------------------------- */

/* No namespace is listed: a token that sees nothing, as a workload's identity does. */
static void tell_untrusted(struct wp_nomad_source_own *o)
{
    if (!o->untrusted_told)
        wp_log(WP_INFO, "nomad",
               "%s: no namespace is listed (that needs `read-job`), names are read when they are asked for",
               o->name);
    o->untrusted_told = true;
}

/* Servers that may be asked without a leader are not all as far: one that is behind is asked again. */
static bool is_lag(struct wp_nomad_source_own *o)
{
    uint64_t now = o->h->now();

    if (o->back_ns == 0)
        o->back_ns = now;
    return o->stale && now - o->back_ns < wp_nomad_ms(WP_NOMAD_LAG_MS);
}

static void take_list(struct wp_nomad_source_own *o, const struct wp_nomad_reply *r)
{
    bool back = r->index != 0 && r->index < o->list_index;

    if (back && is_lag(o)) {
        o->listed = false;
        return;
    }
    o->back_ns = 0;
    if (back) {
        wp_log(WP_WARNING, "nomad", "%s: the index went back from %llu to %llu: all is read anew",
               o->name, (unsigned long long)o->list_index, (unsigned long long)r->index);
        wp_nomad_item_each(&o->items, on_index_back, o);
        o->explained = 0;
        o->reason = WP_NOMAD_RELOAD_INDEX_BACK;
    }
    o->list_index = r->index;
    atomic_store_explicit(&o->index, r->index, memory_order_relaxed);
    o->listed = true;
    if (o->new_token)
        wp_nomad_item_each(&o->items, on_token, o);
    o->new_token = false;
    if (o->n_listed == 0 && o->n_passes == 0)
        tell_untrusted(o);
    if (!is_held(o, back))
        wp_nomad_item_each(&o->items, on_left, o);
    wp_nomad_index_seen(o, r->index);
    wp_nomad_reads_run(o);
}

static void list_later(struct wp_nomad_source_own *o, uint64_t ms)
{
    o->h->timer_set(&o->list_timer, o->h->now() + wp_nomad_ms(ms));
}

/* The next one, when it is time: two may follow at once, but no more. */
static void list_on(struct wp_nomad_source_own *o)
{
    uint64_t now = o->h->now(), due = o->listed_before_ns + wp_nomad_ms(WP_NOMAD_EACH_MS);

    if (o->list_index == 0) /* there is nothing to wait on */
        due = now + wp_nomad_ms(WP_NOMAD_REFUSED_MS);
    if (!o->listed) /* it lags */
        due = now + wp_nomad_ms(WP_NOMAD_EACH_MS);
    if (due > now)
        o->h->timer_set(&o->list_timer, due);
    else
        list_next(o);
}

static void list_good(struct wp_nomad_source_own *o, const struct wp_nomad_reply *r)
{
    struct wp_nomad_reply bad = {.verdict = WP_NOMAD_ODD};
    char why[256] = "";
    int e;

    o->listed_before_ns = o->listed_ns;
    o->listed_ns = o->h->now();
    o->mark++;
    o->n_listed = 0;
    e = wp_nomad_decode_list(r->body, r->len, on_name, NULL, o, why);
    if (e == 0) {
        o->lacks_list = false;
        wp_nomad_agent_serves(o);
        wp_nomad_tell_over(o, WP_NOMAD_OF_LIST, "the list of services can be read again");
        take_list(o, r);
        list_on(o);
        return;
    }
    if (e == -ENOMEM)
        bad.verdict = WP_NOMAD_NOMEM;
    snprintf(bad.why, sizeof(bad.why), "%s: the list of services: %s",
             wp_nomad_access_name(o->access, o->agent), e == -ENOMEM ? "out of memory" : why);
    if (!wp_nomad_agent_failed(o, &bad))
        list_later(o, WP_NOMAD_AGAIN_MS);
}

static void list_lacks(struct wp_nomad_source_own *o)
{
    if (!o->lacks_list)
        wp_log(WP_INFO, "nomad", "%s: %s has no list of services, names are read when they are asked for",
               o->name, wp_nomad_access_name(o->access, o->agent));
    o->lacks_list = true;
    o->list_index = 0;
    wp_nomad_item_each(&o->items, on_listless, o);
    wp_nomad_agent_serves(o);
    wp_nomad_in_step(o);
    wp_nomad_reads_run(o);
    list_later(o, WP_NOMAD_FEATURE_MS);
}

static void list_refused(struct wp_nomad_source_own *o, const struct wp_nomad_reply *r)
{
    wp_nomad_reached(o);
    wp_nomad_tell(o, WP_NOMAD_OF_LIST, WP_ERROR, "the list of services: %s%s", r->why,
                  r->verdict == WP_NOMAD_DENIED
                      ? " (the token needs `read-job` on the namespaces that are to be answered for)"
                      : "");
    wp_nomad_lost_step(o, o->h->now());
    list_later(o, WP_NOMAD_REFUSED_MS);
    if (r->verdict == WP_NOMAD_DENIED)
        wp_nomad_agent_denied(o);
}

static void on_end(void *arg, const struct wp_httpc_end *end)
{
    struct wp_nomad_call *c = arg;
    struct wp_nomad_source_own *o = c->own;
    struct wp_nomad_reply r;

    wp_nomad_judge(c, end, &r);
    switch (r.verdict) {
    case WP_NOMAD_GOOD:
        list_good(o, &r);
        break;
    case WP_NOMAD_LACKS:
        list_lacks(o);
        break;
    case WP_NOMAD_BAD:
    case WP_NOMAD_DENIED:
        list_refused(o, &r);
        break;
    default:
        if (!wp_nomad_agent_failed(o, &r))
            list_later(o, WP_NOMAD_AGAIN_MS);
    }
}

/* --- asking for it ----------------------------------------------------------------------------- */

static void list_next(struct wp_nomad_source_own *o)
{
    static const struct wp_httpc_call_ops ops = {.end = on_end};
    unsigned wait_s = o->stale && o->leaderless_ns != 0 ? WP_NOMAD_STALE_WAIT_S : WP_NOMAD_WAIT_S;
    struct wp_nomad_limits limits = {.total_ms = WP_NOMAD_READ_MS};
    struct wp_nomad_call *c = &o->list;
    char path[160], block[64] = "";

    if (!wp_nomad_agent_is_ready(o) || c->http != NULL)
        return;
    c->waits = o->listed && o->list_index != 0;
    c->stale = o->stale;
    if (c->waits) {
        limits.total_ms = wait_s * 1000 + wait_s * 1000 / 16 + WP_NOMAD_WAIT_GRACE_MS;
        snprintf(block, sizeof(block), "&index=%llu&wait=%us", (unsigned long long)o->list_index,
                 wait_s);
    }
    snprintf(path, sizeof(path), "/v1/services?namespace=*%s%s", block, o->stale ? "&stale=" : "");
    o->steady_ns = o->h->now();
    wp_nomad_call(c, path, &limits, &ops);
}

static void on_timer(struct wp_engine_timer *t)
{
    list_next((struct wp_nomad_source_own *)(void *)((char *)t -
                                                     offsetof(struct wp_nomad_source_own, list_timer)));
}

void wp_nomad_list_doubt(struct wp_nomad_source_own *o)
{
    bool waits = o->list.http != NULL && o->list.waits;

    if (o->list.http != NULL && !waits) /* all of it is on its way */
        return;
    o->listed = false; /* between two of them: the next one does not wait, either */
    if (!waits)
        return;
    wp_nomad_call_drop(&o->list);
    list_next(o);
}

void wp_nomad_list_start(struct wp_nomad_source_own *o)
{
    o->list_timer.fn = on_timer;
    o->listed = false;
    if (o->lacks_list && o->listed_ns != 0) {
        list_later(o, 0);
        return;
    }
    list_next(o);
}

void wp_nomad_list_stop(struct wp_nomad_source_own *o)
{
    o->h->timer_cancel(&o->list_timer);
    wp_nomad_call_drop(&o->list);
}
