/* The stanza's words: CoreDNS's errors to the letter, what each option leaves behind, and what a word
 * after FROM stands for. */
#include <stdlib.h>
#include <unistd.h>

#include "backends/forward/forward.h"
#include "server/config/conf_load.h"
#include "check.h"

/* One stanza in a block; the path of a scratch folder stands for "$". */
static char folder[64];

static void load(struct loaded *l, const char *body)
{
    char text[2048];
    size_t n = (size_t)snprintf(text, sizeof(text), ".:1053 {\nforward ");

    for (const char *s = body; *s != '\0'; s++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, *s == '$' ? "%s" : "%.1s", *s == '$' ? folder : s);
    snprintf(text + n, sizeof(text) - n, "\n}\n");
    conf_load(l, text);
}

static const struct forward_stanza *stanza(const struct loaded *l)
{
    const struct forward *f = wp_block_plugin(&l->blocks[0], "forward");

    return f->first;
}

/* What CoreDNS 1.15.0 says of the same text; "": it starts. */
static const struct {
    const char *body, *error;
} words[] = {
    {"",
     "C:2 - Error during parsing: Wrong argument count or unexpected line ending after 'forward'"},
    {".", "C:2 - Error during parsing: Wrong argument count or unexpected line ending after '.'"},
    {".", "C:2 - Error during parsing: Wrong argument count or unexpected line ending after '.'"},
    {". 1.2.3.4 {\n bogus\n}", "C:3 - Error during parsing: unknown property 'bogus'"},
    {". 1.2.3.4 {\n except\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'except'"},
    {". 1.2.3.4 {\n force_tcp x\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'x'"},
    {". 1.2.3.4 {\n prefer_udp x\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'x'"},
    {". 1.2.3.4 {\n max_fails\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'max_fails'"},
    {". 1.2.3.4 {\n max_fails -1\n}", "strconv.ParseUint: parsing \"-1\": invalid syntax"},
    {". 1.2.3.4 {\n max_fails x\n}", "strconv.ParseUint: parsing \"x\": invalid syntax"},
    {". 1.2.3.4 {\n max_fails 4294967296\n}",
     "strconv.ParseUint: parsing \"4294967296\": value out of range"},
    {". 1.2.3.4 {\n max_fails 2 3\n}", "C:3 - Error during parsing: unknown property '3'"},
    {". 1.2.3.4 {\n max_connect_attempts\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'max_connect_attempts'"},
    {". 1.2.3.4 {\n max_connect_attempts -1\n}",
     "strconv.ParseUint: parsing \"-1\": invalid syntax"},
    {". 1.2.3.4 {\n max_connect_attempts x\n}",
     "strconv.ParseUint: parsing \"x\": invalid syntax"},
    {". 1.2.3.4 {\n health_check\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'health_check'"},
    {". 1.2.3.4 {\n health_check x\n}", "time: invalid duration \"x\""},
    {". 1.2.3.4 {\n health_check 5\n}", "time: missing unit in duration \"5\""},
    {". 1.2.3.4 {\n health_check -5s\n}", "health_check can't be negative: -5000000000"},
    {". 1.2.3.4 {\n health_check 5s foo\n}", "health_check: unknown option foo"},
    {". 1.2.3.4 {\n health_check 5s domain\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'domain'"},
    {". 1.2.3.4 {\n health_check 5s domain exa..mple\n}",
     "health_check: invalid domain name exa..mple"},
    {". 1.2.3.4 {\n health_check 5s domain example.org no_rec\n}", ""},
    {". 1.2.3.4 {\n policy\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'policy'"},
    {". 1.2.3.4 {\n policy foo\n}", "C:3 - Error during parsing: unknown policy 'foo'"},
    {". 1.2.3.4 {\n policy random x\n}", "C:3 - Error during parsing: unknown property 'x'"},
    {". 1.2.3.4 {\n expire\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'expire'"},
    {". 1.2.3.4 {\n expire x\n}", "time: invalid duration \"x\""},
    {". 1.2.3.4 {\n expire -1s\n}", "expire can't be negative: -1s"},
    {". 1.2.3.4 {\n expire 1s 2s\n}", "C:3 - Error during parsing: unknown property '2s'"},
    {". 1.2.3.4 {\n max_age\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'max_age'"},
    {". 1.2.3.4 {\n max_age x\n}", "time: invalid duration \"x\""},
    {". 1.2.3.4 {\n max_age -1s\n}", "max_age can't be negative: -1s"},
    {". 1.2.3.4 {\n max_age 5s\n}", "max_age (5s) must not be less than expire (10s)"},
    {". 1.2.3.4 {\n max_age 0\n}", ""},
    {". 1.2.3.4 {\n max_idle_conns\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'max_idle_conns'"},
    {". 1.2.3.4 {\n max_idle_conns x\n}", "strconv.Atoi: parsing \"x\": invalid syntax"},
    {". 1.2.3.4 {\n max_idle_conns -1\n}", "max_idle_conns can't be negative: -1"},
    {". 1.2.3.4 {\n read_timeout\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'read_timeout'"},
    {". 1.2.3.4 {\n read_timeout x\n}", "time: invalid duration \"x\""},
    {". 1.2.3.4 {\n read_timeout 0\n}", "read_timeout must be positive: 0s"},
    {". 1.2.3.4 {\n read_timeout -1s\n}", "read_timeout must be positive: -1s"},
    {". 1.2.3.4 {\n doh_method\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'doh_method'"},
    {". 1.2.3.4 {\n doh_method get\n}", "doh_method must be either POST or GET"},
    {". 1.2.3.4 {\n doh_method GET x\n}", "C:3 - Error during parsing: unknown property 'x'"},
    {". 1.2.3.4 {\n tls a b c d\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'd'"},
    {". 1.2.3.4 {\n tls /nonexist/ca.pem\n}",
     "error reading /nonexist/ca.pem: open /nonexist/ca.pem: no such file or directory"},
    {". 1.2.3.4 {\n tls /nonexist/c.pem /nonexist/k.pem\n}",
     "could not load TLS cert: open /nonexist/c.pem: no such file or directory"},
    {". 1.2.3.4 {\n tls /nonexist/c.pem /nonexist/k.pem /nonexist/ca.pem\n}",
     "could not load TLS cert: open /nonexist/c.pem: no such file or directory"},
    {". 1.2.3.4 {\n tls_servername\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'tls_servername'"},
    {". 1.2.3.4 {\n tls_servername a b\n}", "C:3 - Error during parsing: unknown property 'b'"},
    {". tls://1.2.3.4%foo {\n tls_servername a\n}",
     "both forward ('a') and proxy level ('foo') TLS servernames are set for upstream proxy 'tls://1.2.3.4:853'"},
    {". 1.2.3.4 {\n max_concurrent\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'max_concurrent'"},
    {". 1.2.3.4 {\n max_concurrent x\n}", "strconv.Atoi: parsing \"x\": invalid syntax"},
    {". 1.2.3.4 {\n max_concurrent -1\n}", "max_concurrent can't be negative: -1"},
    {". 1.2.3.4 {\n max_concurrent 5 6\n}", "C:3 - Error during parsing: unknown property '6'"},
    {". 1.2.3.4 {\n next\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'next'"},
    {". 1.2.3.4 {\n next FOO\n}", "FOO is not a valid rcode"},
    {". 1.2.3.4 {\n next nxdomain servfail\n}", ""},
    {". 1.2.3.4 {\n next_on_nodata x\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'x'"},
    {". 1.2.3.4 {\n failover\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'failover'"},
    {". 1.2.3.4 {\n failover FOO\n}", "FOO is not a valid rcode"},
    {". 1.2.3.4 {\n failover noerror\n}", "NoError cannot be used in failover"},
    {". 1.2.3.4 {\n failfast_all_unhealthy_upstreams x\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'x'"},
    {". 1.2.3.4 {\n resolver\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'resolver'"},
    {". 1.2.3.4 {\n resolver foo\n}", "resolver must be an IP address or IP:port: \"foo\""},
    {". 1.2.3.4 {\n source_address\n}",
     "C:3 - Error during parsing: Wrong argument count or unexpected line ending after 'source_address'"},
    {". 1.2.3.4 {\n source_address foo\n}", "C:3 - Error during parsing: invalid IP address: foo"},
    {". 1.2.3.4 {\n source_address 127.0.0.1 127.0.0.2\n}",
     "C:3 - Error during parsing: unknown property '127.0.0.2'"},
    {". 1.2.3.4 {\n source_address 127.0.0.1:53\n}",
     "C:3 - Error during parsing: invalid IP address: 127.0.0.1:53"},
    {". grpc://1.2.3.4",
     "'grpc' is not supported as a destination protocol in forward: grpc://1.2.3.4:443"},
    {". unix://1.2.3.4",
     "'unix' is not supported as a destination protocol in forward: unix://1.2.3.4"},
    {". https://1.2.3.4/foo",
     "paths are not allowed in HTTPS upstream addresses (the /dns-query path is used by default): https://1.2.3.4/foo"},
    {". https://1.2.3.4/dns-query",
     "paths are not allowed in HTTPS upstream addresses (the /dns-query path is used by default): https://1.2.3.4/dns-query"},
    {". https://1.2.3.4:8443", ""},
    {". https://1.2.3.4%name", ""},
    {". https://1.2.3.4%name {\n tls_servername x\n}", ""},
    {". [::1]", ""},
    {". [::1]:53", ""},
    {". ::1", ""},
    {". tls://[::1%name]:853", ""},
    {". tls://1.2.3.4:853%name", ""},
    {". tls://1.2.3.4%name:853", ""},
    {". tls://1.2.3.4%", ""},
    {". 1.2.3.4%name", ""},
    {". 10.0.0.1 10.0.0.1 dns://10.0.0.1:53", ""},
    {". 1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 1.1.1.7 1.1.1.8 1.1.1.9 1.1.1.10 1.1.1.11 1.1.1.12 1.1.1.13 1.1.1.14 1.1.1.15 1.1.1.16",
     "more than 15 TOs configured: 16"},
    {". 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1",
     "more than 15 TOs configured: 16"},
    {"10.9.0.0/15 1.2.3.4", ""},
    {"10.9.3.0/24 1.2.3.4", ""},
    {"10.9.3.0/25 1.2.3.4", ""},
    {"exa..mple 1.2.3.4", "unable to normalize 'exa..mple'"},
    {"example.org:53 1.2.3.4", ""},
    {"dns://example.org 1.2.3.4", ""},
    {".. 1.2.3.4", "unable to normalize '..'"},
    {". 1.2.3.4 {\n except exa..mple\n}", ""},
    {". 1.2.3.4 {\n except .\n}", ""},
    {". dns://1.2.3.4 {\n tls\n}", ""},
    {". tls://1.2.3.4 {\n tls\n tls_servername dns.quad9.net\n}", ""},
    {". 1.2.3.4 {\n force_tcp\n prefer_udp\n}", ""},
};

