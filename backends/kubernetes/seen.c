#include "backends/kubernetes/seen.h"

#include <errno.h>
#include <stdbool.h>

#include "waypost/base/arena.h"

enum { SLOTS_FIRST = 64 };

/* False: it was there. */
static bool put(uint64_t *slot, size_t mask, uint64_t hash)
{
    size_t at = hash & mask;

    while (slot[at] != 0) {
        if (slot[at] == hash)
            return false;
        at = (at + 1) & mask;
    }
    slot[at] = hash;
    return true;
}

/* At most half of the slots are used. */
static int grow(struct wp_kube_seen *s)
{
    size_t n = s->slot != NULL ? 4 * (s->mask + 1) : SLOTS_FIRST;
    uint64_t *slot = wp_arena_zalloc(s->arena, n * sizeof(*slot));

    if (slot == NULL)
        return -ENOMEM;
    if (s->slot == NULL) {
        for (size_t i = 0; i < s->n; i++)
            put(slot, n - 1, s->few[i]);
    } else {
        for (size_t i = 0; i <= s->mask; i++)
            if (s->slot[i] != 0)
                put(slot, n - 1, s->slot[i]);
    }
    s->slot = slot;
    s->mask = n - 1;
    return 0;
}

int wp_kube_seen_add(struct wp_kube_seen *s, uint64_t hash)
{
    bool is_new;

    hash += hash == 0;
    if (s->slot == NULL) {
        for (size_t i = 0; i < s->n; i++)
            if (s->few[i] == hash)
                return 0;
        if (s->n < WP_KUBE_SEEN_FEW) {
            s->few[s->n++] = hash;
            return 1;
        }
    }
    if ((s->slot == NULL || 2 * s->n > s->mask) && grow(s) < 0)
        return -ENOMEM;
    is_new = put(s->slot, s->mask, hash);
    s->n += is_new;
    return is_new;
}
