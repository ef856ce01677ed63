/* The n-th allocation of a change fails: the change did not happen. */
#include "catalog_fixture.h"
#include "failmalloc.h"
#include <errno.h>

static const struct {
    const char *what, *before[3], *change;
    bool is_del;
} rows[] = {
    {"first name, with its ancestors", {NULL}, "a.b.c.example.org.", false},
    {"replaced", {"a.example.org."}, "a.example.org.", false},
    {"an empty name gets data", {"a.b.example.org."}, "b.example.org.", false},
    {"removed with its ancestors", {"a.b.c.example.org."}, "a.b.c.example.org.", true},
    {"becomes empty", {"a.b.example.org.", "b.example.org."}, "b.example.org.", true},
    {"wildcard", {"a.b.example.org."}, "*.b.example.org.", false},
};

static struct wp_catalog *start(size_t row)
{
    struct wp_catalog *c = catalog("example.org.", WP_CATALOG_LIVE);

    for (size_t i = 0; i < COUNT(rows[row].before) && rows[row].before[i] != NULL; i++)
        CHECK_AT(rows[row].what, put(c, rows[row].before[i], 1) == 0);
    return c;
}

static void test_change(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_catalog *c = start(i);
        size_t names = wp_catalog_names(c), octets = wp_catalog_octets(c);
        int was = last_octet(find(c, rows[i].change)), r;
        struct wp_entry_maker m;

        CHECK_AT(rows[i].what, make(&m, rows[i].change, 2, 0) == 0);
        for (long n = 0;; n++) {
            failmalloc_after(n);
            r = rows[i].is_del ? del(c, rows[i].change) : wp_catalog_put(c, &m);
            if (!failmalloc_stop())
                break;
            CHECK_AT(rows[i].what, r == -ENOMEM && n < 50);
            CHECK_AT(rows[i].what, wp_catalog_names(c) == names && wp_catalog_octets(c) == octets);
            CHECK_AT(rows[i].what, last_octet(find(c, rows[i].change)) == was);
        }
        CHECK_AT(rows[i].what, r == 0);
        CHECK_AT(rows[i].what, last_octet(find(c, rows[i].change)) == (rows[i].is_del ? -1 : 2));
        wp_entry_maker_done(&m);
        wp_catalog_free(c);
        wp_grace_reclaim();
    }
}

/* The table cannot grow: the names that are there stay. */
static void test_growth(void)
{
    struct wp_catalog *c = catalog("example.org.", WP_CATALOG_LIVE);
    unsigned refused = 0;
    char name[64];

    for (unsigned i = 0; i < 500; i++) {
        struct wp_entry_maker m;
        int r = -ENOMEM;

        snprintf(name, sizeof(name), "n%u.example.org.", i);
        CHECK_AT(name, make(&m, name, (uint8_t)i, 0) == 0);
        for (long n = 0; r != 0; n++) {
            failmalloc_after(n);
            r = wp_catalog_put(c, &m);
            refused += failmalloc_stop();
            CHECK_AT(name, (r == 0 || r == -ENOMEM) && n < 50);
            CHECK_AT(name, wp_catalog_names(c) == i + 1u + (r == 0) - (i == 0 && r != 0));
        }
        wp_entry_maker_done(&m);
    }
    CHECK(refused > 500);
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "n%u.example.org.", i);
        CHECK_AT(name, last_octet(find(c, name)) == (uint8_t)i);
    }
    wp_catalog_free(c);
    wp_grace_reclaim();
}

static void test_new(void)
{
    struct wp_qname q = qname("example.org.");
    struct wp_catalog *c = NULL;
    long n = 0;
    int r;

    do {
        failmalloc_after(n++);
        r = wp_catalog_new(q.wire, 1, WP_CATALOG_LIVE, &c);
        CHECK(r == 0 || (r == -ENOMEM && c == NULL));
    } while (failmalloc_stop());
    CHECK(r == 0 && n == 3);
    for (n = 0;; n++) {
        failmalloc_after(n);
        r = wp_catalog_reserve(c, 1000);
        if (!failmalloc_stop())
            break;
        CHECK(r == -ENOMEM);
    }
    CHECK(r == 0);
    wp_catalog_free(c);
    wp_grace_reclaim();
}

RUN_TESTS(TEST(test_change), TEST(test_growth), TEST(test_new))