/* Refused when loaded, where CoreDNS starts and then fails with each query, or resolves a word that
 * is no name; and what is not in this build. */
static const struct {
    const char *body, *error;
} ours[] = {
    {". quic://1.2.3.4", "'quic' upstreams are not in this build: quic://1.2.3.4"},
    {". https3://1.2.3.4", "'https3' is not supported as a destination protocol in forward: https3://1.2.3.4:443"},
    {". foo://1.2.3.4", "'foo' is not supported as a destination protocol in forward: foo://1.2.3.4"},
    {". 1.2.3.4:0", "invalid port in upstream address: 1.2.3.4:0"},
    {". 1.2.3.4:65536", "invalid port in upstream address: 1.2.3.4:65536"},
    {". 1.2.3.4:x", "invalid port in upstream address: 1.2.3.4:x"},
    {". 1.2.3.4:", "invalid port in upstream address: 1.2.3.4:"},
    {". ./nonexist", "not an IP address, file, or valid domain: \"./nonexist\""},
    {". fe80::1%nosuchif", "no such interface: \"nosuchif\""},
    {". $/empty", "no valid upstream addresses found"},
    {". $/comments", "no valid upstream addresses found"},
    {". $/bogus", "no valid upstream addresses found"},
    {". 1.2.3.4 {\n source_address fe80::1%lo\n}", "C:3 - Error during parsing: invalid IP address: fe80::1%lo"},
    {". 1.2.3.4 {\n resolver 1.2.3.4 fe80::1%lo\n}", "resolver must be an IP address or IP:port: \"fe80::1%lo\""},
};

