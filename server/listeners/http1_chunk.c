#include "http1_chunk.h"

#include <limits.h>
#include "waypost/base/text.h"

enum chunk_at {
    AT_SIZE,      /* hexadecimal digits */
    AT_EXTENSION, /* after ';' or space, until CR */
    AT_SIZE_LF,
    AT_DATA,
    AT_DATA_CR,
    AT_DATA_LF,
    AT_LINE, /* start of a trailer line or of the last, empty one */
    AT_TRAILER,
    AT_TRAILER_LF,
    AT_END_LF,
};

enum { DIGITS_MAX = 8 };

static int hex(uint8_t c)
{
    if ((uint8_t)(c - '0') < 10)
        return c - '0';
    c = wp_lower(c);
    return (uint8_t)(c - 'a') < 6 ? c - 'a' + 10 : -1;
}

static int noise(struct wp_chunked *c, uint8_t octet, enum chunk_at after_cr)
{
    if (octet == '\r') {
        c->at = (uint8_t)after_cr;
        return 0;
    }
    if ((octet < ' ' && octet != '\t') || octet == 0x7f)
        return WP_EMALFORMED;
    return ++c->noise > WP_CHUNK_NOISE_MAX ? WP_ELIMIT : 0;
}

static int size_octet(struct wp_chunked *c, uint8_t octet)
{
    int v = hex(octet);

    if (v >= 0) {
        if (++c->digits > DIGITS_MAX)
            return WP_ELIMIT;
        c->left = c->left << 4 | (unsigned)v;
        return 0;
    }
    if (c->digits == 0)
        return WP_EMALFORMED;
    if (octet == '\r')
        c->at = AT_SIZE_LF;
    else if (octet == ';' || octet == ' ' || octet == '\t')
        c->at = AT_EXTENSION;
    else
        return WP_EMALFORMED;
    return 0;
}

static int expect(struct wp_chunked *c, uint8_t octet, uint8_t want, enum chunk_at next)
{
    c->at = (uint8_t)next;
    return octet == want ? 0 : WP_EMALFORMED;
}

/* One octet that is not data. */
static int step(struct wp_chunked *c, uint8_t octet)
{
    switch ((enum chunk_at)c->at) {
    case AT_SIZE:
        return size_octet(c, octet);
    case AT_EXTENSION:
        return noise(c, octet, AT_SIZE_LF);
    case AT_SIZE_LF:
        return expect(c, octet, '\n', c->left > 0 ? AT_DATA : AT_LINE);
    case AT_DATA_CR:
        return expect(c, octet, '\r', AT_DATA_LF);
    case AT_DATA_LF:
        c->digits = 0;
        return expect(c, octet, '\n', AT_SIZE);
    case AT_LINE:
        if (octet == '\r') {
            c->at = AT_END_LF;
            return 0;
        }
        c->at = AT_TRAILER;
        return octet == ' ' || octet == '\t' ? WP_EMALFORMED : noise(c, octet, AT_TRAILER_LF);
    case AT_TRAILER:
        return noise(c, octet, AT_TRAILER_LF);
    case AT_TRAILER_LF:
        return expect(c, octet, '\n', AT_LINE);
    case AT_END_LF:
        c->done = true;
        return expect(c, octet, '\n', AT_SIZE);
    case AT_DATA:
        break;
    }
    return WP_ESTATE;
}

int wp_chunked_read(struct wp_chunked *c, const uint8_t *data, size_t len,
                    const uint8_t **ret_piece, size_t *ret_len)
{
    size_t i = 0;

    *ret_piece = data;
    *ret_len = 0;
    while (i < len && !c->done && c->at != AT_DATA) {
        int r = step(c, data[i++]);

        if (r < 0)
            return r;
    }
    if (c->at == AT_DATA && i < len) {
        size_t n = len - i < c->left ? len - i : (size_t)c->left;

        if (n > INT_MAX / 2)
            n = INT_MAX / 2;
        *ret_piece = data + i;
        *ret_len = n;
        i += n;
        c->left -= n;
        if (c->left == 0)
            c->at = AT_DATA_CR;
    }
    return (int)i;
}
