/* Inside the reader of zone text. */
#pragma once
#include "backends/common/zone_text.h"

/* --- zone_lines.c: from octets to logical lines -------------------------------------------- */

struct wp_zone_lines {
    int fd; /* -1: everything is in buf */
    char *buf;
    size_t pos, len, cap; /* what is unread: buf[pos..len) */
    bool owned, eof;
    unsigned line; /* number of the line that begins at pos */
    char *joined;  /* a line put together from several, or cleaned of comments */
    size_t joined_len, joined_cap;
};
struct wp_zone_line {
    char *text; /* NUL-terminated, changeable: no comment, no parenthesis outside quotes */
    size_t len;
    unsigned line; /* of its beginning */
};
int wp_zone_lines_open(struct wp_zone_lines *l, int fd) WP_MUSTCHECK;
int wp_zone_lines_memory(struct wp_zone_lines *l, const char *text, size_t len) WP_MUSTCHECK;
void wp_zone_lines_close(struct wp_zone_lines *l);
/* 1 a line, 0 the end, negative: -errno, or WP_EMALFORMED with *ret_why. The line is valid until
 * the next call. */
int wp_zone_lines_next(struct wp_zone_lines *l, struct wp_zone_line *ret, const char **ret_why);

/* --- zone_text.c --------------------------------------------------------------------------- */

/* One file (or the product of one $GENERATE) being read. */
struct wp_zone_reader {
    struct wp_zone_text *text;
    const char *path;
    struct wp_name origin, owner;
    bool has_owner;
    bool has_ttl, ttl_by_directive; /* of default_ttl */
    uint32_t default_ttl;
    uint32_t last_ttl; /* what a record without TTL but with a class gets, as in miekg/dns */
    unsigned depth;    /* of $INCLUDE */
    bool generated;
    struct wp_arena scratch; /* of one record */
};
int wp_zone_reader_line(struct wp_zone_reader *r, struct wp_zone_line *line) WP_MUSTCHECK;
/* Remember what is wrong; returns WP_EMALFORMED. token may be NULL. */
int wp_zone_reader_error(struct wp_zone_reader *r, unsigned line, const char *what,
                         const char *token);

/* --- zone_generate.c ------------------------------------------------------------------------ */

/* rest: what stands behind "$GENERATE". */
int wp_zone_generate(struct wp_zone_reader *r, char *rest, unsigned line) WP_MUSTCHECK;

/* The next word: blanks skipped, NUL put behind it, *at moved past it; "" at the end. A blank
 * behind a backslash and those in quotes belong to the word. */
char *wp_zone_token(char **at);
