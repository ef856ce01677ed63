/* Where a name stands, and what its answer hangs on. */
#include "catalog_fixture.h"
#include <stdlib.h>
#include "waypost/plugin/change.h"

static struct wp_catalog *fixture(enum wp_catalog_mode mode)
{
    struct wp_catalog *c = catalog("example.org.", mode);

    CHECK(put(c, "example.org.", 1) == 0);
    CHECK(put(c, "www.example.org.", 2) == 0);
    CHECK(put(c, "a.b.c.example.org.", 3) == 0);
    CHECK(put(c, "*.wild.example.org.", 4) == 0);
    CHECK(put(c, "x.y.*.wild.example.org.", 5) == 0);
    return c;
}

static const struct {
    const char *name, *entry, *wild;
    bool exact;
    unsigned labels;
} rows[] = {
    {"example.org.", "example.org.", NULL, true, 2},
    {"www.example.org.", "www.example.org.", NULL, true, 3},
    {"b.c.example.org.", "b.c.example.org.", NULL, true, 4},
    {"nope.example.org.", "example.org.", NULL, false, 2},
    {"z.a.b.c.example.org.", "a.b.c.example.org.", NULL, false, 5},
    {"1.2.3.z.b.c.example.org.", "b.c.example.org.", NULL, false, 4},
    {"q.wild.example.org.", "wild.example.org.", "*.wild.example.org.", false, 3},
    {"q.r.s.wild.example.org.", "wild.example.org.", "*.wild.example.org.", false, 3},
    {"wild.example.org.", "wild.example.org.", NULL, true, 3},
    {"*.wild.example.org.", "*.wild.example.org.", NULL, true, 4},
    {"q.*.wild.example.org.", "*.wild.example.org.", NULL, false, 4},
    {"y.*.wild.example.org.", "y.*.wild.example.org.", NULL, true, 5},
    {"org.", NULL, NULL, false, 0},
    {".", NULL, NULL, false, 0},
    {"example.com.", NULL, NULL, false, 0},
    {"badexample.org.", NULL, NULL, false, 0},
};

static void check_rows(enum wp_catalog_mode mode)
{
    struct wp_catalog *c = fixture(mode);

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_qname q = qname(rows[i].name);
        struct wp_seek s;

        wp_catalog_seek(c, &q, NULL, &s);
        CHECK_AT(rows[i].name, is_name(s.entry, rows[i].entry));
        CHECK_AT(rows[i].name, is_name(s.wild, rows[i].wild));
        CHECK_AT(rows[i].name, s.exact == rows[i].exact && s.labels == rows[i].labels);
        wp_catalog_prefetch(c, q.suffix[0]);
        wp_catalog_prefetch_entry(c, q.suffix[0]);
    }
    wp_catalog_free(c);
    wp_grace_reclaim();
}

static void test_seek_live(void)
{
    check_rows(WP_CATALOG_LIVE);
}

static void test_seek_whole(void)
{
    check_rows(WP_CATALOG_WHOLE);
}

static void test_seek_unpublished(void)
{
    struct wp_catalog *c = catalog("example.org.", WP_CATALOG_LIVE);
    struct wp_qname q = qname("www.example.org."), apex = qname("example.org.");
    struct wp_seek s;

    wp_catalog_seek(c, &q, NULL, &s);
    CHECK(s.entry == NULL && s.wild == NULL && !s.exact);
    wp_catalog_seek(c, &apex, NULL, &s);
    CHECK(s.entry == NULL && s.wild == NULL && !s.exact);
    wp_catalog_free(c);
}

/* A name as long as names get: its wildcard sibling would be longer. */
static void test_seek_longest(void)
{
    struct wp_catalog *c = catalog(".", WP_CATALOG_LIVE);
    char text[256] = "";
    struct wp_qname q;
    struct wp_seek s;

    for (int i = 0; i < 127; i++)
        strcat(text, "a.");
    CHECK(put(c, text + 2, 1) == 0);
    q = qname(text);
    CHECK(q.len == 255 && q.n_labels == 127);
    wp_catalog_seek(c, &q, NULL, &s);
    CHECK(s.entry != NULL && s.labels == 126 && s.wild == NULL);
    CHECK(put(c, text, 2) == 0);
    wp_catalog_seek(c, &q, NULL, &s);
    CHECK(s.exact && last_octet(s.entry) == 2);
    CHECK(wp_catalog_names(c) == 128);
    wp_catalog_free(c);
    wp_grace_reclaim();
}

