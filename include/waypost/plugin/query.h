/* One question, from the octets to the finished reply.
 *
 *  1. A listener takes a wp_query from its worker's pool, sets wire, transport, addresses and
 *     where the reply may be written, and calls wp_query_run (server/router).
 *  2. The guard parses the message into `msg` or finishes it with an error reply at once.
 *  3. The router picks the block by zone and walks its chain. Each plugin's serve() says NEXT,
 *     DONE or WAIT, or calls wp_query_fail. A plugin that wants to see the reply calls
 *     wp_query_want_reply before it says NEXT.
 *  4. When the reply stands, reply() of those plugins runs, last one first.
 *  5. The router finishes: EDNS, size, TC, padding. The listener sends q->out.
 *
 * A query belongs to one loop; only that loop's thread touches it. What is allocated for it
 * comes from q->arena and goes with it. Nothing here takes a lock or the heap. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/addr.h"
#include "waypost/base/arena.h"
#include "waypost/base/peer.h"
#include "waypost/dns/msg.h"
#include "waypost/dns/rr.h"

struct wp_block;    /* server block, read-only to plugins: waypost/plugin/block.h */
struct wp_loop;
struct wp_query;
struct wp_explain;  /* what is told of it: waypost/plugin/explain.h */
struct wp_route;    /* the router's table of zones: waypost/server/router.h */

enum wp_transport { WP_UDP, WP_TCP, WP_DOT, WP_DOH, WP_GRPC, WP_DOQ, WP_DOH3, WP_TRANSPORTS };

/* What the router does next. serve() may instead return a negative wp_err: the client then
 * gets SERVFAIL, and the error travels to the plugins that report it. */
enum wp_step {
    WP_STEP_NEXT = 0, /* not ours: ask the next plugin (from reply(): go on outwards) */
    WP_STEP_DONE,     /* the reply stands, or wp_query_fail / wp_query_drop was called */
    WP_STEP_WAIT,     /* wp_query_resume follows exactly once, even on cancel */
    WP_STEP_AGAIN,    /* from reply(), after wp_query_again: ask those behind this plugin once more */
};

/* The reply while it is made: header, question, records, without OPT. Records are written in
 * section order. The owner of most records is the question name: 0xc00c. */
struct wp_reply {
    uint8_t *buf;        /* the message; buf[0] is the ID */
    uint32_t len, cap;
    uint16_t count[WP_SECTIONS];
    uint16_t rcode;      /* 12 bits */
    uint16_t flags;      /* AA TC RA AD (WP_FLAG_*); QR, RD, CD and opcode are the router's */
    bool begun;          /* header and question are there */
    bool unwritten;      /* wp_query_fail: no reply yet, the router writes a bare one */
    bool dropped;        /* nothing is sent */
    bool compressed;     /* holds pointers other than to offset 12 */
    bool has_opt;        /* a plugin or an upstream gave an OPT */
    bool opt_do;         /* DO of that OPT */
    uint16_t opt_flags;  /* its upper flag octet otherwise */
    uint16_t options_len;
    const uint8_t *options; /* of that OPT, in q->arena */
    const char *error;   /* text for `errors`, in q->arena or static; NULL: none */
    int err;             /* negative wp_err behind it, or 0 */
    uint32_t full_size;  /* wp_reply_size's, without OPT: right while full_size_of is len */
    uint32_t full_size_of;
};

enum { WP_CHAIN_MAX = 64, WP_QUERY_DEPS = 8, WP_LOOKUP_DEPTH = 9 };

/* What a cached copy of this reply depends on (see waypost/plugin/change.h). */
struct wp_dep {
    uint32_t slot, version;
};

