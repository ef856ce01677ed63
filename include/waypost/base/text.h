/* Small readers and writers of text that configuration and records share. All bounded, none
 * allocates, all are free of locale. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

/* Go duration text ("1m30s", "1.5h", "0"), units ns us µs ms s m h. A bare number other than 0
 * is WP_EMALFORMED. Signed nanoseconds. */
int wp_duration_parse(const char *s, int64_t *ret_ns) WP_MUSTCHECK;
/* Go's Duration.String(): "5m0s", "1.5s", "250ms", "0s". At most 32 octets with the NUL. */
void wp_duration_text(int64_t ns, char buf[32]);
/* Decimal, whole string, within [min, max]; WP_EMALFORMED or WP_ELIMIT. A sign is read. */
int wp_int_parse(const char *s, int64_t min, int64_t max, int64_t *ret) WP_MUSTCHECK;
/* ASCII only. */
bool wp_text_ieq(const char *a, const char *b);
static inline uint8_t wp_lower(uint8_t c)
{
    return (uint8_t)(c - 'A') < 26 ? c | 0x20 : c;
}
/* base64url without padding, strict (RFC 4648 s5): any other octet, a bad length or non-zero
 * trailing bits is WP_EMALFORMED; WP_ESPACE when ret_len would pass cap. */
int wp_base64url_decode(const char *s, size_t len, uint8_t *out, size_t cap,
                        size_t *ret_len) WP_MUSTCHECK;
/* JSON string escape of any octets into out (NUL-terminated, cut at cap); invalid UTF-8
 * becomes U+FFFD. Returns the octets written without the NUL. */
size_t wp_json_escape(const char *s, size_t len, char *out, size_t cap);
