/* How many sockets each listening address has. */
#include <unistd.h>

#include "waypost/base/text.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/plugin.h"

enum { SOCKETS_MAX = 1024 };

struct multisocket {
    bool seen;
};

static int parse_line(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct multisocket *m = self;
    int64_t n = sysconf(_SC_NPROCESSORS_ONLN);
    int r;

    if (m->seen)
        return wp_setup_error(s, line, "Wrong argument count or unexpected line ending after '%s'",
                              line->words[0]);
    m->seen = true;
    if (line->n_words > 2)
        return wp_setup_arg_error(s, line);
    if (line->n_words == 2) {
        r = wp_int_parse(line->words[1], INT64_MIN, INT64_MAX, &n);
        if (r < 0)
            return wp_setup_fail(s, "invalid num sockets: strconv.Atoi: parsing \"%s\": %s",
                                 line->words[1],
                                 r == WP_ELIMIT ? "value out of range" : "invalid syntax");
        if (n < 1)
            return wp_setup_fail(s, "num sockets can not be zero or negative: %lld", (long long)n);
        if (n > SOCKETS_MAX)
            return wp_setup_fail(s, "num sockets exceeds maximum (%d): %lld", SOCKETS_MAX,
                                 (long long)n);
    }
    s->block->set.sockets = n;
    return 0;
}

static const struct wp_option multisocket_options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_line, .help = "[NUM_SOCKETS]"},
    {0},
};

const struct wp_plugin wp_plugin_multisocket = {
    .name = "multisocket",
    .size = sizeof(struct multisocket),
    .options = multisocket_options,
    .config_only = true,
};
