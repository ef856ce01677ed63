/* Which zone of a list holds a name. Short lists are read through; long ones have an index by the
 * hashes that the name brings along, so that the cost follows the name's labels, not the list. */
#include "server/config/bind_priv.h"
#include "waypost/dns/name.h"

enum { INDEX_FROM = 9 }; /* zones; below, reading them is cheaper */

struct wp_zone_index {
    unsigned n;      /* length of the list it was made for */
    unsigned mask;   /* slots - 1 */
    uint32_t slot[]; /* position + 1; 0: free */
};

int conf_zones_index(struct wp_arena *arena, struct wp_zones *z)
{
    struct wp_zone_index *index;
    unsigned slots = 16;

    z->index = NULL;
    if (z->n < INDEX_FROM)
        return 0;
    while (slots < 2 * z->n)
        slots *= 2;
    index = wp_arena_zalloc(arena, sizeof(*index) + slots * sizeof(index->slot[0]));
    if (index == NULL)
        return -ENOMEM;
    index->n = z->n;
    index->mask = slots - 1;
    for (unsigned i = 0; i < z->n; i++) {
        unsigned at = (unsigned)wp_name_hash(z->zone[i]) & index->mask;

        while (index->slot[at] != 0)
            at = (at + 1) & index->mask;
        index->slot[at] = i + 1;
    }
    z->index = index;
    return 0;
}

static const uint8_t *match_index(const struct wp_zones *z, const struct wp_qname *q)
{
    const struct wp_zone_index *index = z->index;

    for (unsigned i = 0; i <= q->n_labels; i++) {
        for (unsigned at = (unsigned)q->suffix[i] & index->mask; index->slot[at] != 0;
             at = (at + 1) & index->mask) {
            const uint8_t *zone = z->zone[index->slot[at] - 1];

            if (wp_name_equal(zone, q->wire + q->at[i]))
                return zone;
        }
    }
    return NULL;
}

const uint8_t *wp_zones_match(const struct wp_zones *z, const struct wp_qname *q)
{
    const uint8_t *best = NULL;
    int best_labels = -1;

    if (z->index != NULL && z->index->n == z->n)
        return match_index(z, q);
    for (unsigned i = 0; i < z->n; i++) {
        int labels = wp_name_labels(z->zone[i]);

        if (labels <= best_labels || labels > q->n_labels)
            continue;
        if (wp_name_equal(q->wire + q->at[q->n_labels - labels], z->zone[i])) {
            best = z->zone[i];
            best_labels = labels;
        }
    }
    return best;
}

bool wp_fall_through(const struct wp_fall *f, const struct wp_qname *q)
{
    return f->on && (f->zones.n == 0 || wp_zones_match(&f->zones, q) != NULL);
}
