/* The event stream tells which services have changed, as soon as they have. What it says of them is not
 * believed: they are read. An agent without a stream, or a token that may not see it, costs a pass at
 * each change, and nothing else. */
#include "backends/nomad/source_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "waypost/base/random.h"

enum { LINE_FIRST = 4096, LINE_KEPT = 64 * 1024 }; /* octets of room for a line in pieces */

static int on_event(void *arg, const struct wp_nomad_event *e)
{
    struct wp_nomad_source_own *o = arg;
    struct wp_nomad_item *i, *ns;

    if (e->name.len == 0 || e->name.len > WP_NOMAD_NAME_MAX || e->namespace.len > WP_NOMAD_NAME_MAX)
        return 0;
    i = wp_nomad_item_find(&o->items, e->name.at, e->name.len, e->namespace.at, e->namespace.len);
    ns = wp_nomad_item_find(&o->items, "", 0, e->namespace.at, e->namespace.len);
    if (i == NULL && !e->removed && ns != NULL && ns->listed) {
        i = wp_nomad_item_get(&o->items, e->name.at, e->name.len, e->namespace.at,
                              e->namespace.len);
        if (i == NULL)
            return -ENOMEM;
        i->listed = true; /* it will be in the next list */
        i->mark = o->mark;
    }
    if (i == NULL || e->index <= i->index)
        return 0;
    if (e->index > i->want)
        i->want = e->index;
    wp_nomad_read(o, i, WP_NOMAD_URGENT);
    return 0;
}

/* 0, -ENOMEM, WP_EMALFORMED. */
static int take_line(struct wp_nomad_source_own *o, const char *line, size_t len)
{
    char why[256] = "";
    uint64_t index = 0;
    int e;

    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == ' '))
        len--;
    if (len == 0)
        return 0;
    e = wp_nomad_decode_event(line, len, on_event, o, &index, why);
    if (e < 0) {
        if (wp_log_is_debug())
            wp_log(WP_DEBUG, "nomad", "%s: event stream: %s", o->name, why);
        return e;
    }
    if (!o->stream_open)
        wp_nomad_index_stream(o, true);
    wp_backoff_reset(&o->events_backoff);
    if (index != 0)
        wp_nomad_index_event(o, index);
    return 0;
}

/* The line is over, and what it took is not needed again. */
static void forget_line(struct wp_nomad_source_own *o)
{
    o->line_len = 0;
    o->line_too_long = false;
    if (o->line_cap <= LINE_KEPT)
        return;
    free(o->line);
    o->line = NULL;
    o->line_cap = 0;
}

/* One entry of raft that tells of tens of thousands of registrations is passed over: they are read
 * for the index that it has moved. */
static int keep(struct wp_nomad_source_own *o, const char *at, size_t len)
{
    size_t cap = o->line_cap > 0 ? o->line_cap : LINE_FIRST;
    char *grown;

    if (o->line_too_long || len > WP_NOMAD_LINE_MAX - o->line_len) {
        o->line_too_long = true;
        o->line_len = 0;
        return 0;
    }
    while (cap < o->line_len + len)
        cap *= 2;
    if (cap > o->line_cap) {
        grown = realloc(o->line, cap);
        if (grown == NULL)
            return -ENOMEM;
        o->line = grown;
        o->line_cap = cap;
    }
    memcpy(o->line + o->line_len, at, len);
    o->line_len += len;
    return 0;
}

