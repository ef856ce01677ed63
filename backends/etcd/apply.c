/* Keys and events into the tree of their range. */
#include <errno.h>
#include <string.h>

#include "backends/etcd/mirror_priv.h"
#include "backends/etcd/path.h"
#include "waypost/plugin/change.h"

enum {
    BAD_LINES = 20, /* about malformed keys, */
    BAD_LINES_S = 60,
    HOLD_SHARE = 10, /* a suspect data set with less than a tenth of the keys is held back */
};

const char *wp_etcd_apply_key(const struct wp_etcd_mirror *m, const struct wp_etcd_range_own *r,
                              const ProtobufCBinaryData *key, size_t *ret_len)
{
    const struct wp_etcd_part *below = &r->parts[0], *self = &r->parts[1];
    size_t skip = strlen(m->src.prefix);

    if (key->len < skip || key->len - skip > WP_ETCD_KEY_MAX)
        return NULL;
    if ((key->len < below->key_len || memcmp(key->data, below->key, below->key_len) != 0) &&
        (key->len != self->key_len || memcmp(key->data, self->key, self->key_len) != 0))
        return NULL;
    *ret_len = key->len - skip;
    return (const char *)key->data + skip;
}

/* True: this one has a line of its own. The others have one together, see tell_untold. */
static bool may_tell_bad(struct wp_etcd_mirror *m)
{
    wp_metric_add(m->stats.bad_records, WP_METRIC_SHARED, 1);
    if (wp_log_allow(&m->bad_limit, BAD_LINES, BAD_LINES_S))
        return true;
    m->bad_untold++;
    return false;
}

static void tell_bad(struct wp_etcd_mirror *m, const Etcd__KeyValue *kv,
                     const struct wp_etcd_flaw *flaw)
{
    char shown[WP_ETCD_SHOWN];

    if (may_tell_bad(m))
        wp_log(WP_ERROR, "etcd", "malformed value of key %s (revision %lld) at octet %zu: %s",
               wp_etcd_path_show((const char *)kv->key.data, kv->key.len, shown),
               (long long)kv->mod_revision, flaw->offset, flaw->text);
}

static void tell_bad_key(struct wp_etcd_mirror *m, const Etcd__KeyValue *kv, size_t at,
                         const char *why)
{
    char shown[WP_ETCD_SHOWN];

    if (may_tell_bad(m))
        wp_log(WP_ERROR, "etcd", "no name can be made of key %s (revision %lld) at octet %zu: %s",
               wp_etcd_path_show((const char *)kv->key.data, kv->key.len, shown),
               (long long)kv->mod_revision, at, why);
}

static void tell_untold(struct wp_etcd_mirror *m)
{
    if (m->bad_untold == 0 || !wp_log_allow(&m->untold_limit, 1, BAD_LINES_S))
        return;
    wp_log(WP_ERROR, "etcd",
           "%s: %zu more malformed keys and values; `waypost etcd bad` tells of each",
           wp_etcd_endpoint_text(m), m->bad_untold);
    m->bad_untold = 0;
}

static int put(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r, const Etcd__KeyValue *kv,
               const char *key, size_t len, bool listed)
{
    struct wp_etcd_lease *lease = NULL;
    struct wp_etcd_scratch scratch = {0};
    struct wp_etcd_value v;
    struct wp_etcd_flaw flaw;
    const char *why;
    size_t at;
    int ret = wp_etcd_value_read((const char *)kv->value.data, kv->value.len, &scratch, &v, &flaw);
    bool bad = ret == WP_EMALFORMED;

    if (ret < 0 && !bad)
        goto out;
    if (!bad && (ret = wp_etcd_check_get(m, kv, &scratch, &v, &v.check)) < 0)
        goto out;
    if (kv->lease != 0) {
        lease = wp_etcd_lease_get(m, kv->lease);
        ret = lease == NULL ? -ENOMEM : 0;
        if (lease == NULL)
            goto out;
    }
    ret = listed ? wp_etcd_tree_list_put(r->r.tree, key, len, &v, lease, kv->mod_revision)
                 : wp_etcd_tree_put(r->r.tree, key, len, &v, lease, kv->mod_revision);
    if (ret == 1 && bad)
        tell_bad(m, kv, &flaw);
    else if (ret == 1 && (why = wp_etcd_path_flaw(key, len, &at)) != NULL)
        tell_bad_key(m, kv, at + strlen(m->src.prefix), why);
out:
    if (ret != 1 && lease != NULL)
        wp_etcd_lease_put(m, lease);
    if (ret != 1 && v.check != NULL)
        wp_etcd_check_put(m, v.check);
    wp_etcd_scratch_done(&scratch);
    return ret;
}

