/* One report, as JSON and as text. */
#include <stdlib.h>

#include "check.h"
#include "waypost/plugin/report.h"

#define S UINT64_C(1000000000)

static void fill(struct wp_report *r)
{
    wp_report_text(r, "name", "a \"b\"\n\\");
    wp_report_text(r, "nothing", NULL);
    wp_report_int(r, "number", -5);
    wp_report_bool(r, "yes", true);
    wp_report_octets(r, "octets", 1536);
    wp_report_s(r, "age_s", 65 * S + 1234567);
    wp_report_ns(r, "took_ns", 1234567);
    wp_report_time(r, "when", INT64_C(1700000000250));
    wp_report_time(r, "never", 0);
    wp_report_list(r, "words");
    wp_report_text(r, NULL, "aa");
    wp_report_text(r, NULL, "rd");
    wp_report_close(r);
    wp_report_list(r, "empty");
    wp_report_close(r);
    wp_report_open(r, "inner");
    wp_report_printf(r, "deep", "%d-%d", 1, 2);
    wp_report_list(r, "lines");
    wp_report_text(r, NULL, "longer than a word");
    wp_report_close(r);
    wp_report_close(r);
    wp_report_list(r, "table");
    for (int i = 0; i < 2; i++) {
        wp_report_open(r, NULL);
        wp_report_text(r, "column", i == 0 ? "µs" : "long");
        wp_report_open(r, "more");
        if (i == 0)
            wp_report_int(r, "x_y", 1);
        wp_report_text(r, "z", "w");
        wp_report_close(r);
        wp_report_int(r, "last", i);
        wp_report_close(r);
    }
    wp_report_close(r);
    wp_report_list(r, "blocks");
    wp_report_open(r, NULL);
    wp_report_int(r, "a", 1);
    wp_report_close(r);
    wp_report_open(r, NULL);
    wp_report_int(r, "b", 2);
    wp_report_close(r);
    wp_report_close(r);
}

static const char json[] = "{\n"
                           "  \"name\": \"a \\\"b\\\"\\n\\\\\",\n"
                           "  \"nothing\": null,\n"
                           "  \"number\": -5,\n"
                           "  \"yes\": true,\n"
                           "  \"octets\": 1536,\n"
                           "  \"age_s\": 65.001,\n"
                           "  \"took_ns\": 1234567,\n"
                           "  \"when\": \"2023-11-14T22:13:20.250Z\",\n"
                           "  \"never\": null,\n"
                           "  \"words\": [\n"
                           "    \"aa\",\n"
                           "    \"rd\"\n"
                           "  ],\n"
                           "  \"empty\": [],\n"
                           "  \"inner\": {\n"
                           "    \"deep\": \"1-2\",\n"
                           "    \"lines\": [\n"
                           "      \"longer than a word\"\n"
                           "    ]\n"
                           "  },\n"
                           "  \"table\": [\n"
                           "    {\n"
                           "      \"column\": \"µs\",\n"
                           "      \"more\": {\n"
                           "        \"x_y\": 1,\n"
                           "        \"z\": \"w\"\n"
                           "      },\n"
                           "      \"last\": 0\n"
                           "    },\n"
                           "    {\n"
                           "      \"column\": \"long\",\n"
                           "      \"more\": {\n"
                           "        \"z\": \"w\"\n"
                           "      },\n"
                           "      \"last\": 1\n"
                           "    }\n"
                           "  ],\n"
                           "  \"blocks\": [\n"
                           "    {\n"
                           "      \"a\": 1\n"
                           "    },\n"
                           "    {\n"
                           "      \"b\": 2\n"
                           "    }\n"
                           "  ]\n"
                           "}\n";

static const char text[] = "name     a \"b\" \\\n"
                           "nothing  -\n"
                           "number   -5\n"
                           "yes      yes\n"
                           "octets   1.5 KB\n"
                           "age      1m5s\n"
                           "took     1.2345ms\n"
                           "when     2023-11-14T22:13:20.250Z\n"
                           "never    -\n"
                           "words    aa, rd\n"
                           "empty    none\n"
                           "\n"
                           "inner:\n"
                           "  deep  1-2\n"
                           "  lines:\n"
                           "    longer than a word\n"
                           "\n"
                           "table:\n"
                           "  column  more        last\n"
                           "  µs      x y 1, z w  0\n"
                           "  long    z w         1\n"
                           "\n"
                           "blocks:\n"
                           "  a  1\n"
                           "\n"
                           "  b  2\n";

