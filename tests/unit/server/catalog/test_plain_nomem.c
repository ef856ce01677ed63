/* Making entries record by record: sets that grow, limits, memory that runs out on the way. */
#include "catalog_fixture.h"
#include "failmalloc.h"
#include "waypost/base/rd.h"
#include <errno.h>

static const uint8_t one[] = {192, 0, 2, 1}, two[] = {192, 0, 2, 2}, text[] = "\2hi";

static int add(struct wp_catalog *c, const char *name, uint16_t type, const uint8_t *rdata,
               size_t len)
{
    struct wp_entry_maker m;
    struct wp_name n;
    int r;

    CHECK_AT(name, wp_name_parse(name, &n) == 0);
    wp_entry_maker_init(&m);
    r = wp_catalog_add(c, &m, n.wire, type, 60, rdata, len);
    wp_entry_maker_done(&m);
    return r;
}

/* Records of the set as they were put, one behind the other. */
static void check_set(const char *what, const struct wp_entry *e, uint16_t type, unsigned n,
                      size_t rdlen)
{
    const struct wp_set *s = e != NULL ? wp_entry_set(e, type) : NULL;

    CHECK_AT(what, s != NULL && s->count[WP_ANSWER] == n && s->len == n * (12 + rdlen));
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *at = wp_entry_body(e, s) + i * (12 + rdlen);

        CHECK_AT(what, wp_be16(at) == 0xc00c && wp_be16(at + 2) == type &&
                           wp_be16(at + 4) == WP_CLASS_IN);
        CHECK_AT(what, wp_be32(at + 6) == 60 && wp_be16(at + 10) == rdlen);
    }
}

static void test_add(void)
{
    static const enum wp_catalog_mode modes[] = {WP_CATALOG_LIVE, WP_CATALOG_WHOLE};

    for (size_t i = 0; i < COUNT(modes); i++) {
        struct wp_catalog *c = catalog("example.org.", modes[i]);

        CHECK(add(c, "a.b.example.org.", WP_TYPE_A, one, sizeof(one)) == 0);
        CHECK(add(c, "A.B.example.org.", WP_TYPE_A, two, sizeof(two)) == 0);
        CHECK(add(c, "a.b.example.org.", WP_TYPE_TXT, text, 3) == 0);
        check_set("two addresses", find(c, "a.b.example.org."), WP_TYPE_A, 2, 4);
        check_set("a text", find(c, "a.b.example.org."), WP_TYPE_TXT, 1, 3);
        CHECK(wp_entry_flags(find(c, "b.example.org.")) & WP_ENTRY_EMPTY);
        CHECK(add(c, "b.example.org.", WP_TYPE_A, one, sizeof(one)) == 0);
        CHECK(!(wp_entry_flags(find(c, "b.example.org.")) & WP_ENTRY_EMPTY));
        check_set("what was empty", find(c, "b.example.org."), WP_TYPE_A, 1, 4);
        CHECK(add(c, "*.b.example.org.", WP_TYPE_A, one, sizeof(one)) == 0);
        CHECK(add(c, "b.example.org.", WP_TYPE_A, two, sizeof(two)) == 0);
        CHECK(wp_entry_flags(find(c, "b.example.org.")) & WP_ENTRY_WILDCARD);
        CHECK(add(c, "example.com.", WP_TYPE_A, one, sizeof(one)) == WP_EMALFORMED);
        wp_catalog_free(c);
        wp_grace_reclaim();
    }
}

static void test_limits(void)
{
    static const uint8_t big[65535];
    struct wp_catalog *c = catalog("example.org.", WP_CATALOG_LIVE);
    size_t most = WP_MSG_MAX - WP_HEADER_LEN - 4 - 15 - 12; /* 15: a.example.org. */

    CHECK(add(c, "a.example.org.", WP_TYPE_TXT, big, most + 1) == WP_ELIMIT);
    CHECK(find(c, "a.example.org.") == NULL);
    CHECK(add(c, "a.example.org.", WP_TYPE_TXT, big, most - 12) == 0);
    CHECK(add(c, "a.example.org.", WP_TYPE_TXT, big, 1) == WP_ELIMIT);
    CHECK(add(c, "a.example.org.", WP_TYPE_TXT, big, 0) == 0);
    CHECK(add(c, "b.example.org.", WP_TYPE_TXT, big, most) == 0);
    wp_catalog_free(c);
    wp_grace_reclaim();
}

/* The record is there, or everything is as it was. (An arena that gets no large chunk takes a small
 * one: not every failure is one.) */
static void test_no_memory(void)
{
    struct wp_catalog *c = catalog("example.org.", WP_CATALOG_LIVE);
    bool met = true;
    unsigned refused = 0;

    for (long n = 0; met; n++) {
        int r;

        CHECK(add(c, "a.example.org.", WP_TYPE_A, one, sizeof(one)) == 0 && n < 50);
        failmalloc_after(n);
        r = add(c, "a.example.org.", WP_TYPE_A, two, sizeof(two));
        met = failmalloc_stop();
        CHECK(r == 0 || (met && r == -ENOMEM));
        check_set("one or both", find(c, "a.example.org."), WP_TYPE_A, r == 0 ? 2 : 1, 4);
        refused += r < 0;
        CHECK(del(c, "a.example.org.") == 0);
    }
    CHECK(refused >= 1);
    wp_catalog_free(c);
    wp_grace_reclaim();
}

/* SOA and NS of a usual apex, of the root, and of one to which no label can be put. */
static void test_apex(void)
{
    struct wp_entry_maker m;
    struct wp_name n;
    char label[64], name[256];

    wp_entry_maker_init(&m);
    for (size_t i = 0; i < 2; i++) {
        CHECK(wp_name_parse(i == 0 ? "example.org." : ".", &n) == 0);
        wp_entry_maker_start(&m, n.wire, 0);
        CHECK(wp_entry_maker_apex(&m, 7, 30) == 0 && m.n_sets == 2);
        CHECK(m.sets[0].type == WP_TYPE_SOA && m.sets[1].type == WP_TYPE_NS);
        CHECK(wp_rdata_check(WP_TYPE_SOA, m.sets[0].body + 12, m.sets[0].len - 12u) == 0);
        CHECK(wp_be32(m.sets[0].body + m.sets[0].len - 20) == 7 &&
              wp_be32(m.sets[0].body + m.sets[0].len - 4) == 30);
        CHECK(wp_rdata_check(WP_TYPE_NS, m.sets[1].body + 12, m.sets[1].len - 12u) == 0);
    }
    memset(label, 'x', 63);
    label[63] = '\0';
    snprintf(name, sizeof(name), "%.61s.%.63s.%.63s.%.61s.", label, label, label, label);
    CHECK(wp_name_parse(name, &n) == 0);
    wp_entry_maker_start(&m, n.wire, 0);
    CHECK(wp_entry_maker_apex(&m, 7, 30) == WP_EMALFORMED && m.n_sets == 0);
    wp_entry_maker_done(&m);
}

RUN_TESTS(TEST(test_add), TEST(test_limits), TEST(test_no_memory), TEST(test_apex))
