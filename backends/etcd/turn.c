/* Records out of sight and back, all of a lease or of a check at once: in a batch of their own,
 * which must not mix with what else is under way in the tree. */
#include <errno.h>
#include <string.h>

#include "backends/etcd/mirror_priv.h"

/* The range in whose tree the record is the one of its key. */
static struct wp_etcd_range_own *range_of(const struct wp_etcd_mirror *m,
                                          const struct wp_etcd_rec *rec)
{
    const char *key = wp_etcd_rec_key(rec);

    for (struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next) {
        size_t base = strlen(r->base);
        if (rec->key_len >= base && memcmp(key, r->base, base) == 0 &&
            wp_etcd_tree_newest(r->r.tree, key, rec->key_len) == rec)
            return r;
    }
    return NULL;
}

/* The open batch is something that is not whole yet, or may not be shown. */
static bool is_busy(const struct wp_etcd_range_own *r)
{
    return r->r.mirror->load.range == r || r->parts[0].in_fragment || r->parts[1].in_fragment ||
           r->held || atomic_load(&((struct wp_etcd_range_own *)(uintptr_t)r)->restoring);
}

/* What a session left half-way in the batch comes again in the next one. */
static int clear_batch(struct wp_etcd_range_own *r)
{
    if (r->turned || !r->published_once || !wp_etcd_tree_is_open(r->r.tree))
        return 0;
    return wp_etcd_tree_discard(r->r.tree);
}

int wp_etcd_turn(struct wp_etcd_mirror *m, struct wp_etcd_tied *tied, enum wp_etcd_tied_by by,
                 bool is_out, size_t *n)
{
    unsigned why = by == WP_ETCD_TIED_LEASE ? WP_ETCD_OUT_LAPSED : WP_ETCD_OUT_UNWELL;
    struct wp_etcd_rec *rec, *after;

    for (rec = tied->first; rec != NULL; rec = after) {
        struct wp_etcd_range_own *r = range_of(m, rec);
        unsigned out = is_out ? rec->out | why : rec->out & ~why;
        int e;
        after = wp_etcd_rec_tie(rec, by)->after; /* its copy is tied before it */
        if (r == NULL || rec->out == out)
            continue;
        if (is_busy(r))
            return -EAGAIN;
        e = clear_batch(r);
        if (e == 0)
            e = wp_etcd_tree_out(r->r.tree, rec, out);
        if (e < 0)
            return e;
        r->turned = true;
        (*n)++;
    }
    return 0;
}

void wp_etcd_turn_show(struct wp_etcd_mirror *m)
{
    struct wp_etcd_batch_size size;

    for (struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next) {
        if (!r->turned)
            continue;
        r->turned = false;
        if (!r->published_once)
            continue; /* with all the rest */
        wp_etcd_tree_publish(r->r.tree, false, &size);
        r->published_octets = wp_etcd_tree_octets(r->r.tree);
        wp_etcd_apply_reap(r);
    }
    wp_etcd_stats_update(m);
}
