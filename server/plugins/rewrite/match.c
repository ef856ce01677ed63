/* Finding and replacing in names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/plugins/rewrite/rewrite.h"
#include "waypost/base/text.h"

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);

    return k <= n && strcmp(text + n - k, end) == 0;
}

bool rw_match_has(const struct rw_match *m, const char *text)
{
    switch (m->mode) {
    case RW_EXACT:
        return strcmp(text, m->from) == 0;
    case RW_PREFIX:
        return strncmp(text, m->from, strlen(m->from)) == 0;
    case RW_SUFFIX:
        return ends_with(text, m->from);
    case RW_SUBSTRING:
        return strstr(text, m->from) != NULL;
    case RW_REGEX:
        return wp_regex_match(m->re, text, strlen(text), NULL, 0);
    }
    return false;
}

static bool put(char *out, size_t *len, const char *s, size_t n)
{
    if (n >= RW_TEXT_MAX - *len)
        return false;
    memcpy(out + *len, s, n);
    *len += n;
    out[*len] = '\0';
    return true;
}

/* {N} becomes group N; other braces stay. */
bool rw_expand(const char *to, const char *text, const struct wp_regex_span *spans, unsigned n,
               char *out)
{
    size_t len = 0;

    out[0] = '\0';
    while (*to != '\0') {
        char *end;
        unsigned long g;

        if (*to == '{' && to[1] >= '0' && to[1] <= '9') {
            g = strtoul(to + 1, &end, 10);
            if (*end == '}') {
                if (g < n && spans[g].start >= 0 &&
                    !put(out, &len, text + spans[g].start, (size_t)(spans[g].end - spans[g].start)))
                    return false;
                to = end + 1;
                continue;
            }
        }
        if (!put(out, &len, to, 1))
            return false;
        to++;
    }
    return true;
}

/* {provider/label} becomes its value; an unset or empty one means that the rule does not match.
 * Groups are done before, on the pattern, so inserted text is never expanded again. */
static bool expand_metadata(const struct wp_query *q, const char *to, const char *text,
                            const struct wp_regex_span *spans, unsigned n, char *out)
{
    size_t len = 0;

    out[0] = '\0';
    while (*to != '\0') {
        const char *close = *to == '{' ? strchr(to, '}') : NULL;
        char label[256];
        const char *v;

        if (close == NULL || close == to + 1) {
            if (!put(out, &len, to++, 1))
                return false;
            continue;
        }
        if ((size_t)(close - to) > sizeof(label))
            return false;
        memcpy(label, to + 1, (size_t)(close - to - 1));
        label[close - to - 1] = '\0';
        to = close + 1;
        if (label[0] >= '0' && label[0] <= '9') {
            unsigned long g = strtoul(label, NULL, 10);

            if (g < n && spans[g].start >= 0 &&
                !put(out, &len, text + spans[g].start, (size_t)(spans[g].end - spans[g].start)))
                return false;
            continue;
        }
        v = wp_query_meta(q, label);
        if (v == NULL || v[0] == '\0' || !put(out, &len, v, strlen(v)))
            return false;
    }
    wp_name_lower((uint8_t *)out, len);
    return true;
}

static bool replace_all(const char *text, const char *from, const char *to, char *out)
{
    size_t len = 0, k = strlen(from);
    const char *hit;

    out[0] = '\0';
    while ((hit = strstr(text, from)) != NULL) {
        if (!put(out, &len, text, (size_t)(hit - text)) || !put(out, &len, to, strlen(to)))
            return false;
        text = hit + k;
    }
    return put(out, &len, text, strlen(text));
}

bool rw_match_replace(const struct rw_rule *r, struct wp_query *q, const char *text, char *out)
{
    const struct rw_match *m = &r->match;
    struct wp_regex_span spans[WP_REGEX_GROUPS_MAX + 1];
    size_t len = 0, n = strlen(text), k = m->from != NULL ? strlen(m->from) : 0;
    unsigned groups;

    if (m->mode != RW_REGEX && !rw_match_has(m, text))
        return false;
    out[0] = '\0';
    switch (m->mode) {
    case RW_EXACT:
        return put(out, &len, r->to, strlen(r->to));
    case RW_PREFIX:
        return put(out, &len, r->to, strlen(r->to)) && put(out, &len, text + k, n - k);
    case RW_SUFFIX:
        return put(out, &len, text, n - k) && put(out, &len, r->to, strlen(r->to));
    case RW_SUBSTRING:
        return replace_all(text, m->from, r->to, out);
    case RW_REGEX:
        groups = wp_regex_groups(m->re) + 1;
        if (!wp_regex_match(m->re, text, n, spans, WP_REGEX_GROUPS_MAX + 1))
            return false;
        return r->metadata ? expand_metadata(q, r->to, text, spans, groups, out)
                           : rw_expand(r->to, text, spans, groups, out);
    }
    return false;
}
