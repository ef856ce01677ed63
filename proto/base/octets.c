#include "waypost/base/octets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { OCTETS_MAX = 1 << 30 };

static int grow(struct wp_octets *o, size_t len)
{
    size_t need = o->len + len, cap = (size_t)o->cap * 2;
    uint8_t *buf;

    if (len > OCTETS_MAX || need > OCTETS_MAX)
        return WP_ELIMIT;
    if (cap < need)
        cap = need;
    buf = malloc(cap);
    if (buf == NULL)
        return -ENOMEM;
    if (o->len > 0)
        memcpy(buf, o->buf + o->at, o->len);
    free(o->buf);
    o->buf = buf;
    o->at = 0;
    o->cap = (uint32_t)cap;
    return 0;
}

uint8_t *wp_octets_room(struct wp_octets *o, size_t len)
{
    if (len > o->cap - o->at - o->len) {
        if (len <= o->cap - o->len) {
            memmove(o->buf, o->buf + o->at, o->len);
            o->at = 0;
        } else if (grow(o, len) < 0) {
            return NULL;
        }
    }
    return o->buf + o->at + o->len;
}

int wp_octets_append(struct wp_octets *o, const void *data, size_t len)
{
    if (len == 0)
        return 0;
    if (len > o->cap - o->at - o->len) {
        if (len > OCTETS_MAX)
            return WP_ELIMIT;
        if (wp_octets_room(o, len) == NULL)
            return o->len + len > OCTETS_MAX ? WP_ELIMIT : -ENOMEM;
    }
    memcpy(o->buf + o->at + o->len, data, len);
    o->len += (uint32_t)len;
    return 0;
}

void wp_octets_drop(struct wp_octets *o, size_t len)
{
    o->at += (uint32_t)len;
    o->len -= (uint32_t)len;
    if (o->len == 0) {
        free(o->buf);
        *o = (struct wp_octets){0};
    }
}
