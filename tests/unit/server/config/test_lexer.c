/* Corefile text to words. */
#include <stdlib.h>

#include "check.h"
#include "server/config/lexer_priv.h"

/* words: each followed by '|'; lines: of the words, as digits */
static const struct {
    const char *what, *text;
    size_t len;
    const char *words, *lines;
} cases[] = {
    {"nothing", WIRE(""), "", ""},
    {"white space only", WIRE(" \t\n \v\f"), "", ""},
    {"words", WIRE("a b\tc"), "a|b|c|", "111"},
    {"line numbers", WIRE("a\nb\n\n c"), "a|b|c|", "124"},
    {"byte-order mark is dropped", WIRE("\xef\xbb\xbf" "a"), "a|", "1"},
    {"only one byte-order mark", WIRE("\xef\xbb\xbf\xef\xbb\xbf" "a"), "\xef\xbb\xbf" "a|", "1"},
    {"no-break space separates", WIRE("a\xc2\xa0" "b"), "a|b|", "11"},
    {"next line (U+0085) separates", WIRE("a\xc2\x85" "b"), "a|b|", "11"},
    {"ogham space separates", WIRE("a\xe1\x9a\x80" "b"), "a|b|", "11"},
    {"en quad separates", WIRE("a\xe2\x80\x80" "b"), "a|b|", "11"},
    {"hair space separates", WIRE("a\xe2\x80\x8a" "b"), "a|b|", "11"},
    {"zero-width space does not", WIRE("a\xe2\x80\x8b" "b"), "a\xe2\x80\x8b" "b|", "1"},
    {"line separator separates", WIRE("a\xe2\x80\xa8" "b"), "a|b|", "11"},
    {"narrow no-break space", WIRE("a\xe2\x80\xaf" "b"), "a|b|", "11"},
    {"mathematical space", WIRE("a\xe2\x81\x9f" "b"), "a|b|", "11"},
    {"ideographic space", WIRE("a\xe3\x80\x80" "b"), "a|b|", "11"},
    {"carriage return vanishes in a word", WIRE("a\rb"), "ab|", "1"},
    {"carriage return before newline", WIRE("a\r\nb"), "a|b|", "12"},
    {"carriage return alone", WIRE("\r\r"), "", ""},
    {"carriage return in quotes stays", WIRE("\"a\rb\""), "a\rb|", "1"},
    {"comment line", WIRE("# a b\nc"), "c|", "2"},
    {"comment after space", WIRE("foo #bar baz\nx"), "foo|x|", "12"},
    {"comment in a word lasts to its end", WIRE("foo#bar baz\nx"), "foo|baz|x|", "112"},
    {"comment in a word, then newline", WIRE("foo#bar\nbaz"), "foo|baz|", "12"},
    {"comment with carriage return", WIRE("foo#b\rar baz"), "foo|baz|", "11"},
    {"comment to the end", WIRE("a # b"), "a|", "1"},
    {"hash in quotes", WIRE("\"a#b\" c"), "a#b|c|", "11"},
    {"quote in a comment", WIRE("# \"\na"), "a|", "2"},
    {"quoted word", WIRE("\"a b\" c"), "a b|c|", "11"},
    {"quote inside a word is ordinary", WIRE("a\"b c\"d"), "a\"b|c\"d|", "11"},
    {"closing quote ends the word", WIRE("\"a\"b"), "a|b|", "11"},
    {"two quoted words touch", WIRE("\"a\"\"b\""), "a|b|", "11"},
    {"escaped quote", WIRE("\"a\\\"b\""), "a\"b|", "1"},
    {"backslashes stay two", WIRE("\"a\\\\b\""), "a\\\\b|", "1"},
    {"other escapes stay", WIRE("\"a\\db\\n\""), "a\\db\\n|", "1"},
    {"escaped backslash before the quote", WIRE("\"a\\\\\" b"), "a\\\\|b|", "11"},
    {"no escapes outside quotes", WIRE("a\\\"b"), "a\\\"b|", "1"},
    {"newline in quotes", WIRE("\"a\nb\" c\nd"), "a\nb|c|d|", "123"},
    {"escaped newline in quotes", WIRE("\"a\\\nb\" c"), "a\\\nb|c|", "12"},
    {"empty quotes", WIRE("\"\" a"), "|a|", "11"},
    {"unterminated quote", WIRE("a \"b c\nd"), "a|b c\nd|", "11"},
    {"unterminated empty quote", WIRE("a \""), "a|", "1"},
    {"unterminated with a backslash last", WIRE("\"a\\"), "a|", "1"},
    {"back-quotes are ordinary", WIRE("`a b`"), "`a|b`|", "11"},
    {"backslash at the end of a line", WIRE("a \\\nb"), "a|\\|b|", "112"},
    {"braces", WIRE("{ } {a a{ }"), "{|}|{a|a{|}|", "11111"},
    {"invalid octet", WIRE("a\xff" "b"), "a\xef\xbf\xbd" "b|", "1"},
    {"cut character", WIRE("a\xe2\x80"), "a\xef\xbf\xbd\xef\xbf\xbd|", "1"},
    {"overlong slash", WIRE("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd|", "1"},
    {"overlong in three", WIRE("\xe0\x80\xaf"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|", "1"},
    {"surrogate", WIRE("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|", "1"},
    {"above U+10FFFF", WIRE("\xf4\x90\x80\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|", "1"},
    {"U+10FFFF", WIRE("\xf4\x8f\xbf\xbf"), "\xf4\x8f\xbf\xbf|", "1"},
    {"U+FFFD itself", WIRE("\xef\xbf\xbd"), "\xef\xbf\xbd|", "1"},
};

static void test_words(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_arena arena;
        struct wp_tokens t;
        char words[256] = "", lines[64] = "";
        unsigned line = 0;

        wp_arena_init(&arena, 1 << 20);
        CHECK_AT(cases[i].what,
                 wp_lex("C", cases[i].text, cases[i].len, 100, &arena, &t, &line) == 0);
        for (size_t n = 0; n < t.n; n++) {
            strcat(strcat(words, t.at[n].text), "|");
            snprintf(lines + strlen(lines), 8, "%u", t.at[n].line);
            CHECK_AT(cases[i].what, strcmp(t.at[n].file, "C") == 0);
        }
        if (strcmp(words, cases[i].words) != 0)
            print_error("got %s\n", words);
        CHECK_AT(cases[i].what, strcmp(words, cases[i].words) == 0);
        CHECK_AT(cases[i].what, strcmp(lines, cases[i].lines) == 0);
        wp_arena_done(&arena);
    }
}

static void test_breaks(void)
{
    static const char text[] = "\"a\n\nb\" c";
    struct wp_arena arena;
    struct wp_tokens t;
    unsigned line;

    wp_arena_init(&arena, 0);
    CHECK(wp_lex("C", text, sizeof(text) - 1, 100, &arena, &t, &line) == 0);
    CHECK(t.n == 2 && t.at[0].line == 1 && t.at[0].breaks == 2 && t.at[1].line == 3);
    wp_arena_done(&arena);
}

/* Each text cut at every octet: no read past the end (sanitizers), never more words than before
 * plus one. */
static void test_cut(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t len = 0; len < cases[i].len; len++) {
            char *exact = malloc(len > 0 ? len : 1);
            struct wp_arena arena;
            struct wp_tokens t;
            unsigned line;

            memcpy(exact, cases[i].text, len);
            wp_arena_init(&arena, 0);
            CHECK_AT(cases[i].what, wp_lex("C", exact, len, 100, &arena, &t, &line) == 0);
            CHECK_AT(cases[i].what, t.n <= len);
            wp_arena_done(&arena);
            free(exact);
        }
    }
}

static void test_refused(void)
{
    struct wp_arena arena;
    struct wp_tokens t;
    unsigned line = 0;

    wp_arena_init(&arena, 0);
    CHECK(wp_lex("C", "a\nb\0c", 5, 100, &arena, &t, &line) == WP_EMALFORMED && line == 2);
    CHECK(wp_lex("C", "\"b\0c\"", 5, 100, &arena, &t, &line) == WP_EMALFORMED && line == 1);
    CHECK(wp_lex("C", "a b c", 5, 3, &arena, &t, &line) == 0);
    CHECK(wp_lex("C", "a b c d", 7, 3, &arena, &t, &line) == WP_ELIMIT);
    CHECK(wp_lex("C", "# \0", 3, 3, &arena, &t, &line) == 0); /* in a comment: nobody sees it */
    wp_arena_done(&arena);
}

RUN_TESTS(TEST(test_words), TEST(test_breaks), TEST(test_cut), TEST(test_refused))
