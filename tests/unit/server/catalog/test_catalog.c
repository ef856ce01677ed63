/* The writer's side, and what a look-up finds after it. */
#include "catalog_fixture.h"
#include <errno.h>
#include <stdlib.h>

static void test_put_replace_del(void)
{
    struct wp_catalog *c = catalog("example.org.", WP_CATALOG_LIVE);

    CHECK(find(c, "www.example.org.") == NULL && wp_catalog_names(c) == 0);
    CHECK(put(c, "WWW.Example.org.", 1) == 0);
    CHECK(last_octet(find(c, "www.example.ORG.")) == 1);
    CHECK(wp_catalog_names(c) == 2); /* with the apex, which is empty */
    CHECK(put(c, "www.example.org.", 2) == 0);
    CHECK(last_octet(find(c, "www.example.org.")) == 2 && wp_catalog_names(c) == 2);
    CHECK(wp_entry_set(find(c, "www.example.org."), WP_TYPE_AAAA) == NULL);
    CHECK(put(c, "www.example.com.", 1) == WP_EMALFORMED);
    CHECK(put(c, "wwwexample.org.", 1) == WP_EMALFORMED);
    CHECK(put(c, "org.", 1) == WP_EMALFORMED);
    CHECK(del(c, "www.example.org.") == 0);
    CHECK(find(c, "www.example.org.") == NULL && find(c, "example.org.") == NULL);
    CHECK(wp_catalog_names(c) == 0);
    CHECK(del(c, "www.example.org.") == WP_ENOTFOUND);
    wp_catalog_free(c);
    wp_grace_reclaim();
}

/* Each step changes one name; then stands who is there: "name" with data, "(name)" without,
 * "+" a wildcard child. */
static const struct {
    const char *step;
    const char *there[8];
} steps[] = {
    {"+a.b.c", {"(example.org.)", "(c.example.org.)", "(b.c.example.org.)", "a.b.c.example.org."}},
    {"+x.c", {"(c.example.org.)", "x.c.example.org.", "a.b.c.example.org."}},
    {"+b.c", {"(c.example.org.)", "b.c.example.org.", "a.b.c.example.org."}},
    {"+*.c", {"(c.example.org.)+", "*.c.example.org.", "b.c.example.org."}},
    {"+c", {"c.example.org.+", "b.c.example.org."}},
    {"-c", {"(c.example.org.)+", "b.c.example.org."}},
    {"-*.c", {"(c.example.org.)", "!*.c.example.org.", "b.c.example.org."}},
    {"-b.c", {"(b.c.example.org.)", "a.b.c.example.org."}},
    {"-a.b.c",
     {"!a.b.c.example.org.", "!b.c.example.org.", "(c.example.org.)", "x.c.example.org."}},
    {"+z.*", {"(*.example.org.)", "(example.org.)+", "z.*.example.org."}},
    {"-x.c", {"!c.example.org.", "!x.c.example.org.", "(example.org.)+"}},
    {"-z.*", {"!example.org.", "!*.example.org."}},
};

static void check_there(const struct wp_catalog *c, const char *step, const char *what)
{
    bool empty = what[0] == '(', gone = what[0] == '!';
    size_t len = strlen(what);
    bool wild = what[len - 1] == '+';
    const struct wp_entry *e;
    char name[256];

    snprintf(name, sizeof(name), "%s", what + (empty || gone));
    name[strcspn(name, ")+")] = '\0';
    e = find(c, name);
    if ((e == NULL) != gone)
        print_error("%s after %s\n", what, step);
    CHECK_AT(what, (e == NULL) == gone);
    if (gone)
        return;
    CHECK_AT(what, ((wp_entry_flags(e) & WP_ENTRY_EMPTY) != 0) == empty);
    CHECK_AT(what, ((wp_entry_flags(e) & WP_ENTRY_WILDCARD) != 0) == wild);
}

static void test_ancestors(void)
{
    struct wp_catalog *c = catalog("example.org.", WP_CATALOG_LIVE);

    for (size_t i = 0; i < COUNT(steps); i++) {
        char name[64];

        snprintf(name, sizeof(name), "%s.example.org.", steps[i].step + 1);
        CHECK_AT(steps[i].step, (steps[i].step[0] == '+' ? put(c, name, 1) : del(c, name)) == 0);
        for (size_t j = 0; steps[i].there[j] != NULL; j++)
            check_there(c, steps[i].step, steps[i].there[j]);
    }
    CHECK(wp_catalog_names(c) == 0);
    wp_catalog_free(c);
    wp_grace_reclaim();
}

static void test_root_apex(void)
{
    struct wp_catalog *c = catalog(".", WP_CATALOG_LIVE);

    CHECK(put(c, "example.org.", 1) == 0 && put(c, ".", 2) == 0);
    CHECK(last_octet(find(c, ".")) == 2 && wp_catalog_names(c) == 3);
    CHECK(del(c, ".") == 0 && (wp_entry_flags(find(c, ".")) & WP_ENTRY_EMPTY) != 0);
    wp_catalog_free(c);
    wp_grace_reclaim();
}

/* A name per number; many come and go, so that tables grow, shrink and shed tombstones. */
static void name_of(unsigned i, char out[64])
{
    snprintf(out, 64, "n%u.d%u.example.org.", i, i % 97);
}

