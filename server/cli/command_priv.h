/* Commands of the tables: the program's own and those that plugins bring. */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include "waypost/base/arena.h"
#include "waypost/plugin/command.h"

struct wp_plugin;

/* The command that argv[1..] begins with, or NULL; *ret_n: how many words its name has; *ret_plugin:
 * whose it is, NULL for the program's own. A word that
 * only begins a name of two is nobody's command: *ret_n is 1 then. */
const struct wp_command *command_find(int argc, char **argv, const struct wp_plugin **ret_plugin,
                                      int *ret_n);
/* From behind its name on. The exit code. */
int command_run(const struct wp_plugin *p, const struct wp_command *c, int argc, char **argv);
void command_help(const struct wp_command *c, FILE *out);
/* One line for each command of the build. */
void command_list(FILE *out);

/* --- command_loop.c ------------------------------------------------------------------------- */

/* Zeroed: none. */
struct command_loop {
    struct wp_loop *loop;
    pthread_t thread;
};
/* 0 or a negative error. */
int command_loop_start(struct command_loop *l);
void command_loop_end(struct command_loop *l);

/* --- command_args.c ------------------------------------------------------------------------- */

/* What a line says. */
struct command_words {
    struct wp_command_line line;
    const char *conf; /* -conf, or NULL */
    bool help;
};
/* Defaults, then argv[0..]: options may stand before, between and behind words. 0; -ENOMEM; or
 * WP_EMALFORMED, the reason has been written to `err`. */
int command_read(const struct wp_command *c, int argc, char **argv, struct wp_arena *a,
                 void *options, struct command_words *ret, FILE *err) WP_MUSTCHECK;
