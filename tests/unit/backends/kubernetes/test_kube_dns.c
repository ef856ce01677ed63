/* The ConfigMap of kube-dns: what its words give, and that what is wrong is told with line and word. */
#include "check.h"

#include <stdlib.h>

#include "backends/kubernetes/kube_dns.h"
#include "waypost/base/arena.h"

#define HEAD "kind: ConfigMap\ndata:\n"
static struct wp_arena arena;
static char why[WP_KUBE_DNS_WHY];

static int parse(const char *text, struct wp_kube_dns *k)
{
    wp_arena_reset(&arena);
    why[0] = '\0';
    return wp_kube_dns_parse(text, strlen(text), "Cluster.Local.", &arena, why, k);
}

static void test_words(void)
{
    struct wp_kube_dns k;

    CHECK(parse(HEAD "  stubDomains: '{\"A.b.\": [\"192.0.2.1\", \"192.0.2.1:5353\"], \"c-1\": [\"2001:DB8:0::1\", "
                     "\"[::1]:54\"]}'\n"
                     "  upstreamNameservers: |\n    [\"198.51.100.8\", \"198.51.100.4:53\"]\n"
                     "  federations: x=y.z, a=b\n  other: 1\n",
                &k) == 0);
    CHECK(strcmp(k.cluster, "cluster.local") == 0 && k.n_stubs == 2);
    CHECK(strcmp(k.stubs[0].domain, "a.b") == 0 && k.stubs[0].servers.n == 2);
    CHECK(strcmp(k.stubs[0].servers.at[1], "192.0.2.1:5353") == 0);
    CHECK(strcmp(k.stubs[1].servers.at[0], "2001:db8::1") == 0);
    CHECK(strcmp(k.stubs[1].servers.at[1], "[::1]:54") == 0);
    CHECK(k.upstreams.n == 2 && strcmp(k.upstreams.at[1], "198.51.100.4") == 0);
    CHECK(k.n_federations == 2 && strcmp(k.federations[0].domain, "y.z") == 0);
    CHECK(k.n_unknown == 1 && strcmp(k.unknown[0], "other") == 0);
}

/* Nothing said is nothing wrong. */
static void test_nothing_said(void)
{
    static const char *const texts[] = {
        "kind: ConfigMap\n", "kind: ConfigMap\ndata:\n", "{\"kind\": \"ConfigMap\", \"data\": {}}",
        HEAD "  stubDomains: ''\n  upstreamNameservers: null\n  federations: ''\n",
        HEAD "  stubDomains: '{}'\n  upstreamNameservers: '[]'\n  federations: ' , '\n",
        HEAD "  stubDomains: 'null'\n", "---\nkind: ConfigMap\nbinaryData: {a: YQ==}\n"};

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct wp_kube_dns k = {.n_stubs = 1};

        CHECK_AT(texts[i], parse(texts[i], &k) == 0);
        CHECK_AT(texts[i], k.n_stubs == 0 && k.upstreams.n == 0 && k.n_federations == 0 && k.n_unknown == 0);
    }
}

