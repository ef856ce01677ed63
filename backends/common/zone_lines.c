/* Logical lines: most are a physical line as it stands and are not copied; those with a
 * comment, a quote or a parenthesis are put together in a buffer of their own. */
#include "backends/common/zone_text_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_AHEAD = 256 * 1024, JOINED_FIRST = 4096 };

int wp_zone_lines_open(struct wp_zone_lines *l, int fd)
{
    *l = (struct wp_zone_lines){.fd = fd, .line = 1, .cap = READ_AHEAD, .owned = true};
    l->buf = malloc(l->cap);
    return l->buf == NULL ? -ENOMEM : 0;
}

int wp_zone_lines_memory(struct wp_zone_lines *l, const char *text, size_t len)
{
    *l = (struct wp_zone_lines){.fd = -1, .line = 1, .len = len, .cap = len + 1, .eof = true};
    l->buf = malloc(l->cap);
    if (l->buf == NULL)
        return -ENOMEM;
    l->owned = true;
    if (len > 0)
        memcpy(l->buf, text, len);
    return 0;
}

void wp_zone_lines_close(struct wp_zone_lines *l)
{
    if (l->owned)
        free(l->buf);
    free(l->joined);
    l->buf = l->joined = NULL;
}

/* More octets behind what is unread. One octet of the buffer stays free for a NUL. */
static int fill(struct wp_zone_lines *l)
{
    ssize_t n;

    if (l->pos > 0) {
        memmove(l->buf, l->buf + l->pos, l->len - l->pos);
        l->len -= l->pos;
        l->pos = 0;
    }
    if (l->len + 1 == l->cap) {
        char *more;

        if (l->cap > WP_ZONE_LINE_MAX)
            return WP_ELIMIT;
        more = realloc(l->buf, l->cap * 2);
        if (more == NULL)
            return -ENOMEM;
        l->buf = more;
        l->cap *= 2;
    }
    do {
        n = read(l->fd, l->buf + l->len, l->cap - 1 - l->len);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    l->eof = n == 0;
    l->len += (size_t)n;
    return 0;
}

/* The next physical line, without its end. 1, 0 at the end of the text, or an error. */
static int physical(struct wp_zone_lines *l, char **ret, size_t *ret_len)
{
    size_t seen = 0;
    char *end;

    for (;;) {
        int r;

        end = l->len - l->pos > seen ? memchr(l->buf + l->pos + seen, '\n', l->len - l->pos - seen)
                                     : NULL;
        if (end != NULL || l->eof)
            break;
        seen = l->len - l->pos;
        r = fill(l);
        if (r < 0)
            return r;
    }
    if (l->pos == l->len)
        return 0;
    *ret = l->buf + l->pos;
    *ret_len = end != NULL ? (size_t)(end - *ret) : l->len - l->pos;
    l->pos += *ret_len + (end != NULL);
    (*ret)[*ret_len] = '\0'; /* over the line's end, or into the octet kept free */
    l->line++;
    return 1;
}

static int join(struct wp_zone_lines *l, const char *p, size_t len)
{
    size_t need = l->joined_len + len + 1;

    if (need > WP_ZONE_LINE_MAX)
        return WP_ELIMIT;
    if (need > l->joined_cap) {
        size_t cap = l->joined_cap > 0 ? l->joined_cap : JOINED_FIRST;
        char *more;

        while (cap < need)
            cap *= 2;
        more = realloc(l->joined, cap);
        if (more == NULL)
            return -ENOMEM;
        l->joined = more;
        l->joined_cap = cap;
    }
    memcpy(l->joined + l->joined_len, p, len);
    l->joined_len += len;
    l->joined[l->joined_len] = '\0';
    return 0;
}

/* What the lines so far have opened. */
struct open {
    unsigned parens;
    bool quote;
};

/* Take over one physical line: comments go, parentheses become blanks. */
static int clean(struct wp_zone_lines *l, struct open *o, char *p, size_t len, const char **ret_why)
{
    for (size_t i = 0; i < len; i++) {
        size_t n = 1;
        const char *put = p + i;
        int r;

        if (p[i] == '\\' && i + 1 < len) {
            n = 2;
        } else if (p[i] == '"') {
            o->quote = !o->quote;
        } else if (!o->quote && p[i] == ';') {
            return 0;
        } else if (!o->quote && p[i] == '(') {
            o->parens++;
            put = " ";
        } else if (!o->quote && p[i] == ')') {
            if (o->parens == 0) {
                *ret_why = "extra closing brace";
                return WP_EMALFORMED;
            }
            o->parens--;
            put = " ";
        }
        r = join(l, put, n);
        if (r < 0)
            return r;
        i += n - 1;
    }
    return 0;
}

static bool is_plain(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] == ';' || p[i] == '"' || p[i] == '(' || p[i] == ')' || p[i] == '\\')
            return false;
    }
    return true;
}

static int logical(struct wp_zone_lines *l, char *p, size_t len, const char **ret_why)
{
    struct open o = {0};
    int r;

    l->joined_len = 0;
    for (;;) {
        r = clean(l, &o, p, len, ret_why);
        if (r < 0 || (o.parens == 0 && !o.quote))
            return r;
        r = physical(l, &p, &len);
        if (r == 0)
            *ret_why = o.quote ? "unbalanced quote" : "unbalanced brace";
        if (r <= 0)
            return r < 0 ? r : WP_EMALFORMED;
        if (len > 0 && p[len - 1] == '\r')
            len--;
        if (memchr(p, '\0', len) != NULL) {
            *ret_why = "NUL octet";
            return WP_EMALFORMED;
        }
        /* a line break inside quotes is part of the string */
        r = o.quote ? join(l, "\\010", 4) : join(l, " ", 1);
        if (r < 0)
            return r;
    }
}

int wp_zone_lines_next(struct wp_zone_lines *l, struct wp_zone_line *ret, const char **ret_why)
{
    char *p;
    size_t len;
    int r;

    ret->line = l->line;
    r = physical(l, &p, &len);
    if (r <= 0)
        goto out;
    r = WP_EMALFORMED;
    *ret_why = "NUL octet";
    if (memchr(p, '\0', len) != NULL)
        return r;
    if (len > 0 && p[len - 1] == '\r')
        p[--len] = '\0';
    ret->text = p;
    ret->len = len;
    if (is_plain(p, len))
        return 1;
    r = join(l, "", 0); /* there is a buffer even if nothing of the line stays */
    if (r == 0)
        r = logical(l, p, len, ret_why);
    if (r == 0) {
        ret->text = l->joined;
        ret->len = l->joined_len;
        l->joined[l->joined_len] = '\0';
        return 1;
    }
out:
    if (r == WP_ELIMIT) {
        *ret_why = "line too long";
        return WP_EMALFORMED;
    }
    return r;
}
