/* Escaping for JSON strings (RFC 8259 s7). Line and paragraph separators are escaped as well:
 * a record stays one line for every reader. */
#include "waypost/base/text.h"

#include <string.h>

/* Octets of the valid UTF-8 sequence at s, 0 when it is none (RFC 3629 s4). */
static size_t utf8_len(const uint8_t *s, size_t len)
{
    uint8_t low = 0x80, high = 0xbf;
    size_t n;

    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        n = 2;
    else if ((s[0] & 0xf0) == 0xe0)
        n = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        n = 4;
    else
        return 0;
    if (s[0] == 0xe0)
        low = 0xa0; /* overlong */
    else if (s[0] == 0xed)
        high = 0x9f; /* surrogates */
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f; /* above U+10FFFF */
    if (n > len || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

/* What stands for the n octets at s in the output; its length. */
static size_t escape_one(const uint8_t *s, size_t n, char out[6])
{
    static const char hex[] = "0123456789abcdef";
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    unsigned code = n == 0 ? 0xfffd : s[0];

    for (const char *p = shorts; n == 1 && *p != '\0'; p += 2)
        if (s[0] == (uint8_t)p[0]) {
            out[0] = '\\';
            out[1] = p[1];
            return 2;
        }
    if (n == 3 && s[0] == 0xe2 && s[1] == 0x80 && (s[2] & 0xfe) == 0xa8)
        code = 0x2028 | (s[2] & 1); /* U+2028, U+2029 */
    else if (n > 1 || (n == 1 && code >= 0x20)) {
        memcpy(out, s, n);
        return n;
    }
    memcpy(out, "\\u", 2);
    for (int i = 0; i < 4; i++)
        out[2 + i] = hex[code >> (12 - 4 * i) & 15];
    return 6;
}

size_t wp_json_escape(const char *text, size_t len, char *out, size_t cap)
{
    const uint8_t *s = (const uint8_t *)text;
    size_t at = 0;

    if (cap == 0)
        return 0;
    while (len > 0) {
        char piece[6];
        size_t n = utf8_len(s, len);
        size_t m = escape_one(s, n, piece);
        if (m > cap - 1 - at)
            break;
        memcpy(out + at, piece, m);
        at += m;
        n = n > 0 ? n : 1;
        s += n;
        len -= n;
    }
    out[at] = '\0';
    return at;
}
