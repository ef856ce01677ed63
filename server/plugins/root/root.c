/* The directory that relative paths of other directives start from. First in the order, so that
 * all of them find it set. */
#include <sys/stat.h>

#include "waypost/plugin/block.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/plugin.h"

static int parse_line(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct stat st;

    (void)self;
    if (line->n_words != 2)
        return wp_setup_arg_error(s, line);
    s->block->set.root = line->words[1];
    if (stat(line->words[1], &st) < 0) /* it may come later: a warning, not an error */
        wp_log(WP_WARNING, "root", "Root path does not exist: %s", line->words[1]);
    return 0;
}

static const struct wp_option root_options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_line, .help = "PATH"},
    {0},
};

const struct wp_plugin wp_plugin_root = {
    .name = "root",
    .options = root_options,
    .repeat = WP_REPEAT_LAST,
    .config_only = true,
};
