#include "backends/common/json_pull.h"

#include <errno.h>
#include <string.h>
#include "backends/common/utf8.h"

static void fail(struct wp_json_pull *p, int error, bool syntax, const char *what)
{
    if (p->error != 0)
        return;
    p->error = error;
    p->syntax = syntax;
    p->what = what;
    p->end = p->at; /* every reader stops */
}

static void malformed(struct wp_json_pull *p, const char *what)
{
    fail(p, WP_EMALFORMED, true, what);
}

void wp_json_pull_refuse(struct wp_json_pull *p, const char *what)
{
    fail(p, WP_EMALFORMED, false, what);
}

void wp_json_pull_nomem(struct wp_json_pull *p)
{
    fail(p, -ENOMEM, false, "out of memory");
}

void wp_json_pull_init(struct wp_json_pull *p, const char *text, size_t len, struct wp_arena *arena)
{
    *p = (struct wp_json_pull){.start = text, .at = text, .end = text + len, .arena = arena};
}

/* The next octet that is no white space, 0 at the end (a NUL in the text starts no value). */
static char peek(struct wp_json_pull *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r'))
        p->at++;
    return p->at < p->end ? *p->at : 0;
}

static bool literal(struct wp_json_pull *p, const char *word, size_t len)
{
    if ((size_t)(p->end - p->at) < len || memcmp(p->at, word, len) != 0) {
        malformed(p, "no JSON value");
        return false;
    }
    p->at += len;
    return true;
}

bool wp_json_pull_null(struct wp_json_pull *p)
{
    return peek(p) == 'n' && literal(p, "null", 4);
}

/* The value is not of the type that was asked for, or it is no value at all. */
static void wrong_type(struct wp_json_pull *p, const char *what)
{
    char c = peek(p);

    if (c != 0 && strchr("{[\"tf-0123456789", c) != NULL)
        wp_json_pull_refuse(p, what);
    else
        malformed(p, c == 0 ? "the text ends early" : "no JSON value");
}

void wp_json_pull_enter(struct wp_json_pull *p, char bracket)
{
    p->hollow = wp_json_pull_null(p);
    p->fresh = !p->hollow;
    if (p->hollow)
        return;
    if (peek(p) == bracket)
        p->at++;
    else
        wrong_type(p, bracket == '{' ? "not an object" : "not a list");
}

/* Behind an opening bracket, or behind a value: is there another one? */
static bool more(struct wp_json_pull *p, char closing)
{
    char c = peek(p);
    bool fresh = p->fresh;

    if (p->hollow) {
        p->hollow = false;
        return false;
    }
    p->fresh = false;
    if (c == closing) {
        p->at++;
        return false;
    }
    if (fresh)
        return p->error == 0;
    if (c != ',') {
        malformed(p, c == 0 ? "the text ends early" : "a comma is missing");
        return false;
    }
    p->at++;
    return true;
}

/* --- strings --------------------------------------------------------------------------------- */

#define ONES 0x0101010101010101u
#define HIGHS 0x8080808080808080u
static uint64_t below(uint64_t v, uint8_t n) /* high bits where an octet < n; n <= 128 */
{
    return (v - ONES * n) & ~v & HIGHS;
}

/* From p->at to the next octet of a string that means something. `high`: octets >= 0x80 do. */
static void plain_octets(struct wp_json_pull *p, bool high)
{
    const char *at = p->at;

    while (p->end - at >= 8) {
        uint64_t v;
        memcpy(&v, at, 8);
        uint64_t hit = below(v, 0x20) | below(v ^ ONES * '"', 1) | below(v ^ ONES * '\\', 1);
        if (high)
            hit |= v & HIGHS;
        if (hit != 0) {
            p->at = at + (__builtin_ctzll(hit) >> 3);
            return;
        }
        at += 8;
    }
    while (at < p->end && (uint8_t)*at >= 0x20 && *at != '"' && *at != '\\' &&
           !(high && (uint8_t)*at >= 0x80))
        at++;
    p->at = at;
}

/* An escape: its character, *p->at behind it; -1: none. */
static int32_t escape(struct wp_json_pull *p)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *known = p->end - p->at >= 2 && p->at[1] != '\0' ? strchr(from, p->at[1]) : NULL;
    int high, low;

    if (known != NULL) {
        p->at += 2;
        return (uint8_t)to[known - from];
    }
    high = wp_utf8_escaped_unit(p->at, (size_t)(p->end - p->at));
    if (high < 0)
        return -1;
    p->at += 6;
    if (high < 0xd800 || high > 0xdfff)
        return high;
    low = high < 0xdc00 ? wp_utf8_escaped_unit(p->at, (size_t)(p->end - p->at)) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return 0xfffd;
    p->at += 6;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* Behind the opening quote to behind the closing one. */
static void skip_string(struct wp_json_pull *p)
{
    for (;;) {
        plain_octets(p, false);
        if (p->at >= p->end) {
            malformed(p, "the text ends early");
            return;
        }
        if (*p->at == '"') {
            p->at++;
            return;
        }
        if (*p->at != '\\' || escape(p) < 0) {
            malformed(p, "bad character in a string");
            return;
        }
    }
}

/* The rest of a string that cannot stay where it is: `from` to p->at is plain. */
static struct wp_json_slice copied_string(struct wp_json_pull *p, const char *from)
{
    const char *here = p->at;
    struct wp_json_slice ret = {"", 0};
    char *out;

