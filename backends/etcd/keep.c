/* Saving what a range holds, so that the next start has something to answer with. A save takes the
 * records of one published state, some at a time, between other work: the tree is pinned, so that
 * the walk can go on where it stopped. Files and when to write them: backends/common/state.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/etcd/mirror_priv.h"
#include "backends/etcd/saved.h"
#include "waypost/base/wr.h"

enum { WAIT_MS = 2, META = 16 };

static struct wp_etcd_range_own *range_of(struct wp_grpc_timer *t)
{
    return (struct wp_etcd_range_own *)(void *)((char *)t -
                                                offsetof(struct wp_etcd_range_own, keep.timer));
}

static void save_later(struct wp_etcd_range_own *r);

/* --- a save --------------------------------------------------------------------------------------
 */

static void end_save(struct wp_etcd_range_own *r)
{
    struct wp_etcd_keep *k = &r->keep;
    const struct wp_grpc_ops *g = r->r.mirror->g;

    k->saving = false;
    k->at = NULL;
    wp_etcd_tree_unpin(r->r.tree);
    if (k->ending) {
        g->timer_set(&r->reap, g->now());
        return;
    }
    wp_etcd_apply_reap(r);
    save_later(r);
}

/* The lease's end on the world's clock. One that is gone takes its keys along, any moment. */
static struct wp_etcd_saved_lease saved_lease(const struct wp_etcd_lease *lease, uint64_t now_ns,
                                              int64_t now_ms)
{
    struct wp_etcd_saved_lease s = {0};
    uint64_t ends;

    if (lease == NULL)
        return s;
    s.id = lease->id;
    ends = atomic_load_explicit(&((struct wp_etcd_lease *)(uintptr_t)lease)->ends,
                                memory_order_relaxed);
    if (ends == WP_ETCD_LEASE_GONE)
        s.end_ms = 1;
    else if (ends != WP_ETCD_LEASE_UNKNOWN)
        s.end_ms = now_ms + ((int64_t)ends - (int64_t)now_ns) / 1000000;
    return s;
}

/* 1: there is more; 0: all have room; else as wp_state_room says. */
static int save_some(struct wp_etcd_range_own *r)
{
    struct wp_etcd_keep *k = &r->keep;
    uint64_t now_ns = r->r.mirror->g->now();
    int64_t now_ms = wp_state_clock_ms();
    size_t octets = 0;

    for (unsigned i = 0; i < WP_ETCD_SAVE_SLICE && octets < WP_STATE_BLOCK; i++) {
        const struct wp_etcd_rec *rec = wp_etcd_snap_after(&k->snap, k->at);
        struct wp_etcd_saved_lease lease;
        uint8_t *to;
        size_t len;
        int e;
        if (rec == NULL)
            return 0;
        len = wp_etcd_saved_size(rec);
        e = wp_state_room(k->state, len, &to);
        if (e < 0 && e != WP_ELIMIT)
            return e;
        if (e == 0) {
            lease = saved_lease(wp_etcd_rec_lease(rec), now_ns, now_ms);
            wp_etcd_saved_write(rec, &lease, to);
        }
        k->at = rec;
        octets += len;
    }
    return 1;
}

static void save_on(struct wp_etcd_range_own *r)
{
    struct wp_etcd_keep *k = &r->keep;
    const struct wp_grpc_ops *g = r->r.mirror->g;
    uint64_t now = g->now();
    int e = save_some(r);

    if (e == 0)
        e = wp_state_end(k->state);
    if (e == 0) {
        end_save(r);
        return;
    }
    if ((e < 0 && e != -EAGAIN) || now > k->give_up_ns) {
        if (e == -ENOMEM || now > k->give_up_ns)
            wp_log(WP_WARNING, "etcd", "%s%s: not saved: %s", r->r.mirror->name, r->base,
                   e == -ENOMEM ? "out of memory" : "the disk is too slow");
        if (k->ending && now > k->give_up_ns)
            wp_state_hangs(k->state);
        wp_state_cancel(k->state);
        end_save(r);
        return;
    }
    g->timer_set(&k->timer, e == -EAGAIN ? now + wp_etcd_ms(WAIT_MS) : now);
}

