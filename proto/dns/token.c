#include "proto/dns/text_priv.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '(' || c == ')';
}

/* From the octet behind an opening quote to the closing one, or NULL. */
static const char *quote_end(const char *p)
{
    for (; *p != '"'; p++) {
        if (*p == '\\')
            p++;
        if (*p == '\0')
            return NULL;
    }
    return p;
}

/* A bare word. A quote inside it belongs to it behind '=' only: alpn="h2,h3". */
static const char *word_end(const char *p)
{
    for (; *p != '\0' && !is_blank(*p) && *p != ';'; p++) {
        if (*p == '"') {
            if (p[-1] != '=')
                return p;
            p = quote_end(p + 1);
            return p != NULL ? p + 1 : NULL;
        }
        if (*p == '\\' && *++p == '\0')
            return NULL;
    }
    return p;
}

bool wp_token_next(struct wp_tokens *t, struct wp_token *ret)
{
    const char *p = t->p, *end;

    while (is_blank(*p))
        p++;
    t->p = p;
    if (t->bad || *p == '\0' || *p == ';')
        return false;
    ret->quoted = *p == '"';
    if (ret->quoted)
        p++;
    end = ret->quoted ? quote_end(p) : word_end(p);
    if (end == NULL) {
        t->bad = true;
        return false;
    }
    ret->p = p;
    ret->len = (size_t)(end - p);
    t->p = end + ret->quoted;
    return true;
}

int wp_token_copy(const struct wp_token *t, char *buf, size_t cap)
{
    if (t->len >= cap || memchr(t->p, '\0', t->len) != NULL)
        return WP_EMALFORMED;
    memcpy(buf, t->p, t->len);
    buf[t->len] = '\0';
    return 0;
}

int wp_token_octets(const struct wp_token *t, uint8_t *out, size_t cap)
{
    const char *s = t->p, *end = t->p + t->len;
    size_t n = 0;

    while (s < end) {
        int c = wp_escape_octet(&s);

        if (c < 0 || n == cap)
            return WP_EMALFORMED;
        out[n++] = (uint8_t)c;
    }
    return (int)n;
}

int wp_token_uint(const struct wp_token *t, uint32_t max, uint32_t *ret)
{
    uint64_t v = 0;

    if (t->len == 0 || t->len > 10)
        return WP_EMALFORMED;
    for (size_t i = 0; i < t->len; i++) {
        if (t->p[i] < '0' || t->p[i] > '9')
            return WP_EMALFORMED;
        v = v * 10 + (uint64_t)(t->p[i] - '0');
    }
    if (v > max)
        return WP_EMALFORMED;
    *ret = (uint32_t)v;
    return 0;
}
