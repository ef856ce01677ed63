/* Lists and watches in protobuf taken apart: the objects, what is beside them, and what is refused; in one piece, in
 * pieces of every size, and cut at every octet. */
#include "kube_proto.h"

#include "backends/kubernetes/proto_split.h"

/* Everything that is handed out, as a text: "ADDED one\n"; what is left out: "-ADDED 5000 one\n". */
struct heard {
    char text[8000];
    size_t len;
    unsigned n, stop_at; /* stop_at: the item at which the callback says no, 0: none */
    const char *from, *to; /* the piece that was fed */
    unsigned in_place;
};

static int hear(void *arg, const char *type, const char *text, size_t len)
{
    struct heard *h = arg;

    h->in_place += text >= h->from && text + len <= h->to;
    h->len += (size_t)snprintf(h->text + h->len, sizeof(h->text) - h->len, "%s%s%.*s\n", type, type[0] != '\0' ? " " : "",
                               (int)len, text);
    return ++h->n == h->stop_at ? WP_ESTATE : 0;
}

static int hear_skipped(void *arg, const char *type, const char *head, size_t head_len, size_t len)
{
    struct heard *h = arg;

    h->len += (size_t)snprintf(h->text + h->len, sizeof(h->text) - h->len, "-%s%s%zu %.*s\n", type,
                               type[0] != '\0' ? " " : "", len, (int)(head_len < 5 ? head_len : 5), head);
    return ++h->n == h->stop_at ? WP_ESTATE : 0;
}

static const struct wp_kube_split_ops ops = {.item = hear, .skipped = hear_skipped};

struct limits {
    size_t item, outside;
};

/* In pieces of `each` octets (0: one piece), each an allocation of its own. What feed or end said; `rest` is
 * "KIND MESSAGE". */
static int run(enum wp_kube_split_kind kind, const void *data, size_t len, size_t each, struct limits l,
               struct heard *h, char rest[2000])
{
    struct wp_kube_proto_split *s = wp_kube_proto_split_new(kind, &ops, h);
    struct wp_kube_proto_rest what = {0};
    int r = 0;

    CHECK(s != NULL);
    if (l.item > 0)
        wp_kube_proto_split_limit(s, l.item, l.outside);
    for (size_t at = 0; r == 0 && at < len;) {
        size_t n = each == 0 || len - at < each ? len - at : each;
        char *piece = malloc(n);
        CHECK(piece != NULL);
        memcpy(piece, (const char *)data + at, n);
        h->from = piece;
        h->to = piece + n;
        r = wp_kube_proto_split_feed(s, piece, n);
        memset(piece, 'x', n);
        free(piece);
        at += n;
    }
    if (r == 0)
        r = wp_kube_proto_split_end(s, &what);
    else
        CHECK(wp_kube_proto_split_end(s, NULL) == r && wp_kube_proto_split_feed(s, "k8s", 3) == r); /* it stays */
    rest[0] = '\0';
    if (r == 0) {
        size_t n = (size_t)snprintf(rest, 2000, "%s%s", what.kind, what.kind[0] != '\0' ? " " : "");
        CHECK(what.len < 1000);
        memcpy(rest + n, what.msg, what.len);
        rest[n + what.len] = '\0';
    }
    wp_kube_proto_split_free(s);
    return r;
}

/* --- bodies ------------------------------------------------------------------------------------ */

