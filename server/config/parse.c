/* The grammar: blocks of keys and directives, snippets, option blocks. The manual of CoreDNS
 * does not tell all of it; what is done here is what its parser does, except that reading goes
 * on after an error wherever the rest can still be understood. */
#include <stdarg.h>
#include <string.h>

#include "server/config/parse_priv.h"

static bool is_word(const struct wp_token *t, const char *word)
{
    return t != NULL && strcmp(t->text, word) == 0;
}

static bool next_is(struct parser *p, const char *word)
{
    return is_word(conf_peek(p), word);
}

static void push_word(struct parser *p, const char *word)
{
    const char **to = wp_vec_add(&p->words, sizeof(*to));

    if (to != NULL)
        *to = word;
    else
        conf_no_memory(p);
}

/* The words above `base`, moved into the arena. */
static const char *const *pop_words(struct parser *p, size_t base, unsigned *ret_n)
{
    size_t n = p->words.n - base;
    const char **words = wp_arena_alloc(p->arena, n * sizeof(*words));

    p->words.n = base;
    *ret_n = 0;
    if (words == NULL) {
        conf_no_memory(p);
        return NULL;
    }
    if (n > 0)
        memcpy(words, (const char **)p->words.at + base, n * sizeof(*words));
    *ret_n = (unsigned)n;
    return words;
}

static void push_line(struct parser *p, const struct wp_line *line)
{
    struct wp_line *to = line->n_words > 0 ? wp_vec_add(&p->lines, sizeof(*to)) : NULL;

    if (to != NULL)
        *to = *line;
    else
        conf_no_memory(p);
}

static const struct wp_line *pop_lines(struct parser *p, size_t base, unsigned *ret_n)
{
    size_t n = p->lines.n - base;
    struct wp_line *lines = wp_arena_alloc(p->arena, n * sizeof(*lines));

    if (lines != NULL && n > 0)
        memcpy(lines, (struct wp_line *)p->lines.at + base, n * sizeof(*lines));
    p->lines.n = base;
    *ret_n = lines != NULL ? (unsigned)n : 0;
    if (lines == NULL)
        conf_no_memory(p);
    return lines;
}

/* --- directives ------------------------------------------------------------------------------ */

static void read_group(struct parser *p, struct wp_line *of, unsigned depth);

/* Words and option block of a line whose first word has been taken. A closing brace is left to
 * the caller. */
static void read_line(struct parser *p, struct wp_line *line, unsigned depth)
{
    size_t base = p->words.n;
    bool complained = false;
    const struct wp_token *t;

    push_word(p, line->words[0]);
    while ((t = conf_peek(p)) != NULL && !is_word(t, "}")) {
        bool brace = is_word(t, "{");

        /* CoreDNS lets the words between such braces through as further uses of the directive */
        if (brace && conf_is_new_line(p) && depth == 0) {
            conf_error(p, t, WP_CONF_PARSE, line->words[0], "'{' must be on the same line as '%s'",
                       line->words[0]);
        } else if (conf_is_new_line(p)) {
            break;
        } else if (line->has_block && !complained) {
            conf_error(p, t, WP_CONF_PARSE, line->words[0], "Unexpected token '%s' after '}'",
                       t->text);
            complained = true;
        }
        conf_take(p);
        if (brace)
            read_group(p, line, depth + 1);
        else if (!line->has_block)
            push_word(p, conf_expand(p, &p->cur));
    }
    line->words = pop_words(p, base, &line->n_words);
}

