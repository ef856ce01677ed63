/* A report as text for a terminal: rows aligned in each object, lists of like objects as tables.
 * The names are the same as in JSON, with blanks and without the unit that the value shows. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "server/report/report_priv.h"
#include "waypost/base/text.h"

enum { LABEL_MAX = 64, VALUE_MAX = 128, COLUMNS_MAX = 24, SHORT_WORD = 8, INDENT = 2 };

static bool is_leaf(const struct wp_report_node *n)
{
    return n->kind != REPORT_OBJECT && n->kind != REPORT_LIST;
}

/* Where there is no value the name tells: a column may begin with such a row. */
static bool has_unit(const struct wp_report_node *n, const char *unit, enum report_kind kind)
{
    size_t len = n->name != NULL ? strlen(n->name) : 0, unit_len = strlen(unit);

    return (n->kind == kind || n->kind == REPORT_NONE) && len > unit_len &&
           strcmp(n->name + len - unit_len, unit) == 0;
}

static const char *label(const struct wp_report_node *n, char buf[LABEL_MAX])
{
    size_t len = n->name != NULL ? strlen(n->name) : 0;

    if (has_unit(n, "_ns", REPORT_NS))
        len -= 3;
    else if (has_unit(n, "_s", REPORT_S))
        len -= 2;
    len = len < LABEL_MAX ? len : LABEL_MAX - 1;
    for (size_t i = 0; i < len; i++)
        buf[i] = n->name[i] == '_' ? ' ' : n->name[i];
    buf[len] = '\0';
    return buf;
}

/* Three digits or so are enough to look at. */
static void duration_text(int64_t ns, char buf[VALUE_MAX])
{
    static const int64_t least[] = {60000000000, 1000000000, 10000000, 10000, 0};
    static const int64_t round_to[] = {1000000000, 10000000, 100000, 100, 1};
    unsigned i = 0;

    while (ns < least[i])
        i++;
    wp_duration_text(ns / round_to[i] * round_to[i], buf);
}

static void octets_text(int64_t n, char buf[VALUE_MAX])
{
    static const char *const unit[] = {"B", "KB", "MB", "GB", "TB"};
    double v = (double)n;
    unsigned i = 0;

    while (v >= 1024 && i + 1 < sizeof(unit) / sizeof(unit[0])) {
        v /= 1024;
        i++;
    }
    snprintf(buf, VALUE_MAX, i == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v, unit[i]);
}

/* A line stays a line whatever a value holds. */
static void put_clean(FILE *f, const char *s)
{
    for (; *s != '\0'; s++)
        fputc((unsigned char)*s < 0x20 || *s == 0x7f ? ' ' : *s, f);
}

static const char *value(const struct wp_report_node *n, char buf[VALUE_MAX])
{
    switch (n->kind) {
    case REPORT_TEXT:
        return n->text;
    case REPORT_BOOL:
        return n->n != 0 ? "yes" : "no";
    case REPORT_INT:
        snprintf(buf, VALUE_MAX, "%" PRId64, n->n);
        return buf;
    case REPORT_OCTETS:
        octets_text(n->n, buf);
        return buf;
    case REPORT_S:
    case REPORT_NS:
        duration_text(n->n, buf);
        return buf;
    case REPORT_TIME:
        report_time_text(n->n, buf);
        return buf;
    default:
        return "-";
    }
}

/* --- tables ---------------------------------------------------------------------------------- */

static bool is_flat(const struct wp_report_node *n)
{
    for (const struct wp_report_node *c = n->first; c != NULL; c = c->next)
        if (!is_leaf(c))
            return false;
    return true;
}

/* Objects of leaves, and of what fits on a line, with the same names in the same order. */
static bool is_table(const struct wp_report_node *list)
{
    unsigned columns = 0;

    for (const struct wp_report_node *o = list->first; o != NULL; o = o->next) {
        const struct wp_report_node *c = o->first, *h = list->first->first;

        if (o->kind != REPORT_OBJECT)
            return false;
        for (columns = 0; c != NULL && h != NULL; c = c->next, h = h->next, columns++)
            if (!is_flat(c) || strcmp(c->name, h->name) != 0)
                return false;
        if (c != NULL || h != NULL)
            return false;
    }
    return columns > 0 && columns <= COLUMNS_MAX;
}

