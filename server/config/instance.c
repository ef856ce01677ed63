/* One instance: all lines of its directive in a block, read by its option table. */
#include <string.h>

#include "server/config/bind_priv.h"

enum { INSTANCE_ALIGN = 64 }; /* a cache line: instances may hold what workers write */

static const struct wp_option *find_row(const struct wp_plugin *p, const char *word)
{
    const struct wp_option *any = NULL, *row = p->options;

    for (; row != NULL && row->name != NULL; row++) {
        if (word[0] != '\0' && strcmp(row->name, "*") == 0)
            any = row;
        else if (strcmp(row->name, word) == 0)
            return row;
    }
    return any;
}

/* What a callback returned: WP_ECONFIG means that it has been told. */
static int told(struct wp_setup *s, unsigned before, int r)
{
    const struct wp_conf_report *report = s->report;

    if (r >= 0 || r == -ENOMEM)
        return r < 0 ? r : 0;
    if (report->n == before)
        return wp_setup_error(s, NULL, "%s", wp_strerror(r));
    return WP_ECONFIG;
}

static int read_row(void *self, struct wp_setup *s, const struct wp_option *row,
                    const struct wp_line *line)
{
    unsigned before = ((const struct wp_conf_report *)s->report)->n;

    s->line = line;
    return told(s, before, conf_option(self, s, row, line));
}

static int call(int (*fn)(void *, struct wp_setup *, const struct wp_line *), void *self,
                struct wp_setup *s, const struct wp_line *line)
{
    unsigned before = ((const struct wp_conf_report *)s->report)->n;

    s->line = line;
    return fn != NULL ? told(s, before, fn(self, s, line)) : 0;
}

static int unknown(struct wp_setup *s, const struct wp_plugin *p, const struct wp_line *line,
                   const char *word)
{
    const char *text = p->unknown != NULL ? p->unknown : "unknown property '%s'";
    const char *at = strstr(text, "%s");

    s->line = line;
    if (text[0] == '\0')
        return wp_setup_arg_error(s, line);
    if (at == NULL)
        return wp_setup_error(s, line, "%s", text);
    return wp_setup_error(s, line, "%.*s%s%s", (int)(at - text), text, word, at + 2);
}

static int read_option(void *self, struct wp_setup *s, const struct wp_plugin *p,
                       const struct wp_line *line)
{
    const struct wp_option *row = find_row(p, line->words[0][0] != '\0' ? line->words[0] : "*");

    if (row == NULL)
        return unknown(s, p, line, line->words[0]);
    if (line->has_block && !row->nests)
        return unknown(s, p, line, "{");
    return read_row(self, s, row, line);
}

/* A directive without options takes no option block. */
static bool takes_options(const struct wp_plugin *p)
{
    for (const struct wp_option *row = p->options; row != NULL && row->name != NULL; row++) {
        if (row->name[0] != '\0')
            return true;
    }
    return p->unknown != NULL;
}

/* The directive's own arguments. */
static int read_head(void *self, struct wp_setup *s, const struct wp_plugin *p,
                     const struct wp_line *line)
{
    const struct wp_option *row = find_row(p, "");

    s->line = line;
    if (row != NULL)
        return read_row(self, s, row, line);
    return line->n_words > 1 ? wp_setup_arg_error(s, line) : 0;
}

/* -ENOMEM ends it; other errors have been told, and the next line is read. */
static int read_occurrence(void *self, struct wp_setup *s, const struct wp_plugin *p,
                           const struct wp_line *line)
{
    int worst = 0, r = call(p->begin, self, s, line);

    if (r < 0) /* without its beginning the rest makes no sense */
        return r;
    if (line->has_block && !takes_options(p))
        return wp_setup_error(s, line, "Unexpected token '{', expecting argument");
    r = read_head(self, s, p, line);
    for (unsigned i = 0; r != -ENOMEM && i < line->n_options; i++) {
        worst = r < 0 ? r : worst;
        r = read_option(self, s, p, &line->options[i]);
    }
    worst = r < 0 ? r : worst;
    if (worst == 0)
        worst = call(p->end, self, s, line);
    return worst;
}

