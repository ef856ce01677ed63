#include "server/listeners/proxy.h"

#include <stdlib.h>
#include "check.h"
#include "waypost/base/wr.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define IP4 "\xc0\0\2\x32\xc0\0\2\1\4\xd2\0\x35" /* 192.0.2.50:1234 to 192.0.2.1:53 */
#define IP6                                                                                        \
    "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\x50\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\4\xd2\3\x55"
#define MAPPED                                                                                     \
    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\x32\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1\4\xd2\0\x35"

/* The whole header; a shorter prefix of it must always ask for more. */
static const struct {
    const char *what, *data;
    size_t len;
    int ret; /* WHOLE: the length given */
    const char *client, *dest;
    unsigned tlv_len;
    bool local, datagram;
} cases[] = {
#define WHOLE 1000000
    {"P01 v1 TCP4", WIRE("PROXY TCP4 192.0.2.50 192.0.2.1 1234 53\r\n"), WHOLE, "192.0.2.50:1234",
     "192.0.2.1:53", 0, false, false},
    {"v1 TCP6", WIRE("PROXY TCP6 2001:db8::50 2001:db8::1 1234 853\r\n"), WHOLE,
     "[2001:db8::50]:1234", "[2001:db8::1]:853", 0, false, false},
    {"v1 longest line",
     WIRE("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     WHOLE, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", 0, false, false},
    {"v1 UNKNOWN alone", WIRE("PROXY UNKNOWN\r\n"), WHOLE, NULL, NULL, 0, true, false},
    {"v1 UNKNOWN with anything", WIRE("PROXY UNKNOWN ffff a b c\r\n"), WHOLE, NULL, NULL, 0, true,
     false},
    {"P07 v1 family mismatch", WIRE("PROXY TCP4 ::1 ::2 1 2\r\n"), WP_EMALFORMED, NULL, NULL, 0,
     false, false},
    {"v1 other family mismatch", WIRE("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n"), WP_EMALFORMED,
     NULL, NULL, 0, false, false},
    {"v1 UDP4", WIRE("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n"), WP_EMALFORMED, NULL, NULL, 0, false,
     false},
    {"v1 port too large", WIRE("PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n"), WP_EMALFORMED, NULL,
     NULL, 0, false, false},
    {"v1 port with zero in front", WIRE("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n"), WP_EMALFORMED,
     NULL, NULL, 0, false, false},
    {"v1 port with sign", WIRE("PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n"), WP_EMALFORMED, NULL,
     NULL, 0, false, false},
    {"v1 port missing", WIRE("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n"), WP_EMALFORMED, NULL, NULL, 0,
     false, false},
    {"v1 a word too many", WIRE("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"), WP_EMALFORMED, NULL,
     NULL, 0, false, false},
    {"v1 space at the end", WIRE("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n"), WP_EMALFORMED, NULL,
     NULL, 0, false, false},
    {"v1 two spaces", WIRE("PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n"), WP_EMALFORMED, NULL, NULL, 0,
     false, false},
    {"v1 zone in address", WIRE("PROXY TCP6 fe80::1%lo ::2 1 2\r\n"), WP_EMALFORMED, NULL, NULL, 0,
     false, false},
    {"v1 LF alone", WIRE("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"), WP_EMALFORMED, NULL, NULL, 0,
     false, false},
    {"v1 empty", WIRE("PROXY \r\n"), WP_EMALFORMED, NULL, NULL, 0, false, false},
    {"v1 NUL inside", WIRE("PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n"), WP_EMALFORMED, NULL, NULL,
     0, false, false},
    {"v2 IPv4", WIRE(SIG "\x21\x11\0\x0c" IP4), WHOLE, "192.0.2.50:1234", "192.0.2.1:53", 0, false,
     false},
    {"v2 IPv4 datagram", WIRE(SIG "\x21\x12\0\x0c" IP4), WHOLE, "192.0.2.50:1234", "192.0.2.1:53",
     0, false, true},
    {"P02 v2 IPv6 with TLVs", WIRE(SIG "\x21\x21\0\x2c" IP6 "\xea\0\2\xca\xfe\4\0\0"), WHOLE,
     "[2001:db8::50]:1234", "[2001:db8::1]:853", 8, false, false},
    {"v2 mapped addresses are IPv4", WIRE(SIG "\x21\x21\0\x24" MAPPED), WHOLE, "192.0.2.50:1234",
     "192.0.2.1:53", 0, false, false},
    {"P04 v2 LOCAL with an address block", WIRE(SIG "\x20\x11\0\x0c" IP4), WHOLE, NULL, NULL, 0,
     true, false},
    {"v2 LOCAL, empty", WIRE(SIG "\x20\0\0\0"), WHOLE, NULL, NULL, 0, true, false},
    {"v2 unspecified family", WIRE(SIG "\x21\0\0\0"), WHOLE, NULL, NULL, 0, true, false},
    {"v2 unix", WIRE(SIG "\x21\x31\0\4abcd"), WHOLE, NULL, NULL, 0, true, false},
    {"P07 v2 block too short for the family", WIRE(SIG "\x21\x21\0\x0c" IP4), WP_EMALFORMED, NULL,
     NULL, 0, false, false},
    {"v2 command 2", WIRE(SIG "\x22\x11\0\x0c" IP4), WP_EMALFORMED, NULL, NULL, 0, false, false},
    {"v2 version 1", WIRE(SIG "\x11\x11\0\x0c" IP4), WP_EMALFORMED, NULL, NULL, 0, false, false},
    {"P07 v2 length 65535", WIRE(SIG "\x21\x11\xff\xff"), WP_EMALFORMED, NULL, NULL, 0, false,
     false},
    {"v2 one past the cap", WIRE(SIG "\x21\x11\x10\1"), WP_EMALFORMED, NULL, NULL, 0, false, false},
    {"v2 TLV longer than the header", WIRE(SIG "\x21\x11\0\x0f" IP4 "\xea\0\1"), WP_EMALFORMED,
     NULL, NULL, 0, false, false},
    {"v2 TLV cut in its length", WIRE(SIG "\x21\x11\0\x0e" IP4 "\xea\0"), WP_EMALFORMED, NULL, NULL,
     0, false, false},
    {"v2 right CRC32C", WIRE(SIG "\x21\x11\0\x13" IP4 "\3\0\4\x82\x7c\x3f\x24"), WHOLE,
     "192.0.2.50:1234", "192.0.2.1:53", 7, false, false},
    {"v2 wrong CRC32C", WIRE(SIG "\x21\x11\0\x13" IP4 "\3\0\4\x82\x7c\x3f\x25"), WP_EMALFORMED,
     NULL, NULL, 0, false, false},
    {"v2 CRC32C of three octets", WIRE(SIG "\x21\x11\0\x12" IP4 "\3\0\3\x82\x7c\x3f"),
     WP_EMALFORMED, NULL, NULL, 0, false, false},
    {"P07 bad signature", WIRE("\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c" IP4), WP_ENOTFOUND, NULL, NULL,
     0, false, false},
    {"a DNS message", WIRE("\0\x22\0\0\1\0\0\1"), WP_ENOTFOUND, NULL, NULL, 0, false, false},
    {"TLS", WIRE("\x16\3\1\2\0"), WP_ENOTFOUND, NULL, NULL, 0, false, false},
    {"almost v1", WIRE("PROXX TCP4"), WP_ENOTFOUND, NULL, NULL, 0, false, false},
};

static void check_success(const char *what, const struct wp_proxy_header *h, const char *client,
                          const char *dest)
{
    char text[WP_ADDR_TEXT_MAX];

    if (client == NULL)
        return;
    CHECK_AT(what, strcmp(wp_addr_text(&h->client, text), client) == 0);
    CHECK_AT(what, strcmp(wp_addr_text(&h->dest, text), dest) == 0);
}

static void test_headers(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool whole = cases[i].ret == WHOLE;
        struct wp_proxy_header h = {.version = 9};
        uint8_t more[512];
        int r = wp_proxy_parse((const uint8_t *)cases[i].data, cases[i].len, &h);

        CHECK_AT(cases[i].what, r == (whole ? (int)cases[i].len : cases[i].ret));
        CHECK_AT(cases[i].what, whole || h.version == 9);
        if (!whole)
            continue;
        CHECK_AT(cases[i].what, h.local == cases[i].local && h.datagram == cases[i].datagram);
        CHECK_AT(cases[i].what, h.tlv_len == cases[i].tlv_len);
        CHECK_AT(cases[i].what, (h.tlv == NULL) == (h.tlv_len == 0));
        check_success(cases[i].what, &h, cases[i].client, cases[i].dest);
        memcpy(more, cases[i].data, cases[i].len);
        memcpy(more + cases[i].len, "\0\x22payload", 9); /* what follows does not matter */
        CHECK_AT(cases[i].what, wp_proxy_parse(more, cases[i].len + 9, &h) == r);
    }
}

