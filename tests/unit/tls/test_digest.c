#include "check.h"
#include "waypost/base/digest.h"

/* FIPS 180-4 examples; the first 8 octets of each digest. */
static const struct {
    const char *what, *text;
    uint8_t head[8];
} cases[] = {
    {"nothing", "", {0xcf, 0x83, 0xe1, 0x35, 0x7e, 0xef, 0xb8, 0xbd}},
    {"one block", "abc", {0xdd, 0xaf, 0x35, 0xa1, 0x93, 0x61, 0x7a, 0xba}},
    {"two blocks",
     "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
     "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
     {0x8e, 0x95, 0x9b, 0x75, 0xda, 0xe3, 0x13, 0xda}},
};

static void test_vectors(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t cut = 0; cut <= strlen(cases[i].text); cut++) {
            struct wp_digest *d = wp_digest_new();
            uint8_t sum[WP_DIGEST_LEN];

            CHECK(d != NULL);
            wp_digest_add(d, cases[i].text, cut);
            wp_digest_add(d, cases[i].text + cut, strlen(cases[i].text) - cut);
            CHECK_AT(cases[i].what, wp_digest_end(d, sum) == 0);
            CHECK_AT(cases[i].what, memcmp(sum, cases[i].head, 8) == 0);
        }
    }
}

static void test_none(void)
{
    uint8_t sum[WP_DIGEST_LEN];

    CHECK(wp_digest_end(NULL, sum) == -ENOMEM);
}

RUN_TESTS(TEST(test_vectors), TEST(test_none))
