#include "grpc_timeout.h"

static uint64_t unit_ns(uint8_t c)
{
    switch (c) {
    case 'H':
        return UINT64_C(3600) * 1000000000;
    case 'M':
        return UINT64_C(60) * 1000000000;
    case 'S':
        return 1000000000;
    case 'm':
        return 1000000;
    case 'u':
        return 1000;
    case 'n':
        return 1;
    default:
        return 0;
    }
}

int wp_grpc_timeout_read(const uint8_t *s, size_t len, uint64_t *ret_ns)
{
    uint64_t n = 0, unit;

    if (len < 2 || len > 9)
        return WP_EMALFORMED;
    for (size_t i = 0; i < len - 1; i++) {
        if ((uint8_t)(s[i] - '0') > 9)
            return WP_EMALFORMED;
        n = n * 10 + (uint64_t)(s[i] - '0');
    }
    unit = unit_ns(s[len - 1]);
    if (unit == 0)
        return WP_EMALFORMED;
    *ret_ns = n > WP_GRPC_TIMEOUT_MAX_NS / unit ? WP_GRPC_TIMEOUT_MAX_NS : n * unit;
    return 0;
}
