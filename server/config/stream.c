/* The words that the grammar reads: those of the file, with those of imports in their place. */
#include <stdarg.h>

#include "server/config/parse_priv.h"

const struct wp_token *conf_peek(struct parser *p)
{
    if (p->stop)
        return NULL;
    while (p->top != NULL && p->top->at == p->top->tokens.n)
        p->top = p->top->up;
    return p->top != NULL ? &p->top->tokens.at[p->top->at] : NULL;
}

void conf_take(struct parser *p)
{
    const struct wp_token *t = conf_peek(p);

    p->cur = *t;
    p->cur_id = p->top->id;
    p->cur_depth = p->top->depth;
    p->top->at++;
    if (++p->n_words == CONF_WORDS_MAX) {
        conf_error(p, t, WP_CONF_PARSE, NULL, "more than %d words", CONF_WORDS_MAX);
        p->stop = true;
    }
}

bool conf_is_new_line(struct parser *p)
{
    const struct wp_token *t = conf_peek(p);

    return p->cur.file == NULL || t == NULL || p->top->id != p->cur_id || t->file != p->cur.file ||
           p->cur.line + p->cur.breaks < t->line;
}

void conf_push(struct parser *p, const struct wp_tokens *tokens, bool is_file)
{
    struct frame *f;

    conf_peek(p); /* leaves what is read to its end, so that the stack does not grow with it */
    if (tokens->n == 0)
        return;
    f = wp_arena_alloc(p->arena, sizeof(*f));
    if (f == NULL) {
        conf_no_memory(p);
        return;
    }
    *f = (struct frame){.up = p->top, .tokens = *tokens, .id = ++p->last_id};
    f->depth = p->cur_depth + is_file;
    p->top = f;
}

const char *conf_expand(struct parser *p, const struct wp_token *t)
{
    const char *word;
    int r = wp_conf_env(p->arena, t->text, &word);

    if (r == -ENOMEM) {
        conf_no_memory(p);
        return "";
    }
    if (r == 0 && word != t->text) {
        p->n_env += __builtin_strlen(word);
        r = p->n_env > CONF_ENV_TOTAL_MAX ? WP_ELIMIT : 0;
    }
    if (r < 0) {
        conf_error(p, t, WP_CONF_PARSE, NULL, "environment variables in '%.100s' grow too long",
                   t->text);
        p->stop = true;
        return "";
    }
    return word;
}

void conf_no_memory(struct parser *p)
{
    p->failed = -ENOMEM;
    p->stop = true;
}

void conf_error(struct parser *p, const struct wp_token *at, enum wp_conf_kind kind,
                const char *directive, const char *fmt, ...)
{
    struct wp_conf_error where = {
        .kind = kind, .file = at->file, .line = at->line, .directive = directive};
    va_list args;

    if (where.file == NULL)
        where.file = p->name;
    va_start(args, fmt);
    wp_conf_report_addv(p->report, &where, fmt, args);
    va_end(args);
}
