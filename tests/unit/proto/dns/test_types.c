#include "check.h"

#include "waypost/dns/types.h"

static const struct {
    const char *in;
    int ret;
    uint16_t value;
    const char *out; /* NULL: as in */
} types[] =
    {
        {"A", 0, 1, NULL},
        {"None", 0, 0, NULL},
        {"aaaa", 0, 28, "AAAA"},
        {"HTTPS", 0, 65, NULL},
        {"EUI64", 0, 109, NULL},
        {"TYPE110", 0, 110, NULL},
        {"TYPE54", 0, 54, NULL},
        {"CAA", 0, 257, NULL},
        {"Any", 0, 255, "ANY"},
        {"TYPE65280", 0, 65280, NULL},
        {"type1", 0, 1, "A"},
        {"Reserved", 0, 65535, NULL},
        {"TYPE65535", 0, 65535, "Reserved"},
        {"TYPE65536", WP_ENOTFOUND, 9, NULL},
        {"TYPE", WP_ENOTFOUND, 9, NULL},
        {"TYPE-1", WP_ENOTFOUND, 9, NULL},
        {"TYPE1x", WP_ENOTFOUND, 9, NULL},
        {"WKS", 0, 11, "TYPE11"},
        {"AA", WP_ENOTFOUND, 9, NULL},
        {"", WP_ENOTFOUND, 9, NULL},
        {NULL, WP_ENOTFOUND, 9, NULL},
},
  classes[] =
      {
          {"IN", 0, 1, NULL},
          {"ch", 0, 3, "CH"},
          {"ANY", 0, 255, NULL},
          {"NONE", 0, 254, NULL},
          {"CLASS7", 0, 7, NULL},
          {"class1", 0, 1, "IN"},
          {"CLASS", WP_ENOTFOUND, 9, NULL},
          {"INX", WP_ENOTFOUND, 9, NULL},
          {NULL, WP_ENOTFOUND, 9, NULL},
},
  rcodes[] = {
      {"NOERROR", 0, 0, NULL},      {"nxdomain", 0, 3, "NXDOMAIN"}, {"BADCOOKIE", 0, 23, NULL},
      {"NOTIMPL", 0, 4, "NOTIMP"},  {"BADVERS", 0, 16, "BADSIG"},   {"NX", WP_ENOTFOUND, 9, NULL},
      {"3", WP_ENOTFOUND, 9, NULL}, {NULL, WP_ENOTFOUND, 9, NULL},
};

#define RUN(table, parse, text)                                                                    \
    for (size_t i = 0; i < COUNT(table); i++) {                                                    \
        uint16_t v = 9;                                                                            \
        char buf[16];                                                                              \
        const char *what = table[i].in ? table[i].in : "NULL";                                     \
        CHECK_AT(what, parse(table[i].in, &v) == table[i].ret && v == table[i].value);             \
        if (table[i].ret == 0)                                                                     \
            CHECK_AT(what, strcmp(text(v, buf), table[i].out ? table[i].out : what) == 0);         \
    }

static void test_tables(void)
{
    RUN(types, wp_type_parse, wp_type_text)
    RUN(classes, wp_class_parse, wp_class_text)
    RUN(rcodes, wp_rcode_parse, wp_rcode_text)
}

/* Whatever is printed is read back as the same number. */
static void test_every_number(void)
{
    for (unsigned n = 0; n <= UINT16_MAX; n++) {
        uint16_t v = (uint16_t)~n;
        char buf[16];

        CHECK_AT(buf, wp_type_parse(wp_type_text((uint16_t)n, buf), &v) == 0 && v == n);
        v = (uint16_t)~n;
        CHECK_AT(buf, wp_class_parse(wp_class_text((uint16_t)n, buf), &v) == 0 && v == n);
    }
    char buf[16];
    CHECK(strcmp(wp_rcode_text(4095, buf), "4095") == 0);
    CHECK(strcmp(wp_rcode_text(12, buf), "12") == 0);
}

RUN_TESTS(TEST(test_tables), TEST(test_every_number))