#define TYPE(kind) "\x0a\x06\x12\x04" kind /* of four letters */
#define ROW(s) s, sizeof(s) - 1
static const struct {
    const char *what;
    enum wp_kube_split_kind kind;
    const char *body;
    size_t len;
    int ret;
    const char *items, *rest;
    struct limits limits;
} cases[] = {
    {"list", WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\x0e\x0a\x03rev\x12\x03one\x12\x02to\x1a\x00\x22\x00"), 0,
     "one\nto\n", "List \x0a\x03rev", {0}},
    {"metadata behind the items", WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\x0a\x12\x03one\x0a\x03rev"), 0, "one\n",
     "List \x0a\x03rev", {0}},
    {"empty item", WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\x04\x12\x00\x12\x00"), 0, "\n\n", "List ", {0}},
    {"no items", WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\x05\x0a\x03rev"), 0, "", "List \x0a\x03rev", {0}},
    {"empty list", WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\x00"), 0, "", "List ", {0}},
    {"fields that nobody knows", WP_KUBE_LIST,
     ROW("k8s\0" "\x2a\x01x" TYPE("List") "\x30\xff\x01" "\x12\x0e\x18\x07\x12\x03one\x2d" "1234\x22\x00" "\x39" "12345678"), 0, "one\n",
     "List \x18\x07\x2d" "1234\x22", {0}},
    {"no list", WP_KUBE_LIST, ROW("k8s\0\x0a\x08\x12\x06Status\x12\x0a\x12\x04" "Fail\x30\x9a\x03\x2a"), WP_EMALFORMED, "", "", {0}},
    {"status", WP_KUBE_LIST, ROW("k8s\0\x0a\x08\x12\x06Status\x12\x09\x12\x04" "Fail\x30\x9a\x03"), 0, "",
     "Status \x12\x04" "Fail\x30\x9a\x03", {0}},
    {"kind behind its content", WP_KUBE_LIST, ROW("k8s\0\x12\x05\x12\x03one" TYPE("List")), 0, "", "\x12\x03one", {0}},
    {"no magic", WP_KUBE_LIST, ROW("k8t\0"), WP_EMALFORMED, "", "", {0}},
    {"JSON", WP_KUBE_LIST, ROW("{\"kind\":\"ServiceList\"}"), WP_EMALFORMED, "", "", {0}},
    {"a page", WP_KUBE_LIST, ROW("<html>"), WP_EMALFORMED, "", "", {0}},
    {"nothing", WP_KUBE_LIST, ROW(""), WP_ECLOSED, "", "", {0}},
    {"magic alone", WP_KUBE_LIST, ROW("k8s\0"), WP_ECLOSED, "", "", {0}},
    {"kind alone", WP_KUBE_LIST, ROW("k8s\0" TYPE("List")), WP_ECLOSED, "", "", {0}},
    {"two contents", WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\x00\x12\x00"), WP_EMALFORMED, "", "", {0}},
    {"item longer than the list", WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\x05\x12\x04on"), WP_EMALFORMED, "", "", {0}},
    {"head longer than the list", WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\x02\x12\x81\x01"), WP_EMALFORMED, "", "", {0}},
    {"number longer than the list", WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\x03\x3d\x01\x01\x01\x01"), WP_EMALFORMED, "", "", {0}},
    {"group", WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\x02\x13\x14"), WP_EMALFORMED, "", "", {0}},
    {"field 0", WP_KUBE_LIST, ROW("k8s\0\x02\x00"), WP_EMALFORMED, "", "", {0}},
    {"tag without an end", WP_KUBE_LIST, ROW("k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), WP_EMALFORMED, "", "", {0}},
    {"length without an end", WP_KUBE_LIST, ROW("k8s\0\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), WP_EMALFORMED, "", "", {0}},
    {"length of 64 bits", WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12\x03one"), WP_ECLOSED,
     "one\n", "", {0}},
    {"kind too long", WP_KUBE_LIST, ROW("k8s\0\x0a\xff\xff\x04\x12"), WP_ELIMIT, "", "", {0}},
    {"kind of the wrong type", WP_KUBE_LIST, ROW("k8s\0\x0a\x02\x10\x01"), WP_EMALFORMED, "", "", {0}},
    {"beside at its limit", WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\x0e\x0a\x07" "0123456\x12\x03one"), 0, "one\n",
     "List \x0a\x07" "0123456", {100, 9}},
    {"beside past it", WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\x0e\x0a\x07" "0123456\x12\x03one"), WP_ELIMIT, "", "", {100, 8}},
    {"item at its limit", WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\x0a\x12\x03one\x12\x03two"), 0, "one\ntwo\n", "List ", {3, 100}},
    {"item past it", WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\x0b\x12\x04" "four\x12\x03two"), 0, "-4 four\ntwo\n", "List ", {3, 100}},

    /* frame: length, type, object {raw {magic, content}} */
    {"events", WP_KUBE_WATCH,
     ROW("\0\0\0\x14\x0a\x05" "ADDED\x12\x0b\x0a\x09k8s\0\x12\x03one\0\0\0\x16\x0a\x07" "DELETED\x12\x0b\x0a\x09k8s\0\x12\x03two"), 0,
     "ADDED one\nDELETED two\n", "", {0}},
    {"object first, and more", WP_KUBE_WATCH,
     ROW("\0\0\0\x20\x18\x05\x12\x15\x0a\x13k8s\0" TYPE("Some") "\x12\x03one\x22\x00\x0a\x05" "ADDED"), 0, "ADDED one\n", "", {0}},
    {"no object", WP_KUBE_WATCH, ROW("\0\0\0\x03\x0a\x01" "A\0\0\0\x05\x0a\x01" "B\x12\x00\0\0\0\x00"), 0, "A \nB \n\n", "", {0}},
    {"object without content", WP_KUBE_WATCH, ROW("\0\0\0\x0b\x0a\x01" "A\x12\x06\x0a\x04k8s\0"), 0, "A \n", "", {0}},
    {"nothing", WP_KUBE_WATCH, ROW(""), 0, "", "", {0}},
    {"JSON", WP_KUBE_WATCH, ROW("{\"type\":\"ADDED\"}"), WP_ECLOSED, "", "", {0}},
    {"object without magic", WP_KUBE_WATCH, ROW("\0\0\0\x0b\x0a\x01" "A\x12\x06\x0a\x04{}{}"), WP_EMALFORMED, "", "", {0}},
    {"object is short", WP_KUBE_WATCH, ROW("\0\0\0\x0a\x0a\x01" "A\x12\x05\x0a\x03k8s"), WP_EMALFORMED, "", "", {0}},
    {"object is a number", WP_KUBE_WATCH, ROW("\0\0\0\x05\x0a\x01" "A\x10\x01"), WP_EMALFORMED, "", "", {0}},
    {"type is a number", WP_KUBE_WATCH, ROW("\0\0\0\x02\x08\x01"), WP_EMALFORMED, "", "", {0}},
    {"frame ends within", WP_KUBE_WATCH, ROW("\0\0\0\x05\x0a\x05" "ADD"), WP_EMALFORMED, "", "", {0}},
    {"object ends within", WP_KUBE_WATCH, ROW("\0\0\0\x0d\x12\x0b\x0a\x09k8s\0\x12\x05one"), WP_EMALFORMED, "", "", {0}},
    {"torn in the frame's length", WP_KUBE_WATCH, ROW("\0\0\0\x03\x0a\x01" "A\0\0"), WP_ECLOSED, "A \n", "", {0}},
    {"torn in the frame", WP_KUBE_WATCH, ROW("\0\0\0\x03\x0a\x01" "A\0\0\0\x03\x0a"), WP_ECLOSED, "A \n", "", {0}},
    {"frame past its limit", WP_KUBE_WATCH,
     ROW("\0\0\0\x17\x0a\x05" "ADDED\x12\x0e\x0a\x0ck8s\0\x12\x06" "onetwo\0\0\0\x03\x0a\x01" "A"), 0, "-ADDED 23 onetw\nA \n", "", {22, 100}},
};

static void test_cases(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t each = 0; each <= cases[i].len; each++) {
            struct heard h = {0};
            char rest[2000];
            int r = run(cases[i].kind, cases[i].body, cases[i].len, each, cases[i].limits, &h, rest);
            if (r != cases[i].ret || strcmp(h.text, cases[i].items) != 0)
                print_error("%zu: %d '%s' '%s'\n", each, r, h.text, rest);
            CHECK_AT(cases[i].what, r == cases[i].ret);
            CHECK_AT(cases[i].what, strcmp(h.text, cases[i].items) == 0);
            CHECK_AT(cases[i].what, strcmp(rest, cases[i].rest) == 0);
            CHECK_AT(cases[i].what, each != 0 || cases[i].limits.item > 0 || h.text[0] == '\n' || strstr(h.text, " \n") != NULL || h.in_place == h.n);
        }
    }
}

/* A body that ends early is no whole one, wherever that is. */
static void test_cut(void)
{
    size_t end = cases[0].len - 4; /* behind the content; what follows says nothing */

    for (size_t len = 0; len < end; len++) {
        struct heard h = {0};
        char rest[2000];
        CHECK(run(WP_KUBE_LIST, cases[0].body, len, 3, (struct limits){0}, &h, rest) == WP_ECLOSED);
    }
}

static void test_callback_says_no(void)
{
    struct heard h = {.stop_at = 2};
    char rest[2000];

    CHECK(run(WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\x0f\x12\x03one\x12\x03two\x12\x03six"), 0, (struct limits){0}, &h, rest) == WP_ESTATE);
    CHECK(h.n == 2);
    h = (struct heard){.stop_at = 1};
    CHECK(run(WP_KUBE_WATCH, ROW("\0\0\0\x03\x0a\x01" "A\0\0\0\x03\x0a\x01" "B"), 0, (struct limits){0}, &h, rest) == WP_ESTATE && h.n == 1);
    h = (struct heard){.stop_at = 1};
    CHECK(run(WP_KUBE_LIST, ROW("k8s\0" TYPE("List") "\x12\x0b\x12\x04" "four\x12\x03two"), 0, (struct limits){3, 100}, &h, rest) == WP_ESTATE);
    CHECK(h.n == 1);
}

/* --- large ones ----------------------------------------------------------------------------- */

static struct {
    size_t n, octets, skipped, head;
    char first;
} large;

static int count_item(void *arg, const char *type, const char *text, size_t len)
{
    (void)arg;
    (void)type;
    (void)text;
    large.n++;
    large.octets += len;
    return 0;
}

static int count_skipped(void *arg, const char *type, const char *head, size_t head_len, size_t len)
{
    (void)arg;
    (void)type;
    large.skipped = len;
    large.head = head_len;
    large.first = head[0];
    return 0;
}

/* One item or event of 20 MB between two small ones, in pieces as they come from a socket. */
static void test_huge(void)
{
    static const struct wp_kube_split_ops count = {.item = count_item, .skipped = count_skipped};
    static char piece[16384];
    const size_t huge = 1280 * sizeof(piece);
    static struct pb p;

    memset(piece, 'a', sizeof(piece));
    for (int watch = 0; watch < 2; watch++) {
        struct wp_kube_proto_split *s = wp_kube_proto_split_new(watch ? WP_KUBE_WATCH : WP_KUBE_LIST, &count, NULL);
        memset(&large, 0, sizeof(large));
        p.len = 0;
        if (watch) {
            pb_octets(&p, "\0\0\0\x08\x12\x06\x0a\x04k8s\0\x01\x40\x00\x00", 16); /* a frame of 20 MiB */
        } else {
            pb_octets(&p, "k8s\0" TYPE("List"), 12);
            pb_varint(&p, 2 << 3 | 2);
            pb_varint(&p, 5 + 5 + huge + 5);
            pb_octets(&p, "\x12\x03one\x12", 6);
            pb_varint(&p, huge);
        }
        CHECK(s != NULL && wp_kube_proto_split_feed(s, (const char *)p.at, p.len) == 0);
        for (size_t n = 0; n < huge; n += sizeof(piece))
            CHECK(wp_kube_proto_split_feed(s, piece, sizeof(piece)) == 0);
        if (watch)
            CHECK(wp_kube_proto_split_feed(s, "\0\0\0\x00", 4) == 0);
        else
            CHECK(wp_kube_proto_split_feed(s, "\x12\x03two", 5) == 0);
        CHECK(wp_kube_proto_split_end(s, NULL) == 0);
        CHECK(large.n == 2 && large.skipped == huge && large.head == (watch ? 0 : WP_KUBE_HEAD));
        wp_kube_proto_split_free(s);
    }
    wp_kube_proto_split_free(NULL);
}

RUN_TESTS(TEST(test_cases), TEST(test_cut), TEST(test_callback_says_no), TEST(test_huge))
