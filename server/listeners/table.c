/* Which listeners serve a scheme. A scheme without a row is known but not in this build. */
#include "waypost/server/listener.h"

static const struct wp_listener_ops *const dns[] = {&wp_listener_udp, &wp_listener_tcp, NULL};
static const struct wp_listener_ops *const tls[] = {&wp_listener_dot, NULL};
static const struct wp_listener_ops *const https[] = {&wp_listener_doh, NULL};
static const struct wp_listener_ops *const grpc[] = {&wp_listener_grpc, NULL};

const struct wp_listener_ops *const *wp_listeners_of(enum wp_scheme s)
{
    switch (s) {
    case WP_SCHEME_DNS:
        return dns;
    case WP_SCHEME_TLS:
        return tls;
    case WP_SCHEME_HTTPS:
        return https;
    case WP_SCHEME_GRPC:
        return grpc;
    case WP_SCHEME_QUIC:
    case WP_SCHEME_HTTPS3:
    case WP_SCHEME_UNIX:
        break;
    }
    return NULL;
}
