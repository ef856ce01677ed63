/* A stream connection to an upstream: socket, TLS when asked for, then one protocol. Inside
 * backends/common/upstream_*.c. */
#pragma once
#include "backends/common/upstream_priv.h"
#include "waypost/base/octets.h"

struct wp_tls_conn;
struct wp_up_conn;

enum wp_up_phase { WP_UP_DIALING, WP_UP_HANDSHAKE, WP_UP_OPEN, WP_UP_CLOSED };

struct wp_up_conn_proto {
    /* The layers below are open. Negative: close. */
    int (*start)(struct wp_up_conn *c);
    /* The query into c->out, or into the protocol's own queue; links x into a bucket. */
    int (*send)(struct wp_up_conn *c, struct wp_up_try *x);
    /* Plaintext from the peer: the octets used, the rest comes again with more; negative: the
     * connection is of no use any more (*ret_why, static text). */
    int (*input)(struct wp_up_conn *c, const uint8_t *data, size_t len, const char **ret_why);
    /* Before a flush: more for c->out. May be NULL. */
    int (*output)(struct wp_up_conn *c);
    /* x ends before its reply came. May be NULL. */
    void (*cancel)(struct wp_up_conn *c, struct wp_up_try *x);
    void (*stop)(struct wp_up_conn *c);           /* free c->state; only called when there is one */
    unsigned (*room)(const struct wp_up_conn *c); /* queries it takes at a time; may be NULL */
};
extern const struct wp_up_conn_proto wp_up_dns_proto, wp_up_h2_proto;

struct wp_up_conn {
    struct wp_io io;
    struct wp_timer timer; /* of the dial */
    struct wp_task flush;
    struct wp_up_local *local;
    struct wp_up_conn *next, **prev; /* in local->conns, oldest first */
    const struct wp_up_conn_proto *proto;
    void *state; /* the protocol's */
    struct wp_tls_conn *tls;
    enum wp_up_phase phase;
    bool draining; /* takes no more queries; closed when nothing is open */
    unsigned busy; /* its functions are on the stack: freed later */
    unsigned open; /* tries on it, waiting ones included */
    unsigned replies;
    uint64_t born_ns, used_ns, heard_ns;
    struct wp_up_try *waiting, **waiting_end; /* until it is open */
    struct wp_up_try *bucket[WP_UP_ID_BUCKETS];
    uint16_t next_id;
    struct wp_octets in, out; /* plaintext */
};

/* Octets that wait for a peer that does not read: past it the protocol makes no more. */
enum { WP_UP_OUT_MAX = 256 * 1024 };
size_t wp_up_conn_backlog(const struct wp_up_conn *c);
/* Something is to be written at the end of the turn. */
void wp_up_conn_flush_later(struct wp_up_conn *c);

/* --- among upstream_conn.c, upstream_conn_io.c and upstream_pool.c ------------------------- */

/* A connection that dials, with its place among those of l. */
int wp_up_conn_new(struct wp_up_local *l, struct wp_up_conn **ret) WP_MUSTCHECK;
/* Nothing is open on it. Frees it, unless it is held. */
void wp_up_conn_close(struct wp_up_conn *c);
/* While its functions are on the stack. */
void wp_up_conn_hold(struct wp_up_conn *c);
void wp_up_conn_release(struct wp_up_conn *c);
/* It is of no use: everything on it fails. */
void wp_up_conn_broken(struct wp_up_conn *c, int err, const char *why);
void wp_up_conn_read_failed(struct wp_up_conn *c, int err);
void wp_up_conn_tls_failed(struct wp_up_conn *c);
/* The query goes out, or waits until the connection is open; x->via is c. */
int wp_up_conn_send(struct wp_up_conn *c, struct wp_up_try *x) WP_MUSTCHECK;
void wp_up_conn_wait(struct wp_up_conn *c, struct wp_up_try *x);
/* Its socket has connected, or failed to; a step of its TLS handshake. */
void wp_up_conn_connected(struct wp_up_conn *c);
void wp_up_conn_handshake(struct wp_up_conn *c);
/* Ciphertext, or the plain octets. 1: all gone, 0: the socket is full. */
int wp_up_conn_write_out(struct wp_up_conn *c);
void wp_up_conn_on_event(struct wp_io *io, uint32_t events);
/* More idle ones than this loop may keep. */
bool wp_up_conn_has_spare(const struct wp_up_local *l);
