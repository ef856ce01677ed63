/* The grammar: blocks, directives, snippets, import, environment. Expected texts of errors are
 * those of CoreDNS 1.15.0, checked against it, where the row does not say otherwise. */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "server/config/conf_dump.h"

static char dir[64]; /* holds the files that are imported */

static const struct {
    const char *name, *text;
} files[] = {
    {"empty", ""},
    {"comment", "# nothing\n"},
    {"one", "root one"},
    {"two", "root two\nroot three\n"},
    {"keys", "b.example,\nc.example"},
    {"block", "imported.example {\n root x\n}\n"},
    {"snippets", "(fromfile) {\n root snip\n}\n"},
    {"options", "success 1\ndenial 2\n"},
    {"nested/outer", "import inner\n"},
    {"nested/inner", "root inner\n"},
    {"d/1.conf", "root 1"},
    {"d/2.conf", "root 2"},
    {"d/10.conf", "root 10"},
    {"d/.hidden.conf", "root hidden"},
    {"self", "import self\n"},
    {"bad", "nonsense\n"},
    {"open", "root a {\n"},
    {"env", "root {$WP_TEST_ONE}"},
};

static const struct {
    const char *what, *text, *dump;
    const char *error;   /* of the first, as a start prints it; NULL: none */
    const char *another; /* of the second; NULL: there is none */
} cases[] = {
    /* blocks and keys */
    {"empty file: built in", "", ".{whoami;log}", NULL, NULL},
    {"only comments: built in", "# a\n#b", ".{whoami;log}", NULL, NULL},
    {"only snippets: built in", "(a) {\n root x\n}\n", ".{whoami;log}", NULL, NULL},
    {"braces", ". {\n root x\n}\n", ".{root x}", NULL, NULL},
    {"no braces", ".\nroot x\nroot y", ".{root x;root y}", NULL, NULL},
    {"no braces, closed: the next block follows", ".\nroot x\n}\nb\nroot y", ".{root x}b{root y}", NULL, NULL},
    {"keys only", "a.example b.example", "a.example,b.example{}", NULL, NULL},
    {"empty braces", ". {\n}\n", ".{}", NULL, NULL},
    {"empty braces on one line", ". { }", ".{}", NULL, NULL},
    {"directive on the line of the brace", ". { root x\n}", ".{root x}", NULL, NULL},
    {"comma and space; a comma within a word is part of it", "a, b,c d {\n}", "a,b,c,d{}", NULL, NULL},
    {"trailing comma continues", "a,\nb {\n}", "a,b{}", NULL, NULL},
    {"brace alone on the next line", "a b\n{\nroot x\n}", "a,b{root x}", NULL, NULL},
    {"brace after a comma", "., {\n}", ".{}",
     "C:1 - Error during parsing: Expected another address but had '{' - check for extra comma", NULL},
    {"brace after a comma on the next line", ".,\n{\n}", ".{}",
     "C:2 - Error during parsing: Expected another address but had '{' - check for extra comma", NULL},
    {"brace glued to a comma is a key", ".,{\nroot x\n}", ".,{{root x}", NULL, NULL},
    {"end after a comma", ".,\n", ".{}", "C:1 - Error during parsing: Unexpected EOF", NULL},
    {"empty key", "\"\" a {\n}", "a{}", NULL, NULL},
    {"only an empty key: dropped", "\"\" {\nroot x\n}\nb {\n}", "b{}", NULL, NULL},
    {"no key: dropped", "{\nroot x\n}\nb {\n}", "b{}", NULL, NULL},
    {"a comma alone is an empty key", ",\nb {\n}", ",b{}", NULL, NULL},
    {"two blocks", "a {\n root x\n}\nb {\n root y\n}\n", "a{root x}b{root y}", NULL, NULL},
    {"next block on the line of the brace", "a {\n} b {\n}", "a{}b{}", NULL, NULL},
    {"a brace too many is a key", "a {\n}\n}\n", "a{}}{}", NULL, NULL},
    {"quoted brace is a brace", ". \"{\"\nroot x\n\"}\"", ".{root x}", NULL, NULL},
    {"brace in a word is a word", "a{ {\n}", "a{{}", NULL, NULL},
    {"block not closed", ". {\nroot x\n", ".{root x}",
     "C:2 - Syntax error: Unexpected token 'x', expecting '}'", NULL},
    {"nothing after the brace", ". {", ".{}", "C:1 - Syntax error: Unexpected token '{', expecting '}'", NULL},

    /* directives */
    {"arguments", ". {\nroot a b \"c d\" \"\"\n}", ".{root a b c d }", NULL, NULL},
    {"same directive twice", ". {\nroot a\ncache\nroot b\n}", ".{root a;cache;root b}", NULL, NULL},
    {"unknown", ". {\nfoo\nroot x\n}", ".{root x}",
     "C:2 - Error during parsing: Unknown directive 'foo'", NULL},
    {"unknown with options", ". {\nfoo a {\n b\n c {\n }\n}\nroot x\n}", ".{root x}",
     "C:2 - Error during parsing: Unknown directive 'foo'", NULL},
    {"case counts", ". {\nRoot x\n}", ".{}", "C:2 - Error during parsing: Unknown directive 'Root'", NULL},
    {"brace as directive", ". {\n{\nroot x\n}\n}", ".{}",
     "C:2 - Error during parsing: Unknown directive '{'", NULL},
    {"known, not built: D-not-built", ". {\nroute53\nroot x\n}", ".{root x}",
     "C:2 - Error during parsing: directive 'route53' of CoreDNS is not in this build of waypost", NULL},
    {"two unknown: both told", ". {\nfoo\nbar\n}", ".{}",
     "C:2 - Error during parsing: Unknown directive 'foo'",
     "C:3 - Error during parsing: Unknown directive 'bar'"},
    {"closing brace after a word", ". {\nroot x }\n", ".{root x}",
     "C:2 - Error during parsing: Unexpected '}' because no matching opening brace", NULL},
    {"the block ends there", "a { root x }\nb {\nfoo\n}", "a{root x}b{}",
     "C:1 - Error during parsing: Unexpected '}' because no matching opening brace",
     "C:3 - Error during parsing: Unknown directive 'foo'"},
    {"quoted newline: the line goes on", ". {\nroot \"a\nb\" c\ncache\n}", ".{root a\nb c;cache}", NULL, NULL},

    /* option blocks */
    {"options", ". {\ncache 3 {\n success 1 2\n denial 3\n}\n}", ".{cache 3[success 1 2;denial 3]}", NULL, NULL},
    {"empty option block", ". {\ncache {\n}\n}", ".{cache[]}", NULL, NULL},
    {"empty option block on one line", ". {\ncache { }\nroot x\n}", ".{cache[];root x}", NULL, NULL},
    {"first option on the line of the brace", ". {\ncache { success 1\n denial 2\n}\n}",
     ".{cache[success 1;denial 2]}", NULL, NULL},
    {"closing brace after an option: D-brace-word", ". {\ncache { success 1 }\nroot x\n}",
     ".{cache[success 1];root x}", NULL, NULL},
    {"braces within options", ". {\ncache {\n a b {\n  c\n }\n d\n}\n}", ".{cache[a b[c];d]}", NULL, NULL},
    {"brace as an option", ". {\ncache {\n {\n a\n }\n}\n}", ".{cache[{[a]]}", NULL, NULL},
    {"option block on the next line: D-brace-line", ". {\ncache\n{\n success 1\n}\nroot x\n}", ".{cache[success 1];root x}",
     "C:3 - Error during parsing: '{' must be on the same line as 'cache'", NULL},
    {"word after an option block: D-brace-line", ". {\ncache {\n a\n} b c\nroot x\n}", ".{cache[a];root x}",
     "C:4 - Error during parsing: Unexpected token 'b' after '}'", NULL},
    {"two option blocks: D-brace-line", ". {\ncache {\n a\n} {\n b\n}\n}", ".{cache[a]}",
     "C:4 - Error during parsing: Unexpected token '{' after '}'", NULL},
    {"closing brace after an option block", ". {\ncache {\n a\n} }\n", ".{cache[a]}",
     "C:4 - Error during parsing: Unexpected '}' because no matching opening brace", NULL},
    {"option block not closed", ". {\ncache {\n a\n", ".{cache[a]}",
     "C:3 - Error during parsing: Unexpected EOF", NULL},
    {"nothing after the option brace", ". {\ncache {", ".{cache[]}",
     "C:2 - Error during parsing: Unexpected EOF", NULL},
    {"brace of the options is taken for the block's", ". {\ncache {\n a\n}\n", ".{cache[a]}", NULL, NULL},

    /* environment: WP_TEST_ONE=1, _TWO="a b", _BRACE="{", _CLOSE="}", _REF={$WP_TEST_ONE},
     * _SELF={$WP_TEST_SELF}, _PERCENT={%WP_TEST_ONE%}, _NAME=root, _IMPORT=one */
    {"in an argument", ". {\nroot {$WP_TEST_ONE} x{$WP_TEST_ONE}y\n}", ".{root 1 x1y}", NULL, NULL},
    {"other form", ". {\nroot {%WP_TEST_ONE%}{%WP_TEST_ONE%}\n}", ".{root 11}", NULL, NULL},
    {"several in a word", ". {\nroot {$WP_TEST_ONE}-{%WP_TEST_NAME%}-{$WP_TEST_ONE}\n}", ".{root 1-root-1}", NULL, NULL},
    {"unset is empty", ". {\nroot a{$WP_TEST_UNSET}b {$WP_TEST_UNSET}\n}", ".{root ab }", NULL, NULL},
    {"empty name stops", ". {\nroot {$}{$WP_TEST_ONE} {%%}{%WP_TEST_ONE%}\n}",
     ".{root {$}{$WP_TEST_ONE} {%%}{%WP_TEST_ONE%}}", NULL, NULL},
    {"empty name of one form", ". {\nroot {%%}{$WP_TEST_ONE}\n}", ".{root {%%}1}", NULL, NULL},
    {"not closed", ". {\nroot {$WP_TEST_ONE\n}", ".{root {$WP_TEST_ONE}", NULL, NULL},
    {"value with spaces is one word", ". {\nroot {$WP_TEST_TWO} c\n}", ".{root a b c}", NULL, NULL},
    {"value is a brace: no block", ". {\ncache {$WP_TEST_BRACE}\n}", ".{cache {}", NULL, NULL},
    {"value is a closing brace", ". {\ncache {\n a {$WP_TEST_CLOSE}\n}\n}", ".{cache[a }]}", NULL, NULL},
    {"value is looked at again", ". {\nroot {$WP_TEST_REF}\n}", ".{root 1}", NULL, NULL},
    {"percent form only before", ". {\nroot {$WP_TEST_PERCENT}\n}", ".{root {%WP_TEST_ONE%}}", NULL, NULL},
    {"value refers to itself: D-env-loop", ". {\nroot {$WP_TEST_SELF}\n}", ".{root }",
     "C:2 - Error during parsing: environment variables in '{$WP_TEST_SELF}' grow too long", NULL},
    {"in a key", "{$WP_TEST_NAME}.example:{$WP_TEST_ONE} {\n}", "root.example:1{}", NULL, NULL},
    {"key expands to nothing", "{$WP_TEST_UNSET} a {\n}", "a{}", NULL, NULL},
    {"in the name of a directive", ". {\n{$WP_TEST_NAME} x\n}", ".{root x}", NULL, NULL},
    {"unknown after expansion", ". {\n{$WP_TEST_ONE} x\n}", ".{}",
     "C:2 - Error during parsing: Unknown directive '1'", NULL},
    {"in the name of an option", ". {\ncache {\n{$WP_TEST_NAME} {$WP_TEST_ONE}\n}\n}", ".{cache[root 1]}", NULL, NULL},
    {"in an import", ". {\nimport {$WP_TEST_IMPORT}\n}", ".{root one}", NULL, NULL},
    {"in an imported file", ". {\nimport env\n}", ".{root 1}", NULL, NULL},

    /* snippets */
    {"snippet", "(s) {\n root x\n cache\n}\n. {\n import s\n root y\n}", ".{root x;cache;root y}", NULL, NULL},
    {"used in two blocks", "(s) {\n root x\n}\na {\nimport s\n}\nb {\nimport s\n}", "a{root x}b{root x}", NULL, NULL},
    {"used twice in a block: D-import-twice", "(s) {\n root x\n}\na {\nimport s\nimport s\n}",
     "a{root x;root x}", NULL, NULL},
    {"in an option block", "(s) {\n success 1\n denial 2\n}\n. {\ncache {\n import s\n prefetch 3\n}\n}",
     ".{cache[success 1;denial 2;prefetch 3]}", NULL, NULL},
    {"with an option block inside", "(s) {\n cache {\n  success 1\n }\n}\n. {\nimport s\n}", ".{cache[success 1]}", NULL, NULL},
    {"empty body", "(s) {\n}\n. {\nimport s\nroot x\n}", ".{root x}", NULL, NULL},
    {"a snippet of keys", "(s) {\n a,\n b\n}\nimport s\n{\nroot x\n}", "a,b{root x}", NULL, NULL},
    {"a snippet uses one before it", "(s) {\n root x\n}\n(t) {\n import s\n root y\n}\n. {\nimport t\n}",
     ".{root x;root y}", NULL, NULL},
    {"and one after it", "(t) {\n import s\n}\n(s) {\n root x\n}\n. {\nimport t\n}", ".{root x}", NULL, NULL},
    {"no arguments of snippets", "(s) {\n root {args.0}\n}\n. {\nimport s\n}", ".{root {args.0}}", NULL, NULL},
    {"declared twice", "(s) {\n root x\n}\n(s) {\n root y\n}\n. {\nimport s\n}", ".{root x}",
     "C:4 - Error during parsing: redeclaration of previously declared snippet s", NULL},
    {"without braces", "(s)\nroot x\n", "", "C:2 - Syntax error: Unexpected token 'root', expecting '{'", NULL},
    {"not closed", "(s) {\nroot x\n", "", "C:2 - Syntax error: Unexpected token 'x', expecting '}'", NULL},
    {"name alone is a key", "(s)", "(s){}", NULL, NULL},
    {"two keys are not a snippet", "(s) a {\nroot x\n}", "(s),a{root x}", NULL, NULL},
    {"imports itself", "(s) {\n import s\n}\n. {\nimport s\n}", ".{}",
     "C:3 - Error during parsing: maximum snippet import depth (10000) exceeded", NULL},
    {"imports itself in an option block", "(s) {\n cache {\n  import s\n }\n}\n. {\n}", ".{}",
     "C:5 - Error during parsing: maximum snippet import depth (10000) exceeded", NULL},
    {"word import within a line", "(s) {\n root import s\n}\n. {\nimport s\n}", ".{root import s}", NULL, NULL},
    {"two import each other", "(s) {\n import t\n}\n(t) {\n import s\n}\n. {\nimport s\n}", ".{}",
     "C:5 - Error during parsing: maximum snippet import depth (10000) exceeded", NULL},
    {"the same, not used", "(s) {\n import t\n}\n(t) {\n import s\n}\n. {\nroot x\n}", ".{root x}", NULL, NULL},

    /* import of files */
    {"file", ". {\nimport one\nroot x\n}", ".{root one;root x}", NULL, NULL},
    {"no newline at its end", ". {\nimport one\nimport two\n}", ".{root one;root two;root three}", NULL, NULL},
    {"the same file twice: D-import-twice", ". {\nimport one\nimport one\n}", ".{root one;root one}", NULL, NULL},
    {"empty file", ". {\nimport empty\nroot x\n}", ".{root x}", NULL, NULL},
    {"file of comments", ". {\nimport comment\nroot x\n}", ".{root x}", NULL, NULL},
    {"whole blocks", "import block\n. {\n}", "imported.example{root x}.{}", NULL, NULL},
    {"snippets from a file", "import snippets\n. {\nimport fromfile\n}", ".{root snip}", NULL, NULL},
    {"keys from a file", "a.example,\nimport keys\n{\nroot x\n}", "a.example,b.example,c.example{root x}", NULL, NULL},
    {"an empty file in the place of a key", "import empty\n. {\nroot x\n}", ".{root x}", NULL, NULL},
    {"only an empty file: built in", "import empty\n", ".{whoami;log}", NULL, NULL},
    {"options from a file", ". {\ncache {\n import options\n prefetch 1\n}\n}", ".{cache[success 1;denial 2;prefetch 1]}", NULL, NULL},
    {"relative to the importing file", ". {\nimport nested/outer\n}", ".{root inner}", NULL, NULL},
    {"with dots", ". {\nimport ./d/../one\n}", ".{root one}", NULL, NULL},
    {"glob, sorted by text, dot files too", ". {\nimport d/*.conf\n}", ".{root hidden;root 1;root 10;root 2}", NULL, NULL},
    {"glob of one character", ". {\nimport d/?.conf\n}", ".{root 1;root 2}", NULL, NULL},
    {"glob in a folder's name", ". {\nimport neste*/inner\n}", ".{root inner}", NULL, NULL},
    {"glob and one character", ". {\nimport d/?0.c*\n}", ".{root 10}", NULL, NULL},
    {"glob without match: a warning", ". {\nimport none*\nroot x\n}", ".{root x}", NULL, NULL},
    {"no such file", ". {\nimport none\nroot x\n}", ".{root x}",
     "C:2 - Error during parsing: File to import not found: none", NULL},
    {"no argument", ". {\nimport\nroot x\n}", ".{root x}",
     "C:2 - Error during parsing: Wrong argument count or unexpected line ending after 'import'", NULL},
    {"no argument at the end", ".\nimport", ".{}",
     "C:2 - Error during parsing: Wrong argument count or unexpected line ending after 'import'", NULL},
    {"empty argument", ". {\nimport \"\"\nroot x\n}", ".{root x}",
     "C:2 - Error during parsing: Import requires a non-empty filepath", NULL},
    {"empty after expansion", ". {\nimport {$WP_TEST_UNSET}\n}", ".{}",
     "C:2 - Error during parsing: Import requires a non-empty filepath", NULL},
    {"two arguments", ". {\nimport one two\nroot x\n}", ".{root x}",
     "C:2 - Error during parsing: Import takes only one argument (glob pattern or file)", NULL},
    {"brace is an argument too many", "import one {\n}\n", "}{}",
     "C:1 - Error during parsing: Import takes only one argument (glob pattern or file)", NULL},
    {"directory", ". {\nimport d\n}", ".{}", "C:2 - Error during parsing: Could not import DIR/d: is a directory", NULL},
    {"two stars", ". {\nimport d/*.c*\n}", ".{}",
     "C:2 - Error during parsing: Glob pattern may only contain one wildcard (*), but has others: DIR/d/*.c*", NULL},
    {"two question marks", ". {\nimport d/??\n}", ".{}",
     "C:2 - Error during parsing: Glob pattern may only contain one wildcard (*), but has others: DIR/d/??", NULL},
    {"brackets", ". {\nimport d/[12].conf\n}", ".{}",
     "C:2 - Error during parsing: Glob pattern may only contain one wildcard (*), but has others: DIR/d/[12].conf", NULL},
    {"half a bracket", ". {\nimport d/[12.conf\n}", ".{}",
     "C:2 - Error during parsing: Failed to use import pattern d/[12.conf: syntax error in pattern", NULL},
    {"place of an error in an import", ". {\nimport bad\n}", ".{}",
     "DIR/bad:1 - Error during parsing: Unknown directive 'nonsense'", NULL},
    {"end of the import is not the end of the group", ". {\nimport open\nb\n}\n}", ".{root a[b]}", NULL, NULL},
    {"imports itself", ". {\nimport self\n}", ".{}",
     "DIR/self:1 - Error during parsing: maximum file import depth (10000) exceeded", NULL},
};

