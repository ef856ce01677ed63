/* Keys of blocks: schemes, ports, networks; zones served twice. */
#include "check.h"
#include "server/config/conf_load.h"

static const struct {
    const char *what, *keys;
    const char *expected; /* SCHEME://ZONE:PORT of each, or the error */
} keys[] = {
    {"name", "example.org", "dns://example.org.:1053"},
    {"final dot", "example.org.", "dns://example.org.:1053"},
    {"root", ".", "dns://.:1053"},
    {"lower case", "EXAMPLE.Org", "dns://example.org.:1053"},
    {"port", ".:5353", "dns://.:5353"},
    {"port is a number", ".:0053", "dns://.:53"},
    {"port with a sign", ".:+53", "dns://.:53"},
    {"port 0", ".:0", "dns://.:0"},
    {"highest port", ".:65535", "dns://.:65535"},
    {"port out of range", ".:65536", "address 65536: invalid port"},
    {"negative port", ".:-1", "address -1: invalid port"},
    {"not a port", "a:b", "dns://a:b.:1053"},
    {"port with digits and letters", "a:53x", "dns://a:53x.:1053"},
    {"no port after the colon", "example.org:",
     "error inspecting server blocks: expecting data after last colon: \"example.org:\""},
    {"dns", "dns://a", "dns://a.:1053"},
    {"tls", "tls://a", "tls://a.:853"},
    {"quic", "quic://a", "quic://a.:853"},
    {"https", "https://a", "https://a.:443"},
    {"https3", "https3://a", "https3://a.:443"},
    {"grpc", "grpc://a", "grpc://a.:443"},
    {"unix", "unix://a", "unix://a.:1053"},
    {"scheme and port", "tls://a:8853", "tls://a.:8853"},
    {"scheme in capitals is a name", "TLS://a:53", "dns://tls://a.:53"},
    {"unknown scheme is a name", "foo://a:53", "dns://foo://a.:53"},
    {"no name", ":53", "error inspecting server blocks: zone is not a valid domain name: "},
    {"empty label", "a..b", "error inspecting server blocks: zone is not a valid domain name: a..b"},
    {"leading dot", ".a", "error inspecting server blocks: zone is not a valid domain name: .a"},
    {"label of 63", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk",
     "dns://abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk.:1053"},
    {"label of 64", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl",
     "error inspecting server blocks: zone is not a valid domain name: "
     "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl"},
    {"not a host name", "_tcp.*.a", "dns://_tcp.*.a.:1053"},
    {"escape", "a\\.b.c", "dns://a\\.b.c.:1053"},
    {"decimal escape", "\\097.b", "dns://a.b.:1053"},
    {"several", "a b:1 tls://c", "dns://a.:1053 dns://b.:1 tls://c.:853"},
    {"key is a bad one among good ones", "a b..c d",
     "error inspecting server blocks: zone is not a valid domain name: b..c"},

    {"v4 /8", "10.0.0.0/8", "dns://10.in-addr.arpa.:1053"},
    {"v4 /8, host bits", "10.1.2.3/8", "dns://10.in-addr.arpa.:1053"},
    {"v4 /16", "10.1.0.0/16", "dns://1.10.in-addr.arpa.:1053"},
    {"v4 /24", "192.0.2.0/24", "dns://2.0.192.in-addr.arpa.:1053"},
    {"v4 /32", "192.0.2.1/32", "dns://1.2.0.192.in-addr.arpa.:1053"},
    {"v4 /0", "0.0.0.0/0", "dns://in-addr.arpa.:1053"},
    {"v4 that begins with 0", "0.0.0.0/8", "dns://0.in-addr.arpa.:1053"},
    {"v4 /15", "10.0.0.0/15", "dns://0.10.in-addr.arpa.:1053 dns://1.10.in-addr.arpa.:1053"},
    {"v4 /15, host bits", "10.3.0.0/15", "dns://2.10.in-addr.arpa.:1053 dns://3.10.in-addr.arpa.:1053"},
    {"v4 /23, host bits", "192.168.1.1/23",
     "dns://0.168.192.in-addr.arpa.:1053 dns://1.168.192.in-addr.arpa.:1053"},
    {"v4 /22", "192.168.4.0/22",
     "dns://4.168.192.in-addr.arpa.:1053 dns://5.168.192.in-addr.arpa.:1053 "
     "dns://6.168.192.in-addr.arpa.:1053 dns://7.168.192.in-addr.arpa.:1053"},
    {"v4 /31", "192.0.2.6/31", "dns://6.2.0.192.in-addr.arpa.:1053 dns://7.2.0.192.in-addr.arpa.:1053"},
    {"v4 /7", "10.0.0.0/7", "dns://10.in-addr.arpa.:1053 dns://11.in-addr.arpa.:1053"},
    {"v6 /32", "2001:db8::/32", "dns://8.b.d.0.1.0.0.2.ip6.arpa.:1053"},
    {"v6 /8", "1::/8", "dns://0.0.ip6.arpa.:1053"},
    {"v6 /31", "2001:db8::/31",
     "dns://8.b.d.0.1.0.0.2.ip6.arpa.:1053 dns://9.b.d.0.1.0.0.2.ip6.arpa.:1053"},
    {"v6 /30", "2001:db8::/30",
     "dns://8.b.d.0.1.0.0.2.ip6.arpa.:1053 dns://9.b.d.0.1.0.0.2.ip6.arpa.:1053 "
     "dns://a.b.d.0.1.0.0.2.ip6.arpa.:1053 dns://b.b.d.0.1.0.0.2.ip6.arpa.:1053"},
    {"v6 /27", "2001:db8::/27",
     "dns://a.d.0.1.0.0.2.ip6.arpa.:1053 dns://b.d.0.1.0.0.2.ip6.arpa.:1053"},
    {"v6 /128", "2001:db8::1/128",
     "dns://1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.:1053"},
    {"v6 that begins with a colon", "::/0", "error inspecting server blocks: invalid CIDR ::/0"},
    {"v6 that begins with 0", "0::/8", "error inspecting server blocks: invalid CIDR 0::/8"},
    {"network with a port", "10.0.0.0/15:5353",
     "dns://0.10.in-addr.arpa.:5353 dns://1.10.in-addr.arpa.:5353"},
    {"network with a scheme", "tls://10.0.0.0/8", "tls://10.in-addr.arpa.:853"},
    {"mask too long: a name", "10.0.0.0/33", "dns://10.0.0.0/33.:1053"},
    {"address without mask: a name", "10.0.0.1", "dns://10.0.0.1.:1053"},
    {"v6 address without mask: the end is a port", "2001:db8::1", "dns://2001:db8:.:1"},
};

