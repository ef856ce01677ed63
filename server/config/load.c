/* `load NAME PATH [after|before DIRECTIVE]`: a plugin from outside, a directive of this
 * configuration from here on. As with `import`, what stands first is read first; in which block it
 * stands does not matter. */
#include <errno.h>
#include <string.h>

#include "server/config/order_priv.h"
#include "server/config/parse_priv.h"

const struct wp_directive *conf_directives(const struct parser *p)
{
    return p->directives != NULL ? p->directives : wp_directives();
}

/* False: reported. */
static bool read_place(struct parser *p, const struct wp_token *at, const struct wp_line *line,
                       struct conf_place *ret)
{
    if (line->n_words == 3)
        return true;
    ret->before = strcmp(line->words[3], "before") == 0;
    ret->beside = line->words[4];
    if (ret->before || strcmp(line->words[3], "after") == 0)
        return true;
    conf_error(p, at, WP_CONF_PARSE, "load", "'%s' is neither 'after' nor 'before'",
               line->words[3]);
    return false;
}

/* Relative to the file that the line stands in; NULL: reported. */
static const char *full_path(struct parser *p, const struct wp_token *at, const char *path)
{
    const char *dir = path[0] == '/' ? "" : conf_dir_of(p->arena, at->file);
    const char *full = dir != NULL ? wp_conf_join(p->arena, dir, path) : NULL;

    if (full == NULL)
        conf_no_memory(p);
    return full;
}

void conf_load(struct parser *p, const struct wp_token *at, const struct wp_line *line)
{
    struct conf_place place = {0};
    struct wp_directive *order;
    const struct module *m;
    const char *path, *why = NULL;
    int r;

    if (line->has_block || (line->n_words != 3 && line->n_words != 5)) {
        conf_error(p, at, WP_CONF_PARSE, "load",
                   "one line is wanted: load NAME PATH [after|before DIRECTIVE]");
        return;
    }
    if (!read_place(p, at, line, &place))
        return;
    path = full_path(p, at, line->words[2]);
    order = conf_order_copy(p->arena, conf_directives(p), 1);
    if (path == NULL || order == NULL) {
        conf_no_memory(p);
        return;
    }
    r = conf_module_open(path, p->arena, &m, &why);
    if (r == 0)
        r = conf_order_add(order, line->words[1], m, &place, p->arena, &why);
    if (r == 0)
        p->directives = order;
    else if (r == -ENOMEM)
        conf_no_memory(p);
    else
        conf_error(p, at, WP_CONF_PARSE, "load", "%s", why);
}
