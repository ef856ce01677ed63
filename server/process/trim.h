/* Many connections went: what they leave to the allocator, in pieces between what stays, goes back
 * to the kernel. */
#pragma once
#include <stdint.h>

struct wp_gen;

struct wp_trim {
    uint32_t most; /* connections since it was last done */
};

/* Every few seconds, on the main thread. */
void wp_trim_look(struct wp_trim *t, const struct wp_gen *gen);
