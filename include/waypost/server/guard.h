/* Every check that each transport owes, once. Listeners call these and nothing else decides
 * what is admitted. What is refused is counted:
 * waypost_refused_total{server, limit} for limits, waypost_rejected_total{server, reason} for
 * messages.
 *
 * How a transport learns of a rejected message: wp_query_run calls wp_guard_message and keeps
 * the verdict in q->intake. For UDP, TCP and DoT that is all: q->out already is what goes back
 * (out_len 0: nothing). DoH and gRPC look at q->intake first: what is not wp_intake_is_answered is
 * theirs to report (400, an error status) and q->out is not sent. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "waypost/base/addr.h"
#include "waypost/dns/msg.h"
#include "waypost/server/listener.h"

struct wp_query;

/* Counts of one listening address, over workers and generations; never freed. */
struct wp_guard_counts;
/* The counts for "SCHEME://HOST:PORT" (made when new); NULL when memory is short, which every
 * function here accepts: then nothing is counted or limited. Any thread. */
struct wp_guard_counts *wp_guard_counts_for(const char *label);

enum wp_guard_limit {
    WP_LIMIT_CONNECTIONS, WP_LIMIT_PER_CLIENT, WP_LIMIT_STREAMS, WP_LIMIT_PIPELINE,
    WP_LIMIT_IN_FLIGHT, WP_LIMIT_HEADER, WP_LIMIT_BODY, WP_LIMIT_READ_TIME, WP_LIMIT_WRITE_TIME,
    WP_LIMIT_IDLE_TIME, WP_LIMIT_HANDSHAKE_TIME, WP_LIMIT_HANDSHAKES, WP_LIMIT_H2_RESETS,
    WP_LIMIT_H2_PINGS,
    WP_LIMIT_H2_SETTINGS, WP_LIMIT_H2_CONTINUATION, WP_LIMIT_H2_EMPTY, WP_LIMIT_H2_WINDOW,
    WP_LIMIT_MEMORY, WP_LIMIT_DESCRIPTORS, WP_LIMIT_ACCEPT_RATE, WP_LIMITS,
};

/* What one admitted connection occupies; zeroed: nothing. Kept by the connection, so that a
 * reload may change the limits, or the group, under it. */
struct wp_guard_slot {
    struct wp_guard_counts *counts;
    struct wp_guard_client *client;
};

/* A new stream connection against the total. True: admitted and counted in the (zeroed) slot.
 * False: the total is reached; nothing is counted, the caller makes room and asks again, or
 * closes it and says so with wp_guard_refused. */
bool wp_guard_connect(const struct wp_group *g, struct wp_guard_slot *slot);
/* The same connection against the limit of its client: a /32 or a /64, after PROXY. Once for
 * each connection, before anything is answered. False: close it (counted as refused). */
bool wp_guard_client(const struct wp_group *g, int worker, const struct wp_addr *client,
                     struct wp_guard_slot *slot);
/* We have closed it and wait for the peer to do so, or no longer (before wp_guard_disconnect). */
void wp_guard_leaving(const struct wp_guard_slot *slot, bool leaving);
/* The connection is gone: gives back what the slot holds, and zeroes it. */
void wp_guard_disconnect(struct wp_guard_slot *slot);
bool wp_guard_is_full(const struct wp_group *g); /* pause accept */
/* Open connections of the address, over all workers. */
uint32_t wp_guard_connections(const struct wp_group *g);
/* About the most there were at a time since this was last asked. */
uint32_t wp_guard_most(const struct wp_group *g);
/* How long a connection may be idle now: the limit, and less and less of it when more than seven
 * eighths of the connections that there may be are open, so that those idle longest make room. Those
 * that are leaving do not count. */
uint64_t wp_guard_idle_ns(const struct wp_group *g);
/* Nanoseconds until the listener may accept another connection; 0: now. Accepted ones are told with
 * wp_guard_accepted. A second's worth may come at once. Any thread. */
uint64_t wp_guard_accept_wait_ns(const struct wp_group *g, uint64_t now_ns);
void wp_guard_accepted(const struct wp_group *g, uint64_t now_ns);
/* A limit was met. */
void wp_guard_refused(const struct wp_group *g, int worker, enum wp_guard_limit limit);

/* TLS handshakes by outcome: waypost_tls_handshakes_total{server, result}. */
enum wp_guard_tls { WP_GUARD_TLS_FULL, WP_GUARD_TLS_RESUMED, WP_GUARD_TLS_FAILED, WP_GUARD_TLS_RESULTS };
void wp_guard_handshake(const struct wp_group *g, int worker, enum wp_guard_tls result);

/* UDP source that must not be answered: port 0, our own address, multicast, broadcast. */
bool wp_guard_source_ok(const struct wp_addr *client, const struct wp_addr *local);

/* The message gate, for every transport: reads the message into q->msg. OK: go on to the router.
 * Otherwise what the listener's protocol says of it (the transports table 2), see above. Opcodes beyond
 * QUERY and NOTIFY pass on UDP, TCP and DoT only, and only where a block of the group admits
 * them. */
enum wp_intake wp_guard_message(struct wp_query *q);

/* Cookies of listeners without a secret of their own are made with one of the process: known to
 * all workers, kept over reloads. A new one from now on; those made with the last one are good
 * until they are too old. Called before a group wants it and every WP_COOKIE_ROTATE_S; any thread. 0, or -errno when there is no randomness (the old one goes on). */
enum { WP_COOKIE_ROTATE_S = 24 * 3600 };
int wp_guard_cookie_rotate(void);
/* Is there one? Any thread. */
bool wp_guard_cookie_is_ready(void);
