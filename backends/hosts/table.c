#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/hosts/hosts_priv.h"
#include "waypost/base/wr.h"
#include "waypost/dns/types.h"

enum { SLOTS_FIRST = 64, BODY_MAX = WP_MSG_MAX };

/* An address of a name, or a name of an address. */
struct item {
    struct item *next;
    uint16_t type, rdlen;
    uint8_t source; /* enum hosts_source */
    uint8_t rdata[];
};

struct node {
    struct node *next;
    struct item *first, **last;
    uint64_t hash;
    struct wp_name name; /* lower case */
};

struct hosts_maker {
    struct hosts_maker_config config;
    struct wp_arena arena;
    struct node **slots;
    size_t mask, n_nodes, entries;
    struct node *first, **last;
    bool has_wild;
    uint8_t body[BODY_MAX];
};

int hosts_maker_new(const struct hosts_maker_config *config, struct hosts_maker **ret)
{
    struct hosts_maker *m = malloc(sizeof(*m));
    struct node **slots = calloc(SLOTS_FIRST, sizeof(struct node *));

    if (m == NULL || slots == NULL) {
        free(m);
        free(slots);
        return -ENOMEM;
    }
    m->config = *config;
    m->slots = slots;
    m->mask = SLOTS_FIRST - 1;
    m->n_nodes = m->entries = 0;
    m->first = NULL;
    m->last = &m->first;
    m->has_wild = false;
    wp_arena_init(&m->arena, 0);
    *ret = m;
    return 0;
}

void hosts_maker_free(struct hosts_maker *m)
{
    if (m == NULL)
        return;
    wp_arena_done(&m->arena);
    free(m->slots);
    free(m);
}

/* --- gathering ------------------------------------------------------------------------------- */

static struct node **slot_of(const struct hosts_maker *m, const uint8_t *lower, size_t len,
                             uint64_t hash)
{
    for (size_t i = hash & m->mask;; i = (i + 1) & m->mask) {
        struct node *n = m->slots[i];

        if (n == NULL ||
            (n->hash == hash && n->name.len == len && memcmp(n->name.wire, lower, len) == 0))
            return &m->slots[i];
    }
}

static int grow(struct hosts_maker *m)
{
    size_t slots = (m->mask + 1) * 2;
    struct node **all = calloc(slots, sizeof(struct node *));

    if (all == NULL)
        return -ENOMEM;
    free(m->slots);
    m->slots = all;
    m->mask = slots - 1;
    for (struct node *n = m->first; n != NULL; n = n->next)
        *slot_of(m, n->name.wire, n->name.len, n->hash) = n;
    return 0;
}

static int add_item(struct hosts_maker *m, const struct wp_name *name, enum hosts_source source,
                    uint16_t type, const uint8_t *rdata, size_t rdlen)
{
    uint64_t hash = wp_name_hash(name->wire);
    struct node **slot, *n;
    struct item *it;

    if (m->n_nodes >= m->mask / 4 * 3 && grow(m) < 0)
        return -ENOMEM;
    slot = slot_of(m, name->wire, name->len, hash);
    it = wp_arena_alloc(&m->arena, sizeof(*it) + rdlen);
    if (it == NULL)
        return -ENOMEM;
    if (*slot == NULL) {
        /* only as much of the name as there is */
        n = wp_arena_alloc(&m->arena, offsetof(struct node, name.wire) + name->len);
        if (n == NULL)
            return -ENOMEM;
        n->next = NULL;
        n->first = NULL;
        n->last = &n->first;
        n->hash = hash;
        n->name.len = name->len;
        memcpy(n->name.wire, name->wire, name->len);
        *slot = *m->last = n;
        m->last = &n->next;
        m->n_nodes++;
    }
    it->next = NULL;
    it->type = type;
    it->rdlen = (uint16_t)rdlen;
    it->source = (uint8_t)source;
    memcpy(it->rdata, rdata, rdlen);
    n = *slot;
    *n->last = it;
    n->last = &it->next;
    m->entries++;
    return 0;
}

static bool is_star(const uint8_t *wire)
{
    return wire[0] == 1 && wire[1] == '*';
}

static bool is_within(const struct wp_zones *z, const uint8_t *name)
{
    for (unsigned i = 0; i < z->n; i++) {
        if (wp_name_within(name, z->zone[i]))
            return true;
    }
    return false;
}

int hosts_maker_add(struct hosts_maker *m, enum hosts_source source, const struct wp_addr *addr,
                    const char *text)
{
    bool v4 = addr->family == 4;
    struct wp_name name, reverse;
    int r;

    if (wp_name_parse(text, &name) < 0)
        return 0;
    wp_name_lower(name.wire, name.len);
    if (!is_within(m->config.zones, name.wire))
        return 0;
    r = add_item(m, &name, source, v4 ? WP_TYPE_A : WP_TYPE_AAAA, addr->ip, v4 ? 4 : 16);
    if (r < 0)
        return r;
    if (is_star(name.wire)) {
        m->has_wild = true;
        return 0;
    }
    if (m->config.no_reverse)
        return 0;
    hosts_reverse_name(addr, &reverse);
    return add_item(m, &reverse, source, WP_TYPE_PTR, name.wire, name.len);
}

