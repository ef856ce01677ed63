/* Copying record sets into a reply. */
#include <string.h>
#include "backends/common/zone_priv.h"
#include "waypost/base/rd.h"
#include "waypost/base/wr.h"

enum { HEAD = 12 }; /* of a stored record: pointer, type, class, TTL, rdlength */

/* The owner can be pointed at: one copy, then the pointers. */
static void put_pointing(uint8_t *to, const uint8_t *body, const struct wp_set *set,
                         uint16_t pointer)
{
    memcpy(to, body, set->len);
    if (pointer == (0xc000 | WP_HEADER_LEN))
        return;
    for (size_t at = 0; at < set->len; at += HEAD + (size_t)wp_be16(to + at + 10))
        wp_put16(to + at, pointer);
}

static void put_naming(uint8_t *to, const uint8_t *body, const struct wp_set *set,
                       const uint8_t *name, size_t name_len)
{
    for (size_t at = 0; at < set->len;) {
        size_t rest = HEAD - 2 + (size_t)wp_be16(body + at + 10);

        memcpy(to, name, name_len);
        memcpy(to + name_len, body + at + 2, rest);
        to += name_len + rest;
        at += 2 + rest;
    }
}

int wp_zone_put(struct wp_query *q, enum wp_section s, const struct wp_entry *e,
                const struct wp_set *set, struct wp_zone_owner owner)
{
    const uint8_t *body = wp_entry_body(e, set);
    size_t name_len = owner.pointer != 0 ? 2 : wp_name_size(owner.name);
    size_t len = set->len + set->count[WP_ANSWER] * (name_len - 2);
    uint8_t *to = wp_reply_room(q, len);

    if (to == NULL)
        return WP_ESPACE;
    if (owner.pointer != 0)
        put_pointing(to, body, set, owner.pointer);
    else
        put_naming(to, body, set, owner.name, name_len);
    q->reply.len += (uint32_t)len;
    q->reply.count[s] = (uint16_t)(q->reply.count[s] + set->count[WP_ANSWER]);
    return 0;
}

int wp_zone_put_type(struct wp_query *q, enum wp_section s, const struct wp_entry *e, uint16_t type,
                     struct wp_zone_owner owner)
{
    const struct wp_set *set = wp_entry_set(e, type), *sigs;
    int r;

    if (set == NULL)
        return 0;
    r = wp_zone_put(q, s, e, set, owner);
    if (r < 0)
        return r;
    if (s == WP_ANSWER && (wp_entry_flags(e) & WP_ZONE_LONG_SET) && set->len > WP_MSG_MAX / 2)
        q->reply.flags |= WP_FLAG_TC; /* the set was cut when the zone was made */
    if (!q->msg.edns.dnssec_ok)
        return 1;
    sigs = wp_entry_set_variant(e, type, WP_ZONE_SIGS);
    r = sigs == NULL ? 0 : wp_zone_put(q, s, e, sigs, owner);
    return r < 0 ? r : 1;
}

int wp_zone_put_sigs(struct wp_query *q, const struct wp_entry *e, struct wp_zone_owner owner)
{
    int found = 0;

    for (unsigned i = 0; i < e->n_sets; i++) {
        int r;

        if (e->sets[i].variant != WP_ZONE_SIGS)
            continue;
        r = wp_zone_put(q, WP_ANSWER, e, &e->sets[i], owner);
        if (r < 0)
            return r;
        found = 1;
    }
    return found;
}

static void put_tail(struct wp_query *q, const struct wp_tail *t)
{
    if (t->len > 0 && wp_tail_append(q, t, q->msg.qname.len) < 0)
        return; /* the answer goes without */
}

void wp_zone_put_ns(const struct wp_zone *z, struct wp_query *q)
{
    put_tail(q, &z->ns[q->msg.edns.dnssec_ok]);
}

void wp_zone_put_soa(const struct wp_zone *z, struct wp_query *q)
{
    put_tail(q, &z->soa[q->msg.edns.dnssec_ok]);
}
