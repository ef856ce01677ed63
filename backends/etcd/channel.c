#include "backends/etcd/channel.h"

#include <string.h>

enum { KEEPALIVE_MS = 10000, KEEPALIVE_TIMEOUT_MS = 5000 };

struct wp_grpc_channel *wp_etcd_channel_new(const struct wp_grpc_ops *g,
                                            const struct wp_etcd_source *src, unsigned at,
                                            const struct wp_etcd_pem *pem)
{
    struct wp_grpc_channel_config c = {
        .target = src->endpoints[at].target,
        .tls = src->tls,
        .ca_pem = pem->ca,
        .cert_pem = pem->cert,
        .key_pem = pem->key,
        .connect_timeout_ms = WP_ETCD_CONNECT_MS,
        .keepalive_ms = KEEPALIVE_MS,
        .keepalive_timeout_ms = KEEPALIVE_TIMEOUT_MS,
        .max_receive = WP_ETCD_MESSAGE_MAX,
    };

    return g->channel_new(&c);
}

bool wp_etcd_is_token_refused(int status, const char *message)
{
    return status == WP_GRPC_UNAUTHENTICATED || strstr(message, "invalid auth token") != NULL ||
           strstr(message, "user name is empty") != NULL ||
           wp_etcd_is_auth_old(message);
}

bool wp_etcd_is_auth_old(const char *message)
{
    return strstr(message, "revision of auth store is old") != NULL;
}

bool wp_etcd_is_auth_off(int status, const char *message)
{
    return status == WP_GRPC_FAILED_PRECONDITION &&
           strstr(message, "authentication is not enabled") != NULL;
}

const char *wp_etcd_status_text(int status)
{
    static const char *const texts[WP_GRPC_STATUSES] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };

    return status >= 0 && status < WP_GRPC_STATUSES ? texts[status] : "UNKNOWN";
}

bool wp_etcd_is_endpoint_bad(int status, const char *message)
{
    switch (status) {
    case WP_GRPC_CANCELLED:
    case WP_GRPC_INVALID_ARGUMENT:
    case WP_GRPC_NOT_FOUND:
    case WP_GRPC_PERMISSION_DENIED:
    case WP_GRPC_RESOURCE_EXHAUSTED:
    case WP_GRPC_OUT_OF_RANGE:
    case WP_GRPC_UNAUTHENTICATED:
        return false;
    case WP_GRPC_FAILED_PRECONDITION:
        return strstr(message, "not supported for learner") != NULL;
    default:
        return true;
    }
}