/* DIR in an expected text stands for the folder. */
static const char *with_dir(const char *text, char out[512])
{
    const char *at = strstr(text, "DIR");

    if (at == NULL)
        return text;
    snprintf(out, 512, "%.*s%s%s", (int)(at - text), text, dir, at + 3);
    return out;
}

static void check_error(const char *what, struct wp_conf_report *r, const struct wp_conf_error *e,
                        const char *expected)
{
    char want[512];
    const char *text;

    CHECK_AT(what, (e != NULL) == (expected != NULL));
    if (e == NULL)
        return;
    text = wp_conf_error_text(r, e);
    if (strcmp(text, with_dir(expected, want)) != 0)
        print_error("got  %s\nwant %s\n", text, with_dir(expected, want));
    CHECK_AT(what, strcmp(text, with_dir(expected, want)) == 0);
}

/* A build may leave directives out (WAYPOST_PLUGINS); the built-in text needs two. */
static bool is_built(const char *name)
{
    for (const struct wp_directive *d = wp_directives(); d->name != NULL; d++) {
        if (strcmp(d->name, name) == 0)
            return d->plugin != NULL;
    }
    return false;
}

static void test_grammar(void)
{
    bool builtin = is_built("whoami") && is_built("log");

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *what = cases[i].what;
        struct wp_conf_report report;
        struct wp_arena arena;
        struct wp_conf conf = {0};
        char dump[512];
        int r;

        if (strcmp(cases[i].dump, ".{whoami;log}") == 0 && !builtin)
            continue;
        wp_arena_init(&arena, 64 << 20);
        wp_conf_report_init(&report, &arena);
        r = wp_conf_parse("C", cases[i].text, strlen(cases[i].text), &arena, &report, &conf);
        CHECK_AT(what, r == (cases[i].error != NULL ? WP_ECONFIG : 0));
        check_error(what, &report, report.first, cases[i].error);
        check_error(what, &report, report.first != NULL ? report.first->next : NULL, cases[i].another);
        conf_dump(&conf, dump, sizeof(dump));
        if (strcmp(dump, cases[i].dump) != 0)
            print_error("got  %s\nwant %s\n", dump, cases[i].dump);
        CHECK_AT(what, strcmp(dump, cases[i].dump) == 0);
        CHECK_AT(what, strlen(conf.sha512) == (r == 0 ? 128 : 0));
        wp_arena_done(&arena);
    }
}

