#include "check.h"

#include "backends/common/json.h"

/* What Go takes or mends, and where it is said to be wrong. */
static const struct {
    const char *what, *text;
    size_t len;
    int ret;
    size_t at;
} rows[] = {
    {"object", WIRE("{\"a\":1}"), 0, 0},
    {"scalar", WIRE(" 1 "), 0, 0},
    {"nothing", WIRE(""), WP_EMALFORMED, 0},
    {"two values", WIRE("1 2"), WP_EMALFORMED, 3},
    {"NUL outside a string", WIRE("{}\0"), WP_EMALFORMED, 3},
    {"escaped NUL", WIRE("\"\\u0000\""), 0, 0},
    {"overlong", WIRE("\"\xc0\xaf\""), 0, 0},
    {"surrogate octets", WIRE("\"\xed\xa0\x80\""), 0, 0},
    {"beyond U+10FFFF", WIRE("\"\xf4\x90\x80\x80\""), 0, 0},
    {"cut sequence", WIRE("\"\xe2\x82\""), 0, 0},
    {"bad octet outside a string", WIRE("{\xff}"), WP_EMALFORMED, 1},
    {"high surrogate alone", WIRE("\"\\ud800\""), 0, 0},
    {"high surrogate before another escape", WIRE("\"\\ud800\\n\""), 0, 0},
    {"escaped backslash before u", WIRE("\"\\\\ud800\""), 0, 0},
    {"escape cut short", WIRE("\"\\ud8\""), WP_EMALFORMED, 0},
    {"error behind mended octets", WIRE("[\"\xff\xff\xff\",]"), WP_EMALFORMED, 8},
    {"too large for 64 bits", WIRE("[99999999999999999999]"), 0, 0},
    {"too large for a double", WIRE("[1e400, -1E+400]"), 0, 0},
    {"half a number", WIRE("[1e]"), WP_EMALFORMED, 0},
};

static void test_load(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_json_error e = {.offset = 0};
        json_t *value = NULL;
        int r = wp_json_load(rows[i].text, rows[i].len, &value, &e);

        CHECK_AT(rows[i].what, r == rows[i].ret);
        CHECK_AT(rows[i].what, (value != NULL) == (r == 0));
        CHECK_AT(rows[i].what, e.offset <= rows[i].len);
        if (rows[i].at != 0)
            CHECK_AT(rows[i].what, e.offset == rows[i].at);
        json_decref(value);
    }
}

/* As many numbers beyond their type as anybody will write, and no end of time for more. */
static void test_many_large(void)
{
    char text[65536] = "[";
    size_t n = 1;
    json_t *value = NULL;
    struct wp_json_error e;

    for (int i = 0; i < 60; i++)
        n += (size_t)sprintf(text + n, "1e999,");
    n += (size_t)sprintf(text + n, "1]");
    CHECK(wp_json_load(text, n, &value, &e) == 0);
    json_decref(value);
    n = 1;
    for (int i = 0; i < 5000; i++)
        n += (size_t)sprintf(text + n, "1e999,");
    n += (size_t)sprintf(text + n, "1]");
    CHECK(wp_json_load(text, n, &value, &e) == WP_EMALFORMED);
}

RUN_TESTS(TEST(test_load), TEST(test_many_large))