struct wp_query {
    /* set by the listener */
    const uint8_t *wire; /* the request, not owned */
    uint32_t wire_len;
    enum wp_transport transport;
    bool stream;                 /* not bound by UDP sizes */
    bool encrypted;              /* TLS or QUIC below: padding may be asked for */
    bool draining;               /* the connection is to end: keepalive 0 */
    bool many;                   /* a reply of several messages can be sent: see `more` */
    struct wp_addr client;       /* after PROXY; what ACLs and logs see */
    struct wp_addr local;        /* the address asked */
    struct wp_addr peer;         /* the socket's peer: the proxy, when there is one */
    const char *tls_server_name; /* SNI, or NULL */
    const struct wp_peer *tls_peer; /* the client's certificate (waypost/base/peer.h), or NULL */
    const uint8_t *proxy_tlv;    /* PROXY v2 TLVs, or NULL */
    uint16_t proxy_tlv_len;
    const struct wp_route *route; /* the group's table of zones: waypost/server/router.h */
    uint64_t start_ns;           /* wp_loop_now when the message was complete */
    uint64_t deadline_ns;        /* plugins that wait give up then (`cancel`); 0: none */
    void (*done)(struct wp_query *q); /* called once if wp_query_run said WAIT */
    void *owner;                 /* the listener's own */

    /* What the gate said of the message. Transports with errors of their own (DoH, gRPC) look
     * here first; for the others the reply already stands. */
    enum wp_intake intake;

    /* the question; qname is what plugins match (rewrite may change it) */
    struct wp_msg msg;
    bool had_opt, had_do;        /* the client's OPT, whatever a plugin made of msg.edns */
    uint16_t had_size;           /* its UDP size, at least 512 */
    bool has_cookie;             /* one came and goes back: waypost/dns/cookie.h */
    uint8_t cookie[24];
    const uint8_t *question;     /* spelled qname + type + class, as it will be echoed */
    uint16_t question_len;

    /* where it is */
    struct wp_loop *loop;
    int worker;                  /* wp_loop_index(loop) */
    struct wp_arena *arena;
    const struct wp_block *block;/* NULL until routed */
    const uint8_t *zone;         /* the block's zone that matched (wire, lower case) */
    uint8_t at;                  /* index of the running plugin in the chain */
    uint8_t depth;               /* of internal look-ups */
    bool is_read;                /* the message has been: by wp_query_prefetch or _run */
    bool cancelled;              /* nobody waits any more */
    bool replying;               /* reply hooks are running */
    bool waiting;
    bool cacheable;              /* cleared by a plugin whose answer must not be kept */
    uint64_t want;               /* bit n: chain[n] wants reply() */
    void *state[WP_CHAIN_MAX];   /* each plugin's own; valid only where it set it */
    struct wp_query *parent;     /* of an internal look-up, else NULL */

    struct wp_reply reply;
    struct wp_dep deps[WP_QUERY_DEPS];
    uint8_t n_deps;
    const char *writer;          /* name of the plugin that made the reply, or NULL */
    bool meta_on;                /* `metadata` collects for this question */
    struct wp_meta *meta;        /* metadata labels, newest first, or NULL */
    uint64_t elapsed_ns;         /* of wp_query_elapsed; 0: not read yet */
    struct wp_explain *explain;  /* NULL, unless somebody wants to know its way */

    /* Replies of several messages (zone transfers; RFC 5936 s2.2), only where `many` is set: serve()
     * sets this and returns WAIT. The listener then calls it for message after message, no faster
     * than the client takes them, in turns with everybody else: it begins the reply anew, writes the
     * records of one message and returns NEXT; DONE with the last one; NEXT without a reply begun
     * when it only worked towards one. Negative: the connection is broken off, cancel() follows.
     * A call may last some hundred microseconds. Reply hooks see none of the messages: they are
     * called after the last one, with an empty reply whose size is that of all. */
    int (*more)(struct wp_query *q);
    bool sent;                   /* some of them have been */
    uint32_t sent_size;          /* of those, as wp_reply_size has it; UINT32_MAX is "at least" */

    /* the finished message: set by the router, sent by the listener; len 0: send nothing */
    uint8_t *out;
    uint32_t out_len;
};

/* --- what plugins call ------------------------------------------------------------- */

/* This plugin's own pointer for this query. */
static inline void wp_query_state_set(struct wp_query *q, void *p)
{
    q->state[q->at] = p;
}
static inline void *wp_query_state(const struct wp_query *q)
{
    return q->state[q->at];
}
/* Call reply() of this plugin when the reply stands. Only from serve(). */
static inline void wp_query_want_reply(struct wp_query *q)
{
    q->want |= (uint64_t)1 << q->at;
}

/* After WAIT: exactly once, on the query's loop, never before serve()/reply() has returned.
 * `step` is what serve()/reply() would have returned. The query may be gone when it returns. */
