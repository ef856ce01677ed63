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
static const struct wp_etcd_rec *find_candidate(const struct wp_etcd_rec *const *at, size_t n,
                                                unsigned *ret_depth, size_t *ret_end)
{
    const struct wp_etcd_rec *candidate = at[0];
    unsigned depth = depth_of(candidate);
    size_t i;

    for (i = 1; i < n; i++) {
        unsigned d = depth_of(at[i]);
        if (d >= depth)
            continue;
        if (at[i]->group_len == 0) {
            i++; /* its own depth was still seen */
            break;
        }
        depth = d;
        candidate = at[i];
    }
    *ret_depth = depth;
    *ret_end = i;
    return candidate;
}

size_t wp_etcd_group_filter(const struct wp_etcd_rec **at, size_t n)
{
    const struct wp_etcd_rec *candidate;
    unsigned depth;
    size_t end, kept = 0;

    if (n == 0)
        return 0;
    candidate = find_candidate(at, n, &depth, &end);
    if (candidate->group_len == 0)
        return n;
    for (size_t i = 0; i < n && i < end; i++)
        if (at[i]->group_len > 0 && !same_group(at[i], candidate) && depth_of(at[i]) == depth)
            return n; /* the shallowest disagree: no group at all */
    for (size_t i = 0; i < n; i++)
        if (at[i]->group_len == 0 || same_group(at[i], candidate))
            at[kept++] = at[i];
    return kept;
}