int wp_etcd_apply_listed(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r,
                         const Etcd__KeyValue *kv)
{
    size_t len;
    const char *key = wp_etcd_apply_key(m, r, &kv->key, &len);

    if (!wp_etcd_is_revision(kv->mod_revision))
        return WP_EMALFORMED;
    if (key == NULL) { /* a listing gives nothing outside its range */
        tell_bad_key(m, kv, WP_ETCD_KEY_MAX, "longer than any name");
        return 0;
    }
    if (kv->mod_revision > r->mark.revision)
        wp_etcd_mark_set(&r->mark, &kv->key, kv->mod_revision, false);
    if (!r->suspect && wp_etcd_tree_listed(r->r.tree, key, len, kv->mod_revision, kv->lease))
        return 0;
    return put(m, r, kv, key, len, true);
}

int wp_etcd_apply_event(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r, const Etcd__Event *e)
{
    size_t len;
    const char *key;

    if (e->kv == NULL || !wp_etcd_is_revision(e->kv->mod_revision))
        return WP_EMALFORMED;
    key = wp_etcd_apply_key(m, r, &e->kv->key, &len);
    if (key == NULL && e->kv->key.len > WP_ETCD_KEY_MAX) {
        if (e->type != ETCD__EVENT__KIND__DELETE)
            tell_bad_key(m, e->kv, WP_ETCD_KEY_MAX, "longer than any name");
        return 0;
    }
    if (key == NULL) {
        if (wp_log_allow(&m->outside_limit, 1, 3600))
            wp_log(WP_WARNING, "etcd", "%s: event for a key outside the watched range, ignored",
                   wp_etcd_endpoint_text(m));
        return 0;
    }
    if (e->kv->mod_revision > r->mark.revision)
        wp_etcd_mark_set(&r->mark, &e->kv->key, e->kv->mod_revision,
                         e->type == ETCD__EVENT__KIND__DELETE);
    if (e->type == ETCD__EVENT__KIND__DELETE) {
        wp_metric_add(m->stats.deletes, WP_METRIC_SHARED, 1);
        return wp_etcd_tree_del(r->r.tree, key, len, e->kv->mod_revision);
    }
    wp_metric_add(m->stats.puts, WP_METRIC_SHARED, 1);
    return put(m, r, e->kv, key, len, false);
}

static void reap(struct wp_grpc_timer *t)
{
    struct wp_etcd_range_own *r =
        (struct wp_etcd_range_own *)(void *)((char *)t - offsetof(struct wp_etcd_range_own, reap));
    struct wp_etcd_mirror *m = r->r.mirror;

    if (wp_etcd_tree_reap(r->r.tree) > 0)
        m->g->timer_set(t, m->g->now() + wp_etcd_ms(WP_ETCD_REAP_MS));
}

void wp_etcd_apply_reap(struct wp_etcd_range_own *r)
{
    struct wp_etcd_mirror *m = r->r.mirror;

    r->reap.fn = reap;
    if (wp_etcd_tree_reap(r->r.tree) > 0 && !r->reap.is_set)
        m->g->timer_set(&r->reap, m->g->now() + wp_etcd_ms(WP_ETCD_REAP_MS));
}

static void publish(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r,
                    struct wp_etcd_batch_size *ret)
{
    bool first = !r->published_once;

