#include "backends/kubernetes/keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/common/state.h"
#include "backends/kubernetes/saved.h"
#include "backends/kubernetes/walk.h"
#include "waypost/plugin/log.h"

enum {
    WAIT_MS = 2,       /* for a disk that has not caught up */
    READ_MS = 4,       /* at a time: other clusters are followed meanwhile */
    GIVE_UP_MS = 60000, /* a save that takes longer is not finished */
    LAST_MS = 3000,    /* the same at the end */
    RETRY_MS = 1000,
    CONFIRM_MS = 30000,
};

struct wp_kube_keep {
    struct wp_kube_keep_config c; /* its texts are ours */
    struct wp_state *state;
    struct wp_state_reader *reader;
    struct wp_state_info info;
    struct wp_engine_timer timer, confirm;
    struct wp_kube_walk walk;
    struct wp_arena arena;
    uint64_t give_up_ns;
    bool synced, saving, ending;
};

static uint64_t ms(uint64_t n)
{
    return n * 1000000;
}

static struct wp_kube_keep *keep_of(struct wp_engine_timer *t, size_t offset)
{
    return (struct wp_kube_keep *)(void *)((char *)t - offset);
}

/* --- saving ------------------------------------------------------------------------------------ */

static void save_later(struct wp_kube_keep *k);

static void end_save(struct wp_kube_keep *k)
{
    k->saving = false;
    wp_arena_done(&k->arena);
    if (k->ending)
        k->c.ended(k->c.arg);
    else
        save_later(k);
}

/* 1: there is more; 0: all have room; else as wp_kube_walk_next and wp_state_room say. */
static int save_some(struct wp_kube_keep *k)
{
    size_t octets = 0;

    while (octets < WP_STATE_BLOCK) {
        struct wp_kube_walk before = k->walk;
        struct wp_kube_object o;
        uint8_t *to;
        size_t len;
        int r;
        wp_arena_reset(&k->arena);
        r = wp_kube_walk_next(&k->walk, &k->arena, &o);
        if (r <= 0)
            return r;
        len = wp_kube_saved_size(&o);
        r = wp_state_room(k->state, len, &to);
        if (r == 0)
            wp_kube_saved_write(&o, to);
        else if (r != WP_ELIMIT) {
            k->walk = before;
            return r;
        }
        octets += len;
    }
    return 1;
}

static void give_up(struct wp_kube_keep *k, const char *why)
{
    if (why != NULL)
        wp_log(WP_WARNING, "kubernetes", "%s: not saved: %s", k->c.name, why);
    wp_state_cancel(k->state);
    end_save(k);
}

static void save_on(struct wp_kube_keep *k)
{
    uint64_t now = k->c.http->now();
    int r = save_some(k);

    if (r == 0)
        r = wp_state_end(k->state);
    if (r == 0)
        end_save(k);
    else if (now > k->give_up_ns) {
        if (k->ending)
            wp_state_hangs(k->state);
        give_up(k, "the disk is too slow");
    } else if (r < 0 && r != -EAGAIN)
        give_up(k, r == -ENOMEM ? "out of memory" : NULL);
    else
        k->c.http->timer_set(&k->timer, r == -EAGAIN ? now + ms(WAIT_MS) : now);
}

static void begin_save(struct wp_kube_keep *k)
{
    uint64_t now = k->c.http->now();

    if (wp_state_begin(k->state, now, NULL, 0) < 0) {
        k->c.http->timer_set(&k->timer, now + ms(RETRY_MS));
        return;
    }
    wp_arena_init(&k->arena, 0);
    wp_kube_walk_begin(&k->walk, k->c.store);
    k->saving = true;
    k->give_up_ns = now + ms(k->ending ? LAST_MS : GIVE_UP_MS);
    save_on(k);
}

static void on_timer(struct wp_engine_timer *t)
{
    struct wp_kube_keep *k = keep_of(t, offsetof(struct wp_kube_keep, timer));
    uint64_t now = k->c.http->now();

    if (k->saving)
        save_on(k);
    else if (k->ending && now > k->give_up_ns) { /* the save before this one does not end */
        wp_state_hangs(k->state);
        k->c.ended(k->c.arg);
    } else if (k->ending && wp_state_is_busy(k->state))
        k->c.http->timer_set(t, now + ms(WAIT_MS));
    else if (k->ending && wp_state_is_settled(k->state)) /* and it did end well */
        k->c.ended(k->c.arg);
    else if (k->ending || wp_state_due(k->state) <= now)
        begin_save(k);
    else
        save_later(k);
}

static void save_later(struct wp_kube_keep *k)
{
    uint64_t due;

    if (k->saving || k->ending || !k->synced)
        return;
    due = wp_state_due(k->state);
    if (due == UINT64_MAX) /* nothing to do, unless what is being written fails */
        due = k->c.http->now() + ms(WP_STATE_EVERY_MS);
    k->timer.fn = on_timer;
    k->c.http->timer_set(&k->timer, due);
}

void wp_kube_keep_changed(struct wp_kube_keep *k)
{
    if (!k->synced || k->ending)
        return;
    wp_state_changed(k->state, k->c.http->now());
    save_later(k);
}

static void confirm(struct wp_engine_timer *t)
{
    struct wp_kube_keep *k = keep_of(t, offsetof(struct wp_kube_keep, confirm));

    if (!wp_state_is_dirty(k->state))
        wp_state_confirm(k->state);
    k->c.http->timer_set(t, k->c.http->now() + ms(CONFIRM_MS));
}

