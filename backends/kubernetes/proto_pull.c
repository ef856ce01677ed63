#include "backends/kubernetes/proto_pull.h"

enum { VARINT_OCTETS = 10 };

uint64_t wp_proto_long_varint(struct wp_proto *p)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < VARINT_OCTETS && p->at < p->end; i++) {
        uint8_t c = *p->at++;

        v |= (uint64_t)(c & 0x7f) << (7 * i);
        if (c < 0x80)
            return v;
    }
    p->bad = true;
    p->at = p->end;
    return 0;
}

bool wp_proto_scalar(struct wp_proto *p, struct wp_proto_field *ret)
{
    size_t len = ret->wire == WP_PROTO_FIXED64 ? 8 : 4;

    ret->at = p->at;
    ret->len = 0;
    if (ret->wire == WP_PROTO_VARINT) {
        ret->value = wp_proto_varint(p);
    } else if ((ret->wire == WP_PROTO_FIXED64 || ret->wire == WP_PROTO_FIXED32) &&
               len <= (size_t)(p->end - p->at)) {
        ret->value = 0; /* no field that is wanted has this form */
        p->at += len;
    } else { /* groups: nobody has written any for years */
        p->bad = true;
        p->at = p->end;
    }
    return !p->bad;
}
