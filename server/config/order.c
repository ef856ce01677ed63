#include "server/config/order_priv.h"

#include <ctype.h>
#include <string.h>

/* Behind everything that knows records, in front of what asks others. */
static const char default_neighbour[] = "loop";

struct wp_directive *conf_order_find(struct wp_directive *order, const char *name)
{
    while (order->name != NULL && strcmp(order->name, name) != 0)
        order++;
    return order->name != NULL ? order : NULL;
}

unsigned conf_order_len(const struct wp_directive *order)
{
    unsigned n = 0;

    while (order[n].name != NULL)
        n++;
    return n;
}

struct wp_directive *conf_order_copy(struct wp_arena *arena, const struct wp_directive *order,
                                     unsigned more)
{
    unsigned n = conf_order_len(order);
    struct wp_directive *copy = wp_arena_array(arena, n + more + 1, sizeof(*copy));

    if (copy != NULL)
        memcpy(copy, order, n * sizeof(*copy));
    return copy;
}

static int refuse(const char **ret_why, const char *why)
{
    *ret_why = why != NULL ? why : "out of memory";
    return WP_ECONFIG;
}

/* What a Corefile can name, and nothing that its grammar reads itself. */
static bool is_name(const char *name)
{
    if (strcmp(name, "import") == 0 || strcmp(name, "load") == 0 || !islower((uint8_t)name[0]))
        return false;
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static bool is_beside(const struct wp_directive *d, const struct conf_place *place)
{
    return d->file != NULL && d->beside != NULL && d->before == place->before &&
           strcmp(d->beside, place->beside) == 0;
}

/* Make room at the place. Those that are to stand in one place stand there in the order in which
 * they came. */
static struct wp_directive *open_row(struct wp_directive *order, const struct conf_place *place)
{
    struct wp_directive *at = conf_order_find(order, place->beside);

    if (at == NULL)
        return NULL;
    if (!place->before) {
        at++;
        while (at->name != NULL && is_beside(at, place))
            at++;
    }
    memmove(at + 1, at, (conf_order_len(at) + 1) * sizeof(*at));
    return at;
}

static struct conf_place wish(const struct wp_plugin_module *m)
{
    if (m->after != NULL)
        return (struct conf_place){.beside = m->after};
    return (struct conf_place){m->before != NULL ? m->before : default_neighbour, true};
}

static int put(struct wp_directive *order, const char *name, const struct module *m,
               const struct conf_place *place, struct wp_arena *arena, const char **ret_why)
{
    struct wp_directive *row = conf_order_find(order, name);
    struct conf_place there = *place;

    if (row != NULL && there.beside == NULL) { /* CoreDNS has it, this build has not */
        row->plugin = m->object->plugin;
        row->file = m->path;
        return 0;
    }
    if (there.beside == NULL)
        there = wish(m->object);
    if (strcmp(there.beside, name) == 0)
        return refuse(ret_why, wp_arena_printf(arena, "'%s' cannot stand beside itself", name));
    if (row != NULL)
        memmove(row, row + 1, (conf_order_len(row + 1) + 1) * sizeof(*row));
    row = open_row(order, &there);
    if (row == NULL)
        return refuse(ret_why,
                      wp_arena_printf(arena, "'%s' is to stand %s '%s', which is no directive",
                                      name, there.before ? "before" : "after", there.beside));
    *row = (struct wp_directive){.name = m->object->plugin->name,
                                 .plugin = m->object->plugin,
                                 .file = m->path,
                                 .beside = there.beside,
                                 .before = there.before};
    return 0;
}

int conf_order_add(struct wp_directive *order, const char *name, const struct module *m,
                   const struct conf_place *place, struct wp_arena *arena, const char **ret_why)
{
    const struct wp_directive *row = conf_order_find(order, name);
    const char *own = m->object->plugin->name;

    if (!is_name(name))
        return refuse(ret_why, wp_arena_printf(arena,
                                               "'%s' is no name for a directive: it has "
                                               "lower-case letters, digits and '_'",
                                               name));
    if (strcmp(own, name) != 0)
        return refuse(ret_why, wp_arena_printf(arena, "the plugin in %s is named '%s', not '%s'",
                                               m->path, own, name));
    if (row != NULL && row->plugin != NULL && row->file == NULL)
        return refuse(ret_why, wp_arena_printf(arena,
                                               "'%s' is a directive of waypost itself: a "
                                               "plugin from outside needs another name",
                                               name));
    if (row != NULL && row->plugin != NULL && row->plugin != m->object->plugin)
        return refuse(ret_why,
                      wp_arena_printf(arena, "'%s' is loaded already, from %s", name, row->file));
    if (row != NULL && row->plugin != NULL) {
        if (place->beside == NULL || is_beside(row, place))
            return 0;
        return refuse(ret_why,
                      wp_arena_printf(arena, "'%s' is loaded already, in another place", name));
    }
    return put(order, name, m, place, arena, ret_why);
}
