/* A command's line against its tables. */
#include <stdlib.h>

#include "check.h"
#include "server/cli/command_priv.h"
#include "waypost/base/err.h"

enum { WORDS_MAX = 8 };

struct options {
    const char *shared;
    bool on;
    int64_t number, pause;
    struct wp_words many;
};
#define AT(member) offsetof(struct options, member)
static const struct wp_arg args[] = {
    {"on", WP_ARG_FLAG, AT(on), NULL, NULL, "a switch", 0, 0},
    {"number", WP_ARG_INT, AT(number), "N", "5", "a number", -1, 9},
    {"pause", WP_ARG_DURATION, AT(pause), "DURATION", "2s", "a duration", 1000000, 60000000000},
    {"many", WP_ARG_WORDS, AT(many), "WORD", NULL, "words", 0, 0},
    {0},
};
static const struct wp_arg shared[] = {
    {"shared", WP_ARG_TEXT, AT(shared), "TEXT", "s", "a text", 0, 0},
    {0},
};
static const struct wp_command command = {.name = "do it",
                                          .words = "A [B]",
                                          .args = args,
                                          .shared = shared,
                                          .size = sizeof(struct options),
                                          .min_words = 1,
                                          .max_words = 2,
                                          .takes_command = true,
                                          .takes_conf = true};

static const struct {
    const char *what, *words[WORDS_MAX];
    const char *error; /* what it says, NULL: it is read */
    unsigned n_words, n_command, n_many;
    int64_t number, pause;
    const char *shared, *conf;
    bool on, help;
} cases[] = {
    {"words", {"a", "b"}, NULL, 2, 0, 0, 5, 2000000000, "s", NULL, false, false},
    {"options anywhere",
     {"--on", "a", "-number", "7", "b", "--shared=x"},
     NULL, 2, 0, 0, 7, 2000000000, "x", NULL, true, false},
    {"behind two hyphens is the command's",
     {"a", "--", "sh", "--on", "--", "b"},
     NULL, 1, 4, 0, 5, 2000000000, "s", NULL, false, false},
    {"several", {"--many", "x", "a", "-many=y", "--many", "--on"}, NULL, 1, 0, 3, 5, 2000000000, "s", NULL, false, false},
    {"least", {"a", "--number=-1", "--pause", "1ms"}, NULL, 1, 0, 0, -1, 1000000, "s", NULL, false, false},
    {"bare seconds, most", {"a", "--number", "9", "--pause", "60"}, NULL, 1, 0, 0, 9, 60000000000, "s", NULL, false, false},
    {"empty value", {"a", "--shared="}, NULL, 1, 0, 0, 5, 2000000000, "", NULL, false, false},
    {"a hyphen is a word", {"-"}, NULL, 1, 0, 0, 5, 2000000000, "s", NULL, false, false},
    {"conf", {"a", "-conf", "f"}, NULL, 1, 0, 0, 5, 2000000000, "s", "f", false, false},
    {"help needs no words", {"--help"}, NULL, 0, 0, 0, 5, 2000000000, "s", NULL, false, true},
    {"h", {"a", "-h"}, NULL, 1, 0, 0, 5, 2000000000, "s", NULL, false, true},
    {"no word", {NULL}, "waypost do it: too few words: A [B]\n", 0, 0, 0, 0, 0, NULL, NULL, false, false},
    {"a word too many", {"a", "b", "c"}, "waypost do it: c: one word too many\n", 0, 0, 0, 0, 0, NULL, NULL, false, false},
    {"no command", {"a", "--"}, "waypost do it: --: no command follows\n", 0, 0, 0, 0, 0, NULL, NULL, false, false},
    {"unknown", {"a", "--off"}, "waypost do it: --off: no such option\n", 0, 0, 0, 0, 0, NULL, NULL, false, false},
    {"beginning of a name", {"a", "--numb", "1"}, "waypost do it: --numb: no such option\n", 0, 0, 0, 0, 0, NULL, NULL, false, false},
    {"three hyphens", {"a", "---on"}, "waypost do it: ---on: no such option\n", 0, 0, 0, 0, 0, NULL, NULL, false, false},
    {"value of a flag", {"a", "--on=1"}, "waypost do it: --on=1: takes no value\n", 0, 0, 0, 0, 0, NULL, NULL, false, false},
    {"no value", {"a", "--shared"}, "waypost do it: --shared: needs a value\n", 0, 0, 0, 0, 0, NULL, NULL, false, false},
    {"below", {"a", "--number", "-2"}, "waypost do it: --number -2: must be within -1..9\n", 0, 0, 0, 0, 0, NULL, NULL, false, false},
    {"above", {"a", "--number", "10"}, "waypost do it: --number 10: must be within -1..9\n", 0, 0, 0, 0, 0, NULL, NULL, false, false},
    {"no number", {"a", "--number", "x"}, "waypost do it: --number x: not a number\n", 0, 0, 0, 0, 0, NULL, NULL, false, false},
    {"short", {"a", "--pause", "999us"}, "waypost do it: --pause 999us: must be within 1ms..1m0s\n", 0, 0, 0, 0, 0, NULL, NULL, false, false},
    {"long", {"a", "--pause", "61"}, "waypost do it: --pause 61: must be within 1ms..1m0s\n", 0, 0, 0, 0, 0, NULL, NULL, false, false},
    {"very long", {"a", "--pause", "99999999999"}, "waypost do it: --pause 99999999999: must be within 1ms..1m0s\n", 0, 0, 0, 0, 0, NULL, NULL, false, false},
    {"no duration", {"a", "--pause", "1y"}, "waypost do it: --pause 1y: not a duration\n", 0, 0, 0, 0, 0, NULL, NULL, false, false},
};

