#include "backends/common/zone.h"

#include <stdlib.h>
#include "backends/common/zone_load.h"

struct wp_zone *wp_zone_ref(struct wp_zone *z)
{
    atomic_fetch_add_explicit(&z->refs, 1, memory_order_relaxed);
    return z;
}

void wp_zone_unref(struct wp_zone *z)
{
    if (z == NULL || atomic_fetch_sub_explicit(&z->refs, 1, memory_order_acq_rel) != 1)
        return;
    wp_zone_forget(z);
    free(z->order);
    wp_catalog_free(z->catalog);
    wp_arena_done(&z->arena);
    free(z);
}

struct wp_zone_ticket *wp_zone_ticket_new(void)
{
    return malloc(sizeof(struct wp_zone_ticket));
}

static void end_grace(struct wp_grace_item *item)
{
    struct wp_zone_ticket *t = (struct wp_zone_ticket *)item;

    wp_zone_unref(t->zone);
    free(t);
}

void wp_zone_retire(struct wp_zone *z, struct wp_zone_ticket *ticket)
{
    ticket->zone = z;
    wp_grace_retire(&ticket->grace, end_grace);
}

size_t wp_zone_octets(const struct wp_zone *z)
{
    return sizeof(*z) + wp_catalog_octets(z->catalog) + z->arena.used;
}
