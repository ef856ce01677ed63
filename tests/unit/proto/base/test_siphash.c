/* The key is 00 01 .. 0f, the input 00 01 .. of the length: the authors' own example, and what
 * openssl mac -macopt size:8 SIPHASH says of others. */
#include "waypost/base/siphash.h"

#include "check.h"

static const struct {
    const char *what;
    size_t len;
    uint64_t hash;
} rows[] = {
    {"empty", 0, UINT64_C(0x726fdb47dd0e0e31)},
    {"one octet", 1, UINT64_C(0x74f839c593dc67fd)},
    {"a word less one", 7, UINT64_C(0xab0200f58b01d137)},
    {"a word", 8, UINT64_C(0x93f5f5799a932462)},
    {"the paper's", 15, UINT64_C(0xa129ca6149be45e5)},
    {"long", 63, UINT64_C(0x958a324ceb064572)},
};

static void test_vectors(void)
{
    uint8_t key[WP_SIPHASH_KEY], in[64 + 1];

    for (unsigned i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)i;
    for (size_t r = 0; r < COUNT(rows); r++) {
        for (unsigned shift = 0; shift < 2; shift++) { /* also from an odd address */
            for (unsigned i = 0; i < rows[r].len; i++)
                in[shift + i] = (uint8_t)i;
            CHECK_AT(rows[r].what, wp_siphash(key, in + shift, rows[r].len) == rows[r].hash);
        }
    }
}

RUN_TESTS(TEST(test_vectors))