static unsigned count(char **words)
{
    unsigned n = 0;

    while (words != NULL && words[n] != NULL)
        n++;
    return n;
}

static void test_read(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *argv[WORDS_MAX + 1] = {NULL}, *error = NULL;
        struct options o = {0};
        struct command_words w;
        struct wp_arena arena;
        int argc = 0, r;
        size_t len;
        FILE *f = open_memstream(&error, &len);

        while (argc < WORDS_MAX && cases[i].words[argc] != NULL) {
            argv[argc] = (char *)(uintptr_t)cases[i].words[argc];
            argc++;
        }
        wp_arena_init(&arena, 0);
        r = command_read(&command, argc, argv, &arena, &o, &w, f);
        fclose(f);
        CHECK_AT(cases[i].what, strcmp(error, cases[i].error != NULL ? cases[i].error : "") == 0);
        CHECK_AT(cases[i].what, r == (cases[i].error != NULL ? WP_EMALFORMED : 0));
        if (r == 0) {
            CHECK_AT(cases[i].what, w.line.n_words == cases[i].n_words);
            CHECK_AT(cases[i].what, count(w.line.command) == cases[i].n_command);
            CHECK_AT(cases[i].what, o.many.n == cases[i].n_many);
            CHECK_AT(cases[i].what, o.number == cases[i].number && o.pause == cases[i].pause);
            CHECK_AT(cases[i].what, strcmp(o.shared, cases[i].shared) == 0);
            CHECK_AT(cases[i].what, (w.conf == NULL) == (cases[i].conf == NULL));
            CHECK_AT(cases[i].what, o.on == cases[i].on && w.help == cases[i].help);
        }
        wp_arena_done(&arena);
        free(error);
    }
}

/* Memory that is short is told as such, not as a bad line. */
static void test_memory(void)
{
    char *argv[] = {(char *)(uintptr_t) "a", NULL};
    struct options o = {0};
    struct command_words w;
    struct wp_arena arena;

    wp_arena_init(&arena, 1);
    CHECK(command_read(&command, 1, argv, &arena, &o, &w, stderr) == -ENOMEM);
    wp_arena_done(&arena);
}

RUN_TESTS(TEST(test_read), TEST(test_memory))
