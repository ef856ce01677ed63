/* `waypost status` */
#include "server/command/commands.h"
#include "server/command/find.h"

static int run(void *options, const struct wp_command_line *line)
{
    const struct ask_options *o = options;
    int fd = find_process("status", o->socket);

    (void)line;
    return fd < 0 ? -fd : ask_process("status", fd, o->json ? "/status" : "/status?format=text");
}

const struct wp_command command_status = {
    .name = "status",
    .words = "",
    .summary = "What a running waypost serves, from where, and how well",
    .text = "It is asked on its Unix socket; the directive admin says where that is.\n"
            "The names in the JSON stay as they are from version to version; new ones may come.",
    .args = ask_args,
    .size = sizeof(struct ask_options),
    .usage_code = ASK_USAGE,
    .exits = ask_exits,
    .run = run,
};
