/* Sub-commands of the program: its own (server/command: `waypost status`) and those that a plugin
 * brings (`waypost register`). What a command may be told stands in one table: the command line,
 * --help and the manual page read it. A command
 * runs alone, before anything of the server: no loop runs unless it needs one, and wp_log writes to stderr. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wp_loop; /* waypost/plugin/loop.h */

enum wp_arg_kind {
    WP_ARG_FLAG,     /* bool; no value */
    WP_ARG_TEXT,     /* const char * */
    WP_ARG_WORDS,    /* struct wp_words; may be given several times */
    WP_ARG_INT,      /* int64_t in [min, max] */
    WP_ARG_DURATION, /* int64_t nanoseconds in [min, max]; Go text, or a number of seconds */
};
struct wp_words {
    const char **word;
    unsigned n;
};

/* A row of a table, closed by {0}. Written -name or --name, value behind a blank or "=". */
struct wp_arg {
    const char *name;
    enum wp_arg_kind kind;
    size_t offset;
    const char *value; /* what --help calls the value; NULL for FLAG */
    const char *def;   /* as it would be written, or NULL: zero */
    const char *help;
    int64_t min, max;
};
struct wp_exit {
    int code; /* below 0: any other */
    const char *means; /* NULL closes the table */
};

/* What is on the line beside options. */
struct wp_command_line {
    const char *const *words;
    unsigned n_words;
    char **command; /* behind "--", closed by NULL; NULL: none was given */
    /* takes_conf: the plugin's instances, set up and not started, of the Corefile that -conf
     * named, in its order; none without -conf */
    void *const *instances;
    unsigned n_instances;
    struct wp_loop *loop; /* needs_loop: one that runs, on a thread of its own; its index is 0 */
};

struct wp_command {
    const char *name;    /* "register"; two words: "etcd bad" */
    const char *words;   /* as shown: "NAME [ADDRESS [PORT]]" */
    const char *summary; /* one line */
    const char *text;    /* what the manual says more: a sentence on each line; or NULL */
    /* rows fill one zeroed struct of `size` octets; shared: the same rows for several commands,
     * whose struct begins with what they fill; may be NULL */
    const struct wp_arg *args, *shared;
    size_t size;
    unsigned min_words, max_words;
    bool takes_command; /* [-- COMMAND...] */
    bool takes_conf;    /* -conf FILE; a plugin's only */
    bool (*needs_loop)(const void *options); /* NULL: never */
    int usage_code; /* for a line that cannot be read */
    const struct wp_exit *exits;
    int (*run)(void *options, const struct wp_command_line *line); /* the exit code */
};
