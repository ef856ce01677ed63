/* The program's own commands, in the order that help and the manual list them. Those that belong
 * to a directive are in its folder (struct wp_plugin, `commands`). Each has a file of its own here, or
 * a folder below this one. */
#include "server/command/commands.h"

#include <stddef.h>

#include "waypost/server/cli.h"

const struct wp_command *const wp_commands[] = {
    &command_status,
    &command_explain,
    NULL,
};
