#include "check.h"

#include "backends/etcd/path.h"

static void set(const char *text, struct wp_etcd_path *p)
{
    struct wp_name name;
    struct wp_qname q;

    CHECK_AT(text, wp_name_parse(text, &name) == 0);
    CHECK_AT(text, wp_qname_set(&q, name.wire, name.len) == name.len);
    wp_etcd_path_set(p, &q);
}

/* Section 3: names to paths. A stem is given where there is a wildcard. */
static const struct {
    const char *name, *path, *stem;
} paths[] = {
    {"svc.east.way.test.", "/test/way/east/svc", NULL},
    {".", "", NULL},
    {"SVC.Way.TEST.", "/test/way/svc", NULL},
    {"*.east.way.test.", "/test/way/east/*", "/test/way/east"},
    {"prod.*.way.test.", "/test/way/*/prod", "/test/way"},
    {"prod.any.way.test.", "/test/way/any/prod", "/test/way"},
    {"a.*.b.any.c.", "/c/any/b/*/a", "/c"},
    {"any.", "/any", ""},
    {"many.test.", "/test/many", NULL},
    {"a/b.test.", "/test/a/b", NULL},    /* a slash in a label separates */
    {"/a//b/.test.", "/test/a/b", NULL}, /* and is cleaned */
    {"/.test.", "/test", NULL},
    {"x\\.y.test.", "/test/x\\.y", NULL}, /* escapes stand as they are written */
    {"x\\001y.test.", "/test/x\\001y", NULL},
    {"x\\ y.test.", "/test/x\\ y", NULL},
    {"\\200.*.test.", "/test/*/\\200", "/test"},
    {"\\*.test.", "/test/*", "/test"},
};

static void test_set(void)
{
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct wp_etcd_path p;
        size_t stem = paths[i].stem != NULL ? strlen(paths[i].stem) : strlen(paths[i].path);

        set(paths[i].name, &p);
        CHECK_AT(paths[i].name, p.len == strlen(paths[i].path));
        CHECK_AT(paths[i].name, memcmp(p.text, paths[i].path, p.len) == 0);
        CHECK_AT(paths[i].name, p.star == (paths[i].stem != NULL));
        CHECK_AT(paths[i].name, p.stem_len == stem);
        CHECK_AT(paths[i].name, p.hash == wp_etcd_path_hash(p.text, p.len, 0, wp_name_hash_root()));
        CHECK_AT(paths[i].name,
                 p.stem_hash == wp_etcd_path_hash(p.text, stem, 0, wp_name_hash_root()));
    }
}

/* The longest names still fit when every octet is escaped. */
static void test_longest(void)
{
    struct wp_etcd_path p;
    struct wp_qname q;
    uint8_t wire[255];
    size_t n = 0;

    for (int i = 0; i < 3; i++) {
        wire[n] = 63;
        memset(wire + n + 1, 0xff, 63);
        n += 64;
    }
    wire[n] = 61;
    memset(wire + n + 1, 1, 61);
    wire[n + 62] = 0;
    CHECK(wp_qname_set(&q, wire, sizeof(wire)) == 255);
    wp_etcd_path_set(&p, &q);
    CHECK(p.len == 4 + 4 * (3 * 63 + 61));
    n = 0;
    for (int i = 0; i < 127; i++) {
        wire[n++] = 1;
        wire[n++] = 'x';
    }
    wire[n] = 0;
    CHECK(wp_qname_set(&q, wire, sizeof(wire)) == 255);
    wp_etcd_path_set(&p, &q);
    CHECK(p.len == 2 * 127);
}

/* Section 3.1: the filter. */
static const struct {
    const char *name, *key;
    bool match;
} matches[] = {
    {"*.way.test.", "/test/way/x", true},
    {"*.way.test.", "/test/way/x/y/z", true},
    {"*.way.test.", "/test/way", false},
    {"*.way.test.", "/test/way/", true}, /* an empty element is one */
    {"prod.*.way.test.", "/test/way/east/prod", true},
    {"prod.*.way.test.", "/test/way/east/prod2", false},
    {"prod.*.way.test.", "/test/way/east", false},
    {"any.any.test.", "/test/a/b", true},
    {"any.any.test.", "/test/a", false},
    {"i1.*.b.", "/b/", false},
    {"i1.*.b.", "/b", false},
};

static void test_match(void)
{
    for (size_t i = 0; i < COUNT(matches); i++) {
        struct wp_etcd_path p;
        set(matches[i].name, &p);
        CHECK_AT(matches[i].key, wp_etcd_path_match(&p, matches[i].key, strlen(matches[i].key)) ==
                                     matches[i].match);
    }
}

