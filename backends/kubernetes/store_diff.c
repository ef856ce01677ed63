#include <errno.h>
#include <stdlib.h>

#include "backends/kubernetes/store_priv.h"

/* Shell's: a slice has a hundred addresses, for which qsort takes four times as long. Hashes are in
 * no order that would make it slow. */
static void sort(uint64_t *at, size_t n)
{
    static const size_t gaps[] = {46408, 20397, 8929, 3905, 1750, 701, 301, 132, 57, 23, 10, 4, 1};

    for (size_t g = 0; g < WP_COUNT(gaps); g++)
        for (size_t i = gaps[g]; i < n; i++) {
            uint64_t x = at[i];
            size_t k = i;
            for (; k >= gaps[g] && at[k - gaps[g]] > x; k -= gaps[g])
                at[k] = at[k - gaps[g]];
            at[k] = x;
        }
}

/* Sorted, each hash once. */
static void settle(struct wp_kube_set *set)
{
    size_t kept = 0;

    sort(set->at, set->n);
    for (size_t i = 0; i < set->n; i++)
        if (kept == 0 || set->at[kept - 1] != set->at[i])
            set->at[kept++] = set->at[i];
    set->n = kept;
}

int wp_kube_set_of_slice(struct wp_kube_store *s, const struct wp_kube_slice *slice, bool alone,
                         struct wp_kube_set *ret)
{
    ret->n = slice != NULL ? slice->n : 0;
    ret->at = wp_arena_array(&s->scratch, ret->n + 1, sizeof(ret->at[0]));
    if (ret->at == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < ret->n; i++) {
        struct wp_kube_addr a = wp_kube_slice_addr(slice, i);
        uint8_t room[16];
        char text[WP_KUBE_TEXT_MAX];
        if (a.len == 0) { /* in a slice of texts there may be IPs; they must have one hash */
            size_t len = wp_kube_addr_text(&a, text);
            a = wp_kube_addr_from_text(text, len, room);
        }
        ret->at[i] = wp_kube_addr_hash(&a);
    }
    if (!alone)
        settle(ret);
    return 0;
}

int wp_kube_set_of_list(struct wp_kube_store *s, struct wp_kube_text packed,
                        struct wp_kube_set *ret)
{
    struct wp_kube_cursor c = {(const uint8_t *)packed.at, (const uint8_t *)packed.at + packed.len};
    struct wp_kube_cursor again = c;
    struct wp_kube_addr a;

    for (ret->n = 0; wp_kube_addr_next(&c, &a); ret->n++)
        ;
    ret->at = wp_arena_array(&s->scratch, ret->n + 1, sizeof(ret->at[0]));
    if (ret->at == NULL)
        return -ENOMEM;
    for (size_t i = 0; wp_kube_addr_next(&again, &a); i++)
        ret->at[i] = wp_kube_addr_hash(&a);
    settle(ret);
    return 0;
}

/* Calls fn for what is in a and not in b. */
static void without(const struct wp_kube_move *m, const struct wp_kube_set *a,
                    const struct wp_kube_set *b,
                    void (*fn)(struct wp_kube_index *x, uint64_t hash, uint64_t value))
{
    for (size_t i = 0, k = 0; i < a->n; i++) {
        while (k < b->n && b->at[k] < a->at[i])
            k++;
        if (k == b->n || b->at[k] != a->at[i])
            fn(m->index, a->at[i], m->value);
    }
}

void wp_kube_move_in(const struct wp_kube_move *m)
{
    for (size_t i = 0; i < m->to.n; i++)
        wp_kube_index_expect(m->index, m->to.at[i]);
    without(m, &m->to, &m->from, wp_kube_index_add);
}

void wp_kube_move_out(const struct wp_kube_move *m)
{
    without(m, &m->from, &m->to, wp_kube_index_remove);
}

static void mark(struct wp_kube_index *x, uint64_t hash, uint64_t value)
{
    (void)x;
    wp_changed(wp_kube_key(value, WP_KUBE_KEY_ADDR, hash));
}

void wp_kube_move_mark(const struct wp_kube_store *s, const struct wp_kube_move *m, bool all)
{
    const struct wp_kube_set none = {NULL, 0};
    struct wp_kube_move marks = *m;

    marks.value = s->source;
    without(&marks, &m->to, all ? &none : &m->from, mark);
    without(&marks, &m->from, &m->to, mark);
}
