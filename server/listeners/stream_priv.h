/* Inside the stream layer: stream.c (listener, accept), conn.c (life of a connection), conn_in.c
 * (from the socket up to the protocol), conn_out.c (back down), conn_more.c (large output), conn_tls.c. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "server/listeners/conn_priv.h"
#include "waypost/base/octets.h"
#include "waypost/plugin/loop.h"
#include "waypost/server/guard.h"

struct wp_tls_conn;

enum {
    WP_STREAM_READ = 64 * 1024,     /* octets of one read: one read for each wake-up */
    WP_STREAM_LEFT_MAX = 68 * 1024, /* of an incomplete message kept between reads */
    WP_STREAM_CHUNK = 66 * 1024,    /* output gathered in a turn; a DNS message and more */
    WP_STREAM_CHUNKS = 16,          /* such buffers for each worker */
    WP_STREAM_HIGH = 64 * 1024,     /* unsent octets: the peer does not read */
    WP_STREAM_LOW = 16 * 1024,
    WP_STREAM_MORE_BATCH = 8,       /* calls of more() in a row, and for how long, so that answers are */
    WP_STREAM_MORE_NS = 700 * 1000, /* not kept waiting by zone transfers */
    WP_STREAM_LINGER_MS = 2000,      /* after our FIN: wait for the peer's */
    WP_STREAM_LINGER_DRAIN_MS = 200, /* the same at a shutdown, which must end soon */
    WP_STREAM_LINGER_MAX = 1 << 20,  /* octets thrown away meanwhile */
    WP_STREAM_ACCEPT_BATCH = 64,
    WP_STREAM_HANDSHAKES = 8,        /* steps of TLS handshakes in a turn: a flood of them must not
                                        delay everybody's answers */
    WP_STREAM_HALF_OPEN = 512,       /* handshakes of a worker that wait for the peer: each has the
                                        library's buffers, some 45 kB */
    WP_STREAM_ACCEPT_LAST = 65536,   /* what may wait in the kernel's queue at a stop */
    WP_STREAM_ACCEPT_PAUSE_MS = 100, /* when descriptors or memory are short */
    WP_STREAM_FULL_PAUSE_MS = 20,    /* wait_when_full: another worker may have made room */
    WP_STREAM_EVICT_LOOK = 64,       /* oldest connections looked at for an idle one */
};

/* A circular doubly linked list; a link that points at itself is in none. */
struct wp_link {
    struct wp_link *next, *prev;
};
static inline void wp_link_init(struct wp_link *l)
{
    l->next = l->prev = l;
}
static inline bool wp_link_is_in(const struct wp_link *l)
{
    return l->next != l;
}
static inline void wp_link_remove(struct wp_link *l)
{
    l->next->prev = l->prev;
    l->prev->next = l->next;
    wp_link_init(l);
}
static inline void wp_link_append(struct wp_link *list, struct wp_link *l)
{
    l->prev = list->prev;
    l->next = list;
    list->prev->next = l;
    list->prev = l;
}
#define WP_CONTAINER(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

struct wp_out_chunk {
    struct wp_out_chunk *next; /* in the free list */
    size_t len;
    uint8_t data[WP_STREAM_CHUNK];
};

/* What the connections of one worker share: an idle one owns no buffer. */
struct wp_stream_pool {
    struct wp_worker *worker;
    struct wp_link listeners;
    struct wp_task task;      /* end of the turn */
    struct wp_task next_turn; /* counts handshakes anew */
    unsigned handshakes;
    struct wp_link half_open; /* handshakes that wait for the peer, oldest first */
    unsigned n_half_open;
    struct wp_link touched; /* connections to settle then */
    struct wp_link more;    /* connections with large output to make */
    struct wp_task more_task;   /* at the end of this turn */
    struct wp_timer more_timer; /* what was left for another one */
    uint64_t more_at_ns;        /* the turn that had its part */
    struct wp_out_chunk *free;
    unsigned n_chunks;
    uint8_t wire[WP_STREAM_READ];                       /* ciphertext */
    uint8_t plain[WP_STREAM_LEFT_MAX + WP_STREAM_READ]; /* kept octets go before the new */
};

enum wp_conn_phase {
    WP_CONN_PROXY,     /* the header has not come whole */
    WP_CONN_HANDSHAKE, /* TLS */
    WP_CONN_OPEN,      /* the protocol runs */
    WP_CONN_FLUSH,     /* closed by us: what is queued still goes */
    WP_CONN_LINGER,    /* FIN sent; what comes is thrown away */
    WP_CONN_GONE,      /* memory only, for queries in flight */
};

