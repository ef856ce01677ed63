#include "check.h"
#include "waypost/base/addr.h"
#include <netinet/in.h>

static const struct {
    const char *text;
    int ret;
    const char *full; /* wp_addr_text with default port 53 */
    const char *ip;
} addrs[] = {
    {"192.0.2.1", 0, "192.0.2.1:53", "192.0.2.1"},
    {"192.0.2.1:5353", 0, "192.0.2.1:5353", "192.0.2.1"},
    {"0.0.0.0:0", 0, "0.0.0.0:0", "0.0.0.0"},
    {"255.255.255.255:65535", 0, "255.255.255.255:65535", "255.255.255.255"},
    {"2001:db8::1", 0, "[2001:db8::1]:53", "2001:db8::1"},
    {"[2001:DB8::1]:5353", 0, "[2001:db8::1]:5353", "2001:db8::1"},
    {"[2001:db8::1]", 0, "[2001:db8::1]:53", "2001:db8::1"},
    {"::", 0, "[::]:53", "::"},
    {"::1", 0, "[::1]:53", "::1"},
    {"1::", 0, "[1::]:53", "1::"},
    {"1:0:0:2:0:0:0:3", 0, "[1:0:0:2::3]:53", "1:0:0:2::3"},
    {"1:0:2:3:4:5:6:7", 0, "[1:0:2:3:4:5:6:7]:53", "1:0:2:3:4:5:6:7"},
    {"0:0:1:2:3:0:0:0", 0, "[0:0:1:2:3::]:53", "0:0:1:2:3::"},
    {"a:bc:def:fedc::", 0, "[a:bc:def:fedc::]:53", "a:bc:def:fedc::"},
    {"::ffff:192.0.2.1", 0, "192.0.2.1:53", "192.0.2.1"},
    {"[::ffff:192.0.2.1]:99", 0, "192.0.2.1:99", "192.0.2.1"},
    {"::192.0.2.1", 0, "[::c000:201]:53", "::c000:201"},
    {"fe80::1%lo", 0, "[fe80::1%lo]:53", "fe80::1%lo"},
    {"[fe80::1%lo]:5", 0, "[fe80::1%lo]:5", "fe80::1%lo"},
    {"fe80::1%1", 0, "[fe80::1%lo]:53", "fe80::1%lo"},
    {"fe80::1%4000000000", 0, "[fe80::1%4000000000]:53", "fe80::1%4000000000"},
    {"fe80::1%nosuch0", WP_EMALFORMED, NULL, NULL},
    {"fe80::1%", WP_EMALFORMED, NULL, NULL},
    {"::ffff:192.0.2.1%lo", WP_EMALFORMED, NULL, NULL},
    {"", WP_EMALFORMED, NULL, NULL},
    {":53", WP_EMALFORMED, NULL, NULL},
    {"192.0.2", WP_EMALFORMED, NULL, NULL},
    {"192.0.2.256", WP_EMALFORMED, NULL, NULL},
    {"192.0.2.1:", WP_EMALFORMED, NULL, NULL},
    {"192.0.2.1:65536", WP_EMALFORMED, NULL, NULL},
    {"192.0.2.1:+1", WP_EMALFORMED, NULL, NULL},
    {"192.0.2.1:dns", WP_EMALFORMED, NULL, NULL},
    {"[192.0.2.1]:53", WP_EMALFORMED, NULL, NULL},
    {"[::1", WP_EMALFORMED, NULL, NULL},
    {"[::1]53", WP_EMALFORMED, NULL, NULL},
    {"example.org", WP_EMALFORMED, NULL, NULL},
    {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff:0000:1111:2222:1",
     WP_EMALFORMED, NULL, NULL},
};

static void test_parse_and_text(void)
{
    for (size_t i = 0; i < COUNT(addrs); i++) {
        struct wp_addr a = {.port = 42}, again;
        struct sockaddr_storage ss;
        char buf[WP_ADDR_TEXT_MAX];
        const char *what = addrs[i].text;
        CHECK_AT(what, wp_addr_parse(what, 53, &a) == addrs[i].ret);
        if (addrs[i].ret != 0) {
            CHECK_AT(what, a.port == 42);
            continue;
        }
        CHECK_AT(what, strcmp(wp_addr_text(&a, buf), addrs[i].full) == 0);
        CHECK_AT(what, strcmp(wp_addr_ip_text(&a, buf), addrs[i].ip) == 0);
        CHECK_AT(what, wp_addr_parse_ip(buf, &again) == 0 && wp_addr_equal_ip(&a, &again));
        CHECK_AT(what,
                 wp_addr_to_sockaddr(&a, &ss) ==
                     (a.family == 4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)));
        wp_addr_from_sockaddr((struct sockaddr *)&ss, &again);
        CHECK_AT(what, wp_addr_equal(&a, &again));
    }
}