static void check_error(const char *body, const char *want)
{
    struct loaded l;
    const char *got;

    load(&l, body);
    got = conf_load_error(&l, 0);
    if (strncmp(got, "plugin/forward: ", 16) == 0)
        got += 16;
    if (strcmp(got, want) != 0)
        print_error("%s\n  got  %s\n  want %s\n", body, got, want);
    CHECK_AT(body, strcmp(got, want) == 0);
    CHECK_AT(body, (l.r == 0) == (want[0] == '\0'));
    conf_unload(&l);
}

static void test_errors(void)
{
    for (size_t i = 0; i < COUNT(words); i++)
        check_error(words[i].body, words[i].error);
    for (size_t i = 0; i < COUNT(ours); i++)
        check_error(ours[i].body, ours[i].error);
}

static void test_values(void)
{
    static const char body[] =
        "Example.ORG 1.2.3.4 {\n except a.example.org B.example.org\n except c.example.org\n force_tcp\n prefer_udp\n"
        " max_fails 7\n max_connect_attempts 0\n health_check 3s no_rec domain Health.Example\n policy sequential\n"
        " expire 4s\n max_age 1m\n max_idle_conns 9\n read_timeout 250ms\n doh_method GET\n tls\n tls_servername n.example\n"
        " max_concurrent 11\n next nxdomain BADVERS\n next_on_nodata\n failover SERVFAIL\n failover REFUSED\n"
        " failfast_all_unhealthy_upstreams\n resolver 10.0.0.1 [::1]:5353\n source_address 127.0.0.9\n}";
    const struct forward_stanza *st;
    struct loaded l;

    load(&l, body);
    CHECK(l.r == 0);
    st = stanza(&l);
    CHECK(st->except.n == 3 && st->from_len == 13 && memcmp(st->from, "\7example\3org", 13) == 0);
    CHECK(st->force_tcp && st->prefer_udp && st->next_on_nodata && st->failfast && st->client_tls.given);
    CHECK(st->max_fails == 7 && st->attempts == 0 && st->policy == FORWARD_SEQUENTIAL);
    CHECK(st->profile.health_ns == 3000000000 && !st->profile.health_rd && st->profile.health_tcp);
    CHECK(wp_name_equal(st->profile.health_name.wire, (const uint8_t *)"\6health\7example"));
    CHECK(st->profile.expire_ns == 4000000000 && st->profile.max_age_ns == 60000000000);
    CHECK(st->profile.max_idle == 9 && st->profile.read_timeout_ns == 250000000 && st->profile.doh_get);
    CHECK(strcmp(st->profile.http_host, "n.example") == 0 && st->max_concurrent == 11);
    CHECK(st->next_rcodes == (1u << 3 | 1u << 16) && st->failover_rcodes == (1u << 2 | 1u << 5));
    CHECK(st->n_resolvers == 2 && st->resolver[0].port == 53 && st->resolver[1].port == 5353);
    CHECK(st->profile.source.family == 4 && st->profile.source.ip[3] == 9);
    conf_unload(&l);
    load(&l, ". 1.2.3.4");
    st = stanza(&l);
    CHECK(st->max_fails == 2 && st->attempts == WP_UNSET && st->policy == FORWARD_RANDOM);
    CHECK(st->profile.expire_ns == 10000000000 && st->profile.read_timeout_ns == 2000000000);
    CHECK(st->profile.health_ns == 500000000 && st->profile.health_rd && st->profile.health_name.len == 1);
    CHECK(!st->profile.doh_get && st->profile.max_idle == 0 && st->profile.max_age_ns == 0);
    conf_unload(&l);
}