/* Places of what was read: the digest and every error message need them. */
static void test_places(void)
{
    static const char text[] = "\na b {\n root x\n\n cache {\n  success 1\n }\n import two\n}\n";
    struct wp_conf_report report;
    struct wp_arena arena;
    struct wp_conf conf;
    char path[512];

    wp_arena_init(&arena, 0);
    wp_conf_report_init(&report, &arena);
    CHECK(wp_conf_parse("C", text, sizeof(text) - 1, &arena, &report, &conf) == 0);
    CHECK(conf.n_blocks == 1 && conf.blocks[0].line == 2 && conf.blocks[0].key_lines[1] == 2);
    CHECK(conf.blocks[0].n_lines == 4);
    CHECK(conf.blocks[0].lines[0].line == 3 && conf.blocks[0].lines[1].line == 5);
    CHECK(conf.blocks[0].lines[1].options[0].line == 6);
    CHECK(strcmp(conf.blocks[0].lines[0].file, "C") == 0);
    snprintf(path, sizeof(path), "%s/two", dir);
    CHECK(strcmp(conf.blocks[0].lines[3].file, path) == 0 && conf.blocks[0].lines[3].line == 2);
    wp_arena_done(&arena);
}

static void digest_of(const char *text, char ret[129])
{
    struct wp_conf_report report;
    struct wp_arena arena;
    struct wp_conf conf;

    wp_arena_init(&arena, 0);
    wp_conf_report_init(&report, &arena);
    CHECK(wp_conf_parse("C", text, strlen(text), &arena, &report, &conf) == 0);
    memcpy(ret, conf.sha512, 129);
    wp_arena_done(&arena);
}

