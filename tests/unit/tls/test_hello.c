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
     WIRE("\x16\3\1\0\x3b\1\0\0\x37\3\3" RANDOM "\0\0\2\x13\1\1\0\0\x0c\0\0\0\x08\0\6\0\0\3a.b"), 1,
     3},
    {"a name that ends late",
     WIRE("\x16\3\1\0\x3b\1\0\0\x37\3\3" RANDOM "\0\0\2\x13\1\1\0\0\x0c\0\0\0\x08\0\6\0\0\4a.b"), 1,
     0},
    {"an extension that ends late",
     WIRE("\x16\3\1\0\x3b\1\0\0\x37\3\3" RANDOM "\0\0\2\x13\1\1\0\0\x0c\0\0\0\x09\0\6\0\0\3a.b"),
     WP_EMALFORMED, 0},
    {"a session id that ends late",
     WIRE("\x16\3\1\0\x2d\1\0\0\x29\3\3" RANDOM "\x20\0\2\x13\1\1\0"), WP_EMALFORMED, 0},
};

/* Ours begin with a k. */
static bool is_known(const void *arg, const uint8_t *ticket, size_t len)
{
    CHECK(arg == cases);
    return len > 0 && ticket[0] == 'k';
}

static void test_read(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_tls_hello h = {0};

        CHECK_AT(cases[i].what, wp_tls_hello_read(cases[i].wire, cases[i].len, is_known, cases,
                                                  &h) == cases[i].ret);
        CHECK_AT(cases[i].what, h.sni_len == cases[i].sni_len);
        for (size_t cut = 0; cases[i].ret == 1 && cut < cases[i].len; cut++)
            CHECK_AT(cases[i].what,
                     wp_tls_hello_read(cases[i].wire, cut, is_known, cases, &h) == 0);
    }
}

/* The extensions of a message without a name. */
static const struct {
    const char *what, *extension;
    size_t len;
    bool strange_12, strange_13;
} tickets[] = {
    {"TLS 1.2: wants one", WIRE("\0\x23\0\0"), false, false},
    {"TLS 1.2: ours", WIRE("\0\x23\0\2kx"), false, false},
    {"TLS 1.2: another's", WIRE("\0\x23\0\2xk"), true, false},
    {"TLS 1.3: ours", WIRE("\0\x29\0\x0a\0\7\0\1k\0\0\0\0b"), false, false},
    {"TLS 1.3: another's", WIRE("\0\x29\0\x0a\0\7\0\1x\0\0\0\0b"), false, true},
    {"TLS 1.3: both", WIRE("\0\x29\0\x10\0\x0e\0\1x\0\0\0\0\0\1k\0\0\0\0"), false, true},
    {"TLS 1.3: both, ours first", WIRE("\0\x29\0\x10\0\x0e\0\1k\0\0\0\0\0\1x\0\0\0\0"), false,
     true},
    {"TLS 1.3: an empty one", WIRE("\0\x29\0\x08\0\6\0\0\0\0\0\0"), false, true},
    {"TLS 1.3: one that ends late", WIRE("\0\x29\0\x08\0\6\0\x09k\0\0\0"), false, false},
};

static void test_tickets(void)
{
    static const char head[] = "\x16\3\1\0\x00\1\0\0\x00\3\3" RANDOM "\0\0\2\x13\1\1\0\0";
    uint8_t wire[128];

    for (size_t i = 0; i < COUNT(tickets); i++) {
        size_t at = sizeof(head) - 1, len = at + 1 + tickets[i].len;
        struct wp_tls_hello h = {0};

        memcpy(wire, head, at);
        wire[4] = (uint8_t)(len - 5);
        wire[8] = (uint8_t)(len - 9);
        wire[at] = (uint8_t)tickets[i].len;
        memcpy(wire + at + 1, tickets[i].extension, tickets[i].len);
        CHECK_AT(tickets[i].what, wp_tls_hello_read(wire, len, is_known, cases, &h) == 1);
        CHECK_AT(tickets[i].what, h.strange_12 == tickets[i].strange_12);
        CHECK_AT(tickets[i].what, h.strange_13 == tickets[i].strange_13);
    }
}

RUN_TESTS(TEST(test_read), TEST(test_tickets))
