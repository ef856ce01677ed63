/* The list of records of an answer. */
#include <errno.h>

#include "backends/etcd/answer_priv.h"
#include "backends/etcd/set.h"

enum { RR_FRAME = 12 }; /* owner as a pointer, type, class, TTL, length */

int wp_etcd_add(struct wp_etcd_answer *a, const struct wp_etcd_item *item)
{
    if (a->n == a->cap) {
        uint32_t cap = a->cap == 0 ? 16 : 2 * a->cap;
        struct wp_etcd_item *items = wp_arena_alloc(a->arena, cap * sizeof(*items));
        if (items == NULL)
            return -ENOMEM;
        if (a->n > 0)
            memcpy(items, a->items, a->n * sizeof(*items));
        a->items = items;
        a->cap = cap;
    }
    a->items[a->n++] = *item;
    a->octets += RR_FRAME + (item->kind == WP_ETCD_EXTERNAL ? 0u : item->rdlen);
    return 0;
}

int wp_etcd_add_address(struct wp_etcd_answer *a, const struct wp_etcd_rec *r, const uint8_t *owner,
                        enum wp_section section)
{
    struct wp_etcd_item item = {
        .owner = owner,
        .rdata = wp_etcd_rec_addr(r),
        .rdlen = (uint16_t)wp_etcd_rec_addr_len(r),
        .type = r->kind == WP_ETCD_A ? WP_TYPE_A : WP_TYPE_AAAA,
        .ttl = wp_etcd_ttl(a, r),
        .section = section,
    };

    return wp_etcd_add(a, &item);
}

int wp_etcd_add_address_once(struct wp_etcd_answer *a, const struct wp_etcd_rec *r,
                             const uint8_t *owner, struct wp_etcd_set *said)
{
    size_t owner_len = wp_name_size(owner);
    bool is_new, odd = (r->flags & WP_ETCD_REC_ODD) != 0;
    const void *host = odd ? wp_etcd_rec_host(r) : wp_etcd_rec_addr(r);
    size_t host_len = odd ? r->host_len : wp_etcd_rec_addr_len(r);
    uint8_t *key = wp_arena_alloc(a->arena, owner_len + host_len);
    int64_t at;

    if (key == NULL)
        return -ENOMEM;
    memcpy(key, owner, owner_len);
    memcpy(key + owner_len, host, host_len);
    at = wp_etcd_set_add(said, a->arena, odd ? WP_ETCD_TAG_ODD : WP_ETCD_TAG_ADDR, key,
                         owner_len + host_len, &is_new);
    if (at < 0)
        return (int)at;
    return is_new ? wp_etcd_add_address(a, r, owner, WP_ADDITIONAL) : 0;
}

int wp_etcd_add_external(struct wp_etcd_answer *a, const uint8_t *name, uint16_t type,
                         enum wp_section section, bool no_cname)
{
    struct wp_etcd_item item = {.kind = WP_ETCD_EXTERNAL, .section = section, .ttl = no_cname};
    size_t len = wp_name_size(name);
    unsigned i = 0;

    /* the same name twice (several entries with one host), spelled alike, is looked up once */
    while (i < a->n_lookups &&
           (a->lookups[i].type != type || wp_name_size(a->lookups[i].name) != len ||
            memcmp(a->lookups[i].name, name, len) != 0))
        i++;
    if (i == WP_ETCD_LOOKUPS_MAX)
        return WP_ELIMIT;
    if (i == a->n_lookups)
        a->lookups[a->n_lookups++] =
            (struct wp_etcd_lookup){.name = name, .type = type, .optional = true};
    a->lookups[i].optional &= section != WP_ANSWER;
    item.rdlen = (uint16_t)i;
    return wp_etcd_add(a, &item);
}

int wp_etcd_answer_pin(struct wp_etcd_answer *a)
{
    for (uint32_t i = 0; i < a->n; i++) {
        struct wp_etcd_item *item = &a->items[i];
        if (item->kind != WP_ETCD_EXTERNAL && item->rdlen > 0) {
            item->rdata = wp_arena_dup(a->arena, item->rdata, item->rdlen);
            if (item->rdata == NULL)
                return -ENOMEM;
        }
        if (item->owner != NULL) {
            item->owner = wp_arena_dup(a->arena, item->owner, wp_name_size(item->owner));
            if (item->owner == NULL)
                return -ENOMEM;
        }
    }
    for (unsigned i = 0; i < a->n_lookups; i++) {
        a->lookups[i].name =
            wp_arena_dup(a->arena, a->lookups[i].name, wp_name_size(a->lookups[i].name));
        if (a->lookups[i].name == NULL)
            return -ENOMEM;
    }
    return 0;
}

size_t wp_etcd_answer_settle(struct wp_etcd_answer *a)
{
    size_t n = 0;

    for (uint32_t i = a->n; i-- > 0;) {
        struct wp_etcd_item *item = &a->items[i];
        item->live = item->kind == WP_ETCD_RECORD ||
                     (item->kind == WP_ETCD_EXTERNAL && a->lookups[item->rdlen].answered);
        for (uint32_t k = 1; item->kind == WP_ETCD_CHAIN && k <= item->span; k++)
            item->live |= a->items[i + k].live;
        n += item->live && item->section == WP_ANSWER;
    }
    for (unsigned i = 0; i < a->n_lookups; i++)
        a->truncated |= a->lookups[i].truncated && !a->lookups[i].optional;
    return n;
}

/* Labels taken off the left: none when the name has not more than that. */
static const uint8_t *strip_labels(const uint8_t *name, int64_t n)
{
    return n > 0 && n < wp_name_labels(name) ? wp_name_parent(name, (int)n) : name;
}

const uint8_t *wp_etcd_target_name(struct wp_etcd_answer *a, const struct wp_etcd_rec *r,
                                   bool strip, bool *ret_none)
{
    struct wp_name name;
    const uint8_t *copy;

    *ret_none = false;
    if (r->flags & WP_ETCD_REC_HOST) {
        copy = wp_etcd_rec_host(r);
    } else {
        if (wp_etcd_path_name(wp_etcd_rec_key(r), r->key_len, &name) < 0) {
            *ret_none = true;
            return NULL;
        }
        copy = wp_arena_dup(a->arena, name.wire, name.len);
        if (copy == NULL)
            return NULL;
    }
    return strip ? strip_labels(copy, wp_etcd_rec_wide(r).targetstrip) : copy;
}

const uint8_t *wp_etcd_srv_rdata(struct wp_etcd_answer *a, uint16_t priority, uint16_t weight,
                                 uint16_t port, const uint8_t *target, uint16_t *ret_len)
{
    size_t len = wp_name_size(target);
    uint8_t *rdata = wp_arena_alloc(a->arena, 6 + len);

    if (rdata == NULL)
        return NULL;
    for (int i = 0; i < 2; i++) {
        rdata[i] = (uint8_t)(priority >> (8 - 8 * i));
        rdata[2 + i] = (uint8_t)(weight >> (8 - 8 * i));
        rdata[4 + i] = (uint8_t)(port >> (8 - 8 * i));
    }
    memcpy(rdata + 6, target, len);
    *ret_len = (uint16_t)(6 + len);
    return rdata;
}
