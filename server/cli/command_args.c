/* A command's line against its tables. */
#include <string.h>

#include "server/cli/command_priv.h"
#include "waypost/base/text.h"

struct reading {
    const struct wp_command *c;
    struct wp_arena *arena;
    void *options;
    struct command_words *to;
    FILE *err;
    int argc;
    char **argv;
};

static const struct wp_arg *find_in(const struct wp_arg *args, const char *name, size_t len)
{
    for (; args != NULL && args->name != NULL; args++) {
        if (strlen(args->name) == len && memcmp(args->name, name, len) == 0)
            return args;
    }
    return NULL;
}

static int add_word(struct reading *r, struct wp_words *w, const char *text)
{
    if (w->word == NULL) /* no line can name more */
        w->word = wp_arena_array(r->arena, (size_t)r->argc + 1, sizeof(*w->word));
    if (w->word == NULL)
        return -ENOMEM;
    w->word[w->n++] = text;
    return 0;
}

static int set_duration(const struct wp_arg *arg, const char *text, int64_t *to)
{
    enum { SECOND = 1000000000 };
    bool bare = text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
    int64_t ns;
    int r = bare ? wp_int_parse(text, 0, INT64_MAX / SECOND, &ns) : wp_duration_parse(text, &ns);

    if (r < 0)
        return r;
    if (bare)
        ns *= SECOND;
    if (ns < arg->min || ns > arg->max)
        return WP_ELIMIT;
    *to = ns;
    return 0;
}

static int refuse(struct reading *r, const struct wp_arg *arg, const char *text, int why)
{
    char least[32], most[32];

    if (arg->kind == WP_ARG_DURATION) {
        wp_duration_text(arg->min, least);
        wp_duration_text(arg->max, most);
    } else {
        snprintf(least, sizeof(least), "%lld", (long long)arg->min);
        snprintf(most, sizeof(most), "%lld", (long long)arg->max);
    }
    if (why == WP_ELIMIT)
        fprintf(r->err, "waypost %s: --%s %s: must be within %s..%s\n", r->c->name, arg->name, text,
                least, most);
    else
        fprintf(r->err, "waypost %s: --%s %s: not a %s\n", r->c->name, arg->name, text,
                arg->kind == WP_ARG_DURATION ? "duration" : "number");
    return WP_EMALFORMED;
}

static int set(struct reading *r, const struct wp_arg *arg, const char *text)
{
    void *to = (uint8_t *)r->options + arg->offset;
    int why = 0;

    switch (arg->kind) {
    case WP_ARG_FLAG:
        *(bool *)to = true;
        return 0;
    case WP_ARG_TEXT:
        *(const char **)to = text;
        return 0;
    case WP_ARG_WORDS:
        return add_word(r, to, text);
    case WP_ARG_INT:
        why = wp_int_parse(text, arg->min, arg->max, to);
        break;
    case WP_ARG_DURATION:
        why = set_duration(arg, text, to);
        break;
    }
    return why < 0 ? refuse(r, arg, text, why) : 0;
}

static int set_defaults(struct reading *r, const struct wp_arg *args)
{
    int ret = 0;

    for (; ret == 0 && args != NULL && args->name != NULL; args++) {
        if (args->def != NULL && args->kind != WP_ARG_WORDS)
            ret = set(r, args, args->def);
    }
    return ret;
}

/* The option at argv[*at], with its value; moves past them. */
static int read_option(struct reading *r, int *at)
{
    static const struct wp_arg conf = {.name = "conf", .kind = WP_ARG_TEXT};
    const char *word = r->argv[*at], *name = word + 1 + (word[1] == '-');
    const char *value = strchr(name, '=');
    size_t len = value != NULL ? (size_t)(value - name) : strlen(name);
    const struct wp_arg *arg = find_in(r->c->args, name, len);

    if (arg == NULL)
        arg = find_in(r->c->shared, name, len);
    if (arg == NULL && r->c->takes_conf && len == 4 && memcmp(name, "conf", 4) == 0)
        arg = &conf;
    (*at)++;
    if (arg == NULL && ((len == 1 && name[0] == 'h') || (len == 4 && memcmp(name, "help", 4) == 0)))
        return (r->to->help = true, 0);
    if (arg == NULL || (arg->kind == WP_ARG_FLAG && value != NULL)) {
        fprintf(r->err, "waypost %s: %s: %s\n", r->c->name, word,
                arg == NULL ? "no such option" : "takes no value");
        return WP_EMALFORMED;
    }
    if (value != NULL)
        value++;
    else if (arg->kind != WP_ARG_FLAG && *at < r->argc)
        value = r->argv[(*at)++];
    if (arg->kind != WP_ARG_FLAG && value == NULL) {
        fprintf(r->err, "waypost %s: %s: needs a value\n", r->c->name, word);
        return WP_EMALFORMED;
    }
    if (arg == &conf)
        return (r->to->conf = value, 0);
    return set(r, arg, value);
}

static int check_words(struct reading *r, unsigned n)
{
    const struct wp_command_line *l = &r->to->line;
    const struct wp_command *c = r->c;

    if (r->to->help)
        return 0;
    if (n < c->min_words)
        fprintf(r->err, "waypost %s: too few words: %s\n", c->name, c->words);
    else if (n > c->max_words)
        fprintf(r->err, "waypost %s: %s: one word too many\n", c->name, l->words[c->max_words]);
    else if (l->command != NULL && (!c->takes_command || l->command[0] == NULL))
        fprintf(r->err, "waypost %s: --: %s\n", c->name,
                c->takes_command ? "no command follows" : "no command is taken");
    else
        return 0;
    return WP_EMALFORMED;
}

int command_read(const struct wp_command *c, int argc, char **argv, struct wp_arena *a,
                 void *options, struct command_words *ret, FILE *err)
{
    struct reading r = {c, a, options, ret, err, argc, argv};
    struct wp_words words = {0};
    int at = 0, e;

    *ret = (struct command_words){0};
    e = set_defaults(&r, c->args);
    if (e == 0)
        e = set_defaults(&r, c->shared);
    while (e == 0 && at < argc) {
        if (strcmp(argv[at], "--") == 0) {
            ret->line.command = argv + at + 1;
            break;
        }
        if (argv[at][0] == '-' && argv[at][1] != '\0')
            e = read_option(&r, &at);
        else
            e = add_word(&r, &words, argv[at++]);
    }
    ret->line.words = words.word;
    ret->line.n_words = words.n;
    return e == 0 ? check_words(&r, words.n) : e;
}