/* Columns of the terminal: octets that continue a character take none. */
static size_t width_of(const char *s)
{
    size_t n = 0;

    for (; *s != '\0'; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* A value, "name value, name value" of a small object, "value, value" of a list. */
static const char *cell(struct wp_arena *a, const struct wp_report_node *n, char buf[VALUE_MAX])
{
    const char *all = "";

    if (is_leaf(n))
        return value(n, buf);
    for (const struct wp_report_node *c = n->first; c != NULL && all != NULL; c = c->next) {
        char name[LABEL_MAX], text[VALUE_MAX];

        all = wp_arena_printf(a, "%s%s%s%s%s", all, c != n->first ? ", " : "", label(c, name),
                              c->name != NULL ? " " : "", value(c, text));
    }
    return all == NULL ? "..." : all;
}

static void put_row(FILE *f, struct wp_arena *a, const struct wp_report_node *first,
                    const size_t *width, unsigned indent, bool head)
{
    char buf[VALUE_MAX], name[LABEL_MAX];
    size_t blanks = indent;
    unsigned i = 0;

    for (const struct wp_report_node *c = first; c != NULL; c = c->next, i++) {
        const char *text = head ? label(c, name) : cell(a, c, buf);

        if (text[0] != '\0')
            fprintf(f, "%*s", (int)blanks, "");
        put_clean(f, text);
        blanks = width[i] - width_of(text) + 2 + (text[0] == '\0' ? blanks : 0);
    }
    fputc('\n', f);
}

static void put_table(FILE *f, struct wp_arena *a, const struct wp_report_node *list,
                      unsigned indent)
{
    size_t width[COLUMNS_MAX] = {0};
    char buf[VALUE_MAX];
    unsigned i = 0;

    for (const struct wp_report_node *c = list->first->first; c != NULL; c = c->next)
        width[i++] = width_of(label(c, buf));
    for (const struct wp_report_node *o = list->first; o != NULL; o = o->next) {
        i = 0;
        for (const struct wp_report_node *c = o->first; c != NULL; c = c->next, i++) {
            size_t len = width_of(cell(a, c, buf));

            width[i] = len > width[i] ? len : width[i];
        }
    }
    put_row(f, a, list->first->first, width, indent, true);
    for (const struct wp_report_node *o = list->first; o != NULL; o = o->next)
        put_row(f, a, o->first, width, indent, false);
}

/* What stands behind a name on its line: a value, nothing, a few short words. */
static bool is_line(const struct wp_report_node *n)
{
    if (is_leaf(n))
        return true;
    for (const struct wp_report_node *c = n->first; c != NULL; c = c->next)
        if (c->kind != REPORT_TEXT || strlen(c->text) > SHORT_WORD)
            return false;
    return n->first == NULL || n->kind == REPORT_LIST;
}

static const char *line_text(struct wp_arena *a, const struct wp_report_node *n, char buf[VALUE_MAX])
{
    return is_leaf(n) || n->first != NULL ? cell(a, n, buf) : "none";
}

/* --- objects --------------------------------------------------------------------------------- */

static void put_object(FILE *f, struct wp_arena *a, const struct wp_report_node *n,
                       unsigned indent);

static void put_list(FILE *f, struct wp_arena *a, const struct wp_report_node *list,
                     unsigned indent)
{
    char buf[VALUE_MAX];

    if (is_table(list)) {
        put_table(f, a, list, indent);
        return;
    }
    for (const struct wp_report_node *c = list->first; c != NULL; c = c->next) {
        if (!is_leaf(c)) {
            put_object(f, a, c, indent);
            if (c->next != NULL)
                fputc('\n', f);
            continue;
        }
        fprintf(f, "%*s", (int)indent, "");
        put_clean(f, value(c, buf));
        fputc('\n', f);
    }
}

static void put_object(FILE *f, struct wp_arena *a, const struct wp_report_node *n,
                       unsigned indent)
{
    char buf[VALUE_MAX], name[LABEL_MAX];
    bool was_line = true;
    size_t width = 0;

    for (const struct wp_report_node *c = n->first; c != NULL; c = c->next) {
        size_t len = is_line(c) ? strlen(label(c, name)) : 0;

        width = len > width ? len : width;
    }
    for (const struct wp_report_node *c = n->first; c != NULL; c = c->next) {
        bool line = is_line(c);

        if (indent == 0 && c != n->first && !(line && was_line))
            fputc('\n', f);
        was_line = line;
        if (line) {
            fprintf(f, "%*s%-*s  ", (int)indent, "", (int)width, label(c, name));
            put_clean(f, line_text(a, c, buf));
            fputc('\n', f);
            continue;
        }
        fprintf(f, "%*s%s:\n", (int)indent, "", label(c, name));
        if (c->kind == REPORT_LIST)
            put_list(f, a, c, indent + INDENT);
        else
            put_object(f, a, c, indent + INDENT);
    }
}

char *wp_report_as_text(struct wp_report *r, size_t *ret_len)
{
    struct wp_report_node *root = report_root(r);
    char *out = NULL;
    FILE *f = root != NULL ? open_memstream(&out, ret_len) : NULL;

    if (f == NULL)
        return NULL;
    put_object(f, r->arena, root, 0);
    if (fclose(f) != 0) {
        free(out);
        return NULL;
    }
    return out;
}
