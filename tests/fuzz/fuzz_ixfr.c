/* The client's version in an IXFR question. Properties: a message that the gate lets through and
 * that has one record there, which is a SOA by its frame, gives the serial that stands twenty
 * octets before the record's end, or is malformed; anything else gives none. Cut behind the record
 * it gives the same, or none where a compressed name runs on into what is cut off; cut anywhere
 * before it gives none. */
#include "fuzz.h"

#include "server/plugins/transfer/transfer.h"
#include "waypost/base/rd.h"
#include "waypost/dns/rr.h"

static int read_serial(const uint8_t *data, size_t size, size_t question, uint32_t *ret)
{
    uint8_t *exact = malloc(size > 0 ? size : 1); /* so that one octet too many is seen */
    struct wp_arena a;
    int r;

    wp_arena_init(&a, 1 << 20);
    memcpy(exact, data, size);
    r = transfer_ixfr_serial(exact, size, question, &a, ret);
    free(exact);
    wp_arena_done(&a);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const unsigned admit = 1u << WP_OPCODE_QUERY | 1u << WP_OPCODE_NOTIFY;
    struct wp_rr_at at;
    struct wp_msg msg;
    struct wp_rd rd;
    uint32_t serial = 0, other = 0;

    if (size > WP_MSG_MAX || wp_msg_parse_query(data, size, admit, &msg) != WP_INTAKE_OK)
        return 0;
    if (read_serial(data, size, msg.question_len, &serial) < 0)
        return 0;
    CHECK(wp_be16(data + 6) == 0 && wp_be16(data + 8) == 1);
    rd = wp_rd_from(data, size);
    rd.pos = WP_HEADER_LEN + (size_t)msg.question_len;
    CHECK(wp_rr_next(&rd, &at) == 0 && at.type == WP_TYPE_SOA);
    CHECK(serial == wp_be32(data + at.end - 20));
    CHECK(read_serial(data, at.end, msg.question_len, &other) < 0 || other == serial);
    for (size_t cut = at.end < 300 ? 0 : at.end - 100; cut < at.end; cut++)
        CHECK(read_serial(data, cut, msg.question_len, &other) < 0);
    return 0;
}