/* The options between braces; the opening one has been taken. */
static void read_group(struct parser *p, struct wp_line *of, unsigned depth)
{
    size_t base = p->lines.n;
    bool again = of->has_block;

    of->has_block = true;
    if (depth > CONF_NEST_MAX) {
        conf_error(p, &p->cur, WP_CONF_PARSE, NULL, "braces nest more than %d deep", CONF_NEST_MAX);
        p->stop = true;
    }
    while (!next_is(p, "}")) {
        struct wp_line line = {0};
        const char *first;

        if (conf_peek(p) == NULL) {
            if (!p->stop)
                conf_error(p, &p->cur, WP_CONF_PARSE, NULL, "Unexpected EOF");
            p->stop = true;
            break;
        }
        if (next_is(p, "import") && conf_is_new_line(p)) {
            conf_take(p);
            conf_import(p);
            continue;
        }
        conf_take(p);
        line.file = p->cur.file;
        line.line = p->cur.line;
        first = conf_expand(p, &p->cur);
        line.words = &first;
        if (is_word(&p->cur, "{")) { /* a line of its own, for the binder to refuse */
            line.words = wp_arena_dup(p->arena, &first, sizeof(first));
            line.n_words = line.words != NULL;
            read_group(p, &line, depth + 1);
        } else {
            read_line(p, &line, depth);
        }
        push_line(p, &line);
    }
    if (!p->stop)
        conf_take(p); /* the closing brace */
    if (again)
        p->lines.n = base; /* a second block of one line: has been refused */
    else
        of->options = pop_lines(p, base, &of->n_options);
}

static const struct wp_directive *find_directive(const struct parser *p, const char *name)
{
    const struct wp_directive *d = conf_directives(p);

    while (d->name != NULL && strcmp(d->name, name) != 0)
        d++;
    return d->name != NULL ? d : NULL;
}

