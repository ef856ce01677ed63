#include "check.h"
#include "waypost/base/text.h"
#include "waypost/base/err.h"
#include "waypost/base/hash.h"
#include <errno.h>

#define S INT64_C(1000000000)

static const struct {
    const char *text;
    int ret;
    int64_t ns;
} durations[] = {
    {"0", 0, 0},
    {"-0", 0, 0},
    {"0s", 0, 0},
    {"5s", 0, 5 * S},
    {"30s", 0, 30 * S},
    {"+5s", 0, 5 * S},
    {"-5s", 0, -5 * S},
    {"1m30s", 0, 90 * S},
    {"1h15m30.918273645s", 0, 4530 * S + 918273645},
    {"1.5h", 0, 5400 * S},
    {"5.s", 0, 5 * S},
    {".5s", 0, S / 2},
    {"10.5s4m", 0, 4 * 60 * S + S * 21 / 2},
    {"10ns", 0, 10},
    {"11us", 0, 11000},
    {"12\xc2\xb5s", 0, 12000},
    {"12\xce\xbcs", 0, 12000},
    {"13ms", 0, 13000000},
    {"0.100000000000000000000h", 0, 360 * S},
    {"0.3333333333333333333h", 0, 20 * 60 * S},
    {"9223372036854775807ns", 0, INT64_MAX},
    {"-9223372036854775808ns", 0, INT64_MIN},
    {"9223372036854775808ns", WP_EMALFORMED, 0},
    {"9223372036854775810ns", WP_EMALFORMED, 0},
    {"3000000h", WP_EMALFORMED, 0},
    {"9223372036854775807ns1ns", WP_EMALFORMED, 0},
    {"", WP_EMALFORMED, 0},
    {"3", WP_EMALFORMED, 0},
    {"-", WP_EMALFORMED, 0},
    {"s", WP_EMALFORMED, 0},
    {".", WP_EMALFORMED, 0},
    {"-.", WP_EMALFORMED, 0},
    {".s", WP_EMALFORMED, 0},
    {"+.s", WP_EMALFORMED, 0},
    {"1d", WP_EMALFORMED, 0},
    {"1s ", WP_EMALFORMED, 0},
    {" 1s", WP_EMALFORMED, 0},
    {"1s2", WP_EMALFORMED, 0},
    {"--1s", WP_EMALFORMED, 0},
};

static void test_duration_parse(void)
{
    for (size_t i = 0; i < COUNT(durations); i++) {
        int64_t ns = 42;
        CHECK_AT(durations[i].text, wp_duration_parse(durations[i].text, &ns) == durations[i].ret);
        CHECK_AT(durations[i].text, ns == (durations[i].ret == 0 ? durations[i].ns : 42));
    }
}

static const struct {
    int64_t ns;
    const char *text;
} duration_texts[] = {
    {0, "0s"},
    {1, "1ns"},
    {1100, "1.1\xc2\xb5s"},
    {2200000, "2.2ms"},
    {250000000, "250ms"},
    {S, "1s"},
    {S * 3 / 2, "1.5s"},
    {3300000000, "3.3s"},
    {60 * S, "1m0s"},
    {300 * S, "5m0s"},
    {245 * S, "4m5s"},
    {245 * S + 1000000, "4m5.001s"},
    {(5 * 3600 + 6 * 60 + 7) * S + 1000000, "5h6m7.001s"},
    {8 * 60 * S + 1, "8m0.000000001s"},
    {3600 * S, "1h0m0s"},
    {-90 * S, "-1m30s"},
    {INT64_MAX, "2562047h47m16.854775807s"},
    {INT64_MIN, "-2562047h47m16.854775808s"},
};

static void test_duration_text(void)
{
    for (size_t i = 0; i < COUNT(duration_texts); i++) {
        char buf[32];
        int64_t ns;
        wp_duration_text(duration_texts[i].ns, buf);
        CHECK_AT(duration_texts[i].text, strcmp(buf, duration_texts[i].text) == 0);
        CHECK_AT(buf, wp_duration_parse(buf, &ns) == 0 && ns == duration_texts[i].ns);
    }
}

static const struct {
    const char *text;
    int64_t min, max;
    int ret;
    int64_t n;
} ints[] = {
    {"0", 0, 10, 0, 0},
    {"10", 0, 10, 0, 10},
    {"11", 0, 10, WP_ELIMIT, 0},
    {"-1", 0, 10, WP_ELIMIT, 0},
    {"-1", -1, 10, 0, -1},
    {"+7", 0, 10, 0, 7},
    {"007", 0, 10, 0, 7},
    {"9223372036854775807", INT64_MIN, INT64_MAX, 0, INT64_MAX},
    {"-9223372036854775808", INT64_MIN, INT64_MAX, 0, INT64_MIN},
    {"9223372036854775808", INT64_MIN, INT64_MAX, WP_ELIMIT, 0},
    {"99999999999999999999999", INT64_MIN, INT64_MAX, WP_ELIMIT, 0},
    {"", 0, 10, WP_EMALFORMED, 0},
    {"-", 0, 10, WP_EMALFORMED, 0},
    {"1x", 0, 10, WP_EMALFORMED, 0},
    {" 1", 0, 10, WP_EMALFORMED, 0},
    {"0x1", 0, 10, WP_EMALFORMED, 0},
    {"1.0", 0, 10, WP_EMALFORMED, 0},
};

static void test_int_parse(void)
{
    for (size_t i = 0; i < COUNT(ints); i++) {
        int64_t n = 42;
        CHECK_AT(ints[i].text,
                 wp_int_parse(ints[i].text, ints[i].min, ints[i].max, &n) == ints[i].ret);
        CHECK_AT(ints[i].text, n == (ints[i].ret == 0 ? ints[i].n : 42));
    }
}