static void test_equal(void)
{
    struct wp_addr a, b;

    CHECK(wp_addr_parse("192.0.2.1:53", 0, &a) == 0 && wp_addr_parse("192.0.2.1:54", 0, &b) == 0);
    CHECK(wp_addr_equal_ip(&a, &b) && !wp_addr_equal(&a, &b));
    CHECK(wp_addr_parse("::", 53, &a) == 0 && wp_addr_parse("0.0.0.0", 53, &b) == 0);
    CHECK(!wp_addr_equal_ip(&a, &b));
    CHECK(wp_addr_parse("fe80::1%lo", 53, &a) == 0 && wp_addr_parse("fe80::1", 53, &b) == 0);
    CHECK(wp_addr_equal_ip(&a, &b) && !wp_addr_equal(&a, &b));
}

static void test_no_family(void)
{
    struct sockaddr_storage ss = {.ss_family = AF_UNIX};
    struct wp_addr a;
    char buf[WP_ADDR_TEXT_MAX];

    wp_addr_from_sockaddr((struct sockaddr *)&ss, &a);
    CHECK(a.family == 0 && wp_addr_to_sockaddr(&a, &ss) == 0);
    CHECK(strcmp(wp_addr_ip_text(&a, buf), "") == 0);
}

static const struct {
    const char *cidr, *ip;
    int ret; /* of parsing the CIDR */
    bool has;
} cidrs[] = {
    {"10.0.0.0/8", "10.255.0.1", 0, true},
    {"10.0.0.0/8", "11.0.0.1", 0, false},
    {"10.1.2.3/8", "10.9.9.9", 0, true}, /* host bits are cleared */
    {"192.0.2.0/25", "192.0.2.127", 0, true},
    {"192.0.2.0/25", "192.0.2.128", 0, false},
    {"192.0.2.1", "192.0.2.1", 0, true},
    {"192.0.2.1", "192.0.2.2", 0, false},
    {"0.0.0.0/0", "203.0.113.9", 0, true},
    {"0.0.0.0/0", "2001:db8::1", 0, false},
    {"::/0", "2001:db8::1", 0, true},
    {"::/0", "203.0.113.9", 0, false},
    {"2001:db8::/33", "2001:db8:7fff::", 0, true},
    {"2001:db8::/33", "2001:db8:8000::", 0, false},
    {"2001:db8::1", "2001:db8::1", 0, true},
    {"2001:db8::1/128", "2001:db8::2", 0, false},
    {"::ffff:10.0.0.0/104", "10.1.1.1", 0, true},
    {"::ffff:10.0.0.0/104", "11.1.1.1", 0, false},
    {"::ffff:10.0.0.0/95", "10.1.1.1", WP_EMALFORMED, false},
    {"10.0.0.0/33", "10.0.0.1", WP_EMALFORMED, false},
    {"::/129", "::1", WP_EMALFORMED, false},
    {"10.0.0.0/", "10.0.0.1", WP_EMALFORMED, false},
    {"10.0.0.0/-1", "10.0.0.1", WP_EMALFORMED, false},
    {"10.0.0.0/+1", "10.0.0.1", WP_EMALFORMED, false},
    {"10.0.0/8", "10.0.0.1", WP_EMALFORMED, false},
    {"fe80::1%lo/64", "fe80::1", WP_EMALFORMED, false},
    {"", "10.0.0.1", WP_EMALFORMED, false},
};

static void test_cidr(void)
{
    for (size_t i = 0; i < COUNT(cidrs); i++) {
        struct wp_cidr c;
        struct wp_addr a;
        CHECK_AT(cidrs[i].cidr, wp_cidr_parse(cidrs[i].cidr, &c) == cidrs[i].ret);
        CHECK_AT(cidrs[i].ip, wp_addr_parse_ip(cidrs[i].ip, &a) == 0);
        if (cidrs[i].ret == 0)
            CHECK_AT(cidrs[i].cidr, wp_cidr_has(&c, &a) == cidrs[i].has);
    }
}

RUN_TESTS(TEST(test_parse_and_text), TEST(test_equal), TEST(test_no_family), TEST(test_cidr))
