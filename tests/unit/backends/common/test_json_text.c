#include "check.h"

#include <jansson.h>

#include "backends/common/json_text.h"

/* What Go takes, and where it is said to be wrong. */
static const struct {
    const char *what, *text;
    size_t len;
    int ret;
    size_t at;
} rows[] = {
    {"object", WIRE("{\"a\":1}"), 0, 0},
    {"scalar", WIRE(" 1 "), 0, 0},
    {"white space of every kind", WIRE("\t\r\n [ \t\r\n1\t\r\n , \t\r\n{}\t\r\n ]\t\r\n "), 0, 0},
    {"nothing", WIRE(""), WP_EMALFORMED, 0},
    {"white space only", WIRE(" \n"), WP_EMALFORMED, 2},
    {"two values", WIRE("1 2"), WP_EMALFORMED, 2},
    {"value and a brace", WIRE("{}}"), WP_EMALFORMED, 2},
    {"NUL outside a string", WIRE("{}\0"), WP_EMALFORMED, 2},
    {"NUL in white space", WIRE("\0{}"), WP_EMALFORMED, 0},
    {"form feed", WIRE("\f{}"), WP_EMALFORMED, 0},
    {"byte order mark", WIRE("\xef\xbb\xbf{}"), WP_EMALFORMED, 0},
    {"escaped NUL", WIRE("\"\\u0000\""), 0, 0},
    {"NUL in a string", WIRE("\"\0\""), WP_EMALFORMED, 1},
    {"line end in a string", WIRE("\"a\nb\""), WP_EMALFORMED, 2},
    {"DEL in a string", WIRE("\"\x7f\""), 0, 0},
    {"overlong", WIRE("\"\xc0\xaf\""), 0, 0},
    {"surrogate octets", WIRE("\"\xed\xa0\x80\""), 0, 0},
    {"beyond U+10FFFF", WIRE("\"\xf4\x90\x80\x80\""), 0, 0},
    {"cut sequence", WIRE("\"\xe2\x82\""), 0, 0},
    {"bad octet outside a string", WIRE("{\xff}"), WP_EMALFORMED, 1},
    {"high surrogate alone", WIRE("\"\\ud800\""), 0, 0},
    {"all escapes", WIRE("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\uAfF0\""), 0, 0},
    {"no such escape", WIRE("\"\\x41\""), WP_EMALFORMED, 2},
    {"escaped quote of another kind", WIRE("\"\\'\""), WP_EMALFORMED, 2},
    {"escape cut short", WIRE("\"\\ud8\""), WP_EMALFORMED, 5},
    {"string without end", WIRE("\"abc"), WP_EMALFORMED, 4},
    {"backslash at the end", WIRE("\"abc\\"), WP_EMALFORMED, 5},
    {"error behind octets that are no text", WIRE("[\"\xff\xff\xff\",]"), WP_EMALFORMED, 7},
    {"too large for 64 bits", WIRE("[99999999999999999999]"), 0, 0},
    {"too large for a double", WIRE("[1e400, -1E+400, 0.5e-9]"), 0, 0},
    {"half a number", WIRE("[1e]"), WP_EMALFORMED, 3},
    {"fraction without digits", WIRE("[1.]"), WP_EMALFORMED, 3},
    {"leading zero", WIRE("[01]"), WP_EMALFORMED, 2},
    {"minus alone", WIRE("[-]"), WP_EMALFORMED, 2},
    {"plus", WIRE("[+1]"), WP_EMALFORMED, 1},
    {"point first", WIRE("[.5]"), WP_EMALFORMED, 1},
    {"NaN", WIRE("[NaN]"), WP_EMALFORMED, 1},
    {"words", WIRE("[true,false,null]"), 0, 0},
    {"half a word", WIRE("nul"), WP_EMALFORMED, 3},
    {"another word", WIRE("nulx"), WP_EMALFORMED, 3},
    {"capital word", WIRE("True"), WP_EMALFORMED, 0},
    {"comma at the end of an array", WIRE("[1,]"), WP_EMALFORMED, 3},
    {"comma at the end of an object", WIRE("{\"a\":1,}"), WP_EMALFORMED, 7},
    {"comma missing", WIRE("[1 2]"), WP_EMALFORMED, 3},
    {"colon missing", WIRE("{\"a\" 1}"), WP_EMALFORMED, 5},
    {"name without quotes", WIRE("{a:1}"), WP_EMALFORMED, 1},
    {"value missing", WIRE("{\"a\":}"), WP_EMALFORMED, 5},
    {"the wrong bracket", WIRE("[{]"), WP_EMALFORMED, 2},
    {"array closed as object", WIRE("[1}"), WP_EMALFORMED, 2},
    {"object closed as array", WIRE("{\"a\":[1]]"), WP_EMALFORMED, 8},
    {"comment", WIRE("{}//"), WP_EMALFORMED, 2},
};

static void test_parse(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_json_flaw e = {.offset = 0};
        struct wp_json value;
        int r = wp_json_parse(rows[i].text, rows[i].len, &value, &e);

        CHECK_AT(rows[i].what, r == rows[i].ret);
        CHECK_AT(rows[i].what, r == 0 || e.offset == rows[i].at);
        CHECK_AT(rows[i].what, r == 0 || e.text[0] != '\0');
    }
}

