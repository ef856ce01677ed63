/* What `register` writes. */
#include "backends/etcd/command/record.h"

#include "backends/etcd/record.h"
#include "check.h"

enum { TAGS_MAX = 2, PAIRS_MAX = 3 };
static const struct {
    const char *what, *name, *prefix, *address;
    uint16_t port;
    const char *text, *tags[TAGS_MAX];
    const char *starts[PAIRS_MAX], *values[PAIRS_MAX];
} cases[] = {
    {"plain", "web.dev", "/skydns", "192.0.2.1", 80, NULL, {NULL},
     {"/skydns/dev/web/"}, {"{\"host\":\"192.0.2.1\",\"port\":80}"}},
    {"no port, no prefix", "web.dev", "", "h.example.", 0, NULL, {NULL},
     {"/dev/web/"}, {"{\"host\":\"h.example.\",\"port\":-1}"}},
    {"text", "web.dev", "/a/b", "2001:db8::1", 1, "q\"\x01", {NULL},
     {"/a/b/dev/web/", "/a/b/dev/web/"},
     {"{\"host\":\"2001:db8::1\",\"port\":1}", "{\"text\":\"q\\\"\\u0001\"}"}},
    {"tags", "web.dev", "/skydns", "192.0.2.1", 80, NULL, {"blue", "v2"},
     {"/skydns/dev/web/blue/", "/skydns/dev/web/v2/"},
     {"{\"host\":\"192.0.2.1\",\"port\":80}", "{\"host\":\"192.0.2.1\",\"port\":80}"}},
    {"a long name for an address", "web.dev", "/skydns",
     "abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz.example", 65535, NULL, {NULL},
     {"/skydns/dev/web/"},
     {"{\"host\":\"abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz.example\",\"port\":65535}"}},
};

static const char *last_label(const char *key)
{
    return strrchr(key, '/') + 1;
}

static void check_pair(const char *what, const struct etcd_pair *pair, const char *start,
                       const char *value)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    struct wp_etcd_scratch scratch = {0};
    struct wp_etcd_value v;
    struct wp_etcd_flaw flaw;
    const char *label = last_label(pair->key);

    CHECK_AT(what, strncmp(pair->key, start, strlen(start)) == 0);
    CHECK_AT(what, label == pair->key + strlen(start));
    CHECK_AT(what, strlen(label) > 8 && strlen(label) <= WP_LABEL_MAX);
    CHECK_AT(what, label[strspn(label, plain)] == '\0' && *label != '-');
    CHECK_AT(what, strcmp(pair->value, value) == 0);
    CHECK_AT(what, wp_etcd_value_read(pair->value, strlen(pair->value), &scratch, &v, &flaw) == 0);
    wp_etcd_scratch_done(&scratch);
}

static void test_pairs(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_arena arena;
        struct etcd_place p = {.who = "test", .arena = &arena, .src = {.prefix = cases[i].prefix}};
        struct etcd_record r = {.address = cases[i].address,
                                .port = cases[i].port,
                                .text = cases[i].text,
                                .tags = {.word = (const char **)(uintptr_t)cases[i].tags}};
        struct etcd_pair *pairs, *again;
        struct wp_name name;
        unsigned n, n_again;

        while (r.tags.n < TAGS_MAX && cases[i].tags[r.tags.n] != NULL)
            r.tags.n++;
        wp_arena_init(&arena, 0);
        CHECK_AT(cases[i].what, wp_name_parse(cases[i].name, &name) == 0);
        CHECK_AT(cases[i].what, etcd_record_check(&r, "test") == 0);
        CHECK_AT(cases[i].what, etcd_record_pairs(&r, &p, &name, &pairs, &n) == 0);
        CHECK_AT(cases[i].what, etcd_record_pairs(&r, &p, &name, &again, &n_again) == 0);
        CHECK_AT(cases[i].what, n == n_again && n <= PAIRS_MAX);
        for (unsigned k = 0; k < n; k++) {
            check_pair(cases[i].what, &pairs[k], cases[i].starts[k], cases[i].values[k]);
            CHECK_AT(cases[i].what, strcmp(pairs[k].key, again[k].key) != 0);
        }
        CHECK_AT(cases[i].what, n == PAIRS_MAX || cases[i].starts[n] == NULL);
        wp_arena_done(&arena);
    }
}

/* A key that is no name any more is not written. */
static void test_long_name(void)
{
    static const char label[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0123456789.";
    struct wp_arena arena;
    struct etcd_place p = {.who = "test", .arena = &arena, .src = {.prefix = "/skydns"}};
    struct etcd_record r = {.address = "192.0.2.1", .port = 80};
    struct etcd_pair *pairs;
    struct wp_name name;
    char text[256];
    unsigned n;

    snprintf(text, sizeof(text), "%s%s%sx", label, label, label);
    wp_arena_init(&arena, 0);
    CHECK(wp_name_parse(text, &name) == 0);
    CHECK(etcd_record_pairs(&r, &p, &name, &pairs, &n) == 0);
    snprintf(text, sizeof(text), "%s%s%s%s", label, label, label, label + 20);
    CHECK(wp_name_parse(text, &name) == 0);
    CHECK(etcd_record_pairs(&r, &p, &name, &pairs, &n) == WP_ECONFIG);
    wp_arena_done(&arena);
}

RUN_TESTS(TEST(test_pairs), TEST(test_long_name))