static void test_keys(void)
{
    for (size_t i = 0; i < COUNT(keys); i++) {
        char text[512], got[1024] = "";
        struct loaded l;

        snprintf(text, sizeof(text), "%s {\n}\n", keys[i].keys);
        conf_load(&l, text);
        for (unsigned k = 0; l.r == 0 && k < l.blocks[0].n_keys; k++) {
            const struct wp_key *key = &l.blocks[0].keys[k];

            snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s://%s:%u", k > 0 ? " " : "",
                     wp_scheme_text(key->scheme), key->text, key->port);
        }
        if (l.r < 0)
            strcpy(got, conf_load_error(&l, 0));
        if (strcmp(got, keys[i].expected) != 0)
            print_error("got  %s\n", got);
        CHECK_AT(keys[i].what, strcmp(got, keys[i].expected) == 0);
        CHECK_AT(keys[i].what, l.r == 0 || l.report.n == 1);
        conf_unload(&l);
    }
}

/* A name in text has up to four octets for each of the wire. */
static void test_long_names(void)
{
    char text[600];
    struct loaded l;
    size_t len = 0;

    for (int i = 0; i < 127; i++)
        len += (size_t)sprintf(text + len, "%sa", i > 0 ? "." : "");
    strcpy(text + len, " {\n}\n"); /* 253 characters, 255 octets */
    conf_load(&l, text);
    CHECK(l.r == 0 && l.blocks[0].n_keys == 1);
    conf_unload(&l);
    strcpy(text + len, ".a {\n}\n");
    conf_load(&l, text);
    CHECK(strncmp(conf_load_error(&l, 0), "error inspecting server blocks: zone is not a valid", 51) == 0);
    conf_unload(&l);
    strcpy(text + len, ".aa {\n}\n");
    conf_load(&l, text);
    CHECK(strcmp(conf_load_error(&l, 0),
                 "error inspecting server blocks: specified zone is too long: 256 > 255") == 0);
    conf_unload(&l);
}

