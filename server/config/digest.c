/* SHA-512 of what was parsed: every word with its file and line, so that an edit of an imported
 * file counts, and a comment that moves no line does not. */
#include <stdio.h>
#include <string.h>

#include "server/config/parse_priv.h"
#include "waypost/base/digest.h"

static void add_number(struct wp_digest *d, uint32_t v)
{
    uint8_t octets[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

    wp_digest_add(d, octets, sizeof(octets));
}

/* With its length, so that no two configurations look alike. */
static void add_text(struct wp_digest *d, const char *s)
{
    size_t len = strlen(s);

    add_number(d, (uint32_t)len);
    wp_digest_add(d, s, len);
}

static void add_lines(struct wp_digest *d, const struct wp_line *lines, unsigned n)
{
    add_number(d, n);
    for (unsigned i = 0; i < n; i++) {
        add_text(d, lines[i].file);
        add_number(d, lines[i].line);
        add_number(d, lines[i].n_words);
        for (unsigned w = 0; w < lines[i].n_words; w++)
            add_text(d, lines[i].words[w]);
        add_number(d, lines[i].has_block);
        add_lines(d, lines[i].options, lines[i].n_options);
    }
}

int wp_conf_digest(const struct wp_conf *conf, char ret[129])
{
    struct wp_digest *d = wp_digest_new();
    uint8_t sum[WP_DIGEST_LEN];
    int r;

    if (d == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < conf->n_blocks; i++) {
        const struct wp_conf_block *b = &conf->blocks[i];

        add_number(d, b->n_keys);
        for (unsigned k = 0; k < b->n_keys; k++)
            add_text(d, b->keys[k]);
        add_lines(d, b->lines, b->n_lines);
    }
    r = wp_digest_end(d, sum);
    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof(sum); i++)
        snprintf(ret + 2 * i, 3, "%02x", sum[i]);
    return 0;
}
