/* Filling a report. */
#include "server/report/report_priv.h"

#include <assert.h>
#include <stdarg.h>
#include <time.h>

void wp_report_init(struct wp_report *r, struct wp_arena *arena)
{
    *r = (struct wp_report){.arena = arena};
}

static struct wp_report_node *new_node(struct wp_report *r, const char *name, enum report_kind kind)
{
    struct wp_report_node *n = wp_arena_alloc(r->arena, sizeof(*n));

    if (n == NULL) {
        r->incomplete = true;
        return NULL;
    }
    *n = (struct wp_report_node){.name = name, .kind = kind};
    n->last = &n->first;
    return n;
}

struct wp_report_node *report_root(struct wp_report *r)
{
    if (r->open[0] == NULL)
        r->open[0] = new_node(r, NULL, REPORT_OBJECT);
    return r->open[0];
}

/* NULL: no memory, or inside what there was none for. */
static struct wp_report_node *add(struct wp_report *r, const char *name, enum report_kind kind)
{
    struct wp_report_node *in, *n;

    if (r == NULL)
        return NULL;
    (void)report_root(r);
    in = r->open[r->depth];
    n = in != NULL ? new_node(r, name, kind) : NULL;
    if (n != NULL) {
        *in->last = n;
        in->last = &n->next;
    }
    return n;
}

static void go_in(struct wp_report *r, const char *name, enum report_kind kind)
{
    struct wp_report_node *n = add(r, name, kind);

    if (r == NULL)
        return;
    assert(r->depth + 1 < WP_REPORT_DEPTH);
    r->open[++r->depth] = n;
}

void wp_report_open(struct wp_report *r, const char *name)
{
    go_in(r, name, REPORT_OBJECT);
}

void wp_report_list(struct wp_report *r, const char *name)
{
    go_in(r, name, REPORT_LIST);
}

void wp_report_close(struct wp_report *r)
{
    if (r == NULL)
        return;
    assert(r->depth > 0);
    r->depth--;
}

void wp_report_text(struct wp_report *r, const char *name, const char *text)
{
    struct wp_report_node *n = add(r, name, text != NULL ? REPORT_TEXT : REPORT_NONE);

    if (n == NULL || text == NULL)
        return;
    n->text = wp_arena_strdup(r->arena, text);
    if (n->text == NULL) {
        n->kind = REPORT_NONE;
        r->incomplete = true;
    }
}

void wp_report_printf(struct wp_report *r, const char *name, const char *fmt, ...)
{
    char text[4096];
    va_list args;

    if (r == NULL)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    wp_report_text(r, name, text);
}

void wp_report_problem(struct wp_report *r, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    if (r == NULL || r->problems == NULL)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    wp_report_printf(r->problems, NULL, "%s%s", r->about != NULL ? r->about : "", text);
}

static void add_number(struct wp_report *r, const char *name, enum report_kind kind, int64_t number)
{
    struct wp_report_node *n = add(r, name, kind);

    if (n != NULL)
        n->n = number;
}

void wp_report_int(struct wp_report *r, const char *name, int64_t n)
{
    add_number(r, name, REPORT_INT, n);
}

void wp_report_bool(struct wp_report *r, const char *name, bool yes)
{
    add_number(r, name, REPORT_BOOL, yes);
}

void wp_report_none(struct wp_report *r, const char *name)
{
    add_number(r, name, REPORT_NONE, 0);
}

static int64_t to_signed(uint64_t n)
{
    return n < INT64_MAX ? (int64_t)n : INT64_MAX;
}

void wp_report_octets(struct wp_report *r, const char *name, uint64_t n)
{
    add_number(r, name, REPORT_OCTETS, to_signed(n));
}

void wp_report_s(struct wp_report *r, const char *name, uint64_t ns)
{
    add_number(r, name, REPORT_S, to_signed(ns));
}

void wp_report_ns(struct wp_report *r, const char *name, uint64_t ns)
{
    add_number(r, name, REPORT_NS, to_signed(ns));
}

void wp_report_time(struct wp_report *r, const char *name, int64_t unix_ms)
{
    add_number(r, name, unix_ms != 0 ? REPORT_TIME : REPORT_NONE, unix_ms);
}

bool wp_report_is_empty(const struct wp_report *r)
{
    return r->open[0] == NULL || r->open[0]->first == NULL;
}

void wp_report_adopt(struct wp_report *r, const char *name, struct wp_report *other, bool list)
{
    struct wp_report_node *n;

    if (r == NULL)
        return;
    r->incomplete |= other->incomplete;
    if (wp_report_is_empty(other))
        return;
    n = add(r, name, list ? REPORT_LIST : REPORT_OBJECT);
    if (n == NULL)
        return;
    n->first = other->open[0]->first;
    n->last = other->open[0]->last;
}

void report_time_text(int64_t unix_ms, char out[40])
{
    time_t s = (time_t)(unix_ms / 1000);
    struct tm tm;
    char day[24];

    if (gmtime_r(&s, &tm) == NULL || strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        day[0] = '\0';
    snprintf(out, 40, "%s.%03dZ", day, (int)(unix_ms % 1000));
}
