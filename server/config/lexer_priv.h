/* Words of a Corefile. The rules, with all their particularities, are those of the Caddyfile
 * lexer that CoreDNS uses: see lexer.c. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "waypost/base/arena.h"

struct wp_token {
    const char *text; /* NUL-terminated UTF-8; invalid octets have become U+FFFD */
    const char *file; /* one pointer for each file read: compared as such */
    unsigned line;    /* of its first character, from 1 */
    unsigned breaks;  /* line breaks inside it (quoted words) */
};
struct wp_tokens {
    const struct wp_token *at;
    size_t n;
};

/* All words of a text; memory from the arena. `file` is kept by the tokens.
 * @return 0; -ENOMEM; WP_EMALFORMED: a NUL octet, in line *ret_line; WP_ELIMIT: more than max */
int wp_lex(const char *file, const char *text, size_t len, size_t max, struct wp_arena *arena,
           struct wp_tokens *ret, unsigned *ret_line) WP_MUSTCHECK;

/* The character that starts at *at (before end), moved past; octets that are not UTF-8 give
 * U+FFFD one by one, as in Go. */
unsigned wp_utf8_next(const unsigned char **at, const unsigned char *end);
/* White space in Unicode's sense. */
bool wp_utf8_is_space(unsigned c);
