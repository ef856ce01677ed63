/* Responses of Nomad's API when memory runs out at any point: an error, and nothing is left. */
#include "check.h"
#include "failmalloc.h"

#include <errno.h>
#include "backends/nomad/decode.h"

static int on_registration(void *arg, const struct wp_nomad_registration *r)
{
    *(size_t *)arg += r->id.len;
    return 0;
}

static int on_listed(void *arg, struct wp_nomad_text namespace, struct wp_nomad_text name)
{
    *(size_t *)arg += namespace.len + name.len;
    return 0;
}

/* Names with an escape are copied; these are too long for a piece of a common chunk, so that each takes memory. */
static void test_no_memory(void)
{
    char service[4096], list[4096], why[256];
    size_t told = 0;

    snprintf(service, sizeof(service), "[{\"\\n%0900d\":0,\"ID\":\"a\"},{\"ID\":\"b\",\"\\n%0900d\":0}]", 1, 2);
    snprintf(list, sizeof(list), "[{\"Namespace\":\"n\",\"Services\":[{\"ServiceName\":\"a\",\"\\n%0900d\":0}]}]", 1);
    for (int kind = 0; kind < 2; kind++)
        for (long n = 0;; n++) {
            int r;
            told = 0;
            failmalloc_after(n);
            r = kind == 0
                    ? wp_nomad_decode_service(service, strlen(service), on_registration, &told, why)
                    : wp_nomad_decode_list(list, strlen(list), on_listed, NULL, &told, why);
            if (!failmalloc_stop()) {
                CHECK(r == 0 && n == (kind == 0 ? 2 : 1) && told == 2);
                break;
            }
            CHECK(r == -ENOMEM && strcmp(why, "out of memory") == 0);
        }
}

RUN_TESTS(TEST(test_no_memory))
