/* SHA-512 of octets that come in pieces (FIPS 180-4). The TLS library computes it: tls/. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

enum { WP_DIGEST_LEN = 64 };

struct wp_digest;

/* NULL: no memory. */
struct wp_digest *wp_digest_new(void);
/* A failure is remembered and told by wp_digest_end. */
void wp_digest_add(struct wp_digest *d, const void *octets, size_t len);
/* @return 0, or -ENOMEM when any step failed; frees d, which may be NULL, in both cases */
int wp_digest_end(struct wp_digest *d, uint8_t ret[WP_DIGEST_LEN]) WP_MUSTCHECK;
