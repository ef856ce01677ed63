/* $GENERATE START-STOP[/STEP] TEXT: the text once for each number, $ replaced by it; $$ and \$
 * are a dollar; ${OFFSET[,WIDTH[,BASE]]} with base d, o, x or X. Not in any RFC: as BIND has it,
 * in the reading of miekg/dns (a record without TTL gets an hour, whatever $TTL says). */
#include "backends/common/zone_text_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "waypost/base/text.h"

enum { GENERATED_TTL = 3600 };

struct range {
    int64_t start, stop, step;
};

static bool read_number(const char *s, int64_t min, int64_t *ret)
{
    return wp_int_parse(s, min, INT64_MAX / 4, ret) == 0;
}

static const char *read_range(char *word, struct range *g)
{
    char *slash = strchr(word, '/'), *dash;

    g->step = 1;
    if (slash != NULL) {
        *slash = '\0';
        if (!read_number(slash + 1, 1, &g->step))
            return "bad step in $GENERATE range";
    }
    dash = strchr(word, '-');
    if (dash == NULL)
        return "bad start-stop in $GENERATE range";
    *dash = '\0';
    if (!read_number(word, 0, &g->start))
        return "bad start in $GENERATE range";
    if (!read_number(dash + 1, 0, &g->stop))
        return "bad stop in $GENERATE range";
    if (g->stop < g->start || (g->stop - g->start) / g->step >= WP_ZONE_GENERATE_MAX)
        return "bad range in $GENERATE range";
    return NULL;
}

struct modifier {
    int64_t offset, width;
    char base;
};

/* "OFFSET[,WIDTH[,BASE]]" of len octets. */
static const char *read_modifier(const char *s, size_t len, const struct range *g,
                                 struct modifier *m)
{
    char text[64], *width, *base;

    *m = (struct modifier){.base = 'd'};
    if (len >= sizeof(text))
        return "bad modifier in $GENERATE";
    memcpy(text, s, len);
    text[len] = '\0';
    width = strchr(text, ',');
    if (width != NULL)
        *width++ = '\0';
    base = width != NULL ? strchr(width, ',') : NULL;
    if (base != NULL)
        *base++ = '\0';
    if (!read_number(text, INT32_MIN, &m->offset))
        return "bad offset in $GENERATE";
    if (width != NULL && wp_int_parse(width, 0, 255, &m->width) < 0)
        return "bad width in $GENERATE";
    if (base != NULL && (strlen(base) != 1 || strchr("doxX", *base) == NULL))
        return "bad base in $GENERATE";
    if (base != NULL)
        m->base = *base;
    if (g->start + m->offset < 0 || g->stop + m->offset > INT32_MAX)
        return "bad offset in $GENERATE";
    return NULL;
}

struct out {
    char *text;
    size_t len, cap;
};

static int put(struct out *o, const char *p, size_t len)
{
    if (len >= o->cap - o->len) {
        size_t cap = (o->cap + len + 1) * 2;
        char *more = cap > WP_ZONE_LINE_MAX ? NULL : realloc(o->text, cap);

        if (more == NULL)
            return -ENOMEM;
        o->text = more;
        o->cap = cap;
    }
    memcpy(o->text + o->len, p, len);
    o->len += len;
    o->text[o->len] = '\0';
    return 0;
}

static int put_number(struct out *o, const struct modifier *m, int64_t n)
{
    char text[300];
    int len;

    if (m->base == 'd')
        len = snprintf(text, sizeof(text), "%0*lld", (int)m->width, (long long)(n + m->offset));
    else if (m->base == 'o')
        len = snprintf(text, sizeof(text), "%0*llo", (int)m->width, (long long)(n + m->offset));
    else if (m->base == 'x')
        len = snprintf(text, sizeof(text), "%0*llx", (int)m->width, (long long)(n + m->offset));
    else
        len = snprintf(text, sizeof(text), "%0*llX", (int)m->width, (long long)(n + m->offset));
    return put(o, text, (size_t)len);
}

/* The text for one number. NULL, or what is wrong with it; *ret_err for no memory. */
static const char *expand(struct out *o, const char *s, const struct range *g, int64_t n,
                          int *ret_err)
{
    o->len = 0;
    *ret_err = put(o, "", 0);
    while (*s != '\0' && *ret_err == 0) {
        struct modifier m = {.base = 'd'};
        size_t plain = strcspn(s, "\\$");
        const char *close, *why;

        if (plain > 0) {
            *ret_err = put(o, s, plain);
            s += plain;
        } else if (s[0] == '\\' && s[1] == '$') {
            *ret_err = put(o, "$", 1);
            s += 2;
        } else if (s[0] == '\\') {
            plain = s[1] != '\0' ? 2 : 1;
            *ret_err = put(o, s, plain);
            s += plain;
        } else if (s[1] == '$') {
            *ret_err = put(o, "$", 1);
            s += 2;
        } else if (s[1] == '{') {
            close = strchr(s, '}');
            if (close == NULL)
                return "bad modifier in $GENERATE";
            why = read_modifier(s + 2, (size_t)(close - s - 2), g, &m);
            if (why != NULL)
                return why;
            *ret_err = put_number(o, &m, n);
            s = close + 1;
        } else {
            *ret_err = put_number(o, &m, n);
            s++;
        }
    }
    return NULL;
}

int wp_zone_generate(struct wp_zone_reader *r, char *rest, unsigned line)
{
    struct wp_zone_reader sub = {.text = r->text,
                                 .path = r->path,
                                 .origin = r->origin,
                                 .has_ttl = true,
                                 .default_ttl = GENERATED_TTL,
                                 .last_ttl = GENERATED_TTL,
                                 .depth = r->depth,
                                 .generated = true};
    char *word = wp_zone_token(&rest);
    struct out out = {0};
    struct range g;
    const char *why;
    int e = 0;

    if (r->generated)
        return wp_zone_reader_error(r, line, "nested $GENERATE directive not allowed", word);
    why = read_range(word, &g);
    if (why == NULL && *rest == '\0')
        why = "garbage after $GENERATE range";
    if (why != NULL)
        return wp_zone_reader_error(r, line, why, word);
    while (*rest == ' ' || *rest == '\t')
        rest++;
    wp_arena_init(&sub.scratch, 0);
    for (int64_t n = g.start; n <= g.stop && e == 0; n += g.step) {
        struct wp_zone_line made = {.line = line};

        why = expand(&out, rest, &g, n, &e);
        if (why != NULL) {
            e = wp_zone_reader_error(r, line, why, rest);
            break;
        }
        made.text = out.text;
        made.len = out.len;
        sub.default_ttl = GENERATED_TTL;
        if (e == 0)
            e = wp_zone_reader_line(&sub, &made);
    }
    wp_arena_done(&sub.scratch);
    free(out.text);
    return e;
}
