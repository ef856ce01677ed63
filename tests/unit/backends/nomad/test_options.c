/* The lines of the directive: what is taken, and CoreDNS's words where one is not. */
#include <stdlib.h>

#include "check.h"

#include "backends/nomad/nomad.h"
#include "server/config/conf_load.h"
#include "waypost/plugin/block.h"

#define CHECK_TEXT(a, b) CHECK((a) != NULL && strcmp(a, b) == 0)

/* error: what the first one is, NULL: there is none. */
static const struct {
    const char *what, *options, *error;
} rows[] = {
    {"R39 ttl -1", "ttl -1", "plugin/nomad: C:3 - Error during parsing: ttl must be in range [0, 3600]: -1"},
    {"R39 ttl 3601", "ttl 3601",
     "plugin/nomad: C:3 - Error during parsing: ttl must be in range [0, 3600]: 3601"},
    {"R39 ttl abc", "ttl abc",
     "plugin/nomad: C:3 - Error during parsing: error parsing ttl: strconv.Atoi: parsing \"abc\": "
     "invalid syntax"},
    {"R39 ttl of many digits", "ttl 99999999999999999999",
     "plugin/nomad: C:3 - Error during parsing: error parsing ttl: strconv.Atoi: parsing "
     "\"99999999999999999999\": value out of range"},
    {"R39 ttl", "ttl", "plugin/nomad: C:3 - Error during parsing: exactly one ttl value is required"},
    {"R39 ttl of two", "ttl 1 2",
     "plugin/nomad: C:3 - Error during parsing: exactly one ttl value is required"},
    {"R39 the most", "ttl 3600", NULL},
    {"R40 unknown", "Invalid_Property x",
     "plugin/nomad: C:3 - Error during parsing: unknown property 'invalid_property'"},
    {"R40 a star", "* x", "plugin/nomad: C:3 - Error during parsing: unknown property '*'"},
    {"R41 address", "address",
     "plugin/nomad: C:3 - Error during parsing: at least one address is required"},
    {"R41 token", "token", "plugin/nomad: C:3 - Error during parsing: exactly one token is required"},
    {"R41 token of two", "token a b",
     "plugin/nomad: C:3 - Error during parsing: exactly one token is required"},
    {"R41 filter of two", "filter a b",
     "plugin/nomad: C:3 - Error during parsing: exactly one filter is required"},
    {"R41 bad address", "token a\naddress http://127.0.0.1:1\naddress :x:", "C:5 - Error during parsing: invalid address ':x:'"},
    {"R42 upper case", "ADDRESS http://127.0.0.1:4646\nTtl 5\nTAGS", NULL},
    {"lines add up", "address http://a:1 http://b:2\naddress http://c:3", NULL},
    {"both tokens", "token a\ntoken_file b", "token and token_file: one of them"},
    {"key only", "tls a b c d", "unexpected line ending after 'd'"},
    {"tls", "tls", "unexpected line ending after 'tls'"},
    {"tags with a word", "tags x", "unexpected line ending after 'x'"},
    {"weights with a word", "weights x", "unexpected line ending after 'x'"},
    {"stale", "stale maybe", "invalid stale 'maybe': one of leaderless, always, never"},
    {"negative", "negative x", "invalid negative 'x': one of rfc2308, coredns"},
    {"duplicates", "duplicates x", "invalid duplicates 'x': one of keep, drop"},
    {"hostnames", "hostnames x", "invalid hostnames 'x': one of fail, skip, resolve"},
    {"hostnames without", "hostnames", "unexpected line ending after 'hostnames'"},
    {"health of little", "health 10ms", "invalid health interval '10ms': a duration of 1s to 1h"},
    {"health of nothing", "health x", "invalid health interval 'x'"},
    {"health", "health 1m", NULL},
    {"zone twice", "zone a\nzone b", "C:4 - Error during parsing: a second zone: 'b'"},
    {"zone of none", "zone a..b", "invalid zone 'a..b'"},
    {"state", "state", "unexpected line ending after 'state'"},
    {"state off", "state off", NULL},
    {"everything",
     "address unix:///secrets/api.sock\ntoken_file t\nregion eu\nstale always\nfilter \"Tags contains x\"\n"
     "ttl 0\ntags\nweights\nhealth\nnegative coredns\nduplicates drop\nhostnames resolve\nzone x.y\nstate s",
     NULL},
};

