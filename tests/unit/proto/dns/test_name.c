#include "check.h"

#include <stdlib.h>

#include "waypost/base/rd.h"
#include "waypost/dns/name.h"

#define L63 "\77aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L61 "\75aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L62 "\76aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define T63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
#define T61 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
#define T62 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."

/* Each row is one message; the name to read starts at octet `at`. `skip` differs from `ret` only
 * where a pointer leads to something bad: skipping does not look there. */
static const struct {
    const char *what, *msg;
    size_t len, at;
    int ret, skip;
    size_t end;      /* first octet after the name */
    size_t name_len; /* octets of the result, 0 if none */
} reads[] = {
    {"root", WIRE("\0"), 0, 0, 0, 1, 1},
    {"two labels", WIRE("\3www\2io\0xx"), 0, 0, 0, 8, 8},
    {"pointer back", WIRE("\2io\0\3www\xc0\0"), 4, 0, 0, 10, 8},
    {"pointer only", WIRE("\2io\0\xc0\0"), 4, 0, 0, 6, 4},
    {"pointer to a pointer", WIRE("\2io\0\1a\xc0\0\1b\xc0\4"), 8, 0, 0, 12, 8},
    {"pointer to the root", WIRE("\0\1a\xc0\0"), 1, 0, 0, 5, 3},
    {"pointer to itself (U27)", WIRE("\xc0\0"), 0, WP_EMALFORMED, WP_EMALFORMED, 0, 0},
    {"loop through a label", WIRE("\1a\xc0\0"), 0, WP_EMALFORMED, WP_EMALFORMED, 0, 0},
    {"into its own run", WIRE("\1a\1b\xc0\2"), 0, WP_EMALFORMED, WP_EMALFORMED, 0, 0},
    {"pointer forward", WIRE("\xc0\3\0\0"), 0, WP_EMALFORMED, WP_EMALFORMED, 0, 0},
    {"loop of two", WIRE("\1a\xc0\4\1b\xc0\0"), 4, WP_EMALFORMED, 0, 8, 0},
    {"pointer to a bad label", WIRE("\x40\1a\xc0\0"), 1, WP_EMALFORMED, 0, 5, 0},
    {"label type 01 (U26)", WIRE("\x40\0"), 0, WP_EMALFORMED, WP_EMALFORMED, 0, 0},
    {"label type 10", WIRE("\x80\0"), 0, WP_EMALFORMED, WP_EMALFORMED, 0, 0},
    {"empty", WIRE(""), 0, WP_EMALFORMED, WP_EMALFORMED, 0, 0},
    {"label cut", WIRE("\3ww"), 0, WP_EMALFORMED, WP_EMALFORMED, 0, 0},
    {"no root", WIRE("\3www"), 0, WP_EMALFORMED, WP_EMALFORMED, 0, 0},
    {"half a pointer", WIRE("\0\xc0"), 1, WP_EMALFORMED, WP_EMALFORMED, 0, 0},
    {"255 octets", WIRE(L63 L63 L63 L61 "\0"), 0, 0, 0, 255, 255},
    {"256 octets (U28)", WIRE(L63 L63 L63 L62 "\0"), 0, WP_EMALFORMED, WP_EMALFORMED, 0, 0},
    {"255 through a pointer", WIRE(L63 L63 L61 "\0" L63 "\xc0\0"), 191, 0, 0, 257, 255},
    {"256 through a pointer", WIRE(L63 L63 L62 "\0" L63 "\xc0\0"), 192, WP_EMALFORMED, 0, 258, 0},
};

static void test_read(void)
{
    for (size_t i = 0; i < COUNT(reads); i++) {
        struct wp_rd rd = wp_rd_from(reads[i].msg, reads[i].len), skip;
        struct wp_name name = {0};

        rd.pos = reads[i].at;
        skip = rd;
        CHECK_AT(reads[i].what, wp_name_read(&rd, &name) == reads[i].ret);
        CHECK_AT(reads[i].what, name.len == reads[i].name_len);
        CHECK_AT(reads[i].what, rd.pos == (reads[i].ret == 0 ? reads[i].end : reads[i].at));
        CHECK_AT(reads[i].what, wp_name_skip(&skip) == reads[i].skip);
        CHECK_AT(reads[i].what, skip.pos == (reads[i].skip == 0 ? reads[i].end : reads[i].at));
    }
}

