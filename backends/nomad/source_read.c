/* Services are read: those first that somebody waits for or that have changed, some at a time. An answer
 * is published at once, and only if it says something new. */
#include "backends/nomad/source_priv.h"

#include <stdio.h>
#include <string.h>

enum { TRIES = 5, LAG_MS = 20 /* doubled with each try */ };

static struct wp_nomad_source_own *own_of(struct wp_engine_timer *t, size_t offset)
{
    return (struct wp_nomad_source_own *)(void *)((char *)t - offset);
}

void wp_nomad_read(struct wp_nomad_source_own *o, struct wp_nomad_item *i, enum wp_nomad_queue q)
{
    if (i->reading)
        i->again = true;
    else
        wp_nomad_item_queue(&o->items, i, q);
}

void wp_nomad_forget(struct wp_nomad_source_own *o, struct wp_nomad_item *i)
{
    struct wp_nomad_item *ns = i->namespace;
    struct wp_nomad_service *v = wp_nomad_published(o, i);

    if (v != NULL) {
        wp_nomad_store_remove(o->s.store, v);
        wp_nomad_changed(o);
    }
    wp_nomad_item_free(&o->items, i);
    if (ns->n > 0 || ns->listed || ns->covered != WP_NOMAD_UNCOVERED)
        return;
    v = wp_nomad_published(o, ns);
    if (v != NULL)
        wp_nomad_store_remove(o->s.store, v);
    wp_nomad_item_free(&o->items, ns);
}

/* --- later ------------------------------------------------------------------------------------- */

static void look(void *arg, struct wp_nomad_item *i)
{
    struct wp_nomad_source_own *o = arg;

    if (i->due_ns == 0)
        return;
    if (i->due_ns > o->h->now()) {
        if (o->retry_ns == 0 || i->due_ns < o->retry_ns)
            o->retry_ns = i->due_ns;
        return;
    }
    i->due_ns = 0;
    if (i->name_len > 0 && (i->listed || i->in_pass || i->want > i->index || i->waiters != NULL))
        wp_nomad_read(o, i, i->want > i->index ? WP_NOMAD_URGENT : WP_NOMAD_CALM);
}

static void on_retry(struct wp_engine_timer *t)
{
    struct wp_nomad_source_own *o = own_of(t, offsetof(struct wp_nomad_source_own, retry));

    o->retry_ns = 0;
    wp_nomad_item_each(&o->items, look, o);
    if (o->retry_ns != 0)
        o->h->timer_set(t, o->retry_ns);
    wp_nomad_reads_run(o);
}

static void wake_at(struct wp_nomad_source_own *o, uint64_t due_ns)
{
    o->retry.fn = on_retry;
    if (o->retry_ns != 0 && o->retry_ns <= due_ns)
        return;
    o->retry_ns = due_ns;
    o->h->timer_set(&o->retry, due_ns);
}

void wp_nomad_retry_at(struct wp_nomad_source_own *o, struct wp_nomad_item *i, uint64_t due_ns)
{
    i->due_ns = due_ns;
    wake_at(o, due_ns);
}

/* --- publishing -------------------------------------------------------------------------------- */

static bool is_same(const struct wp_nomad_service *a, const struct wp_nomad_service *b)
{
    return a != NULL && a->digest == b->digest && a->n == b->n && a->on_demand == b->on_demand;
}

/* Takes v. 0 or -ENOMEM: what was published before still is. */
static int publish(struct wp_nomad_source_own *o, struct wp_nomad_item *i,
                   struct wp_nomad_service *v)
{
    struct wp_nomad_service *before = wp_nomad_published(o, i);
    int e;

    v->on_demand = !i->listed;
    if (is_same(before, v)) {
        wp_nomad_service_free(v);
        v = before;
    } else {
        v->asked_s = before != NULL ? before->asked_s : wp_nomad_now_s(o);
        e = wp_nomad_store_put(o->s.store, v);
        if (e < 0)
            return e;
        wp_nomad_changed(o);
    }
    if (v->on_demand)
        wp_nomad_freshen(o, v);
    if (v->n > 0 && wp_nomad_published(o, i->namespace) == NULL)
        return wp_nomad_cover(o, i->namespace, i->namespace->covered);
    return 0;
}

/* It is there, although the list of the latest index does not have it: the list is not all there is. */
static void unlist(struct wp_nomad_source_own *o, struct wp_nomad_item *i, uint64_t index)
{
    if (!i->listed || i->mark == o->mark)
        return;
    if (index > o->list_index) {
        i->mark = o->mark; /* it came back meanwhile */
        return;
    }
    wp_nomad_uncover(o, i->namespace);
    i->listed = false;
    wp_nomad_demand(o, i);
}

static void take_away(struct wp_nomad_source_own *o, struct wp_nomad_item *i)
{
    struct wp_nomad_service *v = wp_nomad_published(o, i);

    if (v == NULL)
        return;
    wp_nomad_store_remove(o->s.store, v);
    wp_nomad_changed(o);
}

