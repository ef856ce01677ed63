/* The common question: addresses of a name with a few entries, none an alias, none in a group. Its
 * records go straight into the reply; whatever is not of that kind is left to wp_etcd_answer. */
#include "backends/etcd/etcd.h"
#include "backends/etcd/mirror.h"
#include "waypost/base/wr.h"
#include "waypost/plugin/change.h"
#include "waypost/plugin/explain.h"

enum {
    ENTRIES_MAX = 16, /* so that looking for the same address twice stays cheap */
    RR_FIXED = 12,    /* pointer to the question name, type, class, TTL, length */
};

static bool is_plain(const struct wp_etcd_rec *r)
{
    return r->kind != WP_ETCD_ALIAS && !(r->flags & (WP_ETCD_REC_GROUP | WP_ETCD_REC_ODD));
}

static bool is_repeated(const struct wp_etcd_rec *const *at, size_t n)
{
    size_t len = wp_etcd_rec_addr_len(at[n]);

    for (size_t i = 0; i < n; i++)
        if (memcmp(wp_etcd_rec_addr(at[i]), wp_etcd_rec_addr(at[n]), len) == 0)
            return true;
    return false;
}

/* The entries of the kind, without repetition; false: not a common question. */
static bool collect(const struct wp_etcd_view *v, const struct wp_etcd_path *p,
                    enum wp_etcd_kind kind, const struct wp_etcd_rec *at[ENTRIES_MAX],
                    size_t *ret_n)
{
    size_t budget = ENTRIES_MAX, n = 0;
    const struct wp_etcd_rec *r;
    struct wp_etcd_walk w;

    wp_etcd_snap_walk(&v->snap, p->text, p->len, p->hash, &w);
    r = wp_etcd_walk_next(&w, &budget);
    if (r == NULL && budget > 0) { /* nothing below: the key of the name itself */
        r = wp_etcd_snap_key(&v->snap, p->text, p->len, p->hash);
        w.at = NULL;
    }
    for (; r != NULL; r = wp_etcd_walk_next(&w, &budget)) {
        if (!is_plain(r))
            return false;
        if (r->kind != kind)
            continue;
        at[n] = r;
        n += !is_repeated(at, n);
    }
    *ret_n = n;
    return n > 0 && budget > 0;
}

static uint8_t *put(uint8_t *to, uint16_t type, uint32_t ttl, const struct wp_etcd_rec *r)
{
    size_t len = wp_etcd_rec_addr_len(r);

    wp_put16(to, 0xc000 | WP_HEADER_LEN);
    wp_put16(to + 2, type);
    wp_put16(to + 4, WP_CLASS_IN);
    wp_put32(to + 6, ttl);
    wp_put16(to + 10, (unsigned)len);
    memcpy(to + RR_FIXED, wp_etcd_rec_addr(r), len);
    return to + RR_FIXED + len;
}

static void explain(struct wp_query *q, const struct wp_etcd_view *v,
                    const struct wp_etcd_path *path, const struct wp_etcd_range *range,
                    const struct wp_etcd_rec *const *at, size_t n)
{
    struct etcd_told *told = etcd_explain_begin(q, range, path, v->now_ns);

    for (size_t i = 0; i < n; i++)
        etcd_explain_record(q, told, range, at[i], v->now_ns);
}

int etcd_quick(struct wp_query *q, const struct wp_etcd_view *v, const struct wp_etcd_path *path,
               const struct wp_etcd_range *range)
{
    const struct wp_etcd_rec *at[ENTRIES_MAX];
    uint8_t *to;
    size_t n, size;

    wp_query_depends(q, wp_change_key(wp_etcd_tree_source(v->snap.tree), path->hash));
    if (!collect(v, path, q->msg.qtype == WP_TYPE_A ? WP_ETCD_A : WP_ETCD_AAAA, at, &n))
        return WP_STEP_NEXT;
    if (wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA) < 0)
        return WP_ESPACE;
    size = n * (RR_FIXED + wp_etcd_rec_addr_len(at[0]));
    to = wp_reply_room(q, size);
    if (to == NULL)
        return WP_ESPACE;
    for (size_t i = 0; i < n; i++)
        to = put(to, q->msg.qtype, wp_etcd_rec_ttl(at[i], &v->bounds, v->now_ns), at[i]);
    q->reply.len += (uint32_t)size;
    if (WP_UNLIKELY(wp_query_is_explained(q)))
        explain(q, v, path, range, at, n);
    q->reply.count[WP_ANSWER] = (uint16_t)n;
    return WP_STEP_DONE;
}
