/* Flags as Go's package flag reads them (checked against CoreDNS 1.15.0). */
#include <stdlib.h>

#include "check.h"
#include "server/cli/flag_priv.h"

enum { WORDS_MAX = 8 };
static const struct {
    const char *what;
    const char *words[WORDS_MAX];
    enum flag_result result;
    const char *text; /* value of -text */
    bool on;          /* of -on */
    int rest;         /* words left */
    const char *error;
} cases[] = {
    {"nothing", {NULL}, FLAG_OK, "default", false, 0, ""},
    {"value in the next word", {"-text", "v"}, FLAG_OK, "v", false, 0, ""},
    {"value after an equals sign", {"-text=v"}, FLAG_OK, "v", false, 0, ""},
    {"two dashes", {"--text", "v", "--on"}, FLAG_OK, "v", true, 0, ""},
    {"empty value", {"-text="}, FLAG_OK, "", false, 0, ""},
    {"empty value as a word", {"-text", ""}, FLAG_OK, "", false, 0, ""},
    {"value with an equals sign", {"-text=a=b"}, FLAG_OK, "a=b", false, 0, ""},
    {"value that looks like a flag", {"-text", "-on"}, FLAG_OK, "-on", false, 0, ""},
    {"the last one counts", {"-text", "a", "-text=b"}, FLAG_OK, "b", false, 0, ""},
    {"flag", {"-on"}, FLAG_OK, "default", true, 0, ""},
    {"flag with value", {"-on=true"}, FLAG_OK, "default", true, 0, ""},
    {"flag with T", {"-on=T"}, FLAG_OK, "default", true, 0, ""},
    {"flag with 0", {"-on", "-on=0"}, FLAG_OK, "default", false, 0, ""},
    {"flag with False", {"-on", "-on=False"}, FLAG_OK, "default", false, 0, ""},
    {"a flag takes no word", {"-on", "true"}, FLAG_OK, "default", true, 1, ""},
    {"flag with a word that is none", {"-on=yes"}, FLAG_BAD, "default", false, 0,
     "invalid boolean value \"yes\" for -on: parse error\n"},
    {"flag with an empty value", {"-on="}, FLAG_BAD, "default", false, 0,
     "invalid boolean value \"\" for -on: parse error\n"},
    {"first other word ends it", {"a", "-on"}, FLAG_OK, "default", false, 2, ""},
    {"two dashes alone end it", {"--", "-on"}, FLAG_OK, "default", false, 1, ""},
    {"a dash alone is a word", {"-", "-on"}, FLAG_OK, "default", false, 2, ""},
    {"empty word", {"", "-on"}, FLAG_OK, "default", false, 2, ""},
    {"unknown", {"-foo"}, FLAG_BAD, "default", false, 0, "flag provided but not defined: -foo\n"},
    {"unknown with value", {"--foo=x"}, FLAG_BAD, "default", false, 0, "flag provided but not defined: -foo\n"},
    {"beginning of a name", {"-tex", "v"}, FLAG_BAD, "default", false, 0, "flag provided but not defined: -tex\n"},
    {"no value", {"-text"}, FLAG_BAD, "default", false, 0, "flag needs an argument: -text\n"},
    {"three dashes", {"---on"}, FLAG_BAD, "default", false, 0, "bad flag syntax: ---on\n"},
    {"no name", {"-=x"}, FLAG_BAD, "default", false, 0, "bad flag syntax: -=x\n"},
    {"-h", {"-h"}, FLAG_HELP, "default", false, 0, ""},
    {"--help", {"--help"}, FLAG_HELP, "default", false, 0, ""},
};

static void test_read(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *argv[WORDS_MAX + 1] = {(char *)"program"}, *error = NULL;
        const char *text = "default";
        bool on = false;
        const struct flag flags[] = {{"text", FLAG_TEXT, &text, "a text"}, {"on", FLAG_BOOL, &on, "a switch"}};
        int argc = 1, rest = 0;
        size_t len;
        FILE *f = open_memstream(&error, &len);

        for (; cases[i].words[argc - 1] != NULL; argc++)
            argv[argc] = (char *)cases[i].words[argc - 1];
        CHECK_AT(cases[i].what, flag_read(flags, 2, argc, argv, &rest, f) == cases[i].result);
        fclose(f);
        CHECK_AT(cases[i].what, strcmp(error, cases[i].error) == 0);
        CHECK_AT(cases[i].what, strcmp(text, cases[i].text) == 0 && on == cases[i].on);
        if (cases[i].result == FLAG_OK)
            CHECK_AT(cases[i].what, argc - rest == cases[i].rest);
        free(error);
    }
}

static void test_usage(void)
{
    const char *text = "default", *none = "";
    bool on = true;
    const struct flag flags[] = {
        {"text", FLAG_TEXT, &text, "a text"}, {"on", FLAG_BOOL, &on, "a switch"}, {"none", FLAG_TEXT, &none, "empty"}};
    char *out = NULL;
    size_t len;
    FILE *f = open_memstream(&out, &len);

    flag_usage(flags, 3, f);
    fclose(f);
    CHECK(strcmp(out, "  -text string\n    \ta text (default \"default\")\n"
                      "  -on\n    \ta switch\n  -none string\n    \tempty\n") == 0);
    free(out);
}

RUN_TESTS(TEST(test_read), TEST(test_usage))
