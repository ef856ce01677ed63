/* debug: debug lines on. Process-wide, as long as some block has it. */
#include "waypost/plugin/block.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/plugin.h"

struct debug {
    bool counted;
};

static int parse_line(void *self, struct wp_setup *s, const struct wp_line *line)
{
    (void)self;
    if (line->n_words > 1)
        return wp_setup_arg_error(s, line);
    s->block->set.debug = true;
    return 0;
}

static int debug_start(void *self, struct wp_env *env)
{
    struct debug *p = self;

    (void)env;
    p->counted = true;
    wp_log_debug_add(1);
    return 0;
}

static void debug_stop(void *self)
{
    struct debug *p = self;

    if (p->counted)
        wp_log_debug_add(-1);
    p->counted = false;
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_line, .help = "no arguments"},
    {0},
};

const struct wp_plugin wp_plugin_debug = {
    .name = "debug",
    .size = sizeof(struct debug),
    .options = options,
    .repeat = WP_REPEAT_COMBINE,
    .config_only = true,
    .start = debug_start,
    .stop = debug_stop,
};
