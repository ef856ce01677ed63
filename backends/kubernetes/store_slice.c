#include <errno.h>
#include <stdlib.h>

#include "backends/kubernetes/store_priv.h"

static const enum wp_kube_collection collection_of[WP_KUBE_VIEWS] = {
    [WP_KUBE_LOCAL] = WP_KUBE_SLICES,
    [WP_KUBE_CLUSTERSET] = WP_KUBE_IMPORT_SLICES,
};

static struct wp_kube_slice *slice_of(const struct wp_kube_member *m)
{
    return m == NULL ? NULL
                     : atomic_load_explicit(&((struct wp_kube_member *)(uintptr_t)m)->slice,
                                            memory_order_relaxed);
}

const struct wp_kube_slice *wp_kube_member_slice(const struct wp_kube_member *m)
{
    return slice_of(m);
}

struct wp_kube_member *wp_kube_member_find(const struct wp_kube_store *s, enum wp_kube_view v,
                                           struct wp_kube_text ns, struct wp_kube_text name)
{
    const struct wp_kube_table *t = wp_kube_index_table(&s->members[v]);
    uint64_t hash = wp_kube_object_hash(ns, name), value;
    size_t at = 0;

    while ((value = wp_kube_table_next(t, hash, &at)) != 0) {
        struct wp_kube_member *m = wp_kube_pointer(value);
        if (wp_kube_text_equal(wp_kube_slice_object(slice_of(m)), name) &&
            wp_kube_text_equal(wp_kube_slice_namespace(slice_of(m)), ns))
            return m;
    }
    return NULL;
}

/* One change of a slice: the places that it leaves and enters, which may be the same one. */
struct change {
    enum wp_kube_view view;
    struct wp_kube_member *member;
    struct wp_kube_slice *from, *to; /* NULL: comes, goes */
    struct wp_kube_place *leaves, *enters;
    struct wp_kube_place *left, *entered; /* what comes in their places; NULL: nothing is left */
    struct wp_kube_move move;
};

static struct wp_kube_place *place_of(const struct wp_kube_store *s,
                                      const struct wp_kube_slice *slice)
{
    if (slice == NULL || slice->place == 0)
        return NULL;
    return wp_kube_place_of(s, slice->place, wp_kube_slice_namespace(slice),
                            wp_kube_slice_service(slice));
}

static bool same_place(const struct wp_kube_slice *a, const struct wp_kube_slice *b)
{
    return a->place == b->place &&
           wp_kube_text_equal(wp_kube_slice_service(a), wp_kube_slice_service(b));
}

/* The place that it enters, which may be the one that it leaves, too. */
static int make_entered(struct wp_kube_store *s, struct change *c, struct wp_kube_namespace *ns)
{
    bool stays = c->from != NULL && same_place(c->from, c->to);
    struct wp_kube_place_parts a;

    c->enters = place_of(s, c->to);
    if (c->enters == NULL && wp_kube_index_reserve(&s->places, 1) < 0)
        return -ENOMEM;
    a = c->enters != NULL ? wp_kube_place_take(c->enters)
                          : wp_kube_place_empty(c->to->place, ns, wp_kube_slice_service(c->to));
    a.view = c->view;
    a.in = c->to;
    a.out = stays ? c->from : NULL;
    c->entered = wp_kube_place_new(&a);
    return c->entered == NULL ? -ENOMEM : 0;
}

static int make_left(const struct wp_kube_store *s, struct change *c)
{
    struct wp_kube_place_parts a;

    c->leaves = place_of(s, c->from);
    if (c->leaves == NULL)
        return 0;
    a = wp_kube_place_take(c->leaves);
    a.view = c->view;
    a.out = c->from;
    if (wp_kube_place_parts_empty(&a))
        return 0;
    c->left = wp_kube_place_new(&a);
    return c->left == NULL ? -ENOMEM : 0;
}

/* Everything that can fail. Nothing is visible yet. ns: of the slice that comes. */
static int prepare(struct wp_kube_store *s, struct change *c, struct wp_kube_namespace *ns)
{
    bool indexed = c->view == WP_KUBE_LOCAL; /* imports are not found by address */
    bool alone = c->from == NULL || c->to == NULL;

    c->move = (struct wp_kube_move){.index = &s->endpoints, .value = wp_kube_value(c->member)};
    if (wp_kube_set_of_slice(s, indexed ? c->from : NULL, alone, &c->move.from) < 0 ||
        wp_kube_set_of_slice(s, indexed ? c->to : NULL, alone, &c->move.to) < 0 ||
        (c->move.to.n > 0 && wp_kube_index_reserve(&s->endpoints, c->move.to.n) < 0))
        return -ENOMEM;
    if (c->to != NULL && c->to->place != 0 && make_entered(s, c, ns) < 0)
        return -ENOMEM;
    if (c->from != NULL && c->from->place != 0 && !(c->to != NULL && same_place(c->from, c->to)) &&
        make_left(s, c) < 0) {
        free(c->entered);
        return -ENOMEM;
    }
    return 0;
}