/* `reload` looks for changes by the digest. */
static void test_digest(void)
{
    static const struct {
        const char *what, *a, *b;
        bool same;
    } pairs[] = {
        {"the same", ". {\nroot x\n}", ". {\nroot x\n}", true},
        {"white space", ". {\nroot x\n}", ".  {\n  root   x\n}\n\n", true},
        {"comment that moves no line", ". {\nroot x\n}", ". {\nroot x # more\n}", true},
        {"comment that moves a line", ". {\nroot x\n}", ". {\n# more\nroot x\n}", false},
        {"argument", ". {\nroot x\n}", ". {\nroot y\n}", false},
        {"split word", ". {\nroot ab\n}", ". {\nroot a b\n}", false},
        {"key", ". {\nroot x\n}", "a {\nroot x\n}", false},
        {"option", ". {\ncache {\nsuccess 1\n}\n}", ". {\ncache {\nsuccess 2\n}\n}", false},
        {"option block or none", ". {\ncache\n}", ". {\ncache {\n}\n}", false},
        {"environment, the same value", ". {\nroot {$WP_TEST_ONE}\n}", ". {\nroot 1\n}", true},
        {"quotes", ". {\nroot x\n}", ". {\nroot \"x\"\n}", true},
    };

    for (size_t i = 0; i < COUNT(pairs); i++) {
        char a[129], b[129];

        digest_of(pairs[i].a, a);
        digest_of(pairs[i].b, b);
        CHECK_AT(pairs[i].what, (strcmp(a, b) == 0) == pairs[i].same);
    }
}

