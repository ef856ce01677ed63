/* Limits of the DoH listener. */
#include "waypost/plugin/block.h"
#include "waypost/plugin/plugin.h"

static int parse_connections(void *self, struct wp_setup *s, const struct wp_line *line)
{
    (void)self;
    return wp_setup_limit(s, line, 0, 0, &s->block->set.https_max_connections);
}

static int parse_streams(void *self, struct wp_setup *s, const struct wp_line *line)
{
    (void)self;
    return wp_setup_limit(s, line, 0, UINT32_MAX, &s->block->set.https_max_streams);
}

static const struct wp_option https_options[] = {
    {.name = "max_connections",
     .kind = WP_OPT_CALL,
     .parse = parse_connections,
     .help = "connections of the listener, 0: any number; 200"},
    {.name = "max_streams",
     .kind = WP_OPT_CALL,
     .parse = parse_streams,
     .help = "HTTP/2 streams of a connection; 250"},
    {0},
};

const struct wp_plugin wp_plugin_https = {
    .name = "https",
    .options = https_options,
    .repeat = WP_REPEAT_FIRST,
    .config_only = true,
};
