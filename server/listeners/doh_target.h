/* The request target of DNS over HTTPS (RFC 8484 s4.1): the exact path and, for GET, the one
 * `dns` parameter in base64url. No socket, no allocation: bytes in, bytes out. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

/* Longest value of `dns`, escapes included: refused before anything is decoded. */
enum { WP_DOH_PARAM_MAX = 87382 };

enum wp_doh_target {
    WP_DOH_NO_TARGET, /* none was given (CONNECT) */
    WP_DOH_NO_PATH,   /* another path: 404 */
    WP_DOH_NO_PARAM,  /* no `dns`: right for POST, 400 for GET */
    WP_DOH_PARAM,     /* the message stands */
    WP_DOH_BAD,       /* `dns` is empty, given twice, or not base64url: 400 */
    WP_DOH_LONG,      /* 414 */
};

/* What `target` ("/dns-query?dns=AAAB...") asks for. For WP_DOH_PARAM *ret_param is the place of
 * the raw value in `target`. */
enum wp_doh_target wp_doh_target_read(const uint8_t *target, size_t len, const uint8_t **ret_param,
                                      size_t *ret_len);
/* The raw value to the message. `out` holds cap octets, at least len: escapes are undone there
 * first. WP_EMALFORMED: not base64url; WP_ESPACE: cap is less than len. */
int wp_doh_param_decode(const uint8_t *param, size_t len, uint8_t *out, size_t cap,
                        size_t *ret_len) WP_MUSTCHECK;
