/* Calls to gRPC servers (etcd, OTLP collectors) by gRPC C core. C core costs 8 MB of resident
 * memory and 6 ms at start just by being linked, so it lives in a module, waypost-grpc.so, that is
 * opened when something first needs it: wp_grpc_open gives the functions.
 *
 * There is one engine for the process: a thread that waits for C core's completions, runs timers
 * and what other threads post to it. Every callback comes on that thread, and every function
 * here except acquire, release and post is called on it. Nothing called there may block. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/common/engine.h"
#include "waypost/base/err.h"

struct wp_grpc_channel;
struct wp_grpc_call;

/* gRPC status codes that callers tell apart. */
enum wp_grpc_status {
    WP_GRPC_OK = 0,
    WP_GRPC_CANCELLED = 1,
    WP_GRPC_INVALID_ARGUMENT = 3,
    WP_GRPC_DEADLINE_EXCEEDED = 4,
    WP_GRPC_NOT_FOUND = 5,
    WP_GRPC_PERMISSION_DENIED = 7,
    WP_GRPC_RESOURCE_EXHAUSTED = 8,
    WP_GRPC_FAILED_PRECONDITION = 9,
    WP_GRPC_OUT_OF_RANGE = 11,
    WP_GRPC_UNIMPLEMENTED = 12,
    WP_GRPC_UNAVAILABLE = 14,
    WP_GRPC_DATA_LOSS = 15,
    WP_GRPC_UNAUTHENTICATED = 16,
    WP_GRPC_STATUSES = 17,
};

/* Posts and timers are the engines' own; callers know them by these names. */
#define wp_grpc_post wp_engine_post
#define wp_grpc_timer wp_engine_timer

/* Copied as far as needed. PEM texts are contents, not paths. */
struct wp_grpc_channel_config {
    const char *target; /* "ipv4:192.0.2.1:2379", "dns:///etcd.example:2379", "unix:/run/x" */
    bool tls;
    const char *ca_pem;             /* of TLS; must be given */
    const char *cert_pem, *key_pem; /* or NULL */
    int connect_timeout_ms, keepalive_ms, keepalive_timeout_ms;
    size_t max_receive; /* octets of one message */
};

struct wp_grpc_header {
    const char *key, *value;
};

/* The end of a unary call. data: the message, NULL unless status is OK; both it and `message`
 * are valid during the callback only. */
typedef void wp_grpc_done_fn(void *arg, int status, const char *message, const uint8_t *data,
                             size_t len);

struct wp_grpc_stream_ops {
    void (*message)(void *arg, const uint8_t *data, size_t len);
    void (*end)(void *arg, int status, const char *message); /* once, last */
};

struct wp_grpc_ops {
    unsigned version; /* WP_GRPC_VERSION */
    /* The engine runs between the first acquire and the last release. acquire: 0, -ENOMEM or
     * -errno of the thread. release, of the last one, waits until the engine has stopped; no
     * channel, call or timer may be left. */
    int (*acquire)(void);
    void (*release)(void);
    void (*post)(struct wp_grpc_post *post);

    uint64_t (*now)(void); /* monotonic ns, the clock of the loops */
    void (*timer_set)(struct wp_grpc_timer *t, uint64_t due_ns); /* moves one that is set */
    void (*timer_cancel)(struct wp_grpc_timer *t);

    /* Connects when first used, and fails calls at once when it cannot (no waiting for ready).
     * NULL: memory, or a target or PEM text that C core refuses. */
    struct wp_grpc_channel *(*channel_new)(const struct wp_grpc_channel_config *c);
    void (*channel_free)(struct wp_grpc_channel *c); /* accepts NULL; calls may still run */

    /* fn is called exactly once, never before this returns, unless the call is dropped. The
     * request is copied. NULL: memory; then fn is not called. */
    struct wp_grpc_call *(*unary)(struct wp_grpc_channel *c, const char *method,
                                  const struct wp_grpc_header *headers, size_t n_headers,
                                  const void *request, size_t len, unsigned timeout_ms,
                                  wp_grpc_done_fn *fn, void *arg);
    struct wp_grpc_call *(*stream)(struct wp_grpc_channel *c, const char *method,
                                   const struct wp_grpc_header *headers, size_t n_headers,
                                   const struct wp_grpc_stream_ops *ops, void *arg);
    /* Queue a message of a stream, in order. 0 or -ENOMEM. */
    int (*send)(struct wp_grpc_call *call, const void *message, size_t len);
    /* Cancel and forget: no callback comes any more. Accepts NULL; not for a call that has called
     * back its end. Allowed from the call's own callbacks. */
    void (*drop)(struct wp_grpc_call *call);
};
enum { WP_GRPC_VERSION = 1 };
#define WP_GRPC_MODULE "waypost-grpc.so"
#define WP_GRPC_SYMBOL "wp_grpc_client_ops"

/* Open the module, once for the process: beside the program, in the folder above it, or in the
 * installed place. NULL with a reason in errbuf. Any thread. */
const struct wp_grpc_ops *wp_grpc_open(char errbuf[256]);
