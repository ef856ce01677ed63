/* Directives that only set something: what they accept, what they leave in the block's settings,
 * and their errors in CoreDNS's words (checked against 1.15.0). */
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "server/config/conf_load.h"
#include "waypost/base/addr.h"

#define AT(line) "C:" #line " - Error during parsing: "
#define ARGS(line, word) AT(line) "Wrong argument count or unexpected line ending after '" word "'"

/* error "": the directive is accepted */
static const struct {
    const char *text, *error;
} cases[] = {
    {"root", "plugin/root: " ARGS(2, "root")},
    {"root a b", "plugin/root: " ARGS(2, "b")},
    {"root / {\nx\n}", "plugin/root: " AT(2) "Unexpected token '{', expecting argument"},
    {"root /", ""},

    {"bind", "plugin/bind: at least one address or interface name is expected"},
    {"bind 300.1.1.1", "plugin/bind: not a valid IP address or interface name: \"300.1.1.1\""},
    {"bind 127.0.0.1:53", "plugin/bind: not a valid IP address or interface name: \"127.0.0.1:53\""},
    {"bind fe80::1%lo", ""}, /* D-bind-zone */
    {"bind lo {\nfoo\n}", "plugin/bind: " AT(3) "invalid option \"foo\""},
    {"bind lo {\nexcept\n}",
     "plugin/bind: at least one address or interface must be given to except subdirective"},
    {"bind lo {\nexcept 127.0.0.1 nothere\n}",
     "plugin/bind: not a valid IP address or interface name: \"nothere\""},

    {"timeouts", "plugin/timeouts: " AT(2) "timeouts block with no timeouts specified"},
    {"timeouts {\n}", "plugin/timeouts: " AT(2) "timeouts block with no timeouts specified"},
    {"timeouts x", "plugin/timeouts: " ARGS(2, "x")},
    {"timeouts {\nread\n}", "plugin/timeouts: " ARGS(3, "read")},
    {"timeouts {\nread {\n}\n}", "plugin/timeouts: " AT(3) "unknown option: '{'"},
    {"timeouts {\nread 1 2\n}", "plugin/timeouts: " ARGS(3, "2")},
    {"timeouts {\nread x\n}", "plugin/timeouts: " AT(3) "failed to parse duration 'x'"},
    {"timeouts {\nread \"\"\n}", "plugin/timeouts: " AT(3) "failed to parse duration ''"},
    {"timeouts {\nread 1h30\n}", "plugin/timeouts: " AT(3) "failed to parse duration '1h30'"},
    {"timeouts {\nread 1d\n}", "plugin/timeouts: " AT(3) "failed to parse duration '1d'"},
    {"timeouts {\nread 0\n}",
     "plugin/timeouts: " AT(3) "timeout provided '0s' needs to be between 1 second and 24 hours"},
    {"timeouts {\nwrite -5\n}",
     "plugin/timeouts: " AT(3) "timeout provided '-5s' needs to be between 1 second and 24 hours"},
    {"timeouts {\nidle 25h\n}",
     "plugin/timeouts: " AT(3) "timeout provided '25h0m0s' needs to be between 1 second and 24 hours"},
    {"timeouts {\nidle 999ms\n}",
     "plugin/timeouts: " AT(3) "timeout provided '999ms' needs to be between 1 second and 24 hours"},
    {"timeouts {\nread 24h\n}", ""},
    {"timeouts {\nread 1s\nread 2s\n}", ""},
    {"timeouts {\nmaxtcpqueries 0\n}",
     "plugin/timeouts: " AT(3) "maxtcpqueries provided '0' needs to be -1 (unlimited) or a positive integer"},
    {"timeouts {\nmaxtcpqueries -2\n}",
     "plugin/timeouts: " AT(3) "maxtcpqueries provided '-2' needs to be -1 (unlimited) or a positive integer"},
    {"timeouts {\nmaxtcpqueries x\n}",
     "plugin/timeouts: " AT(3) "invalid value for maxtcpqueries 'x': strconv.Atoi: parsing \"x\": invalid syntax"},
    {"timeouts {\nmaxtcpqueries 2 3\n}", "plugin/timeouts: " ARGS(3, "3")},
    {"timeouts {\nmaxtcpqueries -1\n}", ""},
    {"timeouts {\nmaxconnections 0\n}", ""},
    {"timeouts {\nmaxperclient -1\n}", "plugin/timeouts: " AT(3) "-1 is not in the range 0 to 2147483647"},
    {"timeouts {\npipeline 0\n}", "plugin/timeouts: " AT(3) "0 is not in the range 1 to 2147483647"},
    {"timeouts {\nfoo 1\n}", "plugin/timeouts: " AT(3) "unknown option: 'foo'"},
    {"timeouts {\nread 1s\n}\ntimeouts", "plugin/timeouts: " AT(5) "timeouts block with no timeouts specified"},

    {"multisocket 0", "plugin/multisocket: num sockets can not be zero or negative: 0"},
    {"multisocket -1", "plugin/multisocket: num sockets can not be zero or negative: -1"},
    {"multisocket 1025", "plugin/multisocket: num sockets exceeds maximum (1024): 1025"},
    {"multisocket x", "plugin/multisocket: invalid num sockets: strconv.Atoi: parsing \"x\": invalid syntax"},
    {"multisocket 1 2", "plugin/multisocket: " ARGS(2, "2")},
    {"multisocket 2\nmultisocket 3", "plugin/multisocket: " ARGS(3, "multisocket")},
    {"multisocket 2 {\nx\n}", "plugin/multisocket: " AT(2) "Unexpected token '{', expecting argument"},

    {"https", ""},
    {"https {\n}", ""},
    {"https x", "plugin/https: " ARGS(2, "x")},
    {"https {\nmax_streams\n}", "plugin/https: " ARGS(3, "max_streams")},
    {"https {\nmax_streams 1 2\n}", "plugin/https: " ARGS(3, "2")},
    {"https {\nmax_streams -1\n}", "plugin/https: " AT(3) "max_streams must be a non-negative integer: -1"},
    {"https {\nmax_streams x\n}",
     "plugin/https: " AT(3) "invalid max_streams value 'x': strconv.Atoi: parsing \"x\": invalid syntax"},
    {"https {\nmax_streams 4294967295\n}", ""},
    {"https {\nmax_streams 4294967296\n}",
     "plugin/https: " AT(3) "max_streams must not exceed 4294967295: 4294967296"},
    {"https {\nmax_streams 99999999999999999999\n}",
     "plugin/https: " AT(3) "invalid max_streams value '99999999999999999999': "
     "strconv.Atoi: parsing \"99999999999999999999\": value out of range"},
    {"https {\nmax_connections -1\n}",
     "plugin/https: " AT(3) "max_connections must be a non-negative integer: -1"},
    {"https {\nmax_connections 4294967296\n}", ""},
    {"https {\nmax_streams 1\nmax_streams 2\n}",
     "plugin/https: " AT(4) "max_streams already defined for this server block"},
    {"https {\nmax_connections 0\nmax_connections 0\n}",
     "plugin/https: " AT(4) "max_connections already defined for this server block"},
    {"https {\nfoo\n}", "plugin/https: " AT(3) "unknown property 'foo'"},

    {"grpc_server", ""},
    {"grpc_server x", "plugin/grpc_server: " ARGS(2, "x")},
    {"grpc_server {\nmax_streams 4294967296\n}", ""},
    {"grpc_server {\nmax_streams -1\n}",
     "plugin/grpc_server: " AT(3) "max_streams must be a non-negative integer: -1"},
    {"grpc_server {\nmax_connections x\n}",
     "plugin/grpc_server: " AT(3) "invalid max_connections value 'x': strconv.Atoi: parsing \"x\": invalid syntax"},
    {"grpc_server {\nmax_streams 1\nmax_streams 2\n}",
     "plugin/grpc_server: " AT(4) "max_streams already defined for this server block"},
    {"grpc_server {\nworker_pool_size 1\n}", "plugin/grpc_server: " AT(3) "unknown property 'worker_pool_size'"},

    {"tls", "plugin/tls: " AT(2) "certificates by ACME are not in this build of waypost: "
            "give the files of a certificate and its key"},
    {"tls a", "plugin/tls: " ARGS(2, "a")},
    {"tls /dev/null /dev/null /dev/null d", "plugin/tls: " ARGS(2, "d")},
    {"tls /dev/null /nonexistent", "plugin/tls: could not load TLS cert: open /nonexistent: no such file or directory"},
    {"tls /dev/null /dev/null", ""},
    {"tls /dev/null /dev/null /nonexistent", "plugin/tls: error reading CA: open /nonexistent: no such file or directory"},
    {"tls /dev/null /dev/null\ntls /dev/null /dev/null",
     "plugin/tls: TLS already configured for this server instance"},
    {"tls /dev/null /dev/null {\nclient_auth\n}", "plugin/tls: " ARGS(3, "client_auth")},
    {"tls /dev/null /dev/null {\nclient_auth foo\n}", "plugin/tls: " AT(3) "unknown authentication type 'foo'"},
    {"tls /dev/null /dev/null {\nclient_auth request x\n}", "plugin/tls: " ARGS(3, "x")},
    {"tls /dev/null /dev/null {\nkeylog\n}", "plugin/tls: " ARGS(3, "keylog")},
    {"tls /dev/null /dev/null {\nfoo\n}", "plugin/tls: " AT(3) "unknown option 'foo'"},

    {"transfer", "plugin/transfer: " AT(2) "'to' is required"},
    {"transfer {\n}", "plugin/transfer: " AT(2) "'to' is required"},
    {"transfer {\nsource 127.0.0.1\n}", "plugin/transfer: " AT(3) "'to' is required"},
    {"transfer {\nto\n}", "plugin/transfer: " ARGS(3, "to")},
    {"transfer {\nto foo\n}", "plugin/transfer: must specify an IP address: `foo'"},
    {"transfer {\nto 1.2.3.4.5\n}", "plugin/transfer: must specify an IP address: `1.2.3.4.5'"},
    {"transfer {\nto 10.0.0.0/8\n}", "plugin/transfer: must specify an IP address: `10.0.0.0/8'"},
    {"transfer {\nto tls://127.0.0.1\n}", "plugin/transfer: must specify an IP address: `tls'"},
    {"transfer {\nto *\nsource\n}", "plugin/transfer: " ARGS(4, "source")},
    {"transfer {\nto *\nsource 127.0.0.1 ::1\n}", "plugin/transfer: " ARGS(4, "::1")},
    {"transfer {\nto *\nsource foo\n}", "plugin/transfer: " AT(4) "invalid source address \"foo\""},
    {"transfer {\nto *\nsource 127.0.0.1:5\n}",
     "plugin/transfer: " AT(4) "invalid source address \"127.0.0.1:5\""},
    {"transfer {\nto *\nsource ::1\nsource ::1\n}", "plugin/transfer: " AT(5) "source already specified"},
    {"transfer {\nto *\nbar\n}", "plugin/transfer: " AT(4) "unknown property \"bar\""},

    {"proxyproto", ""},
    {"proxyproto {\n}", ""},
    {"proxyproto\nproxyproto", ""},
    {"proxyproto x", "plugin/proxyproto: " ARGS(2, "x")},
    {"proxyproto {\nfoo\n}", "plugin/proxyproto: " AT(3) "unknown option 'foo'"},
    {"proxyproto {\nallow\n}", ""},
    {"proxyproto {\nallow x\n}", "plugin/proxyproto: x: invalid CIDR address: x"},
    {"proxyproto {\nallow 10.0.0.0/8 1.1.1.1\n}", "plugin/proxyproto: 1.1.1.1: invalid CIDR address: 1.1.1.1"},
    {"proxyproto {\ndefault\n}", "plugin/proxyproto: " ARGS(3, "default")},
    {"proxyproto {\ndefault use x\n}", "plugin/proxyproto: " ARGS(3, "x")},
    {"proxyproto {\ndefault foo\n}", "plugin/proxyproto: " ARGS(3, "foo")},
    {"proxyproto {\nudp_session_tracking\n}", "plugin/proxyproto: " ARGS(3, "udp_session_tracking")},
    {"proxyproto {\nudp_session_tracking 5\n}",
     "plugin/proxyproto: udp_session_tracking: invalid duration \"5\": time: missing unit in duration \"5\""},
    {"proxyproto {\nudp_session_tracking 5s 0\n}",
     "plugin/proxyproto: udp_session_tracking: invalid max sessions \"0\": must be a positive integer"},
    {"proxyproto {\nudp_session_tracking 5s x\n}",
     "plugin/proxyproto: udp_session_tracking: invalid max sessions \"x\": must be a positive integer"},
    {"proxyproto {\nudp_session_tracking 5s 10 1\n}", "plugin/proxyproto: " ARGS(3, "1")},
    {"proxyproto {\ntlv_metadata x\n}", "plugin/proxyproto: " ARGS(3, "x")},
};

