/* A protobuf message read field by field (protobuf.dev/programming-guides/encoding): the caller
 * takes the fields that it wants, all others cost the reading of their length. Fields come in any
 * order; nothing is copied. Errors are sticky: after one no field comes. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wp_proto_wire {
    WP_PROTO_VARINT = 0,
    WP_PROTO_FIXED64 = 1,
    WP_PROTO_COUNTED = 2,
    WP_PROTO_FIXED32 = 5
};

struct wp_proto {
    const uint8_t *at, *end;
    bool bad;     /* no protobuf, or it ends early */
    bool clipped; /* it is known to end early: what is there of the last field is taken */
};

struct wp_proto_field {
    uint32_t number;
    enum wp_proto_wire wire;
    uint64_t value;    /* VARINT */
    const uint8_t *at; /* COUNTED: its octets */
    size_t len;
};

static inline struct wp_proto wp_proto_from(const void *at, size_t len)
{
    return (struct wp_proto){.at = at, .end = (const uint8_t *)at + len};
}

/* At most ten octets, seven bits each, least significant first. */
uint64_t wp_proto_long_varint(struct wp_proto *p);
static inline uint64_t wp_proto_varint(struct wp_proto *p)
{
    return p->at < p->end && *p->at < 0x80 ? *p->at++ : wp_proto_long_varint(p);
}
/* A field that is no COUNTED one; false: the message is bad. */
bool wp_proto_scalar(struct wp_proto *p, struct wp_proto_field *ret);

/* The next field; false: there is none, or the message is bad. */
static inline bool wp_proto_next(struct wp_proto *p, struct wp_proto_field *ret)
{
    uint64_t tag, len;

    if (p->at == p->end)
        return false;
    tag = wp_proto_varint(p);
    ret->number = (uint32_t)(tag >> 3);
    ret->wire = tag & 7;
    if (tag >> 32 != 0 || ret->number == 0 || p->bad) {
        p->bad = true;
        p->at = p->end;
        return false;
    }
    if (ret->wire != WP_PROTO_COUNTED)
        return wp_proto_scalar(p, ret);
    len = wp_proto_varint(p);
    if (len > (uint64_t)(p->end - p->at)) {
        p->bad |= !p->clipped;
        len = (uint64_t)(p->end - p->at);
    }
    ret->at = p->at;
    ret->len = len;
    p->at += len;
    return !p->bad;
}
