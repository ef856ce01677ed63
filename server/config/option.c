/* Option rows: how a line fills a member of an instance. */
#include <string.h>

#include "server/config/bind_priv.h"

/* Exactly `n` arguments. */
static int want(struct wp_setup *s, const struct wp_line *line, unsigned n)
{
    return line->n_words == n + 1 ? 0 : wp_setup_arg_error(s, line);
}

static int check_bounds(struct wp_setup *s, const struct wp_option *row, const struct wp_line *line,
                        int64_t v)
{
    if ((row->min == 0 && row->max == 0) || (v >= row->min && v <= row->max))
        return 0;
    if (v < row->min)
        return wp_setup_error(s, line, "value '%s' of %s is too small", line->words[1], row->name);
    return wp_setup_error(s, line, "value '%s' of %s is too large", line->words[1], row->name);
}

static int read_number(void *to, struct wp_setup *s, const struct wp_option *row,
                       const struct wp_line *line)
{
    int64_t v;
    int r = want(s, line, 1);

    if (r == 0)
        r = row->kind == WP_OPT_DURATION
                ? wp_setup_duration(s, line, line->words[1], &v)
                : wp_setup_int(s, line, line->words[1], INT64_MIN, INT64_MAX, &v);
    if (r == 0)
        r = check_bounds(s, row, line, v);
    if (r == 0)
        *(int64_t *)to = v;
    return r;
}

static int read_text(void *to, struct wp_setup *s, const struct wp_option *row,
                     const struct wp_line *line)
{
    const char *text;
    int r = want(s, line, 1);

    if (r < 0)
        return r;
    text = row->kind == WP_OPT_PATH ? wp_setup_path(s, line->words[1]) : line->words[1];
    if (text == NULL)
        return -ENOMEM;
    *(const char **)to = text;
    return 0;
}

static int read_zones(struct wp_zones *to, struct wp_setup *s, const struct wp_option *row,
                      const struct wp_line *line)
{
    struct wp_zones all = {0};

    if (line->n_words > 1)
        return wp_setup_zones(s, line->words + 1, line->n_words - 1, to);
    if (row->name[0] != '\0')
        return wp_setup_arg_error(s, line);
    all.n = to->n + s->zones->n;
    all.zone = wp_arena_array(s->arena, all.n, sizeof(*all.zone));
    if (all.zone == NULL)
        return -ENOMEM;
    if (to->n > 0)
        memcpy(all.zone, to->zone, to->n * sizeof(*all.zone));
    if (s->zones->n > 0)
        memcpy(all.zone + to->n, s->zones->zone, s->zones->n * sizeof(*all.zone));
    *to = all;
    return conf_zones_index(s->arena, to);
}

int conf_option(void *self, struct wp_setup *s, const struct wp_option *row,
                const struct wp_line *line)
{
    void *to = (uint8_t *)self + row->offset;
    struct wp_fall *fall = to;
    int r;

    switch (row->kind) {
    case WP_OPT_FLAG:
        r = want(s, line, 0);
        if (r == 0)
            *(bool *)to = true;
        return r;
    case WP_OPT_INT:
    case WP_OPT_DURATION:
        return read_number(to, s, row, line);
    case WP_OPT_STRING:
    case WP_OPT_PATH:
        return read_text(to, s, row, line);
    case WP_OPT_ZONES:
        return read_zones(to, s, row, line);
    case WP_OPT_FALL:
        fall->on = true;
        fall->zones = (struct wp_zones){0}; /* a later line replaces an earlier one */
        return wp_setup_zones(s, line->words + 1, line->n_words - 1, &fall->zones);
    case WP_OPT_IGNORE:
        return 0;
    case WP_OPT_CALL:
        return row->parse(self, s, line);
    }
    return WP_EUNSUPPORTED;
}