static void load(struct loaded *l, const char *directive)
{
    char text[512];

    snprintf(text, sizeof(text), "a.example b.example {\n%s\n}\n", directive);
    conf_load(l, text);
}

static void test_errors(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct loaded l;

        load(&l, cases[i].text);
        if (strcmp(conf_load_error(&l, 0), cases[i].error) != 0)
            print_error("got  %s\n", conf_load_error(&l, 0));
        CHECK_AT(cases[i].text, strcmp(conf_load_error(&l, 0), cases[i].error) == 0);
        CHECK_AT(cases[i].text, l.report.n == (cases[i].error[0] != '\0'));
        CHECK_AT(cases[i].text, l.r < 0 || l.blocks[0].n_chain == 0); /* none is a handler */
        conf_unload(&l);
    }
}

static void test_nothing_set(void)
{
    const struct wp_settings *s;
    struct loaded l;

    load(&l, "");
    s = &l.blocks[0].set;
    CHECK(l.r == 0 && s->root == NULL && !s->bind_set && s->n_bind == 0 && s->sockets == WP_UNSET);
    CHECK(s->read_ns == WP_UNSET && s->write_ns == WP_UNSET && s->idle_ns == WP_UNSET);
    CHECK(s->max_tcp_queries == WP_UNSET && s->https_max_connections == WP_UNSET);
    CHECK(s->https_max_streams == WP_UNSET && s->grpc_max_connections == WP_UNSET);
    CHECK(s->grpc_max_streams == WP_UNSET && s->quic_max_streams == WP_UNSET);
    CHECK(s->quic_worker_pool == WP_UNSET && s->quic_max_connections == WP_UNSET);
    CHECK(s->tcp_max_connections == WP_UNSET && s->tcp_max_per_client == WP_UNSET);
    CHECK(s->udp_cap == WP_UNSET && !s->tls.set && !s->proxy.set && !s->debug && !s->stacktrace);
    conf_unload(&l);
}