static void check(const char *what, const char *text, const char *error)
{
    struct loaded l;
    bool good;

    conf_load(&l, text);
    good = error == NULL ? l.r == 0 : l.r < 0 && strstr(conf_load_error(&l, 0), error) != NULL;
    if (!good)
        print_error("%s\n", conf_load_error(&l, 0));
    CHECK_AT(what, good);
    conf_unload(&l);
}

static void test_errors(void)
{
    unsetenv("NOMAD_ADDR");
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[1000];

        snprintf(text, sizeof(text), "service.nomad {\nnomad {\n%s\n}\n}\n", rows[i].options);
        check(rows[i].what, text, rows[i].error);
    }
    check("two zones", "nomad {\nnomad a b\n}\n", "C:2 - Error during parsing: one zone only: 'b'");
    check("zone and word", "nomad {\nnomad a {\nzone b\n}\n}\n", "a second zone: 'b'");
    check("no zone", "nomad {\nnomad a..b\n}\n", "invalid zone 'a..b'");
    check("two directives", "nomad {\nnomad\nnomad\n}\n",
          "this plugin can only be used once per Server Block");
}

static void test_environment(void)
{
    setenv("NOMAD_ADDR", ":x:", 1);
    check("address of the environment", "nomad {\nnomad\n}\n",
          "C:2 - Error during parsing: invalid address ':x:'");
    check("a line wins", "nomad {\nnomad {\naddress http://a:1\n}\n}\n", NULL);
    unsetenv("NOMAD_ADDR");
    setenv("NOMAD_CLIENT_CERT", "c.pem", 1);
    check("certificate only", "nomad {\nnomad\n}\n",
          "Both client cert and client key must be provided");
    check("and a line", "nomad {\nnomad {\ntls c k\n}\n}\n", NULL);
    unsetenv("NOMAD_CLIENT_CERT");
}

static const struct nomad *load(struct loaded *l, const char *text)
{
    const struct nomad *p;

    conf_load(l, text);
    CHECK_AT(text, l->r == 0);
    p = wp_block_plugin(&l->blocks[0], "nomad");
    CHECK_AT(text, p != NULL);
    return p;
}

static void test_values(void)
{
    const struct nomad *p;
    struct loaded l;

    p = load(&l, "nomad {\nnomad\n}\n");
    CHECK(p->ttl_s == 30 && p->n_zones == 2 && p->negative == NOMAD_RFC2308 && !p->wants.tags &&
          p->wants.stale == WP_NOMAD_STALE_LEADERLESS && p->wants.fresh_s == 10 &&
          p->wants.absent_s == 5 && p->hosts == NOMAD_HOSTS_FAIL && p->state == NULL);
    conf_unload(&l);
    p = load(&l, ". {\nroot /r\nnomad {\naddress http://a:1\nADDRESS http://b:2 http://c:3\nttl 3\n"
                 "tls c k a\ntls_servername n\nregion r\ntoken_file t\nhealth 2s\nstate d\nfilter \"\"\n}\n}\n");
    CHECK(p->wants.agents.n_addresses == 3 && p->wants.fresh_s == 3 && p->wants.absent_s == 3 &&
          p->wants.health && p->wants.health_interval_ns == INT64_C(2000000000) &&
          p->wants.filter == NULL);
    CHECK_TEXT(p->wants.agents.addresses[2], "http://c:3");
    CHECK_TEXT(p->wants.agents.cert_file, "/r/c");
    CHECK_TEXT(p->wants.agents.ca_file, "/r/a");
    CHECK_TEXT(p->wants.agents.token_file, "/r/t");
    CHECK_TEXT(p->wants.agents.server_name, "n");
    CHECK_TEXT(p->wants.agents.region, "r");
    CHECK_TEXT(p->state, "/r/d");
    conf_unload(&l);
    p = load(&l, "nomad {\nnomad {\nttl 0\ntls a\nstate off\n}\n}\n");
    CHECK(p->wants.fresh_s == 1 && p->wants.absent_s == 1 && p->wants.agents.cert_file == NULL);
    CHECK_TEXT(p->wants.agents.ca_file, "a");
    CHECK_TEXT(p->state, "");
    conf_unload(&l);
}

RUN_TESTS(TEST(test_errors), TEST(test_environment), TEST(test_values))
