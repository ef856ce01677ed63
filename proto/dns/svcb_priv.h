/* Keys of SvcParams, shared by checking, printing and reading them. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

enum svcb_key {
    KEY_MANDATORY = 0,
    KEY_ALPN = 1,
    KEY_NO_DEFAULT_ALPN = 2,
    KEY_PORT = 3,
    KEY_IPV4HINT = 4,
    KEY_ECH = 5,
    KEY_IPV6HINT = 6,
    KEY_DOHPATH = 7,
    KEY_OHTTP = 8,
    KEY_INVALID = 65535,
};

/* The value of a key in params that are in order up to `len`; its length stands before it. NULL:
 * not there. */
const uint8_t *wp_svcb_find(const uint8_t *params, size_t len, unsigned key);
/* "alpn", "key667". */
int wp_svcb_key_parse(const char *s, size_t len, uint16_t *ret) WP_MUSTCHECK;
