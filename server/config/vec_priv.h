/* A growing array of things that move: the parser's stacks. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct wp_vec {
    void *at;
    size_t n, cap; /* elements */
};

/* Room for one more element of `size` octets, counted; NULL when memory is short. */
static inline void *wp_vec_add(struct wp_vec *v, size_t size)
{
    if (v->n == v->cap) {
        size_t cap = v->cap > 0 ? v->cap * 2 : 16;
        void *at = cap < SIZE_MAX / 2 / size ? realloc(v->at, cap * size) : NULL;

        if (at == NULL)
            return NULL;
        v->at = at;
        v->cap = cap;
    }
    return (uint8_t *)v->at + v->n++ * size;
}

static inline void wp_vec_done(struct wp_vec *v)
{
    free(v->at);
    *v = (struct wp_vec){0};
}
