/* The contract of plugins and backends. One instance serves one server block, however often
 * the directive stands in it, and all workers at once: what changes while queries run is per
 * worker (wp_loop_index) or atomic. The life of an instance:
 *
 *   zeroed memory (aligned to 64 octets) -> new() -> defaults of the rows -> option rows,
 *   occurrence by occurrence: begin(), row "", options, end() -> check() of the finished thing
 *   (up to here: `waypost check` goes so far and opens nothing) -> start() -> serve()/reply()
 *   on the workers -> stop() when no query of the generation is left.
 *
 * A reload builds new instances beside the old ones. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/arena.h"
#include "waypost/plugin/query.h"

struct wp_setup;
struct wp_env;
struct wp_block;
struct wp_directive;
struct wp_command; /* waypost/plugin/command.h */
struct wp_report;  /* waypost/plugin/report.h */
struct wp_transfer; /* waypost/plugin/transfer.h */

/* --- what the Corefile gives a plugin ------------------------------------------------- */

/* One line: the directive with its arguments, or an option with its. Words are NUL-terminated,
 * after environment expansion; they live as long as the generation. */
struct wp_line {
    const char *file;
    unsigned line;
    const char *const *words; /* words[0]: directive or option */
    unsigned n_words;
    /* the option block that follows, NULL/0 without one; has_block: there were braces */
    const struct wp_line *options;
    unsigned n_options;
    bool has_block;
};

enum wp_opt_kind {
    WP_OPT_FLAG,     /* bool; no argument */
    WP_OPT_INT,      /* int64_t in [min, max] */
    WP_OPT_DURATION, /* int64_t nanoseconds in [min, max]; Go text */
    WP_OPT_STRING,   /* const char * */
    WP_OPT_PATH,     /* const char *, joined to the block's root when relative */
    WP_OPT_ZONES,    /* struct wp_zones; normalised, CIDR expanded; appends */
    WP_OPT_FALL,     /* struct wp_fall; `fallthrough [ZONE...]` */
    WP_OPT_IGNORE,   /* accepted without effect, with any arguments (old words) */
    WP_OPT_CALL,     /* parse() reads the line */
};

/* A row of the option table, closed by {0}. name "" is the directive's own line (kind CALL,
 * ZONES or IGNORE; without such a row arguments are an error); ZONES without arguments takes the
 * block's keys. name "*" takes every other word.
 * parse: 0, or a negative error after wp_setup_error said why. Reading goes on with the next
 * line after an error, so that all of them are told; check() and start() are not reached then. */
struct wp_option {
    const char *name;
    enum wp_opt_kind kind;
    size_t offset;
    const char *def;   /* default in Corefile text, or NULL: zero */
    const char *help;  /* one line for the manual */
    int64_t min, max;  /* INT, DURATION; both 0: no bound */
    int (*parse)(void *self, struct wp_setup *s, const struct wp_line *line);
    bool nests; /* CALL: the line may have an option block of its own (else it is refused) */
};

struct wp_zones {
    const uint8_t **zone; /* wire, lower case */
    unsigned n;
    const struct wp_zone_index *index; /* set-up's, for long lists; NULL: read one by one */
};
/* Longest of the zones that holds the name, or NULL. */
const uint8_t *wp_zones_match(const struct wp_zones *z, const struct wp_qname *q);

struct wp_fall {
    bool on;
    struct wp_zones zones; /* empty and on: everything */
};
bool wp_fall_through(const struct wp_fall *f, const struct wp_qname *q);

/* --- set-up ----------------------------------------------------------------------------- */

struct wp_setup {
    struct wp_arena *arena;     /* lives as long as the generation */
    struct wp_block *block;     /* this server block: keys and settings (block.h) */
    const struct wp_zones *zones; /* the block's keys */
    const char *root;           /* directory of `root`, or NULL */
    bool check_only;            /* `waypost check`: open no socket, start nothing */
    void *report;               /* the configuration's list of errors */
    const char *plugin;         /* the directive being set up */
    const struct wp_line *line; /* the line being read: where an error points */
    const struct wp_directive *directives; /* all there are, opaque: wp_setup_plugin */
};
/* The plugin behind a directive; NULL: there is none. */
const struct wp_plugin *wp_setup_plugin(const struct wp_setup *s, const char *name);
/* Remember an error at `line` (NULL: the line being read). Printed as
 * "plugin/NAME: FILE:LINE - Error during parsing: text" at start and
 * "FILE:LINE: NAME: text" by check. Returns WP_ECONFIG. */
