#include "check.h"

#include "server/listeners/grpc_timeout.h"

static const struct {
    const char *text;
    int ret;
    uint64_t ns;
} cases[] = {
    {"1n", 0, 1},
    {"1u", 0, 1000},
    {"100m", 0, 100000000},
    {"1S", 0, 1000000000},
    {"2M", 0, UINT64_C(120000000000)},
    {"0S", 0, 0},
    {"99999999n", 0, 99999999},
    {"1H", 0, WP_GRPC_TIMEOUT_MAX_NS},
    {"99999999H", 0, WP_GRPC_TIMEOUT_MAX_NS},
    {"3601S", 0, WP_GRPC_TIMEOUT_MAX_NS},
    {"", WP_EMALFORMED, 0},
    {"S", WP_EMALFORMED, 0},
    {"1", WP_EMALFORMED, 0},
    {"1s", WP_EMALFORMED, 0},
    {"-1S", WP_EMALFORMED, 0},
    {"1.5S", WP_EMALFORMED, 0},
    {" 1S", WP_EMALFORMED, 0},
    {"1S ", WP_EMALFORMED, 0},
    {"123456789n", WP_EMALFORMED, 0},
};

static void test_timeout(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t ns = 7;

        CHECK_AT(cases[i].text, wp_grpc_timeout_read((const uint8_t *)cases[i].text,
                                                     strlen(cases[i].text), &ns) == cases[i].ret);
        CHECK_AT(cases[i].text, ns == (cases[i].ret == 0 ? cases[i].ns : 7));
    }
}

RUN_TESTS(TEST(test_timeout))
