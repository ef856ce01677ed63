#include <stdarg.h>
#include <stdio.h>

#include "waypost/server/config.h"

enum { ERRORS_MAX = 1000 }; /* kept; more than anybody reads, little enough to hold */

void wp_conf_report_init(struct wp_conf_report *r, struct wp_arena *arena)
{
    *r = (struct wp_conf_report){.arena = arena};
    r->last = &r->first;
}

/* The report may outlive what the words came from. */
static const char *kept(struct wp_arena *arena, const char *s)
{
    return s != NULL ? wp_arena_strdup(arena, s) : NULL;
}

int wp_conf_report_addv(struct wp_conf_report *r, const struct wp_conf_error *where,
                        const char *fmt, va_list args)
{
    struct wp_conf_error *e;
    char *text = NULL;
    va_list again;
    int len;

    if (r->n++ >= ERRORS_MAX)
        return WP_ECONFIG;
    e = wp_arena_alloc(r->arena, sizeof(*e));
    va_copy(again, args);
    len = vsnprintf(NULL, 0, fmt, args);
    if (e != NULL && len >= 0)
        text = wp_arena_alloc(r->arena, (size_t)len + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    if (e == NULL)
        return WP_ECONFIG;
    *e = *where;
    e->file = kept(r->arena, where->file);
    e->directive = kept(r->arena, where->directive);
    e->text = text != NULL ? text : "out of memory";
    e->next = NULL;
    *r->last = e;
    r->last = &e->next;
    return WP_ECONFIG;
}

int wp_conf_report_add(struct wp_conf_report *r, enum wp_conf_kind kind, const char *plugin,
                       const char *file, unsigned line, const char *fmt, ...)
{
    struct wp_conf_error where = {.kind = kind, .file = file, .line = line, .plugin = plugin};
    va_list args;

    va_start(args, fmt);
    wp_conf_report_addv(r, &where, fmt, args);
    va_end(args);
    return WP_ECONFIG;
}

int wp_conf_report_about(struct wp_conf_report *r, enum wp_conf_kind kind, const char *directive,
                         const char *file, unsigned line, const char *fmt, ...)
{
    struct wp_conf_error where = {.kind = kind, .file = file, .line = line, .directive = directive};
    va_list args;

    va_start(args, fmt);
    wp_conf_report_addv(r, &where, fmt, args);
    va_end(args);
    return WP_ECONFIG;
}

static const char *or_no_memory(const char *text)
{
    return text != NULL ? text : "out of memory";
}

const char *wp_conf_error_text(struct wp_conf_report *r, const struct wp_conf_error *e)
{
    const char *before = e->plugin != NULL ? "plugin/" : "", *after = e->plugin != NULL ? ": " : "";
    const char *plugin = e->plugin != NULL ? e->plugin : "";

    if (e->kind == WP_CONF_PLAIN || e->file == NULL)
        return or_no_memory(wp_arena_printf(r->arena, "%s%s%s%s", before, plugin, after, e->text));
    return or_no_memory(wp_arena_printf(
        r->arena, "%s%s%s%s:%u - %s: %s", before, plugin, after, e->file, e->line,
        e->kind == WP_CONF_SYNTAX ? "Syntax error" : "Error during parsing", e->text));
}

const char *wp_conf_error_check_text(struct wp_conf_report *r, const struct wp_conf_error *e)
{
    const char *about = e->plugin != NULL ? e->plugin : e->directive;
    const char *after = about != NULL ? ": " : "";

    if (about == NULL)
        about = "";
    if (e->file == NULL)
        return or_no_memory(wp_arena_printf(r->arena, "%s%s%s", about, after, e->text));
    return or_no_memory(
        wp_arena_printf(r->arena, "%s:%u: %s%s%s", e->file, e->line, about, after, e->text));
}
