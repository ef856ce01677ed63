#include "backends/kubernetes/selector.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "waypost/base/arena.h"

enum {
    REQUIREMENTS_MAX = 64,
    VALUES_MAX = 256, /* of one requirement */
    NAME_MAX_LEN = 63,
    PREFIX_MAX_LEN = 253,
};

enum token {
    END,
    WORD,
    COMMA,
    OPEN,
    CLOSE,
    NOT,
    EQUAL,
    DOUBLE_EQUAL,
    NOT_EQUAL,
    IN,
    NOT_IN,
    OTHER
};

struct requirement {
    const char *key;
    enum token op; /* WORD: the key is there, NOT: it is not */
    const char **values;
    unsigned n;
};

struct parser {
    struct wp_arena *arena;
    const char *at;
    enum token token;
    const char *text; /* of the token */
    bool values;      /* "in" and "notin" are words like any other */
    const char *why;
    struct requirement req[REQUIREMENTS_MAX];
    unsigned n;
    bool no_memory;
};

static enum token word_token(const struct parser *p, const char *text)
{
    if (!p->values && strcmp(text, "in") == 0)
        return IN;
    return !p->values && strcmp(text, "notin") == 0 ? NOT_IN : WORD;
}

static void next(struct parser *p)
{
    static const struct {
        const char *text;
        enum token token;
    } symbols[] = {
        {"==", DOUBLE_EQUAL}, {"!=", NOT_EQUAL}, {"=", EQUAL}, {"!", NOT},   {",", COMMA},
        {"(", OPEN},          {")", CLOSE},      {">", OTHER}, {"<", OTHER},
    };
    size_t n;

    p->at += strspn(p->at, " \t\r\n");
    p->token = END;
    p->text = "";
    if (*p->at == '\0')
        return;
    for (size_t i = 0; i < WP_COUNT(symbols); i++) {
        n = strlen(symbols[i].text);
        if (strncmp(p->at, symbols[i].text, n) == 0) {
            p->at += n;
            p->token = symbols[i].token;
            p->text = symbols[i].text;
            return;
        }
    }
    n = strcspn(p->at, " \t\r\n,()=!<>");
    p->text = wp_arena_strndup(p->arena, p->at, n);
    p->no_memory |= p->text == NULL;
    p->at += n;
    p->token = p->text != NULL ? word_token(p, p->text) : END;
}

