/* The parts of the metrics: series.c the registry, cell.c the counting, text.c the exposition,
 * number.c numbers as text. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include "waypost/plugin/metric.h"

struct family_state {
    const struct wp_family *def; /* of whoever asked first */
    struct wp_series **series;   /* the registry's lock; series are never freed */
    size_t n, cap;
};

struct wp_series {
    struct wp_series *next; /* same hash bucket */
    struct family_state *family;
    const double *buckets;
    uint32_t n_buckets;
    uint32_t first;          /* its first cell in every slab */
    _Atomic uint64_t gauge;  /* bits of a double: the part that was set */
    _Atomic uint64_t before; /* what the cells held when it was dropped */
    atomic_bool gone;        /* not shown */
    double (*read)(void *);  /* by the reading lock */
    void *read_arg;
    char **values;
    const char *labels; /* a="b",c="d", sorted by name */
};

/* Cells of a histogram: one for each bucket, +Inf, then the sum as bits of a double. */
static inline uint32_t wp_series_n_cells(const struct wp_series *s)
{
    return s->n_buckets > 0 ? s->n_buckets + 2 : 1;
}

/* cell.c */
enum { METRIC_CELLS_MAX = 1 << 21 }; /* for each worker: bounds what labels can cost */
uint64_t wp_cell_sum(const struct wp_series *s, uint32_t cell);
double wp_cell_sum_double(const struct wp_series *s, uint32_t cell);
double wp_series_value(struct wp_series *s); /* counter or gauge */

/* series.c: the families in order of their names, and their series; the arrays belong to the
 * caller. 0 or -ENOMEM. */
struct family_view {
    const struct wp_family *def;
    struct wp_series **series; /* of the shown ones, sorted by label values */
    size_t n;
};
int wp_metric_snapshot(struct family_view **ret, size_t *ret_n) WP_MUSTCHECK;
void wp_metric_snapshot_free(struct family_view *views, size_t n);

/* number.c: shortest decimal that reads back as v, as Go prints it: "0.25", "1e+06", "+Inf". */
size_t wp_number_text(double v, char buf[32]);
