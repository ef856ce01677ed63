/* What an earlier run has saved: read before the first listing, served until that has come. The
 * listing is compared with it like with any other data, so that only what differs changes.
 *
 * Keys under a lease that has ended are not taken over; one that ends while saved data is served
 * lapses like any other (lapse.c). */
#include <errno.h>

#include "backends/etcd/mirror_priv.h"
#include "backends/etcd/saved.h"
#include "waypost/base/rd.h"
#include "waypost/plugin/change.h"

enum {
    ROUNDED_MS = 1000,
    READ_MS = 4, /* at a time: other mirrors may be followed meanwhile */
};

static struct wp_etcd_range_own *range_of(struct wp_grpc_timer *t, size_t offset)
{
    return (struct wp_etcd_range_own *)(void *)((char *)t - offset);
}

/* --- reading ------------------------------------------------------------------------------------
 */

static bool is_in_range(const struct wp_etcd_range_own *r, const char *key, size_t len)
{
    size_t base = strlen(r->base);

    return len >= base && memcmp(key, r->base, base) == 0 && (len == base || key[base] == '/');
}

/* The lease's end on the loops' clock. 0: it has ended, the second that etcd rounds off included. */
static uint64_t end_of(const struct wp_etcd_saved_lease *lease, uint64_t now_ns, int64_t now_ms)
{
    if (lease->end_ms <= now_ms - ROUNDED_MS)
        return 0;
    if (lease->end_ms <= now_ms)
        return now_ns - wp_etcd_ms((uint64_t)(now_ms - lease->end_ms));
    if (lease->end_ms - now_ms > UINT32_MAX)
        return now_ns + wp_etcd_ms(UINT32_MAX);
    return now_ns + wp_etcd_ms((uint64_t)(lease->end_ms - now_ms));
}

static struct wp_etcd_lease *lease_of(struct wp_etcd_mirror *m, int64_t id, uint64_t end)
{
    struct wp_etcd_lease *lease = wp_etcd_lease_get(m, id);
    uint64_t unknown = WP_ETCD_LEASE_UNKNOWN;

    /* what etcd itself has said is newer */
    if (lease != NULL && end != 0 && atomic_compare_exchange_strong(&lease->ends, &unknown, end))
        wp_etcd_lapse_at(m, lease, end + wp_etcd_ms(ROUNDED_MS));
    return lease;
}

static int on_record(void *arg, const uint8_t *rec, size_t len)
{
    struct wp_etcd_range_own *r = arg;
    struct wp_etcd_keep *k = &r->keep;
    struct wp_etcd_mirror *m = r->r.mirror;
    struct wp_etcd_lease *lease = NULL;
    struct wp_etcd_saved s;
    int e = wp_etcd_saved_read(rec, len, &s);

    if (e < 0)
        return e;
    if (!is_in_range(r, s.key, s.key_len))
        return WP_EMALFORMED;
    if (s.lease.id != 0) {
        uint64_t end = 0;
        if (s.lease.end_ms != 0) {
            end = end_of(&s.lease, m->g->now(), wp_state_clock_ms());
            if (end == 0) {
                k->n_lapsed++;
                return 0;
            }
        }
        lease = lease_of(m, s.lease.id, end);
        if (lease == NULL)
            return -ENOMEM;
    }
    /* revision 0: whatever etcd lists is newer, and is read */
    e = wp_etcd_tree_list_put(r->r.tree, s.key, s.key_len, &s.value, lease, 0);
    if (e != 1 && lease != NULL)
        wp_etcd_lease_put(m, lease);
    return e < 0 ? e : 0;
}

static void settle(struct wp_etcd_range_own *r)
{
    wp_state_close(r->keep.reader);
    r->keep.reader = NULL;
    atomic_store(&r->restoring, false);
    wp_etcd_settled(r->r.mirror);
    wp_etcd_step(r->r.mirror);
}

static void show(struct wp_etcd_range_own *r)
{
    struct wp_etcd_batch_size size;

    wp_etcd_tree_publish(r->r.tree, !r->published_once, &size);
    r->published_once = true;
    r->published_keys = wp_etcd_tree_keys(r->r.tree);
    r->published_octets = wp_etcd_tree_octets(r->r.tree);
    wp_etcd_apply_reap(r);
    wp_etcd_stats_update(r->r.mirror);
}

