/* Changes: batches, listings, and the way out of what they replaced. */
#include <errno.h>
#include <stdlib.h>

#include "backends/etcd/check.h"
#include "backends/etcd/lease.h"
#include "backends/etcd/tree_priv.h"
#include "waypost/plugin/change.h"

/* Room for one more dead and one more born record, so that nothing fails half-way. */
static int reserve_batch(struct wp_etcd_tree *t)
{
    if (t->dying == NULL || t->dying->n == t->dying->cap) {
        size_t cap = t->dying == NULL ? 16 : 2 * t->dying->cap;
        struct wp_etcd_dead *d = realloc(t->dying, sizeof(*d) + cap * sizeof(d->recs[0]));
        if (d == NULL)
            return -ENOMEM;
        if (t->dying == NULL)
            *d = (struct wp_etcd_dead){0};
        d->cap = cap;
        t->dying = d;
    }
    if (t->n_born == t->cap_born) {
        size_t cap = t->cap_born == 0 ? 16 : 2 * t->cap_born;
        struct wp_etcd_rec **born = realloc(t->born, cap * sizeof(*born));
        if (born == NULL)
            return -ENOMEM;
        t->born = born;
        t->cap_born = cap;
    }
    return 0;
}

/* The one record of the key that is not dying, or NULL. It is the newest, unless that was of a batch
 * that was discarded. */
static struct wp_etcd_rec *living(struct wp_etcd_tree *t, const char *key, size_t len)
{
    struct wp_etcd_rec *r = wp_etcd_tree_seek(t, key, len);

    while (r != NULL && wp_etcd_rec_has_key(r, key, len)) {
        if (!wp_etcd_rec_is_dying(r))
            return r;
        r = wp_etcd_rec_next(r);
    }
    return NULL;
}

static void count_out(struct wp_etcd_tree *t, const struct wp_etcd_rec *r, size_t by)
{
    if (r->out & WP_ETCD_OUT_LAPSED)
        atomic_fetch_add_explicit(&t->n_lapsed, by, memory_order_relaxed);
    if (r->out & WP_ETCD_OUT_UNWELL)
        atomic_fetch_add_explicit(&t->n_unwell, by, memory_order_relaxed);
}

/* The record is the one of its key, or is not any more. */
static void count(struct wp_etcd_tree *t, struct wp_etcd_rec *r, bool in)
{
    if (in) {
        atomic_fetch_add_explicit(&t->n_keys, 1, memory_order_relaxed);
        t->n_bad += r->kind == WP_ETCD_BAD;
        count_out(t, r, 1);
        wp_etcd_tree_tie(r);
    } else {
        atomic_fetch_sub_explicit(&t->n_keys, 1, memory_order_relaxed);
        t->n_bad -= r->kind == WP_ETCD_BAD;
        count_out(t, r, SIZE_MAX);
        wp_etcd_tree_untie(r);
    }
}

static void kill(struct wp_etcd_tree *t, struct wp_etcd_rec *r)
{
    atomic_store_explicit(&r->death, wp_etcd_tree_next_epoch(t), memory_order_relaxed);
    t->dying->recs[t->dying->n++] = r;
    count(t, r, false);
}

static bool same_lease(const struct wp_etcd_rec *r, const struct wp_etcd_lease *lease)
{
    return wp_etcd_rec_lease(r) == lease;
}

/* A record into the batch, in the place of the old one if there is one. -ENOMEM: it is freed. */
static int enter(struct wp_etcd_tree *t, struct wp_etcd_rec *old, struct wp_etcd_rec *r)
{
    /* The first load publishes everything at once and remembers nothing: no list of it. */
    bool first = wp_etcd_tree_next_epoch(t) == 1;
    int ret;

    r->birth = wp_etcd_tree_next_epoch(t) | (r->out == 0                    ? 0
                                             : r->out == WP_ETCD_OUT_UNWELL ? WP_ETCD_BIRTH_UNWELL
                                                                            : WP_ETCD_BIRTH_OUT);
    ret = wp_etcd_tree_link(t, r);
    if (ret < 0) {
        wp_etcd_rec_free(r);
        return ret;
    }
    atomic_fetch_add_explicit(&t->octets, wp_etcd_rec_size(r), memory_order_relaxed);
    if (old != NULL)
        kill(t, old);
    count(t, r, true);
    if (!first)
        t->born[t->n_born++] = r;
    return 0;
}

