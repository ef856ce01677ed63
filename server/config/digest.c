/* SHA-512 of what was parsed: every word with its file and line, so that an edit of an imported
 * file counts, and a comment that moves no line does not. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "server/config/parse_priv.h"

struct digest {
    EVP_MD_CTX *ctx;
    bool bad;
};

static void add_number(struct digest *d, uint32_t v)
{
    uint8_t octets[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

    d->bad = d->bad || EVP_DigestUpdate(d->ctx, octets, sizeof(octets)) != 1;
}

/* With its length, so that no two configurations look alike. */
static void add_text(struct digest *d, const char *s)
{
    size_t len = strlen(s);

    add_number(d, (uint32_t)len);
    d->bad = d->bad || EVP_DigestUpdate(d->ctx, s, len) != 1;
}

static void add_lines(struct digest *d, const struct wp_line *lines, unsigned n)
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
    struct digest d = {.ctx = EVP_MD_CTX_new()};
    uint8_t sum[EVP_MAX_MD_SIZE];

    if (d.ctx == NULL)
        return -ENOMEM;
    d.bad = EVP_DigestInit_ex(d.ctx, EVP_sha512(), NULL) != 1;
    for (unsigned i = 0; i < conf->n_blocks; i++) {
        const struct wp_conf_block *b = &conf->blocks[i];

        add_number(&d, b->n_keys);
        for (unsigned k = 0; k < b->n_keys; k++)
            add_text(&d, b->keys[k]);
        add_lines(&d, b->lines, b->n_lines);
    }
    d.bad = d.bad || EVP_DigestFinal_ex(d.ctx, sum, NULL) != 1;
    EVP_MD_CTX_free(d.ctx);
    if (d.bad)
        return -ENOMEM;
    for (int i = 0; i < 64; i++)
        snprintf(ret + 2 * i, 3, "%02x", sum[i]);
    return 0;
}
