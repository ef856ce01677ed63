/* TXT rdata of a stored text, as CoreDNS makes it: cut every 255 octets of the text as stored (an
 * exact multiple ends with an empty string), then each piece read as zone-file text, where
 * \DDD is an octet and \X is X. */
#include <errno.h>

#include "backends/etcd/answer_priv.h"

enum { PIECE = 255 };

static bool is_digits(const char *s, size_t left)
{
    for (size_t i = 0; i < 3; i++)
        if (i >= left || s[i] < '0' || s[i] > '9')
            return false;
    return true;
}

/* One piece, unescaped, as a character string; returns its octets with the length. */
static size_t put_piece(const char *s, size_t len, uint8_t *out)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (s[i] != '\\') {
            out[++n] = (uint8_t)s[i];
        } else if (i + 1 == len) {
            break; /* a lone backslash at the end of a piece says nothing */
        } else if (is_digits(s + i + 1, len - i - 1)) {
            out[++n] = (uint8_t)((s[i + 1] - '0') * 100 + (s[i + 2] - '0') * 10 + (s[i + 3] - '0'));
            i += 3;
        } else {
            out[++n] = (uint8_t)s[++i];
        }
    }
    out[0] = (uint8_t)n;
    return n + 1;
}

int wp_etcd_txt_rdata(struct wp_arena *arena, const char *text, size_t len, const uint8_t **ret,
                      uint16_t *ret_len)
{
    size_t at = 0, n = 0;
    uint8_t *out;

    if (len > UINT16_MAX - (len / PIECE + 1))
        return WP_ELIMIT;
    out = wp_arena_alloc(arena, len + len / PIECE + 1);
    if (out == NULL)
        return -ENOMEM;
    while (len - at >= PIECE) {
        n += put_piece(text + at, PIECE, out + n);
        at += PIECE;
    }
    n += put_piece(text + at, len - at, out + n); /* the rest, maybe empty */
    *ret = out;
    *ret_len = (uint16_t)n;
    return 0;
}
