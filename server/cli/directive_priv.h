/* What the command line tells of directives. */
#pragma once
#include <stdbool.h>
#include <stdio.h>

/* -plugins: their names; of `conf`, too, if it is not NULL, those that its `load` lines name. The exit
 * code. */
int cli_list_plugins(const char *conf, bool in_order);
/* -plugin.cfg: false: has been told, each error with `check`, otherwise the first. */
bool cli_plugin_cfg(const char *path, bool check);
/* What the option table of a directive says; false: there is no such directive. */
bool directive_help(const char *name, FILE *out);
