/* The entries of a name: which keys count, in which order. */
#include <errno.h>

#include "backends/etcd/answer_priv.h"
#include "waypost/plugin/change.h"

static int push(struct wp_etcd_answer *a, struct wp_etcd_entries *e, const struct wp_etcd_rec *r)
{
    if (e->n == e->cap) {
        const struct wp_etcd_rec **at =
            wp_arena_alloc(a->arena, 4 * e->cap * sizeof(struct wp_etcd_rec *));
        if (at == NULL)
            return -ENOMEM;
        memcpy(at, e->at, e->n * sizeof(struct wp_etcd_rec *));
        e->at = at;
        e->cap *= 4;
    }
    e->at[e->n++] = r;
    return 0;
}

/* An entry without a host is of use for TXT only, and then it needs a text. */
static bool is_kept(const struct wp_etcd_rec *r, uint16_t qtype)
{
    switch (r->kind) {
    case WP_ETCD_A:
    case WP_ETCD_AAAA:
    case WP_ETCD_ALIAS:
        return true;
    case WP_ETCD_TEXT:
        return qtype == WP_TYPE_TXT || (r->flags & WP_ETCD_REC_HOST);
    default:
        return false;
    }
}

struct tally {
    bool exists, valid, bad, grouped;
};

/* What is malformed hides itself, not its neighbours. */
static int take(struct wp_etcd_answer *a, const struct wp_etcd_path *star,
                const struct wp_etcd_rec *r, uint16_t qtype, struct tally *tally,
                struct wp_etcd_entries *e)
{
    tally->exists = true;
    if (star != NULL && !wp_etcd_path_match(star, wp_etcd_rec_key(r), r->key_len))
        return 0;
    if (r->kind == WP_ETCD_BAD) {
        tally->bad = true;
        return 0;
    }
    tally->valid = true;
    if (!is_kept(r, qtype))
        return 0;
    tally->grouped |= (r->flags & WP_ETCD_REC_GROUP) != 0;
    return push(a, e, r);
}

static int gather(struct wp_etcd_answer *a, const char *path, size_t len, uint64_t hash,
                  const struct wp_etcd_path *star, enum wp_etcd_mode mode, uint16_t qtype,
                  struct wp_etcd_entries *e)
{
    const struct wp_etcd_rec *rec;
    struct tally tally = {0};
    struct wp_etcd_walk w;
    int r = 0;

    e->at = e->fixed;
    e->n = 0;
    e->cap = WP_COUNT(e->fixed);
    a->depends(a->arg, wp_change_key(wp_etcd_tree_source(a->view->snap.tree), hash));
    if (mode == WP_ETCD_BELOW) {
        wp_etcd_snap_walk(&a->view->snap, path, len, hash, &w);
        while (r == 0 && (rec = wp_etcd_walk_next(&w, &a->budget)) != NULL)
            r = take(a, star, rec, qtype, &tally, e);
        a->truncated |= a->budget == 0;
    }
    if (r == 0 && !tally.exists &&
        (rec = wp_etcd_snap_key(&a->view->snap, path, len, hash)) != NULL)
        r = take(a, star, rec, qtype, &tally, e);
    if (r < 0)
        return r;
    a->outcome = !tally.exists               ? WP_ETCD_NO_NAME
                 : tally.bad && !tally.valid ? WP_ETCD_FAILED
                                             : WP_ETCD_FOUND;
    if (a->outcome == WP_ETCD_FAILED)
        a->error = "etcd: every key of the name is malformed";
    if (tally.grouped)
        wp_etcd_group_filter(e);
    return 0;
}

int wp_etcd_gather(struct wp_etcd_answer *a, const struct wp_etcd_path *p, enum wp_etcd_mode mode,
                   uint16_t qtype, struct wp_etcd_entries *ret)
{
    return gather(a, p->text, p->stem_len, p->stem_hash, p->star ? p : NULL, mode, qtype, ret);
}

int wp_etcd_gather_place(struct wp_etcd_answer *a, const struct wp_etcd_place *p, uint16_t qtype,
                         struct wp_etcd_entries *ret)
{
    if (p->len == 0) {
        ret->n = 0;
        a->outcome = WP_ETCD_NO_NAME;
        return 0;
    }
    return gather(a, p->text, p->len, p->hash, NULL, WP_ETCD_BELOW, qtype, ret);
}

int wp_etcd_gather_address(struct wp_etcd_answer *a, const struct wp_etcd_target *t, uint16_t qtype,
                           struct wp_etcd_entries *ret)
{
    const struct wp_etcd_view *v = a->view;

    if (wp_name_equal(t->name.wire, v->zone->name)) {
        int r = wp_etcd_gather_place(a, &v->zone->apex, qtype, ret);
        if (r < 0 || a->outcome != WP_ETCD_NO_NAME || v->no_apex_fallback)
            return r;
    }
    return wp_etcd_gather(a, &t->path, WP_ETCD_BELOW, qtype, ret);
}
