#include "backends/common/json.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "backends/common/utf8.h"
#include "waypost/base/text.h"

enum {
    OVERFLOWS_MAX = 64, /* numbers too large for their type that one text may hold */
};

/* A copy in which every string is one that jansson takes. Only inside strings: elsewhere both
 * kinds of octets are errors anyway. */
struct mended {
    char *text;
    size_t len;
};

static void mend_escape(const char *p, size_t left, struct mended *m, size_t *pos)
{
    int unit = wp_utf8_escaped_unit(p, left);
    size_t n = unit >= 0 ? 6 : left >= 2 ? 2 : 1;

    if (unit >= 0xd800 && unit < 0xe000) {
        int next = unit < 0xdc00 ? wp_utf8_escaped_unit(p + 6, left - 6) : -1;
        if (next >= 0xdc00 && next < 0xe000) {
            n = 12;
        } else {
            memcpy(m->text + m->len, "\\ufffd", 6);
            m->len += 6;
            *pos += 6;
            return;
        }
    }
    memcpy(m->text + m->len, p, n);
    m->len += n;
    *pos += n;
}

/* Stops after `until` octets of output when that is not 0, to map an offset back: returns the
 * octets of the input that were read. */
static size_t mend(const char *text, size_t len, size_t until, struct mended *m)
{
    bool in_string = false;
    size_t pos = 0;

    m->len = 0;
    while (pos < len && (until == 0 || m->len < until)) {
        char c = text[pos];
        size_t n = wp_utf8_len((const uint8_t *)text + pos, len - pos);

        if (in_string && c == '\\') {
            mend_escape(text + pos, len - pos, m, &pos);
            continue;
        }
        if (c == '"')
            in_string = !in_string;
        if (n == 0 && in_string) {
            memcpy(m->text + m->len, "\xef\xbf\xbd", 3);
            m->len += 3;
            pos++;
            continue;
        }
        if (n == 0)
            n = 1;
        memcpy(m->text + m->len, text + pos, n);
        m->len += n;
        pos += n;
    }
    return pos;
}

static bool needs_mending(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] >= 0x80 ||
            (text[i] == '\\' && i + 1 < len && text[i + 1] == 'u'))
            return true;
    return false;
}

static bool is_number_char(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* jansson refuses a number beyond 64 bits or a double wherever it stands; Go only where a field
 * wants it. A fraction in its place is ignored and refused by the same fields. The token is at
 * least 5 octets long ("1e999"); `end` is where jansson stopped reading it. */
static bool defuse_number(char *text, size_t len, size_t end)
{
    size_t start;

    if (end > len)
        end = len;
    while (end < len && is_number_char(text[end]))
        end++;
    for (start = end; start > 0 && is_number_char(text[start - 1]); start--)
        ;
    if (end - start < 5)
        return false;
    memset(text + start, ' ', end - start);
    memcpy(text + start, "0.5", 3);
    return true;
}

static json_t *load_writable(char *text, size_t len, json_error_t *e)
{
    for (int i = 0; i <= OVERFLOWS_MAX; i++) {
        json_t *value = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, e);
        if (value != NULL || json_error_code(e) != json_error_numeric_overflow)
            return value;
        if (e->position < 0 || !defuse_number(text, len, (size_t)e->position))
            return NULL;
    }
    return NULL;
}

int wp_json_load(const char *text, size_t len, json_t **ret, struct wp_json_error *ret_error)
{
    struct mended m = {0};
    json_t *value = NULL;
    json_error_t e;
    bool mended = needs_mending(text, len);
    int r = WP_EMALFORMED;

    e.position = 0;
    if (!mended) {
        value = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
        if (value == NULL && json_error_code(&e) == json_error_numeric_overflow)
            mended = true;
    }
    if (mended) {
        if (len > SIZE_MAX / 4)
            return WP_ELIMIT;
        m.text = malloc(3 * len + 12); /* at worst each octet becomes three */
        if (m.text == NULL)
            return -ENOMEM;
        mend(text, len, 0, &m);
        value = load_writable(m.text, m.len, &e);
    }
    if (value != NULL) {
        *ret = value;
        r = 0;
        goto out;
    }
    if (json_error_code(&e) == json_error_out_of_memory) {
        r = -ENOMEM;
        goto out;
    }
    ret_error->offset = e.position > 0 ? (size_t)e.position : 0;
    if (mended && ret_error->offset > 0)
        ret_error->offset = mend(text, len, ret_error->offset, &m);
    if (ret_error->offset > len)
        ret_error->offset = len;
    snprintf(ret_error->text, sizeof(ret_error->text), "%.110s", e.text);
out:
    free(m.text);
    return r;
}
