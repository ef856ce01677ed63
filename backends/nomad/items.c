#include "backends/nomad/items.h"

#include <stdlib.h>
#include <string.h>

#include "backends/nomad/service.h"

enum { BUCKETS_FIRST = 64 };

int wp_nomad_items_init(struct wp_nomad_items *t)
{
    t->buckets = calloc(BUCKETS_FIRST, sizeof(t->buckets[0]));
    t->mask = BUCKETS_FIRST - 1;
    return t->buckets != NULL ? 0 : -ENOMEM;
}

void wp_nomad_items_done(struct wp_nomad_items *t)
{
    for (size_t b = 0; t->buckets != NULL && b <= t->mask; b++)
        for (struct wp_nomad_item *i = t->buckets[b], *next; i != NULL; i = next) {
            next = i->chain;
            free(i);
        }
    free(t->buckets);
    *t = (struct wp_nomad_items){0};
}

static struct wp_nomad_item *find(const struct wp_nomad_items *t, uint64_t hash, const char *name,
                                  size_t name_len, const char *namespace, size_t namespace_len)
{
    struct wp_nomad_item *i = t->buckets[hash & t->mask];

    while (i != NULL && (i->hash != hash || i->name_len != name_len ||
                         i->namespace_len != namespace_len ||
                         memcmp(i->text, name, name_len) != 0 ||
                         memcmp(i->text + name_len, namespace, namespace_len) != 0))
        i = i->chain;
    return i;
}

struct wp_nomad_item *wp_nomad_item_find(const struct wp_nomad_items *t, const char *name,
                                         size_t name_len, const char *namespace,
                                         size_t namespace_len)
{
    return find(t, wp_nomad_hash(name, name_len, namespace, namespace_len), name, name_len,
                namespace, namespace_len);
}

/* As many buckets as items. Without memory the chains get longer. */
static void spread(struct wp_nomad_items *t)
{
    size_t n = 2 * (t->mask + 1);
    struct wp_nomad_item **more = calloc(n, sizeof(*more));

    if (more == NULL)
        return;
    for (size_t b = 0; b <= t->mask; b++)
        for (struct wp_nomad_item *i = t->buckets[b], *next; i != NULL; i = next) {
            next = i->chain;
            i->chain = more[i->hash & (n - 1)];
            more[i->hash & (n - 1)] = i;
        }
    free(t->buckets);
    t->buckets = more;
    t->mask = n - 1;
}

static struct wp_nomad_item *add(struct wp_nomad_items *t, uint64_t hash, const char *name,
                                 size_t name_len, const char *namespace, size_t namespace_len)
{
    struct wp_nomad_item *i = calloc(1, sizeof(*i) + name_len + namespace_len);

    if (i == NULL)
        return NULL;
    i->hash = hash;
    i->name_len = (uint8_t)name_len;
    i->namespace_len = (uint8_t)namespace_len;
    memcpy(i->text, name, name_len);
    memcpy(i->text + name_len, namespace, namespace_len);
    if (t->n > t->mask)
        spread(t);
    i->chain = t->buckets[hash & t->mask];
    t->buckets[hash & t->mask] = i;
    t->n++;
    return i;
}

struct wp_nomad_item *wp_nomad_item_get(struct wp_nomad_items *t, const char *name, size_t name_len,
                                        const char *namespace, size_t namespace_len)
{
    uint64_t hash = wp_nomad_hash(name, name_len, namespace, namespace_len);
    struct wp_nomad_item *i = find(t, hash, name, name_len, namespace, namespace_len), *ns = NULL;

    if (i != NULL)
        return i;
    if (name_len > 0) {
        ns = wp_nomad_item_get(t, "", 0, namespace, namespace_len);
        if (ns == NULL)
            return NULL;
    }
    i = add(t, hash, name, name_len, namespace, namespace_len);
    if (i != NULL && ns != NULL) {
        i->namespace = ns;
        ns->n++;
    }
    return i;
}

void wp_nomad_item_free(struct wp_nomad_items *t, struct wp_nomad_item *i)
{
    struct wp_nomad_item **at = &t->buckets[i->hash & t->mask];

    wp_nomad_item_unqueue(t, i);
    wp_nomad_item_unasked(t, i);
    while (*at != i)
        at = &(*at)->chain;
    *at = i->chain;
    if (i->namespace != NULL)
        i->namespace->n--;
    t->n--;
    free(i);
}

void wp_nomad_item_each(struct wp_nomad_items *t, void (*fn)(void *arg, struct wp_nomad_item *i),
                        void *arg)
{
    for (size_t b = 0; b <= t->mask; b++)
        for (struct wp_nomad_item *i = t->buckets[b], *next; i != NULL; i = next) {
            next = i->chain;
            fn(arg, i);
        }
}

/* --- queues ------------------------------------------------------------------------------------ */

void wp_nomad_item_unqueue(struct wp_nomad_items *t, struct wp_nomad_item *i)
{
    if (i->queue == WP_NOMAD_UNQUEUED)
        return;
    *(i->prev != NULL ? &i->prev->next : &t->first[i->queue]) = i->next;
    *(i->next != NULL ? &i->next->prev : &t->last[i->queue]) = i->prev;
    i->next = i->prev = NULL;
    i->queue = WP_NOMAD_UNQUEUED;
}

void wp_nomad_item_queue(struct wp_nomad_items *t, struct wp_nomad_item *i, enum wp_nomad_queue q)
{
    if (i->queue == WP_NOMAD_URGENT || i->queue == q)
        return;
    wp_nomad_item_unqueue(t, i);
    i->queue = (uint8_t)q;
    i->prev = t->last[q];
    *(i->prev != NULL ? &i->prev->next : &t->first[q]) = i;
    t->last[q] = i;
}

void wp_nomad_item_unasked(struct wp_nomad_items *t, struct wp_nomad_item *i)
{
    if (!i->on_demand)
        return;
    *(i->sooner != NULL ? &i->sooner->later : &t->oldest) = i->later;
    *(i->later != NULL ? &i->later->sooner : &t->newest) = i->sooner;
    i->later = i->sooner = NULL;
    i->on_demand = false;
    t->n_on_demand--;
}

void wp_nomad_item_asked(struct wp_nomad_items *t, struct wp_nomad_item *i)
{
    wp_nomad_item_unasked(t, i);
    i->on_demand = true;
    i->sooner = t->newest;
    *(t->newest != NULL ? &t->newest->later : &t->oldest) = i;
    t->newest = i;
    t->n_on_demand++;
}
