/* Regular expressions as a Corefile has them: RE2 syntax, matched in bounded time. PCRE2 does the
 * work; what RE2 has not (look-around, back-references) is refused by name, and a match that takes
 * more than WP_REGEX_STEPS steps is no match. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "waypost/base/err.h"

struct wp_regex;

enum { WP_REGEX_PATTERN_MAX = 10000, WP_REGEX_GROUPS_MAX = 32, WP_REGEX_STEPS = 200000 };

/* A group's octets in the subject; -1: did not take part. */
struct wp_regex_span {
    int start, end;
};

/* errbuf says what is wrong. WP_EMALFORMED, WP_ELIMIT (pattern too long), -ENOMEM. */
int wp_regex_new(const char *pattern, char errbuf[160], struct wp_regex **ret) WP_MUSTCHECK;
void wp_regex_free(struct wp_regex *re);
unsigned wp_regex_groups(const struct wp_regex *re); /* without group 0 */
/* Number of a named group, or -1. */
int wp_regex_group(const struct wp_regex *re, const char *name);
/* Unanchored. spans (may be NULL) gets group 0 and up to n - 1 groups. Any thread at once; each
 * thread keeps one match area of its own. */
bool wp_regex_match(const struct wp_regex *re, const char *subject, size_t len,
                    struct wp_regex_span *spans, unsigned n);
