/* Zones that two blocks (or keys) would serve in one place. The words and the order of tests
 * are CoreDNS's: an address that is bound and one that is not overlap; a block with a filter
 * (view) may repeat what others have, but is not remembered itself. */
#include <string.h>

#include "server/config/bind_priv.h"
#include "waypost/dns/name.h"

struct place {
    const struct wp_key *key; /* NULL: free slot */
    const char *address;      /* as bound, "" for the wildcard */
    const char *other;        /* of a wildcard slot made for overlaps: address of who made it */
};

/* Open addressing; one table for the places themselves, one keyed without address. */
struct table {
    struct place *slots;
    unsigned mask;
};

static bool is_same(const struct place *p, const struct wp_key *k, const char *address)
{
    return p->key->scheme == k->scheme && p->key->port == k->port &&
           wp_name_equal(p->key->zone, k->zone) && strcmp(p->address, address) == 0;
}

/* The slot of that place, or the free one where it goes. */
static struct place *find(const struct table *t, const struct wp_key *k, const char *address)
{
    uint64_t h = wp_hash_mix(wp_name_hash(k->zone), (uint64_t)k->scheme << 16 | k->port);
    unsigned at = (unsigned)wp_hash_mix(h, wp_hash_bytes(address, strlen(address))) & t->mask;

    while (t->slots[at].key != NULL && !is_same(&t->slots[at], k, address))
        at = (at + 1) & t->mask;
    return &t->slots[at];
}

static int make(struct table *t, struct wp_arena *arena, unsigned n)
{
    unsigned size = 2;

    while (size < 2 * n)
        size *= 2;
    t->slots = wp_arena_array(arena, size, sizeof(*t->slots));
    t->mask = size - 1;
    return t->slots != NULL ? 0 : -ENOMEM;
}

static const char *text(struct binder *b, const struct wp_key *k, const char *address)
{
    const char *s = wp_arena_printf(b->arena, "%s://%s:%u%s%s", wp_scheme_text(k->scheme), k->text,
                                    k->port, address[0] != '\0' ? " on " : "", address);

    return s != NULL ? s : "";
}

static void test(struct binder *b, const struct table *taken, const struct table *wild,
                 const struct wp_key *k, const char *address, bool filtered)
{
    struct place *exact = find(taken, k, address), *any = find(wild, k, "");
    const char *overlap = NULL;

    if (exact->key != NULL) {
        if (!filtered)
            wp_conf_report_add(b->report, WP_CONF_PLAIN, NULL, k->file, k->line,
                               "cannot serve %s - it is already defined", text(b, k, address));
        return;
    }
    if (any->key != NULL && address[0] == '\0')
        overlap = any->other;
    else if (any->key != NULL && find(taken, k, "")->key != NULL)
        overlap = "";
    if (overlap != NULL) {
        wp_conf_report_add(b->report, WP_CONF_PLAIN, NULL, k->file, k->line,
                           "cannot serve %s - zone overlap listener capacity with %s",
                           text(b, k, address), text(b, k, overlap));
        return;
    }
    if (filtered)
        return;
    *exact = (struct place){.key = k, .address = address};
    *any = (struct place){.key = k, .address = "", .other = address};
}

int conf_conflicts(struct binder *b, const struct wp_block *blocks, unsigned n)
{
    struct table taken, wild;
    unsigned places = 0;
    int r;

    for (unsigned i = 0; i < n; i++)
        places += blocks[i].n_keys * (blocks[i].set.n_bind > 0 ? blocks[i].set.n_bind : 1);
    r = make(&taken, b->arena, places);
    if (r == 0)
        r = make(&wild, b->arena, places);
    for (unsigned i = 0; r == 0 && i < n; i++) {
        const struct wp_block *bl = &blocks[i];

        for (unsigned k = 0; k < bl->n_keys; k++) {
            for (unsigned a = 0; a < bl->set.n_bind; a++)
                test(b, &taken, &wild, &bl->keys[k], bl->set.bind[a], bl->has_filter);
            if (!bl->set.bind_set)
                test(b, &taken, &wild, &bl->keys[k], "", bl->has_filter);
        }
    }
    return r;
}
