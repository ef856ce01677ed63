/* Every check that each transport owes, once. Listeners call these and nothing else decides
 * what is admitted. What is refused is counted:
 * waypost_refused_total{server, limit} for limits, waypost_rejected_total{server, reason} for
 * messages. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "waypost/base/addr.h"
#include "waypost/dns/msg.h"
#include "waypost/server/listener.h"

/* Counts of one listening address, over workers and generations; never freed. */
struct wp_guard_counts;
/* The counts for "SCHEME://HOST:PORT" (made when new). Main thread. */
struct wp_guard_counts *wp_guard_counts_for(const char *label);

enum wp_guard_limit {
    WP_LIMIT_CONNECTIONS, WP_LIMIT_PER_CLIENT, WP_LIMIT_STREAMS, WP_LIMIT_PIPELINE,
    WP_LIMIT_IN_FLIGHT, WP_LIMIT_HEADER, WP_LIMIT_BODY, WP_LIMIT_READ_TIME, WP_LIMIT_WRITE_TIME,
    WP_LIMIT_IDLE_TIME, WP_LIMIT_HANDSHAKE_TIME, WP_LIMIT_H2_RESETS, WP_LIMIT_H2_PINGS,
    WP_LIMIT_H2_SETTINGS, WP_LIMIT_H2_CONTINUATION, WP_LIMIT_H2_EMPTY, WP_LIMIT_H2_WINDOW,
    WP_LIMIT_MEMORY, WP_LIMITS,
};

/* A new stream connection: true admits and counts it, false: close it (already counted as
 * refused). `peer` is the address for the per-client count: /32 or /64. */
bool wp_guard_connect(const struct wp_group *g, int worker, const struct wp_addr *peer);
void wp_guard_disconnect(const struct wp_group *g, int worker, const struct wp_addr *peer);
bool wp_guard_is_full(const struct wp_group *g); /* pause accept */
/* A limit other than the above was met. */
void wp_guard_refused(const struct wp_group *g, int worker, enum wp_guard_limit limit);

/* UDP source that must not be answered: port 0, our own address, multicast, broadcast. */
bool wp_guard_source_ok(const struct wp_addr *client, const struct wp_addr *local);

/* The message gate: called by wp_query_run for every transport. OK: go on to the router.
 * Otherwise what the listener's protocol says of it (transports.md 2): an rcode reply for
 * UDP, TCP, DoT; 400 for DoH; an error status for gRPC. The router keeps the verdict in
 * q->intake. */
enum wp_intake wp_guard_message(struct wp_query *q);