static bool fail(struct parser *p, const char *expected)
{
    if (p->why == NULL)
        p->why = wp_arena_printf(p->arena, "found '%s', expected: %s", p->text, expected);
    p->no_memory |= p->why == NULL;
    return false;
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Letters and digits, and of `inner` inside. */
static bool is_name(const char *text, size_t len, size_t max, const char *inner)
{
    if (len == 0 || len > max || !is_alnum(text[0]) || !is_alnum(text[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(text[i]) && strchr(inner, text[i]) == NULL)
            return false;
    return true;
}

static bool is_key(const char *key)
{
    const char *slash = strchr(key, '/');

    if (slash != NULL) {
        if (!is_name(key, (size_t)(slash - key), PREFIX_MAX_LEN, "-."))
            return false;
        key = slash + 1;
    }
    return is_name(key, strlen(key), NAME_MAX_LEN, "-_.");
}

static bool add_value(struct parser *p, struct requirement *r, const char *value)
{
    if (r->n == VALUES_MAX) {
        p->why = "too many values";
        return false;
    }
    if (*value != '\0' && !is_name(value, strlen(value), NAME_MAX_LEN, "-_.")) {
        p->why = wp_arena_printf(
            p->arena,
            "values: Invalid value: \"%s\": a valid label must be an empty string or consist of "
            "alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character",
            value);
        p->no_memory |= p->why == NULL;
        return false;
    }
    r->values[r->n++] = value;
    return true;
}

/* "(a,b)"; nothing between two of its signs is the empty value. */
static bool parse_set(struct parser *p, struct requirement *r)
{
    if (p->token != OPEN)
        return fail(p, "'('");
    do {
        const char *value = "";
        next(p);
        if (p->token == WORD) {
            value = p->text;
            next(p);
        }
        if (p->token != COMMA && p->token != CLOSE)
            return fail(p, "',' or ')'");
        if (!add_value(p, r, value))
            return false;
    } while (p->token == COMMA);
    p->values = false;
    next(p);
    return true;
}

static bool parse_value(struct parser *p, struct requirement *r)
{
    bool ok = p->token == END || p->token == COMMA ? add_value(p, r, "")
              : p->token == WORD                   ? add_value(p, r, p->text)
                                                   : fail(p, "identifier");

    p->values = false;
    if (ok && p->token == WORD)
        next(p);
    return ok;
}

static bool parse_requirement(struct parser *p)
{
    struct requirement *r = &p->req[p->n];

    *r = (struct requirement){.op = WORD};
    if (p->token == NOT) {
        r->op = NOT;
        next(p);
    }
    if (p->token != WORD)
        return fail(p, "identifier");
    r->key = p->text;
    if (!is_key(r->key)) {
        p->why = wp_arena_printf(
            p->arena,
            "<nil>: Invalid value: \"%s\": name part must consist of alphanumeric characters, '-', "
            "'_' or '.', and must start and end with an alphanumeric character",
            r->key);
        p->no_memory |= p->why == NULL;
        return false;
    }
    p->n++;
    next(p);
    if (r->op == NOT || p->token == END || p->token == COMMA)
        return true;
    if (p->token == OTHER) { /* "gt", "lt" */
        p->why = *p->text == '>' ? "\"gt\" isn't supported in label selectors"
                                 : "\"lt\" isn't supported in label selectors";
        return false;
    }
    if (p->token < EQUAL)
        return fail(p, "in, notin, =, ==, !=, gt, lt");
    r->op = p->token == DOUBLE_EQUAL ? EQUAL : p->token;
    r->values = wp_arena_array(p->arena, VALUES_MAX, sizeof(const char *));
    p->no_memory |= r->values == NULL;
    p->values = true;
    next(p);
    if (r->values == NULL)
        return false;
    return r->op == IN || r->op == NOT_IN ? parse_set(p, r) : parse_value(p, r);
}

static bool parse(struct parser *p)
{
    next(p);
    while (p->token != END) {
        if (p->token != WORD && p->token != NOT)
            return fail(p, "!, identifier, or 'end of string'");
        if (p->n == REQUIREMENTS_MAX) {
            p->why = "too many requirements";
            return false;
        }
        if (!parse_requirement(p)) {
            p->why = wp_arena_printf(p->arena, "unable to parse requirement: %s", p->why);
            return false;
        }
        if (p->token != COMMA) {
            if (p->token != END)
                return fail(p, "',' or 'end of string'");
            break;
        }
        next(p);
        if (p->token != WORD && p->token != NOT)
            return fail(p, "identifier after ','");
    }
    return true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Stable: a handful, mostly in order. */
static void sort(struct parser *p)
{
    for (unsigned i = 1; i < p->n; i++) {
        struct requirement r = p->req[i];
        unsigned k = i;
        for (; k > 0 && strcmp(p->req[k - 1].key, r.key) > 0; k--)
            p->req[k] = p->req[k - 1];
        p->req[k] = r;
    }
    for (unsigned i = 0; i < p->n; i++)
        if (p->req[i].n > 1)
            qsort(p->req[i].values, p->req[i].n, sizeof(const char *), by_text);
}

static const char *format_one(struct wp_arena *a, const struct requirement *r, const char *before)
{
    const char *values = "";

    if (r->op == WORD || r->op == NOT)
        return wp_arena_printf(a, "%s%s%s", before, r->op == NOT ? "!" : "", r->key);
    if (r->op == EQUAL || r->op == NOT_EQUAL)
        return wp_arena_printf(a, "%s%s%s%s", before, r->key,
                               r->op == EQUAL ? "=" : "!=", r->values[0]);
    for (unsigned i = 0; values != NULL && i < r->n; i++)
        if (i == 0 || strcmp(r->values[i], r->values[i - 1]) != 0)
            values = wp_arena_printf(a, "%s%s%s", values, i > 0 ? "," : "", r->values[i]);
    return values == NULL ? NULL
                          : wp_arena_printf(a, "%s%s %s (%s)", before, r->key,
                                            r->op == IN ? "in" : "notin", values);
}

int wp_kube_selector_parse(struct wp_arena *a, const char *text, const char **ret,
                           const char **ret_why)
{
    struct parser *p = wp_arena_zalloc(a, sizeof(*p));
    const char *out = "";

    if (p == NULL)
        return -ENOMEM;
    p->arena = a;
    p->at = text;
    if (!parse(p)) {
        /* what ParseToLabelSelector says itself comes without the text */
        bool bare = p->why != NULL && strstr(p->why, "isn't supported") != NULL;
        if (p->no_memory || p->why == NULL)
            return -ENOMEM;
        *ret_why = bare ? strchr(p->why, '"')
                        : wp_arena_printf(a, "couldn't parse the selector string \"%s\": %s", text,
                                          p->why);
        return *ret_why == NULL ? -ENOMEM : WP_EMALFORMED;
    }
    sort(p);
    for (unsigned i = 0; out != NULL && i < p->n; i++) {
        const char *before = i == 0 ? "" : wp_arena_printf(a, "%s,", out);
        out = before == NULL ? NULL : format_one(a, &p->req[i], before);
    }
    if (p->no_memory || out == NULL)
        return -ENOMEM;
    *ret = out;
    return 0;
}