/* Another parser's verdict, where it has the same rules: ASCII, numbers of moderate size. */
static void test_jansson_agrees(void)
{
    static const char parts[] = "{}[]:,\"\\\" 01-.eE+tnu\"a\"";
    uint32_t random = 7;
    size_t good = 0;

    for (size_t i = 0; i < 200000; i++) {
        struct wp_json value;
        struct wp_json_flaw e;
        char text[12];
        size_t n = 1 + i % sizeof(text);
        json_error_t error;
        json_t *other;

        for (size_t k = 0; k < n; k++) {
            random = random * 1664525 + 1013904223;
            text[k] = parts[(random >> 16) % (sizeof(parts) - 1)];
        }
        other = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
        if (other == NULL && json_error_code(&error) == json_error_numeric_overflow)
            continue;
        if ((other != NULL) != (wp_json_parse(text, n, &value, &e) == 0))
            print_error("%.*s\n", (int)n, text);
        CHECK((other != NULL) == (wp_json_parse(text, n, &value, &e) == 0));
        good += other != NULL;
        json_decref(other);
    }
    CHECK(good > 1000);
}

static int parse_nested(size_t depth, char open, char shut)
{
    struct wp_json_flaw e;
    struct wp_json value;
    char *text = malloc(2 * depth);
    int r;

    memset(text, open, depth);
    memset(text + depth, shut, depth);
    r = wp_json_parse(text, 2 * depth, &value, &e);
    free(text);
    return r;
}

static void test_depth(void)
{
    CHECK(parse_nested(WP_JSON_DEPTH_MAX, '[', ']') == 0);
    CHECK(parse_nested(WP_JSON_DEPTH_MAX + 1, '[', ']') == WP_EMALFORMED);
    CHECK(parse_nested(1000000, '[', ']') == WP_EMALFORMED);
    CHECK(parse_nested(3, '[', '}') == WP_EMALFORMED);
}

static struct wp_json parsed(const char *text)
{
    struct wp_json value;
    struct wp_json_flaw e;

    CHECK(wp_json_parse(text, strlen(text), &value, &e) == 0);
    return value;
}

static void test_members(void)
{
    struct wp_json object = parsed(" { \"a\" : [ {\"x\":\"}\"} , 2 ] , \"b\":{},\"a\":null } "),
                   name, v;
    static const struct {
        const char *name, *value;
        enum wp_json_kind kind;
    } want[] = {{"\"a\"", "[ {\"x\":\"}\"} , 2 ]", WP_JSON_ARRAY},
                {"\"b\"", "{}", WP_JSON_OBJECT},
                {"\"a\"", "null", WP_JSON_NULL}};
    size_t at = 0, n = 0;

    for (; wp_json_member(&object, &at, &name, &v); n++) {
        CHECK(n < COUNT(want));
        CHECK(name.len == strlen(want[n].name) && memcmp(name.text, want[n].name, name.len) == 0);
        CHECK(v.len == strlen(want[n].value) && memcmp(v.text, want[n].value, v.len) == 0);
        CHECK(v.kind == want[n].kind);
    }
    CHECK(n == COUNT(want));
    at = 0;
    object = parsed("{ }");
    CHECK(!wp_json_member(&object, &at, &name, &v));
}

static void test_strings(void)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"\"\"", ""},
        {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz"},
        {"\"\\u0041\\u00e9\\u20aC\\ud83d\\ude00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\"\\ud800x\\udc00\"", "\xef\xbf\xbdx\xef\xbf\xbd"},
        {"\"\\ud800\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
        {"\"\\ud800\\n\"", "\xef\xbf\xbd\n"},
        {"\"\\ud800\\u0041\"", "\xef\xbf\xbd"
                               "A"},
        {"\"\\udc00\\ud800\"", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\"\\\\ud800\"", "\\ud800"},
        {"\"\xff\xc3\"", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\"\xe2\x82z\"", "\xef\xbf\xbd\xef\xbf\xbdz"},
        {"\"\xed\xa0\x80\"", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\"\xe2\x82\xac\"", "\xe2\x82\xac"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_json s = parsed(cases[i].text);
        char out[64];
        size_t n = wp_json_string(&s, out);
        CHECK_AT(cases[i].text, n == strlen(cases[i].want) && memcmp(out, cases[i].want, n) == 0);
        CHECK_AT(cases[i].text, n <= WP_JSON_EXPANSION * s.len);
    }
}

static void test_names(void)
{
    static const struct {
        const char *text, *name;
        bool want;
    } cases[] = {
        {"\"TTL\"", "ttl", true},
        {"\"TT\"", "ttl", false},
        {"\"TTLx\"", "ttl", false},
        {"\"t\\u0054l\"", "ttl", true},
        {"\"ho\xc5\xbft\"", "host", true}, /* U+017F, long s */
        {"\"ho\\u017ft\"", "host", true},
        {"\"\xe2\x84\xaa\"", "k", true}, /* U+212A, Kelvin */
        {"\"pr\xc4\xb1ority\"", "priority", false},
        {"\"ho\xfft\"", "host", false},
        {"\"host\\u0000\"", "host", false},
        {"\"\"", "host", false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_json s = parsed(cases[i].text);
        CHECK_AT(cases[i].text, wp_json_is(&s, cases[i].name) == cases[i].want);
    }
}

static void test_integers(void)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t want;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"65537", true, 65537},
        {"-1", true, -1},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999999", false, 0},
        {"1.0", false, 0},
        {"1e2", false, 0},
        {"1E0", false, 0},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_json n = parsed(cases[i].text);
        int64_t v = 0;
        CHECK_AT(cases[i].text, wp_json_int(&n, &v) == cases[i].ok);
        CHECK_AT(cases[i].text, v == cases[i].want);
    }
}

RUN_TESTS(TEST(test_parse), TEST(test_jansson_agrees), TEST(test_depth), TEST(test_members),
          TEST(test_strings), TEST(test_names), TEST(test_integers))
