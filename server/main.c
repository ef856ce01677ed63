/* waypost: the command line, then the life of the process. */
#include <stdlib.h>

#include "server/process/run.h"
#include "waypost/base/hash.h"
#include "waypost/server/cli.h"

int main(int argc, char **argv)
{
    struct wp_run_options o = {.announce = wp_cli_announce};
    struct wp_cli cli;
    char *text;
    int code;

    wp_hash_seed_init();
    code = wp_cli_read(argc, argv, &cli);
    if (code == WP_CLI_GO_ON) {
        o.pidfile = cli.pidfile[0] != '\0' ? cli.pidfile : NULL;
        o.quiet = cli.quiet;
        code = wp_cli_source(&cli, &o.source, &text, &o.len);
        if (code == 0) {
            o.text = text;
            code = wp_run(&o);
            free(text);
        }
    }
    return code;
}
