#include "backends/nomad/keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/common/state.h"
#include "waypost/plugin/log.h"

enum {
    POLL_MS = 2,         /* for a disk that has not caught up */
    SLICE_MS = 4,        /* of reading at a time: other sources are followed meanwhile */
    PATIENCE_MS = 60000, /* a save that takes longer is not finished */
    LAST_MS = 3000,      /* the same at the end */
    BUSY_MS = 1000,
    CONFIRM_MS = 30000,
};

enum stage { NOTHING, RESTORING, FOLLOWING, SAVING, CLOSING /* the last save is to begin */, LAST };

struct wp_nomad_keep {
    struct wp_nomad_keep_config c; /* its texts are ours */
    struct wp_state *state;
    struct wp_state_reader *reader;
    struct wp_state_info info;
    struct wp_engine_timer timer, confirm;
    enum stage stage;
    size_t at;       /* in the store, of a save */
    unsigned tables; /* of the store, when it began */
    uint64_t end_ns; /* when it is given up */
};

static void later(struct wp_nomad_keep *k, uint64_t ms)
{
    k->c.http->timer_set(&k->timer, k->c.http->now() + ms * 1000000);
}

/* --- saving ------------------------------------------------------------------------------------ */

static bool is_ending(const struct wp_nomad_keep *k)
{
    return k->stage == CLOSING || k->stage == LAST;
}

static void wait_for_change(struct wp_nomad_keep *k)
{
    uint64_t due = wp_state_due(k->state);

    if (due != UINT64_MAX)
        k->c.http->timer_set(&k->timer, due);
    else /* nothing to do, unless what is being written fails */
        later(k, WP_STATE_EVERY_MS);
}

static void save_is_over(struct wp_nomad_keep *k)
{
    if (k->stage == LAST) {
        k->stage = NOTHING;
        k->c.ended(k->c.arg);
        return;
    }
    k->stage = FOLLOWING;
    wait_for_change(k);
}

/* 1: there is more; 0: all have room; else as wp_state_room says. */
static int save_some(struct wp_nomad_keep *k)
{
    size_t octets = 0, before;
    uint8_t *to;

    while (octets < WP_STATE_BLOCK) {
        const struct wp_nomad_service *v;
        size_t size;
        int r;
        before = k->at;
        v = wp_nomad_store_each(k->c.store, &k->at);
        if (v == NULL)
            return 0;
        size = wp_nomad_saved_size(v);
        r = wp_state_room(k->state, size, &to);
        if (r == 0)
            wp_nomad_saved_write(v, to);
        else if (r != WP_ELIMIT) {
            k->at = before;
            return r;
        }
        octets += size;
    }
    return 1;
}

static void abandon(struct wp_nomad_keep *k, const char *why)
{
    if (why != NULL)
        wp_log(WP_WARNING, "nomad", "%s: not saved: %s", k->c.name, why);
    wp_state_cancel(k->state);
    save_is_over(k);
}

static void go_on_saving(struct wp_nomad_keep *k)
{
    bool late = k->c.http->now() > k->end_ns;
    int r = 1;

    if (k->tables != wp_nomad_store_tables(k->c.store)) { /* the order is another one now */
        wp_state_cancel(k->state);
        k->stage = k->stage == LAST ? CLOSING : FOLLOWING;
        later(k, POLL_MS);
        return;
    }
    if (!late)
        r = save_some(k);
    if (r == 0)
        r = wp_state_end(k->state);
    if (late && is_ending(k))
        wp_state_hangs(k->state);
    if (r == 0)
        save_is_over(k);
    else if (late)
        abandon(k, "the disk is too slow");
    else if (r == 1 || r == -EAGAIN)
        later(k, r == 1 ? 0 : POLL_MS);
    else
        abandon(k, r == -ENOMEM ? "out of memory" : NULL);
}

static void begin_saving(struct wp_nomad_keep *k)
{
    if (wp_state_begin(k->state, k->c.http->now(), NULL, 0) < 0) {
        later(k, BUSY_MS);
        return;
    }
    k->at = 0;
    k->tables = wp_nomad_store_tables(k->c.store);
    if (k->stage == FOLLOWING)
        k->end_ns = k->c.http->now() + PATIENCE_MS * UINT64_C(1000000);
    k->stage = k->stage == CLOSING ? LAST : SAVING;
    go_on_saving(k);
}

/* The one before may still be on its way to the disk. */
static void close_now(struct wp_nomad_keep *k)
{
    if (k->c.http->now() > k->end_ns) {
        wp_state_hangs(k->state);
        k->stage = NOTHING;
        k->c.ended(k->c.arg);
    } else if (wp_state_is_busy(k->state)) {
        later(k, POLL_MS);
    } else if (wp_state_is_settled(k->state)) { /* it did end well */
        k->stage = NOTHING;
        k->c.ended(k->c.arg);
    } else {
        begin_saving(k);
    }
}

static void restore_some(struct wp_nomad_keep *k);

static void on_timer(struct wp_engine_timer *t)
{
    struct wp_nomad_keep *k =
        (struct wp_nomad_keep *)(void *)((char *)t - offsetof(struct wp_nomad_keep, timer));

    switch (k->stage) {
    case RESTORING:
        restore_some(k);
        break;
    case FOLLOWING:
        if (wp_state_due(k->state) <= k->c.http->now())
            begin_saving(k);
        else
            wait_for_change(k);
        break;
    case CLOSING:
        close_now(k);
        break;
    case SAVING:
    case LAST:
        go_on_saving(k);
        break;
    case NOTHING:
        break;
    }
}

