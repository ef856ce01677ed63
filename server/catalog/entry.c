/* Making entries: sets are collected, then laid out in one piece of memory. */
#include "waypost/plugin/catalog.h"

#include <errno.h>
#include <string.h>
#include "server/catalog/catalog_priv.h"

enum { SETS_FIRST = 8 };

void wp_entry_maker_init(struct wp_entry_maker *m)
{
    *m = (struct wp_entry_maker){.name_len = 1};
    wp_arena_init(&m->arena, 0);
}

void wp_entry_maker_done(struct wp_entry_maker *m)
{
    wp_arena_done(&m->arena);
    m->sets = NULL;
    m->n_sets = m->cap_sets = 0;
}

void wp_entry_maker_start(struct wp_entry_maker *m, const uint8_t *name, uint16_t flags)
{
    wp_arena_reset(&m->arena);
    m->sets = NULL;
    m->n_sets = m->cap_sets = 0;
    m->octets = 0;
    m->data = NULL;
    m->flags = flags & (uint16_t)~WP_ENTRY_KEPT;
    m->name_len = (uint8_t)wp_name_size(name);
    memcpy(m->name, name, m->name_len);
    wp_name_lower(m->name, m->name_len);
}

static int more_sets(struct wp_entry_maker *m)
{
    unsigned cap = m->cap_sets > 0 ? m->cap_sets * 2 : SETS_FIRST;
    struct wp_made_set *sets = wp_arena_array(&m->arena, cap, sizeof(*sets));

    if (sets == NULL)
        return -ENOMEM;
    if (m->n_sets > 0)
        memcpy(sets, m->sets, m->n_sets * sizeof(*sets));
    m->sets = sets;
    m->cap_sets = cap;
    return 0;
}

int wp_entry_maker_set(struct wp_entry_maker *m, uint16_t type, uint16_t variant,
                       const uint16_t count[WP_SECTIONS], const uint8_t *body, size_t len)
{
    struct wp_made_set *s;
    uint8_t *copy;

    if (len > (size_t)(WP_MSG_MAX - WP_HEADER_LEN - m->name_len - 4) ||
        m->n_sets == WP_ENTRY_SETS_MAX)
        return WP_ELIMIT;
    if (m->n_sets == m->cap_sets && more_sets(m) < 0)
        return -ENOMEM;
    copy = wp_arena_dup(&m->arena, body, len);
    if (copy == NULL)
        return -ENOMEM;
    s = &m->sets[m->n_sets++];
    *s = (struct wp_made_set){.type = type, .variant = variant, .len = (uint16_t)len, .body = copy};
    memcpy(s->count, count, sizeof(s->count));
    m->octets += len;
    return 0;
}

size_t wp_entry_octets(const struct wp_entry_maker *m)
{
    return offsetof(struct wp_entry, sets) + m->n_sets * sizeof(struct wp_set) + m->name_len +
           m->octets;
}

void wp_entry_lay_out(struct wp_entry *e, const struct wp_entry_maker *m)
{
    uint8_t *at;

    e->data = m->data;
    e->size = (uint32_t)wp_entry_octets(m);
    e->below = 0;
    atomic_init(&e->flags, m->flags);
    e->name_len = m->name_len;
    e->n_sets = (uint8_t)m->n_sets;
    at = (uint8_t *)&e->sets[m->n_sets];
    memcpy(at, m->name, m->name_len);
    at += m->name_len;
    for (unsigned i = 0; i < m->n_sets; i++) {
        const struct wp_made_set *from = &m->sets[i];
        struct wp_set *s = &e->sets[i];

        s->offset = (uint32_t)(at - (uint8_t *)e);
        s->len = from->len;
        s->type = from->type;
        s->variant = from->variant;
        memcpy(s->count, from->count, sizeof(s->count));
        if (from->len > 0)
            memcpy(at, from->body, from->len);
        at += from->len;
    }
}

const struct wp_set *wp_entry_set_variant(const struct wp_entry *e, uint16_t type, uint16_t variant)
{
    for (unsigned i = 0; i < e->n_sets; i++) {
        if (e->sets[i].type == type && e->sets[i].variant == variant)
            return &e->sets[i];
    }
    return NULL;
}

const struct wp_set *wp_entry_set(const struct wp_entry *e, uint16_t type)
{
    return wp_entry_set_variant(e, type, 0);
}
