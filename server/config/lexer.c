/* Text to words. What looks odd here is on purpose, Corefiles in use depend on it:
 *  - a quote is special only as the first character of a word, and its end ends the word;
 *  - in quotes only \" is an escape, any other backslash stays;
 *  - a carriage return outside quotes is dropped wherever it stands and separates nothing;
 *  - '#' starts a comment also inside a word, but glued to a word the comment lasts only to the
 *    next white space: `foo#bar baz` is `foo`, `baz`;
 *  - a quote that never closes is closed by the end of the text. */
#include "server/config/lexer_priv.h"

#include <string.h>

#include "server/config/vec_priv.h"

struct lexer {
    const unsigned char *at, *end;
    unsigned line;
    const char *file;
    struct wp_vec word;   /* octets of the word being read */
    struct wp_vec tokens; /* struct wp_token */
    struct wp_arena *arena;
    size_t max;
};

static int put_octet(struct lexer *l, unsigned c)
{
    unsigned char *p = wp_vec_add(&l->word, 1);

    if (p == NULL)
        return -ENOMEM;
    *p = (unsigned char)c;
    return 0;
}

/* The character whose octets are [from, l->at). */
static int put_char(struct lexer *l, const unsigned char *from, unsigned c)
{
    int r = 0;

    if (c == 0)
        return WP_EMALFORMED; /* words are C strings from here on */
    if (c == 0xfffd && l->at - from == 1) {
        static const unsigned char replacement[] = {0xef, 0xbf, 0xbd};

        for (size_t i = 0; r == 0 && i < sizeof(replacement); i++)
            r = put_octet(l, replacement[i]);
        return r;
    }
    while (r == 0 && from < l->at)
        r = put_octet(l, *from++);
    return r;
}

static int add_token(struct lexer *l, unsigned line)
{
    struct wp_token *t;
    unsigned breaks = 0;
    char *text;

    if (l->tokens.n >= l->max)
        return WP_ELIMIT;
    for (size_t i = 0; i < l->word.n; i++)
        breaks += ((const char *)l->word.at)[i] == '\n';
    text = wp_arena_strndup(l->arena, l->word.at, l->word.n);
    if (text == NULL)
        return -ENOMEM;
    t = wp_vec_add(&l->tokens, sizeof(*t));
    if (t == NULL)
        return -ENOMEM;
    *t = (struct wp_token){.text = text, .file = l->file, .line = line, .breaks = breaks};
    return 0;
}

/* After the opening quote; up to the closing one or the end of the text. */
static int read_quoted(struct lexer *l, unsigned line)
{
    bool escaped = false, closed = false;
    int r = 0;

    while (r == 0 && l->at < l->end) {
        const unsigned char *from = l->at;
        unsigned c = wp_utf8_next(&l->at, l->end);

        if (!escaped && c == '\\') {
            escaped = true;
            continue;
        }
        if (!escaped && c == '"') {
            closed = true;
            break;
        }
        if (c == '\n')
            l->line++;
        if (escaped && c != '"')
            r = put_octet(l, '\\');
        escaped = false;
        if (r == 0)
            r = put_char(l, from, c);
    }
    if (r < 0 || (!closed && l->word.n == 0))
        return r;
    return add_token(l, line);
}

/* From the first character of a bare word. */
static int read_bare(struct lexer *l)
{
    unsigned line = l->line;
    bool comment = false;
    int r = 0;

    while (r == 0 && l->at < l->end) {
        const unsigned char *from = l->at;
        unsigned c = wp_utf8_next(&l->at, l->end);

        if (c == '\r')
            continue;
        if (wp_utf8_is_space(c)) {
            l->line += c == '\n';
            break;
        }
        comment = comment || c == '#';
        if (!comment)
            r = put_char(l, from, c);
    }
    return r < 0 ? r : add_token(l, line);
}

static void skip_comment(struct lexer *l)
{
    const unsigned char *nl = memchr(l->at, '\n', (size_t)(l->end - l->at));

    l->at = nl != NULL ? nl : l->end;
}

static int read_all(struct lexer *l)
{
    int r = 0;

    while (r == 0 && l->at < l->end) {
        const unsigned char *from = l->at;
        unsigned c = wp_utf8_next(&l->at, l->end);

        l->line += c == '\n';
        if (wp_utf8_is_space(c))
            continue;
        if (c == '#') {
            skip_comment(l);
            continue;
        }
        l->word.n = 0;
        if (c == '"') {
            r = read_quoted(l, l->line);
        } else {
            l->at = from;
            r = read_bare(l);
        }
    }
    return r;
}

int wp_lex(const char *file, const char *text, size_t len, size_t max, struct wp_arena *arena,
           struct wp_tokens *ret, unsigned *ret_line)
{
    static const unsigned char mark[] = {0xef, 0xbb, 0xbf}; /* U+FEFF, dropped once */
    struct lexer l = {
        .at = (const unsigned char *)text, .line = 1, .file = file, .arena = arena, .max = max};
    const struct wp_token *tokens;
    int r;

    l.end = l.at + len;
    if (len >= sizeof(mark) && memcmp(text, mark, sizeof(mark)) == 0)
        l.at += sizeof(mark);
    r = read_all(&l);
    if (r == 0) {
        tokens = wp_arena_dup(arena, l.tokens.at, l.tokens.n * sizeof(*tokens));
        if (tokens != NULL)
            *ret = (struct wp_tokens){.at = tokens, .n = l.tokens.n};
        else
            r = -ENOMEM;
    } else if (r == WP_EMALFORMED) {
        *ret_line = l.line;
    }
    wp_vec_done(&l.word);
    wp_vec_done(&l.tokens);
    return r;
}
