/* Name compression when writing. The table is open addressing over a fixed number of slots;
 * when it is three quarters full nothing more is remembered, so that hostile messages of ten
 * thousand names cost a bounded probe for each label. Names are compressed only onto the same
 * spelling: a reply never changes the case that a backend or an upstream has given. */
#include "waypost/dns/rr.h"

#include <string.h>

#include "proto/dns/rdata_priv.h"

enum { POINTER_MAX = 0x3fff };

void wp_comp_init(struct wp_comp *c)
{
    c->n = 0;
    c->owner = 0;
    memset(c->pos, 0, sizeof(c->pos));
}

/* Hashes of all suffixes of the name; at[i] is the offset of label i. Returns the labels. */
static unsigned hash_suffixes(const uint8_t *wire, uint8_t at[WP_LABELS_MAX],
                              uint32_t hash[WP_LABELS_MAX])
{
    uint64_t h = wp_hash_seed;
    unsigned n = 0;

    for (size_t pos = 0; wire[pos] != 0 && n < WP_LABELS_MAX; pos += 1 + (size_t)wire[pos])
        at[n++] = (uint8_t)pos;
    for (unsigned i = n; i-- > 0;) {
        h = wp_hash_mix(wp_hash_bytes(wire + at[i], 1 + (size_t)wire[at[i]]), h);
        hash[i] = (uint32_t)(h ^ h >> 32);
    }
    return n;
}

/* Does the name at `pos` of our own message spell `wire`? Pointers in it are ours, all lead back.
 */
static bool is_same(const struct wp_wr *wr, size_t pos, const uint8_t *wire)
{
    for (;;) {
        const uint8_t *p = wr->buf + pos;

        if (*p >= 0xc0) {
            pos = (size_t)(*p & 0x3f) << 8 | p[1];
            continue;
        }
        if (*p != *wire || memcmp(p, wire, 1 + (size_t)*p) != 0)
            return false;
        if (*p == 0)
            return true;
        pos += 1 + (size_t)*p;
        wire += 1 + *wire;
    }
}

/* Where the suffix stands in the message, or 0. */
static unsigned find(const struct wp_comp *c, const struct wp_wr *wr, const uint8_t *wire,
                     uint32_t hash)
{
    for (unsigned i = hash % WP_COMP_SLOTS; c->pos[i] != 0; i = (i + 1) % WP_COMP_SLOTS) {
        if (c->hash[i] == hash && is_same(wr, c->pos[i], wire))
            return c->pos[i];
    }
    return 0;
}

static void remember(struct wp_comp *c, size_t pos, uint32_t hash)
{
    unsigned i = hash % WP_COMP_SLOTS;

    if (c->n >= WP_COMP_SLOTS / 4 * 3 || pos > POINTER_MAX)
        return;
    while (c->pos[i] != 0)
        i = (i + 1) % WP_COMP_SLOTS;
    c->pos[i] = (uint16_t)pos;
    c->hash[i] = hash;
    c->n++;
}

void wp_wr_name(struct wp_wr *wr, struct wp_comp *c, const uint8_t *wire)
{
    uint8_t at[WP_LABELS_MAX];
    uint32_t hash[WP_LABELS_MAX];
    unsigned n = hash_suffixes(wire, at, hash), fresh = 0, target = 0;
    size_t base = wr->len;

    while (fresh < n && (target = find(c, wr, wire + at[fresh], hash[fresh])) == 0)
        fresh++;
    if (target != 0) {
        wp_wr_bytes(wr, wire, at[fresh]);
        wp_wr_u16(wr, 0xc000u | target);
    } else {
        wp_wr_bytes(wr, wire, n == 0 ? 1 : at[n - 1] + 2u + wire[at[n - 1]]);
    }
    /* only now: what is remembered must stand there whole */
    for (unsigned i = 0; i < fresh && !wr->bad; i++)
        remember(c, base + at[i], hash[i]);
}

/* A name that must stand in full (RFC 3597 s4). Later ones may point to it: the addresses of the
 * targets of SRV records do. */
static void write_whole(struct wp_wr *wr, struct wp_comp *c, const uint8_t *wire, size_t len)
{
    uint8_t at[WP_LABELS_MAX];
    uint32_t hash[WP_LABELS_MAX];
    unsigned n = hash_suffixes(wire, at, hash);
    size_t base = wr->len;

    wp_wr_bytes(wr, wire, len);
    for (unsigned i = 0; i < n && !wr->bad && find(c, wr, wire + at[i], hash[i]) == 0; i++)
        remember(c, base + at[i], hash[i]);
}

static void write_rdata(struct wp_wr *wr, struct wp_comp *c, const struct wp_rr *rr)
{
    const char *s = wp_rdata_shape(rr->type);
    size_t pos = 0;

    for (; s != NULL && *s != '\0'; s++) {
        int n = wp_field_len((enum wp_field)s[0], rr->rdata + pos, rr->rdlen - pos);
        if (n < 0)
            break; /* empty rdata of an UPDATE: as it is */
        if (*s == WP_FIELD_NAME_1035)
            wp_wr_name(wr, c, rr->rdata + pos);
        else if (rr->type == WP_TYPE_SRV && *s == WP_FIELD_NAME)
            write_whole(wr, c, rr->rdata + pos, (size_t)n);
        else
            wp_wr_bytes(wr, rr->rdata + pos, (size_t)n);
        pos += (size_t)n;
    }
    wp_wr_bytes(wr, rr->rdata + pos, rr->rdlen - pos);
}

/* Most records have the owner of the record before them: seen without hashing. */
static void write_owner(struct wp_wr *wr, struct wp_comp *c, const uint8_t *wire)
{
    size_t pos = wr->len;

    if (c->owner != 0 && is_same(wr, c->owner, wire)) {
        wp_wr_u16(wr, 0xc000u | c->owner);
        return;
    }
    wp_wr_name(wr, c, wire);
    if (wr->bad || *wire == 0)
        return;
    if (wr->buf[pos] >= 0xc0) /* not a pointer to a pointer */
        pos = (size_t)(wr->buf[pos] & 0x3f) << 8 | wr->buf[pos + 1];
    if (pos <= POINTER_MAX)
        c->owner = (uint16_t)pos;
}

void wp_wr_rr(struct wp_wr *wr, struct wp_comp *c, const struct wp_rr *rr)
{
    size_t at;

    write_owner(wr, c, rr->owner);
    wp_wr_u16(wr, rr->type);
    wp_wr_u16(wr, rr->cls);
    wp_wr_u32(wr, rr->ttl);
    wp_wr_u16(wr, 0);
    at = wr->len;
    write_rdata(wr, c, rr);
    if (!wr->bad)
        wp_put16(wr->buf + at - 2, (unsigned)(wr->len - at));
}
