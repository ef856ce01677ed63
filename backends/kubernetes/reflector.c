/* What a collection does next: list, watch, wait. */
#include <stdlib.h>
#include <string.h>

#include "backends/common/state.h"
#include "backends/kubernetes/cluster_priv.h"
#include "waypost/base/random.h"

const char *wp_kube_type_text(enum wp_kube_collection c)
{
    static const char *const texts[] = {
        [WP_KUBE_SERVICES] = "*v1.Service",
        [WP_KUBE_SLICES] = "*v1.EndpointSlice",
        [WP_KUBE_NAMESPACES] = "*v1.Namespace",
        [WP_KUBE_PODS] = "*v1.Pod",
        [WP_KUBE_IMPORTS] = "*v1alpha1.ServiceImport",
        [WP_KUBE_IMPORT_SLICES] = "*v1.EndpointSlice",
    };

    return texts[c];
}

/* --- lists ----------------------------------------------------------------------------------- */

static void begin_listing(struct wp_kube_reflector *r)
{
    r->listed_ns = r->own->h->now();
    wp_kube_store_list_begin(r->own->c.store, r->collection);
    wp_kube_hold_begin(r);
}

/* One page, when the limits allow. */
static void ask_page(struct wp_kube_reflector *r)
{
    struct wp_kube_cluster_own *o = r->own;
    uint64_t now = o->h->now(), due;

    if (!r->granted) {
        if (wp_kube_limiter_is_full(&o->limiter)) {
            r->phase = WP_KUBE_QUEUED;
            return;
        }
        due = wp_kube_limiter_take(&o->limiter, now);
        wp_metric_observe(o->stats.wait_time, WP_METRIC_SHARED, (double)(due - now) / 1e9);
        r->granted = r->in_flight = true;
        o->limiter.now++;
        if (due > now) {
            wp_kube_rest(r, WP_KUBE_GO_PAGE, due - now);
            return;
        }
    }
    r->granted = false;
    if (r->retries == 0)
        r->page_began_ns = now;
    wp_kube_call(r, WP_KUBE_LISTING);
}

void wp_kube_list_release(struct wp_kube_reflector *r)
{
    struct wp_kube_cluster_own *o = r->own;

    r->granted = false;
    if (!r->in_flight)
        return;
    r->in_flight = false;
    o->limiter.now--;
    for (unsigned i = 0; i < o->n_reflectors; i++)
        if (o->reflectors[i].phase == WP_KUBE_QUEUED)
            wp_kube_rest(&o->reflectors[i], WP_KUBE_GO_PAGE, 0);
}

void wp_kube_list(struct wp_kube_reflector *r, bool whole)
{
    if (!whole)
        strcpy(r->list_rv, r->rv_gone ? "" : r->rv[0] == '\0' ? "0" : r->rv);
    /* A server that keeps a cache gives its state at a known version in one piece, unless a limit
     * sends it to etcd. */
    r->whole = whole || (r->list_rv[0] != '\0' && strcmp(r->list_rv, "0") != 0 && !r->paginates);
    free(r->page);
    r->page = NULL;
    r->retries = 0;
    begin_listing(r);
    ask_page(r);
}

int wp_kube_list_complete(struct wp_kube_reflector *r, const char *rv)
{
    struct wp_kube_cluster_own *o = r->own;
    size_t removed = 0;
    int e = wp_kube_hold_end(r);

    if (e == 0)
        e = wp_kube_store_list_end(o->c.store, r->collection,
                                   (uint32_t)(wp_state_clock_ms() / 1000), &removed);
    if (e < 0)
        return e;
    if (removed > 0)
        wp_kube_store_changed(o);
    strcpy(r->rv, rv);
    r->rv_gone = r->distrusts = false;
    r->torn = 0;
    wp_metric_add(r->relists[r->listed ? r->reason : WP_KUBE_RELIST_START], WP_METRIC_SHARED, 1);
    r->reason = WP_KUBE_RELIST_ERROR;
    wp_kube_listed(r);
    return 0;
}

static bool may_stream(const struct wp_kube_cluster_own *o)
{
    return o->stream_refused_ns == 0 ||
           o->h->now() - o->stream_refused_ns > wp_kube_ms(1000) * WP_KUBE_STREAM_AGAIN_S;
}

static void cycle(struct wp_kube_reflector *r)
{
    if (!may_stream(r->own)) {
        wp_kube_list(r, false);
        return;
    }
    begin_listing(r);
    wp_kube_call(r, WP_KUBE_STREAMING);
}

void wp_kube_watch(struct wp_kube_reflector *r)
{
    wp_kube_call(r, WP_KUBE_WATCHING);
}

/* --- waiting --------------------------------------------------------------------------------- */

static void go_on(struct wp_engine_timer *t)
{
    struct wp_kube_reflector *r =
        (struct wp_kube_reflector *)(void *)((char *)t - offsetof(struct wp_kube_reflector, timer));

    if (r->next == WP_KUBE_GO_CYCLE)
        cycle(r);
    else if (r->next == WP_KUBE_GO_PAGE)
        ask_page(r);
    else
        wp_kube_watch(r);
}

void wp_kube_rest(struct wp_kube_reflector *r, enum wp_kube_next next, uint64_t ns)
{
    r->phase = WP_KUBE_RESTING;
    r->next = next;
    r->own->h->timer_set(&r->timer, r->own->h->now() + ns);
}

void wp_kube_back_off(struct wp_kube_reflector *r, enum wp_kube_next next)
{
    const uint64_t most = wp_kube_ms(WP_KUBE_BACKOFF_MOST_MS);
    uint64_t now = r->own->h->now(), wait = r->wait_ns;

    if (wait == 0 || now - r->waited_ns > wp_kube_ms(WP_KUBE_BACKOFF_RESET_MS))
        wait = wp_kube_ms(WP_KUBE_BACKOFF_FIRST_MS);
    r->wait_ns = wait > most / 2 ? most : 2 * wait;
    r->waited_ns = now;
    r->retries = 0;
    wp_kube_rest(r, next, wait + wp_random() % wait);
}

/* --- life ------------------------------------------------------------------------------------ */

void wp_kube_reflector_init(struct wp_kube_reflector *r, struct wp_kube_cluster_own *own,
                            enum wp_kube_collection collection)
{
    r->own = own;
    r->collection = collection;
    r->timer.fn = go_on;
    r->lost_ns = own->made_ns;
    r->reason = WP_KUBE_RELIST_ERROR;
}

void wp_kube_reflector_start(struct wp_kube_reflector *r)
{
    cycle(r);
}

void wp_kube_reflector_stop(struct wp_kube_reflector *r)
{
    r->own->h->timer_cancel(&r->timer);
    wp_kube_call_drop(r);
    wp_kube_hold_done(r);
    free(r->page);
    r->page = NULL;
}
