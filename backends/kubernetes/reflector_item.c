/* Objects on their way into the store. What a listing changes is held back until the listing is
 * whole, so that nobody sees a part of it, unless it is more than is worth to be kept twice: at the
 * start, and after long absence. Most of what a relist brings is known, and only ticked off. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/common/state.h"
#include "backends/kubernetes/cluster_priv.h"

enum { BAD_BURST = 10, BAD_EVERY_S = 60 };

static uint32_t now_s(void)
{
    return (uint32_t)(wp_state_clock_ms() / 1000);
}

void wp_kube_reap(struct wp_kube_cluster_own *o)
{
    if (!o->changed)
        return;
    o->changed = false;
    if (wp_kube_store_reap(o->c.store) > 0)
        o->h->timer_set(&o->reap, o->h->now() + wp_kube_ms(WP_KUBE_REAP_MS));
}

/* --- objects that cannot be read ------------------------------------------------------------- */

static void refuse(struct wp_kube_reflector *r, const char *text)
{
    wp_metric_add(r->bad, WP_METRIC_SHARED, 1);
    if (wp_log_allow(&r->bad_limit, BAD_BURST, BAD_EVERY_S))
        wp_log(WP_ERROR, "kubernetes", "%s: %s: the object is left as it was", r->own->name, text);
}

/* 0; -ENOMEM; WP_EMALFORMED: it was told, and *ret has what could be read of its names. */
static int decode(struct wp_kube_reflector *r, enum wp_kube_encoding e, const char *text,
                  size_t len, struct wp_kube_object *ret)
{
    struct wp_kube_cluster_own *o = r->own;
    struct wp_kube_decode_error error = {""};
    int err;

    wp_arena_reset(&o->scratch);
    err = wp_kube_decode_as(e, &o->decode, r->collection, text, len, &o->scratch, ret, &error);
    if (err == WP_EMALFORMED)
        refuse(r, error.text);
    return err;
}

/* --- one object ------------------------------------------------------------------------------ */

static bool is_slice(const struct wp_kube_reflector *r)
{
    return r->collection == WP_KUBE_SLICES || r->collection == WP_KUBE_IMPORT_SLICES;
}

static int settle(struct wp_kube_reflector *r, const struct wp_kube_object *o, int changed)
{
    if (changed <= 0)
        return changed;
    wp_kube_store_changed(r->own);
    if (is_slice(r))
        wp_kube_latency(r->own, o);
    return 0;
}

static int put(struct wp_kube_reflector *r, const struct wp_kube_object *o)
{
    if (r->distrusts) { /* as one that the store has never seen */
        struct wp_kube_object fresh = *o;
        int e;
        fresh.resource_version = (struct wp_kube_text){"", 0};
        e = wp_kube_store_put(r->own->c.store, &fresh, now_s());
        if (e < 0)
            return e;
        r->own->changed = true;
    }
    return settle(r, o, wp_kube_store_put(r->own->c.store, o, now_s()));
}

/* --- held back ------------------------------------------------------------------------------- */

struct entry {
    uint32_t len;
    enum wp_kube_encoding encoding;
};

void wp_kube_hold_done(struct wp_kube_reflector *r)
{
    free(r->hold.at);
    r->hold = (struct wp_kube_hold){0};
}

void wp_kube_hold_begin(struct wp_kube_reflector *r)
{
    r->hold.len = 0;
    r->hold.spilled = false;
}

static int put_held(struct wp_kube_reflector *r)
{
    const struct wp_kube_hold *h = &r->hold;
    struct wp_kube_object o;
    struct entry e;

    for (size_t at = 0; at < h->len; at += e.len) {
        int err;
        memcpy(&e, h->at + at, sizeof(e));
        at += sizeof(e);
        err = decode(r, e.encoding, h->at + at, e.len, &o);
        if (err == 0)
            err = put(r, &o);
        if (err < 0)
            return err;
    }
    return 0;
}

int wp_kube_hold_end(struct wp_kube_reflector *r)
{
    int e = put_held(r);

    if (e == 0)
        wp_kube_hold_done(r);
    return e;
}

/* 1: it is held; 0: there is no room. */
static int hold(struct wp_kube_reflector *r, const char *text, size_t len)
{
    struct wp_kube_hold *h = &r->hold;
    struct entry e = {(uint32_t)len, r->encoding};
    size_t need = h->len + sizeof(e) + len, cap = h->cap > 0 ? h->cap : 4096;
    char *grown;

    if (h->spilled || len > WP_KUBE_HOLD_MAX || need > WP_KUBE_HOLD_MAX)
        return 0;
    while (cap < need)
        cap *= 2;
    if (cap > h->cap) {
        grown = realloc(h->at, cap);
        if (grown == NULL)
            return -ENOMEM;
        h->at = grown;
        h->cap = cap;
    }
    memcpy(h->at + h->len, &e, sizeof(e));
    memcpy(h->at + h->len + sizeof(e), text, len);
    h->len = need;
    return 1;
}

/* Too much to be held: what was goes first. */
static int spill(struct wp_kube_reflector *r)
{
    int e = r->hold.spilled ? 0 : wp_kube_hold_end(r);

    r->hold.spilled = true;
    return e;
}