static void test_ieq(void)
{
    CHECK(wp_text_ieq("", "") && wp_text_ieq("AbC", "aBc"));
    CHECK(!wp_text_ieq("a", "ab") && !wp_text_ieq("ab", "a") && !wp_text_ieq("@", "`"));
}

static const struct {
    const char *text;
    size_t cap;
    int ret;
    const char *out;
    size_t len;
} base64s[] = {
    {"", 0, 0, "", 0},
    {"Zg", 1, 0, "f", 1},
    {"Zm8", 2, 0, "fo", 2},
    {"Zm9v", 3, 0, "foo", 3},
    {"Zm9vYg", 4, 0, "foob", 4},
    {"-_-_", 3, 0, "\xfb\xff\xbf", 3},
    {"Zm9v", 2, WP_ESPACE, NULL, 0},
    {"Zm9vYg", 3, WP_ESPACE, NULL, 0},
    {"Z", 9, WP_EMALFORMED, NULL, 0},
    {"Zh", 9, WP_EMALFORMED, NULL, 0},
    {"Zm9", 9, WP_EMALFORMED, NULL, 0},
    {"Zg==", 9, WP_EMALFORMED, NULL, 0},
    {"Zm+v", 9, WP_EMALFORMED, NULL, 0},
    {"Zm/v", 9, WP_EMALFORMED, NULL, 0},
    {"Zm v", 9, WP_EMALFORMED, NULL, 0},
};

static void test_base64url(void)
{
    for (size_t i = 0; i < COUNT(base64s); i++) {
        uint8_t out[16];
        size_t len = 42;
        int r = wp_base64url_decode(base64s[i].text, strlen(base64s[i].text), out, base64s[i].cap,
                                    &len);
        CHECK_AT(base64s[i].text, r == base64s[i].ret);
        if (r == 0)
            CHECK_AT(base64s[i].text,
                     len == base64s[i].len && memcmp(out, base64s[i].out, len) == 0);
        else
            CHECK_AT(base64s[i].text, len == 42);
    }
}

static const struct {
    const char *in;
    size_t len;
    const char *out;
} escapes[] = {
    {WIRE("plain"), "plain"},
    {WIRE("a\"b\\c/"), "a\\\"b\\\\c/"},
    {WIRE("\b\f\n\r\t\1\x1f\x7f"), "\\b\\f\\n\\r\\t\\u0001\\u001f\x7f"},
    {WIRE("\0"), "\\u0000"},
    {WIRE("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
    {WIRE("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"), "\\u2028\\u2029\xe2\x80\xaa"},
    {WIRE("\x80"), "\\ufffd"},
    {WIRE("\xc0\xaf"), "\\ufffd\\ufffd"},
    {WIRE("\xc3"), "\\ufffd"},
    {WIRE("\xe0\x80\x80"), "\\ufffd\\ufffd\\ufffd"},
    {WIRE("\xed\xa0\x80"), "\\ufffd\\ufffd\\ufffd"},
    {WIRE("\xf4\x90\x80\x80x"), "\\ufffd\\ufffd\\ufffd\\ufffdx"},
    {WIRE("\xf5z"), "\\ufffdz"},
};

static void test_json_escape(void)
{
    for (size_t i = 0; i < COUNT(escapes); i++) {
        char out[64], cut[64];
        size_t len = wp_json_escape(escapes[i].in, escapes[i].len, out, sizeof(out));
        CHECK_AT(escapes[i].out, strcmp(out, escapes[i].out) == 0 && len == strlen(out));
        for (size_t cap = 1; cap <= len; cap++) { /* cut: a prefix that ends between escapes */
            size_t n = wp_json_escape(escapes[i].in, escapes[i].len, cut, cap);
            CHECK_AT(escapes[i].out, n < cap && memcmp(cut, out, n) == 0 && cut[n] == '\0');
            CHECK_AT(escapes[i].out, cap < 7 || n >= cap - 6);
        }
    }
}

static void test_strerror(void)
{
    CHECK(strcmp(wp_strerror(WP_ESPACE), "buffer too small") == 0);
    CHECK(strcmp(wp_strerror(WP_ESTATE), "wrong state") == 0);
    CHECK(strcmp(wp_strerror(-ENOENT), "No such file or directory") == 0);
    CHECK(strcmp(wp_strerror(0), "success") == 0);
    CHECK(strcmp(wp_strerror(-5000), "error -5000") == 0);
}

static void test_hash(void)
{
    uint8_t data[64];
    uint64_t seen[65], seed = wp_hash_seed;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 37);
    for (size_t n = 0; n <= sizeof(data); n++) {
        seen[n] = wp_hash_bytes(data, n);
        CHECK(seen[n] == wp_hash_bytes(data, n));
        for (size_t m = 0; m < n; m++)
            CHECK(seen[n] != seen[m]);
    }
    for (size_t i = 0; i < sizeof(data); i++) { /* every octet matters */
        data[i] ^= 1;
        CHECK(wp_hash_bytes(data, sizeof(data)) != seen[sizeof(data)]);
        data[i] ^= 1;
    }
    wp_hash_seed_init();
    CHECK(wp_hash_seed != seed);
    CHECK(wp_hash_bytes(data, sizeof(data)) != seen[sizeof(data)]);
}

RUN_TESTS(TEST(test_duration_parse), TEST(test_duration_text), TEST(test_int_parse), TEST(test_ieq),
          TEST(test_base64url), TEST(test_json_escape), TEST(test_strerror), TEST(test_hash))