static void test_read_after_error(void)
{
    struct wp_rd rd = wp_rd_from("\0", 1);
    struct wp_name name = {0};

    wp_rd_skip(&rd, 2);
    CHECK(wp_name_read(&rd, &name) == WP_EMALFORMED && name.len == 0);
    CHECK(wp_name_skip(&rd) == WP_EMALFORMED && rd.pos == 0);
}

/* Every row again, cut at every octet: a name is read whole or not at all. */
static void test_read_cut(void)
{
    for (size_t i = 0; i < COUNT(reads); i++) {
        size_t need = reads[i].ret == 0 ? reads[i].end : reads[i].len + 1;

        for (size_t len = reads[i].at; len < reads[i].len; len++) {
            struct wp_rd rd = wp_rd_from(reads[i].msg, len);
            struct wp_name name = {0};

            rd.pos = reads[i].at;
            CHECK_AT(reads[i].what, (wp_name_read(&rd, &name) == 0) == (len >= need));
            CHECK_AT(reads[i].what, (name.len != 0) == (len >= need));
        }
    }
}

/* Plain names: what wp_name_len, wp_qname_set and the walks say. */
static const struct {
    const char *what, *wire;
    size_t len;
    int ret; /* octets or the error */
    unsigned labels;
} plains[] = {
    {"root", WIRE("\0"), 1, 0},
    {"one label", WIRE("\3WwW\0"), 5, 1},
    {"trailing octets", WIRE("\7Example\3ORG\0\0\1\0\1"), 13, 2},
    {"label of 8", WIRE("\10H0000001\5bench\4test\0\0\1\0\1"), 21, 3},
    {"label of 9", WIRE("\11H00000012\5bench\0"), 17, 2},
    {"label of 17 at the end", WIRE("\21ABCDEFGHIJKLMNOPQ\0"), 19, 1},
    {"label of 16", WIRE("\20ABCDEFGHIJKLMNOP\1z\0\0\1\0\1\0\0\0\0"), 20, 2},
    {"not letters", WIRE("\7@[`{\xc1\xda\0\0"), 9, 1},
    {"label of 63", WIRE(L63 "\0"), 65, 1},
    {"255 octets (U29)", WIRE(L63 L63 L63 L61 "\0"), 255, 4},
    {"255 and more", WIRE(L63 L63 L63 L61 "\0\0\0\0\0\0\0\0\0\0\0\0"), 255, 4},
    {"256 octets (U28)", WIRE(L63 L63 L63 L62 "\0"), WP_EMALFORMED, 0},
    {"no root at 255", WIRE(L63 L63 L63 L62 "\0\0\0\0\0"), WP_EMALFORMED, 0},
    {"empty", WIRE(""), WP_EMALFORMED, 0},
    {"cut label", WIRE("\3ww"), WP_EMALFORMED, 0},
    {"cut before the root", WIRE("\3www"), WP_EMALFORMED, 0},
    {"label of 64 (U26)",
     WIRE("\x40xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\0"), WP_EMALFORMED,
     0},
    {"pointer", WIRE("\1a\xc0\0\0\0\0\0\0\0\0"), WP_EMALFORMED, 0},
};

static void check_qname(const char *what, const uint8_t *wire, const struct wp_qname *q)
{
    struct wp_name lower = {.len = q->len};

    memcpy(lower.wire, wire, q->len);
    wp_name_lower(lower.wire, lower.len);
    CHECK_AT(what, wp_qname_is(q, lower.wire, lower.len));
    CHECK_AT(what, wp_name_equal(q->wire, wire));
    CHECK_AT(what, wp_name_labels(wire) == q->n_labels);
    CHECK_AT(what, q->suffix[q->n_labels] == wp_name_hash_root());
    for (unsigned l = 0; l <= q->n_labels; l++) {
        CHECK_AT(what, wp_name_parent(q->wire, (int)l) == q->wire + q->at[l]);
        CHECK_AT(what, wp_name_hash(wire + q->at[l]) == q->suffix[l]);
        if (l < q->n_labels)
            CHECK_AT(what, wp_name_hash_label(wire + q->at[l] + 1, wire[q->at[l]],
                                              q->suffix[l + 1]) == q->suffix[l]);
    }
}

