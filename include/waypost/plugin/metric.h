/* Metrics: each worker adds to its own cells without atomics; a scrape sums them. Names and
 * labels as CoreDNS has them ("coredns_..."); what it has no name for is "waypost_...".
 * Every family has a HELP text. Families and series are made at set-up or on a cold path
 * (wp_metric_series takes a mutex), never for each query. Series live as long as the process;
 * asking twice for one gives the same. */
#pragma once
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

enum wp_metric_kind { WP_COUNTER, WP_GAUGE, WP_HISTOGRAM };

/* Static in the .c file of its owner. `labels` is NULL-terminated. */
struct wp_family {
    const char *name, *help;
    enum wp_metric_kind kind;
    const char *labels[9];
    const double *buckets; /* histogram: upper bounds, ascending, without +Inf */
    size_t n_buckets;
};

extern const double wp_time_buckets[16];     /* 0.00025 * 2^n */
extern const double wp_slim_time_buckets[5]; /* 0.00025 .. 2.5 */
extern const double wp_size_buckets[14];

/* One set of label values. */
struct wp_series;
/* `values` are copied; as many as the family has labels. NULL when memory is short; every
 * function below accepts NULL and then does nothing. Any thread. */
struct wp_series *wp_metric_series(const struct wp_family *f, const char *const *values);
/* Take the series out of the exposition (a gauge whose subject is gone). */
void wp_metric_drop(const struct wp_family *f, const char *const *values);

/* worker: wp_loop_index of the calling loop, or WP_METRIC_SHARED from any other thread
 * (atomic add there). */
enum { WP_METRIC_SHARED = -1 };
void wp_metric_add(struct wp_series *s, int worker, uint64_t n);      /* counter */
void wp_metric_set(struct wp_series *s, double v);                    /* gauge; any thread */
void wp_metric_gauge_add(struct wp_series *s, int worker, int64_t n); /* gauge, by steps */
void wp_metric_observe(struct wp_series *s, int worker, double v);    /* histogram */
uint64_t wp_metric_value(const struct wp_series *s);                  /* counter, summed */

/* A gauge or counter that is read when scraped, instead of its cells. fn runs on the admin
 * thread and must not come back into this module. With fn NULL reading ends: when this returns,
 * fn is not running and will not be called again. */
void wp_metric_read(struct wp_series *s, double (*fn)(void *arg), void *arg);

/* process_* of this process, as Prometheus clients name them. Doing it twice is fine. */
void wp_metric_process(void);

/* Prometheus text exposition 0.0.4 of everything. Caller frees with free(). */
char *wp_metric_text(size_t *ret_len);