    skip_string(p);
    if (p->error != 0)
        return ret;
    /* an octet becomes three at most */
    out = wp_arena_alloc(p->arena, 3 * (size_t)(p->at - from));
    if (out == NULL) {
        wp_json_pull_nomem(p);
        return ret;
    }
    ret.at = out;
    memcpy(out, from, (size_t)(here - from));
    out += here - from;
    for (p->at = here; *p->at != '"';) {
        size_t n = wp_utf8_len((const uint8_t *)p->at, (size_t)(p->end - p->at));
        if (*p->at == '\\') {
            out += wp_utf8_put((uint32_t)escape(p), (uint8_t *)out);
        } else if (n == 0) {
            out += wp_utf8_put(0xfffd, (uint8_t *)out);
            p->at++;
        } else {
            memcpy(out, p->at, n);
            out += n;
            p->at += n;
        }
    }
    p->at++;
    ret.len = (size_t)(out - ret.at);
    return ret;
}

static struct wp_json_slice string(struct wp_json_pull *p)
{
    const char *from = ++p->at;

    plain_octets(p, true);
    if (p->at < p->end && *p->at == '"')
        return (struct wp_json_slice){from, (size_t)(p->at++ - from)};
    return copied_string(p, from);
}

struct wp_json_slice wp_json_pull_string(struct wp_json_pull *p)
{
    if (peek(p) == '"')
        return string(p);
    if (!wp_json_pull_null(p))
        wrong_type(p, "not a string");
    return (struct wp_json_slice){"", 0};
}

bool wp_json_pull_member(struct wp_json_pull *p, struct wp_json_slice *ret_key)
{
    if (p->error != 0 || !more(p, '}'))
        return false;
    if (peek(p) != '"') {
        malformed(p, "a name is missing");
        return false;
    }
    *ret_key = string(p);
    if (peek(p) != ':') {
        malformed(p, "a colon is missing");
        return false;
    }
    p->at++;
    return true;
}

bool wp_json_pull_element(struct wp_json_pull *p)
{
    return p->error == 0 && more(p, ']');
}

/* --- numbers and the rest ----------------------------------------------------------------------
 */

static bool digits(struct wp_json_pull *p)
{
    const char *from = p->at;

    while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
        p->at++;
    return p->at > from;
}

static bool next_is(struct wp_json_pull *p, char a, char b)
{
    if (p->at >= p->end || (*p->at != a && *p->at != b))
        return false;
    p->at++;
    return true;
}

/* Past a number. True: it is written as an integer. */
static bool number(struct wp_json_pull *p)
{
    bool integer = true, good;

    next_is(p, '-', '-');
    good = next_is(p, '0', '0') || digits(p);
    if (good && next_is(p, '.', '.')) {
        integer = false;
        good = digits(p);
    }
    if (good && next_is(p, 'e', 'E')) {
        integer = false;
        next_is(p, '+', '-');
        good = digits(p);
    }
    if (!good)
        malformed(p, "bad number");
    return good && integer;
}

int64_t wp_json_pull_int(struct wp_json_pull *p, int64_t min, int64_t max)
{
    char c = peek(p);
    const char *from = p->at;
    bool negative = c == '-';
    int64_t v = 0;

    if (c != '-' && (c < '0' || c > '9')) {
        if (!wp_json_pull_null(p))
            wrong_type(p, "not a number");
        return 0;
    }
    if (!number(p)) {
        wp_json_pull_refuse(p, "not an integer");
        return 0;
    }
    for (from += negative; from < p->at; from++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, *from - '0', &v))
            goto out_of_range; /* summed up as a negative number, which has one more */
    if (!negative && __builtin_sub_overflow(0, v, &v))
        goto out_of_range;
    if (v >= min && v <= max)
        return v;
out_of_range:
    wp_json_pull_refuse(p, "out of range");
    return 0;
}

bool wp_json_pull_bool(struct wp_json_pull *p)
{
    char c = peek(p);

    if (c == 't')
        return literal(p, "true", 4);
    if (c == 'f')
        literal(p, "false", 5);
    else if (!wp_json_pull_null(p))
        wrong_type(p, "not true or false");
    return false;
}

void wp_json_pull_end(struct wp_json_pull *p)
{
    if (p->error == 0 && (peek(p) != 0 || p->at < p->end))
        malformed(p, "something follows");
}

/* --- skipping ----------------------------------------------------------------------------------
 */

static bool skip_name(struct wp_json_pull *p)
{
    if (peek(p) != '"') {
        malformed(p, "a name is missing");
        return false;
    }
    p->at++;
    skip_string(p);
    if (peek(p) != ':') {
        malformed(p, "a colon is missing");
        return false;
    }
    p->at++;
    return true;
}

/* A value without brackets. */
static void skip_plain(struct wp_json_pull *p, char c)
{
    if (c == '"') {
        p->at++;
        skip_string(p);
    } else if (c == 't') {
        literal(p, "true", 4);
    } else if (c == 'f') {
        literal(p, "false", 5);
    } else if (c == 'n') {
        literal(p, "null", 4);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        number(p);
    } else {
        malformed(p, c == 0 ? "the text ends early" : "no JSON value");
    }
}

void wp_json_pull_skip(struct wp_json_pull *p)
{
    char closing[WP_JSON_PULL_DEPTH];
    size_t depth = 0;

    do {
        char c = peek(p);
        if (c == '{' || c == '[') {
            if (depth == WP_JSON_PULL_DEPTH) {
                malformed(p, "nested too deep");
                return;
            }
            p->at++;
            closing[depth++] = c == '{' ? '}' : ']';
            p->fresh = true;
        } else {
            skip_plain(p, c);
            p->fresh = false;
        }
        while (p->error == 0 && depth > 0 && !more(p, closing[depth - 1]))
            depth--;
        if (p->error == 0 && depth > 0 && closing[depth - 1] == '}')
            skip_name(p);
    } while (p->error == 0 && depth > 0);
    p->fresh = false;
}
