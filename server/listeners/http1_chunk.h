/* Chunked transfer coding (RFC 9112 s7.1), read strictly: whatever two parsers might read
 * differently is an error, so that nothing can be smuggled past a proxy. Bytes in, bytes out. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

/* Octets of extensions and trailers that a body may carry; all are ignored. */
enum { WP_CHUNK_NOISE_MAX = 1024 };

struct wp_chunked {
    uint64_t left; /* octets of this chunk's data still to come */
    uint16_t noise;
    uint8_t at; /* enum chunk_at */
    uint8_t digits;
    bool done; /* the body has ended; what follows is the next request */
};

/**
 * Take octets up to the end of one piece of data or of the body. Zeroed state begins a body.
 * @param ret_piece  data inside `data`, length 0 if none
 * @return octets consumed, at least 1 when len > 0 and the body has not ended; WP_EMALFORMED;
 *         WP_ELIMIT: too many extensions or trailers, or a size above 2^32
 */
int wp_chunked_read(struct wp_chunked *c, const uint8_t *data, size_t len,
                    const uint8_t **ret_piece, size_t *ret_len) WP_MUSTCHECK;
