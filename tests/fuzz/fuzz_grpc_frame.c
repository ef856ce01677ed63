/* gRPC framing and DnsPacket. Properties: what the frames say does not depend on how the octets
 * are cut up; the DnsPacket decoder agrees with protobuf-c on everything it accepts, reads back
 * what protobuf-c packs, and what the head writer makes. */
#include "fuzz.h"

#include "coredns_dns.pb-c.h"
#include "waypost/dns/grpc_frame.h"

/* A running sum of everything the reader says. */
struct heard {
    uint64_t sum;
    unsigned messages;
    int err;
    bool between, compressed;
};

static void hear(struct heard *h, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        h->sum = (h->sum ^ p[i]) * 0x100000001b3u;
}

static struct heard listen(const uint8_t *data, size_t size, size_t step, uint32_t max)
{
    struct heard h = {0};
    struct wp_grpc_reader r;
    size_t at = 0;

    wp_grpc_reader_init(&r, max);
    while (at < size && h.err == 0) {
        size_t n = size - at < step ? size - at : step, len;
        const uint8_t *piece;
        int used = wp_grpc_read(&r, data + at, n, &piece, &len);

        if (used < 0) {
            h.err = used;
            break;
        }
        CHECK(used > 0 && (size_t)used <= n && len <= (size_t)used);
        CHECK(piece >= data + at && piece + len <= data + at + n);
        hear(&h, piece, len);
        if (r.complete) {
            h.messages++;
            hear(&h, (const uint8_t *)"|", 1);
        }
        at += (size_t)used;
    }
    h.between = wp_grpc_reader_is_between(&r);
    h.compressed = r.compressed;
    return h;
}

static void check_frames(const uint8_t *data, size_t size)
{
    struct heard whole = listen(data, size, size, WP_GRPC_PACKET_MAX);

    for (size_t step = 1; step < 8; step++) {
        struct heard h = listen(data, size, step, WP_GRPC_PACKET_MAX);

        CHECK(h.err == whole.err && h.messages == whole.messages && h.sum == whole.sum);
        CHECK(h.err != 0 || (h.between == whole.between && h.compressed == whole.compressed));
    }
}

static void check_packet(const uint8_t *data, size_t size)
{
    Coredns__Dns__DnsPacket *oracle;
    const uint8_t *msg;
    size_t len;

    if (wp_dns_packet_read(data, size, &msg, &len) < 0)
        return;
    CHECK(msg >= data && msg + len <= data + size);
    oracle = coredns__dns__dns_packet__unpack(NULL, size, data);
    CHECK(oracle != NULL && oracle->msg.len == len);
    CHECK(len == 0 || memcmp(oracle->msg.data, msg, len) == 0);
    coredns__dns__dns_packet__free_unpacked(oracle, NULL);
}

/* The input as a message: packed by both, read by ours. */
static void check_pack(const uint8_t *data, size_t size)
{
    Coredns__Dns__DnsPacket packet = COREDNS__DNS__DNS_PACKET__INIT;
    uint8_t head[WP_GRPC_DNS_HEAD_MAX], *wire;
    const uint8_t *msg;
    size_t len, packed, n;

    if (size > 65535)
        return;
    packet.msg.data = (uint8_t *)data;
    packet.msg.len = size;
    packed = coredns__dns__dns_packet__get_packed_size(&packet);
    wire = malloc(packed + 1);
    CHECK(wire != NULL && coredns__dns__dns_packet__pack(&packet, wire) == packed);
    CHECK(wp_dns_packet_read(wire, packed, &msg, &len) == 0);
    CHECK(len == size && memcmp(msg, data, len) == 0);
    n = wp_dns_packet_head(head, size);
    CHECK(n - WP_GRPC_HEAD_LEN + size == packed);
    CHECK(memcmp(head + WP_GRPC_HEAD_LEN, wire, n - WP_GRPC_HEAD_LEN) == 0);
    free(wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_frames(data, size);
    check_packet(data, size);
    check_pack(data, size);
    return 0;
}
