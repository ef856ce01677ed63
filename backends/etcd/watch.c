/* Following the store: one Watch stream for all ranges of the mirror, two watches each. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/etcd/mirror_priv.h"

static void set_timer(struct wp_etcd_mirror *m, unsigned ms)
{
    m->g->timer_set(&m->watch_timer, m->g->now() + wp_etcd_ms(ms));
}

static void say(struct wp_etcd_mirror *m, const Etcd__WatchRequest *q)
{
    size_t len = protobuf_c_message_get_packed_size(&q->base);
    uint8_t *packed = malloc(len + 1);
    int r = -ENOMEM;

    if (packed != NULL) {
        protobuf_c_message_pack(&q->base, packed);
        r = m->g->send(m->watch, packed, len);
    }
    free(packed);
    if (r < 0)
        wp_etcd_fail(m, WP_GRPC_RESOURCE_EXHAUSTED, "out of memory", "watch");
}

/* --- finding whose a message is -----------------------------------------------------------------
 */

static struct wp_etcd_part *find_part(struct wp_etcd_mirror *m, int64_t watch_id,
                                      struct wp_etcd_range_own **ret_range)
{
    for (struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next)
        for (unsigned i = 0; i < 2; i++)
            if (watch_id > 0 && r->parts[i].watch_id == watch_id) {
                *ret_range = r;
                return &r->parts[i];
            }
    return NULL;
}

static bool is_wanted(const struct wp_etcd_range_own *r, const struct wp_etcd_part *p)
{
    return !r->needs_load && !r->leaving && !p->denied;
}

static bool all_created(const struct wp_etcd_mirror *m)
{
    for (const struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next)
        for (unsigned i = 0; i < 2; i++)
            if (!r->parts[i].created && is_wanted(r, &r->parts[i]))
                return false;
    return true;
}

/* --- what the server says -----------------------------------------------------------------------
 */

static void created(struct wp_etcd_mirror *m, struct wp_etcd_part *p, const Etcd__WatchResponse *w)
{
    p->created = true;
    /* The member has not come as far as we have: it lags, or the store went back. Ask once. */
    if (w->header != NULL && w->header->revision < p->next_revision - 1 && !m->rechecked) {
        m->rechecked = true;
        m->checked = false;
    }
    if (!all_created(m))
        return;
    m->asked_progress = false;
    set_timer(m, WP_ETCD_PROGRESS_MS);
    if (!m->checked)
        wp_etcd_step(m);
    else
        wp_etcd_in_step(m);
}

static void load_again(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r,
                       const Etcd__WatchResponse *w)
{
    uint64_t now = m->g->now();

    wp_log(WP_WARNING, "etcd",
           "%s: history compacted up to revision %lld, was at %lld: loading again",
           wp_etcd_endpoint_text(m), (long long)w->compact_revision, (long long)m->revision);
    wp_etcd_watch_cancel(m, r);
    r->needs_load = true;
    r->reason = WP_ETCD_LOAD_COMPACTED;
    if (now - m->compacted_ns > wp_etcd_ms(WP_ETCD_COMPACTIONS_MS)) {
        m->compactions = 0;
        m->compacted_ns = now;
    }
    if (++m->compactions > WP_ETCD_COMPACTIONS)
        wp_etcd_fail(m, WP_GRPC_OUT_OF_RANGE, "history is compacted again and again", "watch");
    else
        wp_etcd_step(m);
}

/* How a refusal reads as a status: the stream goes on, only its text tells. */
static int refusal_status(const char *reason)
{
    static const struct {
        const char *text;
        int status;
    } known[] = {
        {"permission denied", WP_GRPC_PERMISSION_DENIED},
        {"invalid auth token", WP_GRPC_UNAUTHENTICATED},
        {"user name is empty", WP_GRPC_UNAUTHENTICATED},
        {"revision of auth store is old", WP_GRPC_UNAUTHENTICATED},
    };

    for (size_t i = 0; i < WP_COUNT(known); i++)
        if (strstr(reason, known[i].text) != NULL)
            return known[i].status;
    return WP_GRPC_UNAVAILABLE;
}