static void begin_save(struct wp_etcd_range_own *r)
{
    struct wp_etcd_keep *k = &r->keep;
    const struct wp_etcd_mirror *m = r->r.mirror;
    uint8_t meta[META];
    uint64_t now = m->g->now();
    struct wp_wr wr = wp_wr_to(meta, sizeof(meta));

    wp_wr_u32(&wr, (uint32_t)(m->cluster_id >> 32));
    wp_wr_u32(&wr, (uint32_t)m->cluster_id);
    wp_wr_u32(&wr, (uint32_t)((uint64_t)m->revision >> 32));
    wp_wr_u32(&wr, (uint32_t)m->revision);
    if (wp_state_begin(k->state, now, meta, sizeof(meta)) < 0) {
        m->g->timer_set(&k->timer, now + wp_etcd_ms(1000));
        return;
    }
    wp_etcd_tree_pin(r->r.tree);
    k->snap = wp_etcd_tree_snap(r->r.tree);
    k->at = NULL;
    k->saving = true;
    k->give_up_ns = now + wp_etcd_ms(k->ending ? WP_ETCD_SAVE_LAST_MS : WP_ETCD_SAVE_MS);
    save_on(r);
}

static void on_timer(struct wp_grpc_timer *t)
{
    struct wp_etcd_range_own *r = range_of(t);
    struct wp_etcd_keep *k = &r->keep;
    const struct wp_grpc_ops *g = r->r.mirror->g;

    if (k->saving)
        save_on(r);
    else if (k->ending && g->now() > k->give_up_ns) { /* the save before this one does not end */
        wp_state_hangs(k->state);
        g->timer_set(&r->reap, g->now());
    } else if (k->ending && wp_state_is_busy(k->state))
        g->timer_set(t, g->now() + wp_etcd_ms(WAIT_MS));
    else if (k->ending && wp_state_is_settled(k->state)) /* and it did end well */
        g->timer_set(&r->reap, g->now());
    else if (k->ending || wp_state_due(k->state) <= g->now())
        begin_save(r);
    else
        save_later(r);
}

/* --- when ----------------------------------------------------------------------------------------
 */

static void save_later(struct wp_etcd_range_own *r)
{
    struct wp_etcd_keep *k = &r->keep;
    const struct wp_grpc_ops *g = r->r.mirror->g;
    uint64_t due;

    if (k->saving || k->ending)
        return;
    due = wp_state_due(k->state);
    if (due == UINT64_MAX) /* nothing to do, unless what is being written fails */
        due = g->now() + wp_etcd_ms(WP_STATE_EVERY_MS);
    k->timer.fn = on_timer;
    g->timer_set(&k->timer, due);
}

void wp_etcd_keep_changed(struct wp_etcd_range_own *r)
{
    if (r->keep.state == NULL || r->leaving)
        return;
    wp_state_changed(r->keep.state, r->r.mirror->g->now());
    save_later(r);
}

void wp_etcd_keep_aged(struct wp_etcd_mirror *m)
{
    for (struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next)
        if (r->keep.state != NULL && wp_etcd_range_is_loaded(&r->r) &&
            !wp_state_is_dirty(r->keep.state)) {
            wp_state_aged(r->keep.state, m->g->now());
            save_later(r);
        }
}

static void confirm(struct wp_grpc_timer *t)
{
    struct wp_etcd_range_own *r =
        (struct wp_etcd_range_own *)(void *)((char *)t -
                                             offsetof(struct wp_etcd_range_own, keep.confirm));
    const struct wp_etcd_mirror *m = r->r.mirror;

    if (!wp_state_is_dirty(r->keep.state))
        wp_state_confirm(r->keep.state);
    m->g->timer_set(t, m->g->now() + wp_etcd_ms(WP_ETCD_CONFIRM_MS));
}

void wp_etcd_keep_in_step(struct wp_etcd_mirror *m, bool in_step)
{
    for (struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next) {
        struct wp_etcd_keep *k = &r->keep;
        if (k->state == NULL || !wp_etcd_range_is_loaded(&r->r))
            continue;
        wp_state_serves(k->state, WP_STATE_LIVE, in_step ? 0 : wp_state_clock_ms());
        k->confirm.fn = confirm;
        if (in_step)
            confirm(&k->confirm);
        else
            m->g->timer_cancel(&k->confirm);
    }
}