static int put(struct wp_etcd_tree *t, struct wp_etcd_rec *old, const char *key, size_t len,
               const struct wp_etcd_value *v, struct wp_etcd_lease *lease, int64_t mod_revision)
{
    struct wp_etcd_rec *r;
    int ret = reserve_batch(t);

    if (ret < 0)
        return ret;
    r = wp_etcd_rec_new(key, len, v, lease, mod_revision, wp_etcd_tree_level(t));
    if (r == NULL)
        return -ENOMEM;
    r->seen = t->listing;
    r->out = (uint8_t)((lease != NULL && lease->lapsed ? WP_ETCD_OUT_LAPSED : 0) |
                       (v->check != NULL && v->check->down ? WP_ETCD_OUT_UNWELL : 0));
    if (old != NULL && same_lease(old, lease) && wp_etcd_rec_check(old) == v->check &&
        wp_etcd_rec_equal(old, r)) {
        /* the same again (a registrar that repeats itself): no answer changes */
        old->mod_revision = mod_revision;
        old->seen = t->listing;
        wp_etcd_rec_free(r);
        return 0;
    }
    ret = enter(t, old, r);
    if (ret < 0)
        return ret;
    t->pending.changed += old != NULL;
    t->pending.added += old == NULL;
    return 1;
}

int wp_etcd_tree_out(struct wp_etcd_tree *t, struct wp_etcd_rec *old, unsigned out)
{
    struct wp_etcd_lease *lease = wp_etcd_rec_lease(old);
    struct wp_etcd_check *check = wp_etcd_rec_check(old);
    struct wp_etcd_rec *r;
    int ret = reserve_batch(t);

    if (ret < 0)
        return ret;
    r = wp_etcd_rec_copy(old, wp_etcd_tree_level(t));
    if (r == NULL)
        return -ENOMEM;
    r->seen = old->seen;
    r->out = (uint8_t)out;
    ret = enter(t, old, r);
    if (ret == 0 && lease != NULL)
        lease->refs++;
    if (ret == 0 && check != NULL)
        check->probe.refs++;
    return ret;
}

int wp_etcd_tree_put(struct wp_etcd_tree *t, const char *key, size_t len,
                     const struct wp_etcd_value *v, struct wp_etcd_lease *lease,
                     int64_t mod_revision)
{
    struct wp_etcd_rec *old = living(t, key, len);

    if (old != NULL && mod_revision <= old->mod_revision)
        return 0;
    return put(t, old, key, len, v, lease, mod_revision);
}

int wp_etcd_tree_del(struct wp_etcd_tree *t, const char *key, size_t len, int64_t mod_revision)
{
    struct wp_etcd_rec *old = living(t, key, len);
    int r;

    if (old == NULL || mod_revision <= old->mod_revision)
        return 0;
    r = reserve_batch(t);
    if (r < 0)
        return r;
    kill(t, old);
    t->pending.removed++;
    return 1;
}

void wp_etcd_tree_list_begin(struct wp_etcd_tree *t)
{
    if (t->listing == UINT8_MAX) {
        for (struct wp_etcd_rec *r = wp_etcd_rec_next(t->head); r != NULL; r = wp_etcd_rec_next(r))
            r->seen = 0;
        t->listing = 0;
    }
    t->listing++;
}

bool wp_etcd_tree_listed(struct wp_etcd_tree *t, const char *key, size_t len, int64_t mod_revision,
                         int64_t lease_id)
{
    struct wp_etcd_rec *r = living(t, key, len);
    struct wp_etcd_lease *lease = r != NULL ? wp_etcd_rec_lease(r) : NULL;

    if (r == NULL || r->mod_revision != mod_revision || (lease != NULL ? lease->id : 0) != lease_id)
        return false;
    r->seen = t->listing;
    return true;
}

