/* Zone lines of a start, in CoreDNS's words (checked against 1.15.0). */
#include <stdlib.h>

#include "check.h"
#include "server/config/conf_load.h"
#include "waypost/server/cli.h"
#include "waypost/server/router.h"

static const struct {
    const char *what, *keys;
    enum wp_scheme scheme;
    const char *host;
    uint16_t port;
    const char *lines;
} cases[] = {
    {"root", ".:53", WP_SCHEME_DNS, "", 53, ".:53\n"},
    {"address", ".:53", WP_SCHEME_DNS, "127.0.0.1", 53, ".:53 on 127.0.0.1\n"},
    {"v6 address", ".:53", WP_SCHEME_DNS, "::1", 53, ".:53 on ::1\n"},
    {"sorted by octets", "b:53 a:53 B-:53 1.a:53 .:53", WP_SCHEME_DNS, "", 53,
     ".:53\nWarning: Domain \"1.a.\" does not follow RFC1035 preferred syntax\n1.a.:53\na.:53\n"
     "Warning: Domain \"b-.\" does not follow RFC1035 preferred syntax\nb-.:53\nb.:53\n"},
    {"only what the listener serves", "a:53 b:54 tls://c:53", WP_SCHEME_DNS, "", 53, "a.:53\n"},
    {"other scheme", "a:53 tls://b", WP_SCHEME_TLS, "", 853, "tls://b.:853\n"},
    {"https", "https://b", WP_SCHEME_HTTPS, "127.0.0.1", 443, "https://b.:443 on 127.0.0.1\n"},
    {"host names", "a--b.c:53 xn--abc.de:53 a1.b2:53", WP_SCHEME_DNS, "", 53,
     "a--b.c.:53\na1.b2.:53\nxn--abc.de.:53\n"},
    {"reverse zones", "10.0.0.0/8:53 2001:db8::/32:53 a_b.in-addr.arpa:53", WP_SCHEME_DNS, "", 53,
     "10.in-addr.arpa.:53\n8.b.d.0.1.0.0.2.ip6.arpa.:53\na_b.in-addr.arpa.:53\n"},
    {"no host names", "*.x:53 -x.y:53 _tcp.x:53 a_b:53", WP_SCHEME_DNS, "", 53,
     "Warning: Domain \"*.x.\" does not follow RFC1035 preferred syntax\n*.x.:53\n"
     "Warning: Domain \"-x.y.\" does not follow RFC1035 preferred syntax\n-x.y.:53\n"
     "Warning: Domain \"_tcp.x.\" does not follow RFC1035 preferred syntax\n_tcp.x.:53\n"
     "Warning: Domain \"a_b.\" does not follow RFC1035 preferred syntax\na_b.:53\n"},
    {"escapes", "a\\.b:53", WP_SCHEME_DNS, "", 53,
     "Warning: Domain \"a\\\\.b.\" does not follow RFC1035 preferred syntax\na\\.b.:53\n"},
};

static void test_zone_lines(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_group g = {.scheme = cases[i].scheme, .host = cases[i].host, .port = cases[i].port};
        const struct wp_block *blocks[1];
        struct wp_route *route;
        struct loaded l;
        char text[256], *lines;

        snprintf(text, sizeof(text), "%s {\n}\n", cases[i].keys);
        conf_load(&l, text);
        CHECK_AT(cases[i].what, l.r == 0);
        blocks[0] = &l.blocks[0];
        CHECK_AT(cases[i].what, wp_route_new(&l.arena, &g, blocks, 1, &route) == 0);
        g.route = route;
        lines = wp_cli_zone_lines(&g);
        if (lines != NULL && strcmp(lines, cases[i].lines) != 0)
            print_error("got\n%s", lines);
        CHECK_AT(cases[i].what, lines != NULL && strcmp(lines, cases[i].lines) == 0);
        free(lines);
        conf_unload(&l);
    }
}

/* Scripts look for the first line, and for three parts in the second. */
static void test_banner(void)
{
    const char *banner = wp_cli_banner();

    CHECK(strncmp(banner, "CoreDNS-1.15.0\nlinux/", 21) == 0);
    CHECK(strstr(banner, ", waypost-" WP_VERSION) != NULL && banner[strlen(banner) - 1] != '\n');
}

RUN_TESTS(TEST(test_zone_lines), TEST(test_banner))
