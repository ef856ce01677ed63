/* Lists and watches taken apart: the items, what is outside of them, and what is refused; in one piece, in
 * pieces of every size, and cut at every octet. */
#include "check.h"

#include <stdlib.h>
#include "backends/kubernetes/split.h"

/* Everything that is handed out, as a text: "ADDED {...}\n"; one that is left out: "-ADDED 5000 {...\n". */
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
                               type[0] != '\0' ? " " : "", len, (int)(head_len < 20 ? head_len : 20), head);
    return ++h->n == h->stop_at ? WP_ESTATE : 0;
}

static const struct wp_kube_split_ops ops = {.item = hear, .skipped = hear_skipped};

struct limits {
    size_t item, outside;
};

/* In pieces of `each` octets (0: one piece), each an allocation of its own. Returns what feed or end said. */
static int run(enum wp_kube_split_kind kind, const char *text, size_t len, size_t each, struct limits l, struct heard *h,
               char outside[2000])
{
    struct wp_kube_split *s = wp_kube_split_new(kind, &ops, h);
    const char *rest = NULL;
    size_t rest_len = 0;
    int r = 0;

    CHECK(s != NULL);
    if (l.item > 0)
        wp_kube_split_limit(s, l.item, l.outside);
    for (size_t at = 0; r == 0 && at < len;) {
        size_t n = each == 0 || len - at < each ? len - at : each;
        char *piece = malloc(n);
        CHECK(piece != NULL);
        memcpy(piece, text + at, n);
        h->from = piece;
        h->to = piece + n;
        r = wp_kube_split_feed(s, piece, n);
        memset(piece, 'x', n);
        free(piece);
        at += n;
    }
    if (r == 0)
        r = wp_kube_split_end(s, &rest, &rest_len);
    else
        CHECK(wp_kube_split_end(s, NULL, NULL) == r && wp_kube_split_feed(s, "{}", 2) == r); /* it stays */
    outside[0] = '\0';
    if (r == 0) {
        CHECK(rest != NULL && strlen(rest) == rest_len && rest_len < 2000);
        memcpy(outside, rest, rest_len + 1);
    }
    wp_kube_split_free(s);
    return r;
}

