#include "waypost/base/siphash.h"

enum { WORD = 8, ROUNDS_WORD = 2, ROUNDS_END = 4 };

struct state {
    uint64_t a, b, c, d;
};

static inline uint64_t rotate(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static void mix(struct state *s, unsigned rounds)
{
    for (; rounds > 0; rounds--) {
        s->a += s->b;
        s->b = rotate(s->b, 13) ^ s->a;
        s->a = rotate(s->a, 32);
        s->c += s->d;
        s->d = rotate(s->d, 16) ^ s->c;
        s->a += s->d;
        s->d = rotate(s->d, 21) ^ s->a;
        s->c += s->b;
        s->b = rotate(s->b, 17) ^ s->c;
        s->c = rotate(s->c, 32);
    }
}

/* Up to eight octets, the first one lowest. */
static uint64_t word(const uint8_t *p, size_t len)
{
    uint64_t w = 0;

    for (size_t i = 0; i < len; i++)
        w |= (uint64_t)p[i] << (8 * i);
    return w;
}

static void take(struct state *s, uint64_t w)
{
    s->d ^= w;
    mix(s, ROUNDS_WORD);
    s->a ^= w;
}

uint64_t wp_siphash(const uint8_t key[WP_SIPHASH_KEY], const void *octets, size_t len)
{
    const uint64_t k0 = word(key, WORD), k1 = word(key + WORD, WORD);
    const uint8_t *p = octets;
    size_t left = len;
    /* the letters are "somepseudorandomlygeneratedbytes" */
    struct state s = {
        .a = k0 ^ UINT64_C(0x736f6d6570736575),
        .b = k1 ^ UINT64_C(0x646f72616e646f6d),
        .c = k0 ^ UINT64_C(0x6c7967656e657261),
        .d = k1 ^ UINT64_C(0x7465646279746573),
    };

    for (; left >= WORD; left -= WORD, p += WORD)
        take(&s, word(p, WORD));
    take(&s, word(p, left) | (uint64_t)len << 56);
    s.c ^= 0xff;
    mix(&s, ROUNDS_END);
    return s.a ^ s.b ^ s.c ^ s.d;
}
