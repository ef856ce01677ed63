/* The grpc-timeout header: how long the client waits for its answer. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

/* Longer ones are no deadline: no query lives that long. */
#define WP_GRPC_TIMEOUT_MAX_NS (UINT64_C(3600) * 1000000000)

/* One to eight digits and a unit, H M S m u n. Nanoseconds, at most WP_GRPC_TIMEOUT_MAX_NS;
 * WP_EMALFORMED. */
int wp_grpc_timeout_read(const uint8_t *s, size_t len, uint64_t *ret_ns) WP_MUSTCHECK;
