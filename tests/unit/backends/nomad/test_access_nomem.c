/* Access to agents when memory runs out at any point: an error or all of it, never a part. */
#include "check.h"
#include "failmalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "backends/nomad/access.h"

static char path[] = "/tmp/waypost-nomad-nomem-XXXXXX";

static int once(const struct wp_nomad_agents *g)
{
    struct wp_httpc_request q = {0};
    struct wp_nomad_access *a = NULL;
    char why[256];
    int r = wp_nomad_access_new(g, why, &a);

    if (r == 0)
        r = wp_nomad_access_request(a, 0, "/v1/x", &q, why);
    /* What could not be read for want of memory stays as it was, and is read later. */
    if (r == 0)
        wp_nomad_access_generation(a, 1, true);
    if (r == 0)
        r = wp_nomad_access_request(a, 0, "/v1/x", &q, why);
    if (r == 0)
        CHECK(q.n_headers == 2 && strcmp(q.headers[0].value, "token") == 0);
    wp_nomad_access_free(a);
    return r;
}

static void test_no_memory(void)
{
    static const char *const addresses[] = {"http://u:p@a", "unix:///x"};
    const struct wp_nomad_agents g = {.addresses = addresses, .n_addresses = 2, .token_file = path, .region = "eu"};
    FILE *f = fdopen(mkstemp(path), "w");

    CHECK(f != NULL && fputs("token", f) >= 0 && fclose(f) == 0);
    unsetenv("NOMAD_NAMESPACE");
    for (long n = 0;; n++) {
        int r;
        failmalloc_after(n);
        r = once(&g);
        if (!failmalloc_stop()) {
            CHECK(r == 0 && n > 4);
            break;
        }
        CHECK(r == 0 || r == -ENOMEM);
    }
    unlink(path);
}

RUN_TESTS(TEST(test_no_memory))
