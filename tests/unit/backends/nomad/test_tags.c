/* Priority and weight of instances from their tags, and tags as part of names. */
#include "check.h"

#include "backends/nomad/build.h"

static const struct {
    const char *what, *tags[5];
    uint16_t priority, weight;
    bool told;
} rows[] = {
    {"none", {NULL}, 10, 10, false},
    {"others", {"blue", "dns", "priority=1", "dns-priority"}, 10, 10, false},
    {"both", {"dns-priority=5", "dns-weight=20"}, 5, 20, false},
    {"0 is a value", {"dns-priority=0", "dns-weight=0"}, 0, 0, false},
    {"largest", {"dns-priority=65535", "dns-weight=65535"}, 65535, 65535, false},
    {"one more", {"dns-priority=65536", "dns-weight=7"}, 10, 7, true},
    {"very large", {"dns-weight=99999999999999999999999999"}, 10, 10, true},
    {"leading zeros", {"dns-priority=0005"}, 5, 10, false},
    {"empty", {"dns-priority="}, 10, 10, true},
    {"negative", {"dns-priority=-1"}, 10, 10, true},
    {"with sign", {"dns-priority=+1"}, 10, 10, true},
    {"with blank", {"dns-priority= 1"}, 10, 10, true},
    {"with unit", {"dns-weight=5%"}, 10, 10, true},
    {"of two the last one", {"dns-weight=1", "dns-weight=2"}, 10, 2, false},
    {"a bad one takes nothing back", {"dns-weight=3", "dns-weight=x"}, 10, 3, true},
    {"letters in their case", {"DNS-WEIGHT=3"}, 10, 10, false},
};

static struct wp_nomad_text text(const char *s)
{
    return (struct wp_nomad_text){s, strlen(s)};
}

static void test_weigh(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_nomad_bad_tags bad = {NULL, 0};
        struct wp_nomad_text tags[5];
        struct wp_nomad_registration r = {.id = {"i", 1}, .name = {"web", 3}, .tags = tags};
        uint16_t priority = WP_NOMAD_PRIORITY, weight = WP_NOMAD_WEIGHT;
        while (r.n_tags < 5 && rows[i].tags[r.n_tags] != NULL) {
            tags[r.n_tags] = text(rows[i].tags[r.n_tags]);
            r.n_tags++;
        }
        wp_nomad_tags_weigh(&bad, &r, &priority, &weight);
        CHECK_AT(rows[i].what, priority == rows[i].priority && weight == rows[i].weight);
        CHECK_AT(rows[i].what, bad.n == rows[i].told);
        wp_nomad_bad_tags_done(&bad);
    }
}

/* Once for each registration, however often it is read; again when it has changed; and not for ever. */
static void test_told_once(void)
{
    const struct wp_nomad_text tag = text("dns-weight=x");
    struct wp_nomad_bad_tags bad = {NULL, 0};
    uint16_t priority, weight;

    for (size_t i = 0; i < 3 * WP_NOMAD_BAD_TAGS_MAX; i++) {
        struct wp_nomad_registration r = {.id = {"i", 1}, .modify_index = i / 2, .tags = &tag, .n_tags = 1};
        wp_nomad_tags_weigh(&bad, &r, &priority, &weight);
        CHECK(bad.n == (i / 2 + 1 < WP_NOMAD_BAD_TAGS_MAX ? i / 2 + 1 : WP_NOMAD_BAD_TAGS_MAX));
    }
    wp_nomad_bad_tags_done(&bad);
    CHECK(bad.told == NULL && bad.n == 0);
}

/* --- what is published ------------------------------------------------------------------------- */

static struct wp_nomad_service *publish(bool tags, bool weights, const struct wp_nomad_registration *r)
{
    struct wp_nomad_build b = {.tags = tags, .weights = weights};
    struct wp_nomad_service *v;

    wp_nomad_build_begin(&b);
    CHECK(wp_nomad_build_add(&b, r) == 0);
    v = wp_nomad_build_end(&b, 1, "web", 3, "ops", 3);
    CHECK(v != NULL && v->n == 1);
    wp_nomad_build_done(&b);
    return v;
}

static bool has(const struct wp_nomad_service *v, const char *tag)
{
    return wp_nomad_instance_has_tag(v, &v->instances[0], tag, strlen(tag));
}

static void test_published(void)
{
    char long_tag[257];
    memset(long_tag, 'x', 256);
    long_tag[256] = '\0';
    const struct wp_nomad_text tags[] = {text("blue"),         text("V1"), text(""), text("dns-weight=7"),
                                         {long_tag, 255},      {long_tag, 256},
                                         text("dns-priority=1")};
    const struct wp_nomad_registration r = {
        .address = text("db.example"), .tags = tags, .n_tags = COUNT(tags)};
    struct wp_nomad_service *v = publish(true, true, &r);

    CHECK(v->instances[0].weight == 7 && v->instances[0].priority == 1 && v->instances[0].n_tags == 6);
    CHECK(has(v, "blue") && has(v, "BLUE") && has(v, "v1") && has(v, "dns-weight=7"));
    CHECK(!has(v, "blu") && !has(v, "bluee") && !has(v, "green") && !has(v, "db.example"));
    CHECK(wp_nomad_instance_has_tag(v, &v->instances[0], long_tag, 255));
    CHECK(!wp_nomad_instance_has_tag(v, &v->instances[0], long_tag, 256));
    wp_nomad_service_free(v);
    v = publish(false, false, &r); /* options that are off */
    CHECK(v->instances[0].weight == WP_NOMAD_WEIGHT && v->instances[0].priority == WP_NOMAD_PRIORITY);
    CHECK(v->instances[0].n_tags == 0 && !has(v, "blue") && !has(v, ""));
    wp_nomad_service_free(v);
}

RUN_TESTS(TEST(test_weigh), TEST(test_told_once), TEST(test_published))