static const struct {
    const char *text, *why;
} bad[] = {
    {"", "line 1: there is nothing"},
    {"# a comment\n", "line 1: there is nothing"},
    {"a: b\n", "line 1: kind: is missing"},
    {"kind: Service\n", "line 1: Service: is not a ConfigMap"},
    {"kind: List\nitems: []\n", "line 1: List: is not a ConfigMap"},
    {"just words\n", "line 1: kind: stands in something that is not a mapping"},
    {"kind: ConfigMap\ndata: [1]\n", "line 2: data: is not a mapping"},
    {"kind: ConfigMap\ndata: {\n", "yaml: line 3: did not find expected node content"},
    {HEAD "  stubDomains: {a.b: [192.0.2.1]}\n", "line 3: stubDomains: is not a text"},
    {HEAD "  [1]: x\n", "line 3: data: a key that is no text"},
    {HEAD "  'a b': x\n", "line 3: data: a key that no ConfigMap can have"},
    {HEAD "  stubDomains: \"{\\\"a\\\": [\\\"192.0.2.1\\0\\\"]}\"\n", "line 3: stubDomains: holds a NUL"},
    {HEAD "  stubDomains: '[1]'\n", "line 3: stubDomains: is not a mapping"},
    {HEAD "  stubDomains: '{\"a\": {}}'\n", "line 3: a: is not a list of addresses"},
    {HEAD "  stubDomains: '{\"a\": []}'\n", "line 3: a: has no address"},
    {HEAD "  stubDomains: '{\"a\": [[]]}'\n", "line 3: a: is not a list of addresses"},
    {HEAD "  stubDomains: '{[]: []}'\n", "line 3: stubDomains: a key that is no text"},
    {HEAD "  stubDomains: '{\"a_b\": [\"192.0.2.1\"]}'\n", "line 3: a_b: is not a domain name"},
    {HEAD "  stubDomains: '{\"-a\": [\"192.0.2.1\"]}'\n", "line 3: -a: is not a domain name"},
    {HEAD "  stubDomains: '{\"a-.b\": [\"192.0.2.1\"]}'\n", "line 3: a-.b: is not a domain name"},
    {HEAD "  stubDomains: '{\"a..b\": [\"192.0.2.1\"]}'\n", "line 3: a..b: is not a domain name"},
    {HEAD "  stubDomains: '{\".\": [\"192.0.2.1\"]}'\n", "line 3: .: is not a domain name"},
    {HEAD "  stubDomains: '{\"a {\\n}\": [\"192.0.2.1\"]}'\n", "line 3: a {\n}: is not a domain name"},
    {HEAD "  stubDomains: |\n    {\n      \"a.b\": [\"192.0.2.1\"],\n      \"A.b.\": [\"192.0.2.1\"]\n    }\n",
     "line 6: A.b.: stands twice"},
    {HEAD "  stubDomains: |\n    {\n      \"a.b\": [\"192.0.2.1\",\n        \"ns.b\"]}\n",
     "line 6: ns.b: is not an address, nor ADDRESS:PORT"},
    {HEAD "  stubDomains: |\n    {\"a.b\": [\"192.0.2.1\"\n",
     "yaml: line 5: did not find expected ',' or ']'"},
    {HEAD "  stubDomains: '{\"cluster.local\": [\"192.0.2.1\"]}'\n", "line 3: cluster.local: is the cluster's own domain"},
    {HEAD "  stubDomains: '{}'\n  stubDomains: '{}'\n", "line 4: stubDomains: stands twice"},
    {HEAD "  upstreamNameservers: '{}'\n", "line 3: upstreamNameservers: is not a list of addresses"},
    {HEAD "  upstreamNameservers: '[\"192.0.2.1#53\"]'\n", "line 3: 192.0.2.1#53: is not an address, nor ADDRESS:PORT"},
    {HEAD "  upstreamNameservers: '[\"192.0.2.1:0\"]'\n", "line 3: 192.0.2.1:0: is not an address, nor ADDRESS:PORT"},
    {HEAD "  upstreamNameservers: '[\"192.0.2.1:65536\"]'\n", "line 3: 192.0.2.1:65536: is not an address, nor ADDRESS:PORT"},
    {HEAD "  upstreamNameservers: '[\"fe80::1%lo\"]'\n", "line 3: fe80::1%lo: is not an address, nor ADDRESS:PORT"},
    {HEAD "  upstreamNameservers: \"[1,\\n2]\"\n", "line 3: 1: is not an address, nor ADDRESS:PORT"},
    {HEAD "  federations: a=b,c\n", "line 3: c: is not NAME=DOMAIN"},
    {HEAD "  federations: \"a=b\\nx=#\"\n", "line 3: x=#: is not NAME=DOMAIN"},
};

static void test_bad(void)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct wp_kube_dns k = {.n_stubs = 77};

        CHECK_AT(bad[i].text, parse(bad[i].text, &k) == WP_ECONFIG && k.n_stubs == 77);
        CHECK_AT(why, strcmp(why, bad[i].why) == 0);
    }
}

/* A mapping of n stub domains, or the first with n servers. */
static char *many(unsigned stubs, unsigned servers)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    fputs(HEAD "  stubDomains: |\n    {\"x\": [\"192.0.2.0\"", f);
    for (unsigned i = 1; i < servers; i++)
        fprintf(f, ", \"192.0.2.%u\"", i);
    fputs("]", f);
    for (unsigned i = 1; i < stubs; i++)
        fprintf(f, ",\n    \"x%u\": [\"192.0.2.1\"]", i);
    fputs("}\n", f);
    fclose(f);
    return text;
}

static void test_limits(void)
{
    static const struct {
        unsigned stubs, servers;
        int ret;
    } cases[] = {{WP_KUBE_DNS_STUBS_MAX, WP_KUBE_DNS_SERVERS_MAX, 0},
                 {WP_KUBE_DNS_STUBS_MAX + 1, 1, WP_ECONFIG},
                 {1, WP_KUBE_DNS_SERVERS_MAX + 1, WP_ECONFIG}};
    struct wp_kube_dns k;

    for (size_t i = 0; i < COUNT(cases); i++) {
        char *text = many(cases[i].stubs, cases[i].servers);

        CHECK(parse(text, &k) == cases[i].ret);
        CHECK_AT(why, cases[i].ret == 0 || strstr(why, ": more than 1") != NULL);
        free(text);
    }
    CHECK(wp_kube_dns_parse(HEAD, WP_KUBE_DNS_MAX + 1, "a.b", &arena, why, &k) == WP_ECONFIG);
    CHECK(wp_kube_dns_parse(HEAD, strlen(HEAD), "a b", &arena, why, &k) == WP_ECONFIG);
    CHECK(strcmp(why, "a b: is not a domain name") == 0);
}

/* Cut anywhere, it is read or refused. */
static void test_cut(void)
{
    static const char text[] = HEAD "  stubDomains: |\n    {\"a.b\": [\"192.0.2.1\"]}\n  federations: a=b\n";
    struct wp_kube_dns k;

    for (size_t n = 0; n < sizeof(text); n++) {
        char *copy = strndup(text, n);
        int r = parse(copy, &k);

        CHECK(r == 0 || (r == WP_ECONFIG && strstr(why, "line ") != NULL));
        free(copy);
    }
}

static int begin(void **state)
{
    (void)state;
    wp_arena_init(&arena, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    wp_arena_done(&arena);
    return 0;
}

RUN_TESTS_WITH(begin, end, TEST(test_words), TEST(test_nothing_said), TEST(test_bad), TEST(test_limits), TEST(test_cut))
