/* Memory of an idle session, put aside. A session of nghttp2 is 9 KiB, most of it zero when no
 * stream is open, and most of the rest the same in all of them. It lives in pages of its own: what
 * is not as in the first one that slept is copied to a small block, the pages go back to the kernel,
 * and come back at the same addresses when they are needed. The library never knows. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

enum {
    WP_REGION_OCTETS = 12288, /* whole pages: session, HPACK tables, table of streams */
    WP_REGIONS_SLAB = 64,     /* regions mapped at a time */
};

struct wp_region_slab;
struct wp_region_free;
/* The regions of one worker. Zeroed: none. */
struct wp_regions {
    struct wp_region_slab *slabs;
    struct wp_region_free *free;
    uint64_t *like; /* what the first one held when it fell asleep, or NULL */
    uint32_t like_words;
};
struct wp_region {
    uint8_t *at; /* NULL: none */
    uint32_t used;
    uint32_t packed_len;
    uint8_t *packed; /* while it is put aside, else NULL */
};

/* -ENOMEM. */
int wp_region_get(struct wp_regions *all, struct wp_region *ret) WP_MUSTCHECK;
void wp_region_put(struct wp_regions *all, struct wp_region *r);
void wp_regions_done(struct wp_regions *all); /* none is in use */
/* A piece for as long as the region lives; NULL when it does not fit. Aligned to 16, zeroed. */
void *wp_region_alloc(struct wp_region *r, size_t len);
/* Nobody may touch the memory until wp_region_wake. -ENOMEM: it stays as it is. */
int wp_region_sleep(struct wp_regions *all, struct wp_region *r) WP_MUSTCHECK;
void wp_region_wake(const struct wp_regions *all, struct wp_region *r); /* also when it does not sleep */
