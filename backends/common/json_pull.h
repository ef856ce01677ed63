/* One JSON text read as it goes: the caller takes the members that it wants, all the rest is
 * checked and skipped, and no tree is built. For objects of which a tenth is wanted this costs a
 * tenth of jansson (json.h). Errors are sticky: read on, then look at `error` once.
 *
 *   for (wp_json_pull_enter(p, '{'); wp_json_pull_member(p, &key);)
 *       if (is(key, "port"))
 *           n = wp_json_pull_int(p, 0, 65535);
 *       else
 *           wp_json_pull_skip(p);
 *
 * null stands for the empty value of whatever type is read, as in Go. Names of members compare
 * exactly, as the Kubernetes API's own reader has it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/arena.h"

enum { WP_JSON_PULL_DEPTH = 512 }; /* of what is skipped */

struct wp_json_slice {
    const char *at; /* into the text, or into the arena when it had to be changed */
    size_t len;
};

struct wp_json_pull {
    const char *start, *at, *end;
    struct wp_arena *arena;
    int error;        /* 0, WP_EMALFORMED, -ENOMEM; the first one */
    bool syntax;      /* the text is no JSON, rather than of another type */
    bool fresh;       /* just behind an opening bracket */
    bool hollow;      /* just behind a null that stands for something with brackets */
    const char *what; /* of the error: static text, after "FIELD: " */
    /* Set by the caller when it goes to a member, for its messages; after an error the one that
     * was being read. */
    const char *field;
};

void wp_json_pull_init(struct wp_json_pull *p, const char *text, size_t len,
                       struct wp_arena *arena);
/* '{' or '[': go inside. null, or something else: no member follows. */
void wp_json_pull_enter(struct wp_json_pull *p, char bracket);
/* To the next member's value, or past the closing brace: false. */
bool wp_json_pull_member(struct wp_json_pull *p, struct wp_json_slice *ret_key);
/* To the next element, or past the closing bracket: false. */
bool wp_json_pull_element(struct wp_json_pull *p);
/* Valid UTF-8: as in Go, octets that are none and lone surrogates become U+FFFD. */
struct wp_json_slice wp_json_pull_string(struct wp_json_pull *p);
int64_t wp_json_pull_int(struct wp_json_pull *p, int64_t min, int64_t max);
bool wp_json_pull_bool(struct wp_json_pull *p);
/* Is the value null? Then it is read. */
bool wp_json_pull_null(struct wp_json_pull *p);
void wp_json_pull_skip(struct wp_json_pull *p);
/* Nothing but white space may follow. */
void wp_json_pull_end(struct wp_json_pull *p);
/* The value has the right type and does not do. */
void wp_json_pull_refuse(struct wp_json_pull *p, const char *what);
void wp_json_pull_nomem(struct wp_json_pull *p);
