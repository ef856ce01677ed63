/* The first message of a client: limits and errors. What real clients send is in test_tls_names.c
 * and the corpus of fuzz_tls_hello. */
#include "tls/hello.h"

#include <string.h>

#include "check.h"
#include "waypost/base/err.h"

#define RANDOM "0123456789abcdef0123456789abcdef"
static const struct {
    const char *what, *wire;
    size_t len;
    int ret;
    size_t sni_len;
} cases[] = {
    {"nothing", WIRE(""), 0, 0},
    {"half a record's header", WIRE("\x16\3\1"), 0, 0},
    {"no handshake", WIRE("GET / HTTP/1.1"), WP_EMALFORMED, 0},
    {"an alert", WIRE("\x15\3\1\0\2\2\x28"), WP_EMALFORMED, 0},
    {"an empty record", WIRE("\x16\3\1\0\0"), WP_EMALFORMED, 0},
    {"a server's hello", WIRE("\x16\3\1\0\4\2\0\0\0"), WP_EMALFORMED, 0},
    {"past the limit", WIRE("\x16\3\1\0\4\1\0\x3f\xfd"), WP_EMALFORMED, 0},
    {"at the limit", WIRE("\x16\3\1\0\4\1\0\x3f\xfc"), 0, 0},
    {"no extensions", WIRE("\x16\3\1\0\x2d\1\0\0\x29\3\3" RANDOM "\0\0\2\x13\1\1\0"), 1, 0},
    {"a name",
     WIRE("\x16\3\1\0\x3b\1\0\0\x37\3\3" RANDOM "\0\0\2\x13\1\1\0\0\x0c\0\0\0\x08\0\6\0\0\3a.b"), 1, 3},
    {"a name that ends late",
     WIRE("\x16\3\1\0\x3b\1\0\0\x37\3\3" RANDOM "\0\0\2\x13\1\1\0\0\x0c\0\0\0\x08\0\6\0\0\4a.b"), 1, 0},
    {"an extension that ends late",
     WIRE("\x16\3\1\0\x3b\1\0\0\x37\3\3" RANDOM "\0\0\2\x13\1\1\0\0\x0c\0\0\0\x09\0\6\0\0\3a.b"),
     WP_EMALFORMED, 0},
    {"a session id that ends late", WIRE("\x16\3\1\0\x2d\1\0\0\x29\3\3" RANDOM "\x20\0\2\x13\1\1\0"),
     WP_EMALFORMED, 0},
};

static void test_read(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_tls_hello h = {0};

        CHECK_AT(cases[i].what, wp_tls_hello_read(cases[i].wire, cases[i].len, &h) == cases[i].ret);
        CHECK_AT(cases[i].what, h.sni_len == cases[i].sni_len);
        for (size_t cut = 0; cases[i].ret == 1 && cut < cases[i].len; cut++)
            CHECK_AT(cases[i].what, wp_tls_hello_read(cases[i].wire, cut, &h) == 0);
    }
}

RUN_TESTS(TEST(test_read))