int wp_etcd_tree_list_put(struct wp_etcd_tree *t, const char *key, size_t len,
                          const struct wp_etcd_value *v, struct wp_etcd_lease *lease,
                          int64_t mod_revision)
{
    return put(t, living(t, key, len), key, len, v, lease, mod_revision);
}

int wp_etcd_tree_list_end(struct wp_etcd_tree *t)
{
    for (struct wp_etcd_rec *r = wp_etcd_rec_next(t->head); r != NULL; r = wp_etcd_rec_next(r)) {
        int ret;
        if (r->seen == t->listing || atomic_load_explicit(&r->death, memory_order_relaxed) != 0)
            continue;
        ret = reserve_batch(t);
        if (ret < 0)
            return ret;
        kill(t, r);
        t->pending.removed++;
    }
    return 0;
}

/* Born in the batch: dies with it. Killed by it: lives. Room for all of the first kind is made
 * before anything is touched. */
int wp_etcd_tree_discard(struct wp_etcd_tree *t)
{
    uint64_t next = wp_etcd_tree_next_epoch(t);
    struct wp_etcd_dead *d;
    size_t n = 0;

    for (struct wp_etcd_rec *r = wp_etcd_rec_next(t->head); r != NULL; r = wp_etcd_rec_next(r))
        n += wp_etcd_rec_birth(r) == next;
    d = calloc(1, sizeof(*d) + n * sizeof(d->recs[0]));
    if (d == NULL)
        return -ENOMEM;
    d->cap = n;
    free(t->dying);
    t->dying = d;
    for (struct wp_etcd_rec *r = wp_etcd_rec_next(t->head); r != NULL; r = wp_etcd_rec_next(r)) {
        bool dies = atomic_load_explicit(&r->death, memory_order_relaxed) == next;
        bool born = wp_etcd_rec_birth(r) == next;
        if (!born && dies) {
            atomic_store_explicit(&r->death, 0, memory_order_relaxed);
            count(t, r, true);
        } else if (born && dies) {
            d->recs[d->n++] = r; /* it was replaced by another of the batch */
        } else if (born) {
            kill(t, r);
        }
    }
    t->n_born = 0;
    t->pending = (struct wp_etcd_batch_size){0};
    return 0;
}

static void on_passed(struct wp_grace_item *item)
{
    struct wp_etcd_dead *d = (struct wp_etcd_dead *)(void *)item; /* its first member */

    atomic_store_explicit(&d->passed, true, memory_order_release);
}

void wp_etcd_tree_publish(struct wp_etcd_tree *t, bool quiet, struct wp_etcd_batch_size *ret)
{
    struct wp_etcd_dead *dead = t->dying;

    *ret = t->pending;
    t->pending = (struct wp_etcd_batch_size){0};
    t->dying = NULL;
    atomic_store_explicit(&t->epoch, wp_etcd_tree_next_epoch(t), memory_order_release);
    if (!quiet) {
        /* after the data can be read; a name marked twice costs nothing */
        for (size_t i = 0; i < t->n_born; i++)
            wp_etcd_tree_mark(t, t->born[i]);
        for (size_t i = 0; dead != NULL && i < dead->n; i++)
            wp_etcd_tree_mark(t, dead->recs[i]);
        if (t->n_born > 0 || (dead != NULL && dead->n > 0))
            wp_changed(wp_change_key(t->source, 0)); /* answers made from very many names */
    }
    t->n_born = 0;
    if (t->cap_born > 4096) { /* a large change does not keep its list */
        free(t->born);
        t->born = NULL;
        t->cap_born = 0;
    }
    if (dead == NULL || dead->n == 0) {
        free(dead);
        return;
    }
    dead->next = NULL;
    *t->last_waiting = dead;
    t->last_waiting = &dead->next;
    wp_grace_retire(&dead->grace, on_passed);
}

