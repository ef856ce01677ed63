/* Memory that sleeps: what was in it is in it again, at the same place, whatever it was. */
#include "check.h"

#include <stdlib.h>
#include "server/listeners/http_region.h"

static void fill(uint8_t *p, size_t len, unsigned kind)
{
    for (size_t i = 0; i < len; i++) {
        switch (kind) {
        case 0: /* nothing */
            p[i] = 0;
            break;
        case 1: /* everything */
            p[i] = (uint8_t)(i % 255 + 1);
            break;
        case 2: /* one octet in each word but every third */
            p[i] = i % 24 == 7;
            break;
        case 3: /* the ends */
            p[i] = i == 0 || i == len - 1;
            break;
        default: /* sparse */
            p[i] = rand() % 64 == 0 ? (uint8_t)rand() : 0;
            break;
        }
    }
}

static void test_sleep(void)
{
    static uint8_t want[WP_REGION_OCTETS];
    struct wp_regions all = {0};

    srand(1);
    for (unsigned kind = 0; kind < 40; kind++) {
        size_t len = kind == 1 ? WP_REGION_OCTETS : 4096 + 16 * kind;
        struct wp_region r;
        uint8_t *p;

        CHECK(wp_region_get(&all, &r) == 0);
        p = wp_region_alloc(&r, len);
        CHECK(p != NULL && ((uintptr_t)p & 15) == 0);
        for (size_t i = 0; i < len; i++)
            CHECK(p[i] == 0);
        fill(p, len, kind);
        memcpy(want, p, len);
        for (int round = 0; round < 3; round++) {
            CHECK(wp_region_sleep(&all, &r) == 0 && r.packed != NULL);
            CHECK(kind != 0 || r.packed_len == 0);
            CHECK(r.packed_len <= len + 64);
            wp_region_wake(&all, &r);
            CHECK(r.packed == NULL && memcmp(p, want, len) == 0);
            wp_region_wake(&all, &r);
            CHECK(memcmp(p, want, len) == 0);
        }
        if (kind % 2 == 0)
            CHECK(wp_region_sleep(&all, &r) == 0);
        wp_region_put(&all, &r);
        CHECK(r.at == NULL);
        wp_region_put(&all, &r);
    }
    wp_regions_done(&all);
}

/* What they have in common is kept once, whatever the first one was and whoever is longer. */
static void test_alike(void)
{
    static const size_t lens[][2] = {{8192, 8192}, {8192, 4096}, {4096, 8192}, {0, 4096}};

    for (size_t i = 0; i < COUNT(lens); i++) {
        struct wp_regions all = {0};
        struct wp_region first, other;
        uint8_t *p;

        CHECK(wp_region_get(&all, &first) == 0 && wp_region_get(&all, &other) == 0);
        fill(wp_region_alloc(&first, lens[i][0]), lens[i][0], 1);
        p = wp_region_alloc(&other, lens[i][1]);
        fill(p, lens[i][1], 1);
        CHECK(wp_region_sleep(&all, &first) == 0 && first.packed_len == 0);
        p[0] = 0;
        CHECK(wp_region_sleep(&all, &other) == 0);
        if (lens[i][0] >= lens[i][1])
            CHECK(other.packed_len == 4 + sizeof(uint64_t));
        wp_region_wake(&all, &other);
        wp_region_wake(&all, &first);
        CHECK(p[0] == 0);
        for (size_t k = 1; k < WP_REGION_OCTETS; k++)
            CHECK(p[k] == (k < lens[i][1] ? (uint8_t)(k % 255 + 1) : 0));
        for (size_t k = 0; k < lens[i][0]; k++)
            CHECK(first.at[k] == (uint8_t)(k % 255 + 1));
        wp_region_put(&all, &first);
        wp_region_put(&all, &other);
        wp_regions_done(&all);
    }
}

static void test_room(void)
{
    struct wp_regions all = {0};
    struct wp_region r = {0}, many[3 * WP_REGIONS_SLAB];

    CHECK(wp_region_alloc(&r, 1) == NULL);
    CHECK(wp_region_get(&all, &r) == 0);
    CHECK(wp_region_alloc(&r, WP_REGION_OCTETS + 1) == NULL);
    CHECK(wp_region_alloc(&r, SIZE_MAX) == NULL);
    CHECK(wp_region_alloc(&r, WP_REGION_OCTETS - 16) != NULL);
    CHECK(wp_region_alloc(&r, 17) == NULL);
    CHECK(wp_region_alloc(&r, 16) != NULL);
    CHECK(wp_region_alloc(&r, 1) == NULL);
    for (size_t i = 0; i < COUNT(many); i++) {
        CHECK(wp_region_get(&all, &many[i]) == 0);
        memset(wp_region_alloc(&many[i], WP_REGION_OCTETS), (int)i, WP_REGION_OCTETS);
    }
    for (size_t i = 0; i < COUNT(many); i++) {
        CHECK(many[i].at[0] == (uint8_t)i && many[i].at[WP_REGION_OCTETS - 1] == (uint8_t)i);
        wp_region_put(&all, &many[i]);
    }
    wp_region_put(&all, &r);
    wp_regions_done(&all);
}

RUN_TESTS(TEST(test_sleep), TEST(test_alike), TEST(test_room))
