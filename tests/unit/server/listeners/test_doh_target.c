/* The request target of DoH: acceptance rows H12 to H36. */
#include "check.h"

#include <stdlib.h>
#include "server/listeners/doh_target.h"

static const struct {
    const char *what, *target;
    enum wp_doh_target verdict;
    const char *param; /* NULL: none */
} cases[] = {
    {"path alone", "/dns-query", WP_DOH_NO_PARAM, NULL},
    {"empty query", "/dns-query?", WP_DOH_NO_PARAM, NULL},
    {"one parameter", "/dns-query?dns=AAAB", WP_DOH_PARAM, "AAAB"},
    {"H13 empty", "/dns-query?dns=", WP_DOH_BAD, NULL},
    {"name without =", "/dns-query?dns", WP_DOH_BAD, NULL},
    {"H14 twice", "/dns-query?dns=AAAB&dns=AAAB", WP_DOH_BAD, NULL},
    {"H14 twice, one empty", "/dns-query?dns&dns=AAAB", WP_DOH_BAD, NULL},
    {"H15 other before", "/dns-query?ct=x&dns=AAAB", WP_DOH_PARAM, "AAAB"},
    {"H15 other after", "/dns-query?dns=AAAB&x=1", WP_DOH_PARAM, "AAAB"},
    {"empty pairs", "/dns-query?&&dns=AAAB&", WP_DOH_PARAM, "AAAB"},
    {"longer name", "/dns-query?dnsx=AAAB", WP_DOH_NO_PARAM, NULL},
    {"shorter name", "/dns-query?dn=AAAB", WP_DOH_NO_PARAM, NULL},
    {"upper-case name", "/dns-query?DNS=AAAB", WP_DOH_NO_PARAM, NULL},
    {"escaped name", "/dns-query?d%6es=AAAB", WP_DOH_PARAM, "AAAB"},
    {"bad escape in name", "/dns-query?d%zzs=AAAB", WP_DOH_NO_PARAM, NULL},
    {"cut escape in name", "/dns-query?dn%7=AAAB", WP_DOH_NO_PARAM, NULL},
    {"value with =", "/dns-query?dns=AAA=", WP_DOH_PARAM, "AAA="},
    {"H26 root", "/", WP_DOH_NO_PATH, NULL},
    {"H26 slash after", "/dns-query/", WP_DOH_NO_PATH, NULL},
    {"H26 below", "/dns-query/x", WP_DOH_NO_PATH, NULL},
    {"H26 case", "/DNS-QUERY", WP_DOH_NO_PATH, NULL},
    {"H26 two slashes", "//dns-query", WP_DOH_NO_PATH, NULL},
    {"H27 dots", "/x/../dns-query", WP_DOH_NO_PATH, NULL},
    {"H27 escaped path", "/dns%2Dquery", WP_DOH_NO_PATH, NULL},
    {"longer path", "/dns-queryx?dns=AAAB", WP_DOH_NO_PATH, NULL},
    {"shorter path", "/dns-quer", WP_DOH_NO_PATH, NULL},
    {"nothing", "", WP_DOH_NO_PATH, NULL},
};

static void test_target(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        const uint8_t *param = NULL;
        size_t len = 0;

        CHECK_AT(cases[i].what,
                 wp_doh_target_read((const uint8_t *)cases[i].target, strlen(cases[i].target),
                                    &param, &len) == cases[i].verdict);
        if (cases[i].param != NULL) {
            CHECK_AT(cases[i].what, len == strlen(cases[i].param));
            CHECK_AT(cases[i].what, memcmp(param, cases[i].param, len) == 0);
        }
    }
}

static void test_target_length(void)
{
    static char target[WP_DOH_PARAM_MAX + 64];
    const uint8_t *param;
    size_t len, at = strlen("/dns-query?dns=");

    memcpy(target, "/dns-query?dns=", at);
    memset(target + at, 'A', WP_DOH_PARAM_MAX + 1);
    CHECK(wp_doh_target_read((uint8_t *)target, at + WP_DOH_PARAM_MAX, &param, &len) ==
          WP_DOH_PARAM);
    CHECK(len == WP_DOH_PARAM_MAX);
    CHECK(wp_doh_target_read((uint8_t *)target, at + WP_DOH_PARAM_MAX + 1, &param, &len) ==
          WP_DOH_LONG);
}

static const struct {
    const char *what, *value, *msg;
    size_t msg_len;
    int ret;
} params[] = {
    {"plain", "AAAB", WIRE("\0\0\1"), 0},
    {"two octets", "AAA", WIRE("\0\0"), 0},
    {"one octet", "AA", WIRE("\0"), 0},
    {"url alphabet", "-_-_", WIRE("\xfb\xff\xbf"), 0},
    {"H19 escaped octet", "%41AAB", WIRE("\0\0\1"), 0},
    {"H19 lower-case escape", "%41AA%2d", WIRE("\0\0\76"), 0},
    {"H16 padding", "AA==", WIRE(""), WP_EMALFORMED},
    {"H16 escaped padding", "AA%3D%3D", WIRE(""), WP_EMALFORMED},
    {"H17 plus", "AA+A", WIRE(""), WP_EMALFORMED},
    {"H17 slash", "AA/A", WIRE(""), WP_EMALFORMED},
    {"H18 other octets", "!!!A", WIRE(""), WP_EMALFORMED},
    {"space", "AA A", WIRE(""), WP_EMALFORMED},
    {"escaped NUL", "AA%00A", WIRE(""), WP_EMALFORMED},
    {"one character", "A", WIRE(""), WP_EMALFORMED},
    {"bits left over", "AB", WIRE(""), WP_EMALFORMED},
    {"bad escape", "A%4gA", WIRE(""), WP_EMALFORMED},
    {"cut escape", "AAA%4", WIRE(""), WP_EMALFORMED},
    {"percent alone", "%", WIRE(""), WP_EMALFORMED},
};

static void test_param(void)
{
    for (size_t i = 0; i < COUNT(params); i++) {
        size_t len = strlen(params[i].value), n = 99;
        uint8_t *out = malloc(len), *in = malloc(len);

        memcpy(in, params[i].value, len);
        CHECK_AT(params[i].what, wp_doh_param_decode(in, len, out, len, &n) == params[i].ret);
        if (params[i].ret == 0) {
            CHECK_AT(params[i].what, n == params[i].msg_len);
            CHECK_AT(params[i].what, memcmp(out, params[i].msg, n) == 0);
        }
        CHECK_AT(params[i].what, wp_doh_param_decode(in, len, out, len - 1, &n) == WP_ESPACE);
        free(out);
        free(in);
    }
}

RUN_TESTS(TEST(test_target), TEST(test_target_length), TEST(test_param))
