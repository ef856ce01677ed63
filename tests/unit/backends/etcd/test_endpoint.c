#include "check.h"

#include "backends/etcd/endpoint.h"

static const struct {
    const char *text, *target; /* NULL: refused */
    enum wp_etcd_scheme scheme;
} rows[] = {
    {"http://localhost:2379", "dns:///localhost:2379", WP_ETCD_PLAIN},
    {"http://10.0.0.1:2379", "ipv4:10.0.0.1:2379", WP_ETCD_PLAIN},
    {"http://10.0.0.1:2379/", "ipv4:10.0.0.1:2379", WP_ETCD_PLAIN},
    {"http://10.0.0.1", "ipv4:10.0.0.1:2379", WP_ETCD_PLAIN},
    {"https://etcd.example:1", "dns:///etcd.example:1", WP_ETCD_SECURE},
    {"https://[2001:db8::1]:7", "ipv6:%5B2001:db8::1%5D:7", WP_ETCD_SECURE},
    {"http://[2001:db8::1]", "ipv6:%5B2001:db8::1%5D:2379", WP_ETCD_PLAIN},
    {"2001:db8::1", "ipv6:%5B2001:db8::1%5D:2379", WP_ETCD_EITHER},
    {"localhost:2379", "dns:///localhost:2379", WP_ETCD_EITHER},
    {"localhost", "dns:///localhost:2379", WP_ETCD_EITHER},
    {"unix:///run/etcd.sock", "unix:/run/etcd.sock", WP_ETCD_EITHER},
    {"unix:/run/etcd.sock", "unix:/run/etcd.sock", WP_ETCD_EITHER},
    {"unixs:///run/etcd.sock", "unix:/run/etcd.sock", WP_ETCD_SECURE},
    {"http://user:secret@10.0.0.1:2379", "ipv4:10.0.0.1:2379", WP_ETCD_PLAIN},
    {"user:se/cr@t@localhost", "dns:///localhost:2379", WP_ETCD_EITHER},
    {"unix:/run/user:secret@etcd", "unix:/run/user:secret@etcd", WP_ETCD_EITHER},
    {"http://a:1,http://b:2", NULL, 0}, /* with a hint */
    {"ftp://a:1", NULL, 0},
    {"http://", NULL, 0},
    {"", NULL, 0},
    {"unix:", NULL, 0},
    {"a:0", NULL, 0},
    {"a:65536", NULL, 0},
    {"a:x", NULL, 0},
    {"a:", NULL, 0},
    {":2379", NULL, 0},
    {"[::1", NULL, 0},
    {"[::1]x", NULL, 0},
};

static void test_parse(void)
{
    struct wp_arena a;

    wp_arena_init(&a, 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_etcd_endpoint e = {0};
        const char *why = NULL;
        int r = wp_etcd_endpoint_parse(rows[i].text, &a, &e, &why);

        CHECK_AT(rows[i].text, (r == 0) == (rows[i].target != NULL));
        CHECK_AT(rows[i].text, why != NULL);
        if (r < 0)
            continue;
        CHECK_AT(rows[i].text, strcmp(e.target, rows[i].target) == 0);
        CHECK_AT(rows[i].text, e.scheme == rows[i].scheme);
        CHECK_AT(rows[i].text, strstr(e.text, "secret") == NULL || *e.text == 'u');
    }
    wp_arena_done(&a);
}

/* What is shown of one, good or not. */
static void test_bare(void)
{
    static const char *const bare[][2] = {
        {"http://user:secret@a:1", "http://a:1"},
        {"ftp://user:se/cret@a", "ftp://a"},
        {"user:secret@a", "a"},
        {"http://a:1,http://user:secret@b", "http://,"},
        {"http://a:1,http://b:1", "http://a:1,http://b:1"},
        {"unix:/a@b", "unix:/a@b"},
        {"", ""},
    };
    struct wp_arena a;

    wp_arena_init(&a, 0);
    for (size_t i = 0; i < COUNT(bare); i++)
        CHECK_AT(bare[i][0], strcmp(wp_etcd_endpoint_bare(bare[i][0], &a), bare[i][1]) == 0);
    wp_arena_done(&a);
}

RUN_TESTS(TEST(test_parse), TEST(test_bare))
