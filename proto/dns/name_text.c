/* Presentation form of names. Escapes are those of Go's miekg/dns, because log lines, metrics
 * and etcd keys made by CoreDNS contain them. */
#include "waypost/dns/name.h"

#include <string.h>

#include "proto/dns/text_priv.h"

/* Labels of text into wire without the root. *ret_absolute: the text ended in a dot. */
static int parse_labels(const char *text, uint8_t wire[WP_NAME_MAX], bool *ret_absolute)
{
    size_t head = 0, len = 1; /* wire[head] is the length of the label that grows */

    *ret_absolute = false;
    while (*text != '\0') {
        int c;

        if (*text == '.') {
            if (len == head + 1)
                return WP_EMALFORMED;
            wire[head] = (uint8_t)(len - head - 1);
            head = len++;
            *ret_absolute = *++text == '\0';
        } else {
            c = wp_escape_octet(&text);
            /* the last octet is kept for the root */
            if (c < 0 || len - head > WP_LABEL_MAX || len >= WP_NAME_MAX - 1)
                return WP_EMALFORMED;
            wire[len++] = (uint8_t)c;
        }
    }
    if (*ret_absolute)
        return (int)head;
    if (len == head + 1)
        return WP_EMALFORMED;
    wire[head] = (uint8_t)(len - head - 1);
    return (int)len;
}

int wp_name_parse_origin(const char *text, const struct wp_name *origin, struct wp_name *ret)
{
    static const uint8_t root[1] = {0};
    uint8_t wire[WP_NAME_MAX];
    bool absolute;
    int len;

    if (strcmp(text, ".") == 0)
        return wp_name_join(root, 0, root, ret);
    if (origin != NULL && strcmp(text, "@") == 0) {
        *ret = *origin;
        return 0;
    }
    len = parse_labels(text, wire, &absolute);
    if (len < 0)
        return len;
    return wp_name_join(wire, (size_t)len, absolute || origin == NULL ? root : origin->wire, ret);
}

int wp_name_parse(const char *text, struct wp_name *ret)
{
    return wp_name_parse_origin(text, NULL, ret);
}

static bool is_special(uint8_t c)
{
    switch (c) {
    case '.':
    case ' ':
    case '\'':
    case '@':
    case ';':
    case '(':
    case ')':
    case '"':
    case '\\':
        return true;
    default:
        return false;
    }
}

char *wp_name_text(const uint8_t *wire, char buf[WP_NAME_TEXT_MAX])
{
    char *out = buf;

    for (; *wire != 0; wire += 1 + *wire) {
        for (unsigned i = 1; i <= *wire; i++) {
            uint8_t c = wire[i];

            if (c < ' ' || c > '~') {
                *out++ = '\\';
                *out++ = (char)('0' + c / 100);
                *out++ = (char)('0' + c / 10 % 10);
                *out++ = (char)('0' + c % 10);
                continue;
            }
            if (is_special(c))
                *out++ = '\\';
            *out++ = (char)c;
        }
        *out++ = '.';
    }
    if (out == buf)
        *out++ = '.';
    *out = '\0';
    return buf;
}
