/* What tells that names on demand have changed: a blocking query on the list of their namespace, which a
 * workload's identity may ask for although the list of all namespaces is empty for it. What the list says is not
 * looked at; when it comes back, the names of the namespace that are asked for are read. There are few such
 * queries; names beyond them, and those of agents without a list, are read from time to time. */
#include "backends/nomad/source_priv.h"

#include <stdio.h>
#include <string.h>

static void ring(struct wp_nomad_source_own *o, struct wp_nomad_bell *b);

static bool is_of(const struct wp_nomad_bell *b, const struct wp_nomad_item *ns)
{
    return b->len == ns->namespace_len && memcmp(b->namespace, wp_nomad_item_namespace(ns), b->len) == 0;
}

static void later(struct wp_nomad_bell *b, uint64_t ms)
{
    const struct wp_httpc_ops *h = b->call.own->h;

    h->timer_set(&b->timer, h->now() + wp_nomad_ms(ms));
}

static void silence(struct wp_nomad_bell *b)
{
    b->call.own->h->timer_cancel(&b->timer);
    wp_nomad_call_drop(&b->call);
    b->len = 0;
}

/* --- it rang ----------------------------------------------------------------------------------- */

static void read_all(struct wp_nomad_source_own *o, const struct wp_nomad_bell *b)
{
    for (struct wp_nomad_item *i = o->items.oldest; i != NULL; i = i->later)
        if (i->index < b->index && is_of(b, i->namespace) && wp_nomad_demand_is_asked(o, i))
            wp_nomad_read(o, i, WP_NOMAD_CALM);
}

static void good(struct wp_nomad_source_own *o, struct wp_nomad_bell *b, const struct wp_nomad_reply *r)
{
    uint64_t now = o->h->now(), due = b->rang_before_ns + wp_nomad_ms(WP_NOMAD_EACH_MS);

    wp_nomad_agent_serves(o);
    if (r->index == 0) { /* there is nothing to wait on */
        b->index = 0;
        later(b, WP_NOMAD_REFUSED_MS);
        return;
    }
    if (r->index == b->index) { /* the wait is over; a server that does not wait is not asked soon */
        later(b, now - b->began_ns < wp_nomad_ms(WP_NOMAD_EACH_MS) ? WP_NOMAD_REFUSED_MS : 0);
        return;
    }
    b->index = r->index;
    b->rang_before_ns = b->rang_ns;
    b->rang_ns = now;
    read_all(o, b);
    wp_nomad_reads_run(o);
    if (due > now)
        o->h->timer_set(&b->timer, due);
    else
        ring(o, b);
}

static void on_end(void *arg, const struct wp_httpc_end *end)
{
    struct wp_nomad_call *c = arg;
    struct wp_nomad_source_own *o = c->own;
    struct wp_nomad_bell *b = (struct wp_nomad_bell *)c; /* its first member */
    struct wp_nomad_reply r;

    wp_nomad_judge(c, end, &r);
    switch (r.verdict) {
    case WP_NOMAD_GOOD:
        good(o, b, &r);
        break;
    case WP_NOMAD_LACKS:
        later(b, WP_NOMAD_FEATURE_MS);
        break;
    case WP_NOMAD_BAD:
    case WP_NOMAD_DENIED:
        later(b, WP_NOMAD_REFUSED_MS);
        break;
    default:
        if (!wp_nomad_agent_failed(o, &r)) /* else they all are silent */
            later(b, WP_NOMAD_AGAIN_MS);
    }
}

/* --- asking for it ----------------------------------------------------------------------------- */

static void ring(struct wp_nomad_source_own *o, struct wp_nomad_bell *b)
{
    static const struct wp_httpc_call_ops ops = {.end = on_end};
    struct wp_nomad_limits limits = {.total_ms = WP_NOMAD_READ_MS};
    char block[64] = "";
    const char *ns, *path;

    if (!wp_nomad_agent_is_ready(o) || b->call.http != NULL)
        return;
    if (b->index != 0) {
        limits.total_ms = WP_NOMAD_WAIT_S * 1000 + WP_NOMAD_WAIT_S * 1000 / 16 + WP_NOMAD_WAIT_GRACE_MS;
        snprintf(block, sizeof(block), "&index=%llu&wait=%us", (unsigned long long)b->index,
                 (unsigned)WP_NOMAD_WAIT_S);
    }
    b->call.waits = b->index != 0;
    b->call.stale = o->stale;
    b->began_ns = o->h->now();
    wp_arena_reset(&o->scratch);
    ns = wp_nomad_escape(&o->scratch, b->namespace, b->len);
    path = ns == NULL ? NULL
                      : wp_arena_printf(&o->scratch, "/v1/services?namespace=%s%s%s", ns, block,
                                        o->stale ? "&stale=" : "");
    wp_nomad_call(&b->call, path, &limits, &ops);
}

static void on_timer(struct wp_engine_timer *t)
{
    struct wp_nomad_bell *b =
        (struct wp_nomad_bell *)(void *)((char *)t - offsetof(struct wp_nomad_bell, timer));

    ring(b->call.own, b);
}

/* --- which there are --------------------------------------------------------------------------- */

void wp_nomad_bell_want(struct wp_nomad_source_own *o, const struct wp_nomad_item *ns)
{
    struct wp_nomad_bell *spare = NULL;

    if (ns->covered == WP_NOMAD_COVERED || o->lacks_list || o->stale || ns->namespace_len == 0)
        return;
    for (size_t n = 0; n < WP_NOMAD_BELLS; n++) {
        struct wp_nomad_bell *b = &o->bells[n];
        if (b->len == 0)
            spare = b;
        else if (is_of(b, ns)) {
            b->wanted = true;
            return;
        }
    }
    if (spare == NULL || !wp_nomad_agent_is_ready(o))
        return;
    spare->len = ns->namespace_len;
    memcpy(spare->namespace, wp_nomad_item_namespace(ns), spare->len);
    spare->wanted = true;
    spare->index = spare->rang_ns = spare->rang_before_ns = 0;
    spare->timer.fn = on_timer;
    ring(o, spare);
}

void wp_nomad_bells_sweep(struct wp_nomad_source_own *o)
{
    for (size_t n = 0; n < WP_NOMAD_BELLS; n++) {
        struct wp_nomad_bell *b = &o->bells[n];
        if (b->len != 0 && !b->wanted)
            silence(b);
        b->wanted = false;
    }
}

void wp_nomad_bells_stop(struct wp_nomad_source_own *o)
{
    for (size_t n = 0; n < WP_NOMAD_BELLS; n++)
        silence(&o->bells[n]);
}
