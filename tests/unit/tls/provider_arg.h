/* The tests of the TLS layer run once over each provider: its name is the program's argument. */
#pragma once
#include <string.h>
#include "check.h"
#include "waypost/tls/tls.h"

static bool over_wolfssl;

static inline int use_provider(int argc, char **argv)
{
    char why[WP_TLS_ERR_MAX];

    if (argc < 2)
        return 0;
    over_wolfssl = strcmp(argv[1], "wolfssl") == 0;
    if (wp_tls_provider_use(argv[1], why) == 0)
        return 0;
    print_error("%s\n", why);
    return -1;
}

#define RUN_TLS_TESTS(setup, teardown, ...)                                                        \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                           \
        return use_provider(argc, argv) < 0 ? 1                                                    \
                                            : cmocka_run_group_tests(tests, setup, teardown);      \
    }