static void canceled(struct wp_etcd_mirror *m, const Etcd__WatchResponse *w)
{
    struct wp_etcd_range_own *r = NULL;
    struct wp_etcd_part *p = find_part(m, w->watch_id, &r);

    if (p != NULL && w->compact_revision > 0) {
        load_again(m, r, w);
        return;
    }
    if (p == NULL && !w->created)
        return; /* one that was given up */
    wp_etcd_part_refused(m, p, refusal_status(w->cancel_reason), w->cancel_reason, "watch");
}

/* No events: how far the server has come, of one watch or of all. */
static void progressed(struct wp_etcd_mirror *m, const Etcd__WatchResponse *w)
{
    struct wp_etcd_range_own *r = NULL;
    struct wp_etcd_part *p = find_part(m, w->watch_id, &r);
    int64_t next = w->header != NULL ? w->header->revision + 1 : 0;

    if (p != NULL && next > p->next_revision)
        p->next_revision = next;
    if (w->watch_id != -1 || !m->progress_exact)
        return;
    for (r = m->ranges; r != NULL; r = r->next)
        for (unsigned i = 0; i < 2; i++)
            if (r->parts[i].created && next > r->parts[i].next_revision)
                r->parts[i].next_revision = next;
}

static void take_events(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r,
                        struct wp_etcd_part *p, const Etcd__WatchResponse *w)
{
    struct wp_etcd_batch_size size;
    int64_t last = 0;

    for (size_t i = 0; i < w->n_events; i++) {
        int ret = wp_etcd_apply_event(m, r, w->events[i]);
        if (ret < 0) {
            wp_etcd_watch_cancel(m, r);
            r->needs_load = true;
            wp_etcd_fail(m, ret == WP_EMALFORMED ? WP_GRPC_DATA_LOSS : WP_GRPC_RESOURCE_EXHAUSTED,
                         ret == WP_EMALFORMED ? "malformed event" : "out of memory", "watch");
            return;
        }
        last = w->events[i]->kv->mod_revision;
    }
    if (wp_etcd_apply_is_full(m, r, !w->fragment))
        return;
    p->in_fragment = w->fragment;
    if (w->fragment)
        return;
    if (last >= p->next_revision)
        p->next_revision = last + 1;
    if (last > m->revision)
        m->revision = last;
    if (!r->parts[0].in_fragment && !r->parts[1].in_fragment)
        wp_etcd_apply_done(m, r, false, &size);
    wp_etcd_lease_poll(m);
}

static void on_message(void *arg, const uint8_t *data, size_t len)
{
    struct wp_etcd_mirror *m = arg;
    const Etcd__WatchResponse *w = wp_etcd_unpack(m, &etcd__watch_response__descriptor, data, len);
    struct wp_etcd_range_own *r = NULL;
    struct wp_etcd_part *p;

    m->arrived_ns = m->g->now();
    if (w == NULL || (w->header != NULL && w->header->revision != 0 &&
                      !wp_etcd_is_revision(w->header->revision))) {
        wp_etcd_fail(m, WP_GRPC_DATA_LOSS, "malformed message", "watch");
        return;
    }
    wp_etcd_seen(m, w->header);
    if (m->steady_ns != 0) { /* before, the timer guards the acknowledgements */
        m->asked_progress = false;
        set_timer(m, WP_ETCD_PROGRESS_MS);
    }
    m->life.heard_ns = m->heard_ns;
    if (m->life.doubt == WP_ETCD_SILENT)
        wp_etcd_life_heard(m);
    if (w->canceled) {
        canceled(m, w);
        return;
    }
    p = find_part(m, w->watch_id, &r);
    if (p != NULL && w->created)
        created(m, p, w);
    else if (w->n_events == 0)
        progressed(m, w);
    else if (p != NULL)
        take_events(m, r, p, w);
    m->arrived_ns = 0;
}

static void on_end(void *arg, int status, const char *message)
{
    struct wp_etcd_mirror *m = arg;

    m->watch = NULL;
    wp_etcd_fail(m, status == WP_GRPC_OK ? WP_GRPC_UNAVAILABLE : status,
                 status == WP_GRPC_OK ? "stream ended" : message, "watch");
}

/* --- what we ask ---------------------------------------------------------------------------------
 */