/* --- beginning and end --------------------------------------------------------------------------
 */

/* What tells the data from other data: not where it comes from to the letter, and no secret. */
static char *identity_of(const struct wp_etcd_range_own *r)
{
    const struct wp_etcd_source *src = &r->r.mirror->src;
    size_t len = 0;
    char *text = NULL;
    FILE *f = open_memstream(&text, &len);

    if (f == NULL)
        return NULL;
    fprintf(f, "prefix %s\nbase %s\nuser %s\ncertificate %s\n", src->prefix, r->base,
            src->user != NULL ? src->user : "", src->cert_file != NULL ? src->cert_file : "");
    if (src->discovery != NULL)
        fprintf(f, "discovery %s %s\n", src->discovery,
                src->discovery_name != NULL ? src->discovery_name : "");
    for (unsigned i = 0; i < (src->discovery != NULL ? 0 : src->n_endpoints); i++)
        fprintf(f, "endpoint %s\n", src->endpoints[i].text);
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* Where the endpoints begin in an identity. */
static size_t words_len(const char *identity, size_t len)
{
    const char *at = memmem(identity, len, "\nendpoint ", 10);

    return at != NULL ? (size_t)(at - identity) + 1 : len;
}

/* A member more or less, or another order: one endpoint that both have makes it the same store, as
 * far as can be known before it answers; then its id tells. */
static bool is_kin(const char *identity, const char *other, size_t len)
{
    size_t mine = strlen(identity), words = words_len(identity, mine);

    if (words_len(other, len) != words || memcmp(identity, other, words) != 0)
        return false;
    for (size_t i = words; i < mine;) {
        size_t line = strcspn(identity + i, "\n") + 1;
        if (memmem(other + words - 1, len - words + 1, identity + i - 1, line + 1) != NULL)
            return true;
        i += line;
    }
    return false;
}

void wp_etcd_keep_init(struct wp_etcd_range_own *r)
{
    const struct wp_etcd_mirror *m = r->r.mirror;
    struct wp_state_config c = {.dir = m->src.state_dir, .backend = "etcd", .is_kin = is_kin};
    char *identity, *source = NULL;
    int e = -ENOMEM;

    if (c.dir == NULL)
        return;
    identity = identity_of(r);
    if (asprintf(&source, "%s%s", m->name, r->base) < 0)
        source = NULL;
    c.identity = identity;
    c.source = source;
    if (identity != NULL && source != NULL)
        e = wp_state_new(&c, &r->keep.state);
    if (e < 0)
        wp_log(WP_WARNING, "etcd", "%s%s: nothing is saved: %s", m->name, r->base, wp_strerror(e));
    atomic_store(&r->restoring, e == 0); /* until the engine has looked */
    free(identity);
    free(source);
}

void wp_etcd_keep_done(struct wp_etcd_range_own *r)
{
    wp_state_free(r->keep.state);
    r->keep.state = NULL;
}

bool wp_etcd_keep_last(struct wp_etcd_range_own *r)
{
    struct wp_etcd_keep *k = &r->keep;
    const struct wp_grpc_ops *g = r->r.mirror->g;

    wp_etcd_restore_stop(r);
    g->timer_cancel(&k->confirm);
    if (k->state == NULL)
        return false;
    if (k->saving) { /* of an older state */
        wp_state_cancel(k->state);
        wp_etcd_tree_unpin(r->r.tree);
        k->saving = false;
    }
    g->timer_cancel(&k->timer);
    if (!wp_etcd_range_is_loaded(&r->r) || wp_state_is_settled(k->state) ||
        wp_state_is_hung(k->state))
        return false;
    k->ending = true;
    k->give_up_ns = g->now() + wp_etcd_ms(WP_ETCD_SAVE_LAST_MS);
    k->timer.fn = on_timer;
    g->timer_set(&k->timer, g->now());
    return true;
}