    wp_etcd_tree_publish(r->r.tree, first, ret);
    r->published_once = true;
    r->published_keys = wp_etcd_tree_keys(r->r.tree);
    r->published_octets = wp_etcd_tree_octets(r->r.tree);
    if (r->held) {
        r->held = false;
        m->g->timer_cancel(&r->hold);
    }
    if (!wp_etcd_range_is_loaded(&r->r)) {
        atomic_store_explicit(&r->r.loaded, true, memory_order_release);
        wp_changed(wp_etcd_range_state_key(&r->r));
        wp_etcd_restore_over(r);
    }
    wp_etcd_keep_changed(r);
    wp_etcd_apply_reap(r);
    wp_etcd_facts_changed(m);
    wp_etcd_stats_update(m);
}

/* A batch may replace all there is, so it may take as much again until it is whole. */
static bool is_full(const struct wp_etcd_mirror *m, const struct wp_etcd_range_own *r, bool whole)
{
    uint64_t max = atomic_load_explicit(&m->max_octets, memory_order_relaxed);
    struct wp_etcd_batch_size size = wp_etcd_tree_pending(r->r.tree);
    size_t own = wp_etcd_tree_octets(r->r.tree), all = 0;

    for (const struct wp_etcd_range_own *i = m->ranges; i != NULL; i = i->next)
        all += wp_etcd_tree_octets(i->r.tree);
    if (max == 0 || all <= max)
        return false;
    if (own > r->published_octets && own - r->published_octets > max)
        return true;
    return whole && size.added + size.changed > 0 &&
           all - wp_etcd_tree_octets_dead(r->r.tree) > max;
}

bool wp_etcd_apply_is_full(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r, bool whole)
{
    struct wp_etcd_batch_size size;

    if (WP_LIKELY(!is_full(m, r, whole)))
        return false;
    if (!r->held && wp_etcd_tree_discard(r->r.tree) == 0) {
        wp_etcd_tree_publish(r->r.tree, true, &size); /* nothing: only so that it can be freed */
        wp_etcd_apply_reap(r);
    }
    wp_etcd_watch_cancel(m, r);
    r->needs_load = true;
    wp_etcd_fail(m, WP_GRPC_RESOURCE_EXHAUSTED,
                 "the mirror would be larger than max-memory: it stays as it is", "memory");
    return true;
}

static void adopt(struct wp_grpc_timer *t)
{
    struct wp_etcd_range_own *r =
        (struct wp_etcd_range_own *)(void *)((char *)t - offsetof(struct wp_etcd_range_own, hold));
    struct wp_etcd_batch_size size;

    wp_log(WP_WARNING, "etcd",
           "%s: the data of another or older data set is taken over now: %zu keys instead of %zu",
           wp_etcd_endpoint_text(r->r.mirror), wp_etcd_tree_keys(r->r.tree), r->published_keys);
    publish(r->r.mirror, r, &size);
}

void wp_etcd_apply_done(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r, bool after_load,
                        struct wp_etcd_batch_size *ret)
{
    size_t keys = wp_etcd_tree_keys(r->r.tree);
    bool emptied = r->published_keys > 0 && keys * HOLD_SHARE < r->published_keys;

    tell_untold(m);
    *ret = wp_etcd_tree_pending(r->r.tree);
    if (after_load && r->suspect && emptied && !r->held) {
        r->held = true;
        r->hold.fn = adopt;
        m->g->timer_set(&r->hold, m->g->now() + wp_etcd_ms(WP_ETCD_HOLD_MS));
        wp_log(WP_ERROR, "etcd",
               "%s: the store holds %zu keys of %zu after it went back or was replaced: the old "
               "data is served "
               "for %d more seconds",
               wp_etcd_endpoint_text(m), keys, r->published_keys, WP_ETCD_HOLD_MS / 1000);
    }
    if (r->held && emptied) {
        wp_etcd_stats_update(m);
        return;
    }
    publish(m, r, ret);
}
