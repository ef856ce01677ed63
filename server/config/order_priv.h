/* The table of directives: which there are, and in which order set-up and chain follow them. Made
 * when the program starts and when a Corefile is read; nothing of it is met by a question. */
#pragma once
#include "waypost/plugin/module.h"
#include "waypost/server/config.h"

/* A plugin from outside, opened. Lives as long as the process. */
struct module {
    struct module *next;
    const char *path; /* absolute */
    const struct wp_plugin_module *object;
    uint64_t told[3]; /* of the file that is open, or of the changed one that was told of */
};

/* Open a shared object, once for each path. On failure *ret_why is the reason, in the arena: it
 * names the file. 0, -ENOMEM, WP_ECONFIG. */
int conf_module_open(const char *path, struct wp_arena *arena, const struct module **ret,
                     const char **ret_why) WP_MUSTCHECK;

/* Where a plugin from outside is to stand. */
struct conf_place {
    const char *beside; /* a directive; NULL: nothing was said */
    bool before;        /* in front of it, not behind it */
};

/* A row by its name, or NULL. */
struct wp_directive *conf_order_find(struct wp_directive *order, const char *name);
/* Rows of the table, the closing one not counted. */
unsigned conf_order_len(const struct wp_directive *order);
/* A copy with room for `more` rows. NULL: no memory. */
struct wp_directive *conf_order_copy(struct wp_arena *arena, const struct wp_directive *order,
                                     unsigned more);
/* Put a module's plugin under this name: in the place that is given; else in that of a directive
 * which is known and not in this build; else where the plugin wants to be; else behind the backends
 * that know records, in front of those that ask others. The order has room. 0, or WP_ECONFIG
 * with the reason in *ret_why. */
int conf_order_add(struct wp_directive *order, const char *name, const struct module *m,
                   const struct conf_place *place, struct wp_arena *arena,
                   const char **ret_why) WP_MUSTCHECK;
/* A plugin.cfg's text, which is cut into its words, over the build's order. `path` is for errors and
 * for the files it names. *ret is set also with WP_ECONFIG: the order without what was wrong. 0,
 * -ENOMEM, WP_ECONFIG (reported). */
int conf_order_read(const char *path, char *text, struct wp_arena *arena,
                    struct wp_conf_report *report, struct wp_directive **ret) WP_MUSTCHECK;
