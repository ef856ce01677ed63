/* The Corefile: text to blocks of lines (lexer, grammar, snippets, import, environment), blocks
 * to plugin instances (option rows). Errors are collected, each with its place: `check` prints
 * them all, a start prints the first in CoreDNS's words. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include "waypost/base/arena.h"
#include "waypost/plugin/block.h"

/* How CoreDNS words it. */
enum wp_conf_kind {
    WP_CONF_PARSE,  /* "FILE:LINE - Error during parsing: TEXT" */
    WP_CONF_SYNTAX, /* "FILE:LINE - Syntax error: TEXT" */
    WP_CONF_PLAIN,  /* TEXT */
};
struct wp_conf_error {
    struct wp_conf_error *next;
    enum wp_conf_kind kind;
    const char *file; /* NULL: no place */
    unsigned line;
    const char *plugin;    /* NULL: not from a plugin's set-up */
    const char *directive; /* what check puts before the text when it is not a plugin's; or NULL */
    const char *text;
};
struct wp_conf_report {
    struct wp_arena *arena;
    struct wp_conf_error *first, **last;
    unsigned n;
    bool warn_only;
};
void wp_conf_report_init(struct wp_conf_report *r, struct wp_arena *arena);
/* Returns WP_ECONFIG. */
int wp_conf_report_add(struct wp_conf_report *r, enum wp_conf_kind kind, const char *plugin,
                       const char *file, unsigned line, const char *fmt, ...) WP_PRINTF(6, 7);
/* The same with the directive that check names. */
int wp_conf_report_about(struct wp_conf_report *r, enum wp_conf_kind kind, const char *directive,
                         const char *file, unsigned line, const char *fmt, ...) WP_PRINTF(6, 7);
/* where: kind, file, line, plugin and directive of the new error. */
int wp_conf_report_addv(struct wp_conf_report *r, const struct wp_conf_error *where, const char *fmt,
                        va_list args) WP_PRINTF(3, 0);
/* One error as CoreDNS prints it / as `file:line: directive: reason`. In the report's arena. */
const char *wp_conf_error_text(struct wp_conf_report *r, const struct wp_conf_error *e);
const char *wp_conf_error_check_text(struct wp_conf_report *r, const struct wp_conf_error *e);

/* A whole file, at most WP_CONF_FILE_MAX octets: *ret_text is the caller's to free(), a NUL
 * follows it. On failure *ret_why is the system's word for it as Go prints it ("open FILE: no
 * such file or directory", "is a directory"), in the arena. */
enum { WP_CONF_FILE_MAX = 16 << 20 };
int wp_conf_read_file(const char *path, struct wp_arena *arena, char **ret_text, size_t *ret_len,
                      const char **ret_why) WP_MUSTCHECK;
/* The same from an open descriptor; name is for ret_why. */
int wp_conf_read_fd(int fd, const char *name, struct wp_arena *arena, char **ret_text,
                    size_t *ret_len, const char **ret_why) WP_MUSTCHECK;
/* strerror as Go writes it: lower case. In the arena, or static. */
const char *wp_conf_errno_text(struct wp_arena *arena, int err);

/* A parsed file: raw blocks, directives checked against the list of names. */
struct wp_conf_block {
    const char *const *keys; /* as written, after expansion */
    const unsigned *key_lines;
    unsigned n_keys;
    const char *file;
    unsigned line;
    const struct wp_line *lines; /* directives with arguments and option blocks */
    unsigned n_lines;
};
struct wp_conf {
    struct wp_arena *arena;
    struct wp_conf_block *blocks;
    unsigned n_blocks;
    const struct wp_directive *directives; /* the process's, and what `load` lines have added */
    char sha512[129]; /* of the parsed configuration, hex (plugin `reload`); "" after an error */
};
/* text need not be NUL-terminated; name is the path as given. A text without blocks is the built-in
 * one: whoami and log for the root zone on the default port. On errors the report has them
 * and WP_ECONFIG comes back; conf holds what could be read (so that check goes on). */
int wp_conf_parse(const char *name, const char *text, size_t len, struct wp_arena *arena,
                  struct wp_conf_report *report, struct wp_conf *ret) WP_MUSTCHECK;
/* Keys, settings, instances up to check(): the blocks of a generation. default_port: -dns.port.
 * Blocks that share a listener are compared (listener limits and TLS policy excepted: the
 * generation does that when the groups are made). Unless there is no memory even for the blocks,
 * ret_blocks and ret_n are set also on failure, for wp_conf_unbind: what could be made is there. */
int wp_conf_bind(const struct wp_conf *conf, uint16_t default_port, bool check_only, void *gen,
                 struct wp_arena *arena, struct wp_conf_report *report, struct wp_block **ret_blocks,
                 unsigned *ret_n) WP_MUSTCHECK;
/* stop() and free of what wp_conf_bind made (instances that never started included). */
void wp_conf_unbind(struct wp_block *blocks, unsigned n);
/* "dns", "tls", ... */
const char *wp_scheme_text(enum wp_scheme s);
/* A directive: the 62 of CoreDNS 1.15.0, ours, and those from outside. Tables are closed by a row
 * without name; their order is the one in which set-up and chain follow them. */
struct wp_directive {
    const char *name;
    const struct wp_plugin *plugin; /* NULL: known, not in this build */
    const char *file;               /* from outside: the shared object; NULL: built in */
    const char *beside;             /* from outside: what it was put behind or, `before`, in front of */
    bool before;
};
/* Of the build. */
extern const struct wp_directive wp_built_directives[];
/* Of the process: those of the build, and what a plugin.cfg has added and moved. */
const struct wp_directive *wp_directives(void);
/* Read a plugin.cfg (lines NAME:PLACE, `#` comments) over those of the build. Main thread, before
 * anything of a Corefile is read. The report says what was wrong; nothing is changed then. */
int wp_directives_read(const char *path, struct wp_conf_report *report) WP_MUSTCHECK;
