#include "backends/common/owner_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "waypost/base/arena.h"
#include "waypost/dns/name.h"

enum { SLOTS_FIRST = 64 };

int wp_owner_table_init(struct wp_owner_table *t, struct wp_arena *arena, size_t node_size)
{
    *t = (struct wp_owner_table){
        .arena = arena, .node_size = node_size, .mask = SLOTS_FIRST - 1, .last = &t->first};
    t->slots = calloc(SLOTS_FIRST, sizeof(struct wp_owner *));
    return t->slots != NULL ? 0 : -ENOMEM;
}

void wp_owner_table_done(struct wp_owner_table *t)
{
    free(t->slots);
    t->slots = NULL;
}

static struct wp_owner **slot_of(const struct wp_owner_table *t, const uint8_t *name, size_t len,
                                 uint64_t hash)
{
    for (size_t i = hash & t->mask;; i = (i + 1) & t->mask) {
        struct wp_owner *n = t->slots[i];

        if (n == NULL || (n->hash == hash && n->name_len == len && wp_name_equal(n->name, name)))
            return &t->slots[i];
    }
}

static int grow(struct wp_owner_table *t)
{
    size_t slots = (t->mask + 1) * 2;
    struct wp_owner **all = calloc(slots, sizeof(struct wp_owner *));

    if (all == NULL)
        return -ENOMEM;
    free(t->slots);
    t->slots = all;
    t->mask = slots - 1;
    for (struct wp_owner *n = t->first; n != NULL; n = n->next)
        *slot_of(t, n->name, n->name_len, n->hash) = n;
    return 0;
}

void *wp_owner_table_find(const struct wp_owner_table *t, const uint8_t *name, size_t len)
{
    return *slot_of(t, name, len, wp_name_hash(name));
}

void *wp_owner_table_get(struct wp_owner_table *t, const uint8_t *name, size_t len)
{
    uint64_t hash = wp_name_hash(name);
    struct wp_owner **slot, *n;
    uint8_t *copy;

    if (t->n >= t->mask / 4 * 3 && grow(t) < 0)
        return NULL;
    slot = slot_of(t, name, len, hash);
    if (*slot != NULL)
        return *slot;
    n = wp_arena_alloc(t->arena, t->node_size + len);
    if (n == NULL)
        return NULL;
    memset(n, 0, t->node_size);
    copy = (uint8_t *)n + t->node_size;
    memcpy(copy, name, len);
    wp_name_lower(copy, len);
    n->hash = hash;
    n->name = copy;
    n->name_len = (uint8_t)len;
    *slot = *t->last = n;
    t->last = &n->next;
    t->n++;
    return n;
}
