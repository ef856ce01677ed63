/* The n-th allocation fails. For programs named test_*_nomem.c: CMake links those with
 * --wrap=malloc,calloc,realloc, which reaches every allocation of our own code, also under the
 * sanitizers. Included by one file of a program.
 *
 *   for (long n = 0; ; n++) {
 *       failmalloc_after(n);               // n allocations pass, the next one fails
 *       r = thing();
 *       if (!failmalloc_stop())            // it came through without meeting the failure
 *           break;
 *       ... r must be an error, nothing may have changed
 *   }
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__real_realloc(void *p, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *p, size_t len);

/* volatile: to the compiler malloc is a builtin that touches nobody's variables. */
static _Thread_local volatile long failmalloc_left = -1;
static _Thread_local volatile bool failmalloc_met;

static bool failmalloc_now(void)
{
    if (failmalloc_left < 0)
        return false;
    if (failmalloc_left-- > 0)
        return false;
    failmalloc_left = -1;
    failmalloc_met = true;
    return true;
}

void *__wrap_malloc(size_t len)
{
    return failmalloc_now() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
    return failmalloc_now() ? NULL : __real_calloc(n, len);
}

void *__wrap_realloc(void *p, size_t len)
{
    return failmalloc_now() ? NULL : __real_realloc(p, len);
}

static inline void failmalloc_after(long n)
{
    failmalloc_left = n;
    failmalloc_met = false;
}

/* Did an allocation fail? */
static inline bool failmalloc_stop(void)
{
    failmalloc_left = -1;
    return failmalloc_met;
}
