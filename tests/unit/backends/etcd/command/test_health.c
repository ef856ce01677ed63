/* What --health takes. */
#include "backends/etcd/command/health.h"

#include <errno.h>

#include "check.h"

static const struct {
    const char *text;
    int ret;
    int kind;
    const char *host, *port, *path, *named, *command;
} cases[] = {
    {"tcp", 0, ETCD_HEALTH_TCP, "192.0.2.1", "80", NULL, NULL, NULL},
    {"tcp:81", 0, ETCD_HEALTH_TCP, "localhost", "81", NULL, NULL, NULL},
    {"tcp:db", 0, ETCD_HEALTH_TCP, "db", "80", NULL, NULL, NULL},
    {"tcp:db:81", 0, ETCD_HEALTH_TCP, "db", "81", NULL, NULL, NULL},
    {"tcp:[::1]", 0, ETCD_HEALTH_TCP, "::1", "80", NULL, NULL, NULL},
    {"tcp:[::1]:81", 0, ETCD_HEALTH_TCP, "::1", "81", NULL, NULL, NULL},
    {"http://h/x", 0, ETCD_HEALTH_HTTP, "h", "80", "/x", "h", NULL},
    {"http://h:8080", 0, ETCD_HEALTH_HTTP, "h", "8080", "/", "h:8080", NULL},
    {"http://[::1]:8080/x?y", 0, ETCD_HEALTH_HTTP, "::1", "8080", "/x?y", "[::1]:8080", NULL},
    {"http:http://h:8080/x", 0, ETCD_HEALTH_HTTP, "h", "8080", "/x", "h:8080", NULL},
    {"http:8080/x", 0, ETCD_HEALTH_HTTP, "localhost", "8080", "/x", "localhost", NULL},
    {"http:/x", 0, ETCD_HEALTH_HTTP, "localhost", "80", "/x", "localhost", NULL},
    {"http:", 0, ETCD_HEALTH_HTTP, "localhost", "80", "/", "localhost", NULL},
    {"https://h/x", 0, ETCD_HEALTH_HTTP, "h", "443", "/x", "h", NULL},
    {"https:https://h:8443/x", 0, ETCD_HEALTH_HTTP, "h", "8443", "/x", "h:8443", NULL},
    {"https:8443/x", 0, ETCD_HEALTH_HTTP, "localhost", "8443", "/x", "localhost", NULL},
    {"https:", 0, ETCD_HEALTH_HTTP, "localhost", "80", "/", "localhost", NULL},
    {"exec:test -e x:y", 0, ETCD_HEALTH_EXEC, NULL, NULL, NULL, NULL, "test -e x:y"},
    {"", WP_EMALFORMED, 0, NULL, NULL, NULL, NULL, NULL},
    {"tcp:", WP_EMALFORMED, 0, NULL, NULL, NULL, NULL, NULL},
    {"tcp:db:", WP_EMALFORMED, 0, NULL, NULL, NULL, NULL, NULL},
    {"tcp::81", WP_EMALFORMED, 0, NULL, NULL, NULL, NULL, NULL},
    {"tcp:db:0", WP_EMALFORMED, 0, NULL, NULL, NULL, NULL, NULL},
    {"tcp:db:65536", WP_EMALFORMED, 0, NULL, NULL, NULL, NULL, NULL},
    {"tcp:[::1", WP_EMALFORMED, 0, NULL, NULL, NULL, NULL, NULL},
    {"tcp:[::1]81", WP_EMALFORMED, 0, NULL, NULL, NULL, NULL, NULL},
    {"http://h:x/", WP_EMALFORMED, 0, NULL, NULL, NULL, NULL, NULL},
    {"http:/a b", WP_EMALFORMED, 0, NULL, NULL, NULL, NULL, NULL},
    {"http:/a\r\nHost: x", WP_EMALFORMED, 0, NULL, NULL, NULL, NULL, NULL},
    {"http://h\r\nX/", WP_EMALFORMED, 0, NULL, NULL, NULL, NULL, NULL},
    {"https://h:x/", WP_EMALFORMED, 0, NULL, NULL, NULL, NULL, NULL},
    {"https", WP_EMALFORMED, 0, NULL, NULL, NULL, NULL, NULL},
    {"exec:", WP_EMALFORMED, 0, NULL, NULL, NULL, NULL, NULL},
    {"udp:53", WP_EMALFORMED, 0, NULL, NULL, NULL, NULL, NULL},
};

static bool same(const char *a, const char *b)
{
    return b == NULL || (a != NULL && strcmp(a, b) == 0);
}

static void test_parse(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct etcd_health_config c = {.fails = 7};
        const char *why = "";
        struct wp_arena arena;
        int r;

        wp_arena_init(&arena, 0);
        r = etcd_health_parse(cases[i].text, "192.0.2.1", 80, &arena, &c, &why);
        CHECK_AT(cases[i].text, r == cases[i].ret && (r == 0 || *why != '\0'));
        CHECK_AT(cases[i].text, c.fails == 7);
        if (r == 0) {
            CHECK_AT(cases[i].text, (int)c.kind == cases[i].kind);
            CHECK_AT(cases[i].text, c.https == (strncmp(cases[i].text, "https", 5) == 0));
            CHECK_AT(cases[i].text, same(c.host, cases[i].host) && same(c.port, cases[i].port));
            CHECK_AT(cases[i].text, same(c.path, cases[i].path) && same(c.named, cases[i].named));
            CHECK_AT(cases[i].text, same(c.command, cases[i].command));
        }
        wp_arena_done(&arena);
    }
}

/* A name without a port has none to be checked. */
static void test_no_port(void)
{
    static const char *const texts[] = {"tcp", "tcp:db", "http:/x"};

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct etcd_health_config c = {0};
        struct wp_arena arena;
        const char *why;

        wp_arena_init(&arena, 0);
        CHECK_AT(texts[i], etcd_health_parse(texts[i], "192.0.2.1", 0, &arena, &c, &why) < 0);
        wp_arena_done(&arena);
    }
}

RUN_TESTS(TEST(test_parse), TEST(test_no_port))
