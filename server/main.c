/* waypost: the command line, then the life of the process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/process/run.h"
#include "waypost/base/hash.h"
#include "waypost/server/log.h"

static void announce(const struct wp_gen *gen)
{
    (void)gen;
}

int main(int argc, char **argv)
{
    struct wp_run_options o = {.source = {.path = "Corefile", .default_port = 53}, .announce = announce};
    struct wp_arena arena;
    const char *why = "";
    char *text;

    wp_hash_seed_init();
    wp_arena_init(&arena, 0);
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "-conf") == 0)
            o.source.path = argv[i + 1];
    }
    if (wp_conf_read_file(o.source.path, &arena, &text, &o.len, &why) < 0) {
        wp_log_fatal("%s", why);
        return 1;
    }
    o.text = text;
    return wp_run(&o);
}
