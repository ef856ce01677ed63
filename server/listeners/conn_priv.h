/* A stream connection as a stack of layers: socket, PROXY header, TLS, then one protocol (DNS
 * with length prefix, HTTP). The layers below the protocol are the same for every transport;
 * the protocol sees plaintext only and never the socket. A connection belongs to its worker. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/server/listener.h"

struct wp_conn;

/* What a protocol does with a connection. Every function runs on the worker's thread. */
struct wp_conn_proto {
    const char *alpn; /* server's order, comma separated, for TLS: "dot"; NULL: none */
    /* The layers below are up (TLS handshake done): make the protocol's state (c->state), or take
     * another protocol (c->proto). Negative: close; stop() is not called then. */
    int (*start)(struct wp_conn *c);
    /* Plaintext from the peer. Returns the octets consumed (the rest is kept and given again,
     * joined with what follows, so an incomplete message costs no copy of its own), or a
     * negative error: what is queued is flushed, then the connection closes. */
    int (*input)(struct wp_conn *c, const uint8_t *data, size_t len);
    /* The peer half-closed (FIN, close_notify): answer what was asked, then wp_conn_close. */
    void (*eof)(struct wp_conn *c);
    /* The output queue went below its low mark after wp_conn_is_congested said true. */
    void (*writable)(struct wp_conn *c);
    /* wp_conn_more asked for it: make a good deal of output, at most a message. True: there is more to
     * make. May be NULL. */
    bool (*more)(struct wp_conn *c);
    /* The read or idle deadline set by wp_conn_deadline has passed. */
    void (*timeout)(struct wp_conn *c);
    /* Shutdown or reload without this listener: tell the client, close when nothing is open. */
    void (*drain)(struct wp_conn *c);
    /* The connection is gone (after close, reset, error): cancel what runs, free the state.
     * No function of the connection is called afterwards. Queries that still run finish into
     * wp_conn_unref. */
    void (*stop)(struct wp_conn *c);
    /* At the limit of connections new ones wait in the kernel's queue. Otherwise the oldest idle
     * one makes room, and when there is none the new one is closed. */
    bool wait_when_full;
};

struct wp_conn {
    struct wp_worker *worker;
    struct wp_listener *listener; /* listener->group is the current one */
    const struct wp_conn_proto *proto;
    void *state;                  /* the protocol's */
    struct wp_addr client, local, peer; /* client: after PROXY */
    const uint8_t *proxy_tlv;
    uint16_t proxy_tlv_len;
    const char *server_name;      /* SNI or NULL */
    const char *alpn;             /* negotiated, "" if none */
    struct wp_peer *tls_peer;     /* the client's certificate, or NULL; as long as its memory */
    bool encrypted;
    bool draining;                /* tell the client to go: keepalive 0, GOAWAY */
    bool closed;                  /* nothing more is read, nothing more can be written */
};

/* The group whose limits and routes apply now. Not after stop(). */
const struct wp_group *wp_conn_group(const struct wp_conn *c);
/* A query that came over it, as of now: who asks whom, through what. */
void wp_conn_describe(const struct wp_conn *c, struct wp_query *q);

/* Room for len octets at the end of the output queue, or NULL when memory is short: write them,
 * then wp_conn_commit what was used. On cleartext connections this is the socket buffer
 * itself; with TLS it is a worker's scratch that is encrypted at the flush. Flushed once at the
 * end of the loop turn. The pointer is good until the next call on any connection. */
uint8_t *wp_conn_room(struct wp_conn *c, size_t len);
void wp_conn_commit(struct wp_conn *c, size_t len);
/* The same, and *ret_len says how much more than `min` there is (a reply may grow). */
uint8_t *wp_conn_room_max(struct wp_conn *c, size_t min, size_t *ret_len);
int wp_conn_write(struct wp_conn *c, const void *data, size_t len); /* room + copy + commit */
/* The peer does not read: stop making output (and stop input with wp_conn_pause). The write
 * deadline runs by itself. */
bool wp_conn_is_congested(const struct wp_conn *c);
void wp_conn_pause(struct wp_conn *c);  /* no more input() until resume; reading stops */
void wp_conn_resume(struct wp_conn *c); /* also gives what is buffered again, next turn */

/* There is output to make that is large and that nobody waits for (zone transfers): more() is called
 * when most of what is queued has gone, in turns with other connections that want the same, and for
 * no more than about a millisecond of each turn. To be called again from writable(). */
void wp_conn_more(struct wp_conn *c);

/* No input() before len octets are together (a message of known length comes in pieces). Holds
 * until the next input(). */
void wp_conn_want(struct wp_conn *c, size_t len);

/* One deadline for the protocol's own waiting (message complete, idle); 0 clears it. */
void wp_conn_deadline(struct wp_conn *c, uint64_t due_ns);

void wp_conn_close(struct wp_conn *c); /* flush, close_notify, FIN, linger for unread input */
void wp_conn_abort(struct wp_conn *c); /* at once */
/* A query in flight keeps the memory of its connection (not the socket) alive. */
void wp_conn_ref(struct wp_conn *c);
void wp_conn_unref(struct wp_conn *c);

/* A stream listener for a protocol: open/swap/drain/close of wp_listener_ops. The protocol of a
 * connection is chosen after the handshake by `choose` (ALPN), or is `proto`. */
struct wp_listener {
    const struct wp_listener_ops *ops;
    struct wp_worker *worker;
    struct wp_group *group;
};
int wp_stream_open(struct wp_worker *w, struct wp_group *g, int fd,
                   const struct wp_listener_ops *ops, const struct wp_conn_proto *proto,
                   struct wp_listener **ret);
void wp_stream_swap(struct wp_listener *l, struct wp_group *g);
void wp_stream_drain(struct wp_listener *l, void (*closed)(void *arg), void *arg);
void wp_stream_close(struct wp_listener *l);
