/* Groups: the shallowest keys of a name may restrict it to entries of one group. */
#include "backends/etcd/answer_priv.h"

static unsigned depth_of(const struct wp_etcd_rec *r)
{
    const char *key = wp_etcd_rec_key(r);
    unsigned n = 1; /* the prefix's own slash: no key has depth 0 */

    for (size_t i = 0; i < r->key_len; i++)
        n += key[i] == '/';
    return n;
}

static bool same_group(const struct wp_etcd_rec *a, const struct wp_etcd_rec *b)
{
    return a->group_len == b->group_len &&
           memcmp(wp_etcd_rec_group(a), wp_etcd_rec_group(b), a->group_len) == 0;
}

/* The entry whose group decides: the first, or a shallower one behind it; the search ends at a
 * shallower one without a group. *ret_end: entries from here on have no depth of their own. */
static const struct wp_etcd_rec *find_candidate(const struct wp_etcd_entries *e,
                                                unsigned *ret_depth, size_t *ret_end)
{
    const struct wp_etcd_rec *candidate = e->at[0];
    unsigned depth = depth_of(candidate);
    size_t i;

    for (i = 1; i < e->n; i++) {
        unsigned d = depth_of(e->at[i]);
        if (d >= depth)
            continue;
        if (e->at[i]->group_len == 0) {
            i++; /* its own depth was still seen */
            break;
        }
        depth = d;
        candidate = e->at[i];
    }
    *ret_depth = depth;
    *ret_end = i;
    return candidate;
}

void wp_etcd_group_filter(struct wp_etcd_entries *e)
{
    const struct wp_etcd_rec *candidate;
    unsigned depth;
    size_t end, n = 0;

    if (e->n == 0)
        return;
    candidate = find_candidate(e, &depth, &end);
    if (candidate->group_len == 0)
        return;
    for (size_t i = 0; i < e->n && i < end; i++)
        if (e->at[i]->group_len > 0 && !same_group(e->at[i], candidate) &&
            depth_of(e->at[i]) == depth)
            return; /* the shallowest disagree: no group at all */
    for (size_t i = 0; i < e->n; i++)
        if (e->at[i]->group_len == 0 || same_group(e->at[i], candidate))
            e->at[n++] = e->at[i];
    e->n = n;
}
