/* What a part tells of itself, for a person on call and for programs: rows of name and value, in
 * objects and lists, written once and shown as JSON or as aligned text. Names are static
 * snake_case and stable; the unit is part of the name (age_s, took_ns, octets). A report belongs
 * to one thread. Every function takes NULL and does nothing then; without memory, or past the
 * report's limit, rows are left out and the report says so. No secrets. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "waypost/base/arena.h"

struct wp_report_node;

/* An object that is being filled. Copied only before its first row. */
enum { WP_REPORT_DEPTH = 12 };
struct wp_report {
    struct wp_arena *arena;
    struct wp_report_node *open[WP_REPORT_DEPTH]; /* the objects and lists around the next row */
    unsigned depth;
    bool incomplete;
    struct wp_report *problems; /* where wp_report_problem writes, or NULL */
    const char *about;          /* what its lines begin with, or NULL */
};
/* The report is an object without a name; memory is the arena's, its cap is the limit. */
void wp_report_init(struct wp_report *r, struct wp_arena *arena);

/* An object or a list; what follows is in it until it is closed. name NULL: an item of the list
 * around it. */
void wp_report_open(struct wp_report *r, const char *name);
void wp_report_list(struct wp_report *r, const char *name);
void wp_report_close(struct wp_report *r);

/* Rows. text NULL, or a time of 0: null in JSON, "-" in text. */
void wp_report_text(struct wp_report *r, const char *name, const char *text); /* copied */
void wp_report_printf(struct wp_report *r, const char *name, const char *fmt, ...) WP_PRINTF(3, 4);
void wp_report_int(struct wp_report *r, const char *name, int64_t n);
void wp_report_bool(struct wp_report *r, const char *name, bool yes);
void wp_report_none(struct wp_report *r, const char *name);
void wp_report_octets(struct wp_report *r, const char *name, uint64_t n); /* text: "1.5 MB" */
/* A duration: JSON has seconds to the millisecond (NAME_s) or whole nanoseconds (NAME_ns). */
void wp_report_s(struct wp_report *r, const char *name, uint64_t ns);
void wp_report_ns(struct wp_report *r, const char *name, uint64_t ns);
void wp_report_time(struct wp_report *r, const char *name, int64_t unix_ms); /* RFC 3339, UTC */
/* Something is not as it should be: a line for who looks at nothing else. */
void wp_report_problem(struct wp_report *r, const char *fmt, ...) WP_PRINTF(2, 3);
/* All rows of another report of the same arena, which is finished, as an object; as a list with
 * `list`. Nothing when it has none. */
void wp_report_adopt(struct wp_report *r, const char *name, struct wp_report *other, bool list);
bool wp_report_is_empty(const struct wp_report *r);

/* The finished report, from malloc, closed by a newline; NULL without memory. */
char *wp_report_as_json(struct wp_report *r, size_t *ret_len);
char *wp_report_as_text(struct wp_report *r, size_t *ret_len);
