#include "check.h"
#include "waypost/base/arena.h"

#ifdef __SANITIZE_ADDRESS__
enum { SEPARATE = 1 }; /* each piece is a block of its own: nothing to reuse */
#else
enum { SEPARATE = 0 };
#endif

static void test_alignment_and_content(void)
{
    struct wp_arena a;
    uint8_t *pieces[300];

    wp_arena_init(&a, 0);
    for (size_t i = 0; i < COUNT(pieces); i++) {
        pieces[i] = wp_arena_alloc(&a, i * 7);
        CHECK(pieces[i] != NULL && (uintptr_t)pieces[i] % 16 == 0);
        memset(pieces[i], (int)i, i * 7);
    }
    for (size_t i = 0; i < COUNT(pieces); i++)
        for (size_t j = 0; j < i * 7; j++)
            CHECK(pieces[i][j] == (uint8_t)i);
    wp_arena_done(&a);
    CHECK(a.used == 0);
}

static void test_zero_length_is_unique(void)
{
    struct wp_arena a;
    void *p, *q;

    wp_arena_init(&a, 0);
    p = wp_arena_alloc(&a, 0);
    q = wp_arena_alloc(&a, 0);
    CHECK(p != NULL && q != NULL && p != q);
    wp_arena_done(&a);
}

static void test_reset_keeps_the_first_chunk(void)
{
    struct wp_arena a;
    size_t used;
    void *first;

    wp_arena_init(&a, 0);
    first = wp_arena_alloc(&a, 100);
    used = a.used;
    for (int i = 0; i < 1000; i++)
        CHECK(wp_arena_alloc(&a, 200) != NULL);
    CHECK(a.used > 200000);
    wp_arena_reset(&a);
    if (!SEPARATE) {
        CHECK(a.used == used);
        CHECK(wp_arena_alloc(&a, 100) == first);
        CHECK(a.used == used);
    }
    wp_arena_reset(&a);
    CHECK(wp_arena_alloc(&a, 1 << 20) != NULL); /* a large piece is not kept */
    wp_arena_reset(&a);
    CHECK(a.used <= used);
    wp_arena_done(&a);
    wp_arena_reset(&a); /* accepts an empty one */
}

static void test_large_piece_leaves_the_chunk_in_use(void)
{
    struct wp_arena a;
    uint8_t *p, *q;

    wp_arena_init(&a, 0);
    p = wp_arena_alloc(&a, 16);
    CHECK(wp_arena_alloc(&a, 100000) != NULL);
    q = wp_arena_alloc(&a, 16);
    if (!SEPARATE)
        CHECK(q == p + 16);
    wp_arena_done(&a);
}

static void test_cap(void)
{
    struct wp_arena a;
    size_t got = 0;

    wp_arena_init(&a, 10000);
    CHECK(wp_arena_alloc(&a, 10001) == NULL);
    while (wp_arena_alloc(&a, 64) != NULL)
        got += 64;
    CHECK(got > 7000 && got <= 10000);
    CHECK(a.used <= 10000);
    wp_arena_done(&a);
}

static void test_overflow(void)
{
    struct wp_arena a;

    wp_arena_init(&a, 0);
    CHECK(wp_arena_alloc(&a, 1) != NULL);
    CHECK(wp_arena_alloc(&a, SIZE_MAX) == NULL);
    CHECK(wp_arena_alloc(&a, SIZE_MAX - 15) == NULL);
    CHECK(wp_arena_array(&a, SIZE_MAX / 2, 3) == NULL);
    CHECK(wp_arena_strndup(&a, "", SIZE_MAX) == NULL);
    wp_arena_done(&a);
}

static void test_copies(void)
{
    struct wp_arena a;
    int *n;

    wp_arena_init(&a, 0);
    CHECK(strcmp(wp_arena_strdup(&a, "abc"), "abc") == 0);
    CHECK(strcmp(wp_arena_strndup(&a, "abcdef", 3), "abc") == 0);
    CHECK(memcmp(wp_arena_dup(&a, "\0\1\2", 3), "\0\1\2", 3) == 0);
    CHECK(wp_arena_dup(&a, NULL, 0) != NULL);
    CHECK(strcmp(wp_arena_printf(&a, "%s-%d", "x", 7), "x-7") == 0);
    n = wp_arena_array(&a, 3, sizeof(*n));
    CHECK(n[0] == 0 && n[1] == 0 && n[2] == 0);
    wp_arena_done(&a);
}

RUN_TESTS(TEST(test_alignment_and_content), TEST(test_zero_length_is_unique),
          TEST(test_reset_keeps_the_first_chunk), TEST(test_large_piece_leaves_the_chunk_in_use),
          TEST(test_cap), TEST(test_overflow), TEST(test_copies))
