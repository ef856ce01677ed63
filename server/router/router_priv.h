/* Inside the router. */
#pragma once
#include "waypost/plugin/block.h"
#include "waypost/plugin/plugin.h"
#include "waypost/server/router.h"
#include "waypost/server/worker.h"

static inline struct wp_pooled *wp_pooled_of(struct wp_query *q)
{
    return (struct wp_pooled *)q;
}

/* The zone of the group that the question belongs to, and the block; NULL: none. `ret_empty`
 * is set when the zone's block has no handler. */
const struct wp_block *wp_route_find(const struct wp_route *r, struct wp_query *q);

/* Run chain[at..] and what follows; DONE or WAIT. */
int wp_chain_run(struct wp_query *q, unsigned at);
/* After the chain: for a client's query the finished message, for a child its raw reply. */
void wp_query_finish(struct wp_query *q);
/* Header, the current question, no records, into reply.buf (a bare reply with its rcode). */
void wp_reply_bare(struct wp_query *q);
/* Make sure a reply stands: a bare one where nothing was written. */
void wp_reply_settle(struct wp_query *q);
/* Move to the query's own buffer: the listener's memory may not be used later. */
void wp_reply_own_buffer(struct wp_query *q);
/* explain.c: serve() or reply() of a node for an explained query; what resumed it. */
int wp_explain_call(struct wp_query *q, const struct wp_node *n, bool is_reply);
void wp_explain_resumed(struct wp_query *q, int step);
/* 64 KiB buffers of the worker. */
uint8_t *wp_worker_big_get(struct wp_worker *w);
void wp_worker_big_put(struct wp_worker *w, uint8_t *big);
enum { WP_BIG_LEN = WP_MSG_MAX + 1 + WP_REPLY_SPARE };