static void test_plain(void)
{
    static struct wp_qname q;

    for (size_t i = 0; i < COUNT(plains); i++) {
        const uint8_t *wire = (const uint8_t *)plains[i].wire;

        for (size_t len = 0; len <= plains[i].len; len++) {
            /* an exact copy on the heap, so that the sanitizer sees a read past the end */
            uint8_t *cut = malloc(len + 1);
            bool whole = plains[i].ret > 0 && len >= (size_t)plains[i].ret;
            int want = whole ? plains[i].ret : WP_EMALFORMED;

            CHECK(cut != NULL);
            memcpy(cut + 1, wire, len);
            memset(&q, 0xee, sizeof(q));
            CHECK_AT(plains[i].what, wp_name_len(cut + 1, len) == want);
            CHECK_AT(plains[i].what, wp_qname_set(&q, cut + 1, len) == want);
            if (whole) {
                CHECK_AT(plains[i].what, q.len == want && q.n_labels == plains[i].labels);
                check_qname(plains[i].what, cut + 1, &q);
            }
            free(cut);
        }
    }
}

/* 127 labels of one octet: the longest list of labels there is. */
static void test_most_labels(void)
{
    static struct wp_qname q;
    struct wp_name name = {.len = 255}, other;
    char text[WP_NAME_TEXT_MAX];

    for (int i = 0; i < 254; i += 2)
        memcpy(name.wire + i, "\1Q", 2);
    CHECK(wp_qname_set(&q, name.wire, 255) == 255 && q.n_labels == WP_LABELS_MAX);
    check_qname("127 labels", name.wire, &q);
    CHECK(wp_name_compare(name.wire, q.wire) == 0);
    CHECK(wp_name_parse(wp_name_text(name.wire, text), &other) == 0);
    CHECK(other.len == 255 && memcmp(other.wire, name.wire, 255) == 0);
    wp_qname_root(&q);
    check_qname("root", (const uint8_t *)"", &q);
}

/* Different names, different hashes: a label boundary, a length, a case-like bit, zeros. */
static void test_hash_differs(void)
{
    static const char *const names[] = {
        "\0",
        "\1a\0",
        "\1b\0",
        "\1a\1b\0",
        "\2ab\0",
        "\1b\1a\0",
        "\3a\0\0\0",
        "\2a\0\0",
        "\1@\0",
        "\1`\0",
        "\1[\0",
        "\1{\0",
        "\11aaaaaaaaa\0",
        "\10aaaaaaaa\0",
        "\12aaaaaaaaa\0\0",
        "\10aaaaaaaa\1a\0",
        "\1a\10aaaaaaaa\0",
    };

    uint64_t seed = wp_hash_seed;

    wp_hash_seed = 0x0123456789abcdef;
    for (size_t i = 0; i < COUNT(names); i++) {
        for (size_t j = 0; j < i; j++) {
            CHECK_AT(names[i], wp_name_hash((const uint8_t *)names[i]) !=
                                   wp_name_hash((const uint8_t *)names[j]));
        }
    }
    /* the constant of the multiplication as a label: must not swallow what stands before it */
    CHECK(wp_name_hash_label((const uint8_t *)"aaaaaaaa\xdb\x28\xb4\xa0\xd1\x7e\x03\xe7", 16, 1) !=
          wp_name_hash_label((const uint8_t *)"bbbbbbbb\xdb\x28\xb4\xa0\xd1\x7e\x03\xe7", 16, 1));
    wp_hash_seed = seed;
}