static const struct {
    const char *what;
    enum wp_kube_split_kind kind;
    const char *text;
    int ret;
    const char *items, *outside;
    struct limits limits;
} cases[] = {
    {"list", WP_KUBE_LIST, "{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[{\"a\":1},{\"b\":[{}]}]}\n", 0,
     "{\"a\":1}\n{\"b\":[{}]}\n", "{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[]}", {0}},
    {"members behind the items", WP_KUBE_LIST, "{\"items\":[{}],\"metadata\":{\"continue\":\"c\"}}", 0, "{}\n",
     "{\"items\":[],\"metadata\":{\"continue\":\"c\"}}", {0}},
    {"no items", WP_KUBE_LIST, "{\"items\":[]}", 0, "", "{\"items\":[]}", {0}},
    {"items are null", WP_KUBE_LIST, "{\"items\":null,\"a\":1}", 0, "", "{\"items\":null,\"a\":1}", {0}},
    {"status", WP_KUBE_LIST, "{\"kind\":\"Status\",\"code\":410,\"ok\":false}", 0, "", "{\"kind\":\"Status\",\"code\":410,\"ok\":false}", {0}},
    {"empty object", WP_KUBE_LIST, "{}", 0, "", "{}", {0}},
    {"white space", WP_KUBE_LIST, " \r\n{ \"items\" : [ {} ,\t{\n} ] , \"a\" : 1 } \n", 0, "{}\n{\n}\n",
     "{ \"items\" : [] , \"a\" : 1 }", {0}},
    {"items deeper down", WP_KUBE_LIST, "{\"a\":{\"items\":[{}]},\"b\":[{\"items\":[{}]}]}", 0, "",
     "{\"a\":{\"items\":[{}]},\"b\":[{\"items\":[{}]}]}", {0}},
    {"items as a value", WP_KUBE_LIST, "{\"a\":\"items\",\"b\":[{}]}", 0, "", "{\"a\":\"items\",\"b\":[{}]}", {0}},
    {"longer name", WP_KUBE_LIST, "{\"itemss\":[{}],\"item\":[{}]}", 0, "", "{\"itemss\":[{}],\"item\":[{}]}", {0}},
    {"brackets and quotes in texts", WP_KUBE_LIST, "{\"m\":\"}],{\\\"\",\"items\":[{\"a\":\"]}\\\\\"},{\"\\\"{\":\"[\\\\\\\"\"}]}", 0,
     "{\"a\":\"]}\\\\\"}\n{\"\\\"{\":\"[\\\\\\\"\"}\n", "{\"m\":\"}],{\\\"\",\"items\":[]}", {0}},
    {"no list", WP_KUBE_LIST, "[{}]", WP_EMALFORMED, "", "", {0}},
    {"a word", WP_KUBE_LIST, "null", WP_EMALFORMED, "", "", {0}},
    {"a page", WP_KUBE_LIST, "<html>", WP_EMALFORMED, "", "", {0}},
    {"nothing", WP_KUBE_LIST, "", WP_ECLOSED, "", "", {0}},
    {"two", WP_KUBE_LIST, "{}{}", WP_EMALFORMED, "", "", {0}},
    {"item is a number", WP_KUBE_LIST, "{\"items\":[1]}", WP_EMALFORMED, "", "", {0}},
    {"item is a list", WP_KUBE_LIST, "{\"items\":[[]]}", WP_EMALFORMED, "", "", {0}},
    {"no comma", WP_KUBE_LIST, "{\"items\":[{}{}]}", WP_EMALFORMED, "{}\n", "", {0}},
    {"comma at the end", WP_KUBE_LIST, "{\"items\":[{},]}", WP_EMALFORMED, "{}\n", "", {0}},
    {"comma at the beginning", WP_KUBE_LIST, "{\"items\":[,{}]}", WP_EMALFORMED, "", "", {0}},
    {"list closed as an object", WP_KUBE_LIST, "{\"items\":[{}}", WP_EMALFORMED, "{}\n", "", {0}},
    {"member without a name", WP_KUBE_LIST, "{1:2}", WP_EMALFORMED, "", "", {0}},
    {"member without a colon", WP_KUBE_LIST, "{\"items\"[{}]}", WP_EMALFORMED, "", "", {0}},
    {"member without a value", WP_KUBE_LIST, "{\"a\":,\"b\":1}", WP_EMALFORMED, "", "", {0}},
    {"member without an end", WP_KUBE_LIST, "{\"a\":}", WP_EMALFORMED, "", "", {0}},
    {"two values", WP_KUBE_LIST, "{\"a\":\"b\" 1}", WP_EMALFORMED, "", "", {0}},
    {"two words", WP_KUBE_LIST, "{\"a\":1 2}", WP_EMALFORMED, "", "", {0}},
    {"last comma", WP_KUBE_LIST, "{\"a\":1,}", WP_EMALFORMED, "", "", {0}},
    {"outside at its limit", WP_KUBE_LIST, "{\"a\":\"0123456789\",\"items\":[{}]}", 0, "{}\n", "{\"a\":\"0123456789\",\"items\":[]}", {100, 29}},
    {"outside past it", WP_KUBE_LIST, "{\"a\":\"0123456789\",\"items\":[{}]}", WP_ELIMIT, "{}\n", "", {100, 28}},
    {"item at its limit", WP_KUBE_LIST, "{\"items\":[{\"a\":\"0123\"},{}]}", 0, "{\"a\":\"0123\"}\n{}\n", "{\"items\":[]}", {12, 100}},
    {"item past it", WP_KUBE_LIST, "{\"items\":[{\"a\":\"01234\"},{}]}", 0, "-13 {\"a\":\"01234\"}\n{}\n", "{\"items\":[]}", {12, 100}},

    {"events", WP_KUBE_WATCH, "{\"type\":\"ADDED\",\"object\":{\"a\":1}}\n{\"type\":\"DELETED\",\"object\":{\"b\":{\"type\":\"x\"}}}\n", 0,
     "ADDED {\"a\":1}\nDELETED {\"b\":{\"type\":\"x\"}}\n", "", {0}},
    {"object first", WP_KUBE_WATCH, "{\"object\":{\"a\":1},\"more\":[1,{\"object\":{}}],\"type\":\"ADDED\"}", 0, "ADDED {\"a\":1}\n", "", {0}},
    {"no white space between", WP_KUBE_WATCH, "{\"type\":\"A\",\"object\":{}}{\"object\":{}}", 0, "A {}\n{}\n", "", {0}},
    {"over many lines", WP_KUBE_WATCH, "{\n \"type\" : \"A\",\n \"object\" : {\n}\n}\n\n", 0, "A {\n}\n", "", {0}},
    {"no object", WP_KUBE_WATCH, "{\"type\":\"A\"}{\"type\":\"B\",\"object\":null}{}", 0, "A \nB \n\n", "", {0}},
    {"type is no text", WP_KUBE_WATCH, "{\"type\":7,\"object\":{}}", 0, "{}\n", "", {0}},
    {"nothing", WP_KUBE_WATCH, "", 0, "", "", {0}},
    {"white space only", WP_KUBE_WATCH, "\n \n", 0, "", "", {0}},
    {"a page", WP_KUBE_WATCH, "<html>", WP_EMALFORMED, "", "", {0}},
    {"a list", WP_KUBE_WATCH, "[{}]", WP_EMALFORMED, "", "", {0}},
    {"no comma", WP_KUBE_WATCH, "{\"type\":\"A\" \"object\":{}}", WP_EMALFORMED, "", "", {0}},
    {"torn", WP_KUBE_WATCH, "{\"type\":\"A\",\"object\":{}}\n{\"type\":\"B\",\"obj", WP_ECLOSED, "A {}\n", "", {0}},
    {"torn before the event's end", WP_KUBE_WATCH, "{\"type\":\"A\",\"object\":{}", WP_ECLOSED, "", "", {0}},
    {"object past its limit", WP_KUBE_WATCH, "{\"type\":\"A\",\"object\":{\"a\":\"01234\"}}{\"object\":{}}", 0, "-A 13 {\"a\":\"01234\"}\n{}\n", "", {12, 100}},
    {"around the object, each event anew", WP_KUBE_WATCH, "{\"type\":\"A\",\"object\":{}}{\"type\":\"A\",\"object\":{}}", 0, "A {}\nA {}\n", "", {100, 24}},
    {"around the object, too much", WP_KUBE_WATCH, "{\"type\":\"A\",\"object\":{}}", WP_ELIMIT, "", "", {100, 23}},
};