int wp_setup_error(struct wp_setup *s, const struct wp_line *line, const char *fmt, ...)
    WP_PRINTF(3, 4);
/* "plugin/NAME: text", no place: errors of set-up after parsing. Returns WP_ECONFIG. */
int wp_setup_fail(struct wp_setup *s, const char *fmt, ...) WP_PRINTF(2, 3);
/* "Wrong argument count or unexpected line ending after 'LAST'". Returns WP_ECONFIG. */
int wp_setup_arg_error(struct wp_setup *s, const struct wp_line *line);
/* strerror(err) as Go writes it: "no such file or directory"; in the arena. */
const char *wp_setup_errno(struct wp_setup *s, int err);
/* A path joined to root when relative; in the arena. */
const char *wp_setup_path(struct wp_setup *s, const char *path);
/* Go duration text; an error is told in the words of Go's time.ParseDuration. */
int wp_setup_duration(struct wp_setup *s, const struct wp_line *line, const char *word,
                      int64_t *ret_ns);
/* Those words, for a duration that does not parse; in the arena. */
const char *wp_setup_duration_why(struct wp_setup *s, const char *word);
/* Decimal in [min, max]; an error is told in the words of Go's strconv.Atoi. */
int wp_setup_int(struct wp_setup *s, const struct wp_line *line, const char *word, int64_t min,
                 int64_t max, int64_t *ret);
/* A limit of the connection directives: once for each block, one number from min (0 or 1) to max
 * (0: none; what passes UINT32_MAX is as good as that), into a setting that was WP_UNSET; errors
 * in CoreDNS's words. */
int wp_setup_limit(struct wp_setup *s, const struct wp_line *line, int64_t min, int64_t max,
                   int64_t *setting);
/* Zone words to zones: CIDR expanded, bad ones dropped (as CoreDNS does). Appends. */
int wp_setup_zones(struct wp_setup *s, const char *const *words, unsigned n, struct wp_zones *z);
/* One zone word, strict: the zones it stands for, or WP_EMALFORMED with *ret_why. */
int wp_zone_word(struct wp_arena *a, const char *word, struct wp_zones *z, const char **ret_why);

/* --- running ---------------------------------------------------------------------------- */

/* Services for an instance; outlives it. */
struct wp_env {
    struct wp_loop *const *workers;
    int n_workers;
    struct wp_loop *admin;      /* timers of background work; health, metrics, file watches */
    const struct wp_block *block;
    struct wp_arena *arena;     /* of the generation: start() may take from it, nothing later */
    const char *server;         /* label of the block's first listener: "dns://:53" */
    /* the instance of the generation being replaced, same block and directive, or NULL; for
     * handing data over. It is still serving; read what is immutable or refcounted only. */
    const void *previous;
    const char *plugin;
    /* Ask main to look whether the Corefile has changed, and to load it if so. Any thread. */
    void (*look_again)(void);
    void *gen;                  /* the generation, opaque */
    void *report;               /* where wp_env_fail writes */
    const char *state_dir;      /* `state` directory, NULL when off */
    const char *state_why;      /* why it is off though nobody said so, or NULL */
};
/* An error of start(): remembered as "plugin/NAME: text"; returns WP_ECONFIG. */
int wp_env_fail(struct wp_env *env, const char *fmt, ...) WP_PRINTF(2, 3);

/* Where an instance stands in `waypost status`. */
enum wp_status_place { WP_STATUS_BACKENDS, WP_STATUS_CACHES };