struct wp_stream_conn {
    struct wp_conn c; /* first */
    struct wp_io io;
    struct wp_timer timer;         /* at or before the nearest deadline below */
    struct wp_link all;            /* of the listener, longest inactive first */
    struct wp_link touched;        /* of the pool */
    struct wp_link half_open;      /* of the pool */
    struct wp_link more;           /* of the pool */
    uint64_t due_ns, write_due_ns; /* 0: none */
    struct wp_tls_conn *tls;
    struct wp_guard_slot slot;
    struct wp_octets left;   /* received, not consumed */
    struct wp_octets unsent; /* cleartext only; ciphertext waits in tls */
    struct wp_out_chunk *chunk;
    uint8_t *tlv;      /* behind c.proxy_tlv; queries in flight point at it */
    char *name;        /* behind c.server_name, likewise */
    uint32_t want;     /* input() needs that many octets */
    uint32_t lingered; /* octets thrown away */
    uint32_t refs;
    uint8_t phase; /* enum wp_conn_phase */
    bool busy;     /* its event runs: it settles at the end anyway */
    bool eof, paused, redeliver, congested, abort, started, drained, tls_broken;
};

struct wp_stream {
    struct wp_listener l; /* first */
    const struct wp_conn_proto *proto;
    struct wp_stream_pool *pool;
    struct wp_link in_pool;
    struct wp_io io;
    struct wp_timer retry; /* accept is paused until then */
    struct wp_link conns;
    unsigned n_conns;
    struct wp_addr local; /* of the socket; the wildcard has no address */
    bool wildcard, draining;
    void (*closed)(void *arg);
    void *closed_arg;
    struct wp_task closed_task;
};

static inline struct wp_stream_conn *wp_stream_conn_of(const struct wp_conn *c)
{
    return (struct wp_stream_conn *)c;
}
static inline struct wp_stream *wp_stream_of(const struct wp_stream_conn *s)
{
    return (struct wp_stream *)s->c.listener;
}
static inline uint64_t wp_stream_now(const struct wp_stream_conn *s)
{
    return wp_loop_now(s->c.worker->loop);
}

/* conn.c. A new connection on fd: takes the descriptor and the slot on success. */
int wp_conn_new(struct wp_stream *l, int fd, const struct wp_addr *peer,
                struct wp_guard_slot *slot) WP_MUSTCHECK;
/* Settle at the end of the turn (or of the running event). */
void wp_conn_touch(struct wp_stream_conn *s);
void wp_conn_settle(struct wp_stream_conn *s);
/* End it now: no flush beyond what the socket takes at once. */
void wp_conn_end(struct wp_stream_conn *s);
/* Take and answer what has come, then tell the protocol to end it. */
void wp_conn_drain(struct wp_stream_conn *s);
/* No query runs and nothing is half received or half sent: it may be closed to make room. */
bool wp_conn_is_idle(const struct wp_stream_conn *s);
void wp_conn_arm(struct wp_stream_conn *s);
void wp_conn_run_touched(struct wp_task *task);

/* conn_in.c */
void wp_conn_read(struct wp_stream_conn *s);
void wp_conn_redeliver(struct wp_stream_conn *s);
/* Layers up to the protocol; data follows what is kept. */
void wp_conn_open_layers(struct wp_stream_conn *s);
void wp_conn_deliver(struct wp_stream_conn *s, uint8_t *data, size_t len);
void wp_conn_start(struct wp_stream_conn *s);
void wp_conn_eof(struct wp_stream_conn *s);

/* conn_out.c */
void wp_conn_flush(struct wp_stream_conn *s); /* chunk and queue to the socket */
size_t wp_conn_unsent(const struct wp_stream_conn *s);
void wp_conn_out_done(struct wp_stream_conn *s); /* forget what is queued */
void wp_stream_pool_free_chunks(struct wp_stream_pool *p);

/* conn_more.c */
void wp_conn_more_init(struct wp_stream_pool *p);
void wp_conn_more_done(struct wp_stream_pool *p);

/* conn_tls.c */
/* May another handshake take its step in this turn? Otherwise its input stays in the kernel. */
bool wp_conn_tls_may_step(struct wp_stream_conn *s);
void wp_conn_tls_next_turn(struct wp_task *task);
int wp_conn_tls_start(struct wp_stream_conn *s);
void wp_conn_tls_input(struct wp_stream_conn *s, const uint8_t *data, size_t len);
void wp_conn_tls_pump(struct wp_stream_conn *s); /* decrypt and deliver what is there */
void wp_conn_tls_done(struct wp_stream_conn *s);

/* stream.c */
void wp_stream_left(struct wp_stream *l); /* a connection is gone */