static void test_cases(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].text);

        for (size_t each = 0; each <= len; each++) {
            struct heard h = {0};
            char outside[2000];
            int r = run(cases[i].kind, cases[i].text, len, each, cases[i].limits, &h, outside);
            if (r != cases[i].ret || strcmp(h.text, cases[i].items) != 0)
                print_error("%zu: %d %s %s\n", each, r, h.text, outside);
            CHECK_AT(cases[i].what, r == cases[i].ret);
            CHECK_AT(cases[i].what, strcmp(h.text, cases[i].items) == 0);
            CHECK_AT(cases[i].what, cases[i].kind == WP_KUBE_WATCH || strcmp(outside, cases[i].outside) == 0);
            CHECK_AT(cases[i].what, each != 0 || cases[i].limits.item > 0 || h.in_place == h.n || h.text[0] == '\n' || strstr(h.text, " \n") != NULL);
        }
    }
}

/* A body that ends early is no whole one, wherever that is. */
static void test_cut(void)
{
    const char *list = cases[0].text;
    size_t end = strlen(list) - 1; /* behind the last bracket */

    for (size_t len = 0; len < end; len++) {
        struct heard h = {0};
        char outside[2000];
        CHECK(run(WP_KUBE_LIST, list, len, 3, (struct limits){0}, &h, outside) == WP_ECLOSED);
    }
}

