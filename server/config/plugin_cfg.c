/* plugin.cfg: CoreDNS's list of plugins. Its order is the order in which they are asked:
 *
 *   NAME:ANYTHING   a directive that is known: it stands where the list has it. What the list does
 *                   not name stays where it is; what it does name shares the places it has.
 *   NAME:PATH.so    a plugin from outside: it stands right behind the line before it (in the first
 *                   line: in front of the line after it; alone: where it wants to).
 *   # ...           a comment */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/config/order_priv.h"
#include "server/config/parse_priv.h"
#include "server/config/vec_priv.h"

enum { ENTRIES_MAX = 1000 };

struct entry {
    const char *name, *place;
    unsigned line;
    bool outside;
};

struct cfg {
    struct wp_arena *arena;
    struct wp_conf_report *report;
    const char *path;
    struct wp_vec entries;
};

static const struct wp_directive *own; /* after a plugin.cfg; never freed */

const struct wp_directive *wp_directives(void)
{
    return own != NULL ? own : wp_built_directives;
}

static int told(struct cfg *c, unsigned line, const char *why)
{
    return wp_conf_report_about(c->report, WP_CONF_PARSE, NULL, c->path, line, "%s",
                                why != NULL ? why : "out of memory");
}

static bool is_listed(const struct cfg *c, const char *name)
{
    const struct entry *e = c->entries.at;

    for (size_t i = 0; i < c->entries.n; i++)
        if (strcmp(e[i].name, name) == 0)
            return true;
    return false;
}

static const struct wp_directive *built(const char *name)
{
    return conf_order_find((struct wp_directive *)(uintptr_t)wp_built_directives, name);
}

static bool is_module(const char *place)
{
    size_t len = strlen(place);

    return len > 3 && strcmp(place + len - 3, ".so") == 0;
}

/* One line without the blanks around it. 0, -ENOMEM; WP_ECONFIG: reported. */
static int read_entry(struct cfg *c, char *text, unsigned line)
{
    char *colon = strchr(text, ':');
    struct entry e = {.name = text, .line = line}, *to;

    if (colon == NULL || colon == text || colon[1] == '\0')
        return told(c, line, wp_arena_printf(c->arena, "'%s' is not NAME:PLACE", text));
    *colon = '\0';
    e.place = colon + 1;
    e.outside = is_module(e.place);
    if (is_listed(c, e.name))
        return told(c, line, wp_arena_printf(c->arena, "'%s' stands twice", e.name));
    if (built(e.name) == NULL && !e.outside)
        return told(c, line,
                    wp_arena_printf(c->arena,
                                    "'%s' is not in this build, and '%s' is no shared object: "
                                    "write %s:PATH.so",
                                    e.name, e.place, e.name));
    if (c->entries.n == ENTRIES_MAX)
        return told(c, line, wp_arena_printf(c->arena, "more than %d plugins", ENTRIES_MAX));
    to = wp_vec_add(&c->entries, sizeof(*to));
    if (to == NULL)
        return -ENOMEM;
    *to = e;
    return 0;
}

static int read_entries(struct cfg *c, char *text)
{
    unsigned line = 0;
    int r = 0;

    for (char *next = text; r != -ENOMEM && next != NULL;) {
        char *at = next, *end = strchr(at, '\n');

        next = end != NULL ? end + 1 : NULL;
        line++;
        end = end != NULL ? end : at + strlen(at);
        at += strspn(at, " \t\r");
        while (end > at && strchr(" \t\r", end[-1]) != NULL)
            end--;
        *end = '\0';
        if (*at != '\0' && *at != '#')
            r = read_entry(c, at, line);
    }
    return r == -ENOMEM ? r : 0;
}

/* Those that are known and listed, in the file's order, into the places they have together. */
static void reorder(const struct cfg *c, struct wp_directive *order)
{
    const struct entry *e = c->entries.at;
    size_t next = 0;

    for (struct wp_directive *d = order; d->name != NULL; d++) {
        if (!is_listed(c, d->name))
            continue;
        while (built(e[next].name) == NULL)
            next++;
        *d = *built(e[next++].name);
    }
}

/* Beside which line of the file the i-th stands. */
static struct conf_place place_of(const struct cfg *c, struct wp_directive *order, size_t i)
{
    const struct entry *e = c->entries.at;
    struct conf_place place = {0};

    if (i > 0 && conf_order_find(order, e[i - 1].name) != NULL)
        return (struct conf_place){.beside = e[i - 1].name};
    for (i++; place.beside == NULL && i < c->entries.n; i++) {
        if (!e[i].outside)
            place = (struct conf_place){e[i].name, true};
    }
    return place;
}

static int load_entries(struct cfg *c, struct wp_directive *order)
{
    const struct entry *e = c->entries.at;
    const char *dir = conf_dir_of(c->arena, c->path);

    for (size_t i = 0; dir != NULL && i < c->entries.n; i++) {
        struct conf_place place;
        const struct module *m;
        const char *path, *why;
        int r;

        if (!e[i].outside)
            continue;
        path = e[i].place[0] == '/' ? e[i].place : wp_conf_join(c->arena, dir, e[i].place);
        if (path == NULL)
            return -ENOMEM;
        r = conf_module_open(path, c->arena, &m, &why);
        place = place_of(c, order, i);
        if (r == 0)
            r = conf_order_add(order, e[i].name, m, &place, c->arena, &why);
        if (r == -ENOMEM)
            return r;
        if (r < 0)
            told(c, e[i].line, why);
    }
    return dir != NULL ? 0 : -ENOMEM;
}

int conf_order_read(const char *path, char *text, struct wp_arena *arena,
                    struct wp_conf_report *report, struct wp_directive **ret)
{
    struct cfg c = {.arena = arena, .report = report, .path = path};
    struct wp_directive *order = NULL;
    unsigned before = report->n;
    int r = read_entries(&c, text);

    if (r == 0)
        order = conf_order_copy(arena, wp_built_directives, (unsigned)c.entries.n);
    if (order != NULL) {
        reorder(&c, order);
        r = load_entries(&c, order);
        *ret = order;
    } else {
        r = -ENOMEM;
    }
    wp_vec_done(&c.entries);
    return r == 0 && report->n > before ? WP_ECONFIG : r;
}

int wp_directives_read(const char *path, struct wp_conf_report *report)
{
    static struct wp_arena arena; /* the order and its words */
    struct wp_directive *order;
    char *text = NULL, *copy;
    const char *why;
    size_t len;
    int r = wp_conf_read_file(path, &arena, &text, &len, &why);

    if (r < 0)
        return wp_conf_report_add(report, WP_CONF_PLAIN, NULL, NULL, 0, "%s", why);
    copy = wp_arena_strndup(&arena, text, strlen(text));
    if (copy == NULL)
        r = -ENOMEM;
    else if (strlen(text) != len)
        r = wp_conf_report_add(report, WP_CONF_PLAIN, NULL, NULL, 0, "%s: the text has a NUL octet",
                               path);
    else
        r = conf_order_read(path, copy, &arena, report, &order);
    if (r == 0)
        own = order;
    free(text);
    return r;
}
