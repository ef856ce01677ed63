#include "backends/common/zone_table.h"

#include <errno.h>
#include <string.h>

int wp_zone_table_init(struct wp_zone_table *t, struct wp_arena *a,
                       struct wp_zone_slot *const *slots, unsigned n)
{
    unsigned size = 4;

    while (size < 2 * n)
        size *= 2;
    *t = (struct wp_zone_table){.mask = size - 1};
    t->slots = wp_arena_array(a, size, sizeof(struct wp_zone_slot *));
    if (t->slots == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++) {
        unsigned labels = (unsigned)wp_name_labels(slots[i]->origin.wire);
        unsigned at = (unsigned)wp_name_hash(slots[i]->origin.wire) & t->mask;

        while (t->slots[at] != NULL)
            at = (at + 1) & t->mask;
        t->slots[at] = slots[i];
        t->labels[labels >> 6] |= UINT64_C(1) << (labels & 63);
    }
    return 0;
}

static struct wp_zone_slot *probe(const struct wp_zone_table *t, const uint8_t *name, size_t len,
                                  uint64_t hash)
{
    for (unsigned i = (unsigned)hash & t->mask;; i = (i + 1) & t->mask) {
        struct wp_zone_slot *s = t->slots[i];

        if (s == NULL || (s->origin.len == len && memcmp(s->origin.wire, name, len) == 0))
            return s;
    }
}

struct wp_zone_slot *wp_zone_table_find(const struct wp_zone_table *t, const struct wp_qname *q)
{
    for (unsigned i = 0; i <= q->n_labels; i++) {
        unsigned labels = q->n_labels - i;
        struct wp_zone_slot *s;

        if (!(t->labels[labels >> 6] >> (labels & 63) & 1))
            continue;
        s = probe(t, q->wire + q->at[i], (size_t)(q->len - q->at[i]), q->suffix[i]);
        if (s != NULL)
            return s;
    }
    return NULL;
}

struct wp_zone_slot *wp_zone_table_get(const struct wp_zone_table *t, const uint8_t *origin)
{
    return probe(t, origin, wp_name_size(origin), wp_name_hash(origin));
}