static void test_zones_once(void)
{
    struct loaded l;

    conf_load(&l, "a:1 a:2 b A:3 tls://a 10.0.0.0/15 1.10.in-addr.arpa:7 {\n}\n");
    CHECK(l.r == 0 && l.blocks[0].n_keys == 8);
    CHECK(l.blocks[0].zones.n == 4);
    conf_unload(&l);
}

static const struct {
    const char *what, *text, *error; /* "" none */
} conflicts[] = {
    {"two blocks", ". {\n}\n. {\n}\n", "cannot serve dns://.:1053 - it is already defined"},
    {"two keys", "a a {\n}\n", "cannot serve dns://a.:1053 - it is already defined"},
    {"other case", "a {\n}\nA {\n}\n", "cannot serve dns://a.:1053 - it is already defined"},
    {"other zone", "a {\n}\nb {\n}\n", ""},
    {"other port", "a:1 {\n}\na:2 {\n}\n", ""},
    {"the default port, written", "a {\n}\na:1053 {\n}\n", "cannot serve dns://a.:1053 - it is already defined"},
    {"other scheme", "a:1 {\n}\ntls://a:1 {\n}\ngrpc://a:1 {\n}\n", ""},
    {"of a network", "10.0.0.0/15 1.10.in-addr.arpa {\n}\n",
     "cannot serve dns://1.10.in-addr.arpa.:1053 - it is already defined"},
    {"the same address", "a {\nbind 127.0.0.1\n}\na {\nbind 127.0.0.1\n}\n",
     "cannot serve dns://a.:1053 on 127.0.0.1 - it is already defined"},
    {"the same address in one block", "a {\nbind 127.0.0.1 127.0.0.1\n}\n",
     "cannot serve dns://a.:1053 on 127.0.0.1 - it is already defined"},
    {"other address", "a {\nbind 127.0.0.1\n}\na {\nbind 127.0.0.2\n}\n", ""},
    {"bound, then not", "a {\nbind 127.0.0.1\n}\na {\n}\n",
     "cannot serve dns://a.:1053 - zone overlap listener capacity with dns://a.:1053 on 127.0.0.1"},
    {"not bound, then bound", "a {\n}\na {\nbind 127.0.0.1\n}\n",
     "cannot serve dns://a.:1053 on 127.0.0.1 - zone overlap listener capacity with dns://a.:1053"},
    {"bound, then not, other port", "a {\nbind 127.0.0.1\n}\na:1 {\n}\n", ""},
    {"bound twice, then not: the last one is named",
     "a {\nbind 127.0.0.1\n}\na {\nbind 127.0.0.2\n}\na {\n}\n",
     "cannot serve dns://a.:1053 - zone overlap listener capacity with dns://a.:1053 on 127.0.0.2"},
    {"everything excluded: no listener, no conflict",
     "a {\nbind 127.0.0.1 {\nexcept 127.0.0.1\n}\n}\na {\n}\n", ""},
};

static void test_conflicts(void)
{
    for (size_t i = 0; i < COUNT(conflicts); i++) {
        struct loaded l;

        conf_load(&l, conflicts[i].text);
        if (strcmp(conf_load_error(&l, 0), conflicts[i].error) != 0)
            print_error("got  %s\n", conf_load_error(&l, 0));
        CHECK_AT(conflicts[i].what, strcmp(conf_load_error(&l, 0), conflicts[i].error) == 0);
        CHECK_AT(conflicts[i].what, l.report.n == (conflicts[i].error[0] != '\0'));
        conf_unload(&l);
    }
}

RUN_TESTS(TEST(test_keys), TEST(test_long_names), TEST(test_zones_once), TEST(test_conflicts))
