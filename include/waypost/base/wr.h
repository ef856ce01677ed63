/* Bounded writer of octets in network order. The error is sticky: write on, check `bad` once;
 * after it nothing more is written. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct wp_wr {
    uint8_t *buf;
    size_t len, cap; /* len <= cap, octets */
    bool bad;
};

static inline struct wp_wr wp_wr_to(void *buf, size_t cap)
{
    return (struct wp_wr){.buf = buf, .cap = cap};
}

static inline bool wp_wr_need(struct wp_wr *wr, size_t n)
{
    if (wr->bad || n > wr->cap - wr->len) {
        wr->bad = true;
        return false;
    }
    return true;
}

static inline void wp_put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void wp_put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline void wp_wr_u8(struct wp_wr *wr, unsigned v)
{
    if (wp_wr_need(wr, 1))
        wr->buf[wr->len++] = (uint8_t)v;
}

static inline void wp_wr_u16(struct wp_wr *wr, unsigned v)
{
    if (wp_wr_need(wr, 2)) {
        wp_put16(wr->buf + wr->len, v);
        wr->len += 2;
    }
}

static inline void wp_wr_u32(struct wp_wr *wr, uint32_t v)
{
    if (wp_wr_need(wr, 4)) {
        wp_put32(wr->buf + wr->len, v);
        wr->len += 4;
    }
}

static inline void wp_wr_bytes(struct wp_wr *wr, const void *p, size_t n)
{
    if (wp_wr_need(wr, n) && n > 0) {
        memcpy(wr->buf + wr->len, p, n);
        wr->len += n;
    }
}
