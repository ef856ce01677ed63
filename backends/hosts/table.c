#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/common/owner_table.h"
#include "backends/hosts/hosts_priv.h"
#include "waypost/base/wr.h"
#include "waypost/dns/types.h"

enum { BODY_MAX = WP_MSG_MAX };

/* An address of a name, or a name of an address. */
struct item {
    struct item *next;
    uint16_t type, rdlen;
    uint8_t source; /* enum hosts_source */
    uint8_t rdata[];
};

struct node {
    struct wp_owner o;
    struct item *first, **last;
};

struct hosts_maker {
    struct hosts_maker_config config;
    struct wp_arena arena;
    struct wp_owner_table owners;
    size_t entries;
    bool has_wild;
    uint8_t body[BODY_MAX];
};

int hosts_maker_new(const struct hosts_maker_config *config, struct hosts_maker **ret)
{
    struct hosts_maker *m = malloc(sizeof(*m));

    if (m == NULL || wp_owner_table_init(&m->owners, &m->arena, sizeof(struct node)) < 0) {
        free(m);
        return -ENOMEM;
    }
    m->config = *config;
    m->entries = 0;
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
    wp_owner_table_done(&m->owners);
    free(m);
}

/* --- gathering ------------------------------------------------------------------------------- */

static int add_item(struct hosts_maker *m, const struct wp_name *name, enum hosts_source source,
                    uint16_t type, const uint8_t *rdata, size_t rdlen)
{
    struct item *it = wp_arena_alloc(&m->arena, sizeof(*it) + rdlen);
    struct node *n = it == NULL ? NULL : wp_owner_table_get(&m->owners, name->wire, name->len);

    if (n == NULL)
        return -ENOMEM;
    *it = (struct item){.type = type, .rdlen = (uint16_t)rdlen, .source = (uint8_t)source};
    memcpy(it->rdata, rdata, rdlen);
    if (n->last == NULL)
        n->last = &n->first;
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
    wp_name_reverse(addr, &reverse);
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
    const uint8_t *parent = wp_name_parent(n->o.name, 1);
    size_t len = n->o.name_len - (size_t)(parent - n->o.name);

    if (!m->has_wild || n->o.name_len == 1 || is_star(n->o.name) || len + 2 > WP_NAME_MAX)
        return NULL;
    memcpy(star.wire + 2, parent, len);
    star.len = (uint8_t)(len + 2);
    return wp_owner_table_find(&m->owners, star.wire, star.len);
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
        r = wp_catalog_reserve(t->catalog, m->owners.n);
    for (const struct wp_owner *o = m->owners.first; o != NULL && r == 0; o = o->next) {
        wp_entry_maker_start(&em, o->name, 0);
        r = make_sets(m, &em, (const struct node *)o);
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

    wp_name_reverse(a, &name);
    return with_data(wp_catalog_find(t->catalog, name.wire, name.len, wp_name_hash(name.wire)));
}
