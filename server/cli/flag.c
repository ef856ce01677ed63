#include "server/cli/flag_priv.h"

#include <string.h>

#include "waypost/base/err.h"

static const struct flag *find(const struct flag *flags, size_t n, const char *name, size_t len)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(flags[i].name) == len && memcmp(flags[i].name, name, len) == 0)
            return &flags[i];
    }
    return NULL;
}

/* Go's strconv.ParseBool. */
static bool parse_bool(const char *s, bool *ret)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

    for (size_t i = 0; i < WP_COUNT(yes); i++) {
        if (strcmp(s, yes[i]) == 0 || strcmp(s, no[i]) == 0) {
            *ret = strcmp(s, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

/* One flag at argv[*at]; moves past it and its value. */
static enum flag_result read_one(const struct flag *flags, size_t n, int argc, char **argv, int *at,
                                 FILE *err)
{
    const char *word = argv[*at], *name = word + 1 + (word[1] == '-');
    const char *value = strchr(name, '=');
    size_t len = value != NULL ? (size_t)(value - name) : strlen(name);
    const struct flag *f;

    if (len == 0 || name[0] == '-') {
        fprintf(err, "bad flag syntax: %s\n", word);
        return FLAG_BAD;
    }
    f = find(flags, n, name, len);
    if (f == NULL) {
        if ((len == 1 && name[0] == 'h') || (len == 4 && memcmp(name, "help", 4) == 0))
            return FLAG_HELP;
        fprintf(err, "flag provided but not defined: -%.*s\n", (int)len, name);
        return FLAG_BAD;
    }
    (*at)++;
    if (f->kind == FLAG_BOOL) {
        if (value == NULL) {
            *(bool *)f->to = true;
        } else if (!parse_bool(value + 1, f->to)) {
            fprintf(err, "invalid boolean value \"%s\" for -%s: parse error\n", value + 1, f->name);
            return FLAG_BAD;
        }
        return FLAG_OK;
    }
    if (value != NULL) {
        value++;
    } else if (*at < argc) {
        value = argv[(*at)++];
    } else {
        fprintf(err, "flag needs an argument: -%s\n", f->name);
        return FLAG_BAD;
    }
    *(const char **)f->to = value;
    return FLAG_OK;
}

enum flag_result flag_read(const struct flag *flags, size_t n, int argc, char **argv, int *ret_rest,
                           FILE *err)
{
    int at = 1;

    while (at < argc && argv[at][0] == '-' && argv[at][1] != '\0') {
        enum flag_result r;

        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        r = read_one(flags, n, argc, argv, &at, err);
        if (r != FLAG_OK)
            return r;
    }
    *ret_rest = at;
    return FLAG_OK;
}

void flag_usage(const struct flag *flags, size_t n, FILE *out)
{
    for (size_t i = 0; i < n; i++) {
        const char *def = flags[i].kind == FLAG_TEXT ? *(const char **)flags[i].to : "";

        fprintf(out, "  -%s%s\n    \t%s", flags[i].name,
                flags[i].kind == FLAG_TEXT ? " string" : "", flags[i].help);
        if (def[0] != '\0')
            fprintf(out, " (default \"%s\")", def);
        fputc('\n', out);
    }
}
