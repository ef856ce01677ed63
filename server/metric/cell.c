/* Counting. Each loop has a slab of cells that only it writes: an addition is a plain load and
 * store (relaxed, so that a scrape may read at the same time). Slabs are reserved as address
 * space and touched as series are used; the cells of series made together lie together. Slab 0 is
 * for threads that are no loops and pays for an atomic addition. */
#include "server/metric/metric_priv.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include "waypost/base/grace.h"

enum { SLABS = WP_GRACE_READERS_MAX + 1 };

typedef _Atomic uint64_t cell;
static cell *_Atomic slabs[SLABS];

const double wp_time_buckets[16] = {0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032,
                                    0.064,   0.128,  0.256, 0.512, 1.024, 2.048, 4.096, 8.192};
const double wp_slim_time_buckets[5] = {0.00025, 0.0025, 0.025, 0.25, 2.5};
const double wp_size_buckets[14] = {0,    100,  200,  300,   400,   511,   1023,
                                    2047, 4095, 8291, 16000, 32000, 48000, 64000};

static __attribute__((noinline)) cell *new_slab(unsigned at)
{
    size_t size = METRIC_CELLS_MAX * sizeof(cell);
    cell *mine = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cell *none = NULL;

    if (mine == MAP_FAILED)
        return NULL;
    if (!atomic_compare_exchange_strong(&slabs[at], &none, mine)) {
        munmap(mine, size);
        return none;
    }
    return mine;
}

static inline cell *cells_of(const struct wp_series *s, int worker)
{
    unsigned at = (unsigned)(worker + 1);
    cell *slab;

    if (at >= SLABS)
        return NULL;
    slab = atomic_load_explicit(&slabs[at], memory_order_acquire);
    if (WP_UNLIKELY(slab == NULL))
        slab = new_slab(at);
    return slab == NULL ? NULL : slab + s->first;
}

static inline void add(cell *c, int worker, uint64_t n)
{
    if (worker == WP_METRIC_SHARED)
        atomic_fetch_add_explicit(c, n, memory_order_relaxed);
    else
        atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                              memory_order_relaxed);
}

static double as_double(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

static uint64_t as_bits(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static inline void add_double(cell *c, int worker, double v)
{
    uint64_t old = atomic_load_explicit(c, memory_order_relaxed);

    if (worker != WP_METRIC_SHARED) {
        atomic_store_explicit(c, as_bits(as_double(old) + v), memory_order_relaxed);
        return;
    }
    while (!atomic_compare_exchange_weak_explicit(c, &old, as_bits(as_double(old) + v),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void wp_metric_add(struct wp_series *s, int worker, uint64_t n)
{
    cell *c = s != NULL ? cells_of(s, worker) : NULL;

    if (c != NULL)
        add(c, worker, n);
}

void wp_metric_gauge_add(struct wp_series *s, int worker, int64_t n)
{
    wp_metric_add(s, worker, (uint64_t)n); /* wraps round to the right sum */
}

void wp_metric_set(struct wp_series *s, double v)
{
    if (s != NULL)
        atomic_store_explicit(&s->gauge, as_bits(v), memory_order_relaxed);
}

void wp_metric_observe(struct wp_series *s, int worker, double v)
{
    cell *c = s != NULL ? cells_of(s, worker) : NULL;
    uint32_t i = 0;

    if (c == NULL)
        return;
    /* Most values fall into the first buckets: a search from there is the shortest. */
    while (i < s->n_buckets && v > s->buckets[i])
        i++;
    add(c + i, worker, 1);
    add_double(c + s->n_buckets + 1, worker, v);
}

/* --- reading ---------------------------------------------------------------------------------- */

uint64_t wp_cell_sum(const struct wp_series *s, uint32_t at)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < SLABS; i++) {
        cell *slab = atomic_load_explicit(&slabs[i], memory_order_acquire);
        if (slab != NULL)
            sum += atomic_load_explicit(&slab[s->first + at], memory_order_relaxed);
    }
    return sum;
}

double wp_cell_sum_double(const struct wp_series *s, uint32_t at)
{
    double sum = 0;

    for (unsigned i = 0; i < SLABS; i++) {
        cell *slab = atomic_load_explicit(&slabs[i], memory_order_acquire);
        if (slab != NULL)
            sum += as_double(atomic_load_explicit(&slab[s->first + at], memory_order_relaxed));
    }
    return sum;
}

uint64_t wp_metric_value(const struct wp_series *s)
{
    return s == NULL ? 0
                     : wp_cell_sum(s, 0) - atomic_load_explicit(&s->before, memory_order_relaxed);
}

double wp_series_value(struct wp_series *s)
{
    uint64_t steps = wp_metric_value(s);

    if (s->family->def->kind == WP_GAUGE)
        return as_double(atomic_load_explicit(&s->gauge, memory_order_relaxed)) +
               (double)(int64_t)steps;
    return (double)steps;
}
