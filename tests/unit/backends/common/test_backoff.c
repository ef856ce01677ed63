#include "check.h"

#include "backends/common/backoff.h"

/* Each wait within a fifth of its step; steps double up to the most; reset begins again. */
static void test_steps(void)
{
    static const uint64_t steps[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000};
    struct wp_backoff b = {.first_ns = 100, .most_ns = 5000};

    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT(steps); i++) {
            struct wp_backoff low = b, high = b;
            CHECK(wp_backoff_next(&low, 0) == steps[i] - steps[i] / 5);
            CHECK(wp_backoff_next(&high, 2 * (steps[i] / 5)) == steps[i] + steps[i] / 5);
            CHECK(wp_backoff_next(&b, UINT64_MAX) <= steps[i] + steps[i] / 5);
        }
        wp_backoff_reset(&b);
    }
}

RUN_TESTS(TEST(test_steps))