static void test_both(void)
{
    struct wp_arena arena;
    struct wp_report r;
    size_t len;
    char *out;

    wp_arena_init(&arena, 0);
    wp_report_init(&r, &arena);
    CHECK(wp_report_is_empty(&r));
    fill(&r);
    CHECK(!wp_report_is_empty(&r) && !r.incomplete);
    out = wp_report_as_json(&r, &len);
    CHECK(out != NULL && len == strlen(out));
    assert_string_equal(out, json);
    free(out);
    out = wp_report_as_text(&r, &len);
    CHECK(out != NULL && len == strlen(out));
    assert_string_equal(out, text);
    free(out);
    wp_arena_done(&arena);
}

static void test_nobody_listens(void)
{
    fill(NULL);
    wp_report_adopt(NULL, "x", NULL, true);
}

/* Parts are filled side by side and joined at the end; what is empty is left out. */
static void test_adopt(void)
{
    struct wp_report r, a, b, none;
    struct wp_arena arena;
    size_t len;
    char *out;

    wp_arena_init(&arena, 0);
    wp_report_init(&r, &arena);
    wp_report_init(&a, &arena);
    wp_report_init(&b, &arena);
    wp_report_init(&none, &arena);
    wp_report_int(&a, "x", 1);
    wp_report_open(&b, NULL);
    wp_report_int(&b, "y", 2);
    wp_report_close(&b);
    wp_report_int(&a, "z", 3);
    wp_report_adopt(&r, "a", &a, false);
    wp_report_adopt(&r, "none", &none, false);
    wp_report_adopt(&r, "b", &b, true);
    out = wp_report_as_text(&r, &len);
    assert_string_equal(out, "a:\n  x  1\n  z  3\n\nb:\n  y\n  2\n");
    free(out);
    wp_arena_done(&arena);
}

/* Lines of their own, wherever they are told; and a column that begins with nothing has the name of
 * those that have something. */
static void test_problems(void)
{
    struct wp_report r, problems;
    struct wp_arena arena;
    size_t len;
    char *out;

    wp_arena_init(&arena, 0);
    wp_report_init(&r, &arena);
    wp_report_init(&problems, &arena);
    wp_report_problem(&r, "nobody wants to know");
    r.problems = &problems;
    wp_report_list(&r, "rows");
    for (int i = 0; i < 2; i++) {
        wp_report_open(&r, NULL);
        if (i == 0)
            wp_report_none(&r, "rtt_ns");
        else
            wp_report_ns(&r, "rtt_ns", 5);
        r.about = i == 0 ? "one: " : NULL;
        wp_report_problem(&r, "no %d", i);
        wp_report_close(&r);
    }
    wp_report_close(&r);
    wp_report_adopt(&r, "problems", &problems, true);
    out = wp_report_as_text(&r, &len);
    assert_string_equal(out, "rows:\n  rtt\n  -\n  5ns\n\nproblems:\n  one: no 0\n  no 1\n");
    free(out);
    wp_arena_done(&arena);
}

/* Past the limit rows are left out, whatever is open; the shape stays. */
static void test_limit(void)
{
    for (size_t cap = 64; cap < 16384; cap += 64) {
        struct wp_arena arena;
        struct wp_report r;
        size_t len = 0;
        char *out;

        wp_arena_init(&arena, cap);
        wp_report_init(&r, &arena);
        fill(&r);
        out = wp_report_as_json(&r, &len);
        CHECK(out == NULL ? r.incomplete : strlen(out) == len && out[0] == '{' && out[len - 2] == '}');
        CHECK(out == NULL || r.incomplete == (strcmp(out, json) != 0));
        free(out);
        out = wp_report_as_text(&r, &len);
        free(out);
        wp_arena_done(&arena);
    }
}

RUN_TESTS(TEST(test_both), TEST(test_nobody_listens), TEST(test_adopt), TEST(test_problems), TEST(test_limit))
