/* Presentation text: octets with escapes, addresses, and the three alphabets of binary data. */
#include "proto/dns/text_priv.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int wp_escape_octet(const char **s)
{
    const char *p = *s;
    int v;

    if (*p == '\0')
        return -1;
    if (*p != '\\') {
        *s = p + 1;
        return (uint8_t)*p;
    }
    if (p[1] == '\0')
        return -1;
    if (!is_digit(p[1])) {
        *s = p + 2;
        return (uint8_t)p[1];
    }
    if (!is_digit(p[2]) || !is_digit(p[3]))
        return -1;
    v = (p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0');
    *s = p + 4;
    return v > 255 ? -1 : v;
}

void wp_put_char(struct wp_wr *out, char c)
{
    wp_wr_u8(out, (uint8_t)c);
}

void wp_put_text(struct wp_wr *out, const char *s)
{
    wp_wr_bytes(out, s, strlen(s));
}

void wp_put_uint(struct wp_wr *out, uint32_t v)
{
    char buf[16];

    snprintf(buf, sizeof(buf), "%u", v);
    wp_put_text(out, buf);
}

void wp_put_octet(struct wp_wr *out, uint8_t c)
{
    if (c < ' ' || c > '~') {
        wp_put_char(out, '\\');
        wp_put_char(out, (char)('0' + c / 100));
        wp_put_char(out, (char)('0' + c / 10 % 10));
        c = (uint8_t)('0' + c % 10);
    } else if (c == '"' || c == '\\') {
        wp_put_char(out, '\\');
    }
    wp_put_char(out, (char)c);
}

void wp_put_quoted(struct wp_wr *out, const uint8_t *p, size_t len)
{
    wp_put_char(out, '"');
    for (size_t i = 0; i < len; i++)
        wp_put_octet(out, p[i]);
    wp_put_char(out, '"');
}

void wp_put_ipv4(struct wp_wr *out, const uint8_t *ip)
{
    char buf[INET_ADDRSTRLEN];

    wp_put_text(out, inet_ntop(AF_INET, ip, buf, sizeof(buf)));
}

void wp_put_ipv6(struct wp_wr *out, const uint8_t *ip)
{
    static const uint8_t zero[12];
    char buf[INET6_ADDRSTRLEN];

    inet_ntop(AF_INET6, ip, buf, sizeof(buf));
    /* the old "v4-compatible" addresses: libc writes ::1.2.3.4, everybody else ::102:304 */
    if (memcmp(ip, zero, sizeof(zero)) == 0 && strchr(buf, '.') != NULL)
        snprintf(buf, sizeof(buf), "::%x:%x", ip[12] << 8 | ip[13], ip[14] << 8 | ip[15]);
    wp_put_text(out, buf);
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base32hex[] = "0123456789ABCDEFGHIJKLMNOPQRSTUV";

/* Octets as groups of `bits`, most significant first; the last group is filled with zeros. */
static unsigned put_groups(struct wp_wr *out, const uint8_t *p, size_t len, unsigned bits,
                           const char *alphabet)
{
    unsigned acc = 0, have = 0, n = 0;

    for (size_t i = 0; i < len; i++) {
        acc = (acc & 0xff) << 8 | p[i];
        for (have += 8; have >= bits; n++) {
            have -= bits;
            wp_put_char(out, alphabet[acc >> have & ((1u << bits) - 1)]);
        }
    }
    if (have > 0) {
        wp_put_char(out, alphabet[acc << (bits - have) & ((1u << bits) - 1)]);
        n++;
    }
    return n;
}

void wp_put_base64(struct wp_wr *out, const uint8_t *p, size_t len)
{
    for (unsigned n = put_groups(out, p, len, 6, base64); n % 4 != 0; n++)
        wp_put_char(out, '=');
}

void wp_put_base32hex(struct wp_wr *out, const uint8_t *p, size_t len)
{
    put_groups(out, p, len, 5, base32hex);
}

void wp_put_hex(struct wp_wr *out, const uint8_t *p, size_t len, bool upper)
{
    put_groups(out, p, len, 4, upper ? "0123456789ABCDEF" : "0123456789abcdef");
}

static void read_group(struct wp_bits *b, unsigned bits, unsigned v, struct wp_wr *wr)
{
    b->acc = b->acc << bits | v;
    b->n_bits += bits;
    if (b->n_bits >= 8) {
        b->n_bits -= 8;
        wp_wr_u8(wr, b->acc >> b->n_bits & 0xff);
    }
    b->acc &= (1u << b->n_bits) - 1;
}

int wp_read_base64(struct wp_bits *b, const struct wp_token *t, struct wp_wr *wr)
{
    for (size_t i = 0; i < t->len; i++) {
        const char *at = t->p[i] == '=' ? NULL : memchr(base64, t->p[i], 64);

        if (t->p[i] == '=' && b->pad < 2) {
            b->pad++;
            continue;
        }
        if (at == NULL || b->pad > 0)
            return WP_EMALFORMED;
        read_group(b, 6, (unsigned)(at - base64), wr);
    }
    return 0;
}

/* Whole groups of four with the right padding and no stray bits (RFC 4648 s3.5). */
int wp_read_base64_done(const struct wp_bits *b)
{
    return b->n_bits == 2 * b->pad && b->acc == 0 ? 0 : WP_EMALFORMED;
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int wp_read_hex(struct wp_bits *b, const struct wp_token *t, struct wp_wr *wr)
{
    for (size_t i = 0; i < t->len; i++) {
        int v = hex_value(t->p[i]);

        if (v < 0)
            return WP_EMALFORMED;
        read_group(b, 4, (unsigned)v, wr);
    }
    return 0;
}

int wp_read_hex_done(const struct wp_bits *b)
{
    return b->n_bits == 0 ? 0 : WP_EMALFORMED;
}

int wp_read_base32hex(struct wp_bits *b, const struct wp_token *t, struct wp_wr *wr)
{
    for (size_t i = 0; i < t->len; i++) {
        char c = t->p[i] >= 'a' && t->p[i] <= 'v' ? (char)(t->p[i] - 0x20) : t->p[i];
        const char *at = memchr(base32hex, c, 32);

        if (at == NULL)
            return WP_EMALFORMED;
        read_group(b, 5, (unsigned)(at - base32hex), wr);
    }
    return b->n_bits < 5 && b->acc == 0 ? 0 : WP_EMALFORMED;
}
