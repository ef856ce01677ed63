/* A growing queue of octets that owns memory only while it holds some: thousands of idle
 * connections have one each. Zeroed is empty. One owner, no locking. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

struct wp_octets {
    uint8_t *buf;
    uint32_t at, len, cap; /* what is held: buf[at..at+len) */
};

/* 0, -ENOMEM, or WP_ELIMIT past 1 GiB; unchanged on failure. */
int wp_octets_append(struct wp_octets *o, const void *data, size_t len) WP_MUSTCHECK;
/* Room for len octets behind what is held, or NULL; the caller adds to o->len what it used. */
uint8_t *wp_octets_room(struct wp_octets *o, size_t len);
/* From the front; len <= o->len. What is empty then is freed. */
void wp_octets_drop(struct wp_octets *o, size_t len);
static inline const uint8_t *wp_octets_view(const struct wp_octets *o)
{
    return o->buf == NULL ? NULL : o->buf + o->at;
}
static inline void wp_octets_clear(struct wp_octets *o)
{
    wp_octets_drop(o, o->len);
}