/* An answer for `asked` was given; then `change` happens. Must a copy of the answer go? */
static const struct {
    const char *asked, *change;
    bool drops;
} changes[] = {
    {"www", "+www", true},
    {"www", "-www", true},
    {"www", "+other", false},
    {"www", "+x.www", false}, /* the name itself stays as it is */
    {"nope", "+nope", true},
    {"nope", "+x.nope", true}, /* NXDOMAIN becomes NODATA */
    {"nope", "+other", false}, /* a denial outlives its neighbours */
    {"nope", "+*", true},
    {"nope", "-www", false},
    {"nope", "+x.y.other", false},
    {"1.2.nope", "+nope", true},
    {"1.2.nope", "+2.nope", true},
    {"1.2.nope", "+3.nope", true}, /* another encloser: nope.example.org. */
    {"1.2.nope", "+1.2.other", false},
    {"b.c", "-a.b.c", true}, /* the empty name goes */
    {"b.c", "+d.b.c", false},
    {"q.b.c", "-a.b.c", true}, /* encloser goes: a higher wildcard may apply */
    {"q.b.c", "+r.b.c", false},
    {"q.wild", "+*.wild", true},
    {"q.wild", "+q.wild", true},
    {"q.wild", "+r.wild", false},
    {"q.r.wild", "+r.wild", true},
    {"", "+", true},
    {"", "+other", false},
};

static bool changed_since(const struct wp_query *q)
{
    for (unsigned i = 0; i < q->n_deps; i++) {
        if (atomic_load(&wp_change_version[q->deps[i].slot]) != q->deps[i].version)
            return true;
    }
    return false;
}

static void full(char out[128], const char *name)
{
    snprintf(out, 128, "%s%sexample.org.", name, *name == '\0' ? "" : ".");
}

static void test_depends(void)
{
    for (size_t i = 0; i < COUNT(changes); i++) {
        struct wp_catalog *c = fixture(WP_CATALOG_LIVE);
        struct wp_query *q = calloc(1, sizeof(*q));
        char name[128], what[300];
        struct wp_qname asked;
        struct wp_seek s;

        snprintf(what, sizeof(what), "%s after %s", changes[i].asked, changes[i].change);
        full(name, changes[i].asked);
        asked = qname(name);
        q->cacheable = true;
        wp_catalog_seek(c, &asked, q, &s);
        CHECK_AT(what, q->n_deps > 0 && q->n_deps <= 4 && q->cacheable && !changed_since(q));
        full(name, changes[i].change + 1);
        CHECK_AT(what, (changes[i].change[0] == '+' ? put(c, name, 9) : del(c, name)) == 0);
        CHECK_AT(what, changed_since(q) == changes[i].drops);
        free(q);
        wp_catalog_free(c);
        wp_grace_reclaim();
    }
}

/* One that is replaced as a whole has one dependency, and its making marks nothing. */
static void test_depends_whole(void)
{
    struct wp_query *q = calloc(1, sizeof(*q));
    struct wp_qname asked = qname("nope.example.org.");
    struct wp_catalog *c = fixture(WP_CATALOG_WHOLE);
    struct wp_seek s;

    wp_catalog_seek(c, &asked, q, &s);
    CHECK(q->n_deps == 1);
    CHECK(put(c, "other.example.org.", 1) == 0 && !changed_since(q));
    wp_changed(wp_catalog_key(c, 0));
    CHECK(changed_since(q));
    free(q);
    wp_catalog_free(c);
    wp_grace_reclaim();
}

RUN_TESTS(TEST(test_seek_live), TEST(test_seek_whole), TEST(test_seek_unpublished),
          TEST(test_seek_longest), TEST(test_depends), TEST(test_depends_whole))
