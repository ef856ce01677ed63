/* A parsed configuration as one short text, for tables:
 * keys joined by ',', '{', lines joined by ';', '}'; words of a line joined by ' '; its option
 * block in '[' ']', lines joined by ';'. */
#pragma once
#include <stdio.h>
#include <string.h>
#include "waypost/server/config.h"

static inline void dump_lines(FILE *f, const struct wp_line *lines, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        fputs(i > 0 ? ";" : "", f);
        for (unsigned w = 0; w < lines[i].n_words; w++)
            fprintf(f, "%s%s", w > 0 ? " " : "", lines[i].words[w]);
        if (lines[i].has_block) {
            fputs("[", f);
            dump_lines(f, lines[i].options, lines[i].n_options);
            fputs("]", f);
        }
    }
}

static inline void conf_dump(const struct wp_conf *c, char *out, size_t cap)
{
    FILE *f = fmemopen(out, cap, "w");

    for (unsigned i = 0; i < c->n_blocks; i++) {
        for (unsigned k = 0; k < c->blocks[i].n_keys; k++)
            fprintf(f, "%s%s", k > 0 ? "," : "", c->blocks[i].keys[k]);
        fputs("{", f);
        dump_lines(f, c->blocks[i].lines, c->blocks[i].n_lines);
        fputs("}", f);
    }
    fputc('\0', f);
    fclose(f);
}
