/* From the question name to the server block: longest zone match by suffix hash (the hashes
 * were made while the name was read), with CoreDNS's rules for DS, class and opcode. */
#include "server/router/router_priv.h"

#include "waypost/server/listener.h"

static struct wp_route_zone *slot_for(struct wp_route *r, uint64_t hash, const uint8_t *name,
                                      size_t len)
{
    for (unsigned i = (unsigned)hash & r->mask;; i = (i + 1) & r->mask) {
        struct wp_route_zone *z = &r->slots[i];

        if (z->name == NULL || (z->hash == hash && z->len == len && memcmp(z->name, name, len) == 0))
            return z;
    }
}

static bool has_key_of(const struct wp_block *b, const struct wp_group *g, const struct wp_key *k)
{
    (void)b;
    return k->scheme == g->scheme && k->port == g->port;
}

static int add_block(struct wp_arena *arena, struct wp_route *r, const struct wp_block *b,
                     const struct wp_key *k)
{
    size_t len = wp_name_size(k->zone);
    struct wp_route_zone *z = slot_for(r, wp_name_hash(k->zone), k->zone, len);
    const struct wp_block **more;

    if (z->name == NULL) {
        z->name = k->zone;
        z->len = (uint8_t)len;
        z->hash = wp_name_hash(k->zone);
        z->n_labels = (uint8_t)wp_name_labels(k->zone);
        r->labels[z->n_labels >> 6] |= (uint64_t)1 << (z->n_labels & 63);
        r->n_zones++;
        if (z->n_labels == 0)
            r->root = z;
    }
    for (unsigned i = 0; i < z->n_blocks; i++) {
        if (z->blocks[i] == b)
            return 0;
    }
    more = wp_arena_array(arena, z->n_blocks + 1, sizeof(*more));
    if (more == NULL)
        return -ENOMEM;
    if (z->n_blocks > 0)
        memcpy(more, z->blocks, z->n_blocks * sizeof(*more));
    more[z->n_blocks++] = b;
    z->blocks = more;
    return 0;
}

int wp_route_new(struct wp_arena *arena, const struct wp_group *g,
                 const struct wp_block *const *blocks, unsigned n, struct wp_route **ret)
{
    struct wp_route *r = wp_arena_zalloc(arena, sizeof(*r));
    unsigned keys = 0, slots = 4;

    if (r == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++)
        keys += blocks[i]->n_keys;
    while (slots < 2 * keys + 2)
        slots *= 2;
    r->slots = wp_arena_array(arena, slots, sizeof(*r->slots));
    if (r->slots == NULL)
        return -ENOMEM;
    r->mask = slots - 1;
    r->group = g;
    r->gen = g->gen;
    for (unsigned i = 0; i < n; i++) {
        const struct wp_block *b = blocks[i];

        r->opcodes |= b->opcodes;
        for (unsigned j = 0; j < b->n_chain; j++)
            r->class_any |= b->chain[j].plugin->class_any;
        for (unsigned j = 0; j < b->n_keys; j++) {
            int e = has_key_of(b, g, &b->keys[j]) ? add_block(arena, r, b, &b->keys[j]) : 0;
            if (e < 0)
                return e;
        }
    }
    *ret = r;
    return 0;
}

/* The first block of the zone whose filters let the question pass. */
static const struct wp_block *pick(const struct wp_route_zone *z, struct wp_query *q)
{
    for (unsigned i = 0; i < z->n_blocks; i++) {
        const struct wp_block *b = z->blocks[i];
        bool pass = true;

        if (WP_LIKELY(!b->has_filter && !b->has_metadata))
            return b;
        if (b->has_metadata) {
            /* `metadata` itself stands before every provider: it says whether they are asked */
            q->meta_on = false;
            for (unsigned j = 0; j < b->n_all; j++) {
                const struct wp_plugin *p = b->all[j].plugin;

                if (p->metadata != NULL && (q->meta_on || strcmp(p->name, "metadata") == 0))
                    p->metadata(b->all[j].self, q);
            }
        }
        for (unsigned j = 0; pass && b->has_filter && j < b->n_all; j++) {
            const struct wp_plugin *p = b->all[j].plugin;
            pass = p->filter == NULL || p->filter(b->all[j].self, q);
        }
        if (pass)
            return b;
    }
    return NULL;
}

static const struct wp_route_zone *probe(const struct wp_route *r, const struct wp_qname *n,
                                         unsigned i)
{
    size_t len = (size_t)n->len - n->at[i];
    uint64_t hash = n->suffix[i];

    for (unsigned s = (unsigned)hash & r->mask;; s = (s + 1) & r->mask) {
        const struct wp_route_zone *z = &r->slots[s];

        if (z->name == NULL)
            return NULL;
        if (z->hash == hash && z->len == len && memcmp(z->name, n->wire + n->at[i], len) == 0)
            return z;
    }
}

const struct wp_block *wp_route_find(const struct wp_route *r, struct wp_query *q)
{
    const struct wp_qname *n = &q->msg.qname;
    bool ds = q->msg.qtype == WP_TYPE_DS && wp_msg_opcode(&q->msg) == WP_OPCODE_QUERY;
    const struct wp_block *found = NULL, *b;

    for (unsigned i = 0; i < n->n_labels; i++) {
        unsigned labels = n->n_labels - i;
        const struct wp_route_zone *z;

        if (!(r->labels[labels >> 6] >> (labels & 63) & 1))
            continue;
        z = probe(r, n, i);
        b = z != NULL ? pick(z, q) : NULL;
        if (b == NULL)
            continue;
        found = b;
        q->zone = z->name;
        /* DS belongs to the parent side: the shortest zone that matches answers it */
        if (!ds || b->n_chain == 0)
            return b;
    }
    if (found != NULL)
        return found;
    if (r->root != NULL) {
        b = pick(r->root, q);
        if (b != NULL && (b->n_chain > 0 || n->n_labels == 0)) {
            q->zone = r->root->name;
            return b;
        }
    }
    return NULL;
}
