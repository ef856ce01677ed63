/* What a unit test needs above cmocka: checks that name their table row. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            print_error("%s:%d: %s\n", __FILE__, __LINE__, #cond);                                 \
            fail();                                                                                \
        }                                                                                          \
    } while (0)
#define CHECK_AT(what, cond)                                                                       \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            print_error("%s:%d: [%s] %s\n", __FILE__, __LINE__, (what), #cond);                    \
            fail();                                                                                \
        }                                                                                          \
    } while (0)
/* A test function without cmocka's state argument. */
#define TEST(fn) {#fn, (void (*)(void **))(void (*)(void))fn, NULL, NULL, NULL}
#define RUN_TESTS(...)                                                                             \
    int main(void)                                                                                 \
    {                                                                                              \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                           \
        return cmocka_run_group_tests(tests, NULL, NULL);                                          \
    }
/* The same with functions that run before the first and after the last test. */
#define RUN_TESTS_WITH(setup, teardown, ...)                                                       \
    int main(void)                                                                                 \
    {                                                                                              \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                           \
        return cmocka_run_group_tests(tests, setup, teardown);                                     \
    }
/* Octets of a literal with its length, without the closing NUL. */
#define WIRE(s) (s), sizeof(s) - 1