/* A bomb of snippets ends at the limit of words, not of memory. */
static void test_bomb(void)
{
    struct wp_conf_report report;
    struct wp_arena arena;
    struct wp_conf conf;
    static char text[1 << 16];
    size_t len = 0;

    len += (size_t)sprintf(text, "(s0) {\n root a a a a a a a a\n}\n");
    for (int i = 1; i < 12; i++) {
        len += (size_t)sprintf(text + len, "(s%d) {\n", i);
        for (int n = 0; n < 10; n++)
            len += (size_t)sprintf(text + len, " import s%d\n", i - 1);
        len += (size_t)sprintf(text + len, "}\n");
    }
    len += (size_t)sprintf(text + len, ". {\n import s11\n}\n");
    wp_arena_init(&arena, 64 << 20);
    wp_conf_report_init(&report, &arena);
    CHECK(wp_conf_parse("C", text, len, &arena, &report, &conf) == WP_ECONFIG);
    CHECK(strstr(report.first->text, "maximum snippet import depth") != NULL);
    wp_arena_done(&arena);
}

static void test_nesting(void)
{
    struct wp_conf_report report;
    struct wp_arena arena;
    struct wp_conf conf;
    char text[512] = ". {\ncache ";

    for (int i = 0; i < 17; i++)
        strcat(text, "{\na ");
    wp_arena_init(&arena, 1 << 20);
    wp_conf_report_init(&report, &arena);
    CHECK(wp_conf_parse("C", text, strlen(text), &arena, &report, &conf) == WP_ECONFIG);
    CHECK(strcmp(report.first->text, "braces nest more than 16 deep") == 0 && report.n == 1);
    wp_arena_done(&arena);
}