/* --- the table ------------------------------------------------------------------------------- */

/* The answer being put together. */
struct body {
    size_t len;
    uint16_t count;
};

/* The node's items of the type and source; how many there are. */
static unsigned put_items(struct hosts_maker *m, const struct node *n, uint16_t type,
                          enum hosts_source source, struct body *b)
{
    unsigned found = 0;

    for (const struct item *it = n->first; it != NULL; it = it->next) {
        uint8_t *to = m->body + b->len;

        if (it->type != type || it->source != source)
            continue;
        found++;
        if (b->len + 12 + it->rdlen > (size_t)(WP_MSG_MAX - WP_HEADER_LEN - WP_NAME_MAX - 4))
            continue; /* more than any message holds */
        wp_put16(to, 0xc000 | WP_HEADER_LEN);
        wp_put16(to + 2, type);
        wp_put16(to + 4, WP_CLASS_IN);
        wp_put32(to + 6, m->config.ttl);
        wp_put16(to + 10, it->rdlen);
        memcpy(to + 12, it->rdata, it->rdlen);
        b->len += 12 + (size_t)it->rdlen;
        b->count++;
    }
    return found;
}

/* The wildcard that stands for the name where a source does not have it. */
static const struct node *wild_of(const struct hosts_maker *m, const struct node *n)
{
    struct wp_name star = {.wire = {1, '*'}};
    const uint8_t *parent = wp_name_parent(n->name.wire, 1);
    size_t len = n->name.len - (size_t)(parent - n->name.wire);

    if (!m->has_wild || n->name.len == 1 || is_star(n->name.wire) || len + 2 > WP_NAME_MAX)
        return NULL;
    memcpy(star.wire + 2, parent, len);
    star.len = (uint8_t)(len + 2);
    return *slot_of(m, star.wire, star.len, wp_name_hash(star.wire));
}

static int make_sets(struct hosts_maker *m, struct wp_entry_maker *em, const struct node *n)
{
    static const uint16_t types[] = {WP_TYPE_A, WP_TYPE_AAAA, WP_TYPE_PTR};
    const struct node *wild = wild_of(m, n);
    int r = 0;

    for (size_t i = 0; i < WP_COUNT(types) && r == 0; i++) {
        struct body b = {0};
        uint16_t count[WP_SECTIONS] = {0};

        /* each source by itself: its own lines for the name, else its wildcard */
        for (enum hosts_source s = HOSTS_FILE; s <= HOSTS_INLINE; s++) {
            if (put_items(m, n, types[i], s, &b) == 0 && wild != NULL && types[i] != WP_TYPE_PTR)
                put_items(m, wild, types[i], s, &b);
        }
        count[WP_ANSWER] = b.count;
        if (b.count > 0)
            r = wp_entry_maker_set(em, types[i], 0, count, m->body, b.len);
    }
    return r;
}

int hosts_maker_finish(struct hosts_maker *m, struct hosts_table **ret)
{
    struct hosts_table *t = calloc(1, sizeof(*t));
    struct wp_entry_maker em;
    int r;

    if (t == NULL)
        return -ENOMEM;
    t->entries = m->entries;
    wp_entry_maker_init(&em);
    r = wp_catalog_new((const uint8_t *)"", m->config.source, WP_CATALOG_WHOLE, &t->catalog);
    if (r == 0)
        r = wp_catalog_reserve(t->catalog, m->n_nodes);
    for (const struct node *n = m->first; n != NULL && r == 0; n = n->next) {
        wp_entry_maker_start(&em, n->name.wire, 0);
        r = make_sets(m, &em, n);
        if (r == 0)
            r = wp_catalog_put(t->catalog, &em);
    }
    wp_entry_maker_done(&em);
    if (r < 0) {
        hosts_table_free(t);
        return r;
    }
    *ret = t;
    return 0;
}

void hosts_table_free(struct hosts_table *t)
{
    if (t == NULL)
        return;
    wp_catalog_free(t->catalog);
    free(t);
}

static const struct wp_entry *with_data(const struct wp_entry *e)
{
    return e == NULL || (wp_entry_flags(e) & WP_ENTRY_EMPTY) ? NULL : e;
}

const struct wp_entry *hosts_table_find(const struct hosts_table *t, const struct wp_qname *q)
{
    const struct wp_entry *e =
        with_data(wp_catalog_find(t->catalog, q->wire, q->len, q->suffix[0]));
    uint8_t star[WP_NAME_MAX] = {1, '*'};
    size_t len;

    if (e != NULL || q->n_labels == 0)
        return e;
    len = (size_t)(q->len - q->at[1]);
    if (len + 2 > sizeof(star))
        return NULL;
    memcpy(star + 2, q->wire + q->at[1], len);
    return with_data(
        wp_catalog_find(t->catalog, star, len + 2, wp_name_hash_label(star + 1, 1, q->suffix[1])));
}

const struct wp_entry *hosts_table_find_address(const struct hosts_table *t,
                                                const struct wp_addr *a)
{
    struct wp_name name;

    hosts_reverse_name(a, &name);
    return with_data(wp_catalog_find(t->catalog, name.wire, name.len, wp_name_hash(name.wire)));
}
