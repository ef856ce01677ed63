/* The allocations that wait, as a binary heap. */
#include "backends/nomad/health_priv.h"

static void put(struct wp_nomad_health *h, size_t at, struct wp_nomad_alloc *a)
{
    h->heap[at] = a;
    a->at = at;
}

static void rise(struct wp_nomad_health *h, size_t at, struct wp_nomad_alloc *a)
{
    for (; at > 0 && h->heap[(at - 1) / 2]->due_ns > a->due_ns; at = (at - 1) / 2)
        put(h, at, h->heap[(at - 1) / 2]);
    put(h, at, a);
}

static void sink(struct wp_nomad_health *h, size_t at, struct wp_nomad_alloc *a)
{
    for (size_t child = 2 * at + 1; child < h->n_heap; at = child, child = 2 * at + 1) {
        if (child + 1 < h->n_heap && h->heap[child + 1]->due_ns < h->heap[child]->due_ns)
            child++;
        if (h->heap[child]->due_ns >= a->due_ns)
            break;
        put(h, at, h->heap[child]);
    }
    put(h, at, a);
}

void wp_nomad_heap_push(struct wp_nomad_health *h, struct wp_nomad_alloc *a)
{
    rise(h, h->n_heap++, a);
}

void wp_nomad_heap_remove(struct wp_nomad_health *h, struct wp_nomad_alloc *a)
{
    struct wp_nomad_alloc *last = h->heap[--h->n_heap];
    size_t at = a->at;

    a->at = SIZE_MAX;
    if (last == a)
        return;
    if (at > 0 && h->heap[(at - 1) / 2]->due_ns > last->due_ns)
        rise(h, at, last);
    else
        sink(h, at, last);
}
