/* autopath: what a resolv.conf says of the search list. */
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/plugins/autopath/autopath.h"

#define MANY10(s) s s s s s s s s s s

/* A row is a file; what comes of it, name after name; words left out. */
static const struct {
    const char *what, *text, *names;
    size_t len;
    unsigned left_out;
} cases[] = {
    {"empty", "", WIRE("\0"), 0},
    {"no list", "nameserver 192.0.2.1\noptions ndots:5\n", WIRE("\0"), 0},
    {"two names", "search bar.test BAZ.Test.\n", WIRE("\3bar\4test\0\3baz\4test\0\0"), 0},
    {"without newline", "search a", WIRE("\1a\0\0"), 0},
    {"carriage return, tabs", "\t search\ta.b \tc\r\n", WIRE("\1a\1b\0\1c\0\0"), 0},
    {"the last line wins", "search a b\nsearch c\n", WIRE("\1c\0\0"), 0},
    {"the last line wins, empty", "search a b\nsearch\n", WIRE("\0"), 0},
    {"domain is one name", "search a b\ndomain c d\n", WIRE("\1c\0\0"), 1},
    {"search after domain", "domain c\nsearch a b\n", WIRE("\1a\0\1b\0\0"), 0},
    {"root is no name to append", "search . a .\n", WIRE("\1a\0\0"), 0},
    {"comments", "#search a\n;search b\n# search c\n", WIRE("\0"), 0},
    {"other words", "searching a\nsear b\n", WIRE("\0"), 0},
    {"no names", "search a..b c \\400 d\n", WIRE("\1c\0\1d\0\0"), 2},
    {"32 names", "search " MANY10("a ") MANY10("a ") MANY10("a ") "a a", NULL, 32 * 3 + 1, 0},
    {"33 names", "search " MANY10("a ") MANY10("a ") MANY10("a ") "a a a", NULL, 32 * 3 + 1, 1},
};

static void parse_rows(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct autopath_list *l = NULL;
        char *text = strdup(cases[i].text);

        CHECK_AT(cases[i].what, autopath_list_parse(text, &l) == 0);
        CHECK_AT(cases[i].what, l->len == cases[i].len);
        CHECK_AT(cases[i].what, cases[i].names == NULL || memcmp(l->names, cases[i].names, l->len) == 0);
        CHECK_AT(cases[i].what, l->left_out == cases[i].left_out);
        CHECK_AT(cases[i].what, autopath_list_equal(l, l));
        free(l);
        free(text);
    }
}

static void longest_names(void)
{
    char text[32 * 260 + 16] = "search", *at = text + 6;
    struct autopath_list *l = NULL;

    for (int i = 0; i < 32; i++) {
        *at++ = ' ';
        for (int k = 0; k < 4; k++, *at++ = '.') {
            size_t n = k < 3 ? 63 : 61;

            memset(at, 'x', n);
            at += n;
        }
    }
    *at = '\0';
    CHECK(autopath_list_parse(text, &l) == 0);
    CHECK(l->len == 32 * 255 + 1 && l->left_out == 0);
    free(l);
}

static void files(void)
{
    char path[] = "/tmp/waypost-autopath-XXXXXX", why[AUTOPATH_WHY] = "";
    struct autopath_list *a = NULL, *b = NULL;
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");

    fputs("search a b\n", f);
    fflush(f);
    CHECK(autopath_list_read(path, &a, why) == 0 && a->len == 7);
    fputs("search a c\n", f);
    for (int i = 0; i < 70000; i++) /* what is behind the first 64 KiB is not read */
        fputc('\n', f);
    fputs("search d\n", f);
    fclose(f);
    CHECK(autopath_list_read(path, &b, why) == 0 && b->len == 7);
    CHECK(!autopath_list_equal(a, b));
    free(a);
    free(b);
    unlink(path);
    a = NULL;
    CHECK(autopath_list_read(path, &a, why) == -ENOENT && a == NULL && strstr(why, path) != NULL);
    CHECK(autopath_list_read("/tmp", &a, why) == -EISDIR && a == NULL && strcmp(why, "read /tmp") == 0);
}

RUN_TESTS(TEST(parse_rows), TEST(longest_names), TEST(files))