enum wp_repeat {
    WP_REPEAT_COMBINE, /* all occurrences fill the instance */
    WP_REPEAT_ERROR,   /* "this plugin can only be used once per Server Block" */
    WP_REPEAT_LAST,    /* later values win: read like COMBINE */
    WP_REPEAT_FIRST,   /* only the first is read */
};

struct wp_plugin {
    const char *name; /* the Corefile directive */
    size_t size;      /* of one instance; zeroed, then filled */
    const struct wp_option *options;
    /* what to say of a word that no row has, "%s" stands for it; NULL: "unknown property '%s'",
     * "": the error of wp_setup_arg_error. (A row "*" says it itself.) */
    const char *unknown;
    enum wp_repeat repeat;
    bool config_only; /* puts no handler in the chain */
    /* is this instance a handler after all? Asked when its lines have been read; NULL: as
     * config_only says */
    bool (*in_chain)(const void *self);
    bool class_any;   /* its presence admits classes other than IN (chaos, forward) */

    int (*new)(void *self, struct wp_setup *s);        /* before the first row; may be NULL */
    /* each directive line: before (begin) and after (end) its options; may be NULL */
    int (*begin)(void *self, struct wp_setup *s, const struct wp_line *line);
    int (*end)(void *self, struct wp_setup *s, const struct wp_line *line);
    int (*check)(void *self, struct wp_setup *s);      /* after all lines; loads files; may be NULL */

    /* Main thread; all loops run, no query of this generation comes yet. Descriptors and timers
     * of a loop are set up on its thread: wp_loop_call waits for that, wp_loop_post does not.
     * The same holds for quiesce() and stop(): take them down with wp_loop_call. */
    int (*start)(void *self, struct wp_env *env);
    int (*serve)(void *self, struct wp_query *q); /* loop thread; must not block */
    int (*reply)(void *self, struct wp_query *q); /* NEXT or WAIT or error; after DONE below */
    /* The question will come to serve() soon, after some others: bring the memory it will look at
     * near (__builtin_prefetch), for step 0 what hangs on the name alone, for step 1, some questions
     * later, what step 0's memory points at. A hint: it may be left out, and no serve() may follow. */
    void (*prefetch)(const void *self, const struct wp_query *q, unsigned step);
    void (*cancel)(void *self, struct wp_query *q); /* it is WAITing here and nobody cares now */
    /* Shutdown begins: stop background work, queries still come (CoreDNS's first hooks). */
    void (*quiesce)(void *self);
    /* Final shutdown only, after quiesce of all, in plugin order (health's lameduck). Returns
     * nanoseconds to wait before the next one. */
    int64_t (*lameduck)(void *self);
    void (*stop)(void *self); /* no query left; accepts a half-started self; frees everything */

    /* Set metadata labels (wp_query_meta_set) of a question before the chain runs; called only
     * in blocks with `metadata`. */
    void (*metadata)(void *self, struct wp_query *q);
    /* May this block answer the question? (`view`.) Every filter of the block must say yes. */
    bool (*filter)(void *self, struct wp_query *q);

    /* What the resolver of this question's client appends to short names, as far as this instance
     * knows it (`autopath @NAME`): names in lower case, one behind the other, the root at the end; in
     * q->arena or longer-lived. NULL: it knows nothing of the client. Loop thread. */
    const uint8_t *(*search)(void *self, struct wp_query *q);

    /* For `ready`: NULL when it does not report. Any thread. */
    bool (*is_ready)(void *self);
    /* Zones of this instance for the asking, and what `transfer` does when one is new:
     * waypost/plugin/transfer.h */
    int (*transfer)(void *self, struct wp_query *q, struct wp_transfer *ret);
    void (*zone_is_new)(void *self, const char *holder, const uint8_t *apex);

    /* What `waypost status` shows of the instance, as rows of an object that is open. Admin thread,
     * while the generation is in service; must neither block nor wait for a lock that is held
     * for long. */
    void (*status)(void *self, struct wp_report *r);
    enum wp_status_place status_place;

    /* Sub-commands of the program; closed by NULL, or NULL. */
    const struct wp_command *const *commands;
};