static void commit(struct wp_kube_store *s, struct change *c)
{
    /* Names may stay while the addresses do not, and the other way round: where names are
     * stored, or the service is another one, what every address leads to may have changed. */
    bool all = c->from != NULL && c->to != NULL &&
               (c->from->has_names || c->to->has_names || !same_place(c->from, c->to));

    wp_kube_move_in(&c->move);
    if (c->to != NULL)
        atomic_store_explicit(&c->member->slice, c->to, memory_order_release);
    if (c->entered != NULL)
        wp_kube_place_swap(s, c->enters, c->entered);
    if (c->leaves != NULL)
        wp_kube_place_swap(s, c->leaves, c->left);
    wp_kube_move_out(&c->move);
    wp_kube_move_mark(s, &c->move, all);
    if (c->from != NULL) {
        wp_kube_count(&s->octets[collection_of[c->view]], -wp_kube_heap(c->from->size));
        wp_kube_count(&s->n_endpoints, -(ptrdiff_t)c->from->n);
        wp_kube_bury(s, c->from);
    }
    if (c->to != NULL) {
        wp_kube_count(&s->octets[collection_of[c->view]], wp_kube_heap(c->to->size));
        wp_kube_count(&s->n_endpoints, c->to->n);
    }
}

static void came_or_went(struct wp_kube_store *s, enum wp_kube_view v, int by, uint32_t now_s)
{
    wp_kube_count(&s->objects[collection_of[v]], by);
    wp_kube_count(&s->octets[collection_of[v]], by * wp_kube_heap(sizeof(struct wp_kube_member)));
    wp_kube_serial_set(s, WP_KUBE_SERIAL_INTERNAL, now_s);
    if (v == WP_KUBE_CLUSTERSET)
        wp_kube_serial_set(s, WP_KUBE_SERIAL_MULTICLUSTER, now_s);
}

static int put_new(struct wp_kube_store *s, struct change *c, struct wp_kube_namespace *ns,
                   uint64_t hash, uint32_t now_s)
{
    if (wp_kube_index_reserve(&s->members[c->view], 1) < 0)
        return -ENOMEM;
    c->member = malloc(sizeof(*c->member));
    if (c->member == NULL)
        return -ENOMEM;
    *c->member = (struct wp_kube_member){.hash = hash};
    atomic_init(&c->member->slice, c->to); /* never NULL for who finds it */
    if (prepare(s, c, ns) < 0) {
        free(c->member);
        return -ENOMEM;
    }
    commit(s, c);
    wp_kube_index_add(&s->members[c->view], hash, wp_kube_value(c->member));
    came_or_went(s, c->view, 1, now_s);
    return 0;
}

static int put_over(struct wp_kube_store *s, struct change *c, struct wp_kube_namespace *ns,
                    uint32_t now_s)
{
    if (prepare(s, c, ns) < 0)
        return -ENOMEM;
    commit(s, c);
    wp_kube_serial_set(
        s, c->view == WP_KUBE_LOCAL ? WP_KUBE_SERIAL_INTERNAL : WP_KUBE_SERIAL_MULTICLUSTER, now_s);
    return 0;
}

static int put(struct wp_kube_store *s, const struct wp_kube_object *o, struct change *c,
               struct wp_kube_namespace *ns, uint32_t now_s)
{
    int r;

    c->to = wp_kube_slice_new(o);
    if (c->to == NULL)
        return -ENOMEM;
    c->from = slice_of(c->member);
    if (c->from != NULL && c->from->size == c->to->size &&
        memcmp(c->from, c->to, c->to->size) == 0) {
        free(c->to);
        return 0;
    }
    r = c->member != NULL ? put_over(s, c, ns, now_s)
                          : put_new(s, c, ns, wp_kube_object_hash(o->ns, o->name), now_s);
    if (r < 0)
        free(c->to);
    return r;
}

int wp_kube_slice_put(struct wp_kube_store *s, const struct wp_kube_object *o, uint32_t now_s)
{
    struct change c = {.view = o->collection == WP_KUBE_IMPORT_SLICES ? WP_KUBE_CLUSTERSET
                                                                      : WP_KUBE_LOCAL};
    uint64_t version = wp_kube_version(o->resource_version);
    struct wp_kube_namespace *ns;
    int r;

    c.member = wp_kube_member_find(s, c.view, o->ns, o->name);
    if (c.member != NULL && version != 0 && c.member->version == version) {
        c.member->mark = s->listing[o->collection];
        return 0;
    }
    if (wp_kube_namespace_get(s, o->ns, &ns) < 0)
        return -ENOMEM;
    ns->refs++; /* until it is decided */
    r = put(s, o, &c, ns, now_s);
    wp_kube_namespace_drop(s, ns);
    if (r < 0)
        return r;
    c.member->version = version;
    c.member->mark = s->listing[o->collection];
    return 1;
}

int wp_kube_slice_remove(struct wp_kube_store *s, enum wp_kube_view v, struct wp_kube_member *m,
                         uint32_t now_s)
{
    struct change c = {.view = v, .member = m, .from = slice_of(m)};

    if (prepare(s, &c, NULL) < 0)
        return -ENOMEM;
    wp_kube_index_remove(&s->members[v], m->hash, wp_kube_value(m));
    commit(s, &c);
    wp_kube_bury(s, m);
    came_or_went(s, v, -1, now_s);
    return 1;
}