static void test_values(void)
{
    const int64_t second = 1000000000;
    const struct wp_settings *s;
    struct loaded l;

    load(&l, "timeouts {\nread 5\nwrite 1m\nmaxtcpqueries 3\n}\ntimeouts {\nread 7s\n}\n"
             "multisocket 3\nroot /a\nroot /b\n"
             "https {\nmax_connections 0\nmax_streams 9\n}\nhttps {\nmax_streams 5\n}\n"
             "grpc_server {\nmax_connections 4294967296\nmax_streams 0\n}");
    s = &l.blocks[0].set;
    CHECK(l.r == 0 && s->read_ns == 7 * second && s->write_ns == 60 * second && s->idle_ns == WP_UNSET);
    CHECK(s->max_tcp_queries == 3 && s->sockets == 3 && strcmp(s->root, "/b") == 0);
    CHECK(s->https_max_connections == 0 && s->https_max_streams == 9); /* the first one counts */
    CHECK(s->grpc_max_connections == UINT32_MAX && s->grpc_max_streams == 0);
    CHECK(l.blocks[0].n_all == 5 && l.blocks[0].n_chain == 0);
    conf_unload(&l);

    load(&l, "timeouts {\nmaxconnections 0\nmaxperclient 9\npipeline 7\n}");
    s = &l.blocks[0].set;
    CHECK(l.r == 0 && s->tcp_max_connections == 0 && s->tcp_max_per_client == 9 && s->tcp_pipeline == 7);
    conf_unload(&l);

    load(&l, "multisocket");
    CHECK(l.r == 0 && l.blocks[0].set.sockets == sysconf(_SC_NPROCESSORS_ONLN));
    conf_unload(&l);

    load(&l, "tls /dev/null null {\nclient_auth verify_if_given\nkeylog kl\n}\nroot /dev");
    s = &l.blocks[0].set;
    CHECK(l.r == 0 && s->tls.set && s->tls.client_auth == WP_AUTH_VERIFY_IF_GIVEN);
    CHECK(strcmp(s->tls.cert, "/dev/null") == 0 && strcmp(s->tls.key, "/dev/null") == 0);
    CHECK(s->tls.ca == NULL && strcmp(s->tls.keylog, "/dev/kl") == 0);
    conf_unload(&l);
}

