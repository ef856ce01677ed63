/* Presentation text of records: writing pieces of it, and reading a line in tokens. A writer of
 * text is a wp_wr, its sticky error included. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"
#include "waypost/base/wr.h"

/* One octet of presentation text with \X and \DDD decoded; *s moves past it. -1: a bad escape
 * or the end. */
int wp_escape_octet(const char **s);
void wp_put_char(struct wp_wr *out, char c);
void wp_put_text(struct wp_wr *out, const char *s);
void wp_put_uint(struct wp_wr *out, uint32_t v);
void wp_put_quoted(struct wp_wr *out, const uint8_t *p, size_t len); /* with the quotes */
void wp_put_octet(struct wp_wr *out, uint8_t c);                     /* as inside quotes */
void wp_put_ipv4(struct wp_wr *out, const uint8_t *ip);
void wp_put_ipv6(struct wp_wr *out, const uint8_t *ip);
void wp_put_base64(struct wp_wr *out, const uint8_t *p, size_t len);
void wp_put_base32hex(struct wp_wr *out, const uint8_t *p, size_t len);
void wp_put_hex(struct wp_wr *out, const uint8_t *p, size_t len, bool upper);

/* A line of zone-file text in tokens: blanks and parentheses part them, quotes join, ';' ends. */
struct wp_tokens {
    const char *p;
    bool bad; /* open quote, escape at the end */
};
struct wp_token {
    const char *p; /* as written, quotes not included */
    size_t len;
    bool quoted;
};
bool wp_token_next(struct wp_tokens *t, struct wp_token *ret); /* false: end or bad */
/* A copy with NUL; WP_EMALFORMED when it does not fit. */
int wp_token_copy(const struct wp_token *t, char *buf, size_t cap) WP_MUSTCHECK;
/* Decode escapes; returns the octets, or WP_EMALFORMED (bad escape, more than cap). */
int wp_token_octets(const struct wp_token *t, uint8_t *out, size_t cap) WP_MUSTCHECK;
int wp_token_uint(const struct wp_token *t, uint32_t max, uint32_t *ret) WP_MUSTCHECK;

/* Decoders that go on over several tokens: feed each, then done. */
struct wp_bits {
    uint32_t acc;
    unsigned n_bits, pad;
};
int wp_read_base64(struct wp_bits *b, const struct wp_token *t, struct wp_wr *wr) WP_MUSTCHECK;
int wp_read_hex(struct wp_bits *b, const struct wp_token *t, struct wp_wr *wr) WP_MUSTCHECK;
int wp_read_base32hex(struct wp_bits *b, const struct wp_token *t, struct wp_wr *wr) WP_MUSTCHECK;
int wp_read_base64_done(const struct wp_bits *b) WP_MUSTCHECK;
int wp_read_hex_done(const struct wp_bits *b) WP_MUSTCHECK;
