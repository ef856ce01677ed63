#include "server/log/log_priv.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Positions only grow; their low bits are the offset. */
struct wp_log_ring {
    uint8_t *data;
    uint64_t size;
    alignas(64) _Atomic uint64_t head; /* the producer's */
    uint64_t tail_seen;                /* what the producer last knew of tail */
    _Atomic uint64_t dropped;
    alignas(64) _Atomic uint64_t tail; /* the consumer's */
};

enum { SKIP = UINT32_MAX };
_Static_assert(sizeof(struct wp_log_rec) % 8 == 0, "records stay aligned");

int wp_log_ring_new(size_t size, struct wp_log_ring **ret)
{
    struct wp_log_ring *r = aligned_alloc(64, sizeof(*r));

    if (r == NULL)
        return -ENOMEM;
    *r = (struct wp_log_ring){.size = size};
    /* Untouched pages cost nothing: a worker without a query log pays no memory. */
    r->data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (r->data == MAP_FAILED) {
        free(r);
        return -ENOMEM;
    }
    *ret = r;
    return 0;
}

void wp_log_ring_free(struct wp_log_ring *r)
{
    if (r == NULL)
        return;
    munmap(r->data, r->size);
    free(r);
}

/* Is there room for n octets after head? */
static bool has_room(struct wp_log_ring *r, uint64_t head, uint64_t n)
{
    if (head + n - r->tail_seen <= r->size)
        return true;
    r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
    return head + n - r->tail_seen <= r->size;
}

enum wp_log_pushed wp_log_ring_push(struct wp_log_ring *r, wp_log_format_fn *format,
                                    const void *data, size_t len, uint64_t at_ns)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    uint64_t size = (sizeof(struct wp_log_rec) + len + 7) & ~(uint64_t)7;
    uint64_t to_end = r->size - (head & (r->size - 1));
    uint64_t skip = size > to_end ? to_end : 0;
    struct wp_log_rec *rec;

    if (!has_room(r, head, skip + size)) {
        uint64_t dropped = atomic_load_explicit(&r->dropped, memory_order_relaxed);
        atomic_store_explicit(&r->dropped, dropped + 1, memory_order_relaxed);
        return LOG_DROPPED;
    }
    if (skip > 0) { /* at least 8 octets: len and size of the header */
        rec = (struct wp_log_rec *)(r->data + (head & (r->size - 1)));
        rec->len = SKIP;
        rec->size = (uint32_t)skip;
        head += skip;
    }
    rec = (struct wp_log_rec *)(r->data + (head & (r->size - 1)));
    rec->len = (uint32_t)len;
    rec->size = (uint32_t)size;
    rec->at_ns = at_ns;
    rec->format = format;
    memcpy(rec->data, data, len);
    head += size;
    atomic_store_explicit(&r->head, head, memory_order_release);
    if (head - r->tail_seen <= r->size / 2)
        return LOG_PUSHED;
    r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
    return head - r->tail_seen <= r->size / 2 ? LOG_PUSHED : LOG_PUSHED_PAST_HALF;
}

const struct wp_log_rec *wp_log_ring_peek(struct wp_log_ring *r)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    const struct wp_log_rec *rec;

    if (tail == atomic_load_explicit(&r->head, memory_order_acquire))
        return NULL;
    rec = (const struct wp_log_rec *)(r->data + (tail & (r->size - 1)));
    if (rec->len == SKIP) /* a record always follows what is skipped */
        rec = (const struct wp_log_rec *)r->data;
    return rec;
}

void wp_log_ring_pop(struct wp_log_ring *r, const struct wp_log_rec *rec)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    uint64_t at = tail & (r->size - 1);

    if (r->data + at != (const uint8_t *)rec)
        tail += r->size - at;
    atomic_store_explicit(&r->tail, tail + rec->size, memory_order_release);
}

uint64_t wp_log_ring_dropped(const struct wp_log_ring *r)
{
    return atomic_load_explicit(&r->dropped, memory_order_relaxed);
}
