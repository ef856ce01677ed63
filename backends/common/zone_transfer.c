/* A zone given away: its SOA's and NS's signatures first, then name by name in canonical order
 * (RFC 4034 s6.1), as CoreDNS does. The version is held until the transfer ends: it cannot change.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "backends/common/zone_priv.h"
#include "waypost/base/rd.h"
#include "waypost/plugin/transfer.h"

/* --- the order ------------------------------------------------------------------------------- */

/* Comparing names is mostly waiting for memory. Most are told apart by the beginning of the label
 * next to the origin; where that is the same, the names decide. */
struct sorted {
    uint64_t key;
    const struct wp_entry *entry;
};

static uint64_t key_of(const struct wp_entry *e, size_t origin_len)
{
    const uint8_t *label = wp_entry_name(e);
    size_t left = e->name_len;
    uint64_t key = 0;

    if (left == origin_len)
        return 0;
    while (left - label[0] - 1 > origin_len) {
        left -= (size_t)label[0] + 1;
        label += label[0] + 1;
    }
    for (unsigned i = 0; i < 8; i++)
        key = key << 8 | (i < label[0] ? label[1 + i] : 0);
    return key;
}

static int compare(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return wp_name_compare(wp_entry_name(x->entry), wp_entry_name(y->entry));
}

struct gathered {
    struct sorted *at;
    size_t n, origin_len;
};

static int gather(void *arg, const struct wp_entry *e)
{
    struct gathered *g = arg;

    if (e->n_sets > 0)
        g->at[g->n++] = (struct sorted){key_of(e, g->origin_len), e};
    return 0;
}

static int sort_names(struct wp_zone *z)
{
    size_t names = wp_catalog_names(z->catalog);
    struct gathered g = {.at = malloc((names + 1) * sizeof(struct sorted)),
                         .origin_len = z->origin.len};
    const struct wp_entry **order;

    if (g.at == NULL)
        return -ENOMEM;
    wp_catalog_each(z->catalog, gather, &g);
    qsort(g.at, g.n, sizeof(*g.at), compare);
    order = malloc((g.n + 1) * sizeof(const struct wp_entry *));
    if (order != NULL) {
        for (size_t i = 0; i < g.n; i++)
            order[i] = g.at[i].entry;
        z->n_order = g.n;
        atomic_store_explicit(&z->order, order, memory_order_release);
    }
    free(g.at);
    return order == NULL ? -ENOMEM : 0;
}

int wp_zone_make_order(struct wp_zone *z)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* blocks may share a zone */
    int r = 0;

    pthread_mutex_lock(&lock);
    if (atomic_load_explicit(&z->order, memory_order_relaxed) == NULL)
        r = sort_names(z);
    pthread_mutex_unlock(&lock);
    return r;
}

/* --- the records ----------------------------------------------------------------------------- */

enum { HEAD = 12 }; /* of a stored record: pointer, type, class, TTL, rdlength */

struct source {
    struct wp_zone *zone;
    const struct wp_entry *const *order;
    size_t name;    /* in order; the apex's SOA and NS come before */
    unsigned set;   /* of the name */
    size_t at;      /* in the set's body */
    unsigned first; /* of the sets that come before */
};

/* From src->at on. False: the message is full. */
static bool put_set(struct source *src, const struct wp_entry *e, const struct wp_set *s,
                    struct wp_transfer_out *out)
{
    const uint8_t *body = wp_entry_body(e, s);

    while (src->at < s->len) {
        const uint8_t *rr = body + src->at;
        size_t rdlen = wp_be16(rr + 10);

        if (!wp_transfer_put(out, wp_entry_name(e), wp_be16(rr + 2), wp_be32(rr + 6), rr + HEAD,
                             rdlen))
            return false;
        src->at += HEAD + rdlen;
    }
    src->at = 0;
    return true;
}

/* What stands behind the SOA, whatever comes first in the order. */
static bool put_first(struct source *src, struct wp_transfer_out *out)
{
    static const struct {
        uint16_t type, variant;
    } first[] = {
        {WP_TYPE_SOA, WP_ZONE_SIGS}, {WP_TYPE_NS, WP_ZONE_DATA}, {WP_TYPE_NS, WP_ZONE_SIGS}};
    const struct wp_entry *apex = src->zone->apex;

    for (; src->first < WP_COUNT(first); src->first++) {
        const struct wp_set *s =
            wp_entry_set_variant(apex, first[src->first].type, first[src->first].variant);

        if (s != NULL && !put_set(src, apex, s, out))
            return false;
    }
    return true;
}

static bool is_put(const struct source *src, const struct wp_entry *e, const struct wp_set *s)
{
    return e == src->zone->apex && (s->type == WP_TYPE_SOA || s->type == WP_TYPE_NS);
}

static int next(void *source, struct wp_transfer_out *out)
{
    struct source *src = source;

    if (!put_first(src, out))
        return WP_STEP_NEXT;
    for (; src->name < src->zone->n_order; src->name++) {
        const struct wp_entry *e = src->order[src->name];

        for (; src->set < e->n_sets; src->set++) {
            if (!is_put(src, e, &e->sets[src->set]) && !put_set(src, e, &e->sets[src->set], out))
                return WP_STEP_NEXT;
        }
        src->set = 0;
    }
    return WP_STEP_DONE;
}

static void end(void *source)
{
    wp_zone_unref(((struct source *)source)->zone);
}

int wp_zone_transfer(struct wp_zone *z, struct wp_query *q, struct wp_transfer *ret)
{
    const struct wp_set *soa = wp_entry_set(z->apex, WP_TYPE_SOA);
    const uint8_t *rr = wp_entry_body(z->apex, soa);
    const struct wp_entry *const *order = atomic_load_explicit(&z->order, memory_order_acquire);
    struct source *src;

    if (order == NULL)
        return WP_ESTATE;
    if (z->n_long > 0)
        return WP_ELIMIT;
    src = wp_arena_zalloc(q->arena, sizeof(*src));
    if (src == NULL)
        return -ENOMEM;
    src->zone = wp_zone_ref(z);
    src->order = order;
    *ret = (struct wp_transfer){.serial = z->serial,
                                .soa = rr + HEAD,
                                .soa_len = wp_be16(rr + 10),
                                .soa_ttl = wp_be32(rr + 6),
                                .source = src,
                                .next = next,
                                .end = end};
    return 0;
}
