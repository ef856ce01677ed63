/* Commands that ask a running process: which one, and what it says. */
#pragma once
#include <stddef.h>
#include "waypost/plugin/command.h"

/* The options that all of them have; first in their struct. */
struct ask_options {
    const char *socket; /* PATH or PID, or NULL */
    bool json;
};
extern const struct wp_arg ask_args[];

/* Exit codes. */
enum { ASK_REFUSED = 1, ASK_USAGE = 2, ASK_NOBODY = 3, ASK_SEVERAL = 4 };
extern const struct wp_exit ask_exits[];

/* A connection to the process that is meant, or the exit code as a negative number: everything has
 * been said, on behalf of the command. */
int find_process(const char *command, const char *socket);
/* GET the target; the answer goes to stdout, what is wrong to stderr. Closes fd. The exit code. */
int ask_process(const char *command, int fd, const char *target);
