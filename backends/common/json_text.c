/* Is a text JSON? One pass without recursion; the kinds of what is open are bits. */
#include "backends/common/json_text.h"

#include <string.h>

struct scan {
    const char *text;
    size_t len, at;
    size_t depth;
    uint8_t objects[WP_JSON_DEPTH_MAX / 8 + 1]; /* bit: what is open there is an object */
    const char *flaw;
};

static bool fail(struct scan *s, const char *flaw)
{
    s->flaw = s->at == s->len ? "the text ends too early" : flaw;
    return false;
}

static int peek(const struct scan *s)
{
    return s->at < s->len ? (uint8_t)s->text[s->at] : -1;
}

static void skip_space(struct scan *s)
{
    while (s->at < s->len && strchr(" \t\r\n", s->text[s->at]) != NULL && s->text[s->at] != '\0')
        s->at++;
}

static bool skip_digits(struct scan *s)
{
    size_t start = s->at;

    while (peek(s) >= '0' && peek(s) <= '9')
        s->at++;
    return s->at > start || fail(s, "a digit is missing");
}

static bool scan_number(struct scan *s)
{
    s->at += peek(s) == '-';
    if (peek(s) == '0')
        s->at++;
    else if (!skip_digits(s))
        return false;
    if (peek(s) == '.') {
        s->at++;
        if (!skip_digits(s))
            return false;
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        s->at += peek(s) == '+' || peek(s) == '-';
        return skip_digits(s);
    }
    return true;
}

static bool is_hex(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Behind the backslash. */
static bool scan_escape(struct scan *s)
{
    int c = peek(s);

    if (c <= 0 || strchr("\"\\/bfnrtu", c) == NULL)
        return fail(s, "there is no such escape");
    s->at++;
    for (int i = 0; c == 'u' && i < 4; i++, s->at++)
        if (!is_hex(peek(s)))
            return fail(s, "\\u needs four hexadecimal digits");
    return true;
}

static bool scan_string(struct scan *s)
{
    if (peek(s) != '"')
        return fail(s, "a string is missing");
    for (s->at++; s->at < s->len; s->at++) {
        uint8_t c = (uint8_t)s->text[s->at];
        if (c < ' ')
            return fail(s, "a control character in a string");
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c != '\\')
            continue;
        s->at++;
        if (!scan_escape(s))
            return false;
        s->at--;
    }
    return fail(s, "");
}

static bool scan_word(struct scan *s, const char *word)
{
    for (; *word != '\0'; word++, s->at++)
        if (peek(s) != *word)
            return fail(s, "a value is missing");
    return true;
}

static bool scan_scalar(struct scan *s)
{
    switch (peek(s)) {
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return scan_number(s);
    default:
        return fail(s, "a value is missing");
    }
}

static bool is_in_object(const struct scan *s)
{
    return s->objects[(s->depth - 1) / 8] & 1u << (s->depth - 1) % 8;
}

static bool scan_name(struct scan *s)
{
    skip_space(s);
    if (!scan_string(s))
        return false;
    skip_space(s);
    if (peek(s) != ':')
        return fail(s, "a colon is missing");
    s->at++;
    return true;
}

/* An array or object begins. *ret_empty: and ends. */
static bool open(struct scan *s, bool *ret_empty)
{
    bool is_object = peek(s) == '{';
    uint8_t bit = (uint8_t)(1u << s->depth % 8);

    if (s->depth == WP_JSON_DEPTH_MAX)
        return fail(s, "too deep");
    if (is_object)
        s->objects[s->depth / 8] |= bit;
    else
        s->objects[s->depth / 8] &= (uint8_t)~bit;
    s->depth++;
    s->at++;
    skip_space(s);
    *ret_empty = peek(s) == (is_object ? '}' : ']');
    return *ret_empty || !is_object || scan_name(s);
}

/* What stands behind a value: the end of what is open, as often as it comes, or a comma.
 * *ret_more: another value follows. */
static bool close(struct scan *s, bool *ret_more)
{
    *ret_more = false;
    while (s->depth > 0) {
        bool in_object = is_in_object(s);
        skip_space(s);
        if (peek(s) == ',') {
            s->at++;
            *ret_more = true;
            return !in_object || scan_name(s);
        }
        if (peek(s) != (in_object ? '}' : ']'))
            return fail(s, in_object ? "a comma or } is missing" : "a comma or ] is missing");
        s->at++;
        s->depth--;
    }
    return true;
}

static bool scan_value(struct scan *s)
{
    bool more = true;

    while (more) {
        bool is_empty;
        skip_space(s);
        if (peek(s) == '{' || peek(s) == '[') {
            if (!open(s, &is_empty))
                return false;
            if (!is_empty)
                continue;
        } else if (!scan_scalar(s)) {
            return false;
        }
        if (!close(s, &more))
            return false;
    }
    return true;
}

static enum wp_json_kind kind_of(char c)
{
    switch (c) {
    case '{':
        return WP_JSON_OBJECT;
    case '[':
        return WP_JSON_ARRAY;
    case '"':
        return WP_JSON_STRING;
    case 'n':
        return WP_JSON_NULL;
    case 't':
        return WP_JSON_TRUE;
    case 'f':
        return WP_JSON_FALSE;
    default:
        return WP_JSON_NUMBER;
    }
}

static int scan_one(struct scan *s, struct wp_json *ret)
{
    size_t start;

    skip_space(s);
    start = s->at;
    if (!scan_value(s))
        return WP_EMALFORMED;
    *ret = (struct wp_json){s->text + start, s->at - start, kind_of(s->text[start])};
    return 0;
}

int wp_json_parse(const char *text, size_t len, struct wp_json *ret, struct wp_json_flaw *ret_error)
{
    struct scan s;
    int r;

    s.text = text;
    s.len = len;
    s.at = s.depth = 0;
    r = scan_one(&s, ret);
    if (r == 0) {
        skip_space(&s);
        if (s.at == len)
            return 0;
        s.flaw = "more than one value";
    }
    *ret_error = (struct wp_json_flaw){s.at, s.flaw};
    return WP_EMALFORMED;
}

bool wp_json_member(const struct wp_json *object, size_t *at, struct wp_json *ret_name,
                    struct wp_json *ret_value)
{
    struct scan s;

    s.text = object->text;
    s.len = object->len;
    s.at = *at;
    s.depth = 0;
    skip_space(&s);
    s.at++; /* the brace or the comma */
    return s.at < s.len && scan_one(&s, ret_name) == 0 && (skip_space(&s), s.at++, true) &&
           scan_one(&s, ret_value) == 0 && (skip_space(&s), *at = s.at, true);
}