static void on_timer(struct wp_grpc_timer *t)
{
    struct wp_etcd_mirror *m =
        (struct wp_etcd_mirror *)(void *)((char *)t - offsetof(struct wp_etcd_mirror, watch_timer));
    Etcd__WatchProgressRequest progress = ETCD__WATCH_PROGRESS_REQUEST__INIT;
    Etcd__WatchRequest q = ETCD__WATCH_REQUEST__INIT;

    if (m->steady_ns == 0 || m->asked_progress) {
        wp_etcd_fail(m, WP_GRPC_DEADLINE_EXCEEDED,
                     m->steady_ns == 0 ? "watches were not acknowledged" : "no sign of life",
                     "watch");
        return;
    }
    m->asked_progress = true;
    set_timer(m, WP_ETCD_SILENCE_MS);
    q.request_case = ETCD__WATCH_REQUEST__REQUEST_PROGRESS_REQUEST;
    q.progress_request = &progress;
    say(m, &q);
}

static void create(struct wp_etcd_mirror *m, struct wp_etcd_part *p)
{
    Etcd__WatchCreateRequest c = ETCD__WATCH_CREATE_REQUEST__INIT;
    Etcd__WatchRequest q = ETCD__WATCH_REQUEST__INIT;

    p->watch_id = ++m->last_watch_id;
    p->created = p->in_fragment = false;
    c.key = (ProtobufCBinaryData){p->key_len, (uint8_t *)p->key};
    c.range_end = (ProtobufCBinaryData){p->end_len, (uint8_t *)p->end};
    c.start_revision = p->next_revision;
    c.progress_notify = true;
    c.fragment = true;
    c.watch_id = p->watch_id;
    q.request_case = ETCD__WATCH_REQUEST__REQUEST_CREATE_REQUEST;
    q.create_request = &c;
    say(m, &q);
}

static bool open_stream(struct wp_etcd_mirror *m)
{
    static const struct wp_grpc_stream_ops ops = {on_message, on_end};
    struct wp_grpc_header headers[2];
    size_t n = wp_etcd_headers(m, true, headers);

    m->watch = m->g->stream(m->watch_channel, "/etcdserverpb.Watch/Watch", headers, n, &ops, m);
    if (m->watch != NULL)
        return true;
    wp_etcd_fail(m, WP_GRPC_RESOURCE_EXHAUSTED, "out of memory", "watch");
    return false;
}

void wp_etcd_watch(struct wp_etcd_mirror *m)
{
    bool asked = false;

    if (m->watch == NULL && !open_stream(m))
        return;
    m->watch_timer.fn = on_timer;
    for (struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next)
        for (unsigned i = 0; i < 2; i++) {
            if (r->parts[i].watch_id != 0 || !is_wanted(r, &r->parts[i]))
                continue;
            create(m, &r->parts[i]);
            if (m->watch == NULL)
                return; /* failed */
            asked = true;
        }
    if (asked) {
        m->steady_ns = 0;
        set_timer(m, WP_ETCD_ACK_MS);
        wp_etcd_life_hurry(m);
    } else if (all_created(m)) {
        wp_etcd_in_step(m);
    }
}

void wp_etcd_watch_cancel(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r)
{
    for (unsigned i = 0; i < 2; i++) {
        Etcd__WatchCancelRequest c = ETCD__WATCH_CANCEL_REQUEST__INIT;
        Etcd__WatchRequest q = ETCD__WATCH_REQUEST__INIT;
        c.watch_id = r->parts[i].watch_id;
        r->parts[i].watch_id = 0;
        r->parts[i].created = r->parts[i].in_fragment = false;
        if (c.watch_id == 0 || m->watch == NULL)
            continue;
        q.request_case = ETCD__WATCH_REQUEST__REQUEST_CANCEL_REQUEST;
        q.cancel_request = &c;
        say(m, &q);
    }
}

void wp_etcd_watch_close(struct wp_etcd_mirror *m)
{
    m->g->timer_cancel(&m->watch_timer);
    m->g->drop(m->watch);
    m->watch = NULL;
    m->last_watch_id = 0;
    for (struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next)
        for (unsigned i = 0; i < 2; i++) {
            r->parts[i].watch_id = 0;
            r->parts[i].created = r->parts[i].in_fragment = false;
        }
}