/* There is none, or none that the filter lets pass. Takes v. True: the item is of no use any more. */
static bool take_none(struct wp_nomad_source_own *o, struct wp_nomad_item *i,
                      struct wp_nomad_service *v, int *ret_e)
{
    bool listed = i->listed && i->mark == o->mark;

    if (o->held && wp_nomad_published(o, i) != NULL) {
        wp_nomad_service_free(v);
        return false;
    }
    if (listed || i->namespace->covered == WP_NOMAD_COVERED) {
        wp_nomad_service_free(v);
        take_away(o, i);
        return !listed;
    }
    i->listed = false;
    if (!i->on_demand)
        wp_nomad_demand(o, i);
    *ret_e = publish(o, i, v);
    return false;
}

/* --- what came --------------------------------------------------------------------------------- */

/* The answer is older than what is known to have happened. */
static bool is_old(struct wp_nomad_source_own *o, struct wp_nomad_item *i,
                   const struct wp_nomad_reply *r)
{
    bool lags = r->index != 0 && i->want > r->index;

    /* a server without data that was put back from a copy: the list will tell */
    lags |= r->index != 0 && o->build.n == 0 && r->index < o->explained && !o->held;
    if (!lags || i->tries >= TRIES) {
        i->tries = 0;
        return false;
    }
    wp_nomad_retry_at(o, i, o->h->now() + (wp_nomad_ms(LAG_MS) << i->tries++));
    return true;
}

static void finish(struct wp_nomad_source_own *o, struct wp_nomad_item *i, bool useless)
{
    bool in_pass = i->in_pass;

    i->in_pass = false;
    wp_nomad_answer(o, i);
    if (i->again) {
        i->again = false;
        wp_nomad_read(o, i, WP_NOMAD_URGENT);
        useless = false;
    }
    if (useless)
        wp_nomad_forget(o, i);
    if (in_pass)
        wp_nomad_index_read(o);
}

static void put_off(struct wp_nomad_source_own *o, struct wp_nomad_item *i)
{
    wp_nomad_answer(o, i);
    wp_nomad_retry_at(o, i, o->h->now() + wp_nomad_ms(WP_NOMAD_AGAIN_MS));
}

static void take(struct wp_nomad_source_own *o, struct wp_nomad_item *i,
                 const struct wp_nomad_reply *r)
{
    struct wp_nomad_service *v = wp_nomad_build_end(&o->build, i->hash, wp_nomad_item_name(i),
                                                    i->name_len, wp_nomad_item_namespace(i),
                                                    i->namespace_len);
    bool useless = false;
    int e = 0;

    if (v == NULL) {
        put_off(o, i);
        return;
    }
    if (v->n == 0) {
        useless = take_none(o, i, v, &e);
    } else {
        unlist(o, i, r->index);
        e = publish(o, i, v);
    }
    if (e < 0) {
        put_off(o, i);
        return;
    }
    i->known = true;
    i->index = r->index;
    finish(o, i, useless);
}

static void read_good(struct wp_nomad_source_own *o, struct wp_nomad_item *i,
                      const struct wp_nomad_reply *r)
{
    struct wp_nomad_reply bad = {.verdict = WP_NOMAD_ODD};
    char why[256] = "";
    int e;

    wp_nomad_build_begin(&o->build);
    e = wp_nomad_decode_service(r->body, r->len, wp_nomad_build_add, &o->build, why);
    if (e == 0) {
        wp_nomad_agent_serves(o);
        wp_nomad_tell_over(o, WP_NOMAD_OF_FILTER, "services can be read again");
        if (o->lacks_list)
            wp_nomad_in_step(o);
        if (r->index != 0 && r->index < o->explained && !o->stale)
            wp_nomad_list_doubt(o);
        if (!is_old(o, i, r))
            take(o, i, r);
        return;
    }
    if (e == -ENOMEM)
        bad.verdict = WP_NOMAD_NOMEM;
    snprintf(bad.why, sizeof(bad.why), "%s: service %.*s of %.*s: %s",
             wp_nomad_access_name(o->access, o->agent), i->name_len, wp_nomad_item_name(i),
             i->namespace_len, wp_nomad_item_namespace(i), e == -ENOMEM ? "out of memory" : why);
    put_off(o, i);
    wp_nomad_agent_failed(o, &bad);
}

/* It may not be read, or there is no such path. What is known of it stays. */
static void read_refused(struct wp_nomad_source_own *o, struct wp_nomad_item *i,
                         const struct wp_nomad_reply *r)
{
    bool denied = r->verdict == WP_NOMAD_DENIED, listed = i->listed;
    uint64_t ms = listed ? WP_NOMAD_REFUSED_MS : WP_NOMAD_DENIED_MS;

    wp_nomad_reached(o);
    wp_nomad_tell(o, WP_NOMAD_OF_READS, WP_ERROR, "service %.*s of %.*s: %s%s", i->name_len,
                  wp_nomad_item_name(i), i->namespace_len, wp_nomad_item_namespace(i), r->why,
                  denied ? " (the token needs `read-job` on the namespace)" : "");
    i->known = false;
    if (listed)
        wp_nomad_uncover(o, i->namespace);
    wp_nomad_retry_at(o, i, o->h->now() + wp_nomad_ms(ms));
    if (denied) {
        if (!listed)
            wp_nomad_retry_at(o, i->namespace, i->due_ns);
        wp_nomad_agent_denied(o);
    }
    finish(o, i, false);
}

