/* Zone words of plugins, and looking names up in their lists. */
#include "check.h"
#include "waypost/dns/name.h"
#include "waypost/plugin/plugin.h"

static void text_of(const struct wp_zones *z, char *out)
{
    char name[WP_NAME_TEXT_MAX];

    *out = '\0';
    for (unsigned i = 0; i < z->n; i++)
        sprintf(out + strlen(out), "%s%s", i > 0 ? " " : "", wp_name_text(z->zone[i], name));
}

/* What does not parse is dropped without a word, as in CoreDNS. */
static void test_words(void)
{
    static const char *const words[] = {"Example.ORG", "a..b", "10.0.0.0/15", "::/0", "tls://b:53", "x:", "."};
    struct wp_arena arena;
    struct wp_setup s = {.arena = &arena};
    struct wp_zones z = {0}, first;
    char text[256];

    wp_arena_init(&arena, 0);
    CHECK(wp_setup_zones(&s, words, COUNT(words), &z) == 0);
    text_of(&z, text);
    CHECK(strcmp(text, "example.org. 0.10.in-addr.arpa. 1.10.in-addr.arpa. b. .") == 0);
    first = z;
    CHECK(wp_setup_zones(&s, words, 1, &z) == 0 && z.n == 6 && first.n == 5);
    CHECK(wp_setup_zones(&s, words, 0, &z) == 0 && z.n == 6);
    text_of(&first, text); /* a copy of the list is not touched by its growth */
    CHECK(strcmp(text, "example.org. 0.10.in-addr.arpa. 1.10.in-addr.arpa. b. .") == 0);
    wp_arena_done(&arena);
}

static void test_strict(void)
{
    struct wp_arena arena;
    struct wp_zones z = {0};
    const char *why = NULL;

    wp_arena_init(&arena, 0);
    CHECK(wp_zone_word(&arena, "a", &z, &why) == 0 && z.n == 1);
    CHECK(wp_zone_word(&arena, "a..b", &z, &why) == WP_EMALFORMED && z.n == 1);
    CHECK(strcmp(why, "zone is not a valid domain name: a..b") == 0);
    CHECK(wp_zone_word(&arena, "10.0.0.0/6", &z, &why) == 0 && z.n == 5);
    wp_arena_done(&arena);
}

static const struct {
    const char *name, *expected; /* "-": none */
} matches[] = {
    {"example.org.", "example.org."},
    {"www.example.org.", "example.org."},
    {"a.sub.example.org.", "sub.example.org."},
    {"sub.example.org.", "sub.example.org."},
    {"xsub.example.org.", "example.org."},
    {"notexample.org.", "-"},
    {"org.", "-"},
    {".", "-"},
};

static void test_match(void)
{
    static const char *const words[] = {"example.org", "sub.example.org", "net"};
    static const char *const root[] = {"."};
    struct wp_arena arena;
    struct wp_setup s = {.arena = &arena};
    struct wp_zones z = {0}, all = {0};
    struct wp_fall fall = {0};

    wp_arena_init(&arena, 0);
    CHECK(wp_setup_zones(&s, words, COUNT(words), &z) == 0);
    CHECK(wp_setup_zones(&s, root, 1, &all) == 0);
    for (size_t i = 0; i < COUNT(matches); i++) {
        char text[WP_NAME_TEXT_MAX] = "-";
        struct wp_name name;
        struct wp_qname q;
        const uint8_t *zone;

        CHECK_AT(matches[i].name, wp_name_parse(matches[i].name, &name) == 0);
        CHECK_AT(matches[i].name, wp_qname_set(&q, name.wire, name.len) == name.len);
        zone = wp_zones_match(&z, &q);
        if (zone != NULL)
            wp_name_text(zone, text);
        CHECK_AT(matches[i].name, strcmp(text, matches[i].expected) == 0);
        CHECK_AT(matches[i].name, wp_zones_match(&all, &q) == all.zone[0]);
        fall = (struct wp_fall){.on = false};
        CHECK_AT(matches[i].name, !wp_fall_through(&fall, &q));
        fall.on = true;
        CHECK_AT(matches[i].name, wp_fall_through(&fall, &q));
        fall.zones = z;
        CHECK_AT(matches[i].name, wp_fall_through(&fall, &q) == (zone != NULL));
        fall.on = false;
        CHECK_AT(matches[i].name, !wp_fall_through(&fall, &q));
    }
    wp_arena_done(&arena);
}

/* A long list has an index; the answers are those of reading it one by one. */
static void test_long_list(void)
{
    struct wp_arena arena;
    struct wp_setup s = {.arena = &arena};
    struct wp_zones z = {0}, slow;

    wp_arena_init(&arena, 0);
    for (int i = 0; i < 500; i++) {
        char text[64];
        const char *word = text;

        snprintf(text, sizeof(text), "%sz%d.example", i % 3 == 0 ? "" : "a.", i / 3);
        CHECK(wp_setup_zones(&s, &word, 1, &z) == 0);
    }
    slow = (struct wp_zones){.zone = z.zone, .n = z.n};
    CHECK(z.n == 500 && z.index != NULL && slow.index == NULL);
    for (int i = -1; i < 700; i++) {
        static const struct {
            const char *before, *after;
        } forms[] = {{"Z", ".Example."}, {"x.A.z", ".example."}, {"b.z", ".example."}, {"az", ".example."}, {"z", "."}};

        for (size_t f = 0; f < COUNT(forms); f++) {
            char text[64];
            struct wp_name name;
            struct wp_qname q;
            const uint8_t *a, *b;

            snprintf(text, sizeof(text), "%s%d%s", forms[f].before, i, forms[f].after);
            CHECK_AT(text, wp_name_parse(text, &name) == 0);
            CHECK_AT(text, wp_qname_set(&q, name.wire, name.len) == name.len);
            a = wp_zones_match(&z, &q);
            b = wp_zones_match(&slow, &q);
            CHECK_AT(text, (a == NULL) == (b == NULL) && (a == NULL || wp_name_equal(a, b)));
        }
    }
    z.n = 3; /* a list cut by hand is not answered from the index of the long one */
    for (unsigned i = 3; i < 500; i++) {
        struct wp_qname q;

        CHECK(wp_qname_set(&q, z.zone[i], wp_name_size(z.zone[i])) > 0);
        CHECK(wp_zones_match(&z, &q) == NULL || wp_zones_match(&z, &q) == wp_zones_match(&(struct wp_zones){.zone = z.zone, .n = 3}, &q));
    }
    wp_arena_done(&arena);
}

RUN_TESTS(TEST(test_long_list), TEST(test_words), TEST(test_strict), TEST(test_match))