void wp_kube_keep_in_step(struct wp_kube_keep *k, bool in_step)
{
    if (!k->synced || k->ending)
        return;
    wp_state_serves(k->state, WP_STATE_LIVE, in_step ? 0 : wp_state_clock_ms());
    k->confirm.fn = confirm;
    if (in_step)
        confirm(&k->confirm);
    else
        k->c.http->timer_cancel(&k->confirm);
}

void wp_kube_keep_synced(struct wp_kube_keep *k)
{
    if (k->synced)
        return;
    k->synced = true;
    wp_kube_keep_in_step(k, true);
    wp_kube_keep_changed(k);
}

bool wp_kube_keep_last(struct wp_kube_keep *k)
{
    const struct wp_httpc_ops *h = k->c.http;

    if (k->reader != NULL) {
        wp_state_close(k->reader);
        k->reader = NULL;
        wp_arena_done(&k->arena);
    }
    h->timer_cancel(&k->confirm);
    h->timer_cancel(&k->timer);
    if (k->saving) { /* of an older state */
        wp_state_cancel(k->state);
        wp_arena_done(&k->arena);
        k->saving = false;
    }
    if (!k->synced || wp_state_is_settled(k->state) || wp_state_is_hung(k->state))
        return false;
    k->ending = true;
    k->give_up_ns = h->now() + ms(LAST_MS);
    k->timer.fn = on_timer;
    h->timer_set(&k->timer, h->now());
    return true;
}

/* --- restoring --------------------------------------------------------------------------------- */

static uint32_t wall_s(void)
{
    return (uint32_t)(wp_state_clock_ms() / 1000);
}

static int on_record(void *arg, const uint8_t *rec, size_t len)
{
    struct wp_kube_keep *k = arg;
    struct wp_kube_object o;
    int r;

    wp_arena_reset(&k->arena);
    r = wp_kube_saved_read(rec, len, &k->arena, &o);
    if (r == 0)
        r = wp_kube_store_put(k->c.store, &o, wall_s());
    return r < 0 ? r : 0;
}

/* What came of a file that then proved bad. */
static void forget(struct wp_kube_keep *k)
{
    for (unsigned c = 0; c < WP_KUBE_COLLECTIONS; c++) {
        size_t removed;
        wp_kube_store_list_begin(k->c.store, c);
        if (wp_kube_store_list_end(k->c.store, c, wall_s(), &removed) < 0)
            wp_log(WP_WARNING, "kubernetes", "%s: out of memory, saved %s may still be served",
                   k->c.name, wp_kube_collection_name(c));
    }
}

static void end_restore(struct wp_kube_keep *k, bool good)
{
    int64_t now_ms = wp_state_clock_ms();

    wp_state_close(k->reader);
    k->reader = NULL;
    wp_arena_done(&k->arena);
    if (good) {
        wp_state_serves(k->state, WP_STATE_SAVED, k->info.known_ms);
        wp_log(WP_INFO, "kubernetes",
               "%s: %zu services and %zu endpoints, saved %.1f s ago, are served until the API "
               "server answers",
               k->c.name, wp_kube_store_figures(k->c.store, WP_KUBE_SERVICES).objects,
               wp_kube_store_endpoints(k->c.store), (double)(now_ms - k->info.saved_ms) / 1e3);
    } else
        forget(k);
    wp_kube_store_reap(k->c.store);
    k->c.restored(k->c.arg, !good                            ? -1
                            : now_ms > k->info.known_ms ? (now_ms - k->info.known_ms) / 1000
                                                        : 0);
}

static void read_on(struct wp_engine_timer *t)
{
    struct wp_kube_keep *k = keep_of(t, offsetof(struct wp_kube_keep, timer));
    uint64_t until = k->c.http->now() + ms(READ_MS);
    int r;

    do
        r = wp_state_next(k->reader, on_record, k);
    while (r == 1 && k->c.http->now() < until);
    wp_kube_store_reap(k->c.store);
    if (r == 1)
        k->c.http->timer_set(t, k->c.http->now());
    else
        end_restore(k, r == 0);
}

void wp_kube_keep_restore(struct wp_kube_keep *k)
{
    if (wp_state_open(k->state, &k->info, &k->reader) < 0) {
        k->c.restored(k->c.arg, -1);
        return;
    }
    wp_arena_init(&k->arena, 0);
    k->timer.fn = read_on;
    read_on(&k->timer);
}

/* --- life -------------------------------------------------------------------------------------- */

int wp_kube_keep_new(const struct wp_kube_keep_config *c, struct wp_kube_keep **ret)
{
    struct wp_kube_keep *k = calloc(1, sizeof(*k));
    struct wp_state_config config = {
        .dir = c->dir, .backend = "kubernetes", .source = c->name, .identity = c->identity};
    int r;

    if (k == NULL)
        return -ENOMEM;
    k->c = *c;
    k->c.dir = k->c.identity = NULL; /* the state's own */
    k->c.name = strdup(c->name);
    r = k->c.name != NULL ? wp_state_new(&config, &k->state) : -ENOMEM;
    if (r < 0) {
        wp_kube_keep_free(k);
        return r;
    }
    *ret = k;
    return 0;
}

void wp_kube_keep_free(struct wp_kube_keep *k)
{
    if (k == NULL)
        return;
    wp_state_free(k->state);
    free((char *)(uintptr_t)k->c.name);
    free(k);
}
