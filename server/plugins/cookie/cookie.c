/* DNS cookies of the block's listeners: the settings; server/guard does the work. */
#include <ctype.h>
#include <string.h>

#include "waypost/plugin/block.h"
#include "waypost/plugin/plugin.h"

static int begin(void *self, struct wp_setup *s, const struct wp_line *line)
{
    (void)self;
    (void)line;
    s->block->set.cookie.set = true;
    return 0;
}

static int parse_flag(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct wp_cookie_settings *c = &s->block->set.cookie;

    (void)self;
    if (line->n_words != 1)
        return wp_setup_arg_error(s, line);
    *(strcmp(line->words[0], "enforce") == 0 ? &c->enforce : &c->encrypted) = true;
    return 0;
}

static unsigned digit(char c)
{
    return isdigit((unsigned char)c) ? (unsigned)(c - '0') : (unsigned)(tolower(c) - 'a') + 10;
}

/* The word is not repeated in errors: they end in logs. */
static int parse_secret(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct wp_cookie_settings *c = &s->block->set.cookie;
    const char *word = line->n_words == 2 ? line->words[1] : NULL;
    uint8_t *to;

    (void)self;
    if (word == NULL)
        return wp_setup_arg_error(s, line);
    if (c->n_secrets == WP_COOKIE_SECRETS)
        return wp_setup_error(s, line, "more than %d secrets", WP_COOKIE_SECRETS);
    to = c->secret[c->n_secrets];
    if (strlen(word) != 2 * sizeof(c->secret[0]) ||
        strspn(word, "0123456789abcdefABCDEF") != 2 * sizeof(c->secret[0]))
        return wp_setup_error(s, line, "a secret has %zu hexadecimal digits",
                              2 * sizeof(c->secret[0]));
    for (size_t i = 0; i < sizeof(c->secret[0]); i++)
        to[i] = (uint8_t)(digit(word[2 * i]) << 4 | digit(word[2 * i + 1]));
    c->n_secrets++;
    return 0;
}

static const struct wp_option cookie_options[] = {
    {.name = "enforce",
     .kind = WP_OPT_CALL,
     .parse = parse_flag,
     .help = "over UDP, clients that use cookies are answered when they show ours"},
    {.name = "encrypted",
     .kind = WP_OPT_CALL,
     .parse = parse_flag,
     .help = "also on tls://, https:// and grpc:// listeners"},
    {.name = "secret",
     .kind = WP_OPT_CALL,
     .parse = parse_secret,
     .help = "32 hexadecimal digits, up to four times: the first makes cookies; a changing one"},
    {0},
};

const struct wp_plugin wp_plugin_cookie = {
    .name = "cookie",
    .options = cookie_options,
    .repeat = WP_REPEAT_ERROR,
    .config_only = true,
    .begin = begin,
};