static int on_body(void *arg, const uint8_t *data, size_t len)
{
    struct wp_nomad_call *c = arg;
    struct wp_nomad_source_own *o = c->own;
    const char *at = (const char *)data, *end = at + len, *stop;
    int e = 0;

    wp_nomad_agent_lives(o);
    if (c->status != 200)
        return 0;
    while (e == 0 && (stop = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        if (o->line_len > 0 || o->line_too_long) {
            e = keep(o, at, (size_t)(stop - at));
            if (o->line_too_long)
                wp_nomad_index_stream(o, false); /* a gap: the next line opens it again */
            else if (e == 0)
                e = take_line(o, o->line, o->line_len);
            forget_line(o);
        } else {
            e = take_line(o, at, (size_t)(stop - at));
        }
        at = stop + 1;
        if (c->http == NULL) /* another agent is asked now, or none */
            return 0;
    }
    if (e == 0 && at < end)
        e = keep(o, at, (size_t)(end - at));
    if (e == 0)
        wp_nomad_reads_run(o); /* at once: this is what takes the time until it is answered */
    return e;
}

static void on_head(void *arg, const struct wp_httpc_head *head)
{
    struct wp_nomad_call *c = arg;

    c->status = head->status;
    wp_nomad_agent_lives(c->own);
}

/* --- asking for it ----------------------------------------------------------------------------- */

static void events_later(struct wp_nomad_source_own *o, uint64_t ns)
{
    o->h->timer_set(&o->events_timer, o->h->now() + ns);
}

static void on_end(void *arg, const struct wp_httpc_end *end)
{
    struct wp_nomad_call *c = arg;
    struct wp_nomad_source_own *o = c->own;
    struct wp_nomad_reply r;
    int status = c->status;
    bool was_open = o->stream_open;

    wp_nomad_judge(c, end, &r);
    forget_line(o);
    wp_nomad_index_stream(o, false);
    if (was_open) /* it ends with a token, or with the state of a server that was restored */
        wp_nomad_list_doubt(o);
    if (wp_log_is_debug())
        wp_log(WP_DEBUG, "nomad", "%s: the event stream has ended: %s", o->name,
               r.why[0] != '\0' ? r.why : "closed");
    /* Whether the agent is there is left to the others: some have no stream, proxies cut it. */
    if (r.verdict == WP_NOMAD_LACKS)
        o->h->timer_cancel(&o->narrow_timer);
    if (status != 0 && status != 200)
        events_later(o, wp_nomad_ms(WP_NOMAD_FEATURE_MS));
    else
        events_later(o, wp_backoff_next(&o->events_backoff, wp_random()));
}

struct listed {
    const struct wp_nomad_item *at;
    unsigned n;
};

static void count_listed(void *arg, struct wp_nomad_item *i)
{
    struct listed *l = arg;

    if (i->name_len > 0 || !i->listed)
        return;
    l->at = i;
    l->n++;
}

/* The one namespace that is listed, escaped; "*" when there are more, or none. NULL: memory. */
static const char *namespace_of(struct wp_nomad_source_own *o)
{
    struct listed l = {0};

    if (o->narrow)
        wp_nomad_item_each(&o->items, count_listed, &l);
    wp_arena_reset(&o->scratch);
    return l.n == 1 ? wp_nomad_escape(&o->scratch, wp_nomad_item_namespace(l.at), l.at->namespace_len)
                    : "*";
}

static void events_next(struct wp_nomad_source_own *o);

/* A stream of all namespaces needs rights on all of them; who lacks one is told so, or hears nothing at
 * all. With rights on one only, that one is asked for. */
static void on_narrow(struct wp_engine_timer *t)
{
    struct wp_nomad_source_own *o =
        (struct wp_nomad_source_own *)(void *)((char *)t - offsetof(struct wp_nomad_source_own,
                                                                    narrow_timer));
    struct listed l = {0};

    wp_nomad_item_each(&o->items, count_listed, &l);
    if (o->stream_open || l.n != 1)
        return;
    o->narrow = true;
    o->h->timer_cancel(&o->events_timer);
    wp_nomad_call_drop(&o->events);
    events_next(o);
}

static void events_next(struct wp_nomad_source_own *o)
{
    static const struct wp_httpc_call_ops ops = {.head = on_head, .body = on_body, .end = on_end};
    const struct wp_nomad_limits limits = {.idle_ms = WP_NOMAD_HEARTBEAT_MS};
    const char *ns;

    if (!wp_nomad_agent_is_ready(o) || o->events.http != NULL)
        return;
    ns = namespace_of(o);
    wp_nomad_call(&o->events,
                  ns != NULL ? wp_arena_printf(&o->scratch,
                                               "/v1/event/stream?topic=Service&namespace=%s&index=%llu",
                                               ns, (unsigned long long)o->explained)
                             : NULL,
                  &limits, &ops);
}

static void on_timer(struct wp_engine_timer *t)
{
    events_next((struct wp_nomad_source_own *)(void *)((char *)t -
                                                       offsetof(struct wp_nomad_source_own,
                                                                events_timer)));
}

void wp_nomad_events_start(struct wp_nomad_source_own *o)
{
    o->events_backoff.first_ns = wp_nomad_ms(WP_NOMAD_BACKOFF_FIRST_MS);
    o->events_backoff.most_ns = wp_nomad_ms(WP_NOMAD_BACKOFF_MOST_MS);
    o->events_timer.fn = on_timer;
    o->narrow_timer.fn = on_narrow;
    o->narrow = false;
    o->h->timer_set(&o->narrow_timer, o->h->now() + wp_nomad_ms(WP_NOMAD_NARROW_MS));
    events_next(o);
}

void wp_nomad_events_stop(struct wp_nomad_source_own *o)
{
    o->h->timer_cancel(&o->events_timer);
    o->h->timer_cancel(&o->narrow_timer);
    if (o->events.http != NULL)
        wp_nomad_index_stream(o, false);
    wp_nomad_call_drop(&o->events);
    free(o->line);
    o->line = NULL;
    o->line_len = o->line_cap = 0;
    o->line_too_long = false;
}
