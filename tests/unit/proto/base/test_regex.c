#include "check.h"

#include "waypost/base/regex.h"

static void test_compile(void)
{
    static const struct {
        const char *what, *pattern;
        int ret;
        unsigned groups;
    } cases[] = {
        {"plain", "^a.*b$", 0, 0},
        {"groups", "(a)(?P<x>b)(?:c)", 0, 2},
        {"flags", "(?i)abc", 0, 0},
        {"escaped parenthesis", "\\(?=x", 0, 0},
        {"class with parenthesis", "[(?=]x", 0, 0},
        {"unbalanced", "(a", WP_EMALFORMED, 0},
        {"look-ahead", "a(?=b)", WP_EMALFORMED, 0},
        {"look-behind", "(?<!a)b", WP_EMALFORMED, 0},
        {"back-reference", "(a)\\1", WP_EMALFORMED, 0},
        {"possessive", "a*+b", WP_EMALFORMED, 0},
        {"verb", "(*ACCEPT)", WP_EMALFORMED, 0},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_regex *re = NULL;
        char err[160] = "";

        CHECK_AT(cases[i].what, wp_regex_new(cases[i].pattern, err, &re) == cases[i].ret);
        CHECK_AT(cases[i].what, (cases[i].ret == 0) == (err[0] == '\0'));
        if (re != NULL)
            CHECK_AT(cases[i].what, wp_regex_groups(re) == cases[i].groups);
        wp_regex_free(re);
    }
}

static void test_too_long(void)
{
    static char long_one[WP_REGEX_PATTERN_MAX + 2];
    struct wp_regex *re = NULL;
    char err[160];

    memset(long_one, 'a', WP_REGEX_PATTERN_MAX + 1);
    CHECK(wp_regex_new(long_one, err, &re) == WP_ELIMIT && re == NULL);
    long_one[WP_REGEX_PATTERN_MAX] = '\0';
    CHECK(wp_regex_new(long_one, err, &re) == 0);
    wp_regex_free(re);
}

static void test_match(void)
{
    struct wp_regex_span s[4];
    struct wp_regex *re;
    char err[160];

    CHECK(wp_regex_new("(\\d+)-(x)?([a-z]+)\\.", err, &re) == 0);
    CHECK(wp_regex_match(re, "aa 12-foo.bar", 13, s, 4));
    CHECK(s[0].start == 3 && s[0].end == 10);
    CHECK(s[1].start == 3 && s[1].end == 5);
    CHECK(s[2].start == -1);
    CHECK(s[3].start == 6 && s[3].end == 9);
    CHECK(!wp_regex_match(re, "nothing", 7, s, 4));
    CHECK(wp_regex_group(re, "none") == -1);
    wp_regex_free(re);
}

/* A pattern made to backtrack for ever ends as "no match". */
static void test_bounded(void)
{
    static const char subject[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab";
    struct wp_regex *re;
    char err[160];

    CHECK(wp_regex_new("^(a+)+$", err, &re) == 0);
    CHECK(!wp_regex_match(re, subject, sizeof(subject) - 1, NULL, 0));
    wp_regex_free(re);
}

RUN_TESTS(TEST(test_compile), TEST(test_too_long), TEST(test_match), TEST(test_bounded))
