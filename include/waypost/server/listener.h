/* Listeners: from sockets to wp_query_run and back. A group is one (scheme, address, port) of
 * one generation; a listener is the open socket of it on one worker. A reload swaps the group
 * under the listener: sockets and connections stay, the next query sees the new routes. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "waypost/plugin/block.h"
#include "waypost/server/worker.h"

struct wp_route;   /* server/router: table of zones of a group */
struct wp_tls_ctx;
struct wp_series;
struct wp_gen;

/* Limits in force on a group; 0 means unlimited for the counts. the transports table 15. */
struct wp_limits {
    uint64_t read_ns, write_ns, idle_ns, handshake_ns;
    uint32_t max_connections, max_per_client; /* over all workers */
    uint32_t accept_rate;                     /* connections in a second, likewise */
    uint32_t max_streams;                     /* HTTP/2, for each connection */
    uint32_t pipeline;                        /* outstanding on one TCP or DoT connection */
    int64_t max_queries;                      /* maxtcpqueries, -1 unlimited */
    uint32_t max_in_flight;                   /* queries waiting, for each worker */
    uint32_t header_octets;                   /* HTTP header block */
    uint16_t udp_cap;
};

struct wp_group {
    enum wp_scheme scheme;
    const char *host;          /* bind text, "" for the wildcard */
    uint16_t port;
    const char *label;         /* "dns://:53": server label of metrics, loop, logs */
    const char *address;       /* ":53", "127.0.0.1:53": what error messages name */
    struct wp_limits limits;
    struct wp_tls_ctx *tls;    /* NULL: cleartext */
    struct wp_proxy_settings proxy;
    struct wp_cookie_settings cookie; /* set: cookies are on */
    const struct wp_route *route;
    unsigned sockets;          /* for each worker */
    bool debug;
    struct wp_gen *gen;
    struct wp_guard_counts *counts; /* shared by the groups of one address over generations */
};

/* An open socket on one worker. Made by the transport's open(). */
struct wp_listener;
struct wp_listener_ops {
    const char *name; /* "udp", "tcp", "dot", "doh", "grpc" */
    enum wp_transport transport;
    bool datagram;
    /* On the worker's thread. fd is bound (and listening, for streams), non-blocking, owned by
     * the listener from here on when 0 is returned. */
    int (*open)(struct wp_worker *w, struct wp_group *g, int fd, struct wp_listener **ret);
    /* On the worker's thread: another generation's group takes over. */
    void (*swap)(struct wp_listener *l, struct wp_group *g);
    /* On the worker's thread: stop accepting; finish what runs, tell clients to go (GOAWAY,
     * keepalive 0), then closed(arg) once, when the last connection is gone; the listener is
     * still to be closed. NULL for datagrams: they are answered until close. */
    void (*drain)(struct wp_listener *l, void (*closed)(void *arg), void *arg);
    void (*close)(struct wp_listener *l); /* at once; frees it */
};
extern const struct wp_listener_ops wp_listener_udp, wp_listener_tcp, wp_listener_dot,
    wp_listener_doh, wp_listener_grpc;
/* The ops of a scheme, NULL-terminated (dns has two). */
const struct wp_listener_ops *const *wp_listeners_of(enum wp_scheme s);
