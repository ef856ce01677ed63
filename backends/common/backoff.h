/* How long to wait before trying again: doubling from `first` to `most`, each wait off by up to a
 * fifth either way, so that clients that lost one server do not come back in step. */
#pragma once
#include <stdint.h>

struct wp_backoff {
    uint64_t first_ns, most_ns;
    uint64_t next_ns; /* 0: the next wait is the first */
};
static inline void wp_backoff_reset(struct wp_backoff *b)
{
    b->next_ns = 0;
}
/* The wait to take now; `random` is any number, all of it may count. */
uint64_t wp_backoff_next(struct wp_backoff *b, uint64_t random);
