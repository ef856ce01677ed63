/* The command line: CoreDNS's flags in Go's syntax, and what waypost adds as sub-commands. Main
 * thread, before anything else runs. */
#pragma once
#include <stdbool.h>
#include "waypost/server/gen.h"

struct wp_command; /* waypost/plugin/command.h */

struct wp_cli {
    const char *conf;    /* file, "stdin", or "": Corefile if there is one */
    const char *pidfile; /* "": none */
    uint16_t port;       /* of keys without one */
    bool quiet;
};

enum { WP_CLI_GO_ON = -1 };
/* Read it, set the log's format, run what ends by itself (-version, -plugins, -h, sub-commands).
 * @return WP_CLI_GO_ON: serve; else the exit code, everything has been said */
int wp_cli_read(int argc, char **argv, struct wp_cli *ret);

/* The Corefile's text and where it comes from. *ret_text is the caller's to free, after the source
 * is no longer used. 0, or the exit code, everything has been said. */
int wp_cli_source(const struct wp_cli *cli, struct wp_conf_source *ret, char **ret_text,
                  size_t *ret_len);

/* `waypost check`: argv[0] is "check". Loads everything, opens nothing, tells every error. The
 * exit code. */
int wp_cli_check(int argc, char **argv);

/* The program's own commands (server/command), closed by NULL. Beside them stand those of the
 * plugins. */
extern const struct wp_command *const wp_commands[];

/* What stands behind an option of this kind, for help and the manual: " NUMBER"; "" if nothing, or
 * the row's text says it. */
const char *wp_cli_option_words(enum wp_opt_kind kind);

/* What a start prints: a line for each zone of each listener, then the banner. */
void wp_cli_announce(const struct wp_gen *gen);
/* The two lines of the banner, the last without newline. The first one is what scripts look for
 * in CoreDNS's output: the version that this program behaves like. */
const char *wp_cli_banner(void);
/* Zone lines of one listener, each with newline, zones in the order of their octets; a zone that
 * is no host name has a line of warning before it. Free with free(); NULL: no memory. */
char *wp_cli_zone_lines(const struct wp_group *g);
