/* A name prepared for look-ups. The hash of a label is a fold of its lower-case octets, eight at
 * a time; the hash of a name folds its label into the hash of its parent. The seed enters each
 * multiplication on the side that a stranger chooses: without it a label could hold the very
 * constant that makes the product zero, and collide whatever the seed is. */
#include "waypost/dns/name.h"

#include <string.h>

#include "waypost/base/text.h"

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v); /* the first octet is the lowest: short labels are masked */
#endif
    return v;
}

static inline void store64(uint8_t *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    memcpy(p, &v, sizeof(v));
}

/* Eight octets, ASCII letters lower-cased. No carry leaves an octet: 0x7f + 0x3f < 0x100. */
static inline uint64_t lower64(uint64_t v)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t seven = v & 0x7f * ones;
    uint64_t from_a = seven + (0x80 - 'A') * ones;
    uint64_t past_z = seven + (0x80 - 'Z' - 1) * ones;

    return v | ((from_a ^ past_z) & ~v & 0x80 * ones) >> 2;
}

/* 1..8 octets, lower-cased, without touching what lies behind them. */
static inline uint64_t load_tail(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    if (n == 8)
        return lower64(load64(p));
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return lower64(v);
}

static inline uint64_t label_start(size_t len)
{
    return wp_hash_seed * 0x9fb21c651e98df25u + len;
}

static inline uint64_t label_add(uint64_t h, uint64_t word)
{
    return wp_hash_mix(h, word ^ wp_hash_seed);
}

static inline uint64_t name_add(uint64_t label, uint64_t parent)
{
    return wp_hash_mix(label, parent);
}

uint64_t wp_name_hash_root(void)
{
    return wp_hash_mix(wp_hash_seed, 1);
}

static uint64_t hash_label(const uint8_t *p, size_t len)
{
    uint64_t h = label_start(len);

    for (; len > 8; p += 8, len -= 8)
        h = label_add(h, lower64(load64(p)));
    return label_add(h, load_tail(p, len));
}

uint64_t wp_name_hash_label(const uint8_t *label, size_t len, uint64_t parent)
{
    return name_add(hash_label(label, len), parent);
}

uint64_t wp_name_hash(const uint8_t *wire)
{
    const uint8_t *at[WP_LABELS_MAX];
    uint64_t h = wp_name_hash_root();
    int n = 0;

    for (; *wire != 0 && n < WP_LABELS_MAX; wire += 1 + *wire)
        at[n++] = wire;
    while (n-- > 0)
        h = wp_name_hash_label(at[n] + 1, *at[n], h);
    return h;
}

/* One label from wire to q->wire, by words that may reach past its end: the caller has seen that
 * both sides have room. What is written too far is overwritten by the next label. */
static inline uint64_t take_label_wide(uint8_t *to, const uint8_t *from, size_t len)
{
    uint64_t h = label_start(len);
    uint64_t v;

    for (; len > 8; from += 8, to += 8, len -= 8) {
        v = lower64(load64(from));
        store64(to, v);
        h = label_add(h, v);
    }
    v = lower64(load64(from));
    store64(to, v);
    return label_add(h, v & ~(uint64_t)0 >> (64 - 8 * len));
}

static uint64_t take_label_near_end(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = wp_lower(from[i]);
    return hash_label(to, len);
}

int wp_qname_set(struct wp_qname *q, const uint8_t *wire, size_t len)
{
    size_t room = len < WP_NAME_MAX ? len : WP_NAME_MAX; /* octets that may be looked at */
    size_t pos = 0;
    unsigned n = 0;
    uint64_t h;

    for (;;) {
        size_t label;

        if (WP_UNLIKELY(pos >= room))
            return WP_EMALFORMED;
        label = wire[pos];
        q->wire[pos] = (uint8_t)label;
        q->at[n] = (uint8_t)pos;
        if (label == 0)
            break;
        /* the closing root must still fit, so a label never fills the room */
        if (WP_UNLIKELY(label > WP_LABEL_MAX || label + 1 >= room - pos))
            return WP_EMALFORMED;
        pos++;
        q->suffix[n++] = WP_LIKELY(room - pos >= ((label + 7) & ~(size_t)7))
                             ? take_label_wide(q->wire + pos, wire + pos, label)
                             : take_label_near_end(q->wire + pos, wire + pos, label);
        pos += label;
    }
    q->len = (uint8_t)(pos + 1);
    q->n_labels = (uint8_t)n;
    h = wp_name_hash_root();
    q->suffix[n] = h;
    while (n-- > 0) {
        h = name_add(q->suffix[n], h);
        q->suffix[n] = h;
    }
    return q->len;
}

void wp_qname_root(struct wp_qname *q)
{
    q->len = 1;
    q->n_labels = 0;
    q->wire[0] = 0;
    q->at[0] = 0;
    q->suffix[0] = wp_name_hash_root();
}
