/* Bump allocator: many small pieces, freed together. One owner, no locking.
 * Memory is not zeroed unless the function says so; alignment is 16 octets. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

struct wp_arena_chunk;

struct wp_arena {
    uint8_t *at, *end;           /* free part of the newest chunk */
    struct wp_arena_chunk *last; /* newest first; NULL before the first allocation */
    size_t used, max;            /* octets taken from the heap; the cap (0: none) */
};

/* Nothing is allocated until the first use. `max` caps the heap octets, 0 means no cap. */
void wp_arena_init(struct wp_arena *a, size_t max);
/* Forget everything, keep the first chunk: the next round allocates nothing from the heap. */
void wp_arena_reset(struct wp_arena *a);
void wp_arena_done(struct wp_arena *a);

/* NULL when the heap or the cap is exhausted. `len` 0 gives a valid unique pointer. */
void *wp_arena_alloc_slow(struct wp_arena *a, size_t len);
static inline void *wp_arena_alloc(struct wp_arena *a, size_t len)
{
    size_t need = (len + 15) & ~(size_t)15;

    if (need >= len && need != 0 && a->at != NULL && need <= (size_t)(a->end - a->at)) {
        void *p = a->at;
        a->at += need;
        return p;
    }
    return wp_arena_alloc_slow(a, len);
}
void *wp_arena_zalloc(struct wp_arena *a, size_t len); /* zeroed */
void *wp_arena_dup(struct wp_arena *a, const void *p, size_t len);
char *wp_arena_strdup(struct wp_arena *a, const char *s);
char *wp_arena_strndup(struct wp_arena *a, const char *s, size_t len); /* adds the NUL */
char *wp_arena_printf(struct wp_arena *a, const char *fmt, ...) WP_PRINTF(2, 3);
/* n * size with overflow check; zeroed. */
void *wp_arena_array(struct wp_arena *a, size_t n, size_t size);
