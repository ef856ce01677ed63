/* Comparing server blocks of two generations. */
#include <string.h>

#include "waypost/plugin/block.h"

static bool same_lines(const struct wp_line *a, unsigned n_a, const struct wp_line *b, unsigned n_b)
{
    if (n_a != n_b)
        return false;
    for (unsigned i = 0; i < n_a; i++) {
        if (a[i].n_words != b[i].n_words)
            return false;
        for (unsigned w = 0; w < a[i].n_words; w++) {
            if (strcmp(a[i].words[w], b[i].words[w]) != 0)
                return false;
        }
        if (!same_lines(a[i].options, a[i].n_options, b[i].options, b[i].n_options))
            return false;
    }
    return true;
}

bool wp_block_same(const struct wp_block *a, const struct wp_block *b)
{
    if (a->n_keys != b->n_keys)
        return false;
    for (unsigned i = 0; i < a->n_keys; i++) {
        if (a->keys[i].scheme != b->keys[i].scheme || a->keys[i].port != b->keys[i].port ||
            !wp_name_equal(a->keys[i].zone, b->keys[i].zone))
            return false;
    }
    return same_lines(a->lines, a->n_lines, b->lines, b->n_lines);
}
