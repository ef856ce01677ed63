/* Among udp.c, udp_send.c and udp_control.c: a UDP socket, its batch, and where datagrams come from
 * and go to. */
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include "server/listeners/conn_priv.h"
#include "waypost/plugin/metric.h"

struct wp_proxy_sessions; /* server/listeners/proxy_udp.h */

enum {
    WP_UDP_MESSAGES = 64, /* of a batch */
    WP_UDP_SLOTS = 64,    /* answers that are sent together */
    WP_UDP_AHEAD = 6,     /* questions that wait while memory comes near */
    WP_UDP_CONTROL = 96,
    WP_UDP_LATE_MAX = 64,
    WP_UDP_MESSAGE_LEN = 65536,
};
_Static_assert(WP_UDP_LATE_MAX <= WP_UDP_SLOTS, "late ones are sent together");

/* Where datagrams came from and replies go to, as the kernel wants it. */
struct wp_udp_envelope {
    struct sockaddr_storage name;
    socklen_t name_len;
    struct wp_addr peer, local;
    size_t control_len; /* of the packet info that came and is the one that goes; 0: none */
    _Alignas(struct cmsghdr) uint8_t control[WP_UDP_CONTROL];
};

struct wp_udp;

struct wp_udp_slot {
    struct wp_query *q;
    const struct wp_udp_envelope *env; /* the batch's, or own while it waits */
    struct wp_udp *u;                  /* while it waits */
    struct wp_udp_envelope own;
};

enum wp_udp_dropped {
    WP_UDP_DROPPED_SOURCE,
    WP_UDP_DROPPED_BUFFER,
    WP_UDP_DROPPED_ERROR,
    WP_UDP_DROPPED_PROXY,
    WP_UDP_DROPPED_SIZE,
    WP_UDP_DROPPED_REASONS
};

/* What is read and sent in one go; every socket has one. */
struct wp_udp_batch {
    struct mmsghdr msg[WP_UDP_MESSAGES];
    struct iovec iov[WP_UDP_MESSAGES];
    struct wp_udp_envelope env[WP_UDP_MESSAGES];
    unsigned used; /* messages that the last read has written to */
    uint8_t *data; /* WP_UDP_MESSAGES * WP_UDP_MESSAGE_LEN; only what is used is ever touched */
    struct wp_udp_slot *slot[WP_UDP_SLOTS]; /* free ones first to last */
    unsigned n_slots;
    struct wp_udp_slot *out[WP_UDP_SLOTS]; /* answered, to be sent */
    unsigned n_out;
    bool several; /* what was read has more than one question */
    struct wp_udp_slot *ahead[WP_UDP_AHEAD]; /* oldest first */
    unsigned n_ahead;
};

struct wp_udp {
    struct wp_listener l;
    struct wp_io io;
    struct wp_task task; /* sends what was done late */
    struct wp_udp_batch *batch;
    struct wp_udp_slot *late[WP_UDP_LATE_MAX]; /* done, to be sent at the end of the turn */
    unsigned n_late;
    unsigned waiting; /* queries that left their slot */
    bool closed;
    bool no_segments;     /* the way to the clients takes no segmented messages */
    struct wp_addr local; /* what the socket is bound to */
    struct wp_proxy_sessions *sessions;
    struct wp_series *dropped[WP_UDP_DROPPED_REASONS];
};

static inline void wp_udp_count_dropped(const struct wp_udp *u, enum wp_udp_dropped why)
{
    wp_metric_add(u->dropped[why], u->l.worker->index, 1);
}

/* n answered ones, at most WP_UDP_SLOTS; they stay the caller's. What the kernel does not take now
 * is dropped and counted. */
void wp_udp_send(struct wp_udp *u, struct wp_udp_slot *const *s, unsigned n);
/* The address that was asked, into env; where the kernel has joined datagrams, the
 * size of each, else 0. */
unsigned wp_udp_read_control(struct wp_udp_envelope *env, struct msghdr *h);