static void test_many(void)
{
    enum { N = 20000 };
    struct wp_catalog *c = catalog("example.org.", WP_CATALOG_LIVE);
    char name[64];

    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < N; i++) {
            name_of(i, name);
            CHECK(put(c, name, (uint8_t)(i + round)) == 0);
        }
        CHECK(wp_catalog_names(c) == N + 97 + 1);
        for (unsigned i = 0; i < N; i++) {
            name_of(i, name);
            CHECK_AT(name, last_octet(find(c, name)) == (uint8_t)(i + round));
        }
        for (unsigned i = 0; i < N; i++) {
            name_of(i, name);
            if (i % 5 != 0)
                CHECK_AT(name, del(c, name) == 0);
        }
        for (unsigned i = 0; i < N; i++) {
            name_of(i, name);
            CHECK_AT(name, (find(c, name) == NULL) == (i % 5 != 0));
        }
    }
    for (unsigned i = 0; i < N; i += 5) {
        name_of(i, name);
        CHECK_AT(name, del(c, name) == 0);
    }
    CHECK(wp_catalog_names(c) == 0);
    wp_catalog_free(c);
    wp_grace_reclaim();
}

static int count_one(void *arg, const struct wp_entry *e)
{
    size_t *n = arg;

    (void)e;
    return ++*n == 3;
}

static int drop_it(void *arg, const struct wp_entry *e)
{
    struct wp_catalog *c = arg;

    if (!(wp_entry_flags(e) & WP_ENTRY_EMPTY))
        CHECK(wp_catalog_del(c, wp_entry_name(e)) == 0);
    return 0;
}

static void test_each(void)
{
    struct wp_catalog *c = catalog("example.org.", WP_CATALOG_LIVE);
    size_t n = 0;

    CHECK(put(c, "a.example.org.", 1) == 0 && put(c, "b.b.example.org.", 1) == 0);
    CHECK(wp_catalog_each(c, count_one, &n) == 1 && n == 3);
    CHECK(wp_catalog_each(c, drop_it, c) == 0);
    CHECK(wp_catalog_names(c) == 0);
    wp_catalog_free(c);
    wp_grace_reclaim();
}

/* An entry keeps several sets with bodies of their own, and refuses what no message can hold. */
static void test_sets(void)
{
    struct wp_catalog *c = catalog("example.org.", WP_CATALOG_WHOLE);
    struct wp_qname q = qname("host.example.org.");
    const uint16_t one[WP_SECTIONS] = {1}, mixed[WP_SECTIONS] = {2, 0, 3};
    const struct wp_entry *e;
    const struct wp_set *s;
    struct wp_entry_maker m;
    uint8_t *big = calloc(1, 65536);
    int data;

    wp_entry_maker_init(&m);
    wp_entry_maker_start(&m, q.wire, WP_ENTRY_CNAME | WP_ENTRY_EMPTY);
    m.data = &data;
    for (uint16_t t = 1; t <= 20; t++)
        CHECK(wp_entry_maker_set(&m, t, 0, one, (const uint8_t *)"abcdefghijklmnopqrstuvwxyz", t) ==
              0);
    CHECK(wp_entry_maker_set(&m, 5, 3, mixed, (const uint8_t *)"five", 4) == 0);
    CHECK(wp_entry_maker_set(&m, 9, 9, one, big, 65536) == WP_ELIMIT);
    CHECK(wp_entry_maker_set(&m, 9, 9, one, big, 65535 - 12 - q.len - 4 + 1) == WP_ELIMIT);
    CHECK(wp_entry_maker_set(&m, 9, 9, one, big, 65535 - 12 - q.len - 4) == 0);
    CHECK(wp_catalog_put(c, &m) == 0);
    e = find(c, "host.example.org.");
    CHECK(e->data == &data && wp_entry_flags(e) == WP_ENTRY_CNAME && e->n_sets == 22);
    for (uint16_t t = 1; t <= 20; t++) {
        s = wp_entry_set(e, t);
        CHECK(s->len == t && memcmp(wp_entry_body(e, s), "abcdefghijklmnopqrst", t) == 0);
    }
    s = wp_entry_set_variant(e, 5, 3);
    CHECK(s->len == 4 && memcmp(wp_entry_body(e, s), "five", 4) == 0);
    CHECK(s->count[0] == 2 && s->count[1] == 0 && s->count[2] == 3);
    wp_entry_maker_start(&m, q.wire, 0);
    for (unsigned i = 0; i < WP_ENTRY_SETS_MAX; i++)
        CHECK(wp_entry_maker_set(&m, (uint16_t)i, 0, one, big, 1) == 0);
    CHECK(wp_entry_maker_set(&m, 999, 0, one, big, 1) == WP_ELIMIT);
    wp_entry_maker_done(&m);
    wp_catalog_free(c);
    free(big);
}

static void test_counts_octets(void)
{
    struct wp_catalog *c = catalog("example.org.", WP_CATALOG_LIVE);
    size_t none = wp_catalog_octets(c), one;

    CHECK(put(c, "a.example.org.", 1) == 0);
    one = wp_catalog_octets(c);
    CHECK(one > none && one - none < 300);
    CHECK(put(c, "a.example.org.", 2) == 0 && wp_catalog_octets(c) == one);
    CHECK(del(c, "a.example.org.") == 0 && wp_catalog_octets(c) == none);
    wp_catalog_free(c);
    wp_grace_reclaim();
}

RUN_TESTS(TEST(test_put_replace_del), TEST(test_ancestors), TEST(test_root_apex), TEST(test_many),
          TEST(test_each), TEST(test_sets), TEST(test_counts_octets))