/* Words of a default, made a line of the option. */
static int read_default(void *self, struct wp_setup *s, const struct wp_option *row)
{
    const char *words[16] = {row->name};
    struct wp_line line = {.file = "", .words = words, .n_words = 1};
    char *text = wp_arena_strdup(s->arena, row->def), *save = NULL;

    if (text == NULL)
        return -ENOMEM;
    if (row->kind == WP_OPT_FLAG)
        text[0] = '\0';
    for (char *w = strtok_r(text, " ", &save); w != NULL && line.n_words < WP_COUNT(words);
         w = strtok_r(NULL, " ", &save))
        words[line.n_words++] = w;
    line.words = wp_arena_dup(s->arena, words, sizeof(words));
    if (line.words == NULL)
        return -ENOMEM;
    return read_row(self, s, row, &line);
}

static int read_defaults(void *self, struct wp_setup *s, const struct wp_plugin *p)
{
    for (const struct wp_option *row = p->options; row != NULL && row->name != NULL; row++) {
        int r = row->def != NULL ? read_default(self, s, row) : 0;

        if (r < 0)
            return r;
    }
    return 0;
}

static bool is_of(const struct wp_line *line, const struct wp_plugin *p)
{
    return strcmp(line->words[0], p->name) == 0;
}

static int read_lines(void *self, struct wp_setup *s, const struct wp_plugin *p)
{
    unsigned seen = 0;
    int worst = 0;

    for (unsigned i = 0; i < s->block->n_lines; i++) {
        const struct wp_line *line = &s->block->lines[i];
        int r;

        if (!is_of(line, p))
            continue;
        if (seen++ > 0 && p->repeat == WP_REPEAT_FIRST)
            break;
        s->line = line;
        if (seen > 1 && p->repeat == WP_REPEAT_ERROR)
            return wp_setup_fail(s, "this plugin can only be used once per Server Block");
        r = read_occurrence(self, s, p, line);
        if (r == -ENOMEM)
            return r;
        worst = r < 0 ? r : worst;
    }
    return worst;
}

static const struct wp_line *first_line(const struct wp_block *block, const struct wp_plugin *p)
{
    for (unsigned i = 0; i < block->n_lines; i++) {
        if (is_of(&block->lines[i], p))
            return &block->lines[i];
    }
    return NULL;
}

static void *aligned(struct wp_arena *arena, size_t size)
{
    uintptr_t at = (uintptr_t)wp_arena_alloc(arena, size + INSTANCE_ALIGN);

    if (at == 0)
        return NULL;
    at = (at + INSTANCE_ALIGN - 1) & ~(uintptr_t)(INSTANCE_ALIGN - 1);
    return memset((void *)at, 0, size);
}

int conf_instance(struct binder *b, struct wp_block *block, const struct wp_plugin *p,
                  void **ret_self)
{
    struct wp_setup s = {
        .arena = b->arena,
        .block = block,
        .zones = &block->zones,
        .root = block->set.root,
        .check_only = b->check_only,
        .report = b->report,
        .plugin = p->name,
        .line = first_line(block, p),
        .directives = b->directives,
    };
    void *self = aligned(b->arena, p->size > 0 ? p->size : 1);
    unsigned before = b->report->n;
    int r;

    *ret_self = self;
    if (self == NULL)
        return -ENOMEM;
    r = p->new != NULL ? told(&s, before, p->new (self, &s)) : 0;
    if (r == 0)
        r = read_defaults(self, &s, p);
    if (r == 0)
        r = read_lines(self, &s, p);
    if (r == 0 && p->check != NULL) {
        s.line = first_line(block, p);
        before = b->report->n;
        r = told(&s, before, p->check(self, &s));
    }
    return r;
}
