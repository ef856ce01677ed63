/* Zones that are given away whole (AXFR RFC 5936, IXFR RFC 1995). The directive `transfer` speaks
 * the protocol: who may ask, messages, the SOA first and last, log lines, NOTIFY. A plugin that
 * holds zones only tells the records, through one function of its table (plugin.h):
 *
 *   transfer(self, q, ret)   q->msg.qname is the zone that is asked for. Fill in ret, or return
 *                            WP_ENOTFOUND (not one of mine: the next plugin of the chain is asked),
 *                            or another negative error: SERVFAIL.
 *
 * It should hold on to one version of its data, by reference: nothing is copied, records are asked
 * for as the client takes them, which may take minutes, over reloads and changes. Where data
 * changes in place it must at least leave out nothing that was there all the time, and read its
 * serial first, so that whoever got a mixture asks again.
 *
 * A plugin whose zones change tells so with wp_zone_is_new, and `transfer` sends NOTIFY. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/wr.h"
#include "waypost/dns/rr.h"
#include "waypost/plugin/block.h"

struct wp_query;
struct wp_transfer_out;

/* A zone being given away. Everything runs on the worker's loop. Memory may come from q->arena (not
 * after transfer() has returned: it is bounded); what else is held goes with end(). */
struct wp_transfer {
    uint32_t serial;
    /* the SOA, rdata uncompressed; stands until end() */
    const uint8_t *soa;
    uint16_t soa_len;
    uint32_t soa_ttl;
    /* IXFR: a client whose serial is newer than ours is up to date, too (RFC 1995 s4); otherwise
     * only the same one is */
    bool newer_is_current;
    void *source; /* the holder's own, passed to the functions */
    /* Work before the first record (sorting, say), called until it returns DONE; NEXT: there is
     * more to do, call again. Each call some hundred microseconds at most. May be NULL. */
    int (*prepare)(void *source);
    /* Put records with wp_transfer_put, from where the last call ended, all but the SOA. NEXT: one
     * did not fit, or enough was looked at for one call (as above); DONE: they are all put;
     * negative: the transfer is broken off. */
    int (*next)(void *source, struct wp_transfer_out *out);
    void (*end)(void *source); /* once, however it ends */
};

/* The message being filled: of the caller of next() and of wp_transfer_put. */
struct wp_transfer_out {
    struct wp_wr wr;
    struct wp_comp names;
    uint32_t full; /* octets without compression */
    unsigned n;    /* records */
    bool is_full;
    int err; /* a record that no message can hold */
};
/* One record; names in it uncompressed. False: the message is full, put it again in the next call.
 */
bool wp_transfer_put(struct wp_transfer_out *out, const uint8_t *owner, uint16_t type, uint32_t ttl,
                     const void *rdata, size_t rdlen) WP_MUSTCHECK;

/* `transfer` itself: a message of q's reply, and its end, which makes it q->reply unless it is
 * empty. WP_ESPACE: no room for the question. */
int wp_transfer_begin(struct wp_query *q, struct wp_transfer_out *out) WP_MUSTCHECK;
void wp_transfer_finish(struct wp_query *q, struct wp_transfer_out *out);

/* There is a new version of a zone, or its first: secondaries want to know. holder: the directive,
 * for log lines. Admin loop's thread, from start() until quiesce(). */
static inline void wp_zone_is_new(const struct wp_block *b, const char *holder, const uint8_t *apex)
{
    for (unsigned i = 0; i < b->n_chain; i++) {
        if (b->chain[i].plugin->zone_is_new != NULL)
            b->chain[i].plugin->zone_is_new(b->chain[i].self, holder, apex);
    }
}
