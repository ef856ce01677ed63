/* The length-prefixed protocol, shared by TCP and DoT: tcp.c (a connection's life), tcp_query.c
 * (one message). */
#pragma once
#include "server/listeners/conn_priv.h"

enum { WP_DNS_PREFIX = 2 };
/* A message of a zone transfer that the client has not taken after this time ends the connection,
 * also when it takes an octet now and then. */
#define WP_DNS_TAKE_NS UINT64_C(60000000000)

struct wp_dns_waiting;

/* The protocol's state of a connection. */
struct wp_dns_stream {
    unsigned outstanding;
    uint32_t idle_since_ms; /* nothing is asked and nothing comes, since (the clock's low bits) */
    int64_t n_read; /* messages, for maxtcpqueries */
    struct wp_dns_waiting *waiting;
    struct wp_dns_waiting *late; /* done while another query ran */
    struct wp_dns_waiting *sending; /* replies of several messages: first come, first served */
    uint64_t take_due_ns;           /* with some: the client must have taken the last one */
    bool any;                    /* the first message is complete */
    bool partial;                /* a message has begun; its deadline runs */
    bool finishing;              /* no more input: close when nothing is outstanding */
    bool full;                   /* paused: pipeline, or the peer does not read */
    bool starved;                /* paused: the worker has no query to spare */
    bool running;                /* inside wp_query_run */
};

extern const struct wp_conn_proto wp_dns_tcp, wp_dns_dot;

/* tcp.c */
void wp_dns_close_when_done(struct wp_conn *c, struct wp_dns_stream *d);

void wp_dns_is_idle(struct wp_conn *c, struct wp_dns_stream *d); /* from now on */

/* Runs one message in *at; when it waits, the query is gone from there. Negative: close. */
int wp_dns_ask(struct wp_conn *c, struct wp_dns_stream *d, struct wp_query **at, const uint8_t *msg,
               size_t len) WP_MUSTCHECK;
/* The next message of the replies that are being sent; as more() of the protocol. */
bool wp_dns_send_more(struct wp_conn *c);
/* Send what got done while another message ran. */
void wp_dns_finish_late(struct wp_dns_stream *d);
/* The connection is to end: the answers that are owed say so too. */
void wp_dns_drain_waiting(struct wp_dns_stream *d);
/* The connection is gone. */
void wp_dns_cancel_all(struct wp_dns_stream *d);