/* "transport address name" of each upstream that is found, "?": a host name. */
static const struct {
    const char *words, *found;
} tos[] = {
    {"1.2.3.4", "dns 1.2.3.4:53"},
    {"1.2.3.4:5353", "dns 1.2.3.4:5353"},
    {"dns://1.2.3.4", "dns 1.2.3.4:53"},
    {"::1", "dns [::1]:53"},
    {"[::1]", "dns [::1]:53"},
    {"[::1]:5353", "dns [::1]:5353"},
    {"dns://[::1]:5353", "dns [::1]:5353"},
    {"1.2.3.4%name", "dns 1.2.3.4:53"},
    {"fe80::1%lo", "dns [fe80::1%lo]:53"},
    {"[fe80::1%lo]:54", "dns [fe80::1%lo]:54"},
    {"tls://1.2.3.4", "tls 1.2.3.4:853"},
    {"tls://1.2.3.4:10853", "tls 1.2.3.4:10853"},
    {"tls://9.9.9.9%dns.quad9.net", "tls 9.9.9.9:853 dns.quad9.net"},
    {"tls://9.9.9.9%dns.quad9.net:10853", "tls 9.9.9.9:10853 dns.quad9.net"},
    {"tls://9.9.9.9:10853%dns.quad9.net", "tls 9.9.9.9:10853 dns.quad9.net"},
    {"tls://[2620:fe::fe%dns.quad9.net]:853", "tls [2620:fe::fe]:853 dns.quad9.net"},
    {"tls://[2620:fe::fe]:854%dns.quad9.net", "tls [2620:fe::fe]:854 dns.quad9.net"},
    {"tls://[2620:fe::fe]%dns.quad9.net:854", "tls [2620:fe::fe]:854 dns.quad9.net"},
    {"tls://2620:fe::fe%dns.quad9.net", "tls [2620:fe::fe]:853 dns.quad9.net"},
    {"tls://1.2.3.4%", "tls 1.2.3.4:853"},
    {"https://1.2.3.4", "https 1.2.3.4:443"},
    {"https://1.2.3.4:8443", "https 1.2.3.4:8443"},
    {"https://1.2.3.4%name:8443", "https 1.2.3.4:8443"},
    {"https://[::1]:8443", "https [::1]:8443"},
    {"10.0.0.1 dns://10.0.0.1:53 10.0.0.1", "dns 10.0.0.1:53"},
    {"10.0.0.1 tls://10.0.0.1:53", "dns 10.0.0.1:53, tls 10.0.0.1:53"},
    {"tls://10.0.0.1%a tls://10.0.0.1%A tls://10.0.0.1%b", "tls 10.0.0.1:853 a, tls 10.0.0.1:853 b"},
    {"$/servers", "dns 10.0.0.9:53, dns [::1]:53"},
    {"10.0.0.8 $/servers 10.0.0.9", "dns 10.0.0.8:53, dns 10.0.0.9:53, dns [::1]:53"},
    {"tls://$/servers", "dns 10.0.0.9:53, dns [::1]:53"},
    {"10.0.0.8 $/empty", "dns 10.0.0.8:53"},
    {"tls://dns.example:854", "?dns.example 854"},
    {"dns.example", "?dns.example 53"},
    {"https://dns.example%x", "?dns.example 443"},
};

