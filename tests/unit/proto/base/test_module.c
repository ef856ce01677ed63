/* Which file is opened, and what is wrong with one. The modules of the build lie in the folder above
 * this program's. */
#include "waypost/base/module.h"

#include <string.h>

#include "check.h"

static void test_refusals(void)
{
    static const struct {
        const char *what, *file, *symbol, *said;
        unsigned version;
    } cases[] = {
        {"nowhere", "waypost-nothing.so", "x", "no module waypost-nothing.so beside the program or at /", 1},
        {"no module", "build.ninja", "x", "build.ninja: ", 1},
        {"no such object", "waypost-http.so", "x", "no x in /", 1},
        {"another version", "waypost-http.so", "wp_httpc_client_ops",
         " of wp_httpc_client_ops, this program has 4711: /", 4711},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char why[256] = "";

        CHECK_AT(cases[i].what, wp_module_open(cases[i].file, cases[i].symbol, cases[i].version,
                                               why) == NULL);
        if (strstr(why, cases[i].said) == NULL)
            print_error("%s\n", why);
        CHECK_AT(cases[i].what, strstr(why, cases[i].said) != NULL);
    }
}

RUN_TESTS(TEST(test_refusals))