static const struct {
    const char *text, *origin;
    int ret;
    const char *wire;
    size_t len;
    const char *out; /* NULL: as text */
} texts[] = {
    {".", NULL, 0, WIRE("\0"), NULL},
    {"www.example.org.", NULL, 0, WIRE("\3www\7example\3org\0"), NULL},
    {"www.Example.org", NULL, 0, WIRE("\3www\7Example\3org\0"), "www.Example.org."},
    {"www", "example.org.", 0, WIRE("\3www\7example\3org\0"), "www.example.org."},
    {"www.", "example.org.", 0, WIRE("\3www\0"), NULL},
    {".", "example.org.", 0, WIRE("\0"), NULL},
    {"@", "example.org.", 0, WIRE("\7example\3org\0"), "example.org."},
    {"@", NULL, 0, WIRE("\1@\0"), "\\@."},
    {"a\\.b.c.", NULL, 0, WIRE("\3a.b\1c\0"), NULL},
    {"a\\046b.", NULL, 0, WIRE("\3a.b\0"), "a\\.b."},
    {"\\065\\b.", NULL, 0, WIRE("\2Ab\0"), "Ab."},
    {"\\000\\255\\127.", NULL, 0, WIRE("\3\0\xff\x7f\0"), NULL},
    {"\\ \\'\\@\\;\\(\\)\\\"\\\\.", NULL, 0, WIRE("\10 '@;()\"\\\0"), NULL},
    {"*._tcp.a/b-c$#!.", NULL, 0, WIRE("\1*\4_tcp\10a/b-c$#!\0"), NULL},
    {"\xc3\xa9.", NULL, 0, WIRE("\2\xc3\xa9\0"), "\\195\\169."},
    {T63 T63 T63 T61, NULL, 0, WIRE(L63 L63 L63 L61 "\0"), NULL},
    {T63 T63 T63, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.", 0,
     WIRE(L63 L63 L63 "\0"), NULL},
    {T63 T63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", T61, 0,
     WIRE(L63 L63 L63 L61 "\0"), T63 T63 T63 T61},
    {T63 T63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", T62, WP_EMALFORMED,
     WIRE(""), NULL},
    {T63 T63 T63 T62, NULL, WP_EMALFORMED, WIRE(""), NULL},
    {T63 T63 T63 T61 "a", NULL, WP_EMALFORMED, WIRE(""), NULL},
    {"a" T63, NULL, WP_EMALFORMED, WIRE(""), NULL},
    {"", NULL, WP_EMALFORMED, WIRE(""), NULL},
    {"", "example.org.", WP_EMALFORMED, WIRE(""), NULL},
    {".a", NULL, WP_EMALFORMED, WIRE(""), NULL},
    {"a..b", NULL, WP_EMALFORMED, WIRE(""), NULL},
    {"a..", NULL, WP_EMALFORMED, WIRE(""), NULL},
    {"..", NULL, WP_EMALFORMED, WIRE(""), NULL},
    {"a\\", NULL, WP_EMALFORMED, WIRE(""), NULL},
    {"\\1", NULL, WP_EMALFORMED, WIRE(""), NULL},
    {"\\12", NULL, WP_EMALFORMED, WIRE(""), NULL},
    {"\\12a", NULL, WP_EMALFORMED, WIRE(""), NULL},
    {"\\256", NULL, WP_EMALFORMED, WIRE(""), NULL},
};

static void test_text(void)
{
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct wp_name origin, name = {.len = 77};
        char buf[WP_NAME_TEXT_MAX];

        if (texts[i].origin != NULL)
            CHECK_AT(texts[i].text, wp_name_parse(texts[i].origin, &origin) == 0);
        CHECK_AT(texts[i].text,
                 wp_name_parse_origin(texts[i].text, texts[i].origin ? &origin : NULL, &name) ==
                     texts[i].ret);
        if (texts[i].ret < 0) {
            CHECK_AT(texts[i].text, name.len == 77);
            continue;
        }
        CHECK_AT(texts[i].text, name.len == texts[i].len);
        CHECK_AT(texts[i].text, memcmp(name.wire, texts[i].wire, name.len) == 0);
        CHECK_AT(texts[i].text, strcmp(wp_name_text(name.wire, buf),
                                       texts[i].out ? texts[i].out : texts[i].text) == 0);
    }
}