static void test_depth(void)
{
    for (int over = 0; over < 2; over++) {
        size_t depth = WP_KUBE_DEPTH_MAX - 1 + (size_t)over, len = 0;
        char text[4000];
        struct heard h = {0};
        char outside[2000];

        len += (size_t)sprintf(text, "{\"items\":[{\"a\":");
        memset(text + len, '[', depth - 1);
        memset(text + len + depth - 1, ']', depth - 1);
        strcpy(text + len + 2 * (depth - 1), "}]}");
        CHECK(run(WP_KUBE_LIST, text, strlen(text), 7, (struct limits){0}, &h, outside) == (over ? WP_ELIMIT : 0));
        CHECK(h.n == (over ? 0 : 1));
    }
}

static void test_callback_says_no(void)
{
    struct heard h = {.stop_at = 2};
    char outside[2000];

    CHECK(run(WP_KUBE_LIST, "{\"items\":[{},{},{}]}", 20, 0, (struct limits){0}, &h, outside) == WP_ESTATE && h.n == 2);
    h = (struct heard){.stop_at = 1};
    CHECK(run(WP_KUBE_WATCH, "{\"object\":{}}{}", 15, 0, (struct limits){0}, &h, outside) == WP_ESTATE && h.n == 1);
    h = (struct heard){.stop_at = 1};
    CHECK(run(WP_KUBE_LIST, "{\"items\":[{\"a\":\"0123456789\"},{}]}", 33, 0, (struct limits){12, 100}, &h, outside) == WP_ESTATE && h.n == 1);
}

/* --- a large one ---------------------------------------------------------------------------- */

static struct {
    size_t n, octets, skipped, head;
} large;

static int count_item(void *arg, const char *type, const char *text, size_t len)
{
    (void)arg;
    (void)type;
    CHECK(text[0] == '{' && text[len - 1] == '}');
    large.n++;
    large.octets += len;
    return 0;
}

static int count_skipped(void *arg, const char *type, const char *head, size_t head_len, size_t len)
{
    (void)arg;
    (void)type;
    CHECK(strncmp(head, "{\"metadata\":{\"name\":\"huge\"", 25) == 0);
    large.skipped = len;
    large.head = head_len;
    return 0;
}

/* One item of 20 MB between two small ones, in pieces as they come from a socket. */
static void test_huge_item(void)
{
    static const struct wp_kube_split_ops count = {.item = count_item, .skipped = count_skipped};
    struct wp_kube_split *s = wp_kube_split_new(WP_KUBE_LIST, &count, NULL);
    char piece[16384];
    const char *outside;
    size_t len;

    CHECK(s != NULL);
    memset(piece, 'a', sizeof(piece));
    CHECK(wp_kube_split_feed(s, "{\"items\":[{\"b\":1},{\"metadata\":{\"name\":\"huge\"},\"c\":\"", 52) == 0);
    for (int i = 0; i < 20 * 64; i++)
        CHECK(wp_kube_split_feed(s, piece, sizeof(piece)) == 0);
    CHECK(wp_kube_split_feed(s, "\"},{\"d\":2}]}", 12) == 0 && wp_kube_split_end(s, &outside, &len) == 0);
    CHECK(strcmp(outside, "{\"items\":[]}") == 0);
    CHECK(large.n == 2 && large.octets == 14 && large.head == WP_KUBE_HEAD);
    CHECK(large.skipped == 34 + 20 * 64 * sizeof(piece) + 2);
    wp_kube_split_free(s);
    wp_kube_split_free(NULL);
}

RUN_TESTS(TEST(test_cases), TEST(test_cut), TEST(test_depth), TEST(test_callback_says_no), TEST(test_huge_item))
