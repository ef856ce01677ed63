/* Bounded reader over octets in network order. The error is sticky: read six fields, check once.
 * After an error every read gives 0 and moves nothing. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct wp_rd {
    const uint8_t *buf;
    size_t pos, end; /* pos <= end, octets from buf */
    bool bad;
};

static inline struct wp_rd wp_rd_from(const void *buf, size_t len)
{
    return (struct wp_rd){.buf = buf, .end = len};
}

static inline size_t wp_rd_left(const struct wp_rd *rd)
{
    return rd->end - rd->pos;
}

static inline bool wp_rd_need(struct wp_rd *rd, size_t n)
{
    if (rd->bad || n > rd->end - rd->pos) {
        rd->bad = true;
        return false;
    }
    return true;
}

static inline uint8_t wp_rd_u8(struct wp_rd *rd)
{
    return wp_rd_need(rd, 1) ? rd->buf[rd->pos++] : 0;
}

static inline uint16_t wp_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t wp_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint16_t wp_rd_u16(struct wp_rd *rd)
{
    if (!wp_rd_need(rd, 2))
        return 0;
    rd->pos += 2;
    return wp_be16(rd->buf + rd->pos - 2);
}

static inline uint32_t wp_rd_u32(struct wp_rd *rd)
{
    if (!wp_rd_need(rd, 4))
        return 0;
    rd->pos += 4;
    return wp_be32(rd->buf + rd->pos - 4);
}

/* A view of the next n octets, or NULL. */
static inline const uint8_t *wp_rd_bytes(struct wp_rd *rd, size_t n)
{
    if (!wp_rd_need(rd, n))
        return NULL;
    rd->pos += n;
    return rd->buf + rd->pos - n;
}

static inline void wp_rd_skip(struct wp_rd *rd, size_t n)
{
    if (wp_rd_need(rd, n))
        rd->pos += n;
}
