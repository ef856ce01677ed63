/* A plugin from outside: a shared object that holds one plugin. The program looks at this before it
 * uses anything else of it:
 *
 *     WP_PLUGIN_EXPORT(wp_plugin_hello, .after = "log");
 *
 * How it is written, built and loaded: deploy/examples/README.md, which is installed with the other
 * documents. What has been loaded stays until the process ends. */
#pragma once
#include <stdint.h>
#include "waypost/plugin/plugin.h"

/* What the installed headers mean to a compiled plugin: sizes, offsets, values, functions. It grows
 * with every change that one would notice (tests/project/test_abi.py). */
enum { WP_PLUGIN_ABI = 1 };
#define WP_PLUGIN_VERSION "0.1.0" /* the program that these headers belong to */

/* The first three members never move. */
struct wp_plugin_module {
    uint32_t abi, plugin_size;
    const char *version;
    const struct wp_plugin *plugin;
    /* Where it stands if nobody says anything else: behind or in front of a directive. Neither:
     * behind the backends that know records, in front of `loop` and `forward`. */
    const char *after, *before;
};

#define WP_PLUGIN_SYMBOL "wp_plugin_module"
/* Once, at the end of one file. What follows the plugin: .after or .before, or nothing. A plugin that is
 * compiled into the program (WAYPOST_PLUGIN_CFG) is found by the name wp_plugin_NAME. */
#ifdef WP_PLUGIN_STATIC
#define WP_PLUGIN_EXPORT(which, ...) extern const struct wp_plugin which
#else
#define WP_PLUGIN_EXPORT(which, ...)                                                               \
    __attribute__((visibility("default"))) extern const struct wp_plugin_module wp_plugin_module;  \
    const struct wp_plugin_module wp_plugin_module = {.abi = WP_PLUGIN_ABI,                        \
                                                      .plugin_size = sizeof(struct wp_plugin),     \
                                                      .version = WP_PLUGIN_VERSION,                \
                                                      .plugin = &(which),                          \
                                                      __VA_ARGS__}
#endif
