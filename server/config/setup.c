/* What a plugin's set-up calls: errors with their place, paths, numbers. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/config/bind_priv.h"
#include "server/config/parse_priv.h"
#include "waypost/base/text.h"

WP_PRINTF(4, 0)
static int add(struct wp_setup *s, enum wp_conf_kind kind, const struct wp_line *line,
               const char *fmt, va_list args)
{
    struct wp_conf_error where = {.kind = kind, .plugin = s->plugin};

    if (line == NULL)
        line = s->line;
    if (line != NULL) {
        where.file = line->file;
        where.line = line->line;
    }
    return wp_conf_report_addv(s->report, &where, fmt, args);
}

int wp_setup_error(struct wp_setup *s, const struct wp_line *line, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add(s, WP_CONF_PARSE, line, fmt, args);
    va_end(args);
    return WP_ECONFIG;
}

int wp_setup_fail(struct wp_setup *s, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add(s, WP_CONF_PLAIN, NULL, fmt, args);
    va_end(args);
    return WP_ECONFIG;
}

int wp_setup_arg_error(struct wp_setup *s, const struct wp_line *line)
{
    if (line == NULL)
        line = s->line;
    return wp_setup_error(s, line, "Wrong argument count or unexpected line ending after '%s'",
                          line->words[line->n_words - 1]);
}

int wp_env_fail(struct wp_env *env, const char *fmt, ...)
{
    struct wp_conf_error where = {.kind = WP_CONF_PLAIN, .plugin = env->plugin};
    va_list args;

    if (env->block != NULL) {
        where.file = env->block->file;
        where.line = env->block->line;
    }
    va_start(args, fmt);
    wp_conf_report_addv(env->report, &where, fmt, args);
    va_end(args);
    return WP_ECONFIG;
}

const struct wp_plugin *wp_setup_plugin(const struct wp_setup *s, const char *name)
{
    for (const struct wp_directive *d = s->directives; d->name != NULL; d++) {
        if (strcmp(d->name, name) == 0)
            return d->plugin;
    }
    return NULL;
}

const char *wp_setup_errno(struct wp_setup *s, int err)
{
    return wp_conf_errno_text(s->arena, err);
}

const char *wp_setup_path(struct wp_setup *s, const char *path)
{
    if (path[0] == '/' || s->root == NULL)
        return path;
    return wp_conf_join(s->arena, s->root, path);
}

static bool is_go_unit(const char *s, size_t len)
{
    static const char *const units[] = {"ns", "us", "\xc2\xb5s", "\xce\xbcs", "ms", "s", "m", "h"};

    for (size_t i = 0; i < WP_COUNT(units); i++) {
        if (len == strlen(units[i]) && memcmp(s, units[i], len) == 0)
            return true;
    }
    return false;
}

const char *wp_setup_duration_why(struct wp_setup *s, const char *word)
{
    const char *at = word + (*word == '-' || *word == '+'), *text = NULL;

    /* where Go stops: at the first number without unit, at the first unit that it does not know */
    while (*at != '\0' && text == NULL) {
        size_t digits = strspn(at, "0123456789"), fraction = 0, unit;

        if (at[digits] == '.')
            fraction = strspn(at + digits + 1, "0123456789");
        if (digits + fraction == 0)
            break;
        at += digits + (at[digits] == '.' ? 1 + fraction : 0);
        unit = strcspn(at, ".0123456789");
        if (unit == 0)
            text = wp_arena_printf(s->arena, "time: missing unit in duration \"%s\"", word);
        else if (!is_go_unit(at, unit))
            text = wp_arena_printf(s->arena, "time: unknown unit \"%.*s\" in duration \"%s\"",
                                   (int)unit, at, word);
        at += unit;
    }
    if (text == NULL)
        text = wp_arena_printf(s->arena, "time: invalid duration \"%s\"", word);
    return text != NULL ? text : "time: invalid duration";
}

int wp_setup_duration(struct wp_setup *s, const struct wp_line *line, const char *word,
                      int64_t *ret_ns)
{
    if (wp_duration_parse(word, ret_ns) == 0)
        return 0;
    return wp_setup_error(s, line, "%s", wp_setup_duration_why(s, word));
}

int wp_setup_int(struct wp_setup *s, const struct wp_line *line, const char *word, int64_t min,
                 int64_t max, int64_t *ret)
{
    int64_t v;
    int r = wp_int_parse(word, INT64_MIN, INT64_MAX, &v);

    if (r < 0)
        return wp_setup_error(s, line, "strconv.Atoi: parsing \"%s\": %s", word,
                              r == WP_ELIMIT ? "value out of range" : "invalid syntax");
    if (v < min || v > max)
        return wp_setup_error(s, line, "%s is not in the range %lld to %lld", word, (long long)min,
                              (long long)max);
    *ret = v;
    return 0;
}

int wp_setup_limit(struct wp_setup *s, const struct wp_line *line, int64_t min, int64_t max,
                   int64_t *setting)
{
    const char *name = line->words[0];
    int64_t v;
    int r;

    if (*setting != WP_UNSET)
        return wp_setup_error(s, line, "%s already defined for this server block", name);
    if (line->n_words != 2)
        return wp_setup_arg_error(s, line);
    r = wp_int_parse(line->words[1], INT64_MIN, INT64_MAX, &v);
    if (r < 0)
        return wp_setup_error(s, line, "invalid %s value '%s': strconv.Atoi: parsing \"%s\": %s",
                              name, line->words[1], line->words[1],
                              r == WP_ELIMIT ? "value out of range" : "invalid syntax");
    if (v < min)
        return wp_setup_error(s, line, "%s must be a %s integer: %lld", name,
                              min > 0 ? "positive" : "non-negative", (long long)v);
    if (max > 0 && v > max)
        return wp_setup_error(s, line, "%s must not exceed %lld: %lld", name, (long long)max,
                              (long long)v);
    *setting = v < UINT32_MAX ? v : UINT32_MAX;
    return 0;
}
