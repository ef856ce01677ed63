#include "server/cli/directive_priv.h"

#include <stdlib.h>
#include <string.h>

#include "waypost/server/cli.h"
#include "waypost/server/log.h"

enum { NAMES_MAX = 512, MEMORY_MAX = 64 << 20 };

/* --- -plugins -------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    int last = (strcmp(x, "on") == 0) - (strcmp(y, "on") == 0); /* CoreDNS lists it last */

    return last != 0 ? last : strcmp(x, y);
}

static void list(const struct wp_directive *d, bool in_order)
{
    const char *names[NAMES_MAX];
    size_t n = 0;

    for (; d->name != NULL && n < NAMES_MAX; d++) {
        if (d->plugin != NULL)
            names[n++] = d->name;
    }
    if (!in_order)
        qsort(names, n, sizeof(*names), by_name);
    for (size_t i = 0; i < n; i++)
        puts(names[i]);
}

int cli_list_plugins(const char *path, bool in_order)
{
    struct wp_conf_report report;
    struct wp_conf conf = {0};
    struct wp_arena arena;
    const char *why;
    char *text = NULL;
    size_t len;

    wp_arena_init(&arena, MEMORY_MAX);
    wp_conf_report_init(&report, &arena);
    /* a Corefile that cannot be read, or is wrong: `check` is there to tell */
    if (path != NULL && (wp_conf_read_file(path, &arena, &text, &len, &why) < 0 ||
                         wp_conf_parse(path, text, len, &arena, &report, &conf) == -ENOMEM))
        conf.directives = NULL;
    list(conf.directives != NULL ? conf.directives : wp_directives(), in_order);
    free(text);
    wp_arena_done(&arena);
    return 0;
}

bool cli_plugin_cfg(const char *path, bool check)
{
    struct wp_conf_report report;
    struct wp_arena arena;
    int r;

    wp_arena_init(&arena, MEMORY_MAX);
    wp_conf_report_init(&report, &arena);
    r = wp_directives_read(path, &report);
    for (const struct wp_conf_error *e = report.first; check && e != NULL; e = e->next)
        fprintf(stderr, "%s\n", wp_conf_error_check_text(&report, e));
    if (r < 0 && (!check || report.first == NULL))
        wp_log_fatal("%s", report.first != NULL ? wp_conf_error_text(&report, report.first)
                                                : wp_strerror(r));
    wp_arena_done(&arena);
    return r == 0;
}

/* --- help ------------------------------------------------------------------------------------ */

const char *wp_cli_option_words(enum wp_opt_kind kind)
{
    switch (kind) {
    case WP_OPT_INT:
        return " NUMBER";
    case WP_OPT_DURATION:
        return " DURATION";
    case WP_OPT_STRING:
        return " TEXT";
    case WP_OPT_PATH:
        return " PATH";
    case WP_OPT_ZONES:
    case WP_OPT_FALL:
        return " [ZONES...]";
    case WP_OPT_FLAG:
    case WP_OPT_IGNORE:
    case WP_OPT_CALL:
        break;
    }
    return "";
}

static void put_option(const char *directive, const struct wp_option *o, FILE *out)
{
    if (o->help == NULL)
        return;
    if (strcmp(o->name, "*") == 0)
        fputs("  WORD ...", out);
    else
        fprintf(out, "  %s%s", o->name[0] != '\0' ? o->name : directive,
                wp_cli_option_words(o->kind));
    fprintf(out, "\n    \t%s", o->help);
    if (o->def != NULL)
        fprintf(out, " (default %s)", o->def);
    fputc('\n', out);
}

bool directive_help(const char *name, FILE *out)
{
    const struct wp_directive *d = wp_directives();
    bool list = false;

    while (d->name != NULL && strcmp(d->name, name) != 0)
        d++;
    if (d->name == NULL)
        return false;
    if (d->plugin == NULL) {
        fprintf(out, "%s: a directive of CoreDNS that is not in this build\n", name);
        return true;
    }
    fprintf(out, "%s: a directive%s%s\n", name, d->file != NULL ? " from " : "",
            d->file != NULL ? d->file : "");
    for (const struct wp_option *o = d->plugin->options; o != NULL && o->name != NULL; o++) {
        if (o->help != NULL && !list)
            fputs("Options:\n", out);
        list |= o->help != NULL;
        put_option(name, o, out);
    }
    return true;
}
