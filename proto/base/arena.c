#include "waypost/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Under AddressSanitizer each piece is a heap block of its own, so that reading past one, or
 * after a reset, is found. */
#if defined(__SANITIZE_ADDRESS__)
#define SEPARATE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SEPARATE 1
#endif
#endif
#ifndef SEPARATE
#define SEPARATE 0
#endif

enum {
    CHUNK_FIRST = 4096,    /* octets with the header: what most queries stay below */
    CHUNK_GROWN = 1 << 16, /* later chunks double up to this */
};

struct wp_arena_chunk {
    struct wp_arena_chunk *older;
    size_t size; /* octets with this header */
};
_Static_assert(sizeof(struct wp_arena_chunk) % 16 == 0, "pieces stay aligned");

void wp_arena_init(struct wp_arena *a, size_t max)
{
    *a = (struct wp_arena){.max = max};
}

static void free_chunk(struct wp_arena *a, struct wp_arena_chunk *c)
{
    a->used -= c->size;
    free(c);
}

void wp_arena_reset(struct wp_arena *a)
{
    struct wp_arena_chunk *c = a->last;

    if (c == NULL)
        return;
    while (c->older != NULL) {
        struct wp_arena_chunk *older = c->older;
        free_chunk(a, c);
        c = older;
    }
    /* A first chunk made for one large piece is not worth keeping. */
    if (c->size != CHUNK_FIRST || SEPARATE) {
        free_chunk(a, c);
        a->last = NULL;
        a->at = a->end = NULL;
        return;
    }
    a->last = c;
    a->at = (uint8_t *)(c + 1);
    a->end = (uint8_t *)c + c->size;
}

void wp_arena_done(struct wp_arena *a)
{
    struct wp_arena_chunk *c = a->last;

    while (c != NULL) {
        struct wp_arena_chunk *older = c->older;
        free_chunk(a, c);
        c = older;
    }
    a->last = NULL;
    a->at = a->end = NULL;
}

static struct wp_arena_chunk *new_chunk(struct wp_arena *a, size_t size)
{
    struct wp_arena_chunk *c;

    if (a->max != 0 && size > a->max - a->used)
        return NULL;
    c = malloc(size);
    if (c == NULL)
        return NULL;
    c->size = size;
    a->used += size;
    return c;
}

/* A piece too large for a common chunk: its own, put behind the newest so that the newest's
 * free part stays in use. */
static void *alloc_apart(struct wp_arena *a, size_t need)
{
    struct wp_arena_chunk *c = new_chunk(a, sizeof(*c) + need);

    if (c == NULL)
        return NULL;
    if (a->last != NULL && !SEPARATE) {
        c->older = a->last->older;
        a->last->older = c;
    } else {
        c->older = a->last;
        a->last = c;
    }
    return c + 1;
}

void *wp_arena_alloc_slow(struct wp_arena *a, size_t len)
{
    size_t need = ((len > 0 ? len : 1) + 15) & ~(size_t)15;
    size_t size = CHUNK_FIRST;
    struct wp_arena_chunk *c;
    void *p;

    if (need < len || need > SIZE_MAX / 2)
        return NULL;
    if (SEPARATE)
        return alloc_apart(a, len > 0 ? len : 1);
    if (len == 0 && a->at != NULL && a->end - a->at >= 16) {
        p = a->at;
        a->at += 16;
        return p;
    }
    if (a->last != NULL)
        size = a->last->size < CHUNK_GROWN / 2 ? a->last->size * 2 : CHUNK_GROWN;
    if (need > size / 2)
        return alloc_apart(a, need);
    c = new_chunk(a, size);
    if (c == NULL)
        return alloc_apart(a, need); /* near the cap: just what is asked for */
    c->older = a->last;
    a->last = c;
    p = c + 1;
    a->at = (uint8_t *)p + need;
    a->end = (uint8_t *)c + size;
    return p;
}

void *wp_arena_zalloc(struct wp_arena *a, size_t len)
{
    void *p = wp_arena_alloc(a, len);

    return p == NULL ? NULL : memset(p, 0, len);
}

void *wp_arena_dup(struct wp_arena *a, const void *src, size_t len)
{
    void *p = wp_arena_alloc(a, len);

    if (p != NULL && len > 0)
        memcpy(p, src, len);
    return p;
}

char *wp_arena_strdup(struct wp_arena *a, const char *s)
{
    return wp_arena_dup(a, s, strlen(s) + 1);
}

char *wp_arena_strndup(struct wp_arena *a, const char *s, size_t len)
{
    char *p = len < SIZE_MAX ? wp_arena_alloc(a, len + 1) : NULL;

    if (p == NULL)
        return NULL;
    if (len > 0)
        memcpy(p, s, len);
    p[len] = '\0';
    return p;
}

char *wp_arena_printf(struct wp_arena *a, const char *fmt, ...)
{
    va_list args;
    char *p = NULL;
    int len;

    va_start(args, fmt);
    len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len >= 0)
        p = wp_arena_alloc(a, (size_t)len + 1);
    if (p == NULL)
        return NULL;
    va_start(args, fmt);
    vsnprintf(p, (size_t)len + 1, fmt, args);
    va_end(args);
    return p;
}

void *wp_arena_array(struct wp_arena *a, size_t n, size_t size)
{
    size_t len;

    if (__builtin_mul_overflow(n, size, &len))
        return NULL;
    return wp_arena_zalloc(a, len);
}
