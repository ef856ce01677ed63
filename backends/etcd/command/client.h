/* A cluster as a command sees it: one call at a time, waited for, at the endpoint that answers.
 * Tokens are got and renewed, a dead endpoint is left for the next one. One thread, which is not
 * the engine's; only interrupt is for any. */
#pragma once
#include <protobuf-c/protobuf-c.h>
#include "backends/etcd/channel.h"
#include "backends/etcd/mirror.h"

struct wp_etcd_client;

/* src and what it points at outlive the client. 0, -ENOMEM, or WP_EUNSUPPORTED: no gRPC module. */
int wp_etcd_client_new(const struct wp_etcd_source *src, char why[256],
                       struct wp_etcd_client **ret) WP_MUSTCHECK;
void wp_etcd_client_free(struct wp_etcd_client *c); /* accepts NULL */
/* May freeing it take a second? A call was interrupted, and gRPC would wait for its connection. */
bool wp_etcd_client_is_slow_to_free(const struct wp_etcd_client *c);
/* How long one endpoint has for a call; WP_ETCD_CALL_MS without. */
void wp_etcd_client_patience(struct wp_etcd_client *c, unsigned timeout_ms);

enum wp_etcd_method {
    WP_ETCD_AUTHENTICATE,
    WP_ETCD_RANGE,
    WP_ETCD_TXN,
    WP_ETCD_LEASE_GRANT,
    WP_ETCD_LEASE_REVOKE,
    WP_ETCD_LEASE_KEEP_ALIVE, /* one question of the stream */
    WP_ETCD_LEASE_TIME_TO_LIVE,
};
/* @return WP_GRPC_OK with *ret_reply, which is valid until the next call; else the status of the
 *         last endpoint that was asked, see wp_etcd_client_why. A call that failed may still
 *         have been carried out, and may have been made twice: what changes something must bear
 *         that. */
int wp_etcd_client_call(struct wp_etcd_client *c, enum wp_etcd_method method,
                        const ProtobufCMessage *request, const void **ret_reply) WP_MUSTCHECK;
/* What is left of each lease, many questions at once, at the endpoint of the last call: seconds, -1
 * for one that is gone, WP_ETCD_LEFT_UNKNOWN for those that came to nothing: ask them singly. */
#define WP_ETCD_LEFT_UNKNOWN INT64_MIN
void wp_etcd_client_times_to_live(struct wp_etcd_client *c, const int64_t *leases, int64_t *left_s,
                                  size_t n);
/* "ENDPOINT: what: STATUS: reason" of the last call that failed. */
const char *wp_etcd_client_why(const struct wp_etcd_client *c);
/* As written; of the last call. */
const char *wp_etcd_client_endpoint(const struct wp_etcd_client *c);
/* The call under way ends at once with CANCELLED, as will all to come, until it is taken back. Any
 * thread. */
void wp_etcd_client_interrupt(struct wp_etcd_client *c, bool on);
/* No other endpoint and no waiting will help: the name, the password or the rights are wrong. */
bool wp_etcd_client_is_refusal(int status);