static int list_object(struct wp_kube_reflector *r, const char *text, size_t len)
{
    struct wp_kube_object o;
    int e = decode(r, r->encoding, text, len, &o);

    if (e == WP_EMALFORMED) { /* it is there, whatever it is now */
        if (o.name.len > 0)
            wp_kube_store_touch(r->own->c.store, &o);
        return 0;
    }
    if (e < 0 || (wp_kube_store_touch(r->own->c.store, &o) == 1 && !r->distrusts))
        return e;
    e = hold(r, text, len);
    if (e != 0)
        return e < 0 ? e : 0;
    if (!r->hold.spilled) {
        e = spill(r);
        if (e == 0) /* the arena was used for others */
            e = decode(r, r->encoding, text, len, &o);
    }
    return e < 0 ? e : put(r, &o);
}

/* --- items of bodies ------------------------------------------------------------------------- */

static int on_list_item(void *arg, const char *type, const char *text, size_t len)
{
    (void)type;
    return list_object(arg, text, len);
}

/* One that is too large for us, but not gone. */
static int on_skipped(void *arg, const char *type, const char *head, size_t head_len, size_t len)
{
    struct wp_kube_reflector *r = arg;
    struct wp_kube_decode_error error;
    struct wp_kube_object o;
    char text[700];

    r->n_events++;
    wp_arena_reset(&r->own->scratch);
    if (wp_kube_decode_as(r->encoding, &r->own->decode, r->collection, head, head_len,
                          &r->own->scratch, &o, &error) == -ENOMEM)
        return 0;
    snprintf(text, sizeof(text), "%s %.*s/%.*s: %zu octets",
             wp_kube_collection_name(r->collection), (int)o.ns.len, o.ns.at, (int)o.name.len,
             o.name.at, len);
    refuse(r, text);
    if (o.name.len > 0 && (type[0] == '\0' || r->phase == WP_KUBE_STREAMING))
        wp_kube_store_touch(r->own->c.store, &o);
    return 0;
}

const struct wp_kube_split_ops wp_kube_list_ops = {.item = on_list_item, .skipped = on_skipped};

static void remember(struct wp_kube_reflector *r, const struct wp_kube_object *o)
{
    struct wp_kube_text rv = o->resource_version;

    if (rv.len == 0 || rv.len > WP_KUBE_RV_MAX || memchr(rv.at, '\0', rv.len) != NULL)
        return;
    memcpy(r->rv, rv.at, rv.len);
    r->rv[rv.len] = '\0';
}

/* The object is a Status. The call ends with it. */
static int on_error(struct wp_kube_reflector *r, const char *text, size_t len)
{
    wp_arena_reset(&r->own->scratch);
    if (wp_kube_status_read(r->encoding, text, len, &r->own->scratch, &r->event_error) < 0)
        r->event_error = (struct wp_kube_status){0};
    r->has_event_error = true;
    return WP_ECANCELLED;
}

static int on_bookmark(struct wp_kube_reflector *r, const struct wp_kube_object *o)
{
    char rv[WP_KUBE_RV_MAX + 1];
    int e;

    if (r->phase == WP_KUBE_WATCHING)
        remember(r, o);
    if (r->phase == WP_KUBE_WATCHING || !o->initial_events_end || o->resource_version.len == 0)
        return 0;
    memcpy(rv, o->resource_version.at, o->resource_version.len);
    rv[o->resource_version.len] = '\0';
    e = wp_kube_list_complete(r, rv);
    if (e < 0)
        return e;
    r->phase = WP_KUBE_WATCHING;
    wp_kube_watch_opened(r);
    return 0;
}

static int on_change(struct wp_kube_reflector *r, const char *type, const char *text, size_t len)
{
    bool is_gone = strcmp(type, "DELETED") == 0;
    struct wp_kube_object o;
    int e = decode(r, r->encoding, text, len, &o);

    if (strcmp(type, "BOOKMARK") == 0)
        return e == 0 ? on_bookmark(r, &o) : e == WP_EMALFORMED ? 0 : e;
    if (e == WP_EMALFORMED) {
        if (o.name.len > 0 && is_gone)
            e = settle(r, &o, wp_kube_store_remove(r->own->c.store, &o, now_s()));
        else
            e = 0;
    } else if (e == 0 && is_gone) {
        e = settle(r, &o, wp_kube_store_remove(r->own->c.store, &o, now_s()));
    } else if (e == 0) {
        e = put(r, &o);
    }
    if (e == 0 && r->phase == WP_KUBE_WATCHING)
        remember(r, &o);
    return e;
}

static int on_event(void *arg, const char *type, const char *text, size_t len)
{
    static const char *const types[] = {"ADDED", "MODIFIED", "DELETED"};
    struct wp_kube_reflector *r = arg;
    unsigned t = 0;

    r->n_events++;
    if (strcmp(type, "ERROR") == 0)
        return on_error(r, text, len);
    while (t < WP_COUNT(types) && strcmp(type, types[t]) != 0)
        t++;
    if (t == WP_COUNT(types) && strcmp(type, "BOOKMARK") != 0) {
        refuse(r, "an event of an unknown type");
        return 0;
    }
    if (t < WP_COUNT(types))
        wp_metric_add(r->events[t], WP_METRIC_SHARED, 1);
    if (r->phase == WP_KUBE_STREAMING && t < 2)
        return list_object(r, text, len);
    return on_change(r, type, text, len);
}

const struct wp_kube_split_ops wp_kube_watch_ops = {.item = on_event, .skipped = on_skipped};
