/* Error codes: negative ints, one table for all of waypost. System errors travel as -errno,
 * which never reaches -1000. An rcode is a result, not an error: it travels in the reply. */
#pragma once
#include <errno.h>

#define WP_ERRORS(X)                                                                               \
    X(WP_EMALFORMED, -1001, "malformed data")                                                      \
    X(WP_ESPACE, -1002, "buffer too small")                                                        \
    X(WP_ELIMIT, -1003, "limit reached")                                                           \
    X(WP_ENOTFOUND, -1004, "not found")                                                            \
    X(WP_EEXISTS, -1005, "already there")                                                          \
    X(WP_EUNSUPPORTED, -1006, "not supported")                                                     \
    X(WP_ETIMEOUT, -1007, "timed out")                                                             \
    X(WP_ECANCELLED, -1008, "cancelled")                                                           \
    X(WP_ECLOSED, -1009, "closed by peer")                                                         \
    X(WP_ECONFIG, -1010, "bad configuration")                                                      \
    X(WP_ETLS, -1011, "TLS failure")                                                               \
    X(WP_EUNREACHABLE, -1012, "no reachable peer")                                                 \
    X(WP_EREFUSED, -1013, "refused")                                                               \
    X(WP_ESTATE, -1014, "wrong state")

enum wp_err {
#define WP_ERR_ENUM(name, value, text) name = value,
    WP_ERRORS(WP_ERR_ENUM)
#undef WP_ERR_ENUM
};

#define WP_MUSTCHECK __attribute__((warn_unused_result))
#define WP_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define WP_LIKELY(x) __builtin_expect(!!(x), 1)
#define WP_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define WP_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The text of a negative code (ours or -errno); static, or per thread for an unknown errno. */
const char *wp_strerror(int err);