static void test_auth_modes(void)
{
    static const char *const words[] = {"nocert", "request", "require", "verify_if_given", "require_and_verify"};

    for (size_t i = 0; i < COUNT(words); i++) {
        char text[128];
        struct loaded l;

        snprintf(text, sizeof(text), "tls /dev/null /dev/null /dev/null {\nclient_auth %s\n}", words[i]);
        load(&l, text);
        CHECK_AT(words[i], l.r == 0 && l.blocks[0].set.tls.client_auth == (enum wp_client_auth)i);
        CHECK_AT(words[i], strcmp(l.blocks[0].set.tls.ca, "/dev/null") == 0);
        conf_unload(&l);
    }
}

static void test_bind(void)
{
    const struct wp_settings *s;
    struct loaded l;

    load(&l, "bind 127.0.0.1 ::1\nbind 127.0.0.2 127.0.0.3 {\nexcept 127.0.0.3 127.0.0.1\n}");
    s = &l.blocks[0].set;
    CHECK(l.r == 0 && s->bind_set && s->n_bind == 3); /* except holds for its own line */
    CHECK(strcmp(s->bind[0], "127.0.0.1") == 0 && strcmp(s->bind[1], "::1") == 0);
    CHECK(strcmp(s->bind[2], "127.0.0.2") == 0);
    conf_unload(&l);

    load(&l, "bind 127.0.0.1 {\nexcept 127.0.0.1\n}");
    CHECK(l.r == 0 && l.blocks[0].set.bind_set && l.blocks[0].set.n_bind == 0);
    conf_unload(&l);
}