static void serve_saved(struct wp_etcd_range_own *r)
{
    struct wp_etcd_keep *k = &r->keep;
    struct wp_etcd_mirror *m = r->r.mirror;
    int64_t age_ms = wp_state_clock_ms() - k->info.known_ms;

    show(r);
    atomic_store_explicit(&r->r.saved_known_ns, (int64_t)m->g->now() - age_ms * 1000000,
                          memory_order_relaxed);
    atomic_store_explicit(&r->r.saved, true, memory_order_release);
    wp_changed(wp_etcd_range_state_key(&r->r));
    wp_state_serves(k->state, WP_STATE_SAVED, k->info.known_ms);
    wp_log(WP_INFO, "etcd",
           "%s%s: %zu keys of revision %lld, saved %.1f s ago, are served until etcd answers; %zu "
           "were left out because their lease has ended",
           m->name, r->base, wp_etcd_tree_keys(r->r.tree), (long long)k->revision,
           (double)(wp_state_clock_ms() - k->info.saved_ms) / 1e3, k->n_lapsed);
    settle(r);
}

static void give_up(struct wp_etcd_range_own *r)
{
    struct wp_etcd_batch_size size;

    /* a listing would do the same, but might not come for long */
    if (wp_etcd_tree_discard(r->r.tree) == 0)
        wp_etcd_tree_publish(r->r.tree, true, &size);
    wp_etcd_apply_reap(r);
    settle(r);
}

static bool is_too_large(const struct wp_etcd_range_own *r)
{
    uint64_t max = atomic_load_explicit(&r->r.mirror->max_octets, memory_order_relaxed);

    return max != 0 && wp_etcd_tree_octets(r->r.tree) > max;
}

static void read_on(struct wp_grpc_timer *t)
{
    struct wp_etcd_range_own *r = range_of(t, offsetof(struct wp_etcd_range_own, keep.timer));
    const struct wp_grpc_ops *g = r->r.mirror->g;
    uint64_t until = g->now() + wp_etcd_ms(READ_MS);
    int e;

    do
        e = wp_state_next(r->keep.reader, on_record, r);
    while (e == 1 && !is_too_large(r) && g->now() < until);
    if (e >= 0 && is_too_large(r))
        wp_log(WP_WARNING, "etcd", "%s is not used: it would take more than max-memory",
               wp_state_path(r->keep.state));
    if (e < 0 || is_too_large(r))
        give_up(r);
    else if (e == 1)
        g->timer_set(t, g->now());
    else
        serve_saved(r);
}

void wp_etcd_restore(struct wp_etcd_range_own *r)
{
    struct wp_etcd_keep *k = &r->keep;
    struct wp_rd rd;
    uint64_t high;

    if (k->state == NULL || wp_state_open(k->state, &k->info, &k->reader) < 0) {
        atomic_store(&r->restoring, false);
        wp_etcd_settled(r->r.mirror);
        return;
    }
    rd = wp_rd_from(k->info.meta, k->info.meta_len);
    high = wp_rd_u32(&rd);
    k->cluster_id = high << 32 | wp_rd_u32(&rd);
    high = wp_rd_u32(&rd);
    k->revision = (int64_t)(high << 32 | wp_rd_u32(&rd));
    k->n_lapsed = 0;
    k->timer.fn = read_on;
    read_on(&k->timer);
}

void wp_etcd_restore_stop(struct wp_etcd_range_own *r)
{
    struct wp_etcd_keep *k = &r->keep;

    if (k->reader == NULL)
        return;
    r->r.mirror->g->timer_cancel(&k->timer);
    wp_state_close(k->reader);
    k->reader = NULL;
    atomic_store(&r->restoring, false);
}

/* --- etcd answers
 * ---------------------------------------------------------------------------------
 */

void wp_etcd_restore_compare(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r,
                             const Etcd__Header *h)
{
    const struct wp_etcd_keep *k = &r->keep;
    bool is_other = h->cluster_id != k->cluster_id;

    if (wp_etcd_range_is_loaded(&r->r) || !wp_etcd_range_has_data(&r->r) || r->suspect)
        return;
    if (!is_other && h->revision >= k->revision)
        return;
    r->suspect = true;
    r->reason = is_other ? WP_ETCD_LOAD_CLUSTER_CHANGED : WP_ETCD_LOAD_REVISION_BACK;
    wp_log(WP_WARNING, "etcd", "%s: %s since the data was saved (revision %lld then, %lld now)",
           wp_etcd_endpoint_text(m),
           is_other ? "another cluster answers" : "the store went back in time",
           (long long)k->revision, (long long)h->revision);
}

void wp_etcd_restore_over(struct wp_etcd_range_own *r)
{
    if (r->keep.state == NULL)
        return;
    wp_etcd_restore_stop(r);
    wp_state_serves(r->keep.state, WP_STATE_LIVE, 0);
    if (atomic_load(&r->r.mirror->lost_ns) == 0)
        wp_etcd_keep_in_step(r->r.mirror, true); /* held back until now */
}
