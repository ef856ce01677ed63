/* Calls: packing, headers, unpacking into memory that goes all at once. */
#include <stdlib.h>
#include <string.h>

#include "backends/etcd/mirror_priv.h"

enum { UNPACK_TIMES = 16, UNPACK_MORE = 96 << 20, UNPACK_MIN = 256 << 10 };

size_t wp_etcd_headers(const struct wp_etcd_mirror *m, bool leader, struct wp_grpc_header out[2])
{
    size_t n = 0;

    if (m->token != NULL)
        out[n++] = (struct wp_grpc_header){"token", m->token};
    /* without it a watch on a member cut off from the others stays open and silent */
    if (leader)
        out[n++] = (struct wp_grpc_header){"hasleader", "true"};
    return n;
}

struct wp_grpc_call *wp_etcd_request_on(struct wp_etcd_mirror *m, struct wp_grpc_channel *channel,
                                        const char *method, const ProtobufCMessage *request,
                                        unsigned timeout_ms, wp_grpc_done_fn *fn, void *arg)
{
    struct wp_grpc_header headers[2];
    size_t n = wp_etcd_headers(m, false, headers);
    size_t len = protobuf_c_message_get_packed_size(request);
    uint8_t *packed = malloc(len + 1);
    struct wp_grpc_call *call = NULL;

    if (packed != NULL) {
        protobuf_c_message_pack(request, packed);
        call = m->g->unary(channel, method, headers, n, packed, len, timeout_ms, fn, arg);
        explicit_bzero(packed, len); /* it may hold a password */
    }
    free(packed);
    return call;
}

struct wp_grpc_call *wp_etcd_request_beside(struct wp_etcd_mirror *m, const char *method,
                                            const ProtobufCMessage *request, unsigned timeout_ms,
                                            wp_grpc_done_fn *fn, void *arg)
{
    return wp_etcd_request_on(m, m->channel, method, request, timeout_ms, fn, arg);
}

void wp_etcd_request(struct wp_etcd_mirror *m, const char *method, const ProtobufCMessage *request,
                     unsigned timeout_ms, wp_grpc_done_fn *fn)
{
    m->call = wp_etcd_request_on(m, m->channel, method, request, timeout_ms, fn, m);
    if (m->call == NULL)
        wp_etcd_fail(m, WP_GRPC_RESOURCE_EXHAUSTED, "out of memory", method);
}

static void *scratch_alloc(void *data, size_t len)
{
    return wp_arena_alloc(data, len);
}

static void scratch_free(void *data, void *p)
{
    (void)data; /* all goes with the arena */
    (void)p;
}

void *wp_etcd_unpack(struct wp_etcd_mirror *m, const ProtobufCMessageDescriptor *d,
                     const uint8_t *data, size_t len)
{
    ProtobufCAllocator allocator = {scratch_alloc, scratch_free, &m->scratch};
    size_t room = len < UNPACK_MORE / UNPACK_TIMES ? UNPACK_TIMES * len : len + UNPACK_MORE;

    /* keys of some octets unpack to five times their size; only rubbish to much more */
    m->scratch.max = room + UNPACK_MIN;
    wp_arena_reset(&m->scratch);
    return protobuf_c_message_unpack(d, &allocator, len, data);
}

void wp_etcd_seen(struct wp_etcd_mirror *m, const Etcd__Header *h)
{
    m->heard = true;
    if (h != NULL)
        m->member_id = h->member_id;
    m->heard_ns = m->g->now();
    atomic_store_explicit(&m->seen_ns, m->heard_ns, memory_order_relaxed);
    wp_etcd_lapse_heard(m);
    wp_metric_set(m->stats.contact, (double)time(NULL));
}

uint64_t wp_etcd_random(struct wp_etcd_mirror *m)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random;
}