static void describe(const struct forward_stanza *st, char *buf, size_t cap)
{
    static const char *const names[] = {"dns", "tls", "https"};
    struct forward_found found[FORWARD_UPSTREAMS_MAX];
    unsigned n = forward_to_list(st, found);
    size_t len = 0;

    buf[0] = '\0';
    for (unsigned i = 0; i < n; i++) {
        char text[WP_ADDR_TEXT_MAX];

        len += (size_t)snprintf(buf + len, cap - len, "%s%s %s%s%s", i > 0 ? ", " : "", names[found[i].transport],
                                wp_addr_text(&found[i].addr, text), found[i].server_name != NULL ? " " : "",
                                found[i].server_name != NULL ? found[i].server_name : "");
    }
    if (st->to[0].kind == FORWARD_TO_NAME)
        snprintf(buf, cap, "?%s %u", st->to[0].name, st->to[0].addr.port);
}

static void test_tos(void)
{
    for (size_t i = 0; i < COUNT(tos); i++) {
        char body[256], got[512];
        struct loaded l;

        snprintf(body, sizeof(body), ". %s", tos[i].words);
        load(&l, body);
        CHECK_AT(tos[i].words, l.r == 0);
        describe(stanza(&l), got, sizeof(got));
        if (strcmp(got, tos[i].found) != 0)
            print_error("%s: got %s, want %s\n", tos[i].words, got, tos[i].found);
        CHECK_AT(tos[i].words, strcmp(got, tos[i].found) == 0);
        conf_unload(&l);
    }
}