/* The longest text: 250 octets that each need \DDD, in four labels. */
static void test_text_longest(void)
{
    struct wp_name name = {.len = 255}, again;
    char buf[WP_NAME_TEXT_MAX];

    memset(name.wire, 0xff, 254);
    name.wire[0] = name.wire[64] = name.wire[128] = 63;
    name.wire[192] = 61;
    CHECK(wp_name_len(name.wire, 255) == 255);
    CHECK(strlen(wp_name_text(name.wire, buf)) == 250 * 4 + 4);
    CHECK(wp_name_parse(buf, &again) == 0 && memcmp(again.wire, name.wire, 255) == 0);
}

/* RFC 4034 s6.1, and the edges of it; ascending. */
static const char *const canonical[] = {
    ".",
    "example.",
    "a.example.",
    "yljkjljk.a.example.",
    "Z.a.example.",
    "zABC.a.EXAMPLE.",
    "z.example.",
    "\\001.z.example.",
    "*.z.example.",
    "\\200.z.example.",
    "a.f.",
    "aa.f.",
};

static void test_compare(void)
{
    for (size_t i = 0; i < COUNT(canonical); i++) {
        for (size_t j = 0; j < COUNT(canonical); j++) {
            struct wp_name a, b;
            int d;

            CHECK(wp_name_parse(canonical[i], &a) == 0 && wp_name_parse(canonical[j], &b) == 0);
            d = wp_name_compare(a.wire, b.wire);
            CHECK_AT(canonical[i], (d < 0) == (i < j) && (d > 0) == (i > j));
            CHECK_AT(canonical[i], wp_name_equal(a.wire, b.wire) == (i == j));
        }
    }
}

static const struct {
    const char *name, *apex;
    bool within;
} withins[] = {
    {"example.org.", "example.org.", true},
    {"a.Example.org.", "example.ORG.", true},
    {"a.example.org.", ".", true},
    {".", ".", true},
    {".", "org.", false},
    {"org.", "example.org.", false},
    {"badexample.org.", "example.org.", false},
    {"example.org.net.", "example.org.", false},
    {"a\\.example.org.", "example.org.", false},
};

static void test_within(void)
{
    for (size_t i = 0; i < COUNT(withins); i++) {
        struct wp_name n, a;

        CHECK(wp_name_parse(withins[i].name, &n) == 0 && wp_name_parse(withins[i].apex, &a) == 0);
        CHECK_AT(withins[i].name, wp_name_within(n.wire, a.wire) == withins[i].within);
    }
}

static void test_parent_and_join(void)
{
    static const uint8_t name[] = "\1a\1b\1c";
    struct wp_name ret = {.len = 9};
    uint8_t long_one[] = L63 L63 L63 L61;

    CHECK(wp_name_parent(name, 0) == name && wp_name_parent(name, 2) == name + 4);
    CHECK(wp_name_parent(name, 3) == name + 6 && wp_name_parent(name, 99) == name + 6);
    CHECK(wp_name_join(name, 2, name + 4, &ret) == 0);
    CHECK(ret.len == 5 && memcmp(ret.wire, "\1a\1c", 5) == 0);
    CHECK(wp_name_join((const uint8_t *)"\1x", 2, ret.wire, &ret) == 0); /* onto itself */
    CHECK(ret.len == 7 && memcmp(ret.wire, "\1x\1a\1c", 7) == 0);
    CHECK(wp_name_join(name, 0, long_one, &ret) == 0 && ret.len == 255);
    CHECK(wp_name_join(name, 2, long_one, &ret) == WP_EMALFORMED && ret.len == 255);
}

RUN_TESTS(TEST(test_read), TEST(test_read_after_error), TEST(test_read_cut), TEST(test_plain),
          TEST(test_most_labels), TEST(test_hash_differs), TEST(test_text), TEST(test_text_longest),
          TEST(test_compare), TEST(test_within), TEST(test_parent_and_join))