void wp_query_resume(struct wp_query *q, int step);

/* Finish without records: "no reply written" in CoreDNS's words. The outermost layer makes a
 * reply with the rcode, the question and nothing else. error may be NULL. Returns DONE. */
int wp_query_fail(struct wp_query *q, uint16_t rcode, int err, const char *error, ...) WP_PRINTF(4, 5);
/* Send nothing, count it as dropped. Returns DONE. */
int wp_query_drop(struct wp_query *q);

/* Change the question that the plugins after this one see (rewrite). `name` is wire form, any
 * case; copied. The replies made below carry the changed question; the caller's reply hook puts
 * the old one back with another wp_query_rename, edits the records and rebuilds. */
int wp_query_rename(struct wp_query *q, const uint8_t *name, uint16_t type, uint16_t cls) WP_MUSTCHECK;

/* From reply(): this reply is not wanted, ask the plugins behind this one under another name
 * (autopath). `question` is name, type and class in wire form; it is not copied and lives as long as
 * the query. What the reply was made from is forgotten with it: this is for plugins in front of
 * which nobody keeps replies. reply() is called again. Returns AGAIN, to be returned as it is. */
int wp_query_again(struct wp_query *q, const uint8_t *question, uint16_t len) WP_MUSTCHECK;
/* Put a question of which the query has the octets, as wp_query_rename does. */
int wp_query_ask_as(struct wp_query *q, const uint8_t *question, uint16_t len) WP_MUSTCHECK;

/* Ask the whole server again (CNAME targets; RFC 1034 s4.3.2 step 3a): same listener, same
 * client, same EDNS, depth + 1. Returns DONE with *ret_child finished (its reply can be read),
 * or WAIT: then fn(arg, child) is called once. Either way the caller gives the child back with
 * wp_query_release. WP_ELIMIT past WP_LOOKUP_DEPTH. The parent must be WAITing while it runs;
 * when the parent is cancelled so is the child, and fn is still called. */
typedef void wp_lookup_fn(void *arg, struct wp_query *child);
int wp_query_lookup(struct wp_query *parent, const uint8_t *name, uint16_t type, wp_lookup_fn *fn,
                    void *arg, struct wp_query **ret_child) WP_MUSTCHECK;
/* A query of its own that nobody waits for (prefetch): runs the rest of the chain after the
 * plugin at `from->at`, seen by it as TCP without client. fn may be NULL. The child is
 * released by fn's owner, or by itself when fn is NULL. 0 or a negative error. */
int wp_query_spawn(const struct wp_query *from, wp_lookup_fn *fn, void *arg) WP_MUSTCHECK;
void wp_query_release(struct wp_query *child);

/* --- making the reply --------------------------------------------------------------- */

/* Header and question; forgets what was there. 0 or WP_ESPACE. */
int wp_reply_begin(struct wp_query *q, uint16_t rcode, uint16_t flags) WP_MUSTCHECK;
/* Room for len more octets at reply.buf + reply.len; moves to a larger buffer when needed, up
 * to 65535 + spare. NULL when the reply would be too long. The caller adds to reply.len. */
uint8_t *wp_reply_room(struct wp_query *q, size_t len);
/* One record; owner NULL: the question name. rdata is copied as is. Sections in order. */
int wp_reply_rr(struct wp_query *q, enum wp_section s, const uint8_t *owner, uint16_t type,
                uint32_t ttl, const void *rdata, size_t rdlen) WP_MUSTCHECK;
/* A record of class other than IN, or uncompressed name as rdata etc.: the general form. */
int wp_reply_put(struct wp_query *q, const struct wp_rr *rr) WP_MUSTCHECK;
/* Take a whole message (from an upstream, or of a child) as the reply: header bits, sections,
 * OPT taken out. The question in it is not looked at. 0 or WP_EMALFORMED, WP_ESPACE. */
int wp_reply_take(struct wp_query *q, const uint8_t *msg, size_t len) WP_MUSTCHECK;
/* Append a child's section to ours, counted into `to`. */
int wp_reply_append(struct wp_query *q, const struct wp_query *child, enum wp_section from,
                    enum wp_section to) WP_MUSTCHECK;
