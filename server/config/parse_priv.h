/* The parser's state, shared by its parts: stream of words (stream.c), import (import.c),
 * grammar (parse.c). */
#pragma once
#include "server/config/lexer_priv.h"
#include "server/config/vec_priv.h"
#include "waypost/server/config.h"

/* What one configuration may cost; all far above any real one. */
enum {
    CONF_WORDS_MAX = 2000000,  /* words, after imports */
    CONF_SNIPPETS_MAX = 10000, /* expansions of snippets, as in CoreDNS */
    CONF_FILES_MAX = 10000,    /* open imports of files within each other, as in CoreDNS */
    CONF_FILES_TOTAL_MAX = 100000,
    CONF_NEST_MAX = 16,           /* braces within a directive */
    CONF_ENV_ROUNDS = 100,        /* replacements in one word */
    CONF_ENV_WORD_MAX = 1 << 20,  /* octets of a word after replacement */
    CONF_ENV_TOTAL_MAX = 1 << 26, /* octets of all replaced words */
};

/* A run of tokens being read: the file itself, or an import in its place. */
struct frame {
    struct frame *up;
    struct wp_tokens tokens;
    size_t at;
    unsigned id;    /* differs for each expansion: words of two are never on one line */
    unsigned depth; /* files imported within files */
};

struct snippet {
    struct snippet *next;
    const char *name;
    struct wp_tokens tokens;
};

/* Imported files are read once for each parse. */
enum { FILE_BUCKETS = 256 };
struct imported {
    struct imported *next;
    const char *path;
    struct wp_tokens tokens;
};

struct parser {
    struct wp_arena *arena;
    struct wp_conf_report *report;
    const char *name; /* of the file, as given */
    struct frame *top;
    struct wp_token cur;        /* the last word taken; file NULL before the first */
    unsigned cur_id, cur_depth; /* of the frame it came from */
    unsigned last_id;
    size_t n_words, n_env;
    unsigned n_snippets, n_files;
    struct snippet *snippets;
    struct imported *imported[FILE_BUCKETS];
    struct wp_directive *directives; /* a copy, once a `load` line has been read; else NULL */
    bool stop;  /* nothing more can be read; `failed` or the report says why */
    int failed; /* 0, or -ENOMEM */
    /* stacks: what is being collected */
    struct wp_vec words;  /* const char * */
    struct wp_vec lines;  /* struct wp_line */
    struct wp_vec lookup; /* struct wp_token: bodies of snippets */
    struct wp_vec blocks; /* struct wp_conf_block */
};

/* --- stream.c --- */
/* The next word without taking it, or NULL at the end (also when parsing has stopped). */
const struct wp_token *conf_peek(struct parser *p);
/* Take it: it is p->cur then. There must be one. */
void conf_take(struct parser *p);
/* Does the next word stand on another line than p->cur? */
bool conf_is_new_line(struct parser *p);
/* Put a run of tokens before what is left to read. */
void conf_push(struct parser *p, const struct wp_tokens *tokens, bool is_file);
/* The word with its environment references replaced; never NULL. */
const char *conf_expand(struct parser *p, const struct wp_token *t);
void conf_no_memory(struct parser *p);
/* An error at a word; `directive` as in wp_conf_error. */
void conf_error(struct parser *p, const struct wp_token *at, enum wp_conf_kind kind,
                const char *directive, const char *fmt, ...) WP_PRINTF(5, 6);

/* --- import.c --- */
/* p->cur is `import`: read the rest of its line, put what it stands for in its place. */
void conf_import(struct parser *p);
/* Tokens of a text; errors are reported. False: none. */
bool conf_lex(struct parser *p, const char *file, const char *text, size_t len,
              struct wp_tokens *ret);

/* --- load.c --- */
/* A `load` line, whole: what it loads is a directive from there on. */
void conf_load(struct parser *p, const struct wp_token *at, const struct wp_line *line);
/* The directives that are known here. */
const struct wp_directive *conf_directives(const struct parser *p);

/* --- env.c --- */
/* {%NAME%}, then {$NAME}. *ret is `word` itself when there is nothing to replace.
 * @return 0, -ENOMEM, WP_ELIMIT (a value that refers to itself, or too long) */
int wp_conf_env(struct wp_arena *arena, const char *word, const char **ret) WP_MUSTCHECK;

/* --- glob.c --- */
/* Paths that match, in lexical order, as struct { const char * } in `ret`; a pattern without
 * wildcard matches what exists. 0, -ENOMEM, WP_EMALFORMED (bad pattern), WP_ELIMIT. */
int wp_conf_glob(struct wp_arena *arena, const char *pattern, struct wp_vec *ret) WP_MUSTCHECK;
/* dir/path without "." and "..", by text alone (Go's filepath.Join). NULL: no memory. */
char *wp_conf_join(struct wp_arena *arena, const char *dir, const char *path);
/* The directory of a file, absolute, by text alone. NULL: no memory, or errno says why. */
const char *conf_dir_of(struct wp_arena *arena, const char *path);

/* --- digest.c --- */
int wp_conf_digest(const struct wp_conf *conf, char ret[129]) WP_MUSTCHECK;