#define L63 "123456789012345678901234567890123456789012345678901234567890123"
static const struct {
    const char *key, *name; /* NULL: no name */
} names[] = {
    {"/test/way/svc/i1", "i1.svc.way.test."},
    {"/test/way/tail/", "tail.way.test."},
    {"", "."},
    {"/", "."},
    {"/test/Way/I1", "I1.Way.test."},
    {"/test/*/x", "x.*.test."},
    {"/test/a.b/c", "c.a.b.test."},
    {"/test/a\\.b/c", "c.a\\.b.test."},
    {"/test//x", NULL},
    {"/test/x//", NULL},
    {"/test/a..b", NULL},
    {"/" L63, L63 "."},
    {"/1" L63, NULL},
    {"/" L63 "/" L63 "/" L63 "/" L63, NULL},
};

static void test_name(void)
{
    for (size_t i = 0; i < COUNT(names); i++) {
        char text[WP_NAME_TEXT_MAX];
        struct wp_name name;
        int r = wp_etcd_path_name(names[i].key, strlen(names[i].key), &name);

        CHECK_AT(names[i].key, (r == 0) == (names[i].name != NULL));
        if (r == 0)
            CHECK_AT(names[i].key, strcmp(wp_name_text(name.wire, text), names[i].name) == 0);
    }
}

static const struct {
    const char *text, *path;
} cleans[] = {
    {"skydns", "/skydns"},
    {"/skydns", "/skydns"},
    {"/skydns/", "/skydns"},
    {"/", ""},
    {"", ""},
    {"//a//b/", "/a/b"},
    {"a/./b", "/a/b"},
    {"a/../b", "/b"},
    {"../../a", "/a"},
    {"a/..", ""},
};

static void test_clean(void)
{
    char out[16];

    for (size_t i = 0; i < COUNT(cleans); i++) {
        CHECK_AT(cleans[i].text, wp_etcd_path_clean(cleans[i].text, out, sizeof(out)) == 0);
        CHECK_AT(cleans[i].text, strcmp(out, cleans[i].path) == 0);
    }
    CHECK(wp_etcd_path_clean("12345678901234", out, sizeof(out)) == 0);
    CHECK(wp_etcd_path_clean("123456789012345", out, sizeof(out)) == WP_ESPACE);
}

static const struct {
    const char *key, *why; /* NULL: it makes a name */
    size_t at;
} flaws[] = {
    {"", NULL, 0},
    {"/a/b", NULL, 0},
    {"/a/b/", NULL, 0},
    {"/a/" L63, NULL, 0},
    {"/a/" L63 "l", "63 octets", 3},
    {"/a/" L63 "l/b", "63 octets", 3},
    {"/a//b", "empty label", 3},
    {"//b", "empty label", 1},
    {"/a/b\\046c", NULL, 0},
    {"/" L63 "/" L63 "/" L63 "/lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll", NULL, 0},
    {"/" L63 "/" L63 "/" L63 "/llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll",
     "more than 255 octets", 0},
};

static void test_flaw(void)
{
    for (size_t i = 0; i < COUNT(flaws); i++) {
        size_t at = 0;
        const char *why = wp_etcd_path_flaw(flaws[i].key, strlen(flaws[i].key), &at);
        CHECK_AT(flaws[i].key, (why == NULL) == (flaws[i].why == NULL));
        if (why != NULL && flaws[i].why != NULL) {
            CHECK_AT(flaws[i].key, strstr(why, flaws[i].why) != NULL);
            CHECK_AT(flaws[i].key, at == flaws[i].at);
        }
    }
}

/* Whatever is in a key, a line of the log stays one, and bounded. */
static void test_show(void)
{
    char out[WP_ETCD_SHOWN], key[2 * WP_ETCD_SHOWN];

    CHECK(strcmp(wp_etcd_path_show("/a\0\n\xff", 5, out), "/a\\x00\\x0a\\xff") == 0);
    CHECK(strcmp(wp_etcd_path_show("", 0, out), "") == 0);
    for (size_t len = 0; len <= sizeof(key); len++) {
        memset(key, len % 2 == 0 ? 'k' : 1, sizeof(key));
        wp_etcd_path_show(key, len, out);
        CHECK(strlen(out) < sizeof(out));
        CHECK(len < sizeof(out) || strcmp(out + strlen(out) - 3, "...") == 0);
    }
}

RUN_TESTS(TEST(test_flaw), TEST(test_show), TEST(test_set), TEST(test_longest), TEST(test_match), TEST(test_name), TEST(test_clean))
