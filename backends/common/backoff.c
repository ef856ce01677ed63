#include "backends/common/backoff.h"

uint64_t wp_backoff_next(struct wp_backoff *b, uint64_t random)
{
    uint64_t wait = b->next_ns != 0 ? b->next_ns : b->first_ns;
    uint64_t fifth = wait / 5;

    b->next_ns = wait > b->most_ns / 2 ? b->most_ns : 2 * wait;
    return wait - fifth + (fifth == 0 ? 0 : random % (2 * fifth + 1));
}
