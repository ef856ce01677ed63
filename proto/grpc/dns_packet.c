#include "waypost/base/rd.h"
#include "waypost/dns/grpc_frame.h"

enum wire_type { VARINT = 0, FIXED64 = 1, COUNTED = 2, FIXED32 = 5 };

enum { FIELD_MAX = (1 << 29) - 1, MSG_TAG = 1 << 3 | COUNTED };

/* A number of at most `octets` octets, seven bits each, least significant first. */
static uint64_t read_varint(struct wp_rd *rd, unsigned octets)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < octets; i++) {
        uint8_t c = wp_rd_u8(rd);

        v |= (uint64_t)(c & 0x7f) << (7 * i);
        if ((c & 0x80) == 0)
            return v;
    }
    rd->bad = true;
    return 0;
}

int wp_dns_packet_read(const uint8_t *data, size_t len, const uint8_t **ret_msg, size_t *ret_len)
{
    struct wp_rd rd = wp_rd_from(data, len);
    const uint8_t *msg = data;
    size_t msg_len = 0;

    while (!rd.bad && wp_rd_left(&rd) > 0) {
        uint64_t tag = read_varint(&rd, 5), field = tag >> 3;
        uint64_t n;

        if (field == 0 || field > FIELD_MAX || (field == 1 && tag != MSG_TAG))
            return WP_EMALFORMED;
        switch (tag & 7) {
        case VARINT:
            (void)read_varint(&rd, 10);
            break;
        case FIXED64:
            wp_rd_skip(&rd, 8);
            break;
        case FIXED32:
            wp_rd_skip(&rd, 4);
            break;
        case COUNTED:
            n = read_varint(&rd, 5);
            if (field == 1 && !rd.bad) {
                msg = data + rd.pos;
                msg_len = n;
            }
            wp_rd_skip(&rd, n);
            break;
        default: /* groups are not in proto3 */
            return WP_EMALFORMED;
        }
    }
    if (rd.bad)
        return WP_EMALFORMED;
    *ret_msg = msg;
    *ret_len = msg_len;
    return 0;
}

size_t wp_dns_packet_head(uint8_t buf[WP_GRPC_DNS_HEAD_MAX], size_t msg_len)
{
    size_t n = WP_GRPC_HEAD_LEN, v = msg_len;

    if (msg_len > 0) { /* proto3 leaves out an empty field */
        buf[n++] = MSG_TAG;
        for (; v > 0x7f; v >>= 7)
            buf[n++] = (uint8_t)(v | 0x80);
        buf[n++] = (uint8_t)v;
    }
    wp_grpc_head(buf, (uint32_t)(n - WP_GRPC_HEAD_LEN + msg_len));
    return n;
}