static void filter_refused(struct wp_nomad_source_own *o, struct wp_nomad_item *i,
                           const struct wp_nomad_reply *r)
{
    wp_nomad_reached(o);
    wp_nomad_tell(o, WP_NOMAD_OF_FILTER, WP_ERROR, "the filter is refused: %s", r->why);
    o->filter_bad_ns = o->h->now() + wp_nomad_ms(WP_NOMAD_REFUSED_MS);
    wp_nomad_lost_step(o, o->h->now());
    wp_nomad_read(o, i, WP_NOMAD_CALM);
    wp_nomad_answer_all(o);
    wake_at(o, o->filter_bad_ns);
}

static void on_end(void *arg, const struct wp_httpc_end *end)
{
    struct wp_nomad_call *c = arg;
    struct wp_nomad_source_own *o = c->own;
    struct wp_nomad_item *i = c->item;
    struct wp_nomad_reply r;

    wp_nomad_judge(c, end, &r);
    c->item = NULL;
    i->reading = false;
    o->n_reading--;
    switch (r.verdict) {
    case WP_NOMAD_GOOD:
        read_good(o, i, &r);
        break;
    case WP_NOMAD_BAD:
        if (o->filter[0] != '\0') {
            filter_refused(o, i, &r);
            break;
        }
        /* fall through */
    case WP_NOMAD_LACKS:
    case WP_NOMAD_DENIED:
        read_refused(o, i, &r);
        break;
    case WP_NOMAD_ODD:
    case WP_NOMAD_NOMEM:
        put_off(o, i);
        wp_nomad_agent_failed(o, &r);
        break;
    default:
        wp_nomad_read(o, i, i->waiters != NULL ? WP_NOMAD_URGENT : WP_NOMAD_CALM);
        wp_nomad_agent_failed(o, &r);
    }
    wp_nomad_reads_run(o);
}

/* --- asking for it ----------------------------------------------------------------------------- */

static char *make_path(struct wp_nomad_source_own *o, const struct wp_nomad_item *i)
{
    char *name, *ns;

    wp_arena_reset(&o->scratch);
    name = wp_nomad_escape(&o->scratch, wp_nomad_item_name(i), i->name_len);
    ns = wp_nomad_escape(&o->scratch, wp_nomad_item_namespace(i), i->namespace_len);
    if (name == NULL || ns == NULL)
        return NULL;
    return wp_arena_printf(&o->scratch, "/v1/service/%s?namespace=%s%s%s", name, ns, o->filter,
                           o->stale ? "&stale=" : "");
}

static struct wp_nomad_call *free_call(struct wp_nomad_source_own *o)
{
    struct wp_nomad_call *c = o->reads;

    while (c->http != NULL)
        c++;
    return c;
}

static bool start(struct wp_nomad_source_own *o, struct wp_nomad_item *i)
{
    static const struct wp_httpc_call_ops ops = {.end = on_end};
    const struct wp_nomad_limits limits = {
        .total_ms = i->waiters != NULL ? WP_NOMAD_ASK_MS : WP_NOMAD_READ_MS};
    struct wp_nomad_call *c = free_call(o);

    c->item = i;
    c->stale = o->stale;
    if (!wp_nomad_call(c, make_path(o, i), &limits, &ops)) {
        c->item = NULL;
        return false;
    }
    wp_nomad_item_unqueue(&o->items, i);
    i->reading = true;
    i->due_ns = 0;
    o->n_reading++;
    return true;
}

void wp_nomad_reads_run(struct wp_nomad_source_own *o)
{
    uint64_t now = o->h->now();

    while (wp_nomad_agent_is_ready(o) && o->n_reading < o->reads_max && now >= o->filter_bad_ns) {
        struct wp_nomad_item *i = o->items.first[WP_NOMAD_URGENT];
        if (i == NULL)
            i = o->items.first[WP_NOMAD_CALM];
        if (i == NULL || !start(o, i))
            return;
    }
}

void wp_nomad_reads_stop(struct wp_nomad_source_own *o)
{
    for (size_t n = 0; n < WP_NOMAD_READS; n++) {
        struct wp_nomad_item *i = o->reads[n].item;
        if (o->reads[n].http == NULL || i == NULL)
            continue;
        wp_nomad_call_drop(&o->reads[n]);
        i->reading = i->again = false;
        wp_nomad_read(o, i, i->waiters != NULL || i->want > i->index ? WP_NOMAD_URGENT : WP_NOMAD_CALM);
    }
    o->n_reading = 0;
}