static void make_files(void)
{
    char path[PATH_MAX];

    strcpy(dir, "/tmp/wp_test_parse_XXXXXX");
    CHECK(mkdtemp(dir) != NULL && chdir(dir) == 0);
    CHECK(mkdir("nested", 0700) == 0 && mkdir("d", 0700) == 0);
    for (size_t i = 0; i < COUNT(files); i++) {
        FILE *f = fopen(files[i].name, "we");
        CHECK(f != NULL);
        fputs(files[i].text, f);
        fclose(f);
    }
    CHECK(realpath(".", path) != NULL && strcmp(path, dir) == 0);
    setenv("WP_TEST_ONE", "1", 1);
    setenv("WP_TEST_TWO", "a b", 1);
    setenv("WP_TEST_BRACE", "{", 1);
    setenv("WP_TEST_CLOSE", "}", 1);
    setenv("WP_TEST_REF", "{$WP_TEST_ONE}", 1);
    setenv("WP_TEST_SELF", "a{$WP_TEST_SELF}", 1);
    setenv("WP_TEST_PERCENT", "{%WP_TEST_ONE%}", 1);
    setenv("WP_TEST_NAME", "root", 1);
    setenv("WP_TEST_IMPORT", "one", 1);
    unsetenv("WP_TEST_UNSET");
}

static int remove_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++)
        unlink(files[i].name);
    rmdir("nested");
    rmdir("d");
    return chdir("/") != 0 || rmdir(dir) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_grammar), TEST(test_places), TEST(test_digest),
                                       TEST(test_bomb), TEST(test_nesting)};

    make_files();
    return cmocka_run_group_tests(tests, NULL, remove_files);
}
