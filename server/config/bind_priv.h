/* From parsed blocks to instances. */
#pragma once
#include "waypost/plugin/plugin.h"
#include "waypost/server/config.h"

/* What all set-ups of one configuration share. */
struct binder {
    struct wp_arena *arena;
    struct wp_conf_report *report;
    const struct wp_directive *directives;
    uint16_t default_port;
    bool check_only;
};

/* The block's keys, zones and settings, from what was written. 0, -ENOMEM; bad keys are
 * reported and left out. */
int conf_block_init(struct binder *b, const struct wp_conf_block *from,
                    struct wp_block *block) WP_MUSTCHECK;
/* Make one instance from all lines of its directive in the block. *ret_self: to be stopped also
 * when something went wrong; NULL only without memory. 0, -ENOMEM, WP_ECONFIG (reported). */
int conf_instance(struct binder *b, struct wp_block *block, const struct wp_plugin *plugin,
                  void **ret_self) WP_MUSTCHECK;
/* Read a line into the instance by a row of its table, or refuse it. */
int conf_option(void *self, struct wp_setup *s, const struct wp_option *row,
                const struct wp_line *line) WP_MUSTCHECK;
/* Tell blocks apart that listen for one zone in one place. 0, -ENOMEM; reports. */
int conf_conflicts(struct binder *b, const struct wp_block *blocks, unsigned n) WP_MUSTCHECK;

/* A list of zones that grows. */
struct zone_list {
    struct wp_arena *arena;
    const uint8_t **at;
    unsigned n, cap;
};
/* Zones of [SCHEME://]ZONE[:PORT]. port: text after the last colon when that is a number, else
 * NULL, in the arena. 0, -ENOMEM; WP_EMALFORMED with *ret_why. */
int conf_zone_word(struct zone_list *list, const char *word, enum wp_scheme *ret_scheme,
                   int64_t *ret_port, const char **ret_why) WP_MUSTCHECK;
enum { CONF_NO_PORT = INT32_MIN }; /* not written */
/* Give a long list its index. 0, -ENOMEM. */
int conf_zones_index(struct wp_arena *arena, struct wp_zones *z) WP_MUSTCHECK;