/* An interface's name stands for all its addresses, link-local ones with their zone. */
static void test_bind_interface(void)
{
    struct ifaddrs *all;

    CHECK(getifaddrs(&all) == 0);
    for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
        char text[WP_ADDR_TEXT_MAX], directive[IFNAMSIZ + 8];
        struct wp_addr a;
        struct loaded l;
        bool found = false;

        if (i->ifa_addr == NULL)
            continue;
        wp_addr_from_sockaddr(i->ifa_addr, &a);
        if (a.family == 0)
            continue;
        snprintf(directive, sizeof(directive), "bind %s", i->ifa_name);
        load(&l, directive);
        CHECK_AT(directive, l.r == 0);
        for (unsigned n = 0; n < l.blocks[0].set.n_bind; n++)
            found |= strcmp(l.blocks[0].set.bind[n], wp_addr_ip_text(&a, text)) == 0;
        CHECK_AT(directive, found);
        conf_unload(&l);
    }
    freeifaddrs(all);
}

static void test_proxy(void)
{
    const struct wp_proxy_settings *p;
    struct loaded l;

    load(&l, "proxyproto");
    p = &l.blocks[0].set.proxy;
    CHECK(l.r == 0 && p->set && p->n_allow == 0 && p->deflt == WP_PROXY_USE && !p->tlv_metadata);
    CHECK(p->udp_session_ns == 0);
    conf_unload(&l);

    load(&l, "proxyproto {\nallow 10.0.0.0/8 2001:db8::/32\nallow 192.0.2.0/24\n}");
    p = &l.blocks[0].set.proxy;
    CHECK(l.r == 0 && p->n_allow == 3 && p->deflt == WP_PROXY_IGNORE);
    CHECK(p->allow[0].bits == 8 && p->allow[1].family == 6 && p->allow[2].bits == 24);
    conf_unload(&l);

    load(&l, "proxyproto {\nallow 10.0.0.0/8\ndefault SKIP\nudp_session_tracking 5s\ntlv_metadata\n}");
    p = &l.blocks[0].set.proxy;
    CHECK(l.r == 0 && p->deflt == WP_PROXY_SKIP && p->tlv_metadata);
    CHECK(l.blocks[0].n_chain == 1); /* as in CoreDNS, for the metric plugin_enabled */
    CHECK(p->udp_session_ns == INT64_C(5000000000) && p->udp_sessions_max == 0); /* the default */
    conf_unload(&l);

    load(&l, "proxyproto {\ndefault reject\nudp_session_tracking 1m 20\n}\nproxyproto {\ndefault ignore\n}");
    p = &l.blocks[0].set.proxy;
    CHECK(l.r == 0 && p->deflt == WP_PROXY_IGNORE && p->udp_sessions_max == 20);
    conf_unload(&l);

    load(&l, "proxyproto {\nudp_session_tracking -1s\n}");
    CHECK(l.r == 0 && l.blocks[0].set.proxy.udp_session_ns == 0);
    conf_unload(&l);
}

RUN_TESTS(TEST(test_errors), TEST(test_nothing_set), TEST(test_values), TEST(test_auth_modes),
          TEST(test_bind), TEST(test_bind_interface), TEST(test_proxy))