/* Cut at every octet: more is needed, never an error, never a read past the end. */
static void test_cut(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (cases[i].ret != WHOLE)
            continue;
        for (size_t len = 0; len < cases[i].len; len++) {
            struct wp_proxy_header h;
            uint8_t *exact = malloc(len + (len == 0));

            memcpy(exact, cases[i].data, len);
            CHECK_AT(cases[i].what, wp_proxy_parse(exact, len, &h) == 0);
            free(exact);
        }
    }
}

static void test_v1_without_end(void)
{
    uint8_t line[WP_PROXY_V1_MAX + 20];
    struct wp_proxy_header h;

    memset(line, 'x', sizeof(line));
    memcpy(line, "PROXY ", 6);
    assert_int_equal(wp_proxy_parse(line, WP_PROXY_V1_MAX - 1, &h), 0);
    assert_int_equal(wp_proxy_parse(line, WP_PROXY_V1_MAX, &h), WP_EMALFORMED);
    assert_int_equal(wp_proxy_parse(line, sizeof(line), &h), WP_EMALFORMED);
}

static void test_policy(void)
{
    struct wp_cidr allow[2];
    struct wp_proxy_settings s = {.set = true, .deflt = WP_PROXY_REJECT, .allow = allow};
    struct wp_addr in, out;

    assert_int_equal(wp_cidr_parse("10.0.0.0/8", &allow[0]), 0);
    assert_int_equal(wp_cidr_parse("2001:db8::/32", &allow[1]), 0);
    assert_int_equal(wp_addr_parse_ip("2001:db8::7", &in), 0);
    assert_int_equal(wp_addr_parse_ip("192.0.2.1", &out), 0);
    assert_int_equal(wp_proxy_policy(&s, &in), WP_PROXY_REJECT);
    s.n_allow = 2;
    assert_int_equal(wp_proxy_policy(&s, &in), WP_PROXY_USE);
    assert_int_equal(wp_proxy_policy(&s, &out), WP_PROXY_REJECT);
    s.set = false;
    assert_int_equal(wp_proxy_policy(&s, &in), WP_PROXY_SKIP);
}

RUN_TESTS(TEST(test_headers), TEST(test_cut), TEST(test_v1_without_end), TEST(test_policy))
