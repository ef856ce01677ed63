/* A connection for a thread that may wait: with or without TLS, with an end of the waiting. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

struct wp_tls_conn;
struct wp_tls_ctx;

enum { WP_STREAM_WHY = 200 };
struct wp_stream_wait {
    int fd;                  /* the caller's to close, after wp_stream_wait_done */
    int stop_fd;             /* readable: give up; -1: none */
    uint64_t end_ns;         /* of the monotonic clock */
    struct wp_tls_conn *tls; /* NULL: plain */
    char why[WP_STREAM_WHY]; /* after WP_ETLS */
};
/* Until the descriptor is ready: 0, -errno, -ETIMEDOUT, or -ECANCELED. So all functions here. */
int wp_stream_wait_for(const struct wp_stream_wait *s, int fd, short events) WP_MUSTCHECK;
/* A handshake as the client of `name`. Also WP_ETLS. */
int wp_stream_wait_tls(struct wp_stream_wait *s, struct wp_tls_ctx *ctx,
                       const char *name) WP_MUSTCHECK;
int wp_stream_wait_write(struct wp_stream_wait *s, const void *data, size_t len) WP_MUSTCHECK;
/* Octets, at least one, or WP_ECLOSED. */
int wp_stream_wait_read(struct wp_stream_wait *s, void *buf, size_t len) WP_MUSTCHECK;
void wp_stream_wait_done(struct wp_stream_wait *s);
