/* The entries of a name: which keys count, in which order. */
#include <errno.h>

#include "backends/etcd/answer_priv.h"
#include "waypost/plugin/change.h"

enum { CHOSEN_FIRST = 64, CHOSEN_MAX = 16384 };

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

static bool is_match(const struct wp_etcd_entries *e, const struct wp_etcd_rec *r)
{
    return e->star == NULL || wp_etcd_path_match(e->star, wp_etcd_rec_key(r), r->key_len);
}

/* Any record of the name, matching or not. */
static const struct wp_etcd_rec *next_record(struct wp_etcd_answer *a, struct wp_etcd_entries *e)
{
    size_t before = a->budget < e->left ? a->budget : e->left, left = before;
    const struct wp_etcd_rec *r = NULL;

    if (e->only != NULL) {
        r = e->at == 0 ? e->only : NULL;
        e->at = 1;
        return r;
    }
    r = wp_etcd_walk_next(&e->walk, &left);
    a->budget -= before - left;
    e->left -= before - left;
    a->truncated |= r == NULL && left == 0;
    return r;
}

void wp_etcd_rewind(struct wp_etcd_entries *e)
{
    e->walk = e->begin;
    e->at = 0;
    e->left = WP_ETCD_PASS_MAX;
}

const struct wp_etcd_rec *wp_etcd_next(struct wp_etcd_answer *a, struct wp_etcd_entries *e)
{
    const struct wp_etcd_rec *r;

    if (e->chosen != NULL)
        return e->at < e->n_chosen ? e->chosen[e->at++] : NULL;
    while ((r = next_record(a, e)) != NULL)
        if (is_kept(r, e->qtype) && is_match(e, r))
            return r;
    return NULL;
}

struct tally {
    bool exists, valid, bad, grouped;
};

/* First pass: what there is. What is malformed hides itself, not its neighbours. */
static struct tally survey(struct wp_etcd_answer *a, struct wp_etcd_entries *e)
{
    struct tally t = {0};
    const struct wp_etcd_rec *r;

    while ((r = next_record(a, e)) != NULL) {
        t.exists = true;
        if (!is_match(e, r))
            continue;
        t.bad |= r->kind == WP_ETCD_BAD;
        t.valid |= r->kind != WP_ETCD_BAD;
        t.grouped |= (r->flags & WP_ETCD_REC_GROUP) != 0;
        if (t.valid && e->qtype == 0)
            break;
    }
    return t;
}

/* Groups compare all entries: collect them. */
static int choose(struct wp_etcd_answer *a, struct wp_etcd_entries *e)
{
    const struct wp_etcd_rec **all = NULL, *r;
    size_t n = 0, cap = 0;

    while ((r = wp_etcd_next(a, e)) != NULL) {
        if (n == CHOSEN_MAX) {
            a->truncated = true;
            break;
        }
        if (n == cap) {
            const struct wp_etcd_rec **more;
            cap = cap == 0 ? CHOSEN_FIRST : 4 * cap;
            more = wp_arena_alloc(a->arena, cap * sizeof(struct wp_etcd_rec *));
            if (more == NULL)
                return -ENOMEM;
            if (n > 0)
                memcpy(more, all, n * sizeof(struct wp_etcd_rec *));
            all = more;
        }
        all[n++] = r;
    }
    e->chosen = all;
    e->n_chosen = wp_etcd_group_filter(all, n);
    return 0;
}

static int gather(struct wp_etcd_answer *a, const char *path, size_t len, uint64_t hash,
                  const struct wp_etcd_path *star, enum wp_etcd_mode mode, uint16_t qtype,
                  struct wp_etcd_entries *e)
{
    const struct wp_etcd_snap *snap = &a->view->snap;
    struct tally tally = {0};
    int r = 0;

    *e = (struct wp_etcd_entries){.star = star, .qtype = qtype};
    a->depends(a->arg, wp_change_key(wp_etcd_tree_source(snap->tree), hash));
    if (mode == WP_ETCD_BELOW) {
        wp_etcd_snap_walk(snap, path, len, hash, &e->begin);
        wp_etcd_rewind(e);
        tally = survey(a, e);
    }
    if (!tally.exists && (e->only = wp_etcd_snap_key(snap, path, len, hash)) != NULL)
        tally = survey(a, e);
    wp_etcd_rewind(e);
    a->outcome = !tally.exists               ? WP_ETCD_NO_NAME
                 : tally.bad && !tally.valid ? WP_ETCD_FAILED
                                             : WP_ETCD_FOUND;
    if (a->outcome == WP_ETCD_FAILED)
        a->error = "etcd: every key of the name is malformed";
    if (tally.grouped && qtype != 0) {
        r = choose(a, e);
        e->at = 0;
    }
    return r;
}

int wp_etcd_gather(struct wp_etcd_answer *a, const struct wp_etcd_path *p, enum wp_etcd_mode mode,
                   uint16_t qtype, struct wp_etcd_entries *ret)
{
    return gather(a, p->text, p->stem_len, p->stem_hash, p->star ? p : NULL, mode, qtype, ret);
}

int wp_etcd_gather_place(struct wp_etcd_answer *a, const struct wp_etcd_place *p, uint16_t qtype,
                         struct wp_etcd_entries *ret)
{
    if (p->len > 0)
        return gather(a, p->text, p->len, p->hash, NULL, WP_ETCD_BELOW, qtype, ret);
    *ret = (struct wp_etcd_entries){0}; /* the name would be too long */
    a->outcome = WP_ETCD_NO_NAME;
    return 0;
}

int wp_etcd_gather_address(struct wp_etcd_answer *a, const struct wp_etcd_target *t, uint16_t qtype,
                           struct wp_etcd_entries *ret)
{
    const struct wp_etcd_view *v = a->view;

    if (wp_name_equal(t->name->wire, v->zone->name)) {
        int r = wp_etcd_gather_place(a, &v->zone->apex, qtype, ret);
        if (r < 0 || a->outcome != WP_ETCD_NO_NAME || v->no_apex_fallback)
            return r;
    }
    return wp_etcd_gather(a, &t->path, WP_ETCD_BELOW, qtype, ret);
}
