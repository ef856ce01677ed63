#include <stdint.h>

#include "server/config/lexer_priv.h"

enum { REPLACEMENT = 0xfffd };

unsigned wp_utf8_next(const unsigned char **at, const unsigned char *end)
{
    /* smallest code point of a form with 1, 2, 3 more octets: shorter spellings only */
    static const unsigned least[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *p = *at;
    unsigned c = *p, more;

    *at = p + 1;
    if (c < 0x80)
        return c;
    if (c < 0xc2 || c > 0xf4)
        return REPLACEMENT;
    more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    if ((size_t)(end - p) <= more)
        return REPLACEMENT;
    c &= 0x3fu >> more;
    for (unsigned i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return REPLACEMENT;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return REPLACEMENT;
    *at = p + 1 + more;
    return c;
}

bool wp_utf8_is_space(unsigned c)
{
    switch (c) {
    case '\t':
    case '\n':
    case '\v':
    case '\f':
    case '\r':
    case ' ':
    case 0x85:
    case 0xa0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202f:
    case 0x205f:
    case 0x3000:
        return true;
    default:
        return c >= 0x2000 && c <= 0x200a;
    }
}
