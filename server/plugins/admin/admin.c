/* Where the running process can be asked. */
#include "waypost/plugin/block.h"
#include "waypost/plugin/plugin.h"

#include <errno.h>
#include <string.h>

static int parse_line(void *self, struct wp_setup *s, const struct wp_line *line)
{
    (void)self;
    if (line->n_words != 2)
        return wp_setup_arg_error(s, line);
    s->block->set.admin =
        strcmp(line->words[1], "off") == 0 ? "" : wp_setup_path(s, line->words[1]);
    return s->block->set.admin == NULL ? -ENOMEM : 0;
}

static const struct wp_option admin_options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_line, .help = "PATH | off"},
    {0},
};

const struct wp_plugin wp_plugin_admin = {
    .name = "admin",
    .options = admin_options,
    .repeat = WP_REPEAT_ERROR,
    .config_only = true,
};