void wp_nomad_keep_changed(struct wp_nomad_keep *k)
{
    if (k->stage != FOLLOWING && k->stage != SAVING)
        return;
    wp_state_changed(k->state, k->c.http->now());
    if (k->stage == FOLLOWING)
        wait_for_change(k);
}

static void on_confirm(struct wp_engine_timer *t)
{
    struct wp_nomad_keep *k =
        (struct wp_nomad_keep *)(void *)((char *)t - offsetof(struct wp_nomad_keep, confirm));

    if (!wp_state_is_dirty(k->state))
        wp_state_confirm(k->state);
    k->c.http->timer_set(t, k->c.http->now() + CONFIRM_MS * UINT64_C(1000000));
}

void wp_nomad_keep_in_step(struct wp_nomad_keep *k, bool in_step)
{
    if (k->stage != FOLLOWING && k->stage != SAVING)
        return;
    k->confirm.fn = on_confirm;
    if (!in_step) {
        wp_state_serves(k->state, WP_STATE_LIVE, wp_state_clock_ms());
        k->c.http->timer_cancel(&k->confirm);
        return;
    }
    wp_state_serves(k->state, WP_STATE_LIVE, 0);
    on_confirm(&k->confirm);
}

void wp_nomad_keep_synced(struct wp_nomad_keep *k)
{
    if (k->stage != NOTHING)
        return;
    k->stage = FOLLOWING;
    wp_nomad_keep_in_step(k, true);
    wp_nomad_keep_changed(k);
}

bool wp_nomad_keep_last(struct wp_nomad_keep *k)
{
    enum stage was = k->stage;

    k->c.http->timer_cancel(&k->confirm);
    k->c.http->timer_cancel(&k->timer);
    wp_state_close(k->reader);
    k->reader = NULL;
    k->stage = NOTHING;
    if (was == SAVING) /* of an older state */
        wp_state_cancel(k->state);
    if ((was != FOLLOWING && was != SAVING) || wp_state_is_settled(k->state) ||
        wp_state_is_hung(k->state))
        return false;
    k->stage = CLOSING;
    k->end_ns = k->c.http->now() + LAST_MS * UINT64_C(1000000);
    later(k, 0);
    return true;
}

/* --- restoring --------------------------------------------------------------------------------- */

static int on_record(void *arg, const uint8_t *rec, size_t len)
{
    struct wp_nomad_keep *k = arg;
    struct wp_nomad_service *v;
    int r = wp_nomad_saved_read(rec, len, &v);

    return r == 0 ? k->c.record(k->c.arg, v) : r;
}

static void restored(struct wp_nomad_keep *k, bool good)
{
    struct wp_nomad_figures f = wp_nomad_store_figures(k->c.store);
    int64_t now_ms = wp_state_clock_ms(), age_ms = now_ms - k->info.known_ms;

    wp_state_close(k->reader);
    k->reader = NULL;
    k->stage = NOTHING;
    if (!good) {
        k->c.forget(k->c.arg);
        k->c.restored(k->c.arg, -1);
        return;
    }
    wp_state_serves(k->state, WP_STATE_SAVED, k->info.known_ms);
    wp_log(WP_INFO, "nomad",
           "%s: %zu services with %zu instances, saved %.1f s ago, are served until an agent answers",
           k->c.name, f.services, f.instances, (double)(now_ms - k->info.saved_ms) / 1e3);
    k->c.restored(k->c.arg, age_ms > 0 ? age_ms / 1000 : 0);
}

static void restore_some(struct wp_nomad_keep *k)
{
    uint64_t until = k->c.http->now() + SLICE_MS * UINT64_C(1000000);
    int r;

    do
        r = wp_state_next(k->reader, on_record, k);
    while (r == 1 && k->c.http->now() < until);
    if (r == 1)
        later(k, 0);
    else
        restored(k, r == 0);
}

void wp_nomad_keep_restore(struct wp_nomad_keep *k)
{
    if (wp_state_open(k->state, &k->info, &k->reader) < 0) {
        k->c.restored(k->c.arg, -1);
        return;
    }
    k->stage = RESTORING;
    restore_some(k);
}

/* --- life -------------------------------------------------------------------------------------- */

int wp_nomad_keep_new(const struct wp_nomad_keep_config *c, struct wp_nomad_keep **ret)
{
    struct wp_state_config config = {
        .dir = c->dir, .backend = "nomad", .source = c->name, .identity = c->identity};
    struct wp_nomad_keep *k = calloc(1, sizeof(*k));
    int r = -ENOMEM;

    if (k == NULL)
        return r;
    k->c = *c;
    k->timer.fn = on_timer;
    k->c.dir = k->c.identity = NULL; /* the state's own */
    k->c.name = strdup(c->name);
    if (k->c.name != NULL)
        r = wp_state_new(&config, &k->state);
    if (r == 0)
        *ret = k;
    else
        wp_nomad_keep_free(k);
    return r;
}

void wp_nomad_keep_free(struct wp_nomad_keep *k)
{
    if (k == NULL)
        return;
    wp_state_free(k->state);
    free((void *)(uintptr_t)k->c.name);
    free(k);
}
