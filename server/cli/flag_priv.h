/* Flags in the syntax of Go's package flag: -x, --x, -x=v, -x v; "--" or the first word that is
 * no flag ends them. */
#pragma once
#include <stdbool.h>
#include <stdio.h>

enum flag_kind { FLAG_TEXT, FLAG_BOOL };
struct flag {
    const char *name;
    enum flag_kind kind;
    void *to; /* const char **, bool * */
    const char *help;
};

enum flag_result { FLAG_OK, FLAG_HELP, FLAG_BAD };
/* Reads argv[1..]. *ret_rest: index of the first word that is left. BAD: the reason has been
 * written to `err`. */
enum flag_result flag_read(const struct flag *flags, size_t n, int argc, char **argv, int *ret_rest,
                           FILE *err);
/* What each is for; defaults are what `to` points at. */
void flag_usage(const struct flag *flags, size_t n, FILE *out);