/* What CoreDNS once had and old Corefiles still have: what to do about it. */
static const char *old_directive(const char *name)
{
    static const struct {
        const char *name, *what;
    } rows[] = {
        {"proxy", ": CoreDNS has dropped it (1.5.0); write 'forward' in its place"},
        {"federation", ": CoreDNS has dropped it (1.7.0), as Kubernetes did; take it out"},
    };

    for (size_t i = 0; i < WP_COUNT(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].what;
    return "";
}

/* One directive; false: the block has ended. */
static bool read_directive(struct parser *p)
{
    const struct wp_directive *d = NULL;
    struct wp_line line = {0};
    struct wp_token at;
    const char *name;
    bool load;

    conf_take(p);
    at = p->cur;
    name = conf_expand(p, &at);
    load = strcmp(name, "load") == 0;
    line.file = p->cur.file;
    line.line = p->cur.line;
    line.words = &name;
    if (!load && !p->stop)
        d = find_directive(p, name);
    if (d == NULL && !load && !p->stop)
        conf_error(p, &p->cur, WP_CONF_PARSE, name, "Unknown directive '%s'%s", name,
                   old_directive(name));
    else if (d != NULL && d->plugin == NULL)
        conf_error(p, &p->cur, WP_CONF_PARSE, name,
                   "directive '%s' of CoreDNS is not in this build of waypost", name);
    if (is_word(&p->cur, "{"))
        read_group(p, &line, 1);
    read_line(p, &line, 0);
    if (load && !p->stop)
        conf_load(p, &at, &line);
    if (load || (d != NULL && d->plugin != NULL))
        push_line(p, &line);
    if (next_is(p, "}") && !conf_is_new_line(p)) {
        conf_error(p, conf_peek(p), WP_CONF_PARSE, name,
                   "Unexpected '}' because no matching opening brace");
        conf_take(p);
        return false;
    }
    return true;
}

/* Up to the closing brace, or to the end where there was no opening one. */
static void read_directives(struct parser *p, struct wp_conf_block *b)
{
    size_t base = p->lines.n;
    bool braces = next_is(p, "{");

    if (braces)
        conf_take(p);
    while (conf_peek(p) != NULL) {
        if (next_is(p, "}")) {
            conf_take(p);
            braces = false;
            break;
        }
        if (next_is(p, "import")) {
            conf_take(p);
            conf_import(p);
        } else if (!read_directive(p)) {
            braces = false;
            break;
        }
    }
    /* CoreDNS takes the brace of the last option block for the missing one of the server block */
    if (braces && !p->stop && !is_word(&p->cur, "}"))
        conf_error(p, &p->cur, WP_CONF_SYNTAX, NULL, "Unexpected token '%s', expecting '}'",
                   p->cur.text);
    b->lines = pop_lines(p, base, &b->n_lines);
}

/* --- snippets -------------------------------------------------------------------------------- */

/* "(name)" as the only key: the name, else NULL. */
static const char *snippet_name(struct parser *p, const struct wp_conf_block *b)
{
    size_t len = b->n_keys == 1 ? strlen(b->keys[0]) : 0;
    char *name;

    if (len < 2 || b->keys[0][0] != '(' || b->keys[0][len - 1] != ')')
        return NULL;
    name = wp_arena_strndup(p->arena, b->keys[0] + 1, len - 2);
    if (name == NULL)
        conf_no_memory(p);
    return name;
}

/* Takes the words up to the matching brace, which is taken and not kept. False: there is none. */
static bool read_body(struct parser *p, const char *name, struct snippet *s)
{
    unsigned depth = 1;
    bool import = false, self = false;
    const struct wp_token *t;

    p->lookup.n = 0;
    while ((t = conf_peek(p)) != NULL) {
        struct wp_token *to;
        bool new_line = conf_is_new_line(p);

        self = self || (import && !new_line && is_word(t, name));
        import = new_line && is_word(t, "import");
        conf_take(p);
        depth += is_word(&p->cur, "{");
        depth -= is_word(&p->cur, "}");
        if (depth == 0)
            break;
        to = wp_vec_add(&p->lookup, sizeof(*to));
        if (to == NULL) {
            conf_no_memory(p);
            return false;
        }
        *to = p->cur;
    }
    if (depth > 0) {
        if (!p->stop)
            conf_error(p, &p->cur, WP_CONF_SYNTAX, NULL, "Unexpected token '%s', expecting '}'",
                       p->cur.text);
        p->stop = true;
        return false;
    }
    if (self) {
        conf_error(p, &p->cur, WP_CONF_PARSE, "import",
                   "maximum snippet import depth (%d) exceeded", CONF_SNIPPETS_MAX);
        p->lookup.n = 0; /* known, so that its users are not blamed */
    }
    s->tokens.n = p->lookup.n;
    s->tokens.at = wp_arena_dup(p->arena, p->lookup.at, p->lookup.n * sizeof(*s->tokens.at));
    return s->tokens.at != NULL;
}

static void read_snippet(struct parser *p, const char *name)
{
    struct snippet *s = p->snippets;
    bool known;

    while (s != NULL && strcmp(s->name, name) != 0)
        s = s->next;
    known = s != NULL;
    if (known)
        conf_error(p, conf_peek(p), WP_CONF_PARSE, NULL,
                   "redeclaration of previously declared snippet %s", name);
    if (!next_is(p, "{")) {
        conf_error(p, conf_peek(p), WP_CONF_SYNTAX, NULL, "Unexpected token '%s', expecting '{'",
                   conf_peek(p)->text);
        p->stop = true;
        return;
    }
    conf_take(p);
    s = wp_arena_zalloc(p->arena, sizeof(*s));
    if (s == NULL) {
        conf_no_memory(p);
        return;
    }
    s->name = name;
    if (read_body(p, name, s) && !known) {
        s->next = p->snippets;
        p->snippets = s;
    } else if (p->failed == 0 && !p->stop && s->tokens.at == NULL) {
        conf_no_memory(p);
    }
}

/* --- keys and blocks -------------------------------------------------------------------------- */

/* Keys up to '{' or a new line. */
static void read_keys(struct parser *p, struct wp_conf_block *b)
{
    size_t base = p->words.n;
    struct wp_vec lines = {0};
    bool another = false;
    const struct wp_token *t;

    while ((t = conf_peek(p)) != NULL) {
        const char *key;
        unsigned *line;
        size_t len;

        if (b->file == NULL || base == p->words.n) {
            b->file = t->file;
            b->line = t->line;
        }
        if (conf_is_new_line(p) && is_word(t, "import")) {
            conf_take(p);
            conf_import(p);
            continue;
        }
        if (is_word(t, "{")) {
            if (another)
                conf_error(p, t, WP_CONF_PARSE, NULL,
                           "Expected another address but had '{' - check for extra comma");
            break;
        }
        conf_take(p);
        key = conf_expand(p, &p->cur);
        len = strlen(key);
        if (len > 0) {
            another = key[len - 1] == ',';
            if (another)
                key = wp_arena_strndup(p->arena, key, len - 1);
            line = wp_vec_add(&lines, sizeof(*line));
            if (key == NULL || line == NULL) {
                conf_no_memory(p);
                break;
            }
            *line = p->cur.line;
            push_word(p, key);
        }
        if (another && conf_peek(p) == NULL && !p->stop)
            conf_error(p, &p->cur, WP_CONF_PARSE, NULL, "Unexpected EOF");
        if (!another && conf_is_new_line(p))
            break;
    }
    b->keys = pop_words(p, base, &b->n_keys);
    b->key_lines = wp_arena_dup(p->arena, lines.at, lines.n * sizeof(unsigned));
    if (b->key_lines == NULL)
        conf_no_memory(p);
    wp_vec_done(&lines);
}

static void read_block(struct parser *p)
{
    struct wp_conf_block b = {0}, *to;
    const char *name;

    read_keys(p, &b);
    if (p->stop)
        return;
    if (conf_peek(p) != NULL) { /* a line of keys and nothing else is a block, too */
        name = snippet_name(p, &b);
        if (p->stop)
            return;
        if (name != NULL) {
            read_snippet(p, name);
            return;
        }
        read_directives(p, &b);
    }
    if (b.n_keys == 0) /* nothing would serve it: CoreDNS drops it as well */
        return;
    to = wp_vec_add(&p->blocks, sizeof(*to));
    if (to != NULL)
        *to = b;
    else
        conf_no_memory(p);
}

static void parse_text(struct parser *p, const char *text, size_t len)
{
    struct wp_tokens tokens;

    if (!conf_lex(p, p->name, text, len, &tokens))
        return;
    conf_push(p, &tokens, false);
    while (conf_peek(p) != NULL)
        read_block(p);
}

int wp_conf_parse(const char *name, const char *text, size_t len, struct wp_arena *arena,
                  struct wp_conf_report *report, struct wp_conf *ret)
{
    static const char builtin[] = ". {\n    whoami\n    log\n}\n";
    struct parser p = {.arena = arena, .report = report, .name = name};
    struct wp_conf conf = {.arena = arena};
    unsigned before = report->n;
    int r;

    parse_text(&p, text, len);
    if (p.failed == 0 && p.blocks.n == 0 && report->n == before) {
        p.cur = (struct wp_token){0};
        p.name = "Corefile";
        parse_text(&p, builtin, sizeof(builtin) - 1);
    }
    conf.blocks = wp_arena_dup(arena, p.blocks.at, p.blocks.n * sizeof(*conf.blocks));
    conf.n_blocks = (unsigned)p.blocks.n;
    conf.directives = conf_directives(&p);
    r = p.failed;
    if (conf.blocks == NULL)
        r = -ENOMEM;
    if (r == 0 && report->n > before)
        r = WP_ECONFIG;
    if (r == 0)
        r = wp_conf_digest(&conf, conf.sha512);
    if (r == 0 || r == WP_ECONFIG)
        *ret = conf;
    wp_vec_done(&p.words);
    wp_vec_done(&p.lines);
    wp_vec_done(&p.lookup);
    wp_vec_done(&p.blocks);
    return r;
}