/* EDE (RFC 8914). text may be NULL; copied. The OPT of a reply is sent if and only if the query
 * had one (RFC 6891 s6.1.1): otherwise this has no effect. */
int wp_reply_ede(struct wp_query *q, uint16_t code, const char *text);
/* Add an option to the reply's OPT; the same rule. data is copied. */
int wp_reply_option(struct wp_query *q, uint16_t code, const void *data, size_t len) WP_MUSTCHECK;

/* --- reading and editing it ----------------------------------------------------------- */

/* The records in parts, made from the wire when asked for; in q->arena. Editing the array and
 * calling wp_reply_rebuild writes the message anew (compressed). */
struct wp_view {
    struct wp_rr *rr; /* in message order, sections ascending; no OPT */
    size_t n, cap;
};
int wp_reply_view(struct wp_query *q, struct wp_view *ret) WP_MUSTCHECK;
int wp_reply_rebuild(struct wp_query *q, const struct wp_view *view) WP_MUSTCHECK;
/* The same records with names as pointers, if they are not yet. */
void wp_reply_compress(struct wp_query *q);
/* The reply as it stands, written or not, for later; in q->arena. Whoever changes the question
 * meanwhile puts it back before giving the reply back. */
struct wp_kept_reply {
    struct wp_reply reply;
    const uint8_t *octets;
    const char *writer;
};
int wp_reply_keep(struct wp_query *q, struct wp_kept_reply *ret) WP_MUSTCHECK;
int wp_reply_give_back(struct wp_query *q, const struct wp_kept_reply *kept) WP_MUSTCHECK;
/* Walk the wire: fn for each record (not OPT) with its place in reply.buf; stops when fn
 * returns non-zero and returns that. For TTL edits in place. */
int wp_reply_each(struct wp_query *q, int (*fn)(void *arg, uint8_t *buf, const struct wp_rr_at *rr,
                                                enum wp_section s), void *arg);
/* A finished message (q->out) can be read the same way: both walk reply.buf, which is the same
 * memory.
 * Smallest TTL over all sections; UINT32_MAX when there is no record. */
uint32_t wp_reply_ttl_min(const struct wp_query *q);

/* Octets of the reply as CoreDNS counts them for logs and metrics: without name compression, with
 * the OPT that a plugin or an upstream gave it and without the one the router adds. 0: dropped. Of
 * several messages the sum. */
uint32_t wp_reply_size(struct wp_query *q);

/* How CoreDNS's response package sorts replies; cache, log and DoH share it. */
enum wp_reply_kind {
    WP_REPLY_NOERROR, WP_REPLY_NXDOMAIN, WP_REPLY_NODATA, WP_REPLY_DELEGATION,
    WP_REPLY_META, WP_REPLY_UPDATE, WP_REPLY_SERVERERROR, WP_REPLY_OTHERERROR,
};
enum wp_reply_kind wp_reply_kind(struct wp_query *q);

/* The listener's label ("dns://:53"): one pointer for each listener of a generation, so that it can
 * be compared as such. */
const char *wp_query_server(const struct wp_query *q);
/* Queries that the core refuses before any chain (zone "dropped" in metrics): set by `prometheus`,
 * called on the worker's thread. */
extern _Atomic(void (*)(struct wp_query *q)) wp_router_on_dropped;
/* Nanoseconds since start_ns; reads the clock once for each query and remembers. */
uint64_t wp_query_elapsed(struct wp_query *q);

/* --- dependencies (waypost/plugin/change.h) ------------------------------------------- */

/* "This reply was made from what `key` stands for": call before reading the data. */
void wp_query_depends(struct wp_query *q, uint64_t key);

/* --- metadata --------------------------------------------------------------------------- */
/* label "plugin/name"; value copied into the arena. Without `metadata` in the block nothing is kept
 * and every label reads as not set. */
int wp_query_meta_set(struct wp_query *q, const char *label, const char *value);
const char *wp_query_meta(const struct wp_query *q, const char *label); /* NULL: not set */

/* Name of a transport's proto as plugins see it: "udp" or "tcp". */
static inline const char *wp_query_proto(const struct wp_query *q)
{
    return q->transport == WP_UDP || q->transport == WP_DOQ || q->transport == WP_DOH3 ? "udp"
                                                                                        : "tcp";
}