bool wp_etcd_tree_is_open(const struct wp_etcd_tree *t)
{
    return t->n_born > 0 || (t->dying != NULL && t->dying->n > 0);
}

struct wp_etcd_batch_size wp_etcd_tree_pending(const struct wp_etcd_tree *t)
{
    return t->pending;
}

static void free_dead(struct wp_etcd_tree *t, struct wp_etcd_dead *d)
{
    for (size_t i = 0; i < d->n; i++) {
        atomic_fetch_sub_explicit(&t->octets, wp_etcd_rec_size(d->recs[i]), memory_order_relaxed);
        wp_etcd_tree_free_rec(t, d->recs[i]);
    }
    free(d);
}

void wp_etcd_tree_pin(struct wp_etcd_tree *t)
{
    t->pins++;
}

void wp_etcd_tree_unpin(struct wp_etcd_tree *t)
{
    t->pins--;
}

size_t wp_etcd_tree_reap(struct wp_etcd_tree *t)
{
    size_t waiting = 0;

    if (t->waiting == NULL)
        return 0;
    if (t->pins > 0)
        return 1;
    wp_grace_reclaim();
    for (struct wp_etcd_dead **p = &t->waiting, *d; (d = *p) != NULL;) {
        if (!atomic_load_explicit(&d->passed, memory_order_acquire)) {
            waiting += d->n;
            p = &d->next;
            continue;
        }
        if (d->unlinked) {
            *p = d->next;
            if (*p == NULL)
                t->last_waiting = p;
            free_dead(t, d);
            continue;
        }
        for (size_t i = 0; i < d->n; i++)
            wp_etcd_tree_unlink(t, d->recs[i]);
        d->unlinked = true;
        atomic_store_explicit(&d->passed, false, memory_order_relaxed);
        wp_grace_retire(&d->grace, on_passed);
        waiting += d->n;
        p = &d->next;
    }
    return waiting;
}

size_t wp_etcd_tree_keys(const struct wp_etcd_tree *t)
{
    return atomic_load_explicit(&((struct wp_etcd_tree *)(uintptr_t)t)->n_keys,
                                memory_order_relaxed);
}

size_t wp_etcd_tree_bad(const struct wp_etcd_tree *t)
{
    return t->n_bad;
}

size_t wp_etcd_tree_octets(const struct wp_etcd_tree *t)
{
    return atomic_load_explicit(&((struct wp_etcd_tree *)(uintptr_t)t)->octets,
                                memory_order_relaxed);
}

size_t wp_etcd_tree_outs(const struct wp_etcd_tree *t, enum wp_etcd_out why)
{
    struct wp_etcd_tree *w = (struct wp_etcd_tree *)(uintptr_t)t;

    return atomic_load_explicit(why == WP_ETCD_OUT_LAPSED ? &w->n_lapsed : &w->n_unwell,
                                memory_order_relaxed);
}

static size_t octets_of(const struct wp_etcd_dead *d)
{
    size_t octets = 0;

    for (size_t i = 0; d != NULL && i < d->n; i++)
        octets += wp_etcd_rec_size(d->recs[i]);
    return octets;
}

size_t wp_etcd_tree_octets_dead(const struct wp_etcd_tree *t)
{
    size_t octets = octets_of(t->dying);

    for (const struct wp_etcd_dead *d = t->waiting; d != NULL; d = d->next)
        octets += octets_of(d);
    return octets;
}

struct wp_etcd_rec *wp_etcd_tree_newest(struct wp_etcd_tree *t, const char *key, size_t len)
{
    return living(t, key, len);
}

const struct wp_etcd_rec *wp_etcd_tree_after(const struct wp_etcd_tree *t,
                                             const struct wp_etcd_rec *r)
{
    r = r == NULL ? t->head : r;
    do
        r = wp_etcd_rec_next(r);
    while (r != NULL && atomic_load_explicit(&((struct wp_etcd_rec *)(uintptr_t)r)->death,
                                             memory_order_relaxed) != 0);
    return r;
}