static void test_several_stanzas(void)
{
    struct loaded l;

    load(&l, "a.example 1.2.3.4\nforward b.example 1.2.3.5 1.2.3.6 {\n max_fails 3\n}\nforward . 1.2.3.7");
    CHECK(l.r == 0);
    const struct forward_stanza *st = stanza(&l);
    CHECK(st->n_to == 1 && st->max_fails == 2);
    CHECK(st->next->n_to == 2 && st->next->max_fails == 3 && st->next->index == 1);
    CHECK(st->next->next->from_len == 1 && st->next->next->next == NULL);
    conf_unload(&l);
}

/* --- resolv.conf --------------------------------------------------------------------------- */

static const struct {
    const char *text, *found;
} files[] = {
    {"", ""},
    {"nameserver 10.0.0.1\n", "10.0.0.1:53"},
    {"nameserver 10.0.0.1", "10.0.0.1:53"},
    {"  nameserver\t10.0.0.1  extra\r\n", "10.0.0.1:53"},
    {"# nameserver 10.0.0.1\n;nameserver 10.0.0.2\nnameservers 10.0.0.3\nnameserver\n", ""},
    {"nameserver bogus\nnameserver 10.0.0.1\nnameserver 1.2.3\n", "10.0.0.1:53"},
    {"nameserver ::1\nnameserver fe80::1%lo\nnameserver fe80::1%nosuchif\n", "[::1]:53 [fe80::1%lo]:53"},
    {"search a b\ndomain c\noptions ndots:5\nnameserver 10.0.0.1\n", "10.0.0.1:53"},
};

static void write_file(const char *name, const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    f = fopen(path, "w");
    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void test_resolv_conf(void)
{
    struct wp_addr a[4];
    char path[128], *big = calloc(1, 2000);

    snprintf(path, sizeof(path), "%s/test", folder);
    for (size_t i = 0; i < COUNT(files); i++) {
        char got[256] = "";
        int n;

        write_file("test", files[i].text);
        n = forward_resolv_conf(path, a, 4);
        CHECK_AT(files[i].text, n >= 0);
        for (int k = 0; k < n; k++) {
            char text[WP_ADDR_TEXT_MAX];

            strcat(got, k > 0 ? " " : "");
            strcat(got, wp_addr_text(&a[k], text));
        }
        CHECK_AT(files[i].text, strcmp(got, files[i].found) == 0);
    }
    /* a line longer than any buffer does not become two */
    memset(big, 'x', 1500);
    strcat(big, " nameserver 10.0.0.1\nnameserver 10.0.0.2\n");
    write_file("test", big);
    CHECK(forward_resolv_conf(path, a, 4) == 1 && a[0].ip[3] == 2);
    free(big);
    write_file("test", "nameserver 1.0.0.1\nnameserver 1.0.0.2\nnameserver 1.0.0.3\nnameserver 1.0.0.4\nnameserver 1.0.0.5\n");
    CHECK(forward_resolv_conf(path, a, 4) == 4);
    CHECK(forward_resolv_conf("/nonexistent/resolv.conf", a, 4) == -ENOENT);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/waypost-forward-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    write_file("empty", "");
    write_file("comments", "# nothing\nsearch a\n");
    write_file("bogus", "nameserver bogus\nnameserver\n");
    write_file("servers", "nameserver 10.0.0.9\nsearch x\nnameserver ::1\nnameserver 10.0.0.9\n");
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"empty", "comments", "bogus", "servers", "test"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_errors), TEST(test_values), TEST(test_tos),
                                       TEST(test_several_stanzas), TEST(test_resolv_conf)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
