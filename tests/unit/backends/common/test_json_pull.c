/* JSON read as it goes: values and their types, what null means, what is refused. */
#include "check.h"

#include "backends/common/json_pull.h"

static struct wp_json_pull start(const char *text)
{
    static struct wp_arena arena;
    struct wp_json_pull p;

    wp_arena_done(&arena);
    wp_arena_init(&arena, 1 << 16);
    wp_json_pull_init(&p, text, strlen(text), &arena);
    return p;
}

static const struct {
    const char *text;
    int64_t value;
    const char *what; /* NULL: good */
    bool syntax;
} ints[] = {
    {"0", 0, NULL, false},
    {" -0 ", 0, NULL, false},
    {"9223372036854775807", INT64_MAX, NULL, false},
    {"-9223372036854775808", INT64_MIN, NULL, false},
    {"9223372036854775808", 0, "out of range", false},
    {"-9223372036854775809", 0, "out of range", false},
    {"1e3", 0, "not an integer", false},
    {"1.0", 0, "not an integer", false},
    {"-", 0, "bad number", true},
    {"1.", 0, "bad number", true},
    {"1e", 0, "bad number", true},
    {"01", 0, "something follows", true},
    {"null", 0, NULL, false},
    {"\"1\"", 0, "not a number", false},
    {"nil", 0, "no JSON value", true},
    {"", 0, "the text ends early", true},
};

static void test_ints(void)
{
    for (size_t i = 0; i < COUNT(ints); i++) {
        struct wp_json_pull p = start(ints[i].text);
        int64_t v = wp_json_pull_int(&p, INT64_MIN, INT64_MAX);
        wp_json_pull_end(&p);
        CHECK_AT(ints[i].text, (p.error == 0) == (ints[i].what == NULL));
        if (ints[i].what == NULL) {
            CHECK_AT(ints[i].text, v == ints[i].value);
        } else {
            CHECK_AT(ints[i].text, p.error == WP_EMALFORMED && strcmp(p.what, ints[i].what) == 0);
            CHECK_AT(ints[i].text, p.syntax == ints[i].syntax);
        }
    }
}

static const struct {
    const char *text, *value; /* value NULL: refused */
} strings[] = {
    {"\"\"", ""},
    {"\"plain text of more than eight octets\"", "plain text of more than eight octets"},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
    {"\"a\\u00e9\\u20AC\\ud83d\\ude00z\"", "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"},
    {"\"\\ud83d\"", "\xef\xbf\xbd"},
    {"\"\\ude00\"", "\xef\xbf\xbd"},
    {"\"\\ud83dx\"", "\xef\xbf\xbdx"},
    {"\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
                           "A"},
    {"\"\xc3\xa9\xff\xc3\"", "\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd"},
    {"null", ""},
    {"\"open", NULL},
    {"\"a\nb\"", NULL},
    {"\"\\x\"", NULL},
    {"\"\\u12g4\"", NULL},
    {"\"\\", NULL},
    {"true", NULL},
};

static void test_strings(void)
{
    for (size_t i = 0; i < COUNT(strings); i++) {
        struct wp_json_pull p = start(strings[i].text);
        struct wp_json_slice s = wp_json_pull_string(&p);
        wp_json_pull_end(&p);
        CHECK_AT(strings[i].text, (p.error == 0) == (strings[i].value != NULL));
        if (strings[i].value != NULL)
            CHECK_AT(strings[i].text, s.len == strlen(strings[i].value) &&
                                          memcmp(s.at, strings[i].value, s.len) == 0);
        p = start(strings[i].text); /* what is skipped is checked all the same */
        wp_json_pull_skip(&p);
        wp_json_pull_end(&p);
        CHECK_AT(strings[i].text, p.error == 0 || strings[i].value == NULL);
    }
}

static const struct {
    const char *text;
    bool good;
} skipped[] = {
    {"{}", true},
    {"[]", true},
    {" { \"a\" : [ 1 , { \"b\" : null } , [ ] , true , false , -1.5E+3 ] } ", true},
    {"[1,]", false},
    {"[,1]", false},
    {"[1 2]", false},
    {"{\"a\":1,}", false},
    {"{\"a\"}", false},
    {"{a:1}", false},
    {"{1:1}", false},
    {"[}", false},
    {"{]", false},
    {"[[]", false},
    {"[]]", false},
    {"tru", false},
    {"+1", false},
    {".5", false},
    {"", false},
};

static void test_skip(void)
{
    char deep[2 * WP_JSON_PULL_DEPTH + 3];

    for (size_t i = 0; i < COUNT(skipped); i++) {
        struct wp_json_pull p = start(skipped[i].text);
        wp_json_pull_skip(&p);
        wp_json_pull_end(&p);
        CHECK_AT(skipped[i].text, (p.error == 0) == skipped[i].good);
    }
    for (size_t n = WP_JSON_PULL_DEPTH; n <= WP_JSON_PULL_DEPTH + 1; n++) {
        struct wp_json_pull p;
        memset(deep, '[', n);
        memset(deep + n, ']', n);
        deep[2 * n] = '\0';
        p = start(deep);
        wp_json_pull_skip(&p);
        wp_json_pull_end(&p);
        CHECK((p.error == 0) == (n == WP_JSON_PULL_DEPTH));
    }
}

/* Members and elements in turn, with null where brackets may be. */
static void test_walk(void)
{
    struct wp_json_pull p = start("{\"list\":[{\"n\":1},null,{\"x\":[],\"n\":2},{}],\"none\":null,"
                                  "\"flag\":true}");
    struct wp_json_slice key;
    int64_t sum = 0, n = 0;
    bool flag = false;

    for (wp_json_pull_enter(&p, '{'); wp_json_pull_member(&p, &key);) {
        if (key.at[0] == 'f') {
            flag = wp_json_pull_bool(&p);
            continue;
        }
        for (wp_json_pull_enter(&p, '['); wp_json_pull_element(&p); n++) {
            struct wp_json_slice inner;
            for (wp_json_pull_enter(&p, '{'); wp_json_pull_member(&p, &inner);)
                if (inner.at[0] == 'n')
                    sum += wp_json_pull_int(&p, 0, 9);
                else
                    wp_json_pull_skip(&p);
        }
    }
    wp_json_pull_end(&p);
    CHECK(p.error == 0 && n == 4 && sum == 3 && flag);
}

RUN_TESTS(TEST(test_ints), TEST(test_strings), TEST(test_skip), TEST(test_walk))
