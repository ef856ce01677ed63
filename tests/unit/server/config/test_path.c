/* Paths put together by text (Go's filepath.Join), and those that a pattern matches. */
#include "check.h"
#include "server/config/parse_priv.h"

static const struct {
    const char *dir, *path, *joined;
} joins[] = {
    {"/a", "b", "/a/b"},        {"/a/", "b", "/a/b"},       {"/a", "./b", "/a/b"},
    {"/a", "../b", "/b"},       {"/a", "../../b", "/b"},    {"/a/b", "../c/../d", "/a/d"},
    {"/", "b", "/b"},           {"", "b", "/b"},            {"", "/b/c", "/b/c"},
    {"a", "b", "a/b"},          {"a", "..", "."},           {"a", "../..", ".."},
    {"a", "../../../b", "../../b"}, {"..", "../b", "../../b"}, {"../a", "../../b", "../../b"},
    {".", "b", "b"},            {"/a//b/", "/c//d/", "/a/b/c/d"}, {"/..", "..", "/"},
    {"/a", "..b", "/a/..b"},    {"/a", "...", "/a/..."},    {"a", ".", "a"},
};

static void test_join(void)
{
    for (size_t i = 0; i < COUNT(joins); i++) {
        struct wp_arena arena;
        char what[64];
        const char *got;

        snprintf(what, sizeof(what), "%s + %s", joins[i].dir, joins[i].path);
        wp_arena_init(&arena, 0);
        got = wp_conf_join(&arena, joins[i].dir, joins[i].path);
        if (strcmp(got, joins[i].joined) != 0)
            print_error("%s: got %s\n", what, got);
        CHECK_AT(what, strcmp(got, joins[i].joined) == 0);
        wp_arena_done(&arena);
    }
}

/* Patterns without match, bad ones, and one folder that every system has. */
static void test_glob(void)
{
    static const struct {
        const char *pattern;
        int r;
        size_t n;
    } globs[] = {
        {"/", 0, 1},
        {"/dev/null", 0, 1},
        {"/dev/nul?", 0, 1},
        {"/de?/null", 0, 1},
        {"/nonexistent/*", 0, 0},
        {"/dev/null/*", 0, 0},
        {"/dev/nul\\l", 0, 1},
        {"/dev/nul\\", WP_EMALFORMED, 0},
        {"/dev/[", WP_EMALFORMED, 0},
        {"/dev/\\[", 0, 0},
        {"/dev/nothing]", 0, 0},
    };

    for (size_t i = 0; i < COUNT(globs); i++) {
        struct wp_vec found = {0};
        struct wp_arena arena;

        wp_arena_init(&arena, 0);
        CHECK_AT(globs[i].pattern, wp_conf_glob(&arena, globs[i].pattern, &found) == globs[i].r);
        CHECK_AT(globs[i].pattern, found.n == globs[i].n);
        wp_vec_done(&found);
        wp_arena_done(&arena);
    }
}

RUN_TESTS(TEST(test_join), TEST(test_glob))
